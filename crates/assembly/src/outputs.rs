//! What leaves the sandbox: only declared outputs, checked entry by entry.
//!
//! By the time this runs no process of the step is alive, and every name is opened below the
//! scratch directory with `RESOLVE_BENEATH` and without following links, so a link that the step
//! planted leads nowhere. Devices, sockets, pipes, set-id bits and links that leave the packed
//! directory are refused, not skipped. Packed archives hold paths, types, content and the
//! executable bit; times become the recipe's epoch, owners 0.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use counterseal_artifact::tar_zst::{PackError, Packer};
use counterseal_store::{Digest, Store};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use serde::{Deserialize, Serialize};

use crate::error::{AssemblyError, OutputDefect};
use crate::recipe::{Output, OutputKind};

/// Most entries in one packed directory.
const ENTRIES_MAX: usize = 1_000_000;
/// Deepest nesting of a packed directory.
const DEPTH_MAX: usize = 128;
/// Where `/build` lies in the scratch directory that the sandbox hands out.
const BUILD: &str = "build";
/// Permission bits that make a program run as somebody else.
const SET_ID: u32 = 0o6000;

/// One finished artifact, in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finished {
    /// File name, from the recipe.
    pub name: String,
    /// Content.
    pub digest: Digest,
    /// Whether the file is executable.
    pub executable: bool,
}

/// Takes one declared output out of the scratch directory into the store.
///
/// # Errors
/// [`AssemblyError::OutputMissing`] or [`AssemblyError::OutputRefused`] with the path at fault.
pub(crate) fn collect(
    output: &Output,
    scratch: BorrowedFd<'_>,
    epoch: u64,
    store: &Store,
) -> Result<Finished, AssemblyError> {
    let collector = Collector { output, scratch };
    let (digest, executable) = match output.kind {
        OutputKind::File => collector.file(store)?,
        OutputKind::TarZst => (collector.archive(epoch, store)?, false),
    };
    Ok(Finished {
        name: output.name.clone(),
        digest,
        executable,
    })
}

/// What stands at a path of a packed directory.
enum Kind {
    Directory,
    File,
    Symlink { target: String },
}

struct Collector<'a> {
    output: &'a Output,
    scratch: BorrowedFd<'a>,
}

