//! Storage in a directory of a POSIX file system.
//!
//! Relies on atomic `rename`, on `fsync` of files and directories, and on
//! `flock`. Network file systems that weaken one of these are not supported.
//!
//! What is published can be read by everybody, whatever the appender's file mode creation mask: a
//! web server is somebody else, and customers check what it serves. The mask says who else may
//! write, and decides alone about the appender's own state. A directory that was there before
//! stays as it is.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::{Item, ItemKind, Lock, LockKind, Storage};
use crate::{Waiting, layout};

/// Everybody may read a file.
const READABLE: u32 = 0o444;
/// Everybody may list a directory and open what is in it.
const OPEN: u32 = 0o555;

/// A record below one directory.
#[derive(Debug)]
pub(crate) struct Posix {
    directory: PathBuf,
}

impl Posix {
    /// A record that is expected to exist.
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
        }
    }

    /// Makes the directory of a new record, and its name durable, together with the names of
    /// directories above it that had to be made, too.
    pub(crate) fn create(directory: &Path) -> io::Result<Self> {
        let is_missing = |above: &&Path| !above.as_os_str().is_empty() && !above.exists();
        let missing: Vec<&Path> = directory
            .ancestors()
            .skip(1)
            .take_while(is_missing)
            .collect();
        let is_new = !directory.exists();
        fs::create_dir_all(directory)?;
        if is_new {
            allow(directory, OPEN)?;
        }
        for made in std::iter::once(directory).chain(missing) {
            if let Some(parent) = made.canonicalize()?.parent() {
                File::open(parent)?.sync_all()?;
            }
        }
        Ok(Self::new(directory))
    }

    fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() {
            self.directory.clone()
        } else {
            self.directory.join(name)
        }
    }
}

/// Closing the file releases the lock.
impl Lock for File {}

/// Adds to what the mask left of a new file's or directory's mode.
fn allow(new: &Path, mode: u32) -> io::Result<()> {
    let mut permissions = fs::metadata(new)?.permissions();
    permissions.set_mode(permissions.mode() | mode);
    fs::set_permissions(new, permissions)
}

/// Opens a file for reading, without waiting: somebody could have put a pipe there.
fn open_regular(path: &Path) -> io::Result<(File, fs::Metadata)> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "not a regular file",
        ));
    }
    Ok((file, metadata))
}

impl Storage for Posix {
    fn display(&self, name: &str) -> PathBuf {
        self.path(name)
    }

    fn lock(&self, name: &str, kind: LockKind, waiting: Waiting) -> io::Result<Box<dyn Lock>> {
        // Every call opens the file anew: two threads of one process hold two
        // different locks, so they exclude each other like two processes do.
        let (file, _) = open_regular(&self.path(name))?;
        let tried = match kind {
            LockKind::Exclusive => file.try_lock(),
            LockKind::Shared => file.try_lock_shared(),
        };
        match tried {
            Ok(()) => return Ok(Box::new(file)),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => {}
        }
        let _until_it_is_over = waiting(&self.directory);
        match kind {
            LockKind::Exclusive => file.lock()?,
            LockKind::Shared => file.lock_shared()?,
        }
        Ok(Box::new(file))
    }

    fn read(&self, name: &str, bytes_max: usize) -> io::Result<Vec<u8>> {
        let (file, metadata) = open_regular(&self.path(name))?;
        let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(limit)).unwrap_or(0));
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() > bytes_max {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the file is too long",
            ));
        }
        Ok(bytes)
    }

    fn list(&self, name: &str) -> io::Result<Vec<Item>> {
        let mut items = Vec::new();
        for entry in fs::read_dir(self.path(name))? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let utf8 = entry.file_name().into_string();
            items.push(Item {
                kind: match &utf8 {
                    Ok(_) if kind.is_file() => ItemKind::File,
                    Ok(_) if kind.is_dir() => ItemKind::Directory,
                    _ => ItemKind::Other,
                },
                name: utf8.unwrap_or_else(|raw| raw.to_string_lossy().into_owned()),
            });
        }
        items.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(items)
    }

    fn create_directory(&self, name: &str) -> io::Result<()> {
        let path = self.path(name);
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            Ok(()) if layout::is_for_everybody(name) => allow(&path, OPEN),
            result => result,
        }
    }

    fn write_synced(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(name);
        let mut file = File::create(&path)?;
        file.write_all(bytes)?;
        if layout::is_for_everybody(name) {
            allow(&path, READABLE)?;
        }
        file.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn sync_directory(&self, name: &str) -> io::Result<()> {
        File::open(self.path(name))?.sync_all()
    }

    fn remove_file(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn remove_directory(&self, name: &str) -> io::Result<()> {
        fs::remove_dir(self.path(name))
    }
}
