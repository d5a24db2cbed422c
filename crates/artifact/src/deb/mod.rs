//! Debian binary packages, `deb(5)`: an `ar(5)` archive of `debian-binary`, `control.tar.*` and
//! `data.tar.*`, in this order.
//!
//! Read strictly and as a stream: format 2.0; members whose names begin with an underscore are
//! skipped, as the format demands; anything else unknown, doubled or out of order is refused.
//! Absent on purpose: maintainer scripts as anything but bytes, signatures inside packages,
//! compressions that dpkg has retired (bzip2, lzma).

use std::io::{self, BufRead, Read, Take};

use crate::compression::{Compression, Decompressed};

/// Bounds of what decompression may yield.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Decompressed size of the control member.
    pub control_bytes_max: u64,
    /// Decompressed size of the data member.
    pub data_bytes_max: u64,
}

impl Default for Limits {
    /// 64 MiB of control data, 16 GiB of files.
    fn default() -> Self {
        Self {
            control_bytes_max: 64 << 20,
            data_bytes_max: 16 << 30,
        }
    }
}

/// A package cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DebError {
    /// The underlying reader failed, or a decompressor refused to start.
    #[error("cannot read the package: {0}")]
    Io(#[from] io::Error),
    /// The first bytes are not those of an `ar` archive.
    #[error("not a Debian package: the file does not start with \"!<arch>\"")]
    NotAnArchive,
    /// The package ends in the middle of something.
    #[error("package is cut short")]
    Truncated,
    /// A member's header is malformed.
    #[error("header of a package member is malformed: {field}")]
    Header {
        /// The offending field.
        field: &'static str,
    },
    /// The format version is not 2.0.
    #[error("package format is not supported: expected 2.0, found \"{}\"", found.escape_debug())]
    Version {
        /// The content of `debian-binary`, shortened.
        found: String,
    },
    /// A member is missing.
    #[error("package has no {member}")]
    Missing {
        /// What should have come.
        member: &'static str,
    },
    /// A member is unknown, doubled or out of order.
    #[error("unexpected package member \"{}\"", name.escape_debug())]
    Unexpected {
        /// Its name.
        name: String,
    },
    /// A member's compression is unknown.
    #[error("compression of package member \"{}\" is not supported", name.escape_debug())]
    Compression {
        /// Its name.
        name: String,
    },
}

/// Which part of a package a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberKind {
    /// Metadata and maintainer scripts.
    Control,
    /// The files.
    Data,
}

/// One of the two archives in a package; reading it yields the decompressed tar stream.
pub struct Member<'a> {
    kind: MemberKind,
    stream: Box<dyn Read + 'a>,
}

impl Member<'_> {
    /// Which part of the package this is.
    pub fn kind(&self) -> MemberKind {
        self.kind
    }
}

impl Read for Member<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

/// Walks through a package.
///
/// # Examples
/// ```no_run
/// # fn show(package: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
/// use counterseal_artifact::{deb, tar};
/// let mut package = deb::Reader::open(package, deb::Limits::default())?;
/// while let Some(member) = package.next_member()? {
///     let mut archive = tar::Reader::new(member, tar::Limits::default());
///     while let Some(entry) = archive.next_entry()? {
///         println!("{}", entry.path);
///     }
/// }
/// # Ok(()) }
/// ```
pub struct Reader<R> {
    /// Limited to what is left of the current member.
    inner: Take<R>,
    limits: Limits,
    padded: bool,
    expected: Option<MemberKind>,
}

