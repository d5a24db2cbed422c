//! Files that this program leaves behind: complete or absent.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::error::CommandError;

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
    let mut temporary = tempfile::NamedTempFile::new_in(directory).map_err(fail)?;
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

/// Prints a line of the result; a reader that has gone away is no failure.
pub(crate) fn result(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
