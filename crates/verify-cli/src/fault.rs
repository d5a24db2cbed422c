//! A fault in the program is exit code 70, never 0 and never mistaken for a verdict.
//! Deliberately absent: recovering. After a panic nothing that was computed is believed.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::document::{Document, FORMAT, Failure};

/// Exit code of an internal fault (`EX_SOFTWARE` of sysexits.h).
pub(crate) const EXIT_FAULT: u8 = 70;

/// Set as soon as the arguments ask for JSON, so that a fault is reported in the same form.
static WANTS_JSON: AtomicBool = AtomicBool::new(false);

/// From now on a panic ends the process with exit code 70 and one sentence; with `--json` also
/// one document. It works whether panics unwind or abort. For programs, not for tests.
pub fn install_fault_handler() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(
            || "unknown place".into(),
            |at| format!("{}:{}", at.file(), at.line()),
        );
        let message = format!("internal fault at {place}: nothing can be said about the file");
        // The process is ending: if a stream is gone, there is nobody left to tell.
        let _ = writeln!(
            std::io::stderr(),
            "error: {message}\n\nhint: this is a bug, report it"
        );
        if WANTS_JSON.load(Ordering::Relaxed) {
            let error = Some(Failure {
                code: "internal.fault",
                message,
                hint: None,
            });
            let document = Document {
                format: FORMAT,
                version: VERSION,
                exit_code: EXIT_FAULT,
                error,
                files: &[],
            };
            let _ = writeln!(std::io::stdout(), "{}", document.to_line());
        }
        std::process::exit(i32::from(EXIT_FAULT));
    }));
}

pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn report_in_json(wanted: bool) {
    WANTS_JSON.store(wanted, Ordering::Relaxed);
}
