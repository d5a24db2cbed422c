//! The integrity check: everything that a checkpoint covers, recomputed.
//!
//! From the entries up: every entry is hashed and compared with its tile, every
//! tile of every level is built anew and compared byte for byte, the root is
//! compared with the signed checkpoint. Then the directory is walked: partial
//! tiles of earlier sizes must be the beginning of what is there now, and no
//! file may have a name that nobody would look for.
//!
//! What lies beyond the checkpoint, as after a crash, is not part of the record;
//! it is listed, not judged. Nothing records which sizes were published before
//! the current one, so a partial tile of an earlier size that disappeared is
//! not missed.

use std::io;

use counterseal_tlog::checkpoint::Checkpoint;
use counterseal_tlog::edge::{FinishedTile, RightEdge};
use counterseal_tlog::note::{self, NOTE_BYTES_MAX, NoteVerifier};
use counterseal_tlog::tile::{
    BUNDLE_BYTES_MAX, EntriesPath, TILE_BYTES_MAX, TILE_LEVELS, TilePath, bundles_for,
    decode_entries, level_size,
};
use counterseal_tlog::{NodeHash, leaf_hash};

use crate::storage::{Item, ItemKind, LockKind, Storage};
use crate::{Waiting, layout};

mod findings;

pub use findings::{CheckFailure, CheckReport};

/// Checks the record on `storage` against the key of `verifier`.
pub(crate) fn check(
    storage: &dyn Storage,
    verifier: &dyn NoteVerifier,
    waiting: Waiting,
) -> Result<CheckReport, CheckFailure> {
    let disk = Disk { storage };
    // A copy for readers has no state, and nobody appends to it.
    let has_state = disk.list("")?.iter().any(|item| item.name == layout::STATE);
    let lock = has_state
        .then(|| storage.lock(layout::LOCK, LockKind::Shared, waiting))
        .transpose();
    let _lock = lock.map_err(|source| disk.failure(layout::LOCK, source))?;

    let checkpoint = check_checkpoint(&disk, verifier)?;
    let mut report = CheckReport {
        checkpoint: checkpoint.clone(),
        tiles: 0,
        bundles: 0,
        earlier_partials: 0,
        unpublished: Vec::new(),
    };
    recompute(&disk, &checkpoint, &mut report)?;
    if checkpoint.size > 0 || disk.list("")?.iter().any(|item| item.name == layout::TILES) {
        walk(&disk, layout::TILES, &mut report)?;
    }
    if has_state {
        let staged = disk.list(layout::STAGING)?.into_iter();
        let path = |item: Item| storage.display(&format!("{}/{}", layout::STAGING, item.name));
        report.unpublished.extend(staged.map(path));
    }
    Ok(report)
}

fn check_checkpoint(
    disk: &Disk<'_>,
    verifier: &dyn NoteVerifier,
) -> Result<Checkpoint, CheckFailure> {
    let path = || disk.storage.display(layout::CHECKPOINT);
    let bytes = disk.read(layout::CHECKPOINT, NOTE_BYTES_MAX)?;
    let note = String::from_utf8(bytes).map_err(|error| CheckFailure::Unreadable {
        path: path(),
        source: io::Error::new(io::ErrorKind::InvalidData, error),
    })?;
    let opened = note::open(&note, &[verifier]).map_err(|source| CheckFailure::Note {
        path: path(),
        source,
    })?;
    let checkpoint =
        Checkpoint::parse(&opened.text).map_err(|source| CheckFailure::Checkpoint {
            path: path(),
            source,
        })?;
    if checkpoint.origin != verifier.name() {
        return Err(CheckFailure::Origin {
            expected: verifier.name().into(),
            found: checkpoint.origin,
        });
    }
    Ok(checkpoint)
}

/// Builds the tree from the entries and compares it with the files.
fn recompute(
    disk: &Disk<'_>,
    checkpoint: &Checkpoint,
    report: &mut CheckReport,
) -> Result<(), CheckFailure> {
    let mut edge = RightEdge::empty();
    for path in bundles_for(0, checkpoint.size) {
        for tile in check_bundle(disk, &path, &mut edge)? {
            compare_tile(disk, &tile)?;
            report.tiles += 1;
        }
        report.bundles += 1;
    }
    for tile in edge.partial_tiles() {
        compare_tile(disk, &tile)?;
        report.tiles += 1;
    }
    let found = edge.root();
    if found == checkpoint.root {
        Ok(())
    } else {
        Err(CheckFailure::Root {
            size: checkpoint.size,
            expected: checkpoint.root,
            found,
        })
    }
}

/// Compares the entries of a bundle with their leaf hashes and adds them to the
/// tree; returns the tiles that are full now.
fn check_bundle(
    disk: &Disk<'_>,
    path: &EntriesPath,
    edge: &mut RightEdge,
) -> Result<Vec<FinishedTile>, CheckFailure> {
    let name = path.to_path();
    let bytes = disk.read(&name, BUNDLE_BYTES_MAX)?;
    let entries = decode_entries(&bytes, path.width()).map_err(|source| CheckFailure::Bundle {
        path: disk.storage.display(&name),
        source,
    })?;
    // Level 0 has a tile for every bundle, with the same index and width.
    let tile = name.replacen("entries", "0", 1);
    let leaves = disk.read(&tile, TILE_BYTES_MAX)?;
    let expected_bytes = entries.len() * 32;
    if leaves.len() != expected_bytes {
        return Err(CheckFailure::TileSize {
            path: disk.storage.display(&tile),
            expected_bytes,
            found_bytes: leaves.len(),
        });
    }
    let mut finished = Vec::new();
    for (entry, expected) in entries.iter().zip(leaves.as_chunks::<32>().0) {
        let leaf = leaf_hash(entry);
        if leaf.as_bytes() != expected {
            return Err(CheckFailure::Entry {
                index: edge.size(),
                bundle: disk.storage.display(&name),
                tile: disk.storage.display(&tile),
            });
        }
        finished.extend(edge.push(leaf));
    }
    Ok(finished)
}

