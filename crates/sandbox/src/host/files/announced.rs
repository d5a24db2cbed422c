//! What the action is about to do to files: open them for writing, set their times. When such a
//! change happened is known from here; the kernel's stamps only say whether it did (`stamps.rs`).
//!
//! Of each process [`WRITTEN_BYTES_MAX`] are remembered, after which what it has opened so far is
//! looked at as if it ended.

use std::sync::Arc;

use rustix::fs::AtFlags;

use super::paths::descriptor_path;
use super::stamps::{Setting, Wish};
use super::status::{Place, look};
use crate::host::Set;
use crate::host::service::{Call, Service};
use crate::host::time::times::NS;
use crate::sys::Errno;

/// A file that is being opened for writing, or whose times are being set.
#[derive(Debug)]
pub(super) struct Announced {
    thread: i32,
    path: Arc<[u8]>,
    follow: bool,
    at_ns: u64,
    /// The file whose times are set.
    sets: Option<u64>,
}

/// How many calls of a process a file that it opened for writing is looked at again after: a
/// shell that redirects a command's output has written it within a few.
const LOOKS: u8 = 3;

/// How many bytes are spent on the files that a process has opened for writing: some thousands.
const WRITTEN_BYTES_MAX: usize = 256 << 10;
/// About what one of them takes beside its path.
const WRITTEN_BYTES: usize = 64;

/// Files that a process has opened for writing.
#[derive(Debug, Default)]
pub(in crate::host) struct Written {
    paths: Set<Arc<[u8]>>,
    bytes: usize,
}

impl Written {
    fn insert(&mut self, path: Arc<[u8]>) {
        let bytes = path.len() + WRITTEN_BYTES;
        if self.paths.insert(path) {
            self.bytes += bytes;
        }
    }

    fn remove(&mut self, path: &[u8]) {
        if self.paths.remove(path) {
            self.bytes -= path.len() + WRITTEN_BYTES;
        }
    }
}

impl Service {
    /// A file will be open for writing as soon as the kernel has done it.
    pub(super) fn note_writing(&mut self, call: &Call, path: Vec<u8>) {
        let path: Arc<[u8]> = path.into();
        let task = self.tasks.task(call.thread, self.patch);
        let (id, at_ns) = (task.process, task.clock.now());
        self.stamps.announced.push(Announced {
            thread: call.thread,
            path: Arc::clone(&path),
            follow: true,
            at_ns,
            sets: None,
        });
        let process = self.tasks.process(id);
        process.fresh.retain(|(known, _)| *known != path);
        process.fresh.push((Arc::clone(&path), LOOKS));
        if process.written.bytes + path.len() > WRITTEN_BYTES_MAX {
            self.close_writes(call);
        }
        self.tasks.process(id).written.insert(path);
    }

    /// Files whose opening was announced are open now, and have the times that were to be set, if
    /// the thread that did it has come back; if someone is about to look at files, probably.
    pub(in crate::host) fn note_writes(&mut self, call: &Call) {
        let looks = matches!(
            call.number,
            libc::SYS_stat
                | libc::SYS_lstat
                | libc::SYS_fstat
                | libc::SYS_newfstatat
                | libc::SYS_statx
        );
        self.look_again(call);
        let mut at = 0;
        while let Some(announced) = self.stamps.announced.get(at) {
            let is_done = announced.thread == call.thread;
            if !looks && !is_done {
                at += 1;
                continue;
            }
            let announced = self.stamps.announced.swap_remove(at);
            let Announced { path, at_ns, .. } = &announced;
            let seen = self.see_scratch(path, announced.follow, *at_ns);
            if !is_done {
                continue;
            }
            match announced.sets {
                Some(inode) if seen == Some(inode) => self.stamps.settle(inode),
                None if seen.is_none() => {
                    // It could not be opened, or it is nothing that shows when it is written.
                    let id = self.tasks.task(call.thread, self.patch).process;
                    self.tasks.process(id).written.remove(path);
                }
                _ => {}
            }
        }
        if self.stamps.are_many() {
            self.forget_what_is_gone();
        }
    }

    /// What the process has just opened for writing it has probably written by now.
    fn look_again(&mut self, call: &Call) {
        let task = self.tasks.task(call.thread, self.patch);
        let (id, now_ns) = (task.process, task.clock.now());
        let fresh = &mut self.tasks.process(id).fresh;
        if fresh.is_empty() {
            return;
        }
        let due: Vec<_> = fresh
            .iter_mut()
            .map(|(path, left)| {
                *left -= 1;
                Arc::clone(path)
            })
            .collect();
        fresh.retain(|(_, left)| *left > 0);
        for path in due {
            self.see_scratch(&path, true, now_ns);
        }
    }

