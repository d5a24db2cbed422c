//! The verdict for people: first the sentence, then bad news, then every check.
//! Colour carries no meaning of its own and is left out wherever it might not be wanted.
//! Deliberately absent: anything that is not in the verdict.

use std::fmt::{self, Write as _};

use counterseal_attestation::replay_verdict::Verdict as ReplayOutcome;
use counterseal_verify::{Check, Outcome, State, Verdict, clean};

use crate::document::{Failure, FileReport};

/// How to print; plainly by default.
#[derive(Clone, Copy, Default)]
pub(crate) struct Style {
    pub(crate) colour: bool,
    pub(crate) verbose: bool,
}

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const BOLD: &str = "\x1b[1m";

/// Everything about one file, ending in a line feed.
pub(crate) fn report(file: &FileReport, style: Style) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = match (&file.verdict, &file.error) {
        (Some(verdict), _) => write_verdict(&mut out, &clean(&file.file), verdict, style),
        (None, Some(error)) => write_failure(&mut out, error, style),
        (None, None) => Ok(()),
    };
    out
}

/// A failure before or instead of a verdict.
pub(crate) fn failure(failure: &Failure, style: Style) -> String {
    let mut out = String::new();
    let _ = write_failure(&mut out, failure, style);
    out
}

fn write_failure(out: &mut String, failure: &Failure, style: Style) -> fmt::Result {
    writeln!(out, "{} {}", style.paint(RED, "error:"), failure.message)?;
    if let Some(hint) = &failure.hint {
        writeln!(out, "\nhint: {hint}")?;
    }
    Ok(())
}

fn write_verdict(out: &mut String, file: &str, verdict: &Verdict, style: Style) -> fmt::Result {
    let (colour, word) = match verdict.outcome {
        Outcome::Verified => (GREEN, "verified"),
        Outcome::Failed => (RED, "FAILED"),
        Outcome::Unreadable => (RED, "unreadable"),
        _ => (YELLOW, "no conclusion"),
    };
    writeln!(
        out,
        "{} {}",
        style.paint(colour, word),
        style.paint(BOLD, file)
    )?;
    writeln!(out, "  {}", sentence(verdict))?;
    write_bad_news(out, verdict, style)?;
    writeln!(out)?;
    for check in &verdict.checks {
        write_check(out, check, style)?;
    }
    write_replays(out, verdict)?;
    if style.verbose && !verdict.set_aside.is_empty() {
        writeln!(out, "\n  set aside:")?;
        for line in &verdict.set_aside {
            writeln!(out, "    line {}: {}", line.line, line.reason)?;
        }
    } else if !verdict.set_aside.is_empty() {
        let count = verdict.set_aside.len();
        writeln!(
            out,
            "\n  lines of the evidence that were set aside: {count} (-v lists them)"
        )?;
    }
    write_hints(out, verdict)
}

/// What a person takes away.
fn sentence(verdict: &Verdict) -> String {
    match (&verdict.outcome, &verdict.product) {
        (Outcome::Verified, Some(product)) => {
            let replayed = match verdict.reproduced_by {
                0 => "no auditor is known to have reproduced it".to_owned(),
                1 => "1 auditor reproduced it bit for bit".to_owned(),
                count => format!("{count} auditors reproduced it bit for bit"),
            };
            format!(
                "This is {} {}, unchanged since '{}' assembled it from {} inputs; {replayed}.",
                product.name, product.version, product.builder, product.inputs
            )
        }
        (Outcome::Verified, None) => "Every check passed.".to_owned(),
        (Outcome::Failed, _) => match verdict.obstacles().find(|c| c.state == State::Failed) {
            Some(check) => format!("{}: {}.", check.code, check.detail),
            None => "A check failed.".to_owned(),
        },
        _ => match verdict.obstacles().next() {
            Some(check) => format!("{}: {}.", check.code, check.detail),
            None => "Not everything could be checked.".to_owned(),
        },
    }
}

/// Negative replay verdicts of trusted auditors come before the list, whatever the outcome.
fn write_bad_news(out: &mut String, verdict: &Verdict, style: Style) -> fmt::Result {
    for finding in verdict.replays.iter().filter(|finding| finding.counted) {
        let what = match finding.verdict {
            ReplayOutcome::Differs => "rebuilt it and got different bytes",
            ReplayOutcome::CouldNotRebuild => "could not rebuild it",
            ReplayOutcome::Reproduced | ReplayOutcome::Equivalent => continue,
        };
        let who = finding.auditor.as_deref().unwrap_or(&finding.keyid);
        let why = finding
            .reason
            .as_ref()
            .map_or_else(String::new, |why| format!(": {why}"));
        writeln!(
            out,
            "  {} auditor '{who}' {what}{why}",
            style.paint(RED, "warning:")
        )?;
    }
    Ok(())
}

fn write_check(out: &mut String, check: &Check, style: Style) -> fmt::Result {
    let (colour, word) = match check.state {
        State::Passed => (GREEN, "passed     "),
        State::Failed => (RED, "FAILED     "),
        State::NotChecked => (YELLOW, "not checked"),
    };
    let place = match check.line {
        Some(line) if style.verbose || check.state == State::Failed => format!(" [line {line}]"),
        _ => String::new(),
    };
    let weight = if check.state == State::Failed && !check.required {
        " (does not decide: of replays, replay.quorum does)"
    } else {
        ""
    };
    let word = style.paint(colour, word);
    writeln!(
        out,
        "  {word}  {:<27} {}{place}{weight}",
        check.code, check.detail
    )
}

fn write_replays(out: &mut String, verdict: &Verdict) -> fmt::Result {
    if verdict.replays.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n  replays:")?;
    for finding in &verdict.replays {
        let who = match &finding.auditor {
            Some(name) => format!("'{name}'"),
            None => format!("key {}", finding.keyid),
        };
        let counts = match &finding.not_counted_because {
            Some(reason) => format!(" (not counted: {reason})"),
            None => String::new(),
        };
        let outcome = finding.verdict.to_string();
        writeln!(out, "    {outcome:<17} by {who}{counts}")?;
    }
    Ok(())
}

/// Each different hint of a check that stands in the way, once.
fn write_hints(out: &mut String, verdict: &Verdict) -> fmt::Result {
    let mut hints: Vec<&str> = Vec::new();
    for check in verdict
        .checks
        .iter()
        .filter(|check| check.state != State::Passed)
    {
        let Some(hint) = check.hint.as_deref() else {
            continue;
        };
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    if !hints.is_empty() {
        writeln!(out)?;
    }
    for hint in hints {
        writeln!(out, "hint: {hint}")?;
    }
    Ok(())
}

impl Style {
    fn paint(self, colour: &str, text: &str) -> String {
        if self.colour {
            format!("{colour}{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