impl<R: BufRead> Reader<R> {
    /// Reads the archive's magic number and `debian-binary`.
    ///
    /// # Errors
    /// If it is not a package of format 2.0.
    pub fn open(inner: R, limits: Limits) -> Result<Self, DebError> {
        let mut reader = Self {
            inner: inner.take(8),
            limits,
            padded: false,
            expected: Some(MemberKind::Control),
        };
        let mut magic = [0; 8];
        match reader.inner.read_exact(&mut magic) {
            Ok(()) if &magic == b"!<arch>\n" => {}
            Ok(()) => return Err(DebError::NotAnArchive),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(DebError::NotAnArchive);
            }
            Err(error) => return Err(error.into()),
        }
        let missing = DebError::Missing {
            member: "debian-binary",
        };
        let Some(name) = reader.next_header()? else {
            return Err(missing);
        };
        if name != "debian-binary" {
            return Err(missing);
        }
        let mut version = Vec::new();
        (&mut reader.inner).take(16).read_to_end(&mut version)?;
        if version != b"2.0\n" || reader.inner.limit() != 0 {
            let found = String::from_utf8_lossy(&version).trim_end().to_owned();
            return Err(DebError::Version { found });
        }
        Ok(reader)
    }

    /// The next archive: control, then data, then `None`. What was not read of the previous one
    /// is skipped.
    ///
    /// # Errors
    /// A malformed, unknown, doubled or missing member. Damage inside a compressed stream shows
    /// while reading the member.
    pub fn next_member(&mut self) -> Result<Option<Member<'_>>, DebError> {
        let (kind, compression) = loop {
            let Some(name) = self.next_header()? else {
                return match self.expected {
                    None => Ok(None),
                    Some(MemberKind::Control) => Err(DebError::Missing {
                        member: "control.tar",
                    }),
                    Some(MemberKind::Data) => Err(DebError::Missing { member: "data.tar" }),
                };
            };
            if name.starts_with('_') {
                continue;
            }
            let (kind, suffix) = if let Some(suffix) = name.strip_prefix("control.tar") {
                (MemberKind::Control, suffix)
            } else if let Some(suffix) = name.strip_prefix("data.tar") {
                (MemberKind::Data, suffix)
            } else {
                return Err(DebError::Unexpected { name });
            };
            if self.expected != Some(kind) {
                return Err(DebError::Unexpected { name });
            }
            let compression = match suffix {
                "" => Compression::None,
                ".gz" => Compression::Gzip,
                ".xz" => Compression::Xz,
                ".zst" => Compression::Zstd,
                _ => return Err(DebError::Compression { name }),
            };
            break (kind, compression);
        };
        let bytes_max = match kind {
            MemberKind::Control => self.limits.control_bytes_max,
            MemberKind::Data => self.limits.data_bytes_max,
        };
        self.expected = (kind == MemberKind::Control).then_some(MemberKind::Data);
        let stream = Decompressed::new(&mut self.inner, compression, bytes_max)?;
        Ok(Some(Member {
            kind,
            stream: Box::new(stream),
        }))
    }

    /// Skips to the next member's content; returns its name, or `None` at the archive's end.
    fn next_header(&mut self) -> Result<Option<String>, DebError> {
        io::copy(&mut self.inner, &mut io::sink())?;
        if self.inner.limit() != 0 {
            return Err(DebError::Truncated);
        }
        if self.padded {
            self.inner.set_limit(1);
            let mut padding = [0];
            self.inner.read_exact(&mut padding).map_err(truncated)?;
            if padding != *b"\n" {
                return Err(DebError::Header { field: "padding" });
            }
        }
        self.inner.set_limit(60);
        let mut header = Vec::with_capacity(60);
        self.inner.read_to_end(&mut header)?;
        if header.is_empty() {
            self.inner.set_limit(0);
            self.padded = false;
            return Ok(None);
        }
        if header.len() != 60 {
            return Err(DebError::Truncated);
        }
        if &header[58..] != b"`\n" {
            return Err(DebError::Header { field: "end mark" });
        }
        let name = text(&header[..16], "name")?;
        // GNU ar ends names with a slash, dpkg does not.
        let name = name.strip_suffix('/').unwrap_or(name);
        if name.is_empty() {
            return Err(DebError::Header { field: "name" });
        }
        let size = text(&header[48..58], "size")?;
        if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(DebError::Header { field: "size" });
        }
        let size: u64 = size
            .parse()
            .map_err(|_| DebError::Header { field: "size" })?;
        self.inner.set_limit(size);
        self.padded = size % 2 == 1;
        Ok(Some(name.to_owned()))
    }
}

fn text<'a>(bytes: &'a [u8], field: &'static str) -> Result<&'a str, DebError> {
    let text = std::str::from_utf8(bytes).map_err(|_| DebError::Header { field })?;
    let text = text.trim_end_matches(' ');
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text)
    } else {
        Err(DebError::Header { field })
    }
}

fn truncated(error: io::Error) -> DebError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => DebError::Truncated,
        _ => DebError::Io(error),
    }
}

#[cfg(test)]
mod tests;
