//! An append-only log on disk, in the form that C2SP tlog-tiles publishes.
//!
//! Below the directory of a record stand `checkpoint`, signed by the record's
//! key, and `tile/`; any web server can serve them as they are. What only an
//! appender needs stands below `.state/`. Entries are opaque.
//!
//! # What survives a crash
//!
//! An appender holds an exclusive lock on `.state/lock`; the kernel releases it
//! when the process dies, in whatever way. It then
//!
//! 1. writes every new tile and entry bundle below `.state/staging/` and syncs
//!    each, gives them their names, and syncs the directories;
//! 2. signs a checkpoint over them, writes it the same way, and replaces
//!    `checkpoint`: **this rename is the commit**;
//! 3. removes partial tiles whose full one is now published.
//!
//! Stopped before the commit, the record is what it was: files beyond the
//! checkpoint are read by nobody, and the next appender writes over them.
//! Stopped after it, the batch is recorded, though its caller may not know;
//! appending the same entries again finds them and gives their receipts.
//! Nobody is told of a batch before its checkpoint is durable: an appender
//! syncs the directory before it builds on a checkpoint it finds, and
//! [`Record::receipt`] before it hands one out. A web server that serves the
//! directory does not do that; a power cut in the instant between rename and
//! sync can take back a checkpoint that its clients have seen.
//!
//! # What is refused
//!
//! Missing state is never made anew; a key that is not the record's does not
//! sign; nothing is signed on top of tiles that do not add up to the current
//! checkpoint; a process that saw a longer or another record does not accept
//! the shorter or changed one. The signature of the current checkpoint is not
//! checked when appending, as the signing key alone can not do that;
//! [`Record::check`] does.
//!
//! Deliberately absent: the meaning of entries, key files, the network, and
//! witnesses. A service calls [`Record::append`] with what arrived in the
//! meantime: one set of syncs and one checkpoint serve the whole batch.

use std::any::Any;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use counterseal_tlog::checkpoint::Checkpoint;
use counterseal_tlog::note::{NoteSignature, NoteSigner, NoteVerifier};
use counterseal_tlog::{NodeHash, empty_root};

mod append;
mod check;
mod error;
mod index;
mod layout;
mod reader;
mod storage;

#[cfg(test)]
mod check_tests;
#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod test_key;

pub use check::{CheckFailure, CheckReport};
pub use error::RecordError;

use append::Batch;
use index::Index;
use reader::{Reader, read_checkpoint, storage_error};
use storage::posix::Posix;
use storage::{Item, ItemKind, LockKind, Storage};

/// What proves that an entry is in the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Index of the entry, from 0.
    pub index: u64,
    /// Entries in the tree that the proof is for.
    pub tree_size: u64,
    /// Root of that tree.
    pub root: NodeHash,
    /// The inclusion proof, leaf first.
    pub proof: Vec<NodeHash>,
    /// The signed checkpoint of that tree.
    pub checkpoint: String,
}

/// A checkpoint as it stands in the record. Its signatures were not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What was signed.
    pub checkpoint: Checkpoint,
    /// The signature lines.
    pub signatures: Vec<NoteSignature>,
    /// The whole note.
    pub note: String,
}

/// Is told the directory of a record whose lock somebody else holds, before it is waited for. What it
/// gives is dropped when the wait is over.
pub type Waiting = fn(&Path) -> Box<dyn Any>;

/// Waits without a word.
pub fn silently(_directory: &Path) -> Box<dyn Any> {
    Box::new(())
}

/// A record on disk. Any number of them, in any number of processes, may be
/// open on the same directory.
///
/// # Examples
///
/// ```no_run
/// use std::path::Path;
///
/// use counterseal_record::{Record, RecordError};
/// use counterseal_tlog::note::NoteSigner;
///
/// fn record_twice(directory: &Path, key: &dyn NoteSigner) -> Result<(), RecordError> {
///     let record = Record::create(directory, key)?;
///     let first = record.append(&[b"an entry"], key)?;
///     let again = record.append(&[b"an entry"], key)?;
///     assert_eq!(first[0].index, again[0].index);
///     Ok(())
/// }
/// ```
pub struct Record {
    storage: Arc<dyn Storage>,
    origin: String,
    index: Mutex<Index>,
    waiting: Waiting,
}

