//! Reading what a checkpoint covers: tiles, entries and proofs.
//!
//! A reader holds no lock. What a checkpoint covers never changes; the only
//! thing that can happen under a reader is that a partial tile disappears
//! because the full one is there, and then its beginning is in the full one.
//! Everything read is kept for the life of the reader, which is one operation.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;

use counterseal_tlog::checkpoint::Checkpoint;
use counterseal_tlog::note::{NOTE_BYTES_MAX, Note};
use counterseal_tlog::proof::{self, NodeSource, ProveError};
use counterseal_tlog::tile::{
    BUNDLE_BYTES_MAX, EntriesPath, TILE_BYTES_MAX, Tile, TilePath, decode_entries,
};
use counterseal_tlog::{NodeHash, leaf_hash};

use crate::error::RecordError;
use crate::layout;
use crate::storage::Storage;
use crate::{Receipt, SignedCheckpoint};

/// Reads the current checkpoint, without checking its signature.
pub(crate) fn read_checkpoint(storage: &dyn Storage) -> Result<SignedCheckpoint, RecordError> {
    let path = || storage.display(layout::CHECKPOINT);
    let bytes = storage
        .read(layout::CHECKPOINT, NOTE_BYTES_MAX)
        .map_err(|source| storage_error(storage, "read", layout::CHECKPOINT, source))?;
    let note = String::from_utf8(bytes).map_err(|error| {
        let source = io::Error::new(io::ErrorKind::InvalidData, error);
        storage_error(storage, "read", layout::CHECKPOINT, source)
    })?;
    let Note { text, signatures } = Note::parse(&note).map_err(|source| RecordError::Note {
        path: path(),
        source,
    })?;
    let checkpoint = Checkpoint::parse(&text).map_err(|source| RecordError::Checkpoint {
        path: path(),
        source,
    })?;
    Ok(SignedCheckpoint {
        checkpoint,
        signatures,
        note,
    })
}

/// Puts the name of a file to what the system said about it.
pub(crate) fn storage_error(
    storage: &dyn Storage,
    operation: &'static str,
    name: &str,
    source: io::Error,
) -> RecordError {
    let path = storage.display(name);
    match source.kind() {
        io::ErrorKind::NotFound => RecordError::Missing { path },
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            RecordError::StorageFull { path }
        }
        _ => RecordError::Storage {
            operation,
            path,
            source,
        },
    }
}

/// Reads a file of the tree; a partial one that is gone is the beginning of the
/// full one. Returns whether it was the full one.
fn read_or_full(
    storage: &dyn Storage,
    partial: &str,
    full: &str,
    bytes_max: usize,
) -> Result<(Vec<u8>, bool), RecordError> {
    match storage.read(partial, bytes_max) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && partial != full => {
            match storage.read(full, bytes_max) {
                // The partial one is what should have been there.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    Err(RecordError::Missing {
                        path: storage.display(partial),
                    })
                }
                other => Ok((
                    other.map_err(|e| storage_error(storage, "read", full, e))?,
                    true,
                )),
            }
        }
        other => Ok((
            other.map_err(|e| storage_error(storage, "read", partial, e))?,
            partial == full,
        )),
    }
}

/// Reads the hashes of a tile.
pub(crate) fn read_tile(storage: &dyn Storage, path: &TilePath) -> Result<Vec<u8>, RecordError> {
    let (mut bytes, is_full) = read_or_full(
        storage,
        &path.to_path(),
        &path.full().to_path(),
        TILE_BYTES_MAX,
    )?;
    let present = if is_full { path.full() } else { *path };
    Tile::parse(&bytes, present.width()).map_err(|source| RecordError::Tile {
        path: storage.display(&present.to_path()),
        source,
    })?;
    bytes.truncate(usize::from(path.width()) * 32);
    Ok(bytes)
}