fn compare_tile(disk: &Disk<'_>, tile: &FinishedTile) -> Result<(), CheckFailure> {
    let name = tile.path.to_path();
    let found = disk.read(&name, TILE_BYTES_MAX)?;
    let path = disk.storage.display(&name);
    if found.len() != tile.bytes.len() {
        return Err(CheckFailure::TileSize {
            path,
            expected_bytes: tile.bytes.len(),
            found_bytes: found.len(),
        });
    }
    let pairs = tile
        .bytes
        .as_chunks::<32>()
        .0
        .iter()
        .zip(found.as_chunks::<32>().0);
    for (position, (expected, found)) in pairs.enumerate() {
        if expected != found {
            let (expected, found) = (NodeHash(*expected), NodeHash(*found));
            return Err(CheckFailure::Hash {
                path,
                position,
                expected,
                found,
            });
        }
    }
    Ok(())
}

/// Looks at everything below a directory of tiles.
///
/// Directories are as deep as tile names can make them, so the recursion ends.
fn walk(disk: &Disk<'_>, directory: &str, report: &mut CheckReport) -> Result<(), CheckFailure> {
    for item in disk.list(directory)? {
        let name = format!("{directory}/{}", item.name);
        match item.kind {
            ItemKind::Directory if name.split('/').count() <= COMPONENTS_MAX => {
                walk(disk, &name, report)?;
            }
            ItemKind::File => judge(disk, &name, report)?,
            _ => {
                return Err(CheckFailure::Stray {
                    path: disk.storage.display(&name),
                });
            }
        }
    }
    Ok(())
}

/// `tile/<L>`, at most seven groups of digits, `<W>`.
const COMPONENTS_MAX: usize = 10;

/// Looks at one file below `tile/`. What the checkpoint calls for was compared
/// already.
fn judge(disk: &Disk<'_>, name: &str, report: &mut CheckReport) -> Result<(), CheckFailure> {
    let size = report.checkpoint.size;
    let known = known_file(name, size).ok_or_else(|| CheckFailure::Stray {
        path: disk.storage.display(name),
    })?;
    match known {
        Known::Current => Ok(()),
        Known::Beyond => {
            report.unpublished.push(disk.storage.display(name));
            Ok(())
        }
        Known::Earlier { current, bytes_max } => {
            compare_beginning(disk, name, &current, bytes_max)?;
            report.earlier_partials += 1;
            Ok(())
        }
    }
}

/// What a file below `tile/` is in relation to the checkpoint.
enum Known {
    /// A tile or bundle of the current size.
    Current,
    /// One of a size that was never published.
    Beyond,
    /// One of an earlier size.
    Earlier { current: String, bytes_max: usize },
}

fn known_file(name: &str, size: u64) -> Option<Known> {
    let (count, index, width, bytes_max) = if let Ok(path) = EntriesPath::parse(name) {
        (size, path.index(), path.width(), BUNDLE_BYTES_MAX)
    } else {
        let path = TilePath::parse(name)
            .ok()
            .filter(|path| path.level() < TILE_LEVELS)?;
        (
            level_size(path.level(), size),
            path.index(),
            path.width(),
            TILE_BYTES_MAX,
        )
    };
    // What the checkpoint calls for at this index, in the width of the file's kind.
    let Ok((current, _)) = EntriesPath::for_entry(index.saturating_mul(256), count) else {
        return Some(Known::Beyond);
    };
    if width == current.width() {
        return Some(Known::Current);
    }
    if width > current.width() {
        return Some(Known::Beyond);
    }
    let stem = name.split_once(".p/").map_or(name, |(stem, _)| stem);
    let current = if current.is_full() {
        stem.to_owned()
    } else {
        format!("{stem}.p/{}", current.width())
    };
    Some(Known::Earlier { current, bytes_max })
}

/// An earlier partial tile, or bundle, must be whole and the beginning of the current one.
fn compare_beginning(
    disk: &Disk<'_>,
    name: &str,
    current: &str,
    bytes_max: usize,
) -> Result<(), CheckFailure> {
    let earlier = disk.read(name, bytes_max)?;
    let whole = match EntriesPath::parse(name) {
        Ok(path) => decode_entries(&earlier, path.width()).is_ok(),
        Err(_) => {
            TilePath::parse(name).is_ok_and(|path| earlier.len() == usize::from(path.width()) * 32)
        }
    };
    if whole && disk.read(current, bytes_max)?.starts_with(&earlier) {
        Ok(())
    } else {
        Err(CheckFailure::EarlierPartial {
            path: disk.storage.display(name),
            current: disk.storage.display(current),
        })
    }
}

/// Storage whose errors are findings.
struct Disk<'a> {
    storage: &'a dyn Storage,
}

impl Disk<'_> {
    fn read(&self, name: &str, bytes_max: usize) -> Result<Vec<u8>, CheckFailure> {
        self.storage
            .read(name, bytes_max)
            .map_err(|source| self.failure(name, source))
    }

    fn list(&self, name: &str) -> Result<Vec<Item>, CheckFailure> {
        self.storage
            .list(name)
            .map_err(|source| self.failure(name, source))
    }

    fn failure(&self, name: &str, source: io::Error) -> CheckFailure {
        let path = self.storage.display(name);
        if source.kind() == io::ErrorKind::NotFound {
            CheckFailure::Missing { path }
        } else {
            CheckFailure::Unreadable { path, source }
        }
    }
}
