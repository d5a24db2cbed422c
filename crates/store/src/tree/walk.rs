//! Listing everything in a stored tree, and asking whether it is all there.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::{DEPTH_MAX, Directory, ENTRIES_MAX, PATHS_BYTES_MAX, TreeError};
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
/// A missing, damaged or hostile directory object; a tree beyond [`DEPTH_MAX`], [`ENTRIES_MAX`]
/// or [`PATHS_BYTES_MAX`].
pub fn walk(store: &Store, tree: &Digest) -> Result<Vec<WalkEntry>, StoreError> {
    store.healing(walk_untouched(store, tree))
}

/// [`walk`] for those who only look: a damaged object stays.
pub(crate) fn walk_untouched(store: &Store, tree: &Digest) -> Result<Vec<WalkEntry>, StoreError> {
    let mut walking = Walking {
        objects: ReadObjects::new(store),
        entries: Vec::new(),
        paths_bytes: 0,
    };
    walking.descend(tree, "", 0)?;
    Ok(walking.entries)
}

impl Store {
    /// Whether a tree's objects and files are all present, judged by name and size.
    ///
    /// # Errors
    /// A damaged or hostile directory object.
    pub fn contains_tree(&self, tree: &Digest) -> Result<bool, StoreError> {
        let missing = self.missing_below(tree, &mut HashSet::new());
        Ok(self.healing(missing)?.is_none())
    }

    /// The first object of a tree that is absent. `known` are directories already found whole;
    /// those of this tree join them if it is whole, too. Changes nothing.
    pub(crate) fn missing_below(
        &self,
        tree: &Digest,
        known: &mut HashSet<Digest>,
    ) -> Result<Option<Digest>, StoreError> {
        let mut waiting = vec![*tree];
        let mut seen = HashSet::new();
        while let Some(digest) = waiting.pop() {
            if known.contains(&digest) || !seen.insert(digest) {
                continue;
            }
            if !self.contains(&digest)? {
                return Ok(Some(digest));
            }
            let directory = self.load_directory(&digest)?;
            for node in &directory.files {
                if !self.contains(&node.digest)? {
                    return Ok(Some(node.digest));
                }
            }
            waiting.extend(directory.directories.iter().map(|node| node.digest));
        }
        known.extend(seen);
        Ok(None)
    }
}

struct Walking<'a> {
    objects: ReadObjects<'a>,
    entries: Vec<WalkEntry>,
    paths_bytes: usize,
}

impl Walking<'_> {
    fn descend(&mut self, tree: &Digest, prefix: &str, depth: usize) -> Result<(), StoreError> {
        if depth > DEPTH_MAX {
            return Err(TreeError::TooDeep.into());
        }
        let directory = self.objects.read(tree)?;
        let Directory {
            files,
            directories,
            symlinks,
        } = &*directory;
        if self.entries.len() + files.len() + directories.len() + symlinks.len() > ENTRIES_MAX {
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
            self.add(below(&node.name), kind)?;
        }
        for node in symlinks {
            let kind = WalkKind::Symlink {
                target: node.target.clone(),
            };
            self.add(below(&node.name), kind)?;
        }
        for node in directories {
            let path = below(&node.name);
            let kind = WalkKind::Directory {
                digest: node.digest,
            };
            self.add(path.clone(), kind)?;
            self.descend(&node.digest, &path, depth + 1)?;
        }
        Ok(())
    }

    fn add(&mut self, path: String, kind: WalkKind) -> Result<(), TreeError> {
        let target_bytes = match &kind {
            WalkKind::Symlink { target } => target.len(),
            WalkKind::Directory { .. } | WalkKind::File { .. } => 0,
        };
        self.paths_bytes += path.len() + target_bytes;
        if self.paths_bytes > PATHS_BYTES_MAX {
            return Err(TreeError::PathsTooLong);
        }
        self.entries.push(WalkEntry { path, kind });
        Ok(())
    }
}

/// Reads each directory object once, however often a tree names it.
pub(super) struct ReadObjects<'a> {
    store: &'a Store,
    known: HashMap<Digest, Rc<Directory>>,
}

impl<'a> ReadObjects<'a> {
    pub(super) fn new(store: &'a Store) -> Self {
        Self {
            store,
            known: HashMap::new(),
        }
    }

    pub(super) fn read(&mut self, digest: &Digest) -> Result<Rc<Directory>, StoreError> {
        if let Some(known) = self.known.get(digest) {
            return Ok(Rc::clone(known));
        }
        let directory = Rc::new(self.store.load_directory(digest)?);
        self.known.insert(*digest, Rc::clone(&directory));
        Ok(directory)
    }
}
