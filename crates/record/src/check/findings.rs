//! What the integrity check says: a report, or the first damage.

use std::io;
use std::path::PathBuf;

use counterseal_tlog::NodeHash;
use counterseal_tlog::checkpoint::{Checkpoint, CheckpointError};
use counterseal_tlog::note::NoteError;
use counterseal_tlog::tile::TileError;

/// What a sound record holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// The checkpoint, whose signature holds.
    pub checkpoint: Checkpoint,
    /// Tiles of hashes that were recomputed.
    pub tiles: u64,
    /// Entry bundles whose entries were hashed.
    pub bundles: u64,
    /// Partial tiles and bundles of earlier sizes that agree with later ones.
    pub earlier_partials: u64,
    /// Files beyond the checkpoint, left by an interrupted appender. They are
    /// not part of the record.
    pub unpublished: Vec<PathBuf>,
}

/// The first damage that was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckFailure {
    /// A file that must be there is not.
    #[error("missing: {}", .path.display())]
    Missing {
        /// What was looked for.
        path: PathBuf,
    },
    /// A file or directory could not be read.
    #[error("could not read {}", .path.display())]
    Unreadable {
        /// What was to be read.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The checkpoint is not a note signed by the record's key.
    #[error("the checkpoint does not hold: {}", .path.display())]
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
    /// The checkpoint is signed by the right key, but for another record.
    #[error("the checkpoint is for another record: expected `{expected}`, found `{found}`")]
    Origin {
        /// Name of the key.
        expected: String,
        /// Origin in the checkpoint.
        found: String,
    },
    /// An entry bundle can not be taken apart.
    #[error("damaged: {}", .path.display())]
    Bundle {
        /// The bundle.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: TileError,
    },
    /// An entry does not have the hash that stands in its level-0 tile.
    #[error(
        "entry {index} does not match its leaf hash: {} or {} is damaged",
        .bundle.display(), .tile.display()
    )]
    Entry {
        /// Index of the entry, from 0.
        index: u64,
        /// The bundle that holds the entry.
        bundle: PathBuf,
        /// The tile that holds its hash.
        tile: PathBuf,
    },
    /// A tile does not have the size that the checkpoint calls for.
    #[error(
        "{} has the wrong size: expected {expected_bytes} bytes, found {found_bytes}",
        .path.display()
    )]
    TileSize {
        /// The tile.
        path: PathBuf,
        /// Bytes that it should have.
        expected_bytes: usize,
        /// Bytes that it has.
        found_bytes: usize,
    },
    /// A hash in a tile is not what the level below gives.
    #[error(
        "hash {position} in {} is not that of what lies below: expected {expected}, found {found}",
        .path.display()
    )]
    Hash {
        /// The tile.
        path: PathBuf,
        /// Position of the hash in the tile, from 0.
        position: usize,
        /// What the level below gives.
        expected: NodeHash,
        /// What stands in the tile.
        found: NodeHash,
    },
    /// All tiles agree with each other but not with what was signed.
    #[error(
        "the record of size {size} has another root than was signed: expected {expected}, found {found}"
    )]
    Root {
        /// Size in the checkpoint.
        size: u64,
        /// Root in the checkpoint.
        expected: NodeHash,
        /// Root of the entries.
        found: NodeHash,
    },
    /// A partial tile or bundle of an earlier size contradicts the current one.
    #[error("{} is not the beginning of {}", .path.display(), .current.display())]
    EarlierPartial {
        /// The partial tile or bundle.
        path: PathBuf,
        /// What it should be the beginning of.
        current: PathBuf,
    },
    /// Something below `tile/` that has no place there.
    #[error("does not belong into a record: {}", .path.display())]
    Stray {
        /// What was found.
        path: PathBuf,
    },
}

impl CheckFailure {
    /// Whether this says something about the record. What could not be read because the system
    /// refused, or a disk failed, says nothing: the record may be sound.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Unreadable { source, .. } => is_altered(source.kind()),
            _ => true,
        }
    }
}

/// Whether a file was reached and is not what it should be: too long, not text, or of another kind.
fn is_altered(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::InvalidData | io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn what_the_system_does_not_give_is_no_damage() {
        let check = |source: io::Error, expect: bool| {
            let what = source.to_string();
            let path = PathBuf::from("tile/0/000");
            let failure = CheckFailure::Unreadable { path, source };
            assert_eq!(failure.is_damage(), expect, "{what}");
        };
        for refused in [
            Errno::ACCESS,
            Errno::PERM,
            Errno::IO,
            Errno::LOOP,
            Errno::MFILE,
            Errno::STALE,
            Errno::NOMEM,
        ] {
            check(refused.into(), false);
        }
        check(Errno::ISDIR.into(), true);
        check(Errno::NOTDIR.into(), true);
        check(io::Error::new(io::ErrorKind::InvalidData, "too long"), true);
        let path = PathBuf::from("checkpoint");
        assert!(CheckFailure::Missing { path }.is_damage());
    }
}
