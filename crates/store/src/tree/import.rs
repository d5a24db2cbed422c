//! A directory on disk into the store.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, readlinkat, statat};

use super::{
    DEPTH_MAX, Directory, DirectoryNode, ENTRIES_MAX, FileNode, SymlinkNode, TreeError, check_name,
};
use crate::{Batch, Digest, Store, StoreError};

/// Stores a directory with all that is in it and names its tree.
///
/// The result depends on names, contents, the owner's executable bits and link targets alone: not
/// on the order of the file system, times, owners, other modes. Nothing is left out; links are
/// stored, never followed (`path` itself may be one).
///
/// # Errors
/// [`TreeError::SpecialFile`] and [`TreeError::NotUtf8`] name the offending entry.
pub fn put_tree_from_dir(store: &Store, path: &Path) -> Result<Digest, StoreError> {
    let directory = openat(
        CWD,
        path,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(StoreError::at("open", path))?;
    let batch = store.batch()?;
    let mut importing = Importing {
        batch: &batch,
        shown: path,
        entries_count: 0,
    };
    let digest = importing.directory(directory.as_fd(), "", 0)?;
    batch.commit()?;
    Ok(digest)
}

struct Importing<'a> {
    batch: &'a Batch<'a>,
    /// The imported directory's path, for messages.
    shown: &'a Path,
    entries_count: usize,
}

impl Importing<'_> {
    fn directory(
        &mut self,
        fd: BorrowedFd<'_>,
        path: &str,
        depth: usize,
    ) -> Result<Digest, StoreError> {
        if depth > DEPTH_MAX {
            return Err(TreeError::TooDeep.into());
        }
        let mut directory = Directory::default();
        for raw in self.names(fd, path)? {
            let name = utf8(raw.as_bytes(), path)?;
            check_name(&name)?;
            let below = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}/{name}")
            };
            let full = self.full(&below);
            let stat = statat(fd, &*raw, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(StoreError::at("inspect", &full))?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => {
                    let file = File::from(open(fd, &raw, OFlags::NONBLOCK, &full)?);
                    let metadata = file.metadata().map_err(StoreError::at("inspect", &full))?;
                    if !metadata.is_file() {
                        return Err(TreeError::SpecialFile { path: below }.into());
                    }
                    let digest = self
                        .batch
                        .put_reader(file, Digest::SIZE_BYTES_MAX)
                        .map_err(|error| match error {
                            StoreError::Input { source } => StoreError::io("read", &full, source),
                            other => other,
                        })?;
                    let is_executable = stat.st_mode & 0o100 != 0;
                    directory.files.push(FileNode {
                        name,
                        digest,
                        is_executable,
                    });
                }
                FileType::Directory => {
                    let fd = open(fd, &raw, OFlags::DIRECTORY, &full)?;
                    let digest = self.directory(fd.as_fd(), &below, depth + 1)?;
                    directory.directories.push(DirectoryNode { name, digest });
                }
                FileType::Symlink => {
                    let target =
                        readlinkat(fd, &*raw, Vec::new()).map_err(StoreError::at("read", &full))?;
                    let target = utf8(target.as_bytes(), &below)?;
                    directory.symlinks.push(SymlinkNode { name, target });
                }
                _ => return Err(TreeError::SpecialFile { path: below }.into()),
            }
        }
        self.batch.put_bytes(&directory.encode()?)
    }

    /// The directory's names in ascending order; its descriptor is not needed while they are
    /// worked on.
    fn names(&mut self, fd: BorrowedFd<'_>, path: &str) -> Result<Vec<CString>, StoreError> {
        let full = self.full(path);
        let listing = Dir::read_from(fd).map_err(StoreError::at("list", &full))?;
        let mut names = Vec::new();
        for entry in listing {
            let name = entry
                .map_err(StoreError::at("list", &full))?
                .file_name()
                .to_owned();
            if name.as_bytes() == b"." || name.as_bytes() == b".." {
                continue;
            }
            self.entries_count += 1;
            if self.entries_count > ENTRIES_MAX {
                return Err(TreeError::TooManyEntries.into());
            }
            names.push(name);
        }
        names.sort_unstable();
        Ok(names)
    }

    fn full(&self, path: &str) -> PathBuf {
        if path.is_empty() {
            self.shown.to_path_buf()
        } else {
            self.shown.join(path)
        }
    }
}

fn open(
    fd: BorrowedFd<'_>,
    name: &CString,
    flags: OFlags,
    full: &Path,
) -> Result<OwnedFd, StoreError> {
    let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(fd, &**name, flags, Mode::empty()).map_err(StoreError::at("open", full))
}

fn utf8(bytes: &[u8], path: &str) -> Result<String, StoreError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| {
        let shown = std::ffi::OsStr::from_bytes(bytes)
            .to_string_lossy()
            .into_owned();
        let path = if path.is_empty() {
            shown
        } else {
            format!("{path}/{shown}")
        };
        TreeError::NotUtf8 { path }.into()
    })
}
