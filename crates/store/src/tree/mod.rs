//! Directory trees as canonical `Directory` messages of the Remote Execution API v2.
//!
//! A tree is named by the digest of its root's `Directory` message; each subdirectory is named by
//! the digest of its own. One tree has exactly one encoding: the three lists are sorted by the
//! bytes of their names, no name occurs twice across them, no default value and no unknown field
//! is written. [`Directory::decode`] refuses everything else, so equal trees always have equal
//! digests and a hostile object cannot place a file outside of its directory.
//!
//! Absent on purpose: node properties (modes beyond the executable bit, times, owners), which
//! have no place in a reproducible input.

mod builder;
mod import;
mod merge;
mod walk;

use prost::Message;

use crate::{Digest, wire};

pub use builder::TreeBuilder;
pub use import::put_tree_from_dir;
pub use merge::merge;
pub(crate) use walk::walk_untouched;
pub use walk::{WalkEntry, WalkKind, walk};

/// Directories may nest this deep below the root.
pub const DEPTH_MAX: usize = 256;
/// Encoded size of one `Directory` message.
pub(crate) const DIRECTORY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Entries in one whole tree, every occurrence of a shared subtree counted.
pub const ENTRIES_MAX: usize = 1_000_000;
/// Length of all paths and link targets in one whole tree together: a few small objects can spell
/// them out by the gigabyte.
pub const PATHS_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Length of one name (Linux `NAME_MAX`).
const NAME_BYTES_MAX: usize = 255;
/// Length of a symbolic link's target (Linux `PATH_MAX` less the terminating NUL).
const TARGET_BYTES_MAX: usize = 4095;

/// A tree breaks one of the rules of this module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// Not a protocol buffer message of this type.
    #[error("tree object is not a directory message: {defect}")]
    Malformed {
        /// What the decoder objected to.
        defect: String,
    },
    /// The message carries unknown fields or is spelled in another than the canonical way.
    #[error("tree object is not in canonical form")]
    NotCanonical,
    /// The names of one list are not in ascending order.
    #[error("tree object is not sorted: \"{}\" stands after a greater name", name.escape_debug())]
    Unsorted {
        /// The name that comes too late.
        name: String,
    },
    /// Two entries of one directory have the same name.
    #[error("tree object holds \"{}\" twice", name.escape_debug())]
    Duplicate {
        /// The repeated name.
        name: String,
    },
    /// A name that is empty, `.`, `..`, too long, or contains a slash or NUL.
    #[error("name is not allowed in a tree: \"{}\"", name.escape_debug())]
    NameInvalid {
        /// The refused name.
        name: String,
    },
    /// A path that is absolute or has a component that is not a valid name.
    #[error("path is not allowed in a tree: \"{}\"", path.escape_debug())]
    PathInvalid {
        /// The refused path.
        path: String,
    },
    /// A symbolic link's target that is empty, too long, or contains NUL.
    #[error("target of symbolic link \"{}\" is empty, too long or contains NUL", name.escape_debug())]
    TargetInvalid {
        /// The link's name.
        name: String,
    },
    /// A node without a digest, or with one that is not SHA-256 and a size.
    #[error("digest of \"{}\" is missing or malformed", name.escape_debug())]
    DigestInvalid {
        /// The node's name.
        name: String,
    },
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("tree is nested deeper than {DEPTH_MAX} directories")]
    TooDeep,
    /// More than [`ENTRIES_MAX`] entries.
    #[error("tree holds more than {ENTRIES_MAX} entries")]
    TooManyEntries,
    /// More than [`PATHS_BYTES_MAX`] bytes of paths and link targets.
    #[error("paths and link targets in the tree are longer than {PATHS_BYTES_MAX} bytes together")]
    PathsTooLong,
    /// Two parts put different things at one place.
    #[error("two different entries at \"{}\"", path.escape_debug())]
    Conflict {
        /// The disputed path, relative to the root.
        path: String,
    },
    /// A device, socket or pipe on disk.
    #[error("neither a file, a directory nor a symbolic link: \"{}\"", path.escape_debug())]
    SpecialFile {
        /// Relative to the directory that was imported.
        path: String,
    },
    /// A name or link target on disk that is not UTF-8.
    #[error("name or link target is not UTF-8: \"{}\"", path.escape_debug())]
    NotUtf8 {
        /// Relative to the directory that was imported, undecodable bytes replaced.
        path: String,
    },
}

/// A regular file in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileNode {
    /// Its name.
    pub name: String,
    /// Its content.
    pub digest: Digest,
    /// Whether it may be executed.
    pub is_executable: bool,
}

/// A subdirectory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryNode {
    /// Its name.
    pub name: String,
    /// The digest of its `Directory` message.
    pub digest: Digest,
}

/// A symbolic link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SymlinkNode {
    /// Its name.
    pub name: String,
    /// What it points to; absolute targets are allowed and mean the root that it is used in.
    pub target: String,
}

/// One directory: REAPI message `Directory`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    /// Regular files, in ascending order of their names' bytes.
    pub files: Vec<FileNode>,
    /// Subdirectories, likewise.
    pub directories: Vec<DirectoryNode>,
    /// Symbolic links, likewise.
    pub symlinks: Vec<SymlinkNode>,
}

