//! Laying several stored trees over one another.

use std::collections::BTreeMap;

use super::walk::ReadObjects;
use super::{
    DEPTH_MAX, Directory, DirectoryNode, ENTRIES_MAX, FileNode, SymlinkNode, TreeError,
    path_components,
};
use crate::{Batch, Digest, Store, StoreError};

/// Unites trees, each placed at a path (empty for the root), and stores the result durably.
///
/// Directories unite; what else is at the same place must be identical. Only directories that
/// several parts have in common are read: the cost depends on the overlap, not on the size.
///
/// # Errors
/// [`TreeError::Conflict`] for two different entries at one place; a missing or hostile object.
pub fn merge(store: &Store, parts: &[(&str, Digest)]) -> Result<Digest, StoreError> {
    let batch = store.batch()?;
    let mut sources = Vec::with_capacity(parts.len());
    for (at, tree) in parts {
        let names = path_components(at)?;
        sources.push(Source::at(&names, *tree));
    }
    let mut merging = Merging {
        objects: ReadObjects::new(store),
        batch: &batch,
        entries_count: 0,
    };
    let digest = store.healing(merging.unite(sources, "", 0))?;
    batch.commit()?;
    Ok(digest)
}

/// One contribution to a directory.
#[derive(Clone, PartialEq)]
enum Source {
    Stored(Digest),
    /// A directory made up to hold a part somewhere below the root.
    Wrapper(String, Box<Source>),
}

impl Source {
    fn at(names: &[&str], tree: Digest) -> Self {
        names.iter().rev().fold(Self::Stored(tree), |inner, name| {
            Self::Wrapper((*name).to_owned(), Box::new(inner))
        })
    }
}

struct Merging<'a> {
    objects: ReadObjects<'a>,
    batch: &'a Batch<'a>,
    entries_count: usize,
}

enum Slot {
    File(FileNode),
    Symlink(SymlinkNode),
    Directories(Vec<Source>),
}

impl Merging<'_> {
    fn unite(
        &mut self,
        mut sources: Vec<Source>,
        path: &str,
        depth: usize,
    ) -> Result<Digest, StoreError> {
        if depth > DEPTH_MAX {
            return Err(TreeError::TooDeep.into());
        }
        let mut distinct: Vec<Source> = Vec::with_capacity(sources.len());
        for source in sources.drain(..) {
            if !distinct.contains(&source) {
                distinct.push(source);
            }
        }
        if let [Source::Stored(digest)] = distinct.as_slice() {
            // Nothing to unite; reading it proves that it is there and well-formed.
            self.objects.read(digest)?;
            return Ok(*digest);
        }
        let slots = self.collect(distinct, path)?;
        let mut directory = Directory::default();
        for (name, slot) in slots {
            match slot {
                Slot::File(node) => directory.files.push(node),
                Slot::Symlink(node) => directory.symlinks.push(node),
                Slot::Directories(parts) => {
                    let digest = self.unite(parts, &join(path, &name), depth + 1)?;
                    directory.directories.push(DirectoryNode { name, digest });
                }
            }
        }
        self.batch.put_bytes(&directory.encode()?)
    }

    fn collect(
        &mut self,
        sources: Vec<Source>,
        path: &str,
    ) -> Result<BTreeMap<String, Slot>, StoreError> {
        let mut slots = BTreeMap::new();
        for source in sources {
            let digest = match source {
                Source::Wrapper(name, inner) => {
                    add(&mut slots, path, name, Slot::Directories(vec![*inner]))?;
                    continue;
                }
                Source::Stored(digest) => digest,
            };
            let object = self.objects.read(&digest)?;
            let Directory {
                files,
                directories,
                symlinks,
            } = &*object;
            self.entries_count += files.len() + directories.len() + symlinks.len();
            if self.entries_count > ENTRIES_MAX {
                return Err(TreeError::TooManyEntries.into());
            }
            for node in files {
                add(
                    &mut slots,
                    path,
                    node.name.clone(),
                    Slot::File(node.clone()),
                )?;
            }
            for node in symlinks {
                add(
                    &mut slots,
                    path,
                    node.name.clone(),
                    Slot::Symlink(node.clone()),
                )?;
            }
            for node in directories {
                let part = Slot::Directories(vec![Source::Stored(node.digest)]);
                add(&mut slots, path, node.name.clone(), part)?;
            }
        }
        Ok(slots)
    }
}

fn add(
    slots: &mut BTreeMap<String, Slot>,
    path: &str,
    name: String,
    slot: Slot,
) -> Result<(), TreeError> {
    let Some(present) = slots.get_mut(&name) else {
        slots.insert(name, slot);
        return Ok(());
    };
    match (present, slot) {
        (Slot::Directories(parts), Slot::Directories(more)) => parts.extend(more),
        (Slot::File(one), Slot::File(other)) if *one == other => {}
        (Slot::Symlink(one), Slot::Symlink(other)) if *one == other => {}
        _ => {
            return Err(TreeError::Conflict {
                path: join(path, &name),
            });
        }
    }
    Ok(())
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}/{name}")
    }
}
