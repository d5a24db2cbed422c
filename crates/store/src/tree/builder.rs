//! A tree put together in memory, path by path.

use std::collections::BTreeMap;

use super::{
    Directory, DirectoryNode, FileNode, SymlinkNode, TreeError, check_target, path_components,
};
use crate::{Batch, Digest, Store, StoreError};

/// Collects entries by path; parents come into being by themselves.
///
/// The same entry twice is fine, two different ones at one place are a conflict, so the order of
/// the calls never matters.
#[derive(Debug, Clone, Default)]
pub struct TreeBuilder {
    root: Level,
}

type Level = BTreeMap<String, Node>;

#[derive(Debug, Clone, PartialEq)]
enum Node {
    File { digest: Digest, executable: bool },
    Symlink { target: String },
    Directory(Level),
}

impl TreeBuilder {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Places a file whose content is, or will be, in the store.
    ///
    /// # Errors
    /// An invalid path; something else already there.
    pub fn add_file(
        &mut self,
        path: &str,
        digest: Digest,
        executable: bool,
    ) -> Result<(), TreeError> {
        self.add(path, Node::File { digest, executable })
    }

    /// Places a symbolic link; its target is not followed and may be absolute.
    ///
    /// # Errors
    /// An invalid path or target; something else already there.
    pub fn add_symlink(&mut self, path: &str, target: &str) -> Result<(), TreeError> {
        check_target(path, target)?;
        self.add(
            path,
            Node::Symlink {
                target: target.to_owned(),
            },
        )
    }

    /// Makes sure that a directory exists. The empty path is the root.
    ///
    /// # Errors
    /// An invalid path; something other than a directory already there.
    pub fn add_dir(&mut self, path: &str) -> Result<(), TreeError> {
        descend(&mut self.root, path, &path_components(path)?).map(|_| ())
    }

    /// The file at `path`, if there is one: its content and whether it may be executed. This is
    /// how a hard link in an archive finds what it repeats.
    pub fn file(&self, path: &str) -> Option<(Digest, bool)> {
        let components = path_components(path).ok()?;
        let (name, parents) = components.split_last()?;
        let mut level = &self.root;
        for parent in parents {
            match level.get(*parent) {
                Some(Node::Directory(below)) => level = below,
                _ => return None,
            }
        }
        match level.get(*name) {
            Some(Node::File { digest, executable }) => Some((*digest, *executable)),
            _ => None,
        }
    }

    /// Writes the directory objects to the store, durably, and names the root.
    ///
    /// # Errors
    /// Whatever writing reports.
    pub fn finish(&self, store: &Store) -> Result<Digest, StoreError> {
        let batch = store.batch()?;
        let digest = self.finish_in(&batch)?;
        batch.commit()?;
        Ok(digest)
    }

    /// Like [`TreeBuilder::finish`], as a part of a batch that is committed later.
    ///
    /// # Errors
    /// Whatever writing reports.
    pub fn finish_in(&self, batch: &Batch<'_>) -> Result<Digest, StoreError> {
        write(&self.root, batch)
    }

    fn add(&mut self, path: &str, node: Node) -> Result<(), TreeError> {
        let components = path_components(path)?;
        let Some((name, parents)) = components.split_last() else {
            return Err(TreeError::PathInvalid {
                path: path.to_owned(),
            });
        };
        let level = descend(&mut self.root, path, parents)?;
        match level.get(*name) {
            None => {
                level.insert((*name).to_owned(), node);
                Ok(())
            }
            Some(present) if *present == node => Ok(()),
            Some(_) => Err(TreeError::Conflict {
                path: path.to_owned(),
            }),
        }
    }
}

fn descend<'a>(
    root: &'a mut Level,
    path: &str,
    parents: &[&str],
) -> Result<&'a mut Level, TreeError> {
    let mut level = root;
    for parent in parents {
        let node = level
            .entry((*parent).to_owned())
            .or_insert_with(|| Node::Directory(Level::new()));
        match node {
            Node::Directory(below) => level = below,
            _ => {
                return Err(TreeError::Conflict {
                    path: path.to_owned(),
                });
            }
        }
    }
    Ok(level)
}

/// Recursion is bounded by `DEPTH_MAX`, which `path_components` enforces.
fn write(level: &Level, batch: &Batch<'_>) -> Result<Digest, StoreError> {
    let mut directory = Directory::default();
    for (name, node) in level {
        let name = name.clone();
        match node {
            Node::File { digest, executable } => {
                directory.files.push(FileNode {
                    name,
                    digest: *digest,
                    is_executable: *executable,
                });
            }
            Node::Symlink { target } => {
                directory.symlinks.push(SymlinkNode {
                    name,
                    target: target.clone(),
                });
            }
            Node::Directory(below) => {
                directory.directories.push(DirectoryNode {
                    name,
                    digest: write(below, batch)?,
                });
            }
        }
    }
    batch.put_bytes(&directory.encode()?)
}
