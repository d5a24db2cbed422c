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
use crate::places::Configuration;
use crate::session::Session;

fn main() -> ExitCode {
    counterseal_verify_cli::install_fault_handler();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are successes; everything else is usage.
            let code = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Success
            };
            // A closed pipe is the only failure here, and there is nobody left to tell.
            let _ = error.print();
            return ExitCode::from(code as u8);
        }
    };
    match run(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            error.report();
            ExitCode::from(error.exit as u8)
        }
    }
}

fn run(arguments: Arguments) -> Result<u8, CommandError> {
    // Verification needs no configuration of assembling, and must work where that is broken.
    if let Verb::Verify(verify) = &arguments.verb {
        return Ok(counterseal_verify_cli::execute(verify));
    }
    let configuration = Configuration::load(arguments.config.as_deref())?;
    let session = Session::new(configuration, arguments.quiet);
    let exit = match arguments.verb {
        Verb::Verify(verify) => return Ok(counterseal_verify_cli::execute(&verify)),
        Verb::Demo(demo) => commands::demo::run(&demo)?,
        Verb::Lock(lock) => commands::lock::run(&session, &lock)?,
        Verb::Fetch(fetch) => commands::fetch::run(&session, &fetch)?,
        Verb::Assemble(assemble) => commands::assemble::run(&session, &assemble)?,
        Verb::Show(show) => commands::show::run(&show)?,
        Verb::Replay(replay) => commands::replay::run(&session, &replay)?,
        Verb::Record(verb) => commands::record::run(&session, &verb)?,
        Verb::Store(verb) => commands::store::run(&session, &verb)?,
        Verb::Keys(verb) => commands::keys::run(&verb)?,
        Verb::Trust(verb) => commands::trust::run(&verb)?,
        Verb::Doctor(doctor) => commands::doctor::run(&doctor),
        Verb::Completions { shell } => commands::manual::completions(shell),
        Verb::Man { directory } => commands::manual::pages(&directory)?,
    };
    Ok(exit as u8)
}
