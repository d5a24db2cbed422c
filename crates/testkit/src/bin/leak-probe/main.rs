//! Prints what a program can learn about its surroundings, one observable a line: `area.name value`,
//! sorted. Two runs that print different bytes were told apart by something; what it was, the
//! lines that differ say. It is the measure of what the sandbox hides, so it looks by every route that
//! we know of, and what may be fatal it tries in forked children.
//!
//! `leak-probe [--output FILE] [AREA…]` looks at these areas, or at all of them; with `--without`
//! in front of the areas, at all others. Run it where it may write files in the working directory. Nothing it does is meant to harm, but the area `surface` makes every system
//! call with nonsense arguments, and `inputs` tries to change `/inputs`: it belongs in a sandbox of
//! some kind.
//!
//! Absent on purpose: a verdict. Whoever runs it twice compares.

mod areas;
mod raw;
mod report;

use std::process::ExitCode;

use report::Report;

fn main() -> ExitCode {
    let mut wanted: Vec<String> = std::env::args().skip(1).collect();
    let mut output = None;
    if wanted.len() > 1 && wanted[0] == "--output" {
        output = wanted.drain(..2).next_back();
    }
    let are_left_out = wanted.first().is_some_and(|word| word == "--without");
    if are_left_out {
        wanted.remove(0);
    }
    let mut report = Report::new();
    let known = || areas::ALL.iter().chain(&areas::BY_NAME);
    for name in &wanted {
        if known().all(|(area, _)| area != name) {
            let areas: Vec<&str> = areas::ALL.iter().map(|(area, _)| *area).collect();
            eprintln!(
                "usage: leak-probe [--output FILE] [--without] [AREA…], of {}",
                areas.join(", ")
            );
            return ExitCode::from(2);
        }
    }
    for (name, look) in known() {
        let is_named = wanted.iter().any(|area| area == name);
        let are_all = wanted.is_empty() || are_left_out;
        let is_wanted = if are_all {
            !is_named && areas::BY_NAME.iter().all(|(area, _)| area != name)
        } else {
            is_named
        };
        if is_wanted {
            report.enter(name);
            look(&mut report);
        }
    }
    match report.print(output.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("leak-probe: {problem}");
            ExitCode::from(70)
        }
    }
}
