//! Creating, opening and locking a store's directory.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};

use crate::StoreError;
use crate::checkout::remove_tree;

/// The one layout that this program reads and writes: the line in the file `format`.
const FORMAT: &str = "counterseal store 1";
/// What a store's directory may hold before its format file is written.
const OWN_NAMES: [&str; 7] = [
    "lock",
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

/// The open, locked lock file; closing it releases the lock.
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
        let format = dir.join("format");
        if !format.exists() {
            for entry in fs::read_dir(dir).map_err(StoreError::at("list", dir))? {
                let name = entry.map_err(StoreError::at("list", dir))?.file_name();
                let own = name
                    .to_str()
                    .is_some_and(|name| OWN_NAMES.contains(&name) || name.starts_with("format."));
                // Another process may have completed the creation since we looked.
                if !own && name != "format" {
                    return Err(StoreError::NotAStore {
                        path: dir.to_path_buf(),
                    });
                }
            }
            Self::lay_out(dir)?;
        }
        Self::open(dir)
    }

    fn lay_out(dir: &Path) -> Result<(), StoreError> {
        for name in &OWN_NAMES[1..] {
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
        let mut file = tempfile::Builder::new()
            .prefix("format.")
            .tempfile_in(dir)
            .map_err(StoreError::at("write", &format))?;
        writeln!(file, "{FORMAT}").map_err(StoreError::at("write", &format))?;
        file.as_file()
            .sync_all()
            .map_err(StoreError::at("write", &format))?;
        file.persist(&format)
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
        match fs::read_to_string(&format) {
            Ok(text) if text.strip_suffix('\n') == Some(FORMAT) => {}
            Ok(text) => {
                return Err(StoreError::FormatUnknown {
                    path: dir.to_path_buf(),
                    expected: FORMAT,
                    found: text
                        .lines()
                        .next()
                        .unwrap_or_default()
                        .chars()
                        .take(80)
                        .collect(),
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
        let lock_path = root.join("lock");
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(StoreError::at("open", &lock_path))?;
        let store = Self {
            root,
            lock: Arc::new(StoreLock(file)),
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
        match flock(&self.lock.0, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(StoreError::io(
                "lock",
                &self.root.join("lock"),
                error.into(),
            )),
        }
    }

    pub(crate) fn lock_shared(&self) -> Result<(), StoreError> {
        loop {
            match flock(&self.lock.0, FlockOperation::LockShared) {
                Ok(()) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    return Err(StoreError::io(
                        "lock",
                        &self.root.join("lock"),
                        error.into(),
                    ));
                }
            }
        }
    }
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
