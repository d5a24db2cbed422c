//! What can go wrong with a store, as data that a caller can match on.

use std::io;
use std::path::{Path, PathBuf};

use crate::Digest;
use crate::tree::TreeError;

/// Failure of a store operation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused an operation on the store's own files.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was attempted, as a verb phrase.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The file system is full, or the user's quota is used up. Nothing was stored.
    #[error("no space left on the file system that holds {}", path.display())]
    StorageFull {
        /// The file that could not be written.
        path: PathBuf,
    },
    /// The caller's reader failed. Nothing was stored.
    #[error("cannot read the data to be stored: {source}")]
    Input {
        /// What the reader reported.
        source: io::Error,
    },
    /// The caller's writer failed. What was written is incomplete.
    #[error("cannot write what is read from the store: {source}")]
    Output {
        /// What the writer reported.
        source: io::Error,
    },
    /// The data goes on beyond what the caller allowed. Nothing was stored.
    #[error("data is larger than the {size_bytes_max} bytes allowed for it")]
    TooLarge {
        /// The caller's bound in bytes.
        size_bytes_max: u64,
    },
    /// The data is not what the caller was promised. Nothing was stored.
    #[error(
        "data does not match its digest: expected sha256:{} ({} bytes), \
         found sha256:{} ({} bytes)",
        expected.hash, expected.size_bytes, found.hash, found.size_bytes
    )]
    DigestMismatch {
        /// What was promised.
        expected: Digest,
        /// What arrived.
        found: Digest,
    },
    /// The store does not hold this blob.
    #[error("the store does not hold sha256:{} ({} bytes)", digest.hash, digest.size_bytes)]
    BlobMissing {
        /// The blob asked for.
        digest: Digest,
    },
    /// A blob's bytes are no longer those that its name promises.
    #[error("stored blob is damaged: {} does not hold sha256:{}", path.display(), digest.hash)]
    BlobDamaged {
        /// The blob asked for.
        digest: Digest,
        /// The damaged file.
        path: PathBuf,
    },
    /// A pin or cache record cannot be read back.
    #[error("stored record is damaged: {}: {defect}", path.display())]
    RecordDamaged {
        /// The damaged file.
        path: PathBuf,
        /// What is wrong with it.
        defect: &'static str,
    },
    /// The directory is not a store and holds something else.
    #[error("{} is not a store", path.display())]
    NotAStore {
        /// The directory.
        path: PathBuf,
    },
    /// The store was written by a program that this one does not understand.
    #[error("{} is a store of an unknown format: expected {expected}, found {found}", path.display())]
    FormatUnknown {
        /// The store's directory.
        path: PathBuf,
        /// The format that this program reads and writes.
        expected: &'static str,
        /// The first line of the store's format file.
        found: String,
    },
    /// Garbage collection needs the store for itself.
    #[error("the store {} is in use by another process or a live checkout", path.display())]
    InUse {
        /// The store's directory.
        path: PathBuf,
    },
    /// A pin name or the kind of a derived object is not a plain name.
    #[error(
        "name is not usable in the store: \"{}\" \
         (1 to 200 of: letters, digits, dot, hyphen, underscore; no leading dot)",
        name.escape_debug()
    )]
    NameInvalid {
        /// The refused name.
        name: String,
    },
    /// A tree object, or a tree about to be made, breaks a rule.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

impl StoreError {
    /// Attaches the path to an operating system error and singles out a full disk.
    pub(crate) fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::StorageFull { path },
            _ => Self::Io {
                operation,
                path,
                source,
            },
        }
    }

    /// For use with `map_err`.
    pub(crate) fn at<E: Into<io::Error>>(
        operation: &'static str,
        path: &Path,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::io(operation, path, source.into())
    }
}
