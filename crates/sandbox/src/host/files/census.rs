//! Which files of the scratch space are still there. Nobody says when a file is removed, so every now
//! and then the times of those that are gone are forgotten (`stamps.rs`): what is remembered must not
//! grow with what a step has ever made.
//!
//! Files that are open and have no name any more, and those below directories that the action itself
//! cannot list or that lie deeper than [`DEPTH_MAX`], count as gone. If one is looked at later, it
//! shows that time, as files do of which nothing is known; when it was made cannot be told.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat};

use super::status::{Place, look};
use crate::host::Set;
use crate::host::service::Service;

/// Each level takes a descriptor while what is below it is counted.
const DEPTH_MAX: usize = 64;
/// Where the scratch space is mounted.
const PLACES: [&[u8]; 3] = [b"/build", b"/tmp", b"/dev/shm"];
/// A file that is moved meanwhile can be missed once.
const TURNS: u32 = 2;

impl Service {
    pub(super) fn forget_what_is_gone(&mut self) {
        let mut there = Set::default();
        for place in PLACES
            .into_iter()
            .cycle()
            .take(PLACES.len() * TURNS as usize)
        {
            if let Ok(directory) = self.paths.open(place, DIRECTORY)
                && let Ok(found) = look(&directory, "", AtFlags::EMPTY_PATH)
                && self.identities.place(&found) == Place::Scratch
            {
                there.insert(found.stx_ino);
                count(directory, &mut there);
            }
        }
        self.stamps.keep_only(&there);
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Adds the inode numbers of everything below a directory.
fn count(directory: OwnedFd, there: &mut Set<u64>) {
    let mut open: Vec<Dir> = Dir::new(directory).into_iter().collect();
    while let Some(directory) = open.last_mut() {
        let Some(Ok(entry)) = directory.read() else {
            open.pop();
            continue;
        };
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        there.insert(entry.ino());
        if entry.file_type() == FileType::Directory
            && open.len() < DEPTH_MAX
            && let Some(below) = open.last().and_then(|directory| directory.fd().ok())
            && let Ok(below) = openat(below, name, DIRECTORY, Mode::empty())
        {
            open.extend(Dir::new(below));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn everything_below_a_directory_is_counted() {
        let place = tempfile::tempdir().unwrap();
        let deep = place.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("c"), "c").unwrap();
        std::os::unix::fs::symlink("/", place.path().join("d")).unwrap();
        let mut there = Set::default();
        count(
            std::fs::File::open(place.path()).unwrap().into(),
            &mut there,
        );
        let inode = |name: &str| {
            let found = std::fs::symlink_metadata(place.path().join(name));
            found.unwrap().ino()
        };
        let expected: Set<u64> = ["a", "a/b", "a/b/c", "d"].map(inode).into_iter().collect();
        assert_eq!(there, expected);
    }
}
