//! `counterseal`: assemble, record, verify, replay.
//!
//! This crate is arguments, output, exit codes and wiring; what the verbs stand on is in the
//! libraries. Results go to standard output, the story to standard error.

mod arguments;
mod blob_files;
mod commands;
mod embedded;
mod error;
mod evidence;
mod keys;
mod output;
mod places;
mod progress;
mod session;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Verb};
use crate::error::{CommandError, Exit};
use crate::session::Session;

fn main() -> ExitCode {
    counterseal_verify_cli::install_fault_handler();
    let code = match Arguments::try_parse() {
        Ok(arguments) => run(arguments),
        Err(error) if error.use_stderr() => {
            // Where standard error is gone, the exit code still tells.
            let _ = error.print();
            Ok(Exit::Usage as u8)
        }
        // Help and version are results.
        Err(help) => output::printed(help.print()).map(|()| Exit::Success as u8),
    };
    ExitCode::from(code.unwrap_or_else(|error| {
        error.report();
        error.exit as u8
    }))
}

fn run(arguments: Arguments) -> Result<u8, CommandError> {
    let session = Session::new(arguments.config, arguments.quiet);
    let exit = match arguments.verb {
        Verb::Verify(verify) => return Ok(counterseal_verify_cli::execute(&verify)),
        Verb::Demo(demo) => commands::demo::run(&session, &demo)?,
        Verb::Lock(lock) => commands::lock::run(&session, &lock)?,
        Verb::Fetch(fetch) => commands::fetch::run(&session, &fetch)?,
        Verb::Assemble(assemble) => commands::assemble::run(&session, &assemble)?,
        Verb::Export(export) => commands::export::run(&session, &export)?,
        Verb::Show(show) => commands::show::run(&session, &show)?,
        Verb::Replay(replay) => commands::replay::run(&session, &replay)?,
        Verb::Record(verb) => commands::record::run(&session, &verb)?,
        Verb::Store(verb) => commands::store::run(&session, &verb)?,
        Verb::Keys(verb) => commands::keys::run(&session, &verb)?,
        Verb::Trust(verb) => commands::trust::run(&verb)?,
        Verb::Doctor(doctor) => commands::doctor::run(&session, &doctor)?,
        Verb::Completions { shell } => commands::manual::completions(shell)?,
        Verb::Man { directory } => commands::manual::pages(&directory)?,
    };
    Ok(exit as u8)
}
