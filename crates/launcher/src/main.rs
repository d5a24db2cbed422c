//! `counterseal-launch DESCRIPTION`: runs a described action in the sandbox and leaves its outputs
//! and its result in the output directory that the description names.
//!
//! Exit codes: the step's own (128 + N if signal N killed it), or the launcher's: 120 the
//! description cannot be used, 121 this machine cannot keep a guarantee, 122 a step broke a limit,
//! 123 an output is missing or refused, 124 reading or writing failed. `result.json` tells a
//! step's 120 from the launcher's: `outcome` is `step-failed` or `refused`; without it the code is
//! the launcher's.
//!
//! Absent on purpose: options. Everything that an action is stands in its description.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use counterseal_launcher::{Launched, Refusal, launch};
use counterseal_sandbox::Exit;

const USAGE: &str = "\
usage: counterseal-launch DESCRIPTION

Runs the action that the file DESCRIPTION describes, in a sandbox of its own, and leaves outputs,
logs and result.json in the output directory that the description names.

exit codes: the step's own (128 + N if signal N killed it); 120 the description cannot be used;
121 this machine cannot keep a guarantee; 122 a step broke a limit; 123 an output is missing or
refused; 124 reading or writing failed; result.json says whether a code is the step's.
";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [argument] = arguments.as_slice() else {
        say(USAGE);
        return ExitCode::from(Refusal::Description as u8);
    };
    match argument.to_str() {
        Some("--help") => return printed(USAGE),
        Some("--version") => {
            return printed(concat!(
                "counterseal-launch ",
                env!("CARGO_PKG_VERSION"),
                "\n"
            ));
        }
        _ => {}
    }
    let ended = launch(
        Path::new(argument),
        &mut std::io::stdout(),
        &mut std::io::stderr(),
    );
    match ended {
        Ok(Launched::Success) => ExitCode::SUCCESS,
        Ok(Launched::StepFailed(Exit::Code(code))) => {
            ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
        }
        Ok(Launched::StepFailed(Exit::Signal(signal))) => {
            ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))
        }
        Err(error) => {
            say(&format!("counterseal-launch: error: {error}\n"));
            if let Some(advice) = error.advice() {
                say(&format!("\nhint: {advice}\n"));
            }
            ExitCode::from(error.refusal() as u8)
        }
    }
}

/// Where standard error is gone, the exit code still tells.
fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn printed(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(Refusal::Fault as u8),
    }
}
