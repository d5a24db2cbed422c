//! Tiles and entry bundles: their names, and their bytes.
//!
//! C2SP tlog-tiles. A tile at level L holds 256 hashes of level 8 · L of the
//! tree, or fewer at its right edge; an entry bundle holds the 256 entries
//! under a tile of level 0, each behind its length in two big-endian bytes.
//! Names are `tile/<L>/<N>[.p/<W>]` and `tile/entries/<N>[.p/<W>]`, where N is
//! written in groups of three digits: 1234067 is `x001/x234/067`.
//!
//! Parsing is strict: there is exactly one name for a tile and one encoding
//! for its content. Deliberately absent: reading and writing of files.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::{NodeHash, node_hash};

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: u16 = 256;
/// Levels of the tree that one level of tiles spans.
pub const TILE_HEIGHT: u8 = 8;
/// The highest tile level that a name may carry.
pub const LEVEL_MAX: u8 = 63;
/// The longest entry, in bytes.
pub const ENTRY_BYTES_MAX: usize = u16::MAX as usize;
/// The largest entry bundle, in bytes.
pub const BUNDLE_BYTES_MAX: usize = TILE_WIDTH as usize * (2 + ENTRY_BYTES_MAX);
/// The largest tile, in bytes.
pub const TILE_BYTES_MAX: usize = TILE_WIDTH as usize * 32;

const WIDTH: u64 = TILE_WIDTH as u64;

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

/// Names one tile of hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TilePath {
    level: u8,
    index: u64,
    width: u16,
}

impl TilePath {
    /// The tile `index` of `level` with `width` hashes.
    ///
    /// # Errors
    /// [`TileError::Shape`] for a level above 63 or a width outside 1 to 256.
    pub fn new(level: u8, index: u64, width: u16) -> Result<Self, TileError> {
        if level > LEVEL_MAX || !(1..=TILE_WIDTH).contains(&width) {
            return Err(TileError::Shape { level, width });
        }
        Ok(Self {
            level,
            index,
            width,
        })
    }

    /// The tile that holds what is needed to compute a node, as wide as a tree
    /// of `size` leaves makes it, and the node's place in it for [`Tile::node`].
    ///
    /// # Errors
    /// [`TileError::NoSuchNode`] when the node is not complete in that tree.
    pub fn for_node(level: u8, index: u64, size: u64) -> Result<(Self, NodePlace), TileError> {
        let absent = TileError::NoSuchNode { level, index, size };
        if level > 63 || index >= size >> level {
            return Err(absent);
        }
        let height = level % TILE_HEIGHT;
        let tile_level = level / TILE_HEIGHT;
        // In range: the node is complete, so its first hash is one of the level's.
        let first_hash = index << height;
        let tile_index = first_hash / WIDTH;
        let width = width_at(level_size(tile_level, size), tile_index).ok_or(absent)?;
        let place = NodePlace {
            height,
            position: index - ((tile_index * WIDTH) >> height),
        };
        Ok((
            Self {
                level: tile_level,
                index: tile_index,
                width,
            },
            place,
        ))
    }

    /// Level of the tile: its hashes are of level 8 · `level` of the tree.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Index of the tile in its level, from 0.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Hashes in the tile, 1 to 256.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Whether the tile has all its 256 hashes.
    pub fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The same tile once it is full.
    #[must_use]
    pub fn full(self) -> Self {
        Self {
            width: TILE_WIDTH,
            ..self
        }
    }

    /// The path under the log's root, such as `tile/1/x001/234.p/17`.
    pub fn to_path(&self) -> String {
        format!(
            "tile/{}/{}",
            self.level,
            index_and_width(self.index, self.width)
        )
    }

    /// Reads what [`TilePath::to_path`] writes and nothing else.
    ///
    /// # Errors
    /// [`TileError::Path`].
    pub fn parse(path: &str) -> Result<Self, TileError> {
        Self::parse_inner(path).ok_or_else(|| TileError::Path { path: path.into() })
    }

