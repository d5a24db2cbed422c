//! The archives that we pack ourselves: for one set of files there is exactly one `.tar.zst`.
//!
//! What makes it so: entries in ascending order of their paths' bytes; POSIX ustar headers, pax
//! records only where a value does not fit; owner 0, no owner names, modes 0644, 0755 and 0777
//! (links), one time for all; two blocks of zeros at the end and no further padding; one
//! Zstandard frame of one level with its checksum, compressed by one thread in blocks of fixed
//! size. The compressed bytes also depend on the version of the Zstandard library, which
//! `Cargo.lock` pins; the uncompressed ones do not.
//!
//! Absent on purpose: hard links, owners, set-id bits, empty archives' special cases; a reader.

mod header;

use std::io::{self, Read, Write};

use crate::path::{Occupant, PathDefect, Places, check, is_link_target};

/// The Zstandard level.
const LEVEL: i32 = 12;
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

/// Packs an archive, entry by entry. After an error, what was written is worth nothing.
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
        if !is_link_target(target) {
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
        self.places
            .take(path, occupant)
            .map_err(|with| PackError::Collision {
                path: path.to_owned(),
                with,
            })?;
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

#[cfg(test)]
mod tests;
