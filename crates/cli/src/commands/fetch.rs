//! `counterseal fetch`: bring every pinned input into the store.

use counterseal_assembly::{Assembly, declared};
use counterseal_inputs::{InputsError, Sources};
use counterseal_store::Store;

use crate::arguments::RecipeArgs;
use crate::error::{CommandError, Exit, chain};
use crate::session::{RecipeFile, Session};

pub(crate) fn run(session: &Session, arguments: &RecipeArgs) -> Result<Exit, CommandError> {
    let file = RecipeFile::read(&arguments.recipe)?;
    let assembly = file.assembly()?;
    let store = session.store(&arguments.store)?;
    let sources = session.sources(&arguments.sources, Some(&file.directory))?;
    fetch(session, &assembly, &sources, &store)?;
    Ok(Exit::Success)
}

/// Fetches with a progress bar and says what it took.
pub(crate) fn fetch(
    session: &Session,
    assembly: &Assembly,
    sources: &Sources,
    store: &Store,
) -> Result<(), CommandError> {
    let bar = session.bar();
    let report = counterseal_inputs::fetch(
        &declared(&assembly.recipe),
        &assembly.lock,
        sources,
        store,
        &bar,
    );
    bar.clear();
    let report = report.map_err(|error| unavailable(&error))?;
    session.say(format!(
        "inputs: {} at hand, {} fetched ({} bytes)",
        report.present_items, report.fetched_items, report.fetched_bytes
    ));
    Ok(())
}

/// Exit code and hint of a failed resolution or download: what is only out of reach is no
/// conclusion (3), what is wrong is usage (2).
pub(crate) fn unavailable(error: &InputsError) -> CommandError {
    let exit = if error.is_mirror_unavailable() {
        Exit::NoConclusion
    } else {
        Exit::Usage
    };
    let failure = CommandError::new(exit, chain(error));
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