    fn parse_inner(path: &str) -> Option<Self> {
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let level = u8::try_from(parse_decimal(level)?).ok()?;
        let (index, width) = parse_index_and_width(rest)?;
        Self::new(level, index, width).ok()
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_path())
    }
}

/// Names one bundle of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntriesPath {
    index: u64,
    width: u16,
}

impl EntriesPath {
    /// The bundle `index` with `width` entries.
    ///
    /// # Errors
    /// [`TileError::Shape`] for a width outside 1 to 256.
    pub fn new(index: u64, width: u16) -> Result<Self, TileError> {
        if !(1..=TILE_WIDTH).contains(&width) {
            return Err(TileError::Shape { level: 0, width });
        }
        Ok(Self { index, width })
    }

    /// The bundle that holds entry `entry_index` in a log of `size` entries, and
    /// the entry's position in it.
    ///
    /// # Errors
    /// [`TileError::NoSuchNode`] when the log is not that long.
    pub fn for_entry(entry_index: u64, size: u64) -> Result<(Self, usize), TileError> {
        let absent = TileError::NoSuchNode {
            level: 0,
            index: entry_index,
            size,
        };
        let index = entry_index / WIDTH;
        let width = width_at(size, index).ok_or(absent.clone())?;
        // Below 256, so it fits every usize.
        let position = usize::try_from(entry_index % WIDTH).map_err(|_| absent.clone())?;
        if entry_index >= size {
            return Err(absent);
        }
        Ok((Self { index, width }, position))
    }

    /// Index of the bundle, from 0.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Entries in the bundle, 1 to 256.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Whether the bundle has all its 256 entries.
    pub fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The same bundle once it is full.
    #[must_use]
    pub fn full(self) -> Self {
        Self {
            width: TILE_WIDTH,
            ..self
        }
    }

    /// The path under the log's root, such as `tile/entries/x001/234.p/17`.
    pub fn to_path(&self) -> String {
        format!("tile/entries/{}", index_and_width(self.index, self.width))
    }

    /// Reads what [`EntriesPath::to_path`] writes and nothing else.
    ///
    /// # Errors
    /// [`TileError::Path`].
    pub fn parse(path: &str) -> Result<Self, TileError> {
        path.strip_prefix("tile/entries/")
            .and_then(parse_index_and_width)
            .map(|(index, width)| Self { index, width })
            .ok_or_else(|| TileError::Path { path: path.into() })
    }
}

impl fmt::Display for EntriesPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_path())
    }
}

/// Where a node lies inside its tile; from [`TilePath::for_node`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodePlace {
    /// Levels above the tile's own hashes, 0 to 7.
    height: u8,
    /// Position among the tile's nodes of that height.
    position: u64,
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
        let expected_bytes = usize::from(width) * 32;
        if bytes.len() != expected_bytes {
            return Err(TileError::TileSize {
                expected_bytes,
                found_bytes: bytes.len(),
            });
        }
        let mut here: Vec<NodeHash> = bytes
            .as_chunks::<32>()
            .0
            .iter()
            .map(|chunk| NodeHash(*chunk))
            .collect();
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
    (0..TILE_HEIGHT).flat_map(move |level| {
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

fn index_and_width(index: u64, width: u16) -> String {
    let mut text = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1000);
        rest /= 1000;
    }
    if width < TILE_WIDTH {
        format!("{text}.p/{width}")
    } else {
        text
    }
}

fn parse_index_and_width(text: &str) -> Option<(u64, u16)> {
    let (groups, width) = match text.split_once(".p/") {
        Some((groups, width)) => (groups, u16::try_from(parse_decimal(width)?).ok()?),
        None => (text, TILE_WIDTH),
    };
    let mut index = 0_u64;
    let mut groups = groups.split('/').peekable();
    while let Some(group) = groups.next() {
        let digits = if groups.peek().is_some() {
            group.strip_prefix('x')?
        } else {
            group
        };
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    // Writing it again settles every question of spelling: leading groups of
    // zeros, a partial tile of width 0 or 256.
    (width > 0 && index_and_width(index, width) == text).then_some((index, width))
}

/// A decimal number without sign and without leading zeros.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}