impl Collector<'_> {
    fn file(&self, store: &Store) -> Result<(Digest, bool), AssemblyError> {
        let path = self.output.path.clone();
        let (file, stat) = self.open(self.scratch, &below_build(&path), &path)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(self.refused(&path, OutputDefect::WrongKind));
        }
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let digest = store.put_reader(&mut File::from(file), size)?;
        Ok((digest, stat.st_mode & 0o111 != 0))
    }

    fn archive(&self, epoch: u64, store: &Store) -> Result<Digest, AssemblyError> {
        let path = self.output.path.clone();
        let (top, stat) = self.open(self.scratch, &below_build(&path), &path)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return Err(self.refused(&path, OutputDefect::WrongKind));
        }
        let mut entries = Vec::new();
        self.walk(top.as_fd(), "", 0, &mut entries)?;
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        let out = tempfile::tempfile().map_err(|source| self.io("pack", &path, source))?;
        let mut packed = self.pack(top.as_fd(), &entries, epoch, out)?;
        let size = packed
            .metadata()
            .map_err(|source| self.io("pack", &path, source))?
            .len();
        io::Seek::rewind(&mut packed).map_err(|source| self.io("pack", &path, source))?;
        Ok(store.put_reader(&mut packed, size)?)
    }

    fn walk(
        &self,
        directory: BorrowedFd<'_>,
        prefix: &str,
        depth: usize,
        entries: &mut Vec<(String, Kind)>,
    ) -> Result<(), AssemblyError> {
        let listing = rustix::fs::Dir::read_from(directory)
            .map_err(|errno| self.io("list", prefix, errno.into()))?;
        for entry in listing {
            let entry = entry.map_err(|errno| self.io("list", prefix, errno.into()))?;
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            let Ok(name) = entry.file_name().to_str() else {
                return Err(self.refused(prefix, OutputDefect::Name));
            };
            let path = if prefix.is_empty() {
                name.to_owned()
            } else {
                format!("{prefix}/{name}")
            };
            if entries.len() >= ENTRIES_MAX || depth >= DEPTH_MAX {
                return Err(self.refused(&path, OutputDefect::TooLarge));
            }
            self.entry(directory, name, path, depth, entries)?;
        }
        Ok(())
    }

    fn entry(
        &self,
        directory: BorrowedFd<'_>,
        name: &str,
        path: String,
        depth: usize,
        entries: &mut Vec<(String, Kind)>,
    ) -> Result<(), AssemblyError> {
        let stat = rustix::fs::statat(directory, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| self.io("examine", &path, errno.into()))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(directory, name, Vec::new())
                    .map_err(|errno| self.io("read link", &path, errno.into()))?;
                let Ok(target) = target.into_string() else {
                    return Err(self.refused(&path, OutputDefect::Name));
                };
                if leaves(&path, &target) {
                    return Err(self.refused(&path, OutputDefect::EscapingLink));
                }
                entries.push((path, Kind::Symlink { target }));
            }
            FileType::Directory => {
                let (inner, _) = self.open(directory, name, &path)?;
                entries.push((path.clone(), Kind::Directory));
                self.walk(inner.as_fd(), &path, depth + 1, entries)?;
            }
            FileType::RegularFile => {
                // Opened here to be refused early, and again when its turn comes: descriptors
                // are few.
                self.open(directory, name, &path)?;
                entries.push((path, Kind::File));
            }
            _ => return Err(self.refused(&path, OutputDefect::Special)),
        }
        Ok(())
    }

    fn pack(
        &self,
        top: BorrowedFd<'_>,
        entries: &[(String, Kind)],
        epoch: u64,
        out: File,
    ) -> Result<File, AssemblyError> {
        let failed = |error: PackError| self.io("pack", &self.output.path, io::Error::other(error));
        let mut packer = Packer::new(out, epoch).map_err(failed)?;
        for (path, kind) in entries {
            match kind {
                Kind::Directory => packer.directory(path),
                Kind::Symlink { target } => packer.symlink(path, target),
                Kind::File => {
                    let (file, stat) = self.open(top, path, path)?;
                    let size_bytes = u64::try_from(stat.st_size).unwrap_or(0);
                    let executable = stat.st_mode & 0o111 != 0;
                    packer.file(path, size_bytes, executable, File::from(file))
                }
            }
            .map_err(failed)?;
        }
        packer.finish().map_err(failed)
    }

    fn open(
        &self,
        directory: BorrowedFd<'_>,
        name: &str,
        path: &str,
    ) -> Result<(OwnedFd, rustix::fs::Stat), AssemblyError> {
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
                return Err(AssemblyError::OutputMissing {
                    output: self.output.name.clone(),
                    path: path.to_owned(),
                });
            }
            Err(rustix::io::Errno::LOOP) => {
                return Err(self.refused(path, OutputDefect::EscapingLink));
            }
            Err(rustix::io::Errno::NXIO) => return Err(self.refused(path, OutputDefect::Special)),
            Err(errno) => return Err(self.io("open", path, errno.into())),
        };
        let stat =
            rustix::fs::fstat(&file).map_err(|errno| self.io("examine", path, errno.into()))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if !matches!(kind, FileType::RegularFile | FileType::Directory) {
            return Err(self.refused(path, OutputDefect::Special));
        }
        // tmpfs directories inherit set-group-id only when a step set it: refused all the same.
        if stat.st_mode & SET_ID != 0 {
            return Err(self.refused(path, OutputDefect::SetId));
        }
        Ok((file, stat))
    }

    fn refused(&self, path: &str, defect: OutputDefect) -> AssemblyError {
        AssemblyError::OutputRefused {
            output: self.output.name.clone(),
            path: path.to_owned(),
            defect,
        }
    }

    fn io(&self, action: &'static str, path: &str, source: io::Error) -> AssemblyError {
        AssemblyError::Io {
            action,
            path: format!("output {}: {path}", self.output.name),
            source,
        }
    }
}

/// A declared path as the scratch directory knows it.
fn below_build(path: &str) -> String {
    format!("{BUILD}/{path}")
}

/// Whether a link at `path` (relative to the packed directory) may lead out of that directory.
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
