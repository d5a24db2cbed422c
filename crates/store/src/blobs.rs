//! Single blobs: in with a digest computed or checked on the way, out with a length or a hash
//! compared. What is found damaged is taken away, so that its bytes can come anew.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use counterseal_attestation::Sha256Digest;
use tempfile::NamedTempFile;

use crate::digest::Hasher;
use crate::layout::sync_directory;
use crate::regular::open_unlinked;
use crate::tree::{DIRECTORY_BYTES_MAX, Directory, TreeError};
use crate::{Digest, Store, StoreError};

/// Up to this size a blob is read into memory first, so that one that is already present costs
/// no write.
const MEMORY_BYTES_MAX: usize = 1024 * 1024;
/// Blobs are copied out in pieces of this size.
const COPY_BUFFER_BYTES: usize = 256 * 1024;

impl Store {
    /// Stores bytes, durably. If they are stored already, the stored ones are hashed, and
    /// replaced if they are damaged; so it is with all ways to put something.
    ///
    /// # Errors
    /// Whatever writing reports.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        if !self.holds(&digest) {
            let file = write_blob(&self.incoming(), bytes)?;
            return self.publish(file, digest);
        }
        self.sync_shard(&digest)?;
        Ok(digest)
    }

    /// Stores what a reader yields, durably and in one pass.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] beyond `size_bytes_max`, [`StoreError::Input`] if the reader
    /// fails; nothing is stored then.
    pub fn put_reader(&self, reader: impl Read, size_bytes_max: u64) -> Result<Digest, StoreError> {
        let received = receive(reader, size_bytes_max, &self.incoming())?;
        self.keep(received)
    }

    /// Stores what a reader yields if, and only if, it is what `expected` names.
    ///
    /// # Errors
    /// [`StoreError::DigestMismatch`] or [`StoreError::TooLarge`]; nothing is stored then.
    pub fn put_verified(&self, reader: impl Read, expected: &Digest) -> Result<(), StoreError> {
        let received = receive(reader, expected.size_bytes, &self.incoming())?;
        received.require(expected)?;
        self.keep(received).map(|_| ())
    }

    /// Whether the blob is present, judged by name and size.
    ///
    /// # Errors
    /// Whatever the file system reports other than absence.
    pub fn contains(&self, digest: &Digest) -> Result<bool, StoreError> {
        let path = self.blob_path(digest);
        match fs::symlink_metadata(&path) {
            Ok(metadata) => Ok(metadata.is_file() && metadata.len() == digest.size_bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(StoreError::io("inspect", &path, error)),
        }
    }

    /// Opens a blob for reading, after hashing it once.
    ///
    /// # Errors
    /// [`StoreError::BlobMissing`]; [`StoreError::BlobDamaged`], and the blob is gone.
    pub fn open_blob(&self, digest: &Digest) -> Result<File, StoreError> {
        let mut file = self.healing(self.open_unhashed(digest))?;
        let path = self.blob_path(digest);
        let found = Digest::of_reader(&mut file).map_err(StoreError::at("read", &path))?;
        if found != *digest {
            return Err(self.condemn(digest));
        }
        file.rewind().map_err(StoreError::at("read", &path))?;
        Ok(file)
    }

    /// Copies a blob and hashes what is copied. After a failure the caller must throw away what
    /// was written: damage shows at the end.
    ///
    /// # Errors
    /// [`StoreError::BlobMissing`]; [`StoreError::BlobDamaged`], and the blob is gone;
    /// [`StoreError::Output`] if the writer fails.
    pub fn copy_blob(&self, digest: &Digest, out: &mut dyn Write) -> Result<(), StoreError> {
        let mut file = self.healing(self.open_unhashed(digest))?;
        let path = self.blob_path(digest);
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; COPY_BUFFER_BYTES];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    hasher.update(&buffer[..count]);
                    out.write_all(&buffer[..count])
                        .map_err(|source| StoreError::Output { source })?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(StoreError::io("read", &path, error)),
            }
        }
        if hasher.finish() != *digest {
            return Err(self.condemn(digest));
        }
        Ok(())
    }

    /// Reads a whole blob and compares its hash.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] if it has more than `size_bytes_max` bytes;
    /// [`StoreError::BlobMissing`]; [`StoreError::BlobDamaged`], and the blob is gone.
    pub fn read_blob(&self, digest: &Digest, size_bytes_max: u64) -> Result<Vec<u8>, StoreError> {
        self.healing(self.load_blob(digest, size_bytes_max))
    }

    /// Reads one directory object.
    ///
    /// # Errors
    /// As [`Store::read_blob`]; [`StoreError::Tree`] if it is not a canonical directory.
    pub fn directory(&self, digest: &Digest) -> Result<Directory, StoreError> {
        self.healing(self.load_directory(digest))
    }

    /// [`Store::read_blob`] for those who only look: a damaged blob stays.
    pub(crate) fn load_blob(
        &self,
        digest: &Digest,
        size_bytes_max: u64,
    ) -> Result<Vec<u8>, StoreError> {
        if digest.size_bytes > size_bytes_max {
            return Err(StoreError::TooLarge { size_bytes_max });
        }
        let path = self.blob_path(digest);
        let file = self.open_unhashed(digest)?;
        let mut bytes = Vec::new();
        file.take(digest.size_bytes.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(StoreError::at("read", &path))?;
        if Digest::of(&bytes) != *digest {
            return Err(StoreError::BlobDamaged {
                digest: *digest,
                path,
            });
        }
        Ok(bytes)
    }

    /// [`Store::directory`] for those who only look: a damaged object stays.
    pub(crate) fn load_directory(&self, digest: &Digest) -> Result<Directory, StoreError> {
        if digest.size_bytes > DIRECTORY_BYTES_MAX {
            return Err(TreeError::TooManyEntries.into());
        }
        Ok(Directory::decode(
            &self.load_blob(digest, DIRECTORY_BYTES_MAX)?,
        )?)
    }

    /// Opens a blob and compares its length. A damaged blob stays; one that is no file of its own
    /// is damaged, and is not waited for.
    pub(crate) fn open_unhashed(&self, digest: &Digest) -> Result<File, StoreError> {
        let path = self.blob_path(digest);
        let opened = match open_unlinked(&path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::BlobMissing { digest: *digest });
            }
            Err(error) => return Err(StoreError::io("open", &path, error)),
        };
        if let Some(file) = opened {
            let metadata = file.metadata().map_err(StoreError::at("inspect", &path))?;
            if metadata.len() == digest.size_bytes {
                return Ok(file);
            }
        }
        Err(StoreError::BlobDamaged {
            digest: *digest,
            path,
        })
    }

    /// Whether the blob is present and sound. One that cannot be read is not; one that is no file
    /// or has another length is taken away, as a file could not replace a directory.
    pub(crate) fn holds(&self, digest: &Digest) -> bool {
        self.healing(self.open_unhashed(digest))
            .is_ok_and(|file| Digest::of_reader(file).is_ok_and(|found| found == *digest))
    }

    /// Passes a result on; if it speaks of a damaged blob, that one is taken away.
    pub(crate) fn healing<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        result.map_err(|error| match error {
            StoreError::BlobDamaged { digest, .. } => self.condemn(&digest),
            other => other,
        })
    }

    /// Takes a blob that was found damaged away and says that it is. Failing to is no error of
    /// its own: whatever reads it next finds the damage again.
    fn condemn(&self, digest: &Digest) -> StoreError {
        let path = self.blob_path(digest);
        let inode = |metadata: &fs::Metadata| (metadata.dev(), metadata.ino());
        let metadata = fs::symlink_metadata(&path);
        let judged = match &metadata {
            // What is no file is not read.
            Ok(metadata) if !metadata.is_file() => Ok((inode(metadata), None)),
            _ => open_unlinked(&path).and_then(|file| {
                let file = file.ok_or(io::ErrorKind::InvalidInput)?;
                let judged = inode(&file.metadata()?);
                Ok((judged, Some(Digest::of_reader(file)?)))
            }),
        };
        match judged {
            // Asked for by a wrong size: another digest, and nothing wrong with this blob.
            Ok((_, Some(found))) if found.hash == digest.hash && found != *digest => {
                return StoreError::BlobMissing { digest: *digest };
            }
            // Somebody else has brought its bytes meanwhile.
            Ok((_, Some(found))) if found == *digest => {}
            Ok((judged, _)) => {
                if metadata.is_ok_and(|metadata| metadata.is_dir()) {
                    // Only a directory that is writable can be moved to another parent.
                    let _ = fs::set_permissions(&path, Permissions::from_mode(0o700));
                }
                // Moved away rather than removed: if by now a sound one stands there, put by
                // another process, it goes back to where it was.
                let away = tempfile::Builder::new()
                    .prefix("damaged-")
                    .tempdir_in(self.incoming());
                if let Ok(away) = away {
                    let blob = away.path().join("blob");
                    let moved = fs::rename(&path, &blob).is_ok();
                    if moved && fs::symlink_metadata(&blob).is_ok_and(|m| inode(&m) != judged) {
                        let _ = fs::rename(&blob, &path);
                    }
                }
            }
            // A file that cannot be read: a put replaces it.
            Err(_) => {}
        }
        StoreError::BlobDamaged {
            digest: *digest,
            path,
        }
    }

    pub(crate) fn shard_path(&self, digest: &Digest) -> PathBuf {
        self.path()
            .join("blobs")
            .join(format!("{:02x}", digest.hash.as_bytes()[0]))
    }

    pub(crate) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.shard_path(digest).join(digest.hash.to_string())
    }

    fn sync_shard(&self, digest: &Digest) -> Result<(), StoreError> {
        sync_directory(&self.shard_path(digest))
    }

    fn keep(&self, received: Received) -> Result<Digest, StoreError> {
        match received {
            Received::Memory(bytes, _) => self.put_bytes(&bytes),
            Received::File(file, digest) => {
                if self.holds(&digest) {
                    self.sync_shard(&digest)?;
                    return Ok(digest);
                }
                self.publish(file, digest)
            }
        }
    }

    fn publish(&self, file: NamedTempFile, digest: Digest) -> Result<Digest, StoreError> {
        let path = self.blob_path(&digest);
        file.as_file()
            .sync_all()
            .map_err(StoreError::at("flush", file.path()))?;
        // Replaces at most the same bytes put by another process, or a damaged blob.
        file.persist(&path)
            .map_err(|error| StoreError::io("store", &path, error.error))?;
        self.sync_shard(&digest)?;
        Ok(digest)
    }
}

