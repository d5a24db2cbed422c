//! Re-reading everything: does each blob still hold what its name says, does each record still
//! refer to something, does each checkout of the running boot still equal its tree.

use std::collections::HashSet;
use std::fs::DirEntry;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use counterseal_attestation::UnixSeconds;

use crate::blobs::named_hash;
use crate::checkout::{boot_identifier, take_turn};
use crate::gc::{list, list_nested};
use crate::inspection::{Deviation, inspect};
use crate::parallel::{self, Threads};
use crate::records::Record;
use crate::regular::open_regular;
use crate::tree::{DIRECTORY_BYTES_MAX, Directory, walk_untouched};
use crate::{Digest, Store, StoreError};

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Blobs that were hashed, damaged ones included.
    pub blobs_count: u64,
    /// Their size.
    pub blobs_bytes: u64,
    /// Pins, action results and derived objects that were read.
    pub records_count: u64,
    /// Checkouts of the running boot that were compared with their trees.
    pub checkouts_count: u64,
    /// What is wrong, in the order of the paths.
    pub problems: Vec<Problem>,
}

impl CheckReport {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

/// One thing that is wrong with a store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A blob's bytes do not have the hash that is its name.
    #[error("{}: damaged blob: found sha256:{} ({} bytes)", path.display(), found.hash, found.size_bytes)]
    BlobDamaged {
        /// The blob's file, relative to the store.
        path: PathBuf,
        /// What its bytes are.
        found: Digest,
    },
    /// A blob cannot be read at all.
    #[error("{}: unreadable blob: {reason}", path.display())]
    BlobUnreadable {
        /// The blob's file, relative to the store.
        path: PathBuf,
        /// What the operating system reported.
        reason: String,
    },
    /// A blob can be written to by somebody.
    #[error("{}: blob is writable (mode {mode:04o})", path.display())]
    BlobWritable {
        /// The blob's file, relative to the store.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Something that the store did not put there.
    #[error("{}: does not belong into a store", path.display())]
    Foreign {
        /// The file, relative to the store.
        path: PathBuf,
    },
    /// A pin or cache record cannot be read.
    #[error("{}: damaged record", path.display())]
    RecordDamaged {
        /// The record's file, relative to the store.
        path: PathBuf,
    },
    /// A checkout does not equal its tree. It is made anew when it is needed next.
    #[error("{}: damaged checkout: \"{}\" {defect}", path.display(), below.escape_debug())]
    CheckoutDamaged {
        /// The checkout's root, relative to the store.
        path: PathBuf,
        /// The first deviation that was found, relative to the root; empty for the root itself.
        below: String,
        /// What is wrong there.
        defect: String,
    },
    /// A record refers, directly or through directory objects, to a blob that is absent.
    #[error("{}: refers to sha256:{} ({} bytes), which is missing", path.display(), missing.hash, missing.size_bytes)]
    Dangling {
        /// The record's file, relative to the store.
        path: PathBuf,
        /// The absent blob.
        missing: Digest,
    },
}

impl Store {
    /// Hashes every blob, follows every record and compares every checkout of the running boot
    /// with its tree. Changes nothing that is stored, and waits for whoever makes a checkout, by the
    /// lock beside it; other processes may go on.
    ///
    /// # Errors
    /// Only if the store's directories cannot be listed; what is wrong with the content is in
    /// the report.
    pub fn check(&self) -> Result<CheckReport, StoreError> {
        let mut report = CheckReport::default();
        self.check_blobs(&mut report)?;
        self.check_records(&mut report)?;
        self.check_checkouts(&mut report)?;
        report.problems.sort();
        Ok(report)
    }

    fn check_blobs(&self, report: &mut CheckReport) -> Result<(), StoreError> {
        let files = list_nested(&self.path().join("blobs"))?;
        let shared = Mutex::new(report);
        parallel::for_each(files.len(), Threads::All, || {
            |index| {
                let (size_bytes, problem) = self.check_blob(&files[index]);
                // Nothing panics while it holds the lock.
                let mut report = shared
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                report.blobs_count += 1;
                report.blobs_bytes += size_bytes;
                report.problems.extend(problem);
                Ok(())
            }
        })
    }

