//! From arguments to exit code: read, judge, report. Deliberately absent: judging.

use std::io::{self, ErrorKind, IsTerminal as _, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use counterseal_attestation::UnixSeconds;
use counterseal_verify::{CryptoProvider, Request, Trust, verify};

use crate::args::VerifyArgs;
use crate::document::{Document, FORMAT, Failure, FileReport};
use crate::environment;
use crate::fault::{VERSION, report_in_json};
use crate::files::{self, InputError};
use crate::native_provider::Native;
use crate::text::{self, Style};

/// Exit code for usage, unreadable input and results that cannot be written.
const EXIT_UNREADABLE: u8 = 2;

/// Verifies the files, prints to the process's own streams, and returns the exit code.
pub fn execute(args: &VerifyArgs) -> u8 {
    report_in_json(args.json);
    let style = Style {
        colour: io::stdout().is_terminal()
            && std::env::var_os(environment::NO_COLOR).is_none_or(|value| value.is_empty()),
        verbose: args.verbose,
    };
    let (reports, error) = match judge_all(args) {
        Ok(reports) => (reports, None),
        Err(failure) => (Vec::new(), Some(failure)),
    };
    let exit_code = match &error {
        Some(_) => EXIT_UNREADABLE,
        None => worst(reports.iter().map(|report| report.exit_code)),
    };
    let written = if let (false, Some(error)) = (args.json, &error) {
        print(io::stderr(), &text::failure(error, style))
    } else if args.json {
        let document = Document {
            format: FORMAT,
            version: VERSION,
            exit_code,
            error,
            files: &reports,
        };
        print(io::stdout(), &format!("{}\n", document.to_line()))
    } else {
        let (verdicts, failures): (Vec<_>, Vec<_>) =
            reports.iter().partition(|report| report.error.is_none());
        let texts = |reports: Vec<&FileReport>| {
            let texts = reports.into_iter().map(|file| text::report(file, style));
            texts.collect::<Vec<_>>().join("\n")
        };
        print(io::stdout(), &texts(verdicts)).and(print(io::stderr(), &texts(failures)))
    };
    settle(written, exit_code, style)
}

/// Prints what clap has to say instead of giving arguments (help, the version, a usage error),
/// and returns the exit code.
pub fn explain(error: &clap::Error) -> u8 {
    let exit_code = if error.use_stderr() {
        EXIT_UNREADABLE
    } else {
        0
    };
    let written = error.print().and_then(|()| io::stdout().flush());
    settle(written, exit_code, Style::default())
}

fn print(mut stream: impl Write, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

/// The exit code, given how printing the result went.
fn settle(written: io::Result<()>, exit_code: u8, style: Style) -> u8 {
    match written {
        Ok(()) => exit_code,
        // A reader that has gone away wants no more; the exit code still tells the verdict.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => exit_code,
        // A result that nobody could read must not look like success.
        Err(error) => {
            let failure = Failure {
                code: "output.unwritable",
                message: format!("cannot write the result: {error}"),
                hint: None,
            };
            // If this stream is the one that failed, there is only the exit code left to tell.
            let _ = print(io::stderr(), &text::failure(&failure, style));
            EXIT_UNREADABLE
        }
    }
}

/// 70, 1, 2, 3, 0: a false file outweighs an unreadable one, which outweighs a missing proof.
/// No file at all, which clap refuses before, is never success.
fn worst(codes: impl Iterator<Item = u8>) -> u8 {
    let weight = |code: u8| match code {
        0 => 0,
        3 => 1,
        2 => 2,
        1 => 3,
        _ => 4,
    };
    codes
        .max_by_key(|code| weight(*code))
        .unwrap_or(EXIT_UNREADABLE)
}

fn judge_all(args: &VerifyArgs) -> Result<Vec<FileReport>, Failure> {
    let trust = files::read_trust(args.trust.as_deref()).map_err(|error| as_failure(&error))?;
    let now = match args.now {
        Some(now) => now,
        None => clock()?,
    };
    let judge = |path| match judge(path, args.evidence.as_deref(), &trust, now) {
        Ok(report) => report,
        Err(error) => FileReport {
            file: path.to_string_lossy().into_owned(),
            exit_code: EXIT_UNREADABLE,
            verdict: None,
            error: Some(as_failure(&error)),
        },
    };
    Ok(args.files.iter().map(|path| judge(path)).collect())
}

fn judge(
    path: &Path,
    evidence: Option<&Path>,
    trust: &Trust,
    now: UnixSeconds,
) -> Result<FileReport, InputError> {
    const PROVIDER: &dyn CryptoProvider = &Native;
    let evidence = files::read_evidence(path, evidence)?;
    let artifact = files::hash_artifact(path)?;
    let name = path.file_name().map(|name| name.to_string_lossy());
    let request = Request {
        evidence: evidence.as_deref().unwrap_or_default(),
        artifact,
        artifact_name: name.as_deref(),
        trust,
        now,
    };
    let verdict = verify(&request, PROVIDER);
    let exit_code = verdict.outcome.exit_code();
    Ok(FileReport {
        file: path.to_string_lossy().into_owned(),
        exit_code,
        verdict: Some(verdict),
        error: None,
    })
}

fn clock() -> Result<UnixSeconds, Failure> {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_err(|_| Failure {
            code: "clock.unusable",
            message: "this machine's clock is set before 1970".into(),
            hint: Some("set the clock, or give the time with --now".into()),
        })?;
    Ok(UnixSeconds(elapsed.as_secs()))
}

fn as_failure(error: &InputError) -> Failure {
    Failure {
        code: error.code(),
        message: error.to_string(),
        hint: error.hint().map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_file_decides() {
        for (codes, expected) in [
            (&[0, 0][..], 0),
            (&[0, 3], 3),
            (&[3, 2, 0], 2),
            (&[2, 1, 3, 0], 1),
            (&[1, 70], 70),
            (&[], 2),
        ] {
            assert_eq!(worst(codes.iter().copied()), expected);
        }
    }
}
