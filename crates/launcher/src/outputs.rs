//! Takes what steps left in the scratch space: only what is asked for, checked entry by entry.
//!
//! By the time this runs no process of the steps is alive, and every name is opened below the
//! scratch directory with `RESOLVE_BENEATH` and without following links, so a link that a step
//! planted leads nowhere. Devices, sockets, pipes, set-id bits and links that leave the directory
//! that is taken are refused, not skipped. What is left of a file is its content and whether it
//! can be executed.
//!
//! Absent on purpose: where it goes. An assembly puts it into its store, the launcher into a
//! directory.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use counterseal_artifact::tar_zst::{PackError, Packer};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};

/// Most entries in one directory that is taken.
const ENTRIES_MAX: usize = 1_000_000;
/// Deepest nesting of a directory that is taken.
const DEPTH_MAX: usize = 128;
/// Permission bits that make a program run as somebody else.
const SET_ID: u32 = 0o6000;

/// Why something is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "each field is named in the message of its variant"
)]
pub enum OutputError {
    #[error("{path} was not produced")]
    Missing { path: String },
    #[error("{path} {defect}")]
    Refused { path: String, defect: OutputDefect },
    #[error("{action} {path}: {source}")]
    Io {
        action: &'static str,
        path: String,
        source: io::Error,
    },
}

impl OutputError {
    /// Whether this says nothing about the output.
    pub const fn is_fault(&self) -> bool {
        matches!(self, Self::Io { .. })
    }
}

/// Why something may not leave the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutputDefect {
    /// Neither file nor directory nor symbolic link.
    #[error(
        "is a device, socket or pipe; only files, directories and symbolic links leave the sandbox"
    )]
    Special,
    /// A file where a directory was declared, or the reverse.
    #[error("is not of the declared kind")]
    WrongKind,
    /// Set-user-id, set-group-id.
    #[error("carries a set-user-id or set-group-id bit")]
    SetId,
    /// A link that leads out of the directory that is taken.
    #[error("is a symbolic link that leads out of the output directory")]
    EscapingLink,
    /// A name that is not UTF-8.
    #[error("has a name that is not UTF-8")]
    Name,
    /// More entries or levels than are packed.
    #[error("has more entries or levels than are packed")]
    TooLarge,
}

/// A file, open for reading.
#[derive(Debug)]
pub struct LeftFile {
    /// At its beginning.
    pub file: File,
    /// Its length, in bytes.
    pub size_bytes: u64,
    /// Whether anybody can execute it.
    pub executable: bool,
}

/// A directory with all that is in it.
#[derive(Debug)]
pub struct LeftTree {
    top: OwnedFd,
    path: String,
    entries: Vec<(String, LeftKind)>,
}

/// What stands at a path of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftKind {
    /// A directory; its entries follow.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link that stays inside.
    Symlink {
        /// Where it leads, as the step wrote it.
        target: String,
    },
}

/// Opens the file at `path` below `scratch`.
///
/// # Errors
/// It is not there, or nothing that may leave the sandbox.
pub fn open_file(scratch: BorrowedFd<'_>, path: &str) -> Result<LeftFile, OutputError> {
    let (file, stat) = open(scratch, path, path)?;
    left_file(file, &stat, path)
}

/// Opens the directory at `path` below `scratch` and looks at everything in it.
///
/// # Errors
/// It is not there, or something in it may not leave the sandbox.
pub fn open_tree(scratch: BorrowedFd<'_>, path: &str) -> Result<LeftTree, OutputError> {
    let (top, stat) = open(scratch, path, path)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(refused(path, OutputDefect::WrongKind));
    }
    let mut tree = LeftTree {
        top,
        path: path.to_owned(),
        entries: Vec::new(),
    };
    let mut entries = Vec::new();
    walk(tree.top.as_fd(), "", 0, &mut entries)?;
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    tree.entries = entries;
    Ok(tree)
}

impl LeftTree {
    /// Paths in the directory and what they are, sorted by bytes: a directory comes before what is
    /// in it.
    pub fn entries(&self) -> &[(String, LeftKind)] {
        &self.entries
    }

    /// Opens one of its files.
    ///
    /// # Errors
    /// As [`open_file`].
    pub fn open(&self, path: &str) -> Result<LeftFile, OutputError> {
        let (file, stat) = open(self.top.as_fd(), path, path)?;
        left_file(file, &stat, path)
    }

    /// Packs it into `out` as an assembly does: paths, types, contents and the executable bit;
    /// times are `epoch`, owners 0.
    ///
    /// # Errors
    /// As [`open_file`]; names that an archive cannot hold; whatever writing reports.
    pub fn pack(&self, epoch: u64, out: File) -> Result<File, OutputError> {
        let failed = |error: PackError| io_error("pack", &self.path, io::Error::other(error));
        let mut packer = Packer::new(out, epoch).map_err(failed)?;
        for (path, kind) in &self.entries {
            match kind {
                LeftKind::Directory => packer.directory(path),
                LeftKind::Symlink { target } => packer.symlink(path, target),
                LeftKind::File => {
                    let left = self.open(path)?;
                    packer.file(path, left.size_bytes, left.executable, left.file)
                }
            }
            .map_err(failed)?;
        }
        packer.finish().map_err(failed)
    }
}

