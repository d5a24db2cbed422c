//! The archives that we pack ourselves: for one set of files there is exactly one `.tar.zst`.
//!
//! What makes it so: entries in ascending order of their paths' bytes; POSIX ustar headers, pax
//! records only where a value does not fit; owner 0, no owner names, modes 0644, 0755 and 0777
//! (links), one time for all; two blocks of zeros at the end and no further padding; one
//! Zstandard frame of level [`LEVEL`] with its checksum, compressed by one thread in blocks of
//! fixed size. The compressed bytes also depend on the version of the Zstandard library, which
//! `Cargo.lock` pins; the uncompressed ones do not.
//!
//! Absent on purpose: hard links, owners, set-id bits, empty archives' special cases.

mod header;

use std::io::{self, BufRead, Read, Write};

use crate::compression::{Compression, Decompressed};
use crate::path::{Occupant, PathDefect, Places, check};
use crate::tar;

/// The Zstandard level.
pub const LEVEL: i32 = 12;
/// The compressor gets pieces of exactly this size, so that its output cannot depend on how the
/// content happened to be read.
const PIECE_BYTES: usize = 128 * 1024;

/// An archive cannot be packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The output cannot be written.
    #[error("cannot write the archive: {0}")]
    Output(#[source] io::Error),
    /// A file's content cannot be read.
    #[error("cannot read \"{}\": {source}", path.escape_debug())]
    Content {
        /// The file.
        path: String,
        /// What its reader reported.
        source: io::Error,
    },
    /// A file's content is not as long as announced.
    #[error("size of \"{}\" is not {expected_bytes} bytes as announced", path.escape_debug())]
    Size {
        /// The file.
        path: String,
        /// What was announced.
        expected_bytes: u64,
    },
    /// A path that a reader would refuse.
    #[error("path is not allowed in an archive: \"{}\": {defect}", path.escape_debug())]
    Path {
        /// The path.
        path: String,
        /// Why it is refused.
        defect: PathDefect,
    },
    /// A link target that is empty, too long or contains NUL.
    #[error("target of symbolic link \"{}\" is empty, too long or contains NUL", path.escape_debug())]
    Target {
        /// The link's path.
        path: String,
    },
    /// Entries must come in ascending order of their paths' bytes, each once.
    #[error("entry \"{}\" must not come after \"{}\"", path.escape_debug(), previous.escape_debug())]
    Order {
        /// The later entry.
        path: String,
        /// The one before it.
        previous: String,
    },
    /// An entry stands below something that is not a directory.
    #[error("entry \"{}\" collides with \"{}\"", path.escape_debug(), with.escape_debug())]
    Collision {
        /// The later entry.
        path: String,
        /// What is already there.
        with: String,
    },
}

/// What to pack at a path.
pub struct PackEntry<'a> {
    /// Relative, in its shortest form.
    pub path: String,
    /// What it is.
    pub kind: PackKind<'a>,
}

/// What an entry is.
pub enum PackKind<'a> {
    /// A directory.
    Directory,
    /// A symbolic link; the target is stored as it is.
    Symlink {
        /// What it points to.
        target: String,
    },
    /// A regular file.
    File {
        /// Its size.
        size_bytes: u64,
        /// Mode 0755 instead of 0644.
        executable: bool,
        /// Exactly `size_bytes` bytes.
        content: Box<dyn Read + 'a>,
    },
}

/// Packs entries that are already sorted; see [`Packer`] for packing one by one.
///
/// # Errors
/// See [`PackError`]; what was written until then is worth nothing.
pub fn pack<'a, W: Write>(
    entries: impl IntoIterator<Item = PackEntry<'a>>,
    mtime_unix_seconds: u64,
    out: W,
) -> Result<W, PackError> {
    let mut packer = Packer::new(out, mtime_unix_seconds)?;
    for entry in entries {
        match entry.kind {
            PackKind::Directory => packer.directory(&entry.path)?,
            PackKind::Symlink { target } => packer.symlink(&entry.path, &target)?,
            PackKind::File {
                size_bytes,
                executable,
                content,
            } => {
                packer.file(&entry.path, size_bytes, executable, content)?;
            }
        }
    }
    packer.finish()
}

/// Packs an archive, entry by entry.
pub struct Packer<W: Write> {
    encoder: zstd::Encoder<'static, W>,
    piece: Vec<u8>,
    mtime_unix_seconds: u64,
    previous: String,
    places: Places,
}

impl<W: Write> Packer<W> {
    /// Starts an archive whose entries all carry one time.
    ///
    /// # Errors
    /// [`PackError::Output`] if the compressor cannot start.
    pub fn new(out: W, mtime_unix_seconds: u64) -> Result<Self, PackError> {
        let mut encoder = zstd::Encoder::new(out, LEVEL).map_err(PackError::Output)?;
        encoder.include_checksum(true).map_err(PackError::Output)?;
        Ok(Self {
            encoder,
            piece: Vec::with_capacity(PIECE_BYTES),
            mtime_unix_seconds,
            previous: String::new(),
            places: Places::default(),
        })
    }

