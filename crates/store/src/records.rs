//! Small records that refer to blobs: pins, action results, derived objects.
//!
//! All have one form, a text that anybody can read:
//! ```text
//! counterseal record 1
//! HASH/SIZE            one line for each blob referred to, order preserved
//! sum HASH             SHA-256 over the lines above
//! ```
//! An action result is a record whose first line names the result itself, which is a blob like
//! any other; the lines after it are what the result refers to.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use counterseal_attestation::Sha256Digest;
use tempfile::NamedTempFile;

use crate::blobs::write_blob;
use crate::checkout::remove_tree;
use crate::layout::sync_directory;
use crate::regular::open_unlinked;
use crate::{Digest, Store, StoreError};

const HEADER: &str = "counterseal record 1";
/// Size of a record: enough to name some 900,000 blobs.
const RECORD_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Largest opaque action result, in bytes.
pub const ACTION_RESULT_BYTES_MAX: usize = 16 << 20;

impl Store {
    /// Remembers the result of an action, replacing an earlier one. `references` are the blobs
    /// and trees that the result is worth nothing without; they must be in the store.
    ///
    /// # Errors
    /// [`StoreError::BlobMissing`] for an absent reference; [`StoreError::TooLarge`] beyond
    /// [`ACTION_RESULT_BYTES_MAX`]; whatever writing reports.
    pub fn put_action_result(
        &self,
        action: &Digest,
        result: &[u8],
        references: &[Digest],
    ) -> Result<(), StoreError> {
        if result.len() > ACTION_RESULT_BYTES_MAX {
            return Err(StoreError::TooLarge {
                size_bytes_max: ACTION_RESULT_BYTES_MAX as u64,
            });
        }
        self.require(references)?;
        let own = self.put_bytes(result)?;
        let record = Record::new(std::iter::once(own).chain(references.iter().copied()));
        self.write_record(&self.action_path(action), &record)
    }

    /// The remembered result of an action, if it and everything that it refers to is present.
    ///
    /// # Errors
    /// [`StoreError::RecordDamaged`], [`StoreError::BlobDamaged`], and what is damaged is gone.
    pub fn action_result(&self, action: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(record) = cached(&self.action_path(action))? else {
            return Ok(None);
        };
        if !self.holds_all(&record.digests)? {
            return Ok(None);
        }
        match record.digests.first() {
            Some(own) => self
                .read_blob(own, ACTION_RESULT_BYTES_MAX as u64)
                .map(Some),
            None => Err(StoreError::RecordDamaged {
                path: self.action_path(action),
                defect: "it names no result",
            }),
        }
    }

    /// The blobs that the remembered result of an action needs, the result itself first; none if
    /// one of them is missing. Whoever pins them keeps the result.
    ///
    /// # Errors
    /// [`StoreError::RecordDamaged`], and the record is gone.
    pub fn action_result_parts(&self, action: &Digest) -> Result<Vec<Digest>, StoreError> {
        let digests = cached(&self.action_path(action))?.map_or_else(Vec::new, |r| r.digests);
        let is_whole = self.holds_all(&digests)?;
        Ok(if is_whole { digests } else { Vec::new() })
    }

    /// What was made of a source, if it is still present.
    ///
    /// # Errors
    /// [`StoreError::NameInvalid`]; [`StoreError::RecordDamaged`], and the record is gone.
    pub fn derived(&self, kind: &str, key: &Sha256Digest) -> Result<Option<Digest>, StoreError> {
        plain_name(kind)?;
        let path = self.derived_path(kind, key);
        let Some(record) = cached(&path)? else {
            return Ok(None);
        };
        let [value] = record.digests[..] else {
            return Err(StoreError::RecordDamaged {
                path,
                defect: "it must name one blob",
            });
        };
        Ok(self.contains(&value)?.then_some(value))
    }

    /// Keeps blobs and trees from being collected, replacing what the pin held before. To let them
    /// go, remove the file `pins/NAME`.
    ///
    /// # Errors
    /// [`StoreError::NameInvalid`], [`StoreError::BlobMissing`] for an absent root.
    pub fn pin(&self, name: &str, roots: &[Digest]) -> Result<(), StoreError> {
        plain_name(name)?;
        self.require(roots)?;
        let pins = self.path().join("pins");
        self.write_record(&pins.join(name), &Record::new(roots.iter().copied()))?;
        sync_directory(&pins)
    }