    /// The process ends, and with it whatever it still had open for writing, or it has opened very
    /// much.
    pub(in crate::host) fn close_writes(&mut self, call: &Call) {
        let task = self.tasks.task(call.thread, self.patch);
        let (id, now_ns) = (task.process, task.clock.now());
        for path in std::mem::take(&mut self.tasks.process(id).written).paths {
            self.see_scratch(&path, true, now_ns);
        }
    }

    /// The inode number of what was seen, if it is a file of the scratch space.
    fn see_scratch(&mut self, path: &[u8], follow: bool, at_ns: u64) -> Option<u64> {
        let file = self.paths.look_up(path, follow).ok()?;
        let found = look(&file, "", AtFlags::EMPTY_PATH).ok()?;
        if self.identities.place(&found) != Place::Scratch {
            return None;
        }
        self.stamps.see(&found, at_ns);
        Some(found.stx_ino)
    }

    /// The action sets a file's times: what it sets is what it shall see.
    pub(super) fn setting_times(&mut self, call: &Call) {
        let at_ns = self.task(call).clock.now();
        // Whatever cannot be read or found the kernel refuses with the right error.
        if let Ok([accessed, modified]) = requested_times(call)
            && [accessed, modified] != [Wish::Keep; 2]
            && let Ok((path, follow)) = self.path_to_stamp(call)
            && let Ok(file) = self.paths.look_up(&path, follow)
            && let Ok(found) = look(&file, "", AtFlags::EMPTY_PATH)
            && self.identities.place(&found) == Place::Scratch
        {
            let before = self.stamps.see(&found, at_ns);
            let setting = Setting {
                accessed,
                modified,
                at_ns,
                before,
            };
            self.stamps.expect(found.stx_ino, setting);
            self.stamps.announced.push(Announced {
                thread: call.thread,
                path: path.into(),
                follow,
                at_ns,
                sets: Some(found.stx_ino),
            });
        }
    }

    /// The file whose times a call sets, and whether a link at the path's end is followed.
    fn path_to_stamp(&mut self, call: &Call) -> Result<(Vec<u8>, bool), Errno> {
        let (directory, name, flags) = match call.number {
            libc::SYS_utimensat => (call.int(0), call.arguments[1], call.int(3)),
            libc::SYS_futimesat => (call.int(0), call.arguments[1], 0),
            _ => (libc::AT_FDCWD, call.arguments[0], 0),
        };
        let path = if name == 0 {
            descriptor_path(call.thread, directory)?
        } else {
            let name = call.memory().read_path(name)?;
            self.absolute(call, directory, &name)?
        };
        Ok((path, flags & libc::AT_SYMLINK_NOFOLLOW == 0))
    }
}

/// Access and modification time that a call asks for.
fn requested_times(call: &Call) -> Result<[Wish; 2], Errno> {
    let memory = call.memory();
    let address = match call.number {
        libc::SYS_utimensat | libc::SYS_futimesat => call.arguments[2],
        _ => call.arguments[1],
    };
    if address == 0 {
        return Ok([Wish::Now; 2]);
    }
    if call.number == libc::SYS_utime {
        let (accessed, modified) = memory.read_pair(address)?;
        return Ok([accessed, modified].map(|seconds| Wish::At((seconds, 0))));
    }
    let is_in_ns = call.number == libc::SYS_utimensat;
    let time = |(seconds, fraction): (i64, i64)| {
        match fraction {
            libc::UTIME_NOW if is_in_ns => return Ok(Wish::Now),
            libc::UTIME_OMIT if is_in_ns => return Ok(Wish::Keep),
            _ => {}
        }
        let ns = fraction.checked_mul(if is_in_ns { 1 } else { 1000 });
        let ns = ns.and_then(|ns| u32::try_from(ns).ok());
        let ns = ns.filter(|ns| u64::from(*ns) < NS);
        ns.map(|ns| Wish::At((seconds, ns)))
            .ok_or(Errno(libc::EINVAL))
    };
    Ok([
        time(memory.read_pair(address)?)?,
        time(memory.read_pair(address.wrapping_add(16))?)?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_counted() {
        let mut written = Written::default();
        let path: Arc<[u8]> = b"/build/x".as_slice().into();
        written.insert(Arc::clone(&path));
        written.insert(Arc::clone(&path));
        assert_eq!(written.bytes, path.len() + WRITTEN_BYTES);
        written.remove(&path);
        written.remove(&path);
        assert_eq!(written.bytes, 0);
    }
}
