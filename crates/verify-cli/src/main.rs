//! `counterseal-verify`: the verifier alone, for people who install nothing else.
//! Deliberately absent: everything that is not in the library of the same crate.

use std::process::ExitCode;

use clap::Parser;
use counterseal_verify_cli::{VerifyArgs, execute, explain, install_fault_handler};

/// Check that files are what was assembled, recorded and replayed. Offline.
#[derive(Parser)]
#[command(name = "counterseal-verify", version, about, max_term_width = 100)]
struct Program {
    #[command(flatten)]
    verify: VerifyArgs,
}

fn main() -> ExitCode {
    install_fault_handler();
    ExitCode::from(match Program::try_parse() {
        Ok(program) => execute(&program.verify),
        Err(error) => explain(&error),
    })
}
