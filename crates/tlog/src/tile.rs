//! Tiles and entry bundles: their names, and their bytes.
//!
//! C2SP tlog-tiles. A tile at level L holds 256 hashes of level 8 · L of the
//! tree, or fewer at its right edge; an entry bundle holds the 256 entries
//! under a tile of level 0, each behind its length in two big-endian bytes. The
//! names are in the inner module `path`, whose types stand here.
//!
//! Parsing is strict: there is exactly one name for a tile and one encoding
//! for its content. Deliberately absent: reading and writing of files.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{NodeHash, node_hash};

mod path;

pub(crate) use path::parse_decimal;
pub use path::{EntriesPath, NodePlace, TilePath};

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: u16 = 256;
/// Tile levels that a log can fill: as many as 64 bits of size allow.
pub const TILE_LEVELS: u8 = 64 / TILE_HEIGHT;
/// The longest entry, in bytes.
pub const ENTRY_BYTES_MAX: usize = u16::MAX as usize;
/// The largest entry bundle, in bytes.
pub const BUNDLE_BYTES_MAX: usize = TILE_WIDTH as usize * (2 + ENTRY_BYTES_MAX);
/// The largest tile, in bytes.
pub const TILE_BYTES_MAX: usize = TILE_WIDTH as usize * 32;

const WIDTH: u64 = TILE_WIDTH as u64;
/// Levels of the tree that one level of tiles spans.
const TILE_HEIGHT: u8 = 8;
/// The highest tile level that a name may carry.
const LEVEL_MAX: u8 = 63;

/// Why something is not a tile, not a bundle, or not the name of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TileError {
    /// Not the name of a tile or bundle, or not its only spelling.
    #[error("not the path of a tile: `{path}`")]
    Path {
        /// The text as found.
        path: String,
    },
    /// No tile has this level or this width.
    #[error(
        "no tile has level {level} and width {width}: levels end at 63, widths go from 1 to 256"
    )]
    Shape {
        /// Tile level.
        level: u8,
        /// Hashes in the tile.
        width: u16,
    },
    /// A tile is 32 bytes for each of its hashes.
    #[error("the tile has the wrong size: expected {expected_bytes} bytes, found {found_bytes}")]
    TileSize {
        /// Bytes that the width calls for.
        expected_bytes: usize,
        /// Bytes found.
        found_bytes: usize,
    },
    /// The bundle ends inside an entry.
    #[error("the entry bundle ends inside entry {position}")]
    BundleTruncated {
        /// Position of the entry in the bundle, from 0.
        position: usize,
    },
    /// The bundle goes on after its last entry.
    #[error("the entry bundle has {bytes} bytes after its {width} entries")]
    BundleTrailing {
        /// Entries that belong into the bundle.
        width: u16,
        /// Bytes behind them.
        bytes: usize,
    },
    /// The length of an entry must fit into two bytes.
    #[error("the entry is too long: {found_bytes} bytes, at most 65535 are possible")]
    EntryTooLong {
        /// Length of the entry, in bytes.
        found_bytes: usize,
    },
    /// A node that no tile of a tree of this size contains.
    #[error("node {index} of level {level} is not complete in a tree of {size} leaves")]
    NoSuchNode {
        /// Level of the node in the tree, leaves are level 0.
        level: u8,
        /// Index of the node in its level.
        index: u64,
        /// Size of the tree, in leaves.
        size: u64,
    },
}

/// A tile read into memory, with every complete node inside it: at most 511
/// hashes.
#[derive(Debug, Clone)]
pub struct Tile {
    heights: Vec<Vec<NodeHash>>,
}

impl Tile {
    /// Reads a tile of `width` hashes. Computes at most 255 hashes.
    ///
    /// # Errors
    /// [`TileError::TileSize`] when the bytes are not `width` hashes.
    pub fn parse(bytes: &[u8], width: u16) -> Result<Self, TileError> {
        let mut here = decode_tile(bytes, width)?;
        let mut heights = Vec::new();
        while !here.is_empty() {
            let above = here
                .as_chunks::<2>()
                .0
                .iter()
                .map(|[left, right]| node_hash(left, right))
                .collect();
            heights.push(core::mem::replace(&mut here, above));
        }
        Ok(Self { heights })
    }

