//! Why an archive is refused, as data that a caller can match on.

use std::io;

use super::PathDefect;

/// An archive cannot be read or is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TarError {
    /// The underlying reader failed; damage in a compressed stream ends up here.
    #[error("cannot read the archive: {0}")]
    Io(#[source] io::Error),
    /// The archive ends in the middle of something, or without its end mark.
    #[error("archive is cut short")]
    Truncated,
    /// Something other than zeros follows the end mark.
    #[error("something follows the end of the archive")]
    TrailingData,
    /// A header's sum does not match its bytes.
    #[error("checksum of an archive header does not match: expected {expected}, found {found}")]
    Checksum {
        /// What the header says.
        expected: u64,
        /// What its bytes add up to.
        found: u64,
    },
    /// A header's field is malformed.
    #[error("archive header is malformed: {field}")]
    Header {
        /// The offending field.
        field: &'static str,
    },
    /// A path that could lead out of the tree.
    #[error("path is not allowed in an archive: \"{}\": {defect}", path.escape_debug())]
    Path {
        /// The path as it stands in the archive, undecodable bytes replaced.
        path: String,
        /// Why it is refused.
        defect: PathDefect,
    },
    /// An entry of a kind that is refused: device, pipe, sparse file, …
    #[error(
        "entry \"{}\" is of a kind that is not allowed (type flag \"{}\")",
        path.escape_debug(), type_flag.escape_ascii()
    )]
    Kind {
        /// Its path.
        path: String,
        /// The header's type flag.
        type_flag: u8,
    },
    /// An entry would replace another one or stand below something that is not a directory.
    #[error("entry \"{}\" collides with \"{}\"", path.escape_debug(), with.escape_debug())]
    Collision {
        /// The later entry.
        path: String,
        /// What is already there.
        with: String,
    },
    /// A symbolic link's target is empty, too long, or not text.
    #[error("target of symbolic link \"{}\" is empty, too long or not text", path.escape_debug())]
    Target {
        /// The link's path.
        path: String,
    },
    /// A hard link to something that is not an earlier file of the archive.
    #[error(
        "hard link \"{}\" does not point to an earlier file: \"{}\"",
        path.escape_debug(), target.escape_debug()
    )]
    HardlinkTarget {
        /// The link's path.
        path: String,
        /// What it points to.
        target: String,
    },
    /// A bound of [`Limits`](super::Limits) is exceeded.
    #[error("archive has more {what} than the {allowed} allowed")]
    Limit {
        /// Of what there is too much.
        what: &'static str,
        /// The bound.
        allowed: u64,
    },
}

impl TarError {
    pub(super) fn from_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated,
            _ => Self::Io(error),
        }
    }
}
