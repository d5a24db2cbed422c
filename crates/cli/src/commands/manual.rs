//! Completion scripts and manual pages, generated from the argument definitions.

use std::path::Path;

use clap::CommandFactory;

use crate::arguments::Arguments;
use crate::error::{CommandError, Exit};
use crate::output;

pub(crate) fn completions(shell: clap_complete::Shell) -> Result<Exit, CommandError> {
    // Through memory, because the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "counterseal", &mut script);
    output::bytes(&script)?;
    Ok(Exit::Success)
}

pub(crate) fn pages(directory: &Path) -> Result<Exit, CommandError> {
    output::directory(directory)?;
    clap_mangen::generate_to(Arguments::command(), directory).map_err(|error| {
        CommandError::usage(format!(
            "cannot write pages to {}: {error}",
            directory.display()
        ))
    })?;
    Ok(Exit::Success)
}
