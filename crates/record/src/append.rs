//! One batch: from entries to a checkpoint that covers them.
//!
//! The caller holds the lock. The order is what makes it safe to stop at any
//! point; see the crate's documentation for the story.

use std::collections::{BTreeSet, HashMap};

use counterseal_tlog::NodeHash;
use counterseal_tlog::checkpoint::Checkpoint;
use counterseal_tlog::edge::RightEdge;
use counterseal_tlog::leaf_hash;
use counterseal_tlog::note::{self, NoteSignature, NoteSigner};
use counterseal_tlog::tile::{
    ENTRY_BYTES_MAX, EntriesPath, TILE_LEVELS, TILE_WIDTH, TilePath, bundles_for, encode_entries,
    level_size, tiles_for,
};

use crate::SignedCheckpoint;
use crate::error::RecordError;
use crate::index::Index;
use crate::layout;
use crate::reader::{Reader, read_bundle, read_tile, storage_error};
use crate::storage::{ItemKind, Storage};

/// What a batch comes down to once known entries are found.
pub(crate) struct Batch<'e> {
    /// For each entry of the batch its index in the record.
    pub(crate) indices: Vec<u64>,
    /// The entries that are new, in the order of their indices.
    new: Vec<&'e [u8]>,
}

impl<'e> Batch<'e> {
    /// Tells new entries from known ones; the index must be caught up.
    pub(crate) fn sort_out<E: AsRef<[u8]>>(
        entries: &'e [E],
        index: &Index,
        reader: &Reader<'_>,
    ) -> Result<Self, RecordError> {
        let mut batch = Self {
            indices: Vec::with_capacity(entries.len()),
            new: Vec::new(),
        };
        let mut within: HashMap<&[u8], u64> = HashMap::new();
        let mut next = index.edge().size();
        for entry in entries {
            let entry = entry.as_ref();
            let position = if let Some(position) = find_confirmed(entry, index, reader)? {
                position
            } else if let Some(position) = within.get(entry) {
                *position
            } else {
                within.insert(entry, next);
                batch.new.push(entry);
                next += 1;
                next - 1
            };
            batch.indices.push(position);
        }
        Ok(batch)
    }

    /// Whether there is nothing to record.
    pub(crate) fn is_known(&self) -> bool {
        self.new.is_empty()
    }
}

/// Looks an entry up, and compares what is stored.
pub(crate) fn find_confirmed(
    entry: &[u8],
    index: &Index,
    reader: &Reader<'_>,
) -> Result<Option<u64>, RecordError> {
    let Some(position) = index.position(entry) else {
        return Ok(None);
    };
    if reader.entry(position)? == entry {
        Ok(Some(position))
    } else {
        // Equal leaf hashes, unequal bytes: nobody can make that but by damage.
        Err(RecordError::Contradiction { index: position })
    }
}

/// Refuses a checkpoint that is not the signer's own. Its signatures follow from key and text alone
/// (RFC 8032, section 5.1.6), so that signing again tells.
pub(crate) fn check_signer(
    storage: &dyn Storage,
    current: &SignedCheckpoint,
    signer: &dyn NoteSigner,
) -> Result<(), RecordError> {
    let is_signers =
        |line: &&NoteSignature| line.name == signer.name() && line.key_id == signer.key_id();
    let Some(line) = current.signatures.iter().find(is_signers) else {
        let name = signer.name().into();
        return Err(RecordError::SignerKey {
            name,
            key_id: signer.key_id(),
        });
    };
    let again = sign_checkpoint(current.checkpoint.clone(), signer)?;
    if again.signatures.first() != Some(line) {
        return Err(RecordError::SignerSignature {
            path: storage.display(layout::CHECKPOINT),
        });
    }
    Ok(())
}