/// The hash that a blob's place stands for; none where no blob belongs.
pub(crate) fn named_hash(path: &Path) -> Option<Sha256Digest> {
    let shard = path.parent()?.file_name()?.to_str()?;
    let name = path.file_name()?.to_str()?;
    if shard.len() != 2 || !name.starts_with(shard) {
        return None;
    }
    name.parse().ok()
}

/// What a reader yielded, not yet in the store.
pub(crate) enum Received {
    Memory(Vec<u8>, Digest),
    File(NamedTempFile, Digest),
}

impl Received {
    pub(crate) fn require(&self, expected: &Digest) -> Result<(), StoreError> {
        let (Self::Memory(_, found) | Self::File(_, found)) = self;
        if found == expected {
            return Ok(());
        }
        Err(StoreError::DigestMismatch {
            expected: *expected,
            found: *found,
        })
    }
}

/// Reads to the end, into memory if small, else into a file in `directory`.
pub(crate) fn receive(
    reader: impl Read,
    size_bytes_max: u64,
    directory: &Path,
) -> Result<Received, StoreError> {
    // One byte more than allowed tells "exactly full" from "goes on".
    let mut reader = reader.take(size_bytes_max.saturating_add(1));
    let too_large = |size_bytes: u64| {
        (size_bytes > size_bytes_max).then_some(StoreError::TooLarge { size_bytes_max })
    };
    let mut bytes = Vec::new();
    (&mut reader)
        .take(MEMORY_BYTES_MAX as u64)
        .read_to_end(&mut bytes)
        .map_err(|source| StoreError::Input { source })?;
    if let Some(error) = too_large(bytes.len() as u64) {
        return Err(error);
    }
    if bytes.len() < MEMORY_BYTES_MAX {
        let digest = Digest::of(&bytes);
        return Ok(Received::Memory(bytes, digest));
    }
    let mut file = new_blob_file(directory)?;
    let mut hasher = Hasher::new();
    let mut filled = bytes.len();
    loop {
        hasher.update(&bytes[..filled]);
        if let Some(error) = too_large(hasher.size_bytes()) {
            return Err(error);
        }
        file.as_file_mut()
            .write_all(&bytes[..filled])
            .map_err(|error| StoreError::io("write", file.path(), error))?;
        filled = match reader.read(&mut bytes) {
            Ok(0) => return Ok(Received::File(file, hasher.finish())),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(source) => return Err(StoreError::Input { source }),
        };
    }
}

/// A new file in `directory`, removed again unless it is persisted, already read-only by mode.
fn new_blob_file(directory: &Path) -> Result<NamedTempFile, StoreError> {
    let file = tempfile::Builder::new()
        .prefix("blob-")
        .tempfile_in(directory)
        .map_err(StoreError::at("create a file in", directory))?;
    file.as_file()
        .set_permissions(Permissions::from_mode(0o444))
        .map_err(StoreError::at("protect", file.path()))?;
    Ok(file)
}

/// A new file in `directory` that holds `bytes`, not flushed.
pub(crate) fn write_blob(directory: &Path, bytes: &[u8]) -> Result<NamedTempFile, StoreError> {
    let mut file = new_blob_file(directory)?;
    let written = file.as_file_mut().write_all(bytes);
    written.map_err(StoreError::at("write", file.path()))?;
    Ok(file)
}
