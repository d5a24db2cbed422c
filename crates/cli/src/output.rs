//! What this program leaves behind: files, complete or absent, and text that is fit to print.

use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use counterseal_verify::clean;

use crate::error::CommandError;

/// What temporary files are called, so that whoever finds one after a crash knows whose it is.
const TEMPORARY_PREFIX: &str = ".counterseal-";

/// Writes a file through a temporary one beside it: after a crash or on a full disk the old
/// content is still there.
pub(crate) fn replace(
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&mut std::fs::File) -> std::io::Result<()>,
) -> Result<(), CommandError> {
    let fail = |error: std::io::Error| {
        CommandError::usage(format!("cannot write {}: {error}", path.display()))
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut temporary = tempfile::Builder::new()
        .prefix(TEMPORARY_PREFIX)
        .tempfile_in(directory)
        .map_err(fail)?;
    fill(temporary.as_file_mut()).map_err(fail)?;
    temporary
        .as_file()
        .set_permissions(std::fs::Permissions::from_mode(mode))
        .map_err(fail)?;
    temporary.as_file().sync_all().map_err(fail)?;
    temporary.persist(path).map_err(|error| fail(error.error))?;
    std::fs::File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(fail)
}

/// [`replace`] with bytes, readable for everyone.
pub(crate) fn replace_bytes(path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    replace(path, 0o644, |file| file.write_all(bytes))
}

/// Makes a directory and its parents.
pub(crate) fn directory(path: &Path) -> Result<(), CommandError> {
    std::fs::create_dir_all(path)
        .map_err(|error| CommandError::usage(format!("cannot create {}: {error}", path.display())))
}

/// Prints a line of the result, as [`bytes`] does.
pub(crate) fn result(line: impl std::fmt::Display) {
    bytes(format!("{line}\n").as_bytes());
}

/// Prints a part of the result. A reader that has gone away is no failure; a result that is lost
/// in any other way ends the program: every verb prints when its work is done and kept.
pub(crate) fn bytes(part: &[u8]) {
    if let Err(error) = write_part(&mut io::stdout(), part) {
        let error = CommandError::usage(format!("cannot write the result: {error}"))
            .hint("what was to be done is done; only what this program prints was lost");
        error.report();
        std::process::exit(error.exit as i32);
    }
}

fn write_part(out: &mut dyn Write, part: &[u8]) -> io::Result<()> {
    match out.write_all(part).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// [`result`] for people, of text that may quote strangers.
pub(crate) fn text(line: impl std::fmt::Display) {
    result(fit_to_print(&line.to_string()));
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
    use super::{LINE_CHARS_MAX, fit_to_print, write_part};

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

    #[test]
    fn a_lost_result_is_known_and_a_reader_that_left_is_not_missed() {
        let mut kept = Vec::new();
        write_part(&mut kept, b"result\n").unwrap();
        assert_eq!(kept, b"result\n");
        let (reader, mut writer) = std::io::pipe().unwrap();
        drop(reader);
        write_part(&mut writer, b"result\n").unwrap();
        match std::fs::File::options().write(true).open("/dev/full") {
            Ok(mut full) => assert!(write_part(&mut full, b"result\n").is_err()),
            Err(_) => println!("skipped: this system has no /dev/full"),
        }
    }
}