    fn check_blob(&self, full: &Path) -> (u64, Option<Problem>) {
        let path = self.shown(full);
        let metadata = match std::fs::symlink_metadata(full) {
            Ok(metadata) => metadata,
            Err(error) => {
                return (
                    0,
                    Some(Problem::BlobUnreadable {
                        path,
                        reason: error.to_string(),
                    }),
                );
            }
        };
        let Some(named) = named_hash(full).filter(|_| metadata.is_file()) else {
            return (0, Some(Problem::Foreign { path }));
        };
        let mode = metadata.permissions().mode() & 0o7777;
        match open_regular(full).and_then(Digest::of_reader) {
            Err(error) => (
                0,
                Some(Problem::BlobUnreadable {
                    path,
                    reason: error.to_string(),
                }),
            ),
            Ok(found) if found.hash != named => {
                (found.size_bytes, Some(Problem::BlobDamaged { path, found }))
            }
            Ok(found) if mode & 0o222 != 0 => {
                (found.size_bytes, Some(Problem::BlobWritable { path, mode }))
            }
            Ok(found) => (found.size_bytes, None),
        }
    }

    fn check_records(&self, report: &mut CheckReport) -> Result<(), StoreError> {
        let mut files = list_nested(&self.path().join("derived"))?;
        for flat in ["pins", "actions"] {
            files.extend(list(&self.path().join(flat))?.iter().map(DirEntry::path));
        }
        let mut known = HashSet::new();
        for file in files {
            let path = self.shown(&file);
            let Ok(Some(record)) = Record::read(&file) else {
                report.problems.push(Problem::RecordDamaged { path });
                continue;
            };
            report.records_count += 1;
            for digest in &record.digests {
                if let Some(missing) = self.missing_from(digest, &mut known)? {
                    report.problems.push(Problem::Dangling {
                        path: path.clone(),
                        missing,
                    });
                }
            }
        }
        Ok(())
    }

    /// Checkouts of other boots are not looked at: nobody uses them.
    fn check_checkouts(&self, report: &mut CheckReport) -> Result<(), StoreError> {
        let Some(boot) = boot_identifier() else {
            return Ok(());
        };
        let home = self.path().join("checkouts").join(boot);
        if !home.is_dir() {
            return Ok(());
        }
        for entry in list(&home)? {
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            let Some((tree, mtime)) = parse_key(name.strip_suffix(".lock").unwrap_or(name)) else {
                let path = self.shown(&entry.path());
                report.problems.push(Problem::Foreign { path });
                continue;
            };
            if name.strip_suffix(".lock").is_some() {
                continue;
            }
            // Else one that is being replaced would seem to be damaged.
            let _turn = take_turn(&home, name)?;
            let root = entry.path().join("tree");
            let found = match walk_untouched(self, &tree) {
                Ok(entries) => inspect(&entries, mtime, &root, Threads::All)
                    .map_err(|Deviation { path, defect }| (path, defect.to_owned())),
                Err(error) => Err((
                    String::new(),
                    format!("cannot be compared with its tree: {error}"),
                )),
            };
            report.checkouts_count += 1;
            if let Err((below, defect)) = found {
                report.problems.push(Problem::CheckoutDamaged {
                    path: self.shown(&root),
                    below,
                    defect,
                });
            }
        }
        Ok(())
    }

    /// Like `missing_below`, for what may also be a plain file; damage is reported elsewhere.
    fn missing_from(
        &self,
        digest: &Digest,
        known: &mut HashSet<Digest>,
    ) -> Result<Option<Digest>, StoreError> {
        if !self.contains(digest)? {
            return Ok(Some(*digest));
        }
        if digest.size_bytes > DIRECTORY_BYTES_MAX {
            return Ok(None);
        }
        let is_directory = self
            .load_blob(digest, DIRECTORY_BYTES_MAX)
            .is_ok_and(|bytes| Directory::decode(&bytes).is_ok());
        if !is_directory {
            return Ok(None);
        }
        self.missing_below(digest, known).or(Ok(None))
    }

    fn shown(&self, path: &Path) -> PathBuf {
        path.strip_prefix(self.path()).unwrap_or(path).to_path_buf()
    }
}

/// Reads the name of a checkout: HASH-SIZE-MTIME.
fn parse_key(name: &str) -> Option<(Digest, UnixSeconds)> {
    let mut parts = name.splitn(3, '-');
    let hash = parts.next()?.parse().ok()?;
    let size_bytes = parts.next()?.parse().ok()?;
    let mtime = parts.next()?.parse().ok()?;
    Some((Digest { hash, size_bytes }, UnixSeconds(mtime)))
}