impl Directory {
    /// The canonical bytes. Sorts, so that a hand-made value needs not be in order.
    ///
    /// # Errors
    /// An invalid or repeated name, an invalid link target.
    pub fn encode(&self) -> Result<Vec<u8>, TreeError> {
        let mut sorted = self.clone();
        sorted.files.sort_by(|a, b| a.name.cmp(&b.name));
        sorted.directories.sort_by(|a, b| a.name.cmp(&b.name));
        sorted.symlinks.sort_by(|a, b| a.name.cmp(&b.name));
        sorted.check()?;
        Ok(sorted.to_wire().encode_to_vec())
    }

    /// Reads a canonical message.
    ///
    /// # Errors
    /// Anything that [`Directory::encode`] would not have written.
    pub fn decode(bytes: &[u8]) -> Result<Self, TreeError> {
        let message = wire::Directory::decode(bytes).map_err(|error| TreeError::Malformed {
            defect: error.to_string(),
        })?;
        if message.encode_to_vec() != bytes {
            return Err(TreeError::NotCanonical);
        }
        let directory = Self::from_wire(message)?;
        directory.check()?;
        Ok(directory)
    }

    fn check(&self) -> Result<(), TreeError> {
        let files = self.files.iter().map(|node| node.name.as_str());
        let directories = self.directories.iter().map(|node| node.name.as_str());
        let symlinks = self.symlinks.iter().map(|node| node.name.as_str());
        check_list(files.clone())?;
        check_list(directories.clone())?;
        check_list(symlinks.clone())?;
        let mut all: Vec<&str> = files.chain(directories).chain(symlinks).collect();
        all.sort_unstable();
        if let Some(pair) = all.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(TreeError::Duplicate {
                name: pair[0].to_owned(),
            });
        }
        self.symlinks
            .iter()
            .try_for_each(|node| check_target(&node.name, &node.target))
    }

    fn to_wire(&self) -> wire::Directory {
        wire::Directory {
            files: self
                .files
                .iter()
                .map(|node| wire::FileNode {
                    name: node.name.clone(),
                    digest: Some((&node.digest).into()),
                    is_executable: node.is_executable,
                })
                .collect(),
            directories: self
                .directories
                .iter()
                .map(|node| wire::DirectoryNode {
                    name: node.name.clone(),
                    digest: Some((&node.digest).into()),
                })
                .collect(),
            symlinks: self
                .symlinks
                .iter()
                .map(|node| wire::SymlinkNode {
                    name: node.name.clone(),
                    target: node.target.clone(),
                })
                .collect(),
        }
    }

    fn from_wire(message: wire::Directory) -> Result<Self, TreeError> {
        let files = message.files.into_iter().map(|node| {
            let digest = digest_from_wire(&node.name, node.digest)?;
            Ok(FileNode {
                name: node.name,
                digest,
                is_executable: node.is_executable,
            })
        });
        let directories = message.directories.into_iter().map(|node| {
            let digest = digest_from_wire(&node.name, node.digest)?;
            Ok(DirectoryNode {
                name: node.name,
                digest,
            })
        });
        let symlinks = message.symlinks.into_iter().map(|node| SymlinkNode {
            name: node.name,
            target: node.target,
        });
        Ok(Self {
            files: files.collect::<Result<_, TreeError>>()?,
            directories: directories.collect::<Result<_, TreeError>>()?,
            symlinks: symlinks.collect(),
        })
    }
}

fn check_list<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), TreeError> {
    let mut previous: Option<&str> = None;
    for name in names {
        check_name(name)?;
        match previous {
            Some(before) if before == name => {
                return Err(TreeError::Duplicate {
                    name: name.to_owned(),
                });
            }
            Some(before) if before > name => {
                return Err(TreeError::Unsorted {
                    name: name.to_owned(),
                });
            }
            _ => previous = Some(name),
        }
    }
    Ok(())
}

fn digest_from_wire(name: &str, digest: Option<wire::Digest>) -> Result<Digest, TreeError> {
    let invalid = || TreeError::DigestInvalid {
        name: name.to_owned(),
    };
    let digest = digest.ok_or_else(invalid)?;
    Ok(Digest {
        hash: digest.hash.parse().map_err(|_| invalid())?,
        size_bytes: u64::try_from(digest.size_bytes).map_err(|_| invalid())?,
    })
}

/// Refuses what cannot be the name of one entry.
pub(crate) fn check_name(name: &str) -> Result<(), TreeError> {
    let plain = !name.is_empty()
        && name != "."
        && name != ".."
        && name.len() <= NAME_BYTES_MAX
        && !name.contains(['/', '\0']);
    if plain {
        Ok(())
    } else {
        Err(TreeError::NameInvalid {
            name: name.to_owned(),
        })
    }
}

/// Refuses what cannot be a link's target.
pub(crate) fn check_target(name: &str, target: &str) -> Result<(), TreeError> {
    if target.is_empty() || target.len() > TARGET_BYTES_MAX || target.contains('\0') {
        return Err(TreeError::TargetInvalid {
            name: name.to_owned(),
        });
    }
    Ok(())
}

/// Splits a relative path into its names. The empty path has none and means the root.
pub(crate) fn path_components(path: &str) -> Result<Vec<&str>, TreeError> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let components: Vec<&str> = path.split('/').collect();
    if components.iter().any(|name| check_name(name).is_err()) {
        return Err(TreeError::PathInvalid {
            path: path.to_owned(),
        });
    }
    if components.len() > DEPTH_MAX {
        return Err(TreeError::TooDeep);
    }
    Ok(components)
}
