//! Tar archives from strangers: POSIX ustar and pax (IEEE Std 1003.1, `pax`), GNU long names,
//! and the old form before both.
//!
//! What comes out is safe to build a tree from: every path is relative and in its shortest form,
//! nothing is placed twice or below something that is not a directory, hard links point to
//! files that came before. Devices, pipes, sparse files and everything else that cannot be in a
//! reproducible input is refused. An archive must end as the format says, and nothing but zeros
//! may follow.
//!
//! Absent on purpose: owners, times, permissions but the owner's executable bit, extended
//! attributes (all read past).

mod error;
mod extension;
mod header;

use std::io::{self, Read};

use crate::path::{Occupant, Places, is_link_target, normalise};
use extension::{Extension, read_pax, set_once};
use header::Header;

pub use crate::path::PathDefect;
pub use error::TarError;
pub(crate) use header::BLOCK_BYTES;

/// Size of one pax header or GNU long name.
const EXTENSION_BYTES_MAX: u64 = 64 * 1024;

/// Bounds of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Number of entries. Extension headers count, and so do directories that are only implied by
    /// what stands below them: a few bytes can imply hundreds.
    pub entries_max: u64,
    /// Size of one file.
    pub file_bytes_max: u64,
    /// Size of all files together.
    pub total_bytes_max: u64,
}

impl Default for Limits {
    /// A million entries, 8 GiB for a file, 16 GiB together.
    fn default() -> Self {
        Self {
            entries_max: 1_000_000,
            file_bytes_max: 8 << 30,
            total_bytes_max: 16 << 30,
        }
    }
}

/// One entry of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative, shortest form, never empty (the root's own entry is left out).
    pub path: String,
    /// What it is.
    pub kind: Kind,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file; read it through [`Reader::content`].
    File {
        /// Its size.
        size_bytes: u64,
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// A directory.
    Directory,
    /// A symbolic link. The target is not interpreted: it may be absolute or lead upwards.
    Symlink {
        /// What it points to.
        target: String,
    },
    /// Another name of an earlier file of the archive.
    Hardlink {
        /// That file's path, in the same form as [`Entry::path`].
        target: String,
    },
}

/// Walks through an archive, front to back.
pub struct Reader<R> {
    inner: R,
    limits: Limits,
    places: Places,
    entries_count: u64,
    total_bytes: u64,
    /// Of the current file.
    content_bytes_left: u64,
    padding_bytes: u64,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// Reads from the beginning of an archive. Reads in small pieces: give it something buffered.
    pub fn new(inner: R, limits: Limits) -> Self {
        Self {
            inner,
            limits,
            places: Places::default(),
            entries_count: 0,
            total_bytes: 0,
            content_bytes_left: 0,
            padding_bytes: 0,
            ended: false,
        }
    }

