//! Creating, opening and locking a store's directory.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use crate::StoreError;
use crate::checkout::remove_tree;
use crate::regular::{open_regular, open_regular_with};

/// The one layout that this program reads and writes: the line in the file `format`.
const FORMAT: &str = "counterseal store 1";
/// No format file is longer.
const FORMAT_BYTES_MAX: u64 = 80;
const DIRECTORIES: [&str; 6] = [
    "blobs",
    "actions",
    "derived",
    "pins",
    "checkouts",
    "incoming",
];

/// A store, open for use. Cheap to open; share it by reference between threads.
///
/// Holds a shared lock on the directory as long as it, or a checkout made by it, lives.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    lock: Arc<StoreLock>,
}

/// The open lock file; closing it releases the lock.
#[derive(Debug)]
pub(crate) struct StoreLock(File);

impl Store {
    /// Makes a new store in a directory that is missing or empty, and opens it. Making it where
    /// one already is does nothing but open it, and an interrupted creation is completed.
    ///
    /// # Errors
    /// [`StoreError::NotAStore`] if the directory holds anything else.
    pub fn create(dir: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(dir).map_err(StoreError::at("create", dir))?;
        if !dir.join("format").exists() {
            for entry in fs::read_dir(dir).map_err(StoreError::at("list", dir))? {
                let name = entry.map_err(StoreError::at("list", dir))?.file_name();
                // Another process may be creating, or have created, the same store.
                let own = |own: &str| name == own;
                if !DIRECTORIES.into_iter().any(own) && !own("lock") && !own("format") {
                    return Err(StoreError::NotAStore {
                        path: dir.to_path_buf(),
                    });
                }
            }
            let lock = StoreLock::open(dir)?;
            lock.0
                .lock()
                .map_err(StoreError::at("lock", &dir.join("lock")))?;
            if !dir.join("format").exists() {
                Self::lay_out(dir)?;
            }
        }
        Self::open(dir)
    }

    /// Only under the exclusive lock; the format file comes last.
    fn lay_out(dir: &Path) -> Result<(), StoreError> {
        for name in DIRECTORIES {
            let path = dir.join(name);
            fs::create_dir_all(&path).map_err(StoreError::at("create", &path))?;
        }
        for shard in 0..=u8::MAX {
            let path = dir.join("blobs").join(format!("{shard:02x}"));
            fs::create_dir_all(&path).map_err(StoreError::at("create", &path))?;
        }
        sync_directory(&dir.join("blobs"))?;
        sync_directory(dir)?;
        let format = dir.join("format");
        let unfinished = dir.join("incoming/format");
        File::create(&unfinished)
            .and_then(|mut file| {
                writeln!(file, "{FORMAT}")?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&unfinished, &format))
            .map_err(StoreError::at("write", &format))?;
        sync_directory(dir)
    }

    /// Opens an existing store. Waits while another process collects garbage. If no other
    /// process has the store open, what killed processes left behind is swept away.
    ///
    /// # Errors
    /// [`StoreError::NotAStore`], [`StoreError::FormatUnknown`].
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let format = dir.join("format");
        let mut found = Vec::new();
        match open_regular(&format)
            .and_then(|file| file.take(FORMAT_BYTES_MAX).read_to_end(&mut found))
        {
            Ok(_) if found.strip_suffix(b"\n") == Some(FORMAT.as_bytes()) => {}
            Ok(_) => {
                let found = String::from_utf8_lossy(&found);
                return Err(StoreError::FormatUnknown {
                    path: dir.to_path_buf(),
                    expected: FORMAT,
                    found: found.lines().next().unwrap_or_default().to_owned(),
                });
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::NotAStore {
                    path: dir.to_path_buf(),
                });
            }
            Err(error) => return Err(StoreError::io("read", &format, error)),
        }
        let root = fs::canonicalize(dir).map_err(StoreError::at("find", dir))?;
        let store = Self {
            lock: Arc::new(StoreLock::open(&root)?),
            root,
        };
        if store.lock_exclusively()? {
            store.sweep()?;
        }
        store.lock_shared()?;
        Ok(store)
    }

    /// The store's directory, absolute.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Removes what is unfinished. Only under the exclusive lock.
    ///
    /// Returns how many things there were.
    pub(crate) fn sweep(&self) -> Result<u64, StoreError> {
        let incoming = self.incoming();
        let mut swept_count = 0;
        for entry in fs::read_dir(&incoming).map_err(StoreError::at("list", &incoming))? {
            remove_tree(&entry.map_err(StoreError::at("list", &incoming))?.path())?;
            swept_count += 1;
        }
        Ok(swept_count)
    }

    /// A directory for what is not finished: removed when dropped, or, if this process ends before,
    /// by the next one that has the store to itself.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn work_directory(&self) -> Result<TempDir, StoreError> {
        self.unfinished("work-")
    }

    pub(crate) fn unfinished(&self, prefix: &str) -> Result<TempDir, StoreError> {
        let incoming = self.incoming();
        tempfile::Builder::new()
            .prefix(prefix)
            .tempdir_in(&incoming)
            .map_err(StoreError::at("create a directory in", &incoming))
    }

    /// Where unfinished things are written.
    pub(crate) fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }

    /// Keeps the store locked for as long as the clone lives.
    pub(crate) fn lock(&self) -> Arc<StoreLock> {
        Arc::clone(&self.lock)
    }

    /// Whether a checkout of this very value still holds the lock.
    pub(crate) fn has_live_checkouts(&self) -> bool {
        Arc::strong_count(&self.lock) > 1
    }

    /// Tries to have the store alone; on failure the shared lock is lost, too.
    pub(crate) fn lock_exclusively(&self) -> Result<bool, StoreError> {
        match self.lock.0.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => {
                Err(StoreError::io("lock", &self.root.join("lock"), error))
            }
        }
    }

    pub(crate) fn lock_shared(&self) -> Result<(), StoreError> {
        let locked = self.lock.0.lock_shared();
        locked.map_err(StoreError::at("lock", &self.root.join("lock")))
    }
}

impl StoreLock {
    fn open(dir: &Path) -> Result<Self, StoreError> {
        open_lock_file(&dir.join("lock")).map(Self)
    }
}

/// Opens a file to be locked, making it if need be; without waiting at something else that has its
/// place.
pub(crate) fn open_lock_file(path: &Path) -> Result<File, StoreError> {
    let mut options = File::options();
    options.write(true).create(true).truncate(false);
    open_regular_with(&mut options, path).map_err(StoreError::at("open", path))
}

/// Flushes a directory's entries.
pub(crate) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(StoreError::at("flush", path))
}

/// Flushes everything on the file system that holds `path`.
pub(crate) fn sync_file_system(path: &Path) -> Result<(), StoreError> {
    let file = File::open(path).map_err(StoreError::at("flush", path))?;
    rustix::fs::syncfs(&file).map_err(StoreError::at("flush", path))
}