/// Refuses entries that no bundle can hold.
pub(crate) fn check_lengths<E: AsRef<[u8]>>(entries: &[E]) -> Result<(), RecordError> {
    match entries
        .iter()
        .position(|entry| entry.as_ref().len() > ENTRY_BYTES_MAX)
    {
        None => Ok(()),
        Some(position) => {
            let found_bytes = entries[position].as_ref().len();
            Err(RecordError::EntryTooLong {
                position,
                found_bytes,
            })
        }
    }
}

/// Removes what an interrupted appender left on its way.
pub(crate) fn empty_staging(storage: &dyn Storage) -> Result<(), RecordError> {
    let list = storage.list(layout::STAGING);
    for item in list.map_err(|e| storage_error(storage, "list", layout::STAGING, e))? {
        let name = format!("{}/{}", layout::STAGING, item.name);
        storage
            .remove_file(&name)
            .map_err(|e| storage_error(storage, "remove", &name, e))?;
    }
    Ok(())
}

/// Compares what the next batch will build on with the leaves: the partial
/// tiles of every level, and the entries of the partial bundle.
pub(crate) fn check_right_edge(storage: &dyn Storage, edge: &RightEdge) -> Result<(), RecordError> {
    let size = edge.size();
    for tile in edge.partial_tiles() {
        if read_tile(storage, &tile.path)? != tile.bytes {
            return Err(RecordError::Edge { size });
        }
    }
    Ok(())
}

/// Records the new entries of a batch. When this returns, they are durable.
pub(crate) fn commit(
    storage: &dyn Storage,
    index: &mut Index,
    current: &SignedCheckpoint,
    batch: &Batch<'_>,
    signer: &dyn NoteSigner,
) -> Result<SignedCheckpoint, RecordError> {
    let old_size = current.checkpoint.size;
    let leaves: Vec<NodeHash> = batch.new.iter().map(|entry| leaf_hash(entry)).collect();
    let mut edge = index.edge().clone();
    let mut files = Vec::new();
    for leaf in &leaves {
        files.extend(
            edge.push(*leaf)
                .into_iter()
                .map(|tile| (tile.path.to_path(), tile.bytes)),
        );
    }
    let new_size = edge.size();
    let grown: BTreeSet<TilePath> = tiles_for(old_size, new_size).collect();
    let partial = edge
        .partial_tiles()
        .filter(|tile| grown.contains(&tile.path));
    files.extend(partial.map(|tile| (tile.path.to_path(), tile.bytes)));
    files.extend(bundles(storage, old_size, new_size, &batch.new, index)?);

    // 1. Everything that the checkpoint will cover, durable.
    publish(storage, &files)?;
    // 2. The checkpoint. Its new name is the commit.
    let checkpoint = Checkpoint {
        origin: current.checkpoint.origin.clone(),
        size: new_size,
        root: edge.root(),
    };
    let published = sign_checkpoint(checkpoint, signer)?;
    publish(
        storage,
        &[(
            layout::CHECKPOINT.into(),
            published.note.clone().into_bytes(),
        )],
    )?;
    // 3. What nobody needs any more. Failing to tidy up harms nothing.
    index.adopt(edge, &leaves);
    sweep(storage, old_size, new_size);
    Ok(published)
}

/// Signs a checkpoint.
pub(crate) fn sign_checkpoint(
    checkpoint: Checkpoint,
    signer: &dyn NoteSigner,
) -> Result<SignedCheckpoint, RecordError> {
    let note = note::sign(&checkpoint.to_text(), &[signer]).map_err(RecordError::Signing)?;
    let signatures = note::Note::parse(&note)
        .map_err(RecordError::Signing)?
        .signatures;
    Ok(SignedCheckpoint {
        checkpoint,
        signatures,
        note,
    })
}

