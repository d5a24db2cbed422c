//! Unpacks Debian packages into trees, without running anything from them.
//!
//! Only the data member counts: no maintainer script runs, no package database is written. Times,
//! owners and every permission but the executable bit are dropped (set-id bits with them), so that
//! two unpackings are the same tree. `/bin`, `/sbin` and `/lib*` become what they are on every
//! installed Debian 12: links into `/usr`. What a package ships below them moves along.
//!
//! Source: Debian Policy 3.2 and 5; deb(5); the layout is that of Debian's merged `/usr`.

use std::fmt::Display;
use std::io::{BufReader, Read};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, available_parallelism};

use counterseal_artifact::deb::{self, MemberKind};
use counterseal_artifact::tar::{self, Kind};
use counterseal_inputs::LockedItem;
use counterseal_store::tree::TreeBuilder;
use counterseal_store::{Batch, Digest, Store};

use crate::error::AssemblyError;

/// Name of the unpacking procedure in the store's derived cache: raised when it changes.
const PROCEDURE: &str = "debian-package-tree-1";
/// More threads than this gain nothing on one disk.
const THREADS_MAX: usize = 4;
/// Decompressed data is read in pieces of this size.
const DATA_BUFFER_BYTES: usize = 256 * 1024;
/// Directories that are links into `/usr`.
const MERGED: [&str; 6] = ["bin", "lib", "lib32", "lib64", "libx32", "sbin"];

/// The tree of the links that merge `/bin`, `/sbin` and `/lib*` into `/usr`.
pub(crate) fn merged_usr(store: &Store) -> Result<Digest, AssemblyError> {
    let mut tree = TreeBuilder::new();
    for name in MERGED {
        tree.add_symlink(name, &format!("usr/{name}"))?;
        // A dangling link would make `mkdir -p /lib32/x` fail inside.
        tree.add_dir(&format!("usr/{name}"))?;
    }
    Ok(tree.finish(store)?)
}

/// The trees of locked packages, in their order; each is unpacked once and remembered.
///
/// Packages are unpacked in parallel and become durable together.
pub(crate) fn trees(items: &[LockedItem], store: &Store) -> Result<Vec<Digest>, AssemblyError> {
    let batch = store.batch()?;
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        while let Some((index, item)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            items.get(index).map(|item| (index, item))
        } {
            done.push((index, tree(item, store, &batch)?));
        }
        Ok::<_, AssemblyError>(done)
    };
    let threads = available_parallelism()
        .map_or(1, usize::from)
        .min(THREADS_MAX);
    let mut trees = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let mut trees = Vec::with_capacity(items.len());
        for worker in workers {
            // A worker that panicked has found a bug; it goes on in this thread.
            let done = worker.join().unwrap_or_else(|panic| resume_unwind(panic));
            trees.extend(done?);
        }
        Ok::<_, AssemblyError>(trees)
    })?;
    batch.commit()?;
    trees.sort_unstable_by_key(|(index, _)| *index);
    Ok(trees.into_iter().map(|(_, tree)| tree).collect())
}

fn tree(item: &LockedItem, store: &Store, batch: &Batch<'_>) -> Result<Digest, AssemblyError> {
    if let Some(tree) = store.derived(PROCEDURE, &item.sha256)?
        && store.contains_tree(&tree)?
    {
        return Ok(tree);
    }
    let refused = |detail: &dyn Display| AssemblyError::Package {
        package: item.display_name().to_owned(),
        detail: detail.to_string(),
    };
    let file = BufReader::new(store.open_blob(&item.digest())?);
    let mut package =
        deb::Reader::open(file, deb::Limits::default()).map_err(|error| refused(&error))?;
    let mut tree = TreeBuilder::new();
    // The package's own reader insists that both members are there, once each.
    while let Some(member) = package.next_member().map_err(|error| refused(&error))? {
        if member.kind() == MemberKind::Data {
            let data = BufReader::with_capacity(DATA_BUFFER_BYTES, member);
            unpack(data, batch, &mut tree, &refused)?;
        }
    }
    let digest = tree.finish_in(batch)?;
    batch.put_derived(PROCEDURE, &item.sha256, &digest)?;
    Ok(digest)
}

fn unpack(
    data: impl Read,
    batch: &Batch<'_>,
    tree: &mut TreeBuilder,
    refused: &dyn Fn(&dyn Display) -> AssemblyError,
) -> Result<(), AssemblyError> {
    let mut archive = tar::Reader::new(data, tar::Limits::default());
    while let Some(entry) = archive.next_entry().map_err(|error| refused(&error))? {
        let path = merge_path(&entry.path);
        match entry.kind {
            Kind::Directory => tree.add_dir(&path)?,
            Kind::Symlink { target } => {
                tree.add_symlink(&path, &merge_target(&entry.path, &target))?;
            }
            Kind::Hardlink { target } => {
                // The archive's reader lets hard links point to earlier files only.
                let (digest, executable) = tree
                    .file(&merge_path(&target))
                    .ok_or_else(|| refused(&format!("{path} is a hard link to nothing")))?;
                tree.add_file(&path, digest, executable)?;
            }
            Kind::File {
                size_bytes,
                executable,
            } => {
                let digest = batch.put_reader(archive.content(), size_bytes)?;
                tree.add_file(&path, digest, executable)?;
            }
        }
    }
    Ok(())
}

/// Where a package's path is once `/bin` and its like are links.
fn merge_path(path: &str) -> String {
    let first = path.split('/').next().unwrap_or(path);
    if MERGED.contains(&first) {
        format!("usr/{path}")
    } else {
        path.to_owned()
    }
}

/// A relative target that climbs out of a moved directory is rewritten from the root, where it
/// means what it meant before the move.
fn merge_target(path: &str, target: &str) -> String {
    let moved = merge_path(path) != path;
    if !moved || target.starts_with('/') || !target.split('/').any(|part| part == "..") {
        return target.to_owned();
    }
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            // Climbing above the root stays at the root, as it does for the kernel.
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::{merge_path, merge_target};

    #[test]
    fn shipped_paths_move_below_usr() {
        assert_eq!(merge_path("bin/sh"), "usr/bin/sh");
        assert_eq!(merge_path("lib"), "usr/lib");
        assert_eq!(merge_path("library/x"), "library/x");
        assert_eq!(merge_path("usr/lib/x"), "usr/lib/x");
    }

    #[test]
    fn climbing_links_keep_their_meaning() {
        assert_eq!(
            merge_target("lib/x86_64-linux-gnu/a.so", "a.so.1"),
            "a.so.1"
        );
        assert_eq!(
            merge_target("lib/terminfo", "../usr/share/terminfo"),
            "/usr/share/terminfo"
        );
        assert_eq!(merge_target("usr/lib/a", "../b"), "../b");
        assert_eq!(merge_target("sbin/x", "/etc/x"), "/etc/x");
    }
}
