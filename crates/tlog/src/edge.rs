//! The right edge of a growing tree: all that an appender has to keep.
//!
//! C2SP tlog-tiles. At each tile level the edge is the one tile that is not
//! full yet. A new leaf goes into the edge of level 0; when that tile is full,
//! it leaves as a finished tile and its root becomes a hash of the level
//! above. At most 8 · 255 hashes are held, however large the log is.
//!
//! Deliberately absent: storage. Finished tiles are handed to the caller.

use alloc::vec::Vec;

use crate::tile::{TILE_LEVELS, TILE_WIDTH, TilePath, encode_tile, level_size};
use crate::{NodeHash, empty_root, node_hash};

/// A tile that is ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedTile {
    /// Its name.
    pub path: TilePath,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The partial tiles of a tree of some size, one for each level.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RightEdge {
    size: u64,
    levels: Vec<Vec<NodeHash>>,
}

impl RightEdge {
    /// The edge of the empty tree.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Leaves in the tree.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree. Computes at most 8 · 255 hashes.
    pub fn root(&self) -> NodeHash {
        // From the lowest and rightmost subtree to the highest and leftmost.
        let mut root = None;
        for hashes in &self.levels {
            for subtree in complete_subtrees(hashes).into_iter().rev() {
                root = Some(root.map_or(subtree, |right| node_hash(&subtree, &right)));
            }
        }
        root.unwrap_or_else(empty_root)
    }

    /// Adds a leaf; returns the tiles that are full now, mostly none.
    pub fn push(&mut self, leaf: NodeHash) -> Vec<FinishedTile> {
        self.size += 1;
        let mut finished = Vec::new();
        let mut hash = leaf;
        for level in 0..TILE_LEVELS {
            if self.levels.len() == usize::from(level) {
                self.levels.push(Vec::new());
            }
            let hashes = &mut self.levels[usize::from(level)];
            hashes.push(hash);
            if hashes.len() < usize::from(TILE_WIDTH) {
                break;
            }
            let index = level_size(level, self.size) / u64::from(TILE_WIDTH) - 1;
            finished.push(FinishedTile {
                path: TilePath {
                    level,
                    index,
                    width: TILE_WIDTH,
                },
                bytes: encode_tile(hashes),
            });
            // 256 hashes are one complete subtree.
            hash = complete_subtrees(hashes)[0];
            hashes.clear();
        }
        finished
    }

    /// The partial tiles, lowest level first; none at a level that just got full.
    pub fn partial_tiles(&self) -> impl Iterator<Item = FinishedTile> {
        self.levels
            .iter()
            .zip(0..TILE_LEVELS)
            .filter_map(|(hashes, level)| {
                let path = partial_tile(level, level_size(level, self.size))?;
                Some(FinishedTile {
                    path,
                    bytes: encode_tile(hashes),
                })
            })
    }
}

fn partial_tile(level: u8, count: u64) -> Option<TilePath> {
    let width = u16::try_from(count % u64::from(TILE_WIDTH)).ok()?;
    // A width of 0 is no tile.
    TilePath::new(level, count / u64::from(TILE_WIDTH), width).ok()
}

/// The roots of the complete subtrees over these hashes, largest first.
fn complete_subtrees(hashes: &[NodeHash]) -> Vec<NodeHash> {
    let mut roots = Vec::new();
    let mut rest = hashes;
    while !rest.is_empty() {
        let (subtree, behind) = rest.split_at(1 << rest.len().ilog2());
        let mut row = subtree.to_vec();
        while row.len() > 1 {
            row = row
                .as_chunks::<2>()
                .0
                .iter()
                .map(|[left, right]| node_hash(left, right))
                .collect();
        }
        roots.extend(row);
        rest = behind;
    }
    roots
}
