//! The files of `rulec`: finding sources, bounded reading, whole writing.
//!
//! Deliberately absent: following symbolic links among the sources. A rule database is a tree of
//! plain files; a link could lead to what the reviewer did not see.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Deepest folder below the given one.
const DEPTH_MAX: usize = 16;
/// Most source files.
const FILES_MAX: usize = 100_000;

/// Why a file or folder could not be used.
#[derive(Debug, Error)]
pub(crate) enum FileError {
    /// The system refused.
    #[error("cannot {action} {}: {cause}", .path.display())]
    System {
        action: &'static str,
        path: PathBuf,
        cause: io::Error,
    },
    /// A link or a special file among the sources.
    #[error("{} is neither a plain file nor a folder", .path.display())]
    Special { path: PathBuf },
    /// A name that a place in a message could not show.
    #[error("the name {} is not plain UTF-8", .path.display())]
    Name { path: PathBuf },
    /// Larger than the caller takes.
    #[error("{} is too large: at most {max_bytes} bytes", .path.display())]
    TooLarge { path: PathBuf, max_bytes: usize },
    /// More files or folders than the bounds allow.
    #[error("{} is too large a tree: at most {FILES_MAX} files, {DEPTH_MAX} folders deep", .path.display())]
    TooMany { path: PathBuf },
}

/// The names of all `*.rule` files below `folder`, relative to it and sorted.
pub(crate) fn rule_files(folder: &Path) -> Result<Vec<String>, FileError> {
    let mut names = Vec::new();
    collect(folder, "", 0, &mut names)?;
    names.sort();
    Ok(names)
}

fn collect(
    folder: &Path,
    prefix: &str,
    depth: usize,
    names: &mut Vec<String>,
) -> Result<(), FileError> {
    let failed = |cause| FileError::System {
        action: "list",
        path: folder.to_owned(),
        cause,
    };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(failed)?);
        let name = entry.file_name().into_string().ok();
        let Some(name) = name.filter(|name| !name.contains(char::is_control)) else {
            return Err(FileError::Name { path });
        };
        let name = format!("{prefix}{name}");
        if kind.is_dir() {
            if depth == DEPTH_MAX {
                return Err(FileError::TooMany { path });
            }
            collect(&path, &format!("{name}/"), depth + 1, names)?;
        } else if !kind.is_file() {
            return Err(FileError::Special { path });
        } else if path
            .extension()
            .is_some_and(|extension| extension == "rule")
        {
            if names.len() == FILES_MAX {
                return Err(FileError::TooMany { path });
            }
            names.push(name);
        }
    }
    Ok(())
}

/// The contents of a file of at most `max_bytes`.
pub(crate) fn read(path: &Path, max_bytes: usize) -> Result<Vec<u8>, FileError> {
    let failed = |cause| FileError::System {
        action: "read",
        path: path.to_owned(),
        cause,
    };
    let file = File::open(path).map_err(failed)?;
    let mut contents = Vec::new();
    file.take(max_bytes as u64 + 1)
        .read_to_end(&mut contents)
        .map_err(failed)?;
    if contents.len() > max_bytes {
        return Err(FileError::TooLarge {
            path: path.to_owned(),
            max_bytes,
        });
    }
    Ok(contents)
}

/// Writes a file so that its name never stands for half of it.
pub(crate) fn write(path: &Path, contents: &[u8]) -> Result<(), FileError> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let failed = |cause| FileError::System {
        action: "write",
        path: path.to_owned(),
        cause,
    };
    let written = File::create(&partial)
        .and_then(|mut file| file.write_all(contents).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&partial, path));
    if written.is_err() {
        // The first error is the one to report; the remainder may well be gone.
        let _ = fs::remove_file(&partial);
    }
    written.map_err(failed)
}