    pub(crate) fn derived_path(&self, kind: &str, key: &Sha256Digest) -> PathBuf {
        self.path().join("derived").join(kind).join(key.to_string())
    }

    fn holds_all(&self, digests: &[Digest]) -> Result<bool, StoreError> {
        for digest in digests {
            if !self.contains(digest)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn require(&self, digests: &[Digest]) -> Result<(), StoreError> {
        for digest in digests {
            if !self.contains(digest)? {
                return Err(StoreError::BlobMissing { digest: *digest });
            }
        }
        Ok(())
    }

    fn action_path(&self, action: &Digest) -> PathBuf {
        self.path()
            .join("actions")
            .join(format!("{}-{}", action.hash, action.size_bytes))
    }

    fn write_record(&self, path: &Path, record: &Record) -> Result<(), StoreError> {
        let file = write_blob(&self.incoming(), &record.to_bytes())?;
        file.as_file()
            .sync_all()
            .map_err(StoreError::at("flush", file.path()))?;
        Record::replace(file, path)
    }
}

/// Reads a record of a cache. A damaged one is taken away, so that whoever comes next makes it
/// anew; if that fails, it is reported again.
fn cached(path: &Path) -> Result<Option<Record>, StoreError> {
    Record::read(path).inspect_err(|error| {
        if matches!(error, StoreError::RecordDamaged { .. }) {
            let _ = remove_tree(path);
        }
    })
}

/// A record's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) digests: Vec<Digest>,
}

impl Record {
    pub(crate) fn new(digests: impl IntoIterator<Item = Digest>) -> Self {
        Self {
            digests: digests.into_iter().collect(),
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("{HEADER}\n");
        for digest in &self.digests {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{digest}");
        }
        let sum = Sha256Digest::of(text.as_bytes());
        format!("{text}sum {sum}\n").into_bytes()
    }

    pub(crate) fn read(path: &Path) -> Result<Option<Self>, StoreError> {
        let damaged = |defect| StoreError::RecordDamaged {
            path: path.to_path_buf(),
            defect,
        };
        let file = match open_unlinked(path) {
            Ok(Some(file)) => file,
            Ok(None) => return Err(damaged("it is not a file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io("open", path, error)),
        };
        let mut text = Vec::new();
        file.take(RECORD_BYTES_MAX + 1)
            .read_to_end(&mut text)
            .map_err(StoreError::at("read", path))?;
        if text.len() as u64 > RECORD_BYTES_MAX {
            return Err(damaged("it is too large"));
        }
        let text = String::from_utf8(text).map_err(|_| damaged("it is not text"))?;
        Self::parse(&text).map(Some).map_err(damaged)
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let body = text.strip_suffix('\n').ok_or("it is cut short")?;
        let (_, last) = body.rsplit_once('\n').ok_or("it is cut short")?;
        let sum = last.strip_prefix("sum ").ok_or("it is cut short")?;
        let summed = &body[..body.len() - last.len()];
        if sum.parse() != Ok(Sha256Digest::of(summed.as_bytes())) {
            return Err("its sum does not match");
        }
        let mut lines = summed.lines();
        if lines.next() != Some(HEADER) {
            return Err("its format is unknown");
        }
        let digests = lines.map(str::parse).collect::<Result<_, _>>();
        Ok(Self {
            digests: digests.map_err(|_| "it holds a malformed digest")?,
        })
    }

    /// Moves a flushed file to a record's place, making the place's directory if need be.
    pub(crate) fn replace(file: NamedTempFile, path: &Path) -> Result<(), StoreError> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(StoreError::at("create", parent))?;
        }
        file.persist(path)
            .map_err(|error| StoreError::io("store", path, error.error))?;
        Ok(())
    }
}

/// Refuses what could be a path or a hidden file.
pub(crate) fn plain_name(name: &str) -> Result<(), StoreError> {
    let plain = !name.is_empty()
        && name.len() <= 200
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    if plain {
        Ok(())
    } else {
        Err(StoreError::NameInvalid {
            name: name.to_owned(),
        })
    }
}
