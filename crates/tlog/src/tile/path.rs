//! The names of tiles and entry bundles.
//!
//! C2SP tlog-tiles: `tile/<L>/<N>[.p/<W>]` and `tile/entries/<N>[.p/<W>]`,
//! where N is written in groups of three digits: 1234067 is `x001/x234/067`.
//! There is one spelling for each; every other is refused.

use alloc::format;
use alloc::string::String;
use core::fmt;

use super::{LEVEL_MAX, TILE_HEIGHT, TILE_WIDTH, TileError, WIDTH, level_size, width_at};

/// Names one tile of hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TilePath {
    pub(crate) level: u8,
    pub(crate) index: u64,
    pub(crate) width: u16,
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
    /// of `size` leaves makes it, and the node's place in it for [`Tile::node`](super::Tile::node).
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
    pub(super) index: u64,
    pub(super) width: u16,
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
        if entry_index >= size {
            return Err(absent);
        }
        let index = entry_index / WIDTH;
        let width = width_at(size, index).ok_or(absent)?;
        // Below 256, so it fits every usize.
        let position = usize::try_from(entry_index % WIDTH).unwrap_or(usize::MAX);
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
    pub(super) height: u8,
    /// Position among the tile's nodes of that height.
    pub(super) position: u64,
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString as _;

    #[test]
    fn names_are_those_of_the_specification() {
        for (level, index, width, name) in [
            (0, 0, 256, "tile/0/000"),
            (0, 0, 1, "tile/0/000.p/1"),
            (63, 999, 255, "tile/63/999.p/255"),
            (1, 1000, 256, "tile/1/x001/000"),
            (2, 1_234_067, 256, "tile/2/x001/x234/067"),
            (0, u64::MAX, 256, "tile/0/x018/x446/x744/x073/x709/x551/615"),
        ] {
            let path = TilePath::new(level, index, width).unwrap();
            assert_eq!(path.to_string(), name);
            assert_eq!(TilePath::parse(name), Ok(path));
            let entries = EntriesPath::new(index, width).unwrap();
            let name = name.replacen(&std::format!("/{level}/"), "/entries/", 1);
            assert_eq!(entries.to_string(), name);
            assert_eq!(EntriesPath::parse(&name), Ok(entries));
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for name in [
            "",
            "tile",
            "tile/",
            "tile/0",
            "tile/0/",
            "tile/0/0",
            "tile/0/0000",
            "tile/0/x000",
            "tile/0/x000/001",
            "tile/0/001/002",
            "tile/0/x001/",
            "tile/0/x01/002",
            "tile/0/+01",
            "tile/0/00a",
            "tile/0/٠٠١",
            "tile/00/001",
            "tile/-1/001",
            "tile/64/001",
            "tile/256/001",
            "tile/0/001.p",
            "tile/0/001.p/",
            "tile/0/001.p/0",
            "tile/0/001.p/01",
            "tile/0/001.p/256",
            "tile/0/001.p/65537",
            "tile/0/001.p/1/",
            "tile/0/001.p/1.p/1",
            "/tile/0/001",
            "tile/0/../000",
            "tile/entries/001/",
            "tile/data/001",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
            "tile/0/x999/x018/x446/x744/x073/x709/x551/615",
        ] {
            assert!(TilePath::parse(name).is_err(), "{name}");
            let name = name.replacen("/0/", "/entries/", 1);
            assert!(EntriesPath::parse(&name).is_err(), "{name}");
        }
        assert!(TilePath::parse("tile/entries/001").is_err());
        assert!(EntriesPath::parse("tile/0/001").is_err());
    }

    #[test]
    fn there_are_no_empty_and_no_wider_tiles() {
        assert!(TilePath::new(0, 0, 0).is_err());
        assert!(TilePath::new(0, 0, 257).is_err());
        assert!(TilePath::new(64, 0, 1).is_err());
        assert!(EntriesPath::new(0, 0).is_err());
        assert!(EntriesPath::new(0, 257).is_err());
    }
}