/// Reads the entries of a bundle.
pub(crate) fn read_bundle(
    storage: &dyn Storage,
    path: &EntriesPath,
) -> Result<Vec<Vec<u8>>, RecordError> {
    let (bytes, is_full) = read_or_full(
        storage,
        &path.to_path(),
        &path.full().to_path(),
        BUNDLE_BYTES_MAX,
    )?;
    let present = if is_full { path.full() } else { *path };
    let entries = decode_entries(&bytes, present.width()).map_err(|source| RecordError::Tile {
        path: storage.display(&present.to_path()),
        source,
    })?;
    Ok(entries
        .into_iter()
        .take(usize::from(path.width()))
        .map(<[u8]>::to_vec)
        .collect())
}

/// What one checkpoint covers.
pub(crate) struct Reader<'a> {
    storage: &'a dyn Storage,
    signed: &'a SignedCheckpoint,
    tiles: RefCell<HashMap<TilePath, Rc<Tile>>>,
    bundles: RefCell<HashMap<EntriesPath, Rc<Vec<Vec<u8>>>>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(storage: &'a dyn Storage, signed: &'a SignedCheckpoint) -> Self {
        Self {
            storage,
            signed,
            tiles: RefCell::default(),
            bundles: RefCell::default(),
        }
    }

    fn size(&self) -> u64 {
        self.signed.checkpoint.size
    }

    /// The entry at `index`.
    pub(crate) fn entry(&self, index: u64) -> Result<Vec<u8>, RecordError> {
        let absent = RecordError::NoSuchEntry {
            index,
            size: self.size(),
        };
        let Ok((path, position)) = EntriesPath::for_entry(index, self.size()) else {
            return Err(absent);
        };
        let known = self.bundles.borrow().get(&path).cloned();
        let bundle = if let Some(bundle) = known {
            bundle
        } else {
            let bundle = Rc::new(read_bundle(self.storage, &path)?);
            self.bundles.borrow_mut().insert(path, Rc::clone(&bundle));
            bundle
        };
        bundle.get(position).cloned().ok_or(absent)
    }

    /// The receipt of the entry at `index`, whose bytes the caller has.
    ///
    /// The proof is checked before it is handed out: a damaged tile can not
    /// turn into a proof that fails somewhere else, later.
    pub(crate) fn receipt(&self, index: u64, entry: &[u8]) -> Result<Receipt, RecordError> {
        let Checkpoint { size, root, .. } = self.signed.checkpoint;
        let hashes = match proof::prove_inclusion(self, index, size) {
            Ok(hashes) => hashes,
            Err(ProveError::Source(error)) => return Err(error),
            Err(_) => return Err(RecordError::NoSuchEntry { index, size }),
        };
        proof::check_inclusion(&leaf_hash(entry), index, size, &hashes, &root)
            .map_err(|_| RecordError::Contradiction { index })?;
        Ok(Receipt {
            index,
            tree_size: size,
            root,
            proof: hashes,
            checkpoint: self.signed.note.clone(),
        })
    }

    fn tile(&self, path: TilePath) -> Result<Rc<Tile>, RecordError> {
        if let Some(tile) = self.tiles.borrow().get(&path) {
            return Ok(Rc::clone(tile));
        }
        let bytes = read_tile(self.storage, &path)?;
        let tile = Tile::parse(&bytes, path.width()).map_err(|source| RecordError::Tile {
            path: self.storage.display(&path.to_path()),
            source,
        })?;
        let tile = Rc::new(tile);
        self.tiles.borrow_mut().insert(path, Rc::clone(&tile));
        Ok(tile)
    }
}

impl NodeSource for Reader<'_> {
    type Error = RecordError;

    fn node(&self, level: u8, index: u64) -> Result<NodeHash, RecordError> {
        let absent = RecordError::NoSuchEntry {
            index,
            size: self.size(),
        };
        let Ok((path, place)) = TilePath::for_node(level, index, self.size()) else {
            return Err(absent);
        };
        self.tile(path)?.node(place).ok_or(absent)
    }
}