impl Record {
    /// Makes an empty record in `directory`, which is created when it is not there.
    ///
    /// The signer's name becomes the origin of the record. An interrupted
    /// creation can be repeated.
    ///
    /// # Errors
    /// [`RecordError::AlreadyExists`] when the directory holds anything;
    /// signing and storage errors.
    pub fn create(directory: &Path, signer: &dyn NoteSigner) -> Result<Self, RecordError> {
        let storage = Posix::create(directory).map_err(|source| RecordError::Storage {
            operation: "create",
            path: directory.to_owned(),
            source,
        })?;
        Self::create_on(Arc::new(storage), signer)
    }

    /// Opens an existing record.
    ///
    /// # Errors
    /// [`RecordError::Missing`] when a part of it is not there; errors in its
    /// checkpoint.
    pub fn open(directory: &Path) -> Result<Self, RecordError> {
        Self::open_on(Arc::new(Posix::new(directory)))
    }

    /// The same record, whose appender says when it waits for another one or for a check.
    #[must_use]
    pub fn telling(self, waiting: Waiting) -> Self {
        Self { waiting, ..self }
    }

    /// Refuses a signer that did not sign what the record holds now; [`Self::append`] does so, too.
    ///
    /// # Errors
    /// [`RecordError::SignerName`], [`RecordError::SignerKey`] and [`RecordError::SignerSignature`];
    /// errors in the checkpoint.
    pub fn check_signer(&self, signer: &dyn NoteSigner) -> Result<(), RecordError> {
        self.check_name(signer)?;
        append::check_signer(self.storage(), &self.checkpoint()?, signer)
    }

    fn check_name(&self, signer: &dyn NoteSigner) -> Result<(), RecordError> {
        if signer.name() == self.origin {
            return Ok(());
        }
        Err(RecordError::SignerName {
            expected: self.origin.clone(),
            found: signer.name().into(),
        })
    }

    /// Records entries and returns a receipt for each, in their order.
    ///
    /// An entry that is in the record already, or twice in the batch, is not
    /// recorded again: its receipt has the index that it has. All receipts are
    /// for the same checkpoint. On return everything is durable.
    ///
    /// # Errors
    /// On every error before the commit the record is unchanged. An error may
    /// also come after it (when the disk fails in that moment); repeating the
    /// call is always safe.
    ///
    /// [`RecordError::SignerKey`] and [`RecordError::SignerSignature`] when the signer did not sign
    /// what is to be extended: whoever extends it vouches for all of it.
    pub fn append<E: AsRef<[u8]>>(
        &self,
        entries: &[E],
        signer: &dyn NoteSigner,
    ) -> Result<Vec<Receipt>, RecordError> {
        let storage = self.storage();
        self.check_name(signer)?;
        append::check_lengths(entries)?;
        if entries.is_empty() {
            return Ok(Vec::new());
        }

        // The threads of this process queue here, the processes at the lock.
        let mut index = self.index();
        let _lock = storage
            .lock(layout::LOCK, LockKind::Exclusive, self.waiting)
            .map_err(|e| storage_error(storage, "lock", layout::LOCK, e))?;
        append::empty_staging(storage)?;
        let current = self.checkpoint()?;
        append::check_signer(storage, &current, signer)?;
        index.catch_up(storage, &current.checkpoint)?;
        append::check_right_edge(storage, index.edge())?;

        let batch = Batch::sort_out(entries, &index, &Reader::new(storage, &current))?;
        let covering = if batch.is_known() {
            current
        } else {
            append::commit(storage, &mut index, &current, &batch, signer)?
        };
        let reader = Reader::new(storage, &covering);
        let pairs = batch.indices.iter().zip(entries);
        pairs
            .map(|(position, entry)| reader.receipt(*position, entry.as_ref()))
            .collect()
    }

    /// A fresh receipt for the entry at `index`.
    ///
    /// # Errors
    /// [`RecordError::NoSuchEntry`], or what is damaged.
    pub fn receipt(&self, index: u64) -> Result<Receipt, RecordError> {
        let signed = self.checkpoint()?;
        let reader = Reader::new(self.storage(), &signed);
        reader.receipt(index, &reader.entry(index)?)
    }