/// The entry bundles that a batch changes, the first one with what it held before.
fn bundles(
    storage: &dyn Storage,
    old_size: u64,
    new_size: u64,
    new: &[&[u8]],
    index: &Index,
) -> Result<Vec<(String, Vec<u8>)>, RecordError> {
    let width = old_size % u64::from(TILE_WIDTH);
    let mut before = Vec::new();
    // A width of 0 is no bundle: the batch begins a new one.
    let partial = u16::try_from(width).ok();
    let partial = partial.and_then(|w| EntriesPath::new(old_size / u64::from(TILE_WIDTH), w).ok());
    if let Some(path) = partial {
        before = read_bundle(storage, &path)?;
        let first = old_size - width;
        check_before(&before, first, index)?;
    }
    let mut all = before.iter().map(Vec::as_slice).chain(new.iter().copied());
    bundles_for(old_size, new_size)
        .map(|path| {
            let entries: Vec<&[u8]> = all.by_ref().take(usize::from(path.width())).collect();
            let bytes = encode_entries(&entries).map_err(|source| RecordError::Tile {
                path: storage.display(&path.to_path()),
                source,
            })?;
            Ok((path.to_path(), bytes))
        })
        .collect()
}

/// What is carried over into a wider bundle must be what its leaves say.
fn check_before(before: &[Vec<u8>], first: u64, index: &Index) -> Result<(), RecordError> {
    let tiles = index.edge().partial_tiles().next();
    let leaves = tiles.map_or(Vec::new(), |tile| tile.bytes);
    for (position, (entry, leaf)) in (first..).zip(before.iter().zip(leaves.as_chunks::<32>().0)) {
        if leaf_hash(entry).as_bytes() != leaf {
            return Err(RecordError::Contradiction { index: position });
        }
    }
    Ok(())
}

/// Writes files so that each appears whole and all are durable on return.
pub(crate) fn publish(
    storage: &dyn Storage,
    files: &[(String, Vec<u8>)],
) -> Result<(), RecordError> {
    let failed = |operation, name: &str, source| storage_error(storage, operation, name, source);
    for (number, (name, bytes)) in files.iter().enumerate() {
        let staged = format!("{}/{number}", layout::STAGING);
        storage
            .write_synced(&staged, bytes)
            .map_err(|e| failed("write", name, e))?;
    }
    // Directories whose names changed. Those above are synced even if they
    // existed: whoever made them may have died before doing so.
    let directories: BTreeSet<&str> = files
        .iter()
        .flat_map(|(name, _)| layout::ancestors(name))
        .collect();
    for directory in directories.iter().filter(|name| !name.is_empty()) {
        storage
            .create_directory(directory)
            .map_err(|e| failed("create", directory, e))?;
    }
    for (number, (name, _)) in files.iter().enumerate() {
        let staged = format!("{}/{number}", layout::STAGING);
        storage
            .rename(&staged, name)
            .map_err(|e| failed("write", name, e))?;
    }
    for directory in directories.iter().rev() {
        storage
            .sync_directory(directory)
            .map_err(|e| failed("sync", directory, e))?;
    }
    Ok(())
}

/// Removes partial tiles and bundles that a published full one replaces.
fn sweep(storage: &dyn Storage, old_size: u64, new_size: u64) {
    let width = u64::from(TILE_WIDTH);
    for level in 0..TILE_LEVELS {
        let index = level_size(level, old_size) / width;
        if index < level_size(level, new_size) / width
            && let Ok(tile) = TilePath::new(level, index, TILE_WIDTH)
        {
            remove_partials(storage, &tile.to_path());
        }
    }
    if old_size / width < new_size / width
        && let Ok(bundle) = EntriesPath::new(old_size / width, TILE_WIDTH)
    {
        remove_partials(storage, &bundle.to_path());
    }
}

fn remove_partials(storage: &dyn Storage, full: &str) {
    let directory = format!("{full}.p");
    for item in storage.list(&directory).unwrap_or_default() {
        if item.kind == ItemKind::File {
            let _ = storage.remove_file(&format!("{directory}/{}", item.name));
        }
    }
    let _ = storage.remove_directory(&directory);
}
