//! Listing everything in a stored tree.

use super::{DEPTH_MAX, Directory, ENTRIES_MAX, TreeError};
use crate::{Digest, Store, StoreError};

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalkEntry {
    /// Relative to the root, names joined by slashes, never empty.
    pub path: String,
    /// What stands there.
    pub kind: WalkKind,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WalkKind {
    /// A subdirectory, named by its `Directory` message.
    Directory {
        /// The message's digest.
        digest: Digest,
    },
    /// A regular file.
    File {
        /// Its content.
        digest: Digest,
        /// Whether it may be executed.
        executable: bool,
    },
    /// A symbolic link.
    Symlink {
        /// What it points to.
        target: String,
    },
}

/// Every entry below the root, each directory before what it contains, in an order that depends
/// on the tree alone. Does not look whether the files' contents are present.
///
/// # Errors
/// A missing, damaged or hostile directory object; a tree beyond [`DEPTH_MAX`] or
/// [`ENTRIES_MAX`].
pub fn walk(store: &Store, tree: &Digest) -> Result<Vec<WalkEntry>, StoreError> {
    let mut entries = Vec::new();
    descend(store, tree, "", 0, &mut entries)?;
    Ok(entries)
}

fn descend(
    store: &Store,
    tree: &Digest,
    prefix: &str,
    depth: usize,
    entries: &mut Vec<WalkEntry>,
) -> Result<(), StoreError> {
    if depth > DEPTH_MAX {
        return Err(TreeError::TooDeep.into());
    }
    let directory = store.directory(tree)?;
    let Directory {
        files,
        directories,
        symlinks,
    } = directory;
    if entries.len() + files.len() + directories.len() + symlinks.len() > ENTRIES_MAX {
        return Err(TreeError::TooManyEntries.into());
    }
    let below = |name: &str| {
        if prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{prefix}/{name}")
        }
    };
    for node in files {
        let kind = WalkKind::File {
            digest: node.digest,
            executable: node.is_executable,
        };
        entries.push(WalkEntry {
            path: below(&node.name),
            kind,
        });
    }
    for node in symlinks {
        let kind = WalkKind::Symlink {
            target: node.target,
        };
        entries.push(WalkEntry {
            path: below(&node.name),
            kind,
        });
    }
    for node in directories {
        let path = below(&node.name);
        let kind = WalkKind::Directory {
            digest: node.digest,
        };
        entries.push(WalkEntry {
            path: path.clone(),
            kind,
        });
        descend(store, &node.digest, &path, depth + 1, entries)?;
    }
    Ok(())
}
