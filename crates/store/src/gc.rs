//! Garbage collection: what no pin reaches goes.

use std::collections::HashSet;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

use counterseal_attestation::Sha256Digest;

use crate::blobs::named_hash;
use crate::checkout::{boot_identifier, remove_tree};
use crate::layout::sync_file_system;
use crate::records::Record;
use crate::tree::{DIRECTORY_BYTES_MAX, Directory};
use crate::{Store, StoreError};

/// What a collection found and removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GcReport {
    /// Blobs that a pin reaches.
    pub kept_blobs_count: u64,
    /// Their size.
    pub kept_bytes: u64,
    /// Blobs that were removed.
    pub removed_blobs_count: u64,
    /// Their size, which is the space won (checkouts aside).
    pub removed_bytes: u64,
    /// Action results and derived objects that were removed.
    pub removed_records_count: u64,
    /// Checkouts that were removed.
    pub removed_checkouts_count: u64,
    /// Unfinished files and directories of processes that were killed.
    pub removed_unfinished_count: u64,
}

impl Store {
    /// Removes everything that no pin reaches.
    ///
    /// The rule: what a pin names stays, and if it is a directory object, everything below it,
    /// too. An action result or derived object stays as long as everything that it names stays.
    /// A checkout stays as long as its tree stays and the machine is not restarted. Everything
    /// else goes.
    ///
    /// Killed half-way, it leaves a sound store: records go, durably, before the blobs that
    /// they name.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while another process has the store open or a checkout of this one
    /// lives. [`StoreError::RecordDamaged`] for a pin that cannot be read, and whatever the
    /// system reports of a blob that a pin reaches: nothing is removed then.
    pub fn gc(&mut self) -> Result<GcReport, StoreError> {
        let in_use = || StoreError::InUse {
            path: self.path().to_path_buf(),
        };
        if self.has_live_checkouts() {
            return Err(in_use());
        }
        let collected = if self.lock_exclusively()? {
            self.collect()
        } else {
            Err(in_use())
        };
        self.lock_shared()?;
        collected
    }

    fn collect(&self) -> Result<GcReport, StoreError> {
        let kept = self.mark()?;
        let mut report = GcReport {
            removed_unfinished_count: self.sweep()?,
            ..GcReport::default()
        };
        self.collect_records(&kept, &mut report)?;
        self.collect_checkouts(&kept, &mut report)?;
        sync_file_system(self.path())?;
        self.collect_blobs(&kept, &mut report)?;
        Ok(report)
    }

    /// Everything that pins reach. A damaged or missing object is passed over: collecting must
    /// stay possible in a store that [`Store::check`] complains about.
    fn mark(&self) -> Result<HashSet<Sha256Digest>, StoreError> {
        let mut waiting = Vec::new();
        for entry in list(&self.path().join("pins"))? {
            waiting.extend(Record::read(&entry.path())?.map_or_else(Vec::new, |pin| pin.digests));
        }
        let mut kept = HashSet::new();
        // Files below a directory are marked without being read; only pins may name either.
        let mut read = HashSet::new();
        while let Some(digest) = waiting.pop() {
            kept.insert(digest.hash);
            if !read.insert(digest.hash) || digest.size_bytes > DIRECTORY_BYTES_MAX {
                continue;
            }
            let bytes = match self.load_blob(&digest, DIRECTORY_BYTES_MAX) {
                Ok(bytes) => bytes,
                Err(StoreError::BlobMissing { .. } | StoreError::BlobDamaged { .. }) => continue,
                // Whole, perhaps, and with everything below it: nobody knows what it reaches.
                Err(error) => return Err(error),
            };
            // A pinned file that happens to be a directory message keeps a little more.
            let Ok(directory) = Directory::decode(&bytes) else {
                continue;
            };
            kept.extend(directory.files.iter().map(|node| node.digest.hash));
            waiting.extend(directory.directories.iter().map(|node| node.digest));
        }
        Ok(kept)
    }

    fn collect_records(
        &self,
        kept: &HashSet<Sha256Digest>,
        report: &mut GcReport,
    ) -> Result<(), StoreError> {
        let actions = list(&self.path().join("actions"))?;
        let mut records = list_nested(&self.path().join("derived"))?;
        records.extend(actions.iter().map(DirEntry::path));
        for path in records {
            // A damaged record of a cache is worth nothing.
            let alive = Record::read(&path)
                .ok()
                .flatten()
                .is_some_and(|record| record.digests.iter().all(|d| kept.contains(&d.hash)));
            if !alive {
                remove_tree(&path)?;
                report.removed_records_count += 1;
            }
        }
        Ok(())
    }

    fn collect_checkouts(
        &self,
        kept: &HashSet<Sha256Digest>,
        report: &mut GcReport,
    ) -> Result<(), StoreError> {
        let running = boot_identifier();
        for boot in list(&self.path().join("checkouts"))? {
            if running
                .as_deref()
                .is_none_or(|running| boot.file_name() != running)
            {
                if boot.path().is_dir() {
                    for entry in list(&boot.path())? {
                        report.removed_checkouts_count += u64::from(entry.path().is_dir());
                    }
                }
                remove_tree(&boot.path())?;
                continue;
            }
            for entry in list(&boot.path())? {
                let name = entry.file_name();
                let hash = name
                    .to_str()
                    .and_then(|name| name.split_once('-')?.0.parse().ok());
                if hash.is_none_or(|hash| !kept.contains(&hash)) {
                    report.removed_checkouts_count += u64::from(entry.path().is_dir());
                    self.retire(&entry.path())?;
                }
            }
        }
        Ok(())
    }

    /// Removes a checkout. Whoever is killed half-way must not leave half of it where it would
    /// be believed, so it is moved away first.
    fn retire(&self, path: &Path) -> Result<(), StoreError> {
        let away = self.incoming().join("retired");
        remove_tree(&away)?;
        fs::rename(path, &away).map_err(StoreError::at("move", path))?;
        remove_tree(&away)
    }

    fn collect_blobs(
        &self,
        kept: &HashSet<Sha256Digest>,
        report: &mut GcReport,
    ) -> Result<(), StoreError> {
        for path in list_nested(&self.path().join("blobs"))? {
            let size = fs::symlink_metadata(&path)
                .map_err(StoreError::at("inspect", &path))?
                .len();
            if named_hash(&path).is_some_and(|hash| kept.contains(&hash)) {
                report.kept_blobs_count += 1;
                report.kept_bytes += size;
            } else {
                remove_tree(&path)?;
                report.removed_blobs_count += 1;
                report.removed_bytes += size;
            }
        }
        Ok(())
    }
}

/// A directory's entries, in ascending order.
pub(crate) fn list(path: &Path) -> Result<Vec<DirEntry>, StoreError> {
    let entries = fs::read_dir(path).map_err(StoreError::at("list", path))?;
    let mut entries = entries
        .collect::<Result<Vec<_>, _>>()
        .map_err(StoreError::at("list", path))?;
    entries.sort_by_key(DirEntry::file_name);
    Ok(entries)
}

/// What stands in the directories below `path`, and whatever stands between them and is none.
pub(crate) fn list_nested(path: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut found = Vec::new();
    for entry in list(path)? {
        let path = entry.path();
        if path.is_dir() {
            found.extend(list(&path)?.iter().map(DirEntry::path));
        } else {
            found.push(path);
        }
    }
    Ok(found)
}
