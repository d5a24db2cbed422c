//! Comparing a checkout with the tree that it is a copy of: names, types, modes, times, link
//! targets, sizes and the hash of every file.
//!
//! Whoever runs something in a checkout signs that its root was that tree. A file that was
//! changed on disk, by a tool, a person or a failing disk, would make the signature a lie, so
//! what a checkout holds is looked at each time and never remembered. Absent on purpose: owners
//! and extended attributes, which a checkout does not set either.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use counterseal_attestation::UnixSeconds;
use rustix::fs::OFlags;

use crate::Digest;
use crate::digest::Hasher;
use crate::parallel::{self, Threads};
use crate::tree::{WalkEntry, WalkKind};

/// Files are read in pieces of this size, one such buffer for each thread.
const BUFFER_BYTES: usize = 256 * 1024;

/// The first difference that was found between a checkout and its tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deviation {
    /// Relative to the checkout's root; empty for the root itself.
    pub(crate) path: String,
    /// What is wrong there.
    pub(crate) defect: &'static str,
}

/// Compares what stands below `root` with a tree's entries.
///
/// Each expected entry is looked up, and each directory is listed: as all that is expected is
/// there, one that holds as many names as expected holds no others.
pub(crate) fn inspect(
    entries: &[WalkEntry],
    mtime: UnixSeconds,
    root: &Path,
    threads: Threads,
) -> Result<(), Deviation> {
    let mut children: HashMap<&str, usize> = HashMap::new();
    for entry in entries {
        let parent = entry.path.rsplit_once('/').map_or("", |(parent, _)| parent);
        *children.entry(parent).or_default() += 1;
    }
    let expected = |path: &str| children.get(path).copied().unwrap_or(0);
    let deviation = |path: &str| {
        let path = path.to_owned();
        move |defect| Deviation { path, defect }
    };
    inspect_directory(root, expected(""), mtime).map_err(deviation(""))?;

    // The largest first, so that no thread is left alone with one at the end.
    let mut order: Vec<&WalkEntry> = entries.iter().collect();
    order.sort_by_key(|entry| std::cmp::Reverse(size_bytes(entry)));
    parallel::for_each(order.len(), threads, || {
        let mut buffer = vec![0; BUFFER_BYTES];
        let order = &order;
        move |index| {
            let entry = order[index];
            let path = root.join(&entry.path);
            match &entry.kind {
                WalkKind::Directory { .. } => {
                    inspect_directory(&path, expected(&entry.path), mtime)
                }
                WalkKind::Symlink { target } => inspect_link(&path, target, mtime),
                WalkKind::File { digest, executable } => {
                    inspect_file(&path, digest, *executable, mtime, &mut buffer)
                }
            }
            .map_err(deviation(&entry.path))
        }
    })
}

fn size_bytes(entry: &WalkEntry) -> u64 {
    match &entry.kind {
        WalkKind::File { digest, .. } => digest.size_bytes,
        WalkKind::Directory { .. } | WalkKind::Symlink { .. } => 0,
    }
}

fn inspect_directory(
    path: &Path,
    children_count: usize,
    mtime: UnixSeconds,
) -> Result<(), &'static str> {
    let metadata = fs::symlink_metadata(path).map_err(|error| unreadable(&error))?;
    if !metadata.is_dir() {
        return Err("is not a directory");
    }
    inspect_mode(&metadata, 0o555)?;
    inspect_mtime(&metadata, mtime)?;
    let mut found_count = 0;
    for entry in fs::read_dir(path).map_err(|error| unreadable(&error))? {
        entry.map_err(|error| unreadable(&error))?;
        found_count += 1;
    }
    if found_count != children_count {
        return Err("holds other names than its tree");
    }
    Ok(())
}

fn inspect_link(path: &Path, target: &str, mtime: UnixSeconds) -> Result<(), &'static str> {
    let metadata = fs::symlink_metadata(path).map_err(|error| unreadable(&error))?;
    if !metadata.is_symlink() {
        return Err("is not a symbolic link");
    }
    inspect_mtime(&metadata, mtime)?;
    let found = fs::read_link(path).map_err(|error| unreadable(&error))?;
    if found.as_os_str() != target {
        return Err("points to something else");
    }
    Ok(())
}

fn inspect_file(
    path: &Path,
    digest: &Digest,
    executable: bool,
    mtime: UnixSeconds,
    buffer: &mut [u8],
) -> Result<(), &'static str> {
    // Neither follows a link nor waits for whoever might write to a pipe.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut file = File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(|error| unreadable(&error))?;
    let metadata = file.metadata().map_err(|error| unreadable(&error))?;
    if !metadata.is_file() {
        return Err("is not a regular file");
    }
    inspect_mode(&metadata, if executable { 0o555 } else { 0o444 })?;
    inspect_mtime(&metadata, mtime)?;
    if metadata.nlink() != 1 {
        return Err("has a second name, through which it may be changed");
    }
    if metadata.len() != digest.size_bytes {
        return Err("has another size");
    }
    let mut hasher = Hasher::new();
    // A file that grows meanwhile is read no further than needed to notice.
    while hasher.size_bytes() <= digest.size_bytes {
        match file.read(buffer) {
            Ok(0) => break,
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(&error)),
        }
    }
    if hasher.finish() != *digest {
        return Err("has other content");
    }
    Ok(())
}

fn inspect_mode(metadata: &Metadata, expected: u32) -> Result<(), &'static str> {
    if metadata.mode() & 0o7777 == expected {
        Ok(())
    } else {
        Err("has other permissions")
    }
}

fn inspect_mtime(metadata: &Metadata, expected: UnixSeconds) -> Result<(), &'static str> {
    let seconds = i64::try_from(expected.0).unwrap_or(i64::MAX);
    if (metadata.mtime(), metadata.mtime_nsec()) == (seconds, 0) {
        Ok(())
    } else {
        Err("has another modification time")
    }
}

fn unreadable(error: &io::Error) -> &'static str {
    match rustix::io::Errno::from_io_error(error) {
        Some(rustix::io::Errno::NOENT) => "is missing",
        // What opening without following links says of a link.
        Some(rustix::io::Errno::LOOP) => "is a symbolic link",
        _ => "cannot be read",
    }
}
