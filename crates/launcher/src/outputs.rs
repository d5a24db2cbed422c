//! Takes what steps left in the scratch space: only what is asked for, checked entry by entry.
//!
//! By the time this runs no process of the steps is alive, and every name is opened below the
//! scratch directory with `RESOLVE_BENEATH` and without following links, so a link that a step
//! planted leads nowhere. Devices, sockets, pipes, set-id bits, links that leave the directory that
//! is taken, and what its owner could not read are refused, not skipped. What is left of a file is
//! its content and whether it can be executed. One output is never longer than the scratch space,
//! whatever its files claim.
//!
//! Absent on purpose: where it goes. An assembly puts it into its store, the launcher into a
//! directory.

mod beneath;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use counterseal_artifact::tar_zst::{PackError, Packer};
use rustix::fs::FileType;

use beneath::{examine, open, open_declared};

/// Most entries in one directory that is taken.
const ENTRIES_MAX: usize = 1_000_000;
/// Deepest nesting of a directory that is taken.
const DEPTH_MAX: usize = 128;
/// Longest path in a directory that is taken, in bytes: the most that one system call can name
/// (`PATH_MAX` without the zero byte).
const PATH_BYTES_MAX: usize = 4095;
/// Most bytes of all paths and link targets in a directory that is taken: they are held in memory,
/// and a short name far down is a long path.
const PATHS_BYTES_MAX: usize = 256 << 20;

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
    /// A link in the place of what was declared, or one that leads out of the directory that is taken.
    #[error(
        "is a symbolic link that leads out of the output directory, or stands in the output's place"
    )]
    EscapingLink,
    /// A name, or a link's target, that is not UTF-8.
    #[error("has a name or a link's target that is not UTF-8")]
    Name,
    /// More entries, levels or bytes of paths than are packed.
    #[error("has more entries or levels than are packed, or longer paths")]
    TooLarge,
    /// Longer than the scratch space could hold if every byte were there.
    #[error(
        "is longer than the whole scratch space, as only files with holes or with several names \
         can be"
    )]
    TooLong,
    /// A path that no system call can name.
    #[error("lies under a path of more than 4095 bytes")]
    LongPath,
    /// Its owner may not read it.
    #[error("cannot be read by its owner")]
    Unreadable,
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

/// Opens the file at `path` below `scratch`, the top of the scratch space.
///
/// # Errors
/// It is not there, or nothing that may leave the sandbox.
pub fn open_file(scratch: BorrowedFd<'_>, path: &str) -> Result<LeftFile, OutputError> {
    let (file, stat) = open_declared(scratch, path)?;
    Room::of(scratch, path)?.take(&stat, path)?;
    left_file(file, &stat, path)
}

/// Opens the directory at `path` below `scratch`, the top of the scratch space, and looks at
/// everything in it.
///
/// # Errors
/// It is not there, or something in it may not leave the sandbox.
pub fn open_tree(scratch: BorrowedFd<'_>, path: &str) -> Result<LeftTree, OutputError> {
    open_tree_within(scratch, path, PATHS_BYTES_MAX)
}

fn open_tree_within(
    scratch: BorrowedFd<'_>,
    path: &str,
    paths_bytes_max: usize,
) -> Result<LeftTree, OutputError> {
    let (top, stat) = open_declared(scratch, path)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(refused(path, OutputDefect::WrongKind));
    }
    let mut walk = Walk {
        entries: Vec::new(),
        left_bytes: paths_bytes_max,
        room: Room::of(scratch, path)?,
    };
    walk.directory(top.as_fd(), "", 0)?;
    let mut entries = walk.entries;
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(LeftTree {
        top,
        path: path.to_owned(),
        entries,
    })
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
        size_bytes: size_bytes(stat),
        executable: stat.st_mode & 0o111 != 0,
    })
}

/// How much may still be taken. A step can write no more than the scratch space holds, but a file
/// with holes, or one with many names, claims more than was ever written, and whoever takes it
/// would have to find that space.
struct Room {
    left_bytes: u64,
}

impl Room {
    fn of(scratch: BorrowedFd<'_>, path: &str) -> Result<Self, OutputError> {
        let space = rustix::fs::fstatvfs(scratch)
            .map_err(|errno| io_error("measure the space of", path, errno.into()))?;
        Ok(Self {
            left_bytes: space.f_blocks.saturating_mul(space.f_frsize),
        })
    }

    fn take(&mut self, stat: &rustix::fs::Stat, path: &str) -> Result<(), OutputError> {
        let left = self.left_bytes.checked_sub(size_bytes(stat));
        self.left_bytes = left.ok_or_else(|| refused(path, OutputDefect::TooLong))?;
        Ok(())
    }
}