fn left_file(file: OwnedFd, stat: &rustix::fs::Stat, path: &str) -> Result<LeftFile, OutputError> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(refused(path, OutputDefect::WrongKind));
    }
    Ok(LeftFile {
        file: File::from(file),
        size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
        executable: stat.st_mode & 0o111 != 0,
    })
}

fn walk(
    directory: BorrowedFd<'_>,
    prefix: &str,
    depth: usize,
    entries: &mut Vec<(String, LeftKind)>,
) -> Result<(), OutputError> {
    let listing = rustix::fs::Dir::read_from(directory)
        .map_err(|errno| io_error("list", prefix, errno.into()))?;
    for entry in listing {
        let entry = entry.map_err(|errno| io_error("list", prefix, errno.into()))?;
        if matches!(entry.file_name().to_bytes(), b"." | b"..") {
            continue;
        }
        let Ok(name) = entry.file_name().to_str() else {
            return Err(refused(prefix, OutputDefect::Name));
        };
        let path = if prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{prefix}/{name}")
        };
        if entries.len() >= ENTRIES_MAX || depth >= DEPTH_MAX {
            return Err(refused(&path, OutputDefect::TooLarge));
        }
        look_at(directory, name, path, depth, entries)?;
    }
    Ok(())
}

fn look_at(
    directory: BorrowedFd<'_>,
    name: &str,
    path: String,
    depth: usize,
    entries: &mut Vec<(String, LeftKind)>,
) -> Result<(), OutputError> {
    let stat = rustix::fs::statat(directory, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|errno| io_error("examine", &path, errno.into()))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(directory, name, Vec::new())
                .map_err(|errno| io_error("read link", &path, errno.into()))?;
            let Ok(target) = target.into_string() else {
                return Err(refused(&path, OutputDefect::Name));
            };
            if leaves(&path, &target) {
                return Err(refused(&path, OutputDefect::EscapingLink));
            }
            entries.push((path, LeftKind::Symlink { target }));
        }
        FileType::Directory => {
            let (inner, _) = open(directory, name, &path)?;
            entries.push((path.clone(), LeftKind::Directory));
            walk(inner.as_fd(), &path, depth + 1, entries)?;
        }
        FileType::RegularFile => {
            // Opened here to be refused early, and again when its turn comes: descriptors
            // are few.
            open(directory, name, &path)?;
            entries.push((path, LeftKind::File));
        }
        _ => return Err(refused(&path, OutputDefect::Special)),
    }
    Ok(())
}

fn open(
    directory: BorrowedFd<'_>,
    name: &str,
    path: &str,
) -> Result<(OwnedFd, rustix::fs::Stat), OutputError> {
    let opened = rustix::fs::openat2(
        directory,
        name,
        // Opening a pipe without this would wait for a writer that will never come.
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH
            | ResolveFlags::NO_SYMLINKS
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_XDEV,
    );
    let file = match opened {
        Ok(file) => file,
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {
            return Err(OutputError::Missing {
                path: path.to_owned(),
            });
        }
        Err(rustix::io::Errno::LOOP) => return Err(refused(path, OutputDefect::EscapingLink)),
        Err(rustix::io::Errno::NXIO) => return Err(refused(path, OutputDefect::Special)),
        Err(errno) => return Err(io_error("open", path, errno.into())),
    };
    let stat = rustix::fs::fstat(&file).map_err(|errno| io_error("examine", path, errno.into()))?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    if !matches!(kind, FileType::RegularFile | FileType::Directory) {
        return Err(refused(path, OutputDefect::Special));
    }
    // tmpfs directories inherit set-group-id only when a step set it: refused all the same.
    if stat.st_mode & SET_ID != 0 {
        return Err(refused(path, OutputDefect::SetId));
    }
    Ok((file, stat))
}

fn refused(path: &str, defect: OutputDefect) -> OutputError {
    OutputError::Refused {
        path: path.to_owned(),
        defect,
    }
}

fn io_error(action: &'static str, path: &str, source: io::Error) -> OutputError {
    OutputError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// Whether a link at `path` (relative to the directory that is taken) may lead out of that
/// directory.
///
/// `..` is taken only at the front: after a name it could climb from wherever that name, itself
/// perhaps a link, leads.
fn leaves(path: &str, target: &str) -> bool {
    if target.starts_with('/') || target.is_empty() {
        return true;
    }
    // Depth of the directory that holds the link.
    let mut depth = path.matches('/').count();
    let mut descended = false;
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if depth == 0 || descended => return true,
            ".." => depth -= 1,
            _ => descended = true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::leaves;

    #[test]
    fn links_inside_stay() {
        for (path, target) in [
            ("a", "b"),
            ("a/b", "../c"),
            ("a/b/c", "../../d/./e"),
            ("a", "./b"),
        ] {
            assert!(!leaves(path, target), "{path} -> {target}");
        }
    }

    #[test]
    fn links_outside_leave() {
        for (path, target) in [
            ("a", "/etc"),
            ("a", ".."),
            ("a/b", "../../c"),
            ("a", "b/../c"),
            ("a", ""),
        ] {
            assert!(leaves(path, target), "{path} -> {target}");
        }
    }
}
