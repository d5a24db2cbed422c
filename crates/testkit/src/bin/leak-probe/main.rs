//! Prints what a program can learn about its surroundings, one observable a line: `area.name value`,
//! sorted. Two runs that print different bytes were told apart by something; what it was, the
//! lines that differ say. It is the measure of what the sandbox hides, so it looks by every route that
//! we know of, and what may be fatal it tries in forked children.
//!
//! Run it where it may write files in the working directory. Nothing it does is meant to harm, but it
//! makes every system call with nonsense arguments: it belongs in a sandbox of some kind.
//!
//! Absent on purpose: a verdict. Whoever runs it twice compares.

mod areas;
mod raw;
mod report;

use std::process::ExitCode;

use report::Report;

fn main() -> ExitCode {
    let mut report = Report::new();
    if std::env::args().nth(1).as_deref() == Some(areas::again::WORD) {
        areas::again::answer(&mut report);
    } else {
        for (name, look) in areas::ALL {
            report.enter(name);
            look(&mut report);
        }
    }
    match report.print() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("leak-probe: {problem}");
            ExitCode::from(70)
        }
    }
}
