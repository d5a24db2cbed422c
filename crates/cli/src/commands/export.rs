//! `counterseal export`: what `assemble` would run, as a directory that `counterseal-launch` runs
//! anywhere, an execution engine included. Signs nothing and records nothing.

use std::io::ErrorKind;
use std::path::Path;

use counterseal_assembly::{LAUNCHER_NAME, export, prepare};
use counterseal_launcher::DESCRIPTION_NAME;
use counterseal_static_programs::LAUNCH;

use crate::arguments::ExportArgs;
use crate::commands::assemble::failure;
use crate::commands::fetch::fetch;
use crate::error::{CommandError, Exit};
use crate::output;
use crate::session::{RecipeFile, Session};

pub(crate) fn run(session: &Session, arguments: &ExportArgs) -> Result<Exit, CommandError> {
    let file = RecipeFile::read(&arguments.recipe.recipe)?;
    let assembly = file.assembly()?;
    require_unused(&arguments.output)?;
    let store = session.store(&arguments.recipe.store)?;
    let sources = session.sources(&arguments.recipe.sources, Some(&file.directory))?;
    fetch(session, &assembly, &sources, &store)?;
    let prepared = prepare(&assembly, &store).map_err(|error| failure(&error))?;
    output::directory(&arguments.output)?;
    let waived = arguments.waive.waived.iter().copied().collect();
    export(
        &assembly,
        &prepared,
        &store,
        &waived,
        LAUNCH,
        &arguments.output,
    )
    .map_err(|error| failure(&error))?;
    let directory = arguments.output.display();
    session.say(format!(
        "run it with: {directory}/{LAUNCHER_NAME} {directory}/{DESCRIPTION_NAME}"
    ));
    output::result(format!(
        "sha256:{}  {}",
        prepared.action().hash,
        arguments.output.join(DESCRIPTION_NAME).display()
    ))?;
    Ok(Exit::Success)
}

/// The directory is made when everything is there that goes into it.
fn require_unused(path: &Path) -> Result<(), CommandError> {
    let mut entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            let message = format!("cannot read {}: {error}", path.display());
            return Err(CommandError::usage(message));
        }
    };
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(CommandError::usage(format!(
            "{} is not empty",
            path.display()
        ))),
    }
}
