//! Where every entry stands: the index behind exact de-duplication.
//!
//! The index maps leaf hashes to positions. It lives in memory only and is
//! derived from the level-0 tiles, so there is no index file that could be
//! damaged or fall behind. It is not taken on trust either: before leaf hashes
//! enter it, the root over all of them must be the root of the checkpoint, and
//! a hit counts only when the stored entry is the same byte for byte.
//!
//! Costs: 32 bytes read and one hash computed for each entry the first time a
//! process looks something up, then only for what came since; about 80 bytes of
//! memory for each entry. Of equal entries the first one is found.

use std::collections::HashMap;

use counterseal_tlog::checkpoint::Checkpoint;
use counterseal_tlog::edge::RightEdge;
use counterseal_tlog::tile::{TILE_WIDTH, TilePath, decode_tile};
use counterseal_tlog::{NodeHash, leaf_hash};

use crate::error::RecordError;
use crate::reader::read_tile;
use crate::storage::Storage;

/// All leaves up to some size, and the tree over them.
#[derive(Debug, Default)]
pub(crate) struct Index {
    edge: RightEdge,
    positions: HashMap<NodeHash, u64>,
}

impl Index {
    /// The right edge of the tree that the index covers.
    pub(crate) fn edge(&self) -> &RightEdge {
        &self.edge
    }

    /// Where an entry with these bytes would stand.
    pub(crate) fn position(&self, entry: &[u8]) -> Option<u64> {
        self.positions.get(&leaf_hash(entry)).copied()
    }

    /// Reads the leaves that came since, up to what `checkpoint` covers.
    ///
    /// # Errors
    /// When a tile is missing or damaged, when the tiles do not add up to the
    /// checkpoint, or when the checkpoint contradicts an earlier one. The index
    /// stays as it was.
    pub(crate) fn catch_up(
        &mut self,
        storage: &dyn Storage,
        checkpoint: &Checkpoint,
    ) -> Result<(), RecordError> {
        let Checkpoint {
            size,
            root: expected,
            ..
        } = *checkpoint;
        let known_size = self.edge.size();
        if size < known_size {
            return Err(RecordError::WentBack {
                known_size,
                found_size: size,
            });
        }
        if size == known_size {
            let known = self.edge.root();
            return if known == expected {
                Ok(())
            } else if size == 0 {
                // The root of no leaves is not a matter of history.
                Err(RecordError::Root {
                    size,
                    expected,
                    found: known,
                })
            } else {
                Err(RecordError::Forked {
                    size,
                    expected: known,
                    found: expected,
                })
            };
        }

        let mut edge = self.edge.clone();
        let mut leaves = Vec::new();
        while edge.size() < size {
            // In range: the leaf after the last one known is below the size.
            let (path, _) =
                TilePath::for_node(0, edge.size(), size).map_err(|_| RecordError::NoSuchEntry {
                    index: edge.size(),
                    size,
                })?;
            let bytes = read_tile(storage, &path)?;
            let hashes = decode_tile(&bytes, path.width()).map_err(|source| RecordError::Tile {
                path: storage.display(&path.to_path()),
                source,
            })?;
            let known = usize::try_from(edge.size() % u64::from(TILE_WIDTH)).unwrap_or(0);
            for leaf in hashes.iter().skip(known) {
                edge.push(*leaf);
                leaves.push(*leaf);
            }
        }
        let found = edge.root();
        if found != expected {
            return Err(RecordError::Root {
                size,
                expected,
                found,
            });
        }
        self.adopt(edge, &leaves);
        Ok(())
    }

    /// Takes over a tree that continues the known one by `leaves`.
    pub(crate) fn adopt(&mut self, edge: RightEdge, leaves: &[NodeHash]) {
        for (position, leaf) in (self.edge.size()..).zip(leaves) {
            self.positions.entry(*leaf).or_insert(position);
        }
        self.edge = edge;
    }
}
