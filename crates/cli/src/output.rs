//! What this program leaves behind: files, complete or absent, and text that is fit to print.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use counterseal_store::{Draft, remove_abandoned_drafts};
use counterseal_verify::clean;

use crate::error::CommandError;

/// Writes a file through a draft beside it: after a crash or on a full disk the old content is
/// still there.
pub(crate) fn replace(
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&mut std::fs::File) -> std::io::Result<()>,
) -> Result<(), CommandError> {
    let fail = |error: std::io::Error| {
        CommandError::usage(format!("cannot write {}: {error}", path.display()))
    };
    let directory = folder(path);
    remove_abandoned_drafts(directory);
    let mut draft = Draft::begin(directory).map_err(fail)?;
    fill(draft.file_mut()).map_err(fail)?;
    draft.finish(path, mode).map_err(fail)?;
    std::fs::File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(fail)
}

/// [`replace`] with bytes, readable for everyone.
pub(crate) fn replace_bytes(path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    replace(path, 0o644, |file| file.write_all(bytes))
}

/// The directory that a file is in.
pub(crate) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes a directory and its parents.
pub(crate) fn directory(path: &Path) -> Result<(), CommandError> {
    std::fs::create_dir_all(path)
        .map_err(|error| CommandError::usage(format!("cannot create {}: {error}", path.display())))
}

/// [`directory`], and says early if nothing can be written there.
pub(crate) fn writable_directory(path: &Path) -> Result<(), CommandError> {
    directory(path)?;
    tempfile::tempfile_in(path).map(drop).map_err(|error| {
        CommandError::usage(format!("cannot write in {}: {error}", path.display()))
    })
}

/// Prints a line of the result, as [`bytes`] does.
pub(crate) fn result(line: impl Display) -> Result<(), CommandError> {
    bytes(format!("{line}\n").as_bytes())
}

/// [`result`] for people, of text that may quote strangers.
pub(crate) fn text(line: impl Display) -> Result<(), CommandError> {
    result(fit_to_print(&line.to_string()))
}

/// Prints a part of the result.
pub(crate) fn bytes(part: &[u8]) -> Result<(), CommandError> {
    printed(io::stdout().write_all(part))
}

/// What became of a result. A reader that has gone away is no failure; one that is lost in any
/// other way is, although every verb prints when its work is done and kept.
///
/// Standard output that is closed counts as one that is not wanted: before `main` the runtime opens
/// the null device in its place, in the very way in which other programs (Python, Node) open it for
/// a child whose output they throw away, so that nothing tells the two apart.
pub(crate) fn printed(written: io::Result<()>) -> Result<(), CommandError> {
    match written.and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(CommandError::usage(format!(
            "cannot write the result: {error}"
        ))
        .hint("what was to be done is done; only what this program prints was lost")),
        _ => Ok(()),
    }
}

/// Tells a part of the story, on standard error. Where that is gone there is nobody to tell, and
/// the work goes on.
pub(crate) fn tell(line: impl Display) {
    let line = fit_to_print(&line.to_string());
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// How long somebody else is waited for without a word.
const PATIENCE: Duration = Duration::from_secs(1);

/// A wait that is told of when it has become long, if it is not over by then: dropped, it is.
pub(crate) struct Wait {
    /// Nothing is ever sent: that it is gone tells the thread.
    _over: Sender<()>,
}

impl Wait {
    /// `what` says what is waited for, and why.
    pub(crate) fn begin(what: String) -> Self {
        let (over, end) = mpsc::channel();
        let alarm = move || {
            if end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                tell(format!("waiting for {what}"));
            }
        };
        // Without a thread the wait is a silent one.
        let _ = thread::Builder::new().spawn(alarm);
        Self { _over: over }
    }
}

/// Longest line of a message that is printed, in characters.
const LINE_CHARS_MAX: usize = 1000;

/// Text may quote what strangers wrote (a line of a recipe, the output of a step, a statement):
/// whatever it quotes, it does not drive the terminal and does not flood it.
pub(crate) fn fit_to_print(message: &str) -> String {
    let mut out = String::new();
    for (index, line) in message.trim_end().lines().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        for (count, character) in line.chars().enumerate() {
            if count == LINE_CHARS_MAX {
                out.push('…');
                break;
            }
            match character {
                '\t' => out.push(' '),
                _ => out.push_str(&clean(character.encode_utf8(&mut [0; 4]))),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{LINE_CHARS_MAX, fit_to_print};

    #[test]
    fn messages_neither_drive_nor_flood_the_terminal() {
        for (message, printed) in [
            ("line one\nline two\n\n", "line one\nline two"),
            ("1 | x = \"\u{1b}[2J\"", "1 | x = \"\\u{1b}[2J\""),
            ("a\tb\r\nc\u{202e}d", "a b\nc\\u{202e}d"),
        ] {
            assert_eq!(fit_to_print(message), printed);
        }
        let long = fit_to_print(&"[".repeat(1 << 20));
        assert_eq!(long.chars().count(), LINE_CHARS_MAX + 1);
    }
}