    /// The next entry, or `None` after a proper end. What was not read of the previous file is
    /// skipped.
    ///
    /// # Errors
    /// See [`TarError`]; after an error the archive is not to be used further.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        let mut extension = Extension::default();
        loop {
            if self.ended {
                return Ok(None);
            }
            self.skip()?;
            let Some(header) = self.header()? else {
                if !extension.is_empty() {
                    return Err(TarError::Header {
                        field: "extension without an entry",
                    });
                }
                self.end()?;
                return Ok(None);
            };
            self.count(1)?;
            match header.type_flag {
                b'L' => set_once(&mut extension.path, self.long_name(&header)?)?,
                b'K' => set_once(&mut extension.target, self.long_name(&header)?)?,
                b'x' => read_pax(&self.extension_bytes(&header)?, &mut extension)?,
                b'g' => {
                    let mut global = Extension::default();
                    read_pax(&self.extension_bytes(&header)?, &mut global)?;
                    if !global.is_empty() {
                        return Err(TarError::Header {
                            field: "global path, target or size",
                        });
                    }
                }
                _ => {
                    let extension = std::mem::take(&mut extension);
                    if let Some(entry) = self.entry(header, extension)? {
                        return Ok(Some(entry));
                    }
                }
            }
        }
    }

    /// The rest of the current file's bytes; empty for anything but a file.
    pub fn content(&mut self) -> Content<'_, R> {
        Content(self)
    }

    fn entry(&mut self, header: Header, extension: Extension) -> Result<Option<Entry>, TarError> {
        let raw = extension.path.unwrap_or(header.path);
        let shown = || String::from_utf8_lossy(&raw).into_owned();
        let path = normalise(&raw).map_err(|defect| TarError::Path {
            path: shown(),
            defect,
        })?;
        let path = path.to_owned();
        let size_bytes = extension.size_bytes.unwrap_or(header.size_bytes);
        let target = extension.target.unwrap_or(header.target);
        // Before ustar, a directory was a file whose name ends with a slash.
        let type_flag = match header.type_flag {
            b'0' | 0 if raw.ends_with(b"/") => b'5',
            0 => b'0',
            other => other,
        };
        let kind = match type_flag {
            b'0' => Kind::File {
                size_bytes,
                executable: header.executable,
            },
            b'5' => Kind::Directory,
            b'2' => Kind::Symlink {
                target: symlink_target(&path, target)?,
            },
            b'1' => Kind::Hardlink {
                target: self.hardlink_target(&path, &target)?,
            },
            type_flag => return Err(TarError::Kind { path, type_flag }),
        };
        let occupant = match kind {
            Kind::File { .. } | Kind::Hardlink { .. } => Occupant::File,
            Kind::Directory => Occupant::Directory,
            Kind::Symlink { .. } => Occupant::Link,
        };
        if type_flag == b'0' {
            self.expect_content(size_bytes)?;
        } else if size_bytes != 0 {
            return Err(TarError::Header {
                field: "size of something that has no content",
            });
        }
        if path.is_empty() {
            return match kind {
                Kind::Directory => Ok(None),
                _ => Err(TarError::Path {
                    path: shown(),
                    defect: PathDefect::NotShortest,
                }),
            };
        }
        match self.places.take(&path, occupant) {
            Ok(implied) => self.count(implied)?,
            Err(with) => return Err(TarError::Collision { path, with }),
        }
        Ok(Some(Entry { path, kind }))
    }

    fn count(&mut self, entries: u64) -> Result<(), TarError> {
        self.entries_count += entries;
        limit("entries", self.entries_count, self.limits.entries_max)
    }

    fn hardlink_target(&self, path: &str, target: &[u8]) -> Result<String, TarError> {
        let shown = || String::from_utf8_lossy(target).into_owned();
        let target = normalise(target).map_err(|defect| TarError::Path {
            path: shown(),
            defect,
        })?;
        if !self.places.is_file(target) {
            return Err(TarError::HardlinkTarget {
                path: path.to_owned(),
                target: target.to_owned(),
            });
        }
        Ok(target.to_owned())
    }

    fn expect_content(&mut self, size_bytes: u64) -> Result<(), TarError> {
        limit("bytes in one file", size_bytes, self.limits.file_bytes_max)?;
        self.total_bytes = self.total_bytes.saturating_add(size_bytes);
        limit(
            "bytes in files",
            self.total_bytes,
            self.limits.total_bytes_max,
        )?;
        self.content_bytes_left = size_bytes;
        self.padding_bytes = padding_bytes(size_bytes);
        Ok(())
    }

    fn extension_bytes(&mut self, header: &Header) -> Result<Vec<u8>, TarError> {
        limit(
            "bytes in an extension",
            header.size_bytes,
            EXTENSION_BYTES_MAX,
        )?;
        let mut bytes = Vec::new();
        (&mut self.inner)
            .take(header.size_bytes)
            .read_to_end(&mut bytes)
            .map_err(TarError::from_io)?;
        if bytes.len() as u64 != header.size_bytes {
            return Err(TarError::Truncated);
        }
        self.padding_bytes = padding_bytes(header.size_bytes);
        Ok(bytes)
    }

    fn long_name(&mut self, header: &Header) -> Result<Vec<u8>, TarError> {
        let mut bytes = self.extension_bytes(header)?;
        if bytes.last() == Some(&0) {
            bytes.pop();
        }
        Ok(bytes)
    }

    /// Reads past the rest of the current entry.
    fn skip(&mut self) -> Result<(), TarError> {
        let left = self.content_bytes_left + std::mem::take(&mut self.padding_bytes);
        self.content_bytes_left = 0;
        let skipped = io::copy(&mut (&mut self.inner).take(left), &mut io::sink())
            .map_err(TarError::from_io)?;
        if skipped == left {
            Ok(())
        } else {
            Err(TarError::Truncated)
        }
    }

    fn header(&mut self) -> Result<Option<Header>, TarError> {
        let mut block = [0; BLOCK_BYTES];
        self.inner
            .read_exact(&mut block)
            .map_err(TarError::from_io)?;
        Header::parse(&block)
    }

    /// After the first block of zeros: the second one, and nothing but zeros to the end.
    fn end(&mut self) -> Result<(), TarError> {
        self.ended = true;
        let mut block = [0; BLOCK_BYTES];
        self.inner
            .read_exact(&mut block)
            .map_err(TarError::from_io)?;
        // GNU tar fills up to a multiple of its blocking factor, 20 by default, 2^15 at most.
        let mut blocks_left = 1 << 15;
        loop {
            if block.iter().any(|byte| *byte != 0) || blocks_left == 0 {
                return Err(TarError::TrailingData);
            }
            blocks_left -= 1;
            let mut rest = (&mut self.inner).take(BLOCK_BYTES as u64);
            let count = io::copy(&mut rest, &mut &mut block[..]).map_err(TarError::from_io)?;
            if count == 0 {
                return Ok(());
            }
        }
    }
}

/// Reads the content of the current file.
pub struct Content<'a, R>(&'a mut Reader<R>);

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.0.content_bytes_left)
            .map_or(buffer.len(), |left| left.min(buffer.len()));
        if wanted == 0 {
            return Ok(0);
        }
        let count = self.0.inner.read(&mut buffer[..wanted])?;
        if count == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "archive is cut short",
            ));
        }
        self.0.content_bytes_left -= count as u64;
        Ok(count)
    }
}

fn limit(what: &'static str, found: u64, allowed: u64) -> Result<(), TarError> {
    if found > allowed {
        Err(TarError::Limit { what, allowed })
    } else {
        Ok(())
    }
}

fn symlink_target(path: &str, target: Vec<u8>) -> Result<String, TarError> {
    match String::from_utf8(target) {
        Ok(target) if is_link_target(&target) => Ok(target),
        _ => Err(TarError::Target {
            path: path.to_owned(),
        }),
    }
}

/// How many bytes lie between the end of so much content and the next header.
pub(crate) fn padding_bytes(size_bytes: u64) -> u64 {
    (BLOCK_BYTES as u64 - size_bytes % BLOCK_BYTES as u64) % BLOCK_BYTES as u64
}

#[cfg(test)]
mod tests;
