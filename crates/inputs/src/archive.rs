//! Input archives: the bytes of a lock in a plain directory, to be kept beside a release.
//!
//! ```text
//! DIR/sha256/HEX      one file for each blob, named by its SHA-256
//! ```
//! A locked directory is there as its tree: each `Directory` message (REAPI v2) and each file is a
//! blob of its own. Nothing else is needed: the lock says which blob is what. An archive is only a
//! place to read from, so every byte of it is checked again when it is used.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use counterseal_store::tree;
use counterseal_store::{Digest, Draft, Store, StoreError, open_regular, remove_abandoned_drafts};

use crate::error::{InputsError, io};
use crate::lock::{Lock, LockedKind};
use crate::obtain::Context;
use crate::transfer::TransferError;

/// A draft is private; an archive is for others.
const BLOB_MODE: u32 = 0o644;

/// What [`write_archive`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ArchiveReport {
    /// Blobs in the archive for this lock.
    pub items: u64,
    /// Their total size.
    pub bytes: u64,
    /// Blobs among them that had to be written now.
    pub written_items: u64,
}

/// Where an archive keeps a blob.
pub(crate) fn blob_path(directory: &Path, digest: &Digest) -> PathBuf {
    directory.join("sha256").join(digest.hash.to_string())
}

/// Writes every blob of `lock` from the store into the archive `directory`, which is made if
/// need be. Blobs that are there already are left alone; others appear only when complete. What an
/// earlier run left unfinished is removed.
///
/// # Errors
/// A blob that the store does not hold or that is damaged, and whatever writing reports.
pub fn write_archive(
    lock: &Lock,
    store: &Store,
    directory: &Path,
) -> Result<ArchiveReport, InputsError> {
    let mut digests = BTreeSet::new();
    for input in &lock.inputs {
        for item in &input.items {
            digests.insert(item.digest());
            if input.kind == LockedKind::Directory {
                for entry in tree::walk(store, &item.digest())? {
                    match entry.kind {
                        tree::WalkKind::Directory { digest }
                        | tree::WalkKind::File { digest, .. } => {
                            digests.insert(digest);
                        }
                        tree::WalkKind::Symlink { .. } => {}
                    }
                }
            }
        }
    }
    let blobs = directory.join("sha256");
    std::fs::create_dir_all(&blobs).map_err(|error| io("create", &blobs, error))?;
    remove_abandoned_drafts(&blobs);
    let mut report = ArchiveReport::default();
    for digest in digests {
        report.items += 1;
        report.bytes += digest.size_bytes;
        if write_blob(store, &digest, directory)? {
            report.written_items += 1;
        }
    }
    std::fs::File::open(&blobs)
        .and_then(|blobs| blobs.sync_all())
        .map_err(|error| io("flush", &blobs, error))?;
    Ok(report)
}

fn write_blob(store: &Store, digest: &Digest, directory: &Path) -> Result<bool, InputsError> {
    let path = blob_path(directory, digest);
    // Whatever else has the place of a blob is written over, or said to be in the way.
    if let Ok(file) = open_regular(&path) {
        let found = Digest::of_reader(file).map_err(|error| io("read", &path, error))?;
        if found == *digest {
            return Ok(false);
        }
    }
    let blobs = directory.join("sha256");
    let fail = |error| io("write", &path, error);
    let mut draft = Draft::begin(&blobs).map_err(fail)?;
    match store.copy_blob(digest, draft.file_mut()) {
        Err(StoreError::Output { source }) => return Err(fail(source)),
        result => result?,
    }
    draft.finish(&path, BLOB_MODE).map_err(fail)?;
    Ok(true)
}

impl Context<'_> {
    /// Copies a whole tree from the first archive that holds its root; `false` when none does.
    ///
    /// The tree's own limits on depth and size apply: each directory message is decoded strictly
    /// before its children are looked for.
    pub(crate) fn obtain_tree(&self, root: &Digest) -> Result<bool, InputsError> {
        let mut holder = None;
        for archive in &self.sources.archives {
            let path = blob_path(archive, root);
            if path
                .try_exists()
                .map_err(|error| io("open", &path, error))?
            {
                holder = Some(archive);
                break;
            }
        }
        let Some(archive) = holder else {
            return Ok(false);
        };
        let mut seen = BTreeSet::new();
        let mut waiting = vec![*root];
        while let Some(digest) = waiting.pop() {
            if !seen.insert(digest) {
                continue;
            }
            if seen.len() > tree::ENTRIES_MAX {
                return Err(StoreError::Tree(tree::TreeError::TooManyEntries).into());
            }
            self.copy_from(archive, &digest)?;
            let directory = self.store.directory(&digest)?;
            for node in &directory.files {
                if seen.insert(node.digest) {
                    self.copy_from(archive, &node.digest)?;
                }
            }
            waiting.extend(directory.directories.iter().map(|node| node.digest));
        }
        Ok(true)
    }

    fn copy_from(&self, archive: &Path, digest: &Digest) -> Result<(), InputsError> {
        if self.store.contains(digest)? {
            return Ok(());
        }
        let path = blob_path(archive, digest);
        if self.copy(&path, digest)? {
            return Ok(());
        }
        let place = path.display().to_string();
        Err(TransferError::Incomplete { place }.into())
    }
}
