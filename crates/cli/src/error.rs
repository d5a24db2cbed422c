//! How a failure reaches the person: one message, its causes, hints, and an exit code.
//!
//! Library crates return structured errors; here, at the edge, each is given its [`Exit`] and the
//! hint that says what to do next.

use std::fmt::Display;
use std::io::Read;
use std::process::ExitStatus;

use counterseal_verify_cli::open_regular;

use crate::output::tell;

/// Exit codes, the same for every verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; everything that was checked holds.
    Success = 0,
    /// Checked, or tried, and false: a failed verification, a differing replay, a failed step.
    Failed = 1,
    /// Usage, configuration, input that cannot be read, a result that cannot be written, or a machine
    /// on which it cannot be tried.
    Usage = 2,
    /// No conclusion: evidence missing, rebuild impossible.
    NoConclusion = 3,
    /// A fault of the program itself.
    Internal = 70,
}

impl Exit {
    /// What a run of this program says by the way it ended.
    pub(crate) fn of(status: ExitStatus) -> Self {
        let codes = [Self::Success, Self::Failed, Self::Usage, Self::NoConclusion];
        codes
            .into_iter()
            .find(|exit| status.code() == Some(*exit as i32))
            .unwrap_or(Self::Internal)
    }
}

/// A failure on its way to the terminal.
#[derive(Debug)]
pub(crate) struct CommandError {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    pub(crate) hints: Vec<String>,
}

impl CommandError {
    pub(crate) fn new(exit: Exit, message: impl Display) -> Self {
        Self {
            exit,
            message: message.to_string(),
            hints: Vec::new(),
        }
    }

    pub(crate) fn usage(message: impl Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(crate) fn hint(mut self, hint: impl Display) -> Self {
        self.hints.push(hint.to_string());
        self
    }

    /// Prints the error and its hints on standard error.
    pub(crate) fn report(&self) {
        let mut text = format!("error: {}\n", self.message.trim_end());
        for hint in &self.hints {
            text.extend(["\nhint: ", hint.trim_end()]);
        }
        tell(text);
    }
}

/// Joins an error with its sources, once each, so that nothing a library said is lost.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        source = cause.source();
    }
    message
}

/// Gives a library's error its exit code.
pub(crate) trait OrExit<T> {
    fn or_exit(self, exit: Exit) -> Result<T, CommandError>;
    fn or_usage(self) -> Result<T, CommandError>;
}

impl<T, E: std::error::Error + 'static> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, CommandError> {
        self.map_err(|error| CommandError::new(exit, chain(&error)))
    }

    fn or_usage(self) -> Result<T, CommandError> {
        self.or_exit(Exit::Usage)
    }
}

/// Reads a regular file of bounded size, with a message that names it. A pipe or a device is
/// refused without waiting for it.
pub(crate) fn read_bounded(
    path: &std::path::Path,
    bytes_max: u64,
) -> Result<Vec<u8>, CommandError> {
    let fail = |error: std::io::Error| {
        CommandError::usage(format!("cannot read {}: {error}", path.display()))
    };
    let Some(file) = open_regular(path).map_err(fail)? else {
        return Err(CommandError::usage(format!(
            "{} is not a regular file",
            path.display()
        )));
    };
    let mut bytes = Vec::new();
    file.take(bytes_max + 1)
        .read_to_end(&mut bytes)
        .map_err(fail)?;
    if bytes.len() as u64 > bytes_max {
        return Err(CommandError::usage(format!(
            "{} is larger than {bytes_max} bytes",
            path.display()
        )));
    }
    Ok(bytes)
}

/// [`read_bounded`] for text.
pub(crate) fn read_text(path: &std::path::Path, bytes_max: u64) -> Result<String, CommandError> {
    String::from_utf8(read_bounded(path, bytes_max)?)
        .map_err(|_| CommandError::usage(format!("{} is not UTF-8 text", path.display())))
}

#[cfg(test)]
mod tests {
    use super::{Exit, read_bounded};

    #[test]
    fn only_regular_files_of_bounded_size_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, b"content").unwrap();
        assert_eq!(read_bounded(&file, 7).unwrap(), b"content");

        let refused = |path: &std::path::Path, reason: &str| {
            let error = read_bounded(path, 6).unwrap_err();
            assert_eq!(error.exit, Exit::Usage);
            assert!(error.message.contains(reason), "{}", error.message);
        };
        refused(&file, "is larger than 6 bytes");
        refused(&directory.path().join("missing"), "cannot read");
        refused(directory.path(), "is not a regular file");
        refused("/dev/zero".as_ref(), "is not a regular file");
        // Nobody writes to this one: opening it the ordinary way would wait for ever.
        let pipe = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        if made.is_ok_and(|status| status.success()) {
            refused(&pipe, "is not a regular file");
        } else {
            println!("skipped: no mkfifo here");
        }
    }
}
