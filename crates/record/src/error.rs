//! What can go wrong when a record is made, read or extended.
//!
//! Findings of the integrity check are a type of their own,
//! [`crate::CheckFailure`]: there the damage is the answer, not the obstacle.

use std::io;
use std::path::PathBuf;

use counterseal_tlog::NodeHash;
use counterseal_tlog::checkpoint::CheckpointError;
use counterseal_tlog::note::NoteError;
use counterseal_tlog::tile::{ENTRY_BYTES_MAX, TileError};

/// Why a record could not be made, read or extended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A record is made only where nothing is yet.
    #[error("there is something already: {}", .path.display())]
    AlreadyExists {
        /// What was found.
        path: PathBuf,
    },
    /// A part of the record is not there. It is never made anew silently.
    #[error("a part of the record is missing: {}", .path.display())]
    Missing {
        /// What was looked for.
        path: PathBuf,
    },
    /// The file system is full, or the quota used up. Nothing was recorded.
    #[error("no space is left to write {}", .path.display())]
    StorageFull {
        /// What was to be written.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("could not {operation} {}", .path.display())]
    Storage {
        /// What was being done, as a verb.
        operation: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A tile or an entry bundle is damaged.
    #[error("damaged: {}", .path.display())]
    Tile {
        /// The tile or bundle.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: TileError,
    },
    /// The checkpoint file is not a signed note.
    #[error("not a signed checkpoint: {}", .path.display())]
    Note {
        /// The checkpoint file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: NoteError,
    },
    /// The signed text is not a checkpoint.
    #[error("not a checkpoint: {}", .path.display())]
    Checkpoint {
        /// The checkpoint file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: CheckpointError,
    },
    /// Only the key that is named like the record may sign for it.
    #[error("the key does not belong to this record: expected `{expected}`, found `{found}`")]
    SignerName {
        /// Origin of the record.
        expected: String,
        /// Name of the key.
        found: String,
    },
    /// The key has the right name, but it did not sign the checkpoint so far.
    #[error("the key `{name}` with id {key_id:08x} did not sign the checkpoint of this record")]
    SignerKey {
        /// Name of the key.
        name: String,
        /// Its key id.
        key_id: u32,
    },
    /// A signature line names the key, and its signature is not the key's.
    #[error("the signature of the record's key on {} does not hold", path.display())]
    SignerSignature {
        /// The checkpoint.
        path: PathBuf,
    },
    /// Signing failed. Nothing was recorded.
    #[error("the new checkpoint could not be signed")]
    Signing(#[source] NoteError),
    /// The checkpoint names another origin than when the record was opened.
    #[error("the record changed its origin: expected `{expected}`, found `{found}`")]
    Origin {
        /// Origin when the record was opened.
        expected: String,
        /// Origin now.
        found: String,
    },
    /// The tiles do not add up to the root in the checkpoint.
    #[error(
        "the tiles do not add up to the checkpoint of size {size}: expected root {expected}, found {found}"
    )]
    Root {
        /// Size in the checkpoint.
        size: u64,
        /// Root in the checkpoint.
        expected: NodeHash,
        /// Root of the tiles.
        found: NodeHash,
    },
    /// The tiles of the higher levels do not agree with the leaves.
    #[error("the tiles at the right edge contradict the leaves of the record of size {size}")]
    Edge {
        /// Size in the checkpoint.
        size: u64,
    },
    /// An older checkpoint came back, as from a backup.
    #[error(
        "the record shrank from {known_size} to {found_size} entries: an older state was restored"
    )]
    WentBack {
        /// Size seen before.
        known_size: u64,
        /// Size now.
        found_size: u64,
    },
    /// Two different trees of the same size: the history was rewritten.
    #[error(
        "the history of the record changed at size {size}: expected root {expected}, found {found}"
    )]
    Forked {
        /// Size of both trees.
        size: u64,
        /// Root seen before.
        expected: NodeHash,
        /// Root now.
        found: NodeHash,
    },
    /// Entries are at most [`ENTRY_BYTES_MAX`] bytes.
    #[error(
        "entry {position} of the batch is too long: {found_bytes} bytes, at most {ENTRY_BYTES_MAX} are possible"
    )]
    EntryTooLong {
        /// Position in the batch, from 0.
        position: usize,
        /// Its length, in bytes.
        found_bytes: usize,
    },
    /// The record is not that long.
    #[error("there is no entry {index}: the record has {size}")]
    NoSuchEntry {
        /// The index asked for, from 0.
        index: u64,
        /// Entries in the record.
        size: u64,
    },
    /// An entry and its leaf hash, or the tiles above it, contradict each other.
    #[error("entry {index} contradicts the tiles above it: the record is damaged")]
    Contradiction {
        /// Index of the entry.
        index: u64,
    },
}