    /// The index of an entry, if it is in the record.
    ///
    /// The first call reads the leaves of the whole record, 32 bytes each;
    /// later ones what came since.
    ///
    /// # Errors
    /// What is missing or damaged.
    pub fn find(&self, entry: &[u8]) -> Result<Option<u64>, RecordError> {
        let mut index = self.index();
        let signed = self.checkpoint()?;
        index.catch_up(self.storage(), &signed.checkpoint)?;
        append::find_confirmed(entry, &index, &Reader::new(self.storage(), &signed))
    }

    /// The current checkpoint, durable.
    ///
    /// # Errors
    /// When it is missing or damaged, or names another origin than before.
    pub fn checkpoint(&self) -> Result<SignedCheckpoint, RecordError> {
        let signed = read_checkpoint(self.storage())?;
        // A power cut must not take it back: its writer may have died between rename and sync.
        let synced = self.storage.sync_directory("");
        synced.map_err(|e| storage_error(self.storage(), "sync", "", e))?;
        if signed.checkpoint.origin != self.origin {
            return Err(RecordError::Origin {
                expected: self.origin.clone(),
                found: signed.checkpoint.origin,
            });
        }
        Ok(signed)
    }

    /// The entry at `index`.
    ///
    /// # Errors
    /// [`RecordError::NoSuchEntry`], or what is damaged.
    pub fn entry(&self, index: u64) -> Result<Vec<u8>, RecordError> {
        let signed = self.checkpoint()?;
        Reader::new(self.storage(), &signed).entry(index)
    }

    /// The name of the record, which is also the name of its key.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Recomputes everything in the record below `directory` and compares.
    ///
    /// Waits for an appender to finish; appenders wait meanwhile. Works on a copy without `.state/`
    /// as well.
    ///
    /// # Errors
    /// The first [`CheckFailure`] found.
    pub fn check(
        directory: &Path,
        verifier: &dyn NoteVerifier,
        waiting: Waiting,
    ) -> Result<CheckReport, CheckFailure> {
        check::check(&Posix::new(directory), verifier, waiting)
    }

    fn create_on(storage: Arc<dyn Storage>, signer: &dyn NoteSigner) -> Result<Self, RecordError> {
        let disk = &*storage;
        let failed = |operation, name: &str, source| storage_error(disk, operation, name, source);
        refuse_contents(disk)?;
        for directory in [layout::STATE, layout::STAGING] {
            disk.create_directory(directory)
                .map_err(|e| failed("create", directory, e))?;
        }
        disk.write_synced(layout::LOCK, b"")
            .map_err(|e| failed("create", layout::LOCK, e))?;
        disk.sync_directory(layout::STATE)
            .map_err(|e| failed("sync", layout::STATE, e))?;

        let lock = disk.lock(layout::LOCK, LockKind::Exclusive, silently);
        let _lock = lock.map_err(|e| failed("lock", layout::LOCK, e))?;
        // Somebody else may have been creating the same record.
        refuse_contents(disk)?;
        let origin = signer.name().to_owned();
        let checkpoint = Checkpoint {
            origin: origin.clone(),
            size: 0,
            root: empty_root(),
        };
        let first = append::sign_checkpoint(checkpoint, signer)?;
        append::publish(
            disk,
            &[(layout::CHECKPOINT.into(), first.note.into_bytes())],
        )?;
        Ok(Self {
            storage,
            origin,
            index: Mutex::default(),
            waiting: silently,
        })
    }

    fn open_on(storage: Arc<dyn Storage>) -> Result<Self, RecordError> {
        let origin = read_checkpoint(&*storage)?.checkpoint.origin;
        Ok(Self {
            storage,
            origin,
            index: Mutex::default(),
            waiting: silently,
        })
    }

    fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        // The index is changed only after all that can fail: a panic elsewhere
        // leaves it as good as it was.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leftovers of an interrupted creation are fine, anything else is not.
fn refuse_contents(storage: &dyn Storage) -> Result<(), RecordError> {
    let items = storage
        .list("")
        .map_err(|e| storage_error(storage, "list", "", e))?;
    let foreign = |item: &&Item| item.name != layout::STATE || item.kind != ItemKind::Directory;
    match items.iter().find(foreign) {
        Some(item) => Err(RecordError::AlreadyExists {
            path: storage.display(&item.name),
        }),
        None => Ok(()),
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}
