//! `counterseal lock`: resolve and pin.

use counterseal_assembly::{check_places, declared};

use crate::arguments::RecipeArgs;
use crate::commands::assemble::failure;
use crate::error::{CommandError, Exit, read_text};
use crate::output;
use crate::session::{RecipeFile, Session, now};

pub(crate) fn run(session: &Session, arguments: &RecipeArgs) -> Result<Exit, CommandError> {
    let file = RecipeFile::read(&arguments.recipe)?;
    let recipe = file.recipe()?;
    let store = session.store(&arguments.store)?;
    let sources = session.sources(&arguments.sources, Some(&file.directory))?;
    let bar = session.bar();
    let lock = counterseal_inputs::resolve(&declared(&recipe), &sources, &store, now(), &bar);
    bar.clear();
    let lock = lock.map_err(|error| super::fetch::unavailable(&error))?;
    // Two inputs at one path fail here and not when everything has been fetched.
    check_places(&recipe, &lock, &store).map_err(|error| failure(&error))?;
    let text = lock.to_toml();
    let path = file.lock_path();
    let unchanged = read_text(&path, text.len() as u64).is_ok_and(|old| old == text);
    if !unchanged {
        output::replace_bytes(&path, text.as_bytes())?;
    }
    let items: usize = lock.inputs.iter().map(|input| input.items.len()).sum();
    let bytes: u64 = lock
        .inputs
        .iter()
        .flat_map(|input| &input.items)
        .map(|item| item.size_bytes)
        .sum();
    session.say(format!(
        "{} {}: {} inputs, {items} items, {bytes} bytes",
        if unchanged { "unchanged" } else { "wrote" },
        path.display(),
        lock.inputs.len(),
    ));
    Ok(Exit::Success)
}