    /// The hashes that the tile holds.
    pub fn hashes(&self) -> &[NodeHash] {
        self.heights.first().map_or(&[], Vec::as_slice)
    }

    /// A node inside the tile; `None` when the tile is too narrow for it.
    pub fn node(&self, place: NodePlace) -> Option<NodeHash> {
        let nodes = self.heights.get(usize::from(place.height))?;
        nodes.get(usize::try_from(place.position).ok()?).copied()
    }
}

/// The bytes of a tile.
pub fn encode_tile(hashes: &[NodeHash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// Reads the `width` hashes of a tile, without computing any.
///
/// # Errors
/// [`TileError::TileSize`] when the bytes are not `width` hashes.
pub fn decode_tile(bytes: &[u8], width: u16) -> Result<Vec<NodeHash>, TileError> {
    let expected_bytes = usize::from(width) * 32;
    if bytes.len() != expected_bytes {
        return Err(TileError::TileSize {
            expected_bytes,
            found_bytes: bytes.len(),
        });
    }
    Ok(bytes
        .as_chunks::<32>()
        .0
        .iter()
        .map(|chunk| NodeHash(*chunk))
        .collect())
}

/// Writes an entry bundle.
///
/// # Errors
/// [`TileError::EntryTooLong`] for an entry above 65,535 bytes.
pub fn encode_entries<E: AsRef<[u8]>>(entries: &[E]) -> Result<Vec<u8>, TileError> {
    let mut bytes = Vec::with_capacity(entries.iter().map(|entry| 2 + entry.as_ref().len()).sum());
    for entry in entries {
        let entry = entry.as_ref();
        let length = u16::try_from(entry.len()).map_err(|_| TileError::EntryTooLong {
            found_bytes: entry.len(),
        })?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// Reads an entry bundle that must hold exactly `width` entries.
///
/// # Errors
/// [`TileError::BundleTruncated`] or [`TileError::BundleTrailing`].
pub fn decode_entries(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, TileError> {
    let mut entries = Vec::with_capacity(usize::from(width));
    let mut rest = bytes;
    for position in 0..usize::from(width) {
        let truncated = TileError::BundleTruncated { position };
        let Some((length, behind)) = rest.split_first_chunk::<2>() else {
            return Err(truncated);
        };
        let length = usize::from(u16::from_be_bytes(*length));
        let Some((entry, behind)) = behind.split_at_checked(length) else {
            return Err(truncated);
        };
        entries.push(entry);
        rest = behind;
    }
    if rest.is_empty() {
        Ok(entries)
    } else {
        Err(TileError::BundleTrailing {
            width,
            bytes: rest.len(),
        })
    }
}

/// The tiles whose content is new when a log grows from `old_size` to
/// `new_size` entries: the full ones, and at each level the partial one.
///
/// Lowest level first, then by index. Nothing when the log did not grow.
pub fn tiles_for(old_size: u64, new_size: u64) -> impl Iterator<Item = TilePath> {
    (0..TILE_LEVELS).flat_map(move |level| {
        grown(level_size(level, old_size), level_size(level, new_size)).map(
            move |(index, width)| TilePath {
                level,
                index,
                width,
            },
        )
    })
}

/// The entry bundles whose content is new when a log grows from `old_size` to
/// `new_size` entries.
pub fn bundles_for(old_size: u64, new_size: u64) -> impl Iterator<Item = EntriesPath> {
    grown(old_size, new_size).map(|(index, width)| EntriesPath { index, width })
}

/// Hashes on a tile level of a log of `size` entries.
pub fn level_size(level: u8, size: u64) -> u64 {
    size.checked_shr(u32::from(level) * u32::from(TILE_HEIGHT))
        .unwrap_or(0)
}

fn grown(old_count: u64, new_count: u64) -> impl Iterator<Item = (u64, u16)> {
    let end = if new_count > old_count {
        new_count.div_ceil(WIDTH)
    } else {
        0
    };
    (old_count / WIDTH..end).filter_map(move |index| Some((index, width_at(new_count, index)?)))
}

/// How wide tile `index` is on a level of `count` hashes; `None` when it is not there.
fn width_at(count: u64, index: u64) -> Option<u16> {
    let behind = count.checked_sub(index.checked_mul(WIDTH)?)?;
    if behind == 0 {
        None
    } else {
        u16::try_from(behind.min(WIDTH)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn bundles_are_read_as_written_and_only_so() {
        let entries = [b"".to_vec(), b"a".to_vec(), vec![7; ENTRY_BYTES_MAX]];
        let bytes = encode_entries(&entries).unwrap();
        assert_eq!(&bytes[..5], [0, 0, 0, 1, b'a']);
        assert_eq!(decode_entries(&bytes, 3).unwrap(), entries);

        assert_eq!(
            decode_entries(&bytes, 4),
            Err(TileError::BundleTruncated { position: 3 })
        );
        assert_eq!(
            decode_entries(&bytes[..4], 2),
            Err(TileError::BundleTruncated { position: 1 })
        );
        assert_eq!(
            decode_entries(&bytes[..6], 2),
            Err(TileError::BundleTrailing { width: 2, bytes: 1 })
        );
    }

    #[test]
    fn an_entry_of_more_than_65535_bytes_is_refused() {
        assert_eq!(
            encode_entries(&[vec![0; ENTRY_BYTES_MAX + 1]]),
            Err(TileError::EntryTooLong {
                found_bytes: 65_536
            })
        );
    }

    #[test]
    fn a_tile_is_as_long_as_its_width_says() {
        assert!(Tile::parse(&[0; 64], 2).is_ok());
        assert!(matches!(
            Tile::parse(&[0; 65], 2),
            Err(TileError::TileSize { .. })
        ));
        assert!(matches!(
            Tile::parse(&[], 1),
            Err(TileError::TileSize { .. })
        ));
    }

    #[test]
    fn growth_writes_full_tiles_and_one_partial_for_each_level() {
        let paths = |old, new| {
            tiles_for(old, new)
                .map(|path| path.to_path())
                .collect::<Vec<_>>()
        };
        assert_eq!(paths(0, 1), ["tile/0/000.p/1"]);
        assert_eq!(paths(1, 256), ["tile/0/000", "tile/1/000.p/1"]);
        assert_eq!(paths(256, 257), ["tile/0/001.p/1"]);
        assert_eq!(
            paths(255, 513),
            [
                "tile/0/000",
                "tile/0/001",
                "tile/0/002.p/1",
                "tile/1/000.p/2"
            ]
        );
        assert!(paths(7, 7).is_empty() && paths(7, 6).is_empty());
        assert_eq!(tiles_for(0, 1 << 16).count(), 256 + 1 + 1);
        assert_eq!(
            bundles_for(255, 257)
                .map(|path| path.to_path())
                .collect::<Vec<_>>(),
            ["tile/entries/000", "tile/entries/001.p/1"]
        );
    }

    #[test]
    fn nodes_outside_the_tree_have_no_tile() {
        assert!(TilePath::for_node(0, 5, 5).is_err());
        assert!(TilePath::for_node(1, 2, 5).is_err());
        assert!(TilePath::for_node(64, 0, u64::MAX).is_err());
        assert!(TilePath::for_node(63, 1, u64::MAX).is_err());
        assert!(TilePath::for_node(63, 0, u64::MAX).is_ok());
        assert!(EntriesPath::for_entry(5, 5).is_err());
        assert_eq!(EntriesPath::for_entry(256, 300).unwrap().1, 0);
    }
}