/// A look at everything in a directory.
struct Walk {
    entries: Vec<(String, LeftKind)>,
    /// What paths and link targets may still take.
    left_bytes: usize,
    room: Room,
}

impl Walk {
    fn directory(
        &mut self,
        directory: BorrowedFd<'_>,
        prefix: &str,
        depth: usize,
    ) -> Result<(), OutputError> {
        let listing = rustix::fs::Dir::read_from(directory)
            .map_err(|errno| io_error("list", prefix, errno.into()))?;
        for entry in listing {
            let entry = entry.map_err(|errno| io_error("list", prefix, errno.into()))?;
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            let below = |name: &dyn std::fmt::Display| match prefix {
                "" => name.to_string(),
                _ => format!("{prefix}/{name}"),
            };
            let Ok(name) = entry.file_name().to_str() else {
                let shown = entry.file_name().to_bytes().escape_ascii();
                return Err(refused(&below(&shown), OutputDefect::Name));
            };
            let path = below(&name);
            if self.entries.len() >= ENTRIES_MAX || depth >= DEPTH_MAX {
                return Err(refused(&path, OutputDefect::TooLarge));
            }
            if path.len() > PATH_BYTES_MAX {
                return Err(refused(prefix, OutputDefect::LongPath));
            }
            self.hold(path.len(), &path)?;
            self.look_at(directory, name, path, depth)?;
        }
        Ok(())
    }

    fn hold(&mut self, bytes: usize, path: &str) -> Result<(), OutputError> {
        let left = self.left_bytes.checked_sub(bytes);
        self.left_bytes = left.ok_or_else(|| refused(path, OutputDefect::TooLarge))?;
        Ok(())
    }

    fn look_at(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &str,
        path: String,
        depth: usize,
    ) -> Result<(), OutputError> {
        let stat = examine(directory, name, &path)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(directory, name, Vec::new())
                    .map_err(|errno| io_error("read link", &path, errno.into()))?;
                let Ok(target) = target.into_string() else {
                    return Err(refused(&path, OutputDefect::Name));
                };
                self.hold(target.len(), &path)?;
                if leaves(&path, &target) {
                    return Err(refused(&path, OutputDefect::EscapingLink));
                }
                self.entries.push((path, LeftKind::Symlink { target }));
            }
            FileType::Directory => {
                let (inner, _) = open(directory, name, &path)?;
                self.entries.push((path.clone(), LeftKind::Directory));
                self.directory(inner.as_fd(), &path, depth + 1)?;
            }
            FileType::RegularFile => {
                // Opened here to be refused early, and again when its turn comes: descriptors
                // are few.
                let (_, stat) = open(directory, name, &path)?;
                self.room.take(&stat, &path)?;
                self.entries.push((path, LeftKind::File));
            }
            _ => return Err(refused(&path, OutputDefect::Special)),
        }
        Ok(())
    }
}

fn missing(path: &str) -> OutputError {
    OutputError::Missing {
        path: path.to_owned(),
    }
}

fn size_bytes(stat: &rustix::fs::Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

fn refused(path: &str, defect: OutputDefect) -> OutputError {
    OutputError::Refused {
        path: shortened(path),
        defect,
    }
}

/// A path of which the end is as good as the whole, for a message that says more than the path.
fn shortened(path: &str) -> String {
    const CHARACTERS_MAX: usize = 200;
    let start = path.char_indices().rev().nth(CHARACTERS_MAX - 1);
    match start {
        Some((at, _)) if at > 0 => format!("…{}", path.get(at..).unwrap_or_default()),
        _ => path.to_owned(),
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
    use std::os::fd::AsFd;

    use super::{OutputDefect, OutputError, leaves, open_tree_within, shortened};

    #[test]
    fn all_paths_of_a_directory_have_a_bound() {
        let scratch = tempfile::tempdir().unwrap();
        let out = scratch.path().join("out");
        std::fs::create_dir_all(out.join("a/b")).unwrap();
        std::os::unix::fs::symlink("12345", out.join("a/l")).unwrap();
        let top = std::fs::File::open(scratch.path()).unwrap();
        // `a`, `a/b`, `a/l` and the target.
        let taken = open_tree_within(top.as_fd(), "out", 12).unwrap();
        assert_eq!(taken.entries().len(), 3);
        let refused = open_tree_within(top.as_fd(), "out", 11).unwrap_err();
        let OutputError::Refused { defect, .. } = refused else {
            panic!("{refused}")
        };
        assert_eq!(defect, OutputDefect::TooLarge);
    }

    #[test]
    fn messages_name_the_end_of_long_paths() {
        assert_eq!(shortened("a/b"), "a/b");
        let just = "ü".repeat(200);
        assert_eq!(shortened(&just), just);
        assert_eq!(shortened(&format!("a{just}")), format!("…{just}"));
    }

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
