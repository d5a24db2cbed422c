//! The same questions to a program that was executed anew: what the kernel gives to every program
//! it gives again, and what a sandbox did to the first it has to do to each.

use std::process::Command;

use super::{memory, random};
use crate::report::Report;

/// The area of the executed program.
pub(super) const WORD: &str = "executed";

pub(super) fn look(report: &mut Report) {
    for turn in ["first", "second"] {
        let output = Command::new("/proc/self/exe").arg(WORD).output();
        let output = match output {
            Ok(output) => output,
            Err(error) => return report.note(turn, error),
        };
        report.note(format!("{turn}.end"), output.status);
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let (name, value) = line.split_once(' ').unwrap_or((line, ""));
            report.note(format!("{turn}.{name}"), value);
        }
    }
}

/// What the executed program does.
pub(super) fn answer(report: &mut Report) {
    report.enter("memory");
    memory::look(report);
    report.enter("random");
    random::look(report);
}
