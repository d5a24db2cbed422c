//! What is known about the inputs' files: they cannot change while the action runs, so that the
//! status of each is looked up once. Most status calls of a build are about them, and most of
//! those about files that do not exist (search paths).
//!
//! Only paths that stay within one directory of the root, or one that a link of the root leads to,
//! and within its file system, from their first component to their end are remembered: nothing that the action can change lies on
//! their way. All others are looked up every time (`status.rs`).

use std::ffi::OsStr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, openat, openat2, readlinkat};

use super::paths::errno;
use super::shown::Shown;
use super::status::{Place, look};
use crate::host::Map;
use crate::host::service::Service;
use crate::sys::Errno;

/// How many bytes are spent on what is remembered; a build needs a few million.
const BYTES_MAX: usize = 64 << 20;
/// About what an entry takes beside its path.
const ENTRY_BYTES: usize = 256;

type Statuses = Map<Box<[u8]>, Result<Shown, Errno>>;

/// Statuses, and errors, of inputs.
#[derive(Debug, Default)]
pub(in crate::host) struct Inputs {
    /// The root's entries by name: none if one is not an input's directory.
    directories: Map<Box<[u8]>, Option<OwnedFd>>,
    /// Without and with following a link at a path's end.
    known: [Statuses; 2],
    bytes: usize,
}

impl Service {
    /// The status of an input's file, if this path is one that can only mean an input.
    pub(super) fn input_status(
        &mut self,
        path: &[u8],
        follow: bool,
    ) -> Option<Result<Shown, Errno>> {
        if let Some(known) = self.inputs.known[usize::from(follow)].get(path) {
            return Some(known.clone());
        }
        let found = self.look_up_input(path, follow)?;
        let inputs = &mut self.inputs;
        let bytes = path.len() + ENTRY_BYTES;
        if inputs.bytes + bytes <= BYTES_MAX {
            inputs.bytes += bytes;
            inputs.known[usize::from(follow)].insert(path.into(), found.clone());
        }
        Some(found)
    }

    fn look_up_input(&mut self, path: &[u8], follow: bool) -> Option<Result<Shown, Errno>> {
        let path = path.strip_prefix(b"/")?;
        let end = path.iter().position(|byte| *byte == b'/')?;
        let (name, rest) = (path.get(..end)?, path.get(end + 1..)?);
        if rest.is_empty() {
            return None; // The directory itself.
        }
        let directory = self.input_directory(name)?;
        let mut flags = OFlags::PATH | OFlags::CLOEXEC;
        if !follow {
            flags |= OFlags::NOFOLLOW;
        }
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV;
        let opened = openat2(
            directory,
            OsStr::from_bytes(rest),
            flags,
            Mode::empty(),
            within,
        );
        let file = match opened {
            Ok(file) => file,
            Err(error @ (rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR)) => {
                return Some(Err(errno(error)));
            }
            // It leads elsewhere, or cannot be opened: the usual way has the right answer.
            Err(_) => return None,
        };
        let found = look(&file, "", AtFlags::EMPTY_PATH).ok()?;
        if self.identities.place(&found) != Place::Input {
            return None;
        }
        Some(Ok(self.shown_input(&found, || real_path(&file))))
    }

    /// A directory of the root, or the one that a link of the root leads to: as the `/lib` of many
    /// roots does into their `/usr`.
    fn open_input_directory(&self, name: &[u8]) -> Option<OwnedFd> {
        let root = self.paths.root();
        let name = OsStr::from_bytes(name);
        if let Ok(directory) = openat(root, name, DIRECTORY, Mode::empty()) {
            return Some(directory);
        }
        let target = readlinkat(root, name, Vec::new()).ok()?.into_bytes();
        let target = target.strip_prefix(b"/").unwrap_or(&target);
        let end = target.iter().position(|byte| *byte == b'/');
        let (first, rest) = target.split_at(end.unwrap_or(target.len()));
        let first = OsStr::from_bytes(first);
        let first = openat2(root, first, DIRECTORY, Mode::empty(), ResolveFlags::IN_ROOT).ok()?;
        let Some(rest) = rest.get(1..) else {
            return Some(first);
        };
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV;
        openat2(
            first,
            OsStr::from_bytes(rest),
            DIRECTORY,
            Mode::empty(),
            within,
        )
        .ok()
    }

    fn input_directory(&mut self, name: &[u8]) -> Option<&OwnedFd> {
        if !self.inputs.directories.contains_key(name) {
            let directory = self.open_input_directory(name).filter(|directory| {
                look(directory, "", AtFlags::EMPTY_PATH)
                    .is_ok_and(|found| self.identities.place(&found) == Place::Input)
            });
            // The root cannot change; but the action can make names up.
            if directory.is_none() && self.inputs.directories.len() >= NAMES_MAX {
                return None;
            }
            self.inputs.directories.insert(name.into(), directory);
        }
        self.inputs.directories.get(name)?.as_ref()
    }
}

const NAMES_MAX: usize = 256;
const DIRECTORY: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Where an open file is.
pub(super) fn real_path(file: &OwnedFd) -> Vec<u8> {
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    std::fs::read_link(link)
        .map(|path| path.into_os_string().into_vec())
        .unwrap_or_default()
}
