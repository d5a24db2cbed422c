//! Many blobs and records made durable at once.
//!
//! The order of a commit is the whole point; the crate's documentation says why it is this one.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use counterseal_attestation::Sha256Digest;
use tempfile::TempDir;

use crate::blobs::{Received, receive, write_blob};
use crate::layout::sync_file_system;
use crate::records::{Record, plain_name};
use crate::{Digest, Store, StoreError};

/// Beyond this many touched directories one `syncfs` is cheaper than an `fsync` for each.
const DIRECTORY_SYNCS_MAX: usize = 16;

/// Blobs on their way into the store: invisible until [`Batch::commit`], gone if it is dropped.
///
/// May be filled by several threads. Everything happens on disk; a batch itself keeps about a
/// hundred bytes for each blob.
#[derive(Debug)]
pub struct Batch<'a> {
    store: &'a Store,
    staging: TempDir,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    staged: HashMap<Digest, PathBuf>,
    /// Blobs that were found present and sound, and might not be durable yet.
    found: HashSet<Digest>,
    records: Vec<(PathBuf, Record)>,
}

impl Store {
    /// Starts a batch.
    ///
    /// # Errors
    /// If its staging directory cannot be made.
    pub fn batch(&self) -> Result<Batch<'_>, StoreError> {
        Ok(Batch {
            store: self,
            staging: self.unfinished("batch-")?,
            state: Mutex::default(),
        })
    }
}

impl Batch<'_> {
    /// Adds bytes.
    ///
    /// # Errors
    /// Whatever writing reports.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        self.put_memory(bytes, digest)?;
        Ok(digest)
    }

    /// Adds what a reader yields.
    ///
    /// # Errors
    /// As [`Store::put_reader`].
    pub fn put_reader(&self, reader: impl Read, size_bytes_max: u64) -> Result<Digest, StoreError> {
        self.keep(receive(reader, size_bytes_max, self.staging.path())?)
    }

    /// Remembers, from the commit on, what was made of a source, such as the tree unpacked from
    /// an archive. `kind` says what was done and in which version, so that a changed procedure
    /// starts afresh.
    ///
    /// # Errors
    /// [`StoreError::NameInvalid`] for the kind, [`StoreError::BlobMissing`] for a value that is
    /// neither in the store nor in this batch.
    pub fn put_derived(
        &self,
        kind: &str,
        key: &Sha256Digest,
        value: &Digest,
    ) -> Result<(), StoreError> {
        plain_name(kind)?;
        // Counted as found, it is durable before the record that names it.
        if !self.present(value) {
            return Err(StoreError::BlobMissing { digest: *value });
        }
        let path = self.store.derived_path(kind, key);
        self.state().records.push((path, Record::new([*value])));
        Ok(())
    }

    /// Makes everything durable and visible: bytes first, then names, then records.
    ///
    /// Flushes the whole file system once or twice, whatever the number of blobs, and is cheap
    /// if all of them were present already.
    ///
    /// # Errors
    /// Whatever writing reports. Blobs named before the failure stay (each is whole), records
    /// are written only if everything else succeeded.
    pub fn commit(self) -> Result<(), StoreError> {
        let state = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let staging = self.staging.path();
        let mut records = Vec::with_capacity(state.records.len());
        for (path, record) in state.records {
            records.push((write_blob(staging, &record.to_bytes())?, path));
        }
        if !state.staged.is_empty() || !records.is_empty() {
            sync_file_system(staging)?;
        }
        let mut directories: BTreeSet<PathBuf> = state
            .found
            .iter()
            .map(|digest| self.store.shard_path(digest))
            .collect();
        for (digest, staged) in &state.staged {
            let path = self.store.blob_path(digest);
            fs::rename(staged, &path).map_err(StoreError::at("store", &path))?;
            directories.insert(self.store.shard_path(digest));
        }
        sync_directories(self.store.path(), &directories)?;
        for (file, path) in records {
            Record::replace(file, &path)?;
        }
        Ok(())
    }

    fn keep(&self, received: Received) -> Result<Digest, StoreError> {
        match received {
            Received::Memory(bytes, digest) => {
                self.put_memory(&bytes, digest)?;
                Ok(digest)
            }
            Received::File(file, digest) => {
                if !self.present(&digest) {
                    let (_, path) = file
                        .keep()
                        .map_err(|error| StoreError::io("write", error.file.path(), error.error))?;
                    self.state().staged.insert(digest, path);
                }
                Ok(digest)
            }
        }
    }

    fn put_memory(&self, bytes: &[u8], digest: Digest) -> Result<(), StoreError> {
        if self.present(&digest) {
            return Ok(());
        }
        // Two threads with the same bytes may both get here; the second file wins, and the first
        // goes with the staging directory.
        let file = write_blob(self.staging.path(), bytes)?;
        let (_, path) = file
            .keep()
            .map_err(|error| StoreError::io("write", error.file.path(), error.error))?;
        self.state().staged.insert(digest, path);
        Ok(())
    }

    /// Whether the bytes are here already, and sound. What is stored is hashed once a batch.
    fn present(&self, digest: &Digest) -> bool {
        {
            let state = self.state();
            if state.staged.contains_key(digest) || state.found.contains(digest) {
                return true;
            }
        }
        let holds = self.store.holds(digest);
        if holds {
            self.state().found.insert(*digest);
        }
        holds
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in this file panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sync_directories(root: &Path, directories: &BTreeSet<PathBuf>) -> Result<(), StoreError> {
    if directories.len() > DIRECTORY_SYNCS_MAX {
        return sync_file_system(root);
    }
    directories
        .iter()
        .try_for_each(|path| crate::layout::sync_directory(path))
}