    /// Adds a directory.
    ///
    /// # Errors
    /// See [`PackError`].
    pub fn directory(&mut self, path: &str) -> Result<(), PackError> {
        self.place(path, Occupant::Directory)?;
        let bytes = header::directory(path, self.mtime_unix_seconds);
        self.write(&bytes)
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// See [`PackError`].
    pub fn symlink(&mut self, path: &str, target: &str) -> Result<(), PackError> {
        if target.is_empty() || target.len() >= crate::PATH_BYTES_MAX || target.contains('\0') {
            return Err(PackError::Target {
                path: path.to_owned(),
            });
        }
        self.place(path, Occupant::Link)?;
        let bytes = header::symlink(path, target, self.mtime_unix_seconds);
        self.write(&bytes)
    }

    /// Adds a file, whose content must be exactly as long as announced.
    ///
    /// # Errors
    /// See [`PackError`].
    pub fn file(
        &mut self,
        path: &str,
        size_bytes: u64,
        executable: bool,
        content: impl Read,
    ) -> Result<(), PackError> {
        self.place(path, Occupant::File)?;
        let bytes = header::file(path, size_bytes, executable, self.mtime_unix_seconds);
        self.write(&bytes)?;
        let mut content = content.take(size_bytes.saturating_add(1));
        let mut buffer = vec![0; 64 * 1024];
        let mut copied_bytes = 0;
        loop {
            match content.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    copied_bytes += count as u64;
                    self.write(&buffer[..count])?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(PackError::Content {
                        path: path.to_owned(),
                        source,
                    });
                }
            }
        }
        if copied_bytes != size_bytes {
            let path = path.to_owned();
            return Err(PackError::Size {
                path,
                expected_bytes: size_bytes,
            });
        }
        self.write(&header::padding(size_bytes))
    }

    /// Writes the end of the archive and gives the output back, not flushed.
    ///
    /// # Errors
    /// [`PackError::Output`].
    pub fn finish(mut self) -> Result<W, PackError> {
        self.write(&[0; 1024])?;
        self.encoder
            .write_all(&self.piece)
            .map_err(PackError::Output)?;
        self.encoder.finish().map_err(PackError::Output)
    }

    fn place(&mut self, path: &str, occupant: Occupant) -> Result<(), PackError> {
        check(path).map_err(|defect| PackError::Path {
            path: path.to_owned(),
            defect,
        })?;
        if path <= self.previous.as_str() {
            return Err(PackError::Order {
                path: path.to_owned(),
                previous: self.previous.clone(),
            });
        }
        if let Err(with) = self.places.take(path, occupant) {
            return Err(PackError::Collision {
                path: path.to_owned(),
                with,
            });
        }
        path.clone_into(&mut self.previous);
        Ok(())
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), PackError> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PIECE_BYTES - self.piece.len()));
            self.piece.extend_from_slice(now);
            bytes = later;
            if self.piece.len() == PIECE_BYTES {
                self.encoder
                    .write_all(&self.piece)
                    .map_err(PackError::Output)?;
                self.piece.clear();
            }
        }
        Ok(())
    }
}

/// An archive is not one that [`Packer`] writes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Not even an acceptable archive.
    #[error(transparent)]
    Tar(#[from] tar::TarError),
    /// Readable, but not in the one form.
    #[error("entry \"{}\" is not in canonical form: {defect}", path.escape_debug())]
    NotCanonical {
        /// The entry.
        path: String,
        /// What is different.
        defect: &'static str,
    },
}

/// Reads an archive that [`Packer`] has written and refuses what it would not have written:
/// other orders, owners, modes, times, hard links, further frames.
///
/// The encoding of single header fields is not compared byte for byte; whoever needs that packs
/// the entries again.
pub struct Reader<'a> {
    archive: tar::Reader<Box<dyn Read + 'a>>,
    previous: String,
    mtime_unix_seconds: Option<u64>,
}

impl<'a> Reader<'a> {
    /// Starts reading.
    ///
    /// # Errors
    /// If the decompressor cannot start.
    pub fn new(inner: impl BufRead + 'a, limits: tar::Limits) -> Result<Self, ReadError> {
        // Content plus a generous 4 KiB of headers for each entry.
        let headers = limits.entries_max.saturating_mul(4096);
        let bytes_max = limits
            .total_bytes_max
            .saturating_add(headers)
            .saturating_add(1024);
        let stream =
            Decompressed::new(inner, Compression::Zstd, bytes_max).map_err(tar::TarError::Io)?;
        let buffered = io::BufReader::with_capacity(PIECE_BYTES, stream);
        Ok(Self {
            archive: tar::Reader::new(Box::new(buffered), limits),
            previous: String::new(),
            mtime_unix_seconds: None,
        })
    }

    /// The next entry, or `None` at the end.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn next_entry(&mut self) -> Result<Option<tar::Entry>, ReadError> {
        let Some(entry) = self.archive.next_entry()? else {
            return Ok(None);
        };
        let mode = match &entry.kind {
            tar::Kind::File {
                executable: false, ..
            } => 0o644,
            tar::Kind::File {
                executable: true, ..
            }
            | tar::Kind::Directory => 0o755,
            tar::Kind::Symlink { .. } | tar::Kind::Hardlink { .. } => 0o777,
        };
        let time = *self
            .mtime_unix_seconds
            .get_or_insert(entry.mtime_unix_seconds);
        let defect = if matches!(entry.kind, tar::Kind::Hardlink { .. }) {
            Some("it is a hard link")
        } else if entry.path <= self.previous {
            Some("it is out of order")
        } else if entry.mode != mode {
            Some("its mode is another one")
        } else if entry.owner != tar::Owner::default() {
            Some("it has an owner")
        } else if entry.mtime_unix_seconds != time {
            Some("its time differs from that of the first entry")
        } else {
            None
        };
        if let Some(defect) = defect {
            return Err(ReadError::NotCanonical {
                path: entry.path,
                defect,
            });
        }
        self.previous.clone_from(&entry.path);
        Ok(Some(entry))
    }

    /// The content of the current file.
    pub fn content(&mut self) -> impl Read + use<'_, 'a> {
        self.archive.content()
    }
}

#[cfg(test)]
mod tests;
