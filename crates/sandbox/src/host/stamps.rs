//! The times of files that the action itself makes, in its own time.
//!
//! The kernel stamps them with the host's clock, so those stamps are only used to see *whether*
//! a file has changed. When it did is known from what the action does: it opened the file for
//! writing at this time of its clock, or set the time itself; a change that nobody announced
//! happened when it is first seen. A file that a process opened for writing is looked at again
//! after its next calls and at its end, because most are written then.
//!
//! Needs a kernel whose stamps tell two changes apart between which someone has looked
//! (multigrain time stamps, Linux 6.13); on older ones a change within the same tick as the
//! look before it is missed, and the file shows the earlier of both times. Those stamps do not
//! hold for a directory from which a name is taken, which gets the stamp of the file that had it,
//! and that can be the one it has already: there the size, which counts names, tells.

use std::sync::Arc;

use rustix::fs::{AtFlags, Statx};

use super::Map;
use super::paths::descriptor_path;
use super::service::{Call, Service};
use super::status::{Place, look, stamp_ns};
use super::times::NS;
use crate::sys::Errno;

/// When something happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    /// At this time of the action, in nanoseconds since its beginning.
    Elapsed(u64),
    /// The action itself set this time, in nanoseconds since 1970.
    Set(i128),
}

impl Time {
    pub(super) fn wall_ns(self, start_ns: i128) -> i128 {
        match self {
            Self::Elapsed(ns) => start_ns + i128::from(ns),
            Self::Set(ns) => ns,
        }
    }
}

/// The times of one file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    pub(super) accessed: Time,
    pub(super) modified: Time,
    pub(super) changed: Time,
    pub(super) born: Time,
    /// What the file was when it was last seen.
    real: Real,
}

/// What of the kernel's status tells that a file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Real {
    modified_ns: i128,
    changed_ns: i128,
    size_bytes: u64,
    links: u32,
}

impl Real {
    fn of(found: &Statx) -> Self {
        Self {
            modified_ns: stamp_ns(&found.stx_mtime),
            changed_ns: stamp_ns(&found.stx_ctime),
            size_bytes: found.stx_size,
            links: found.stx_nlink,
        }
    }

    /// Whether the content is another than when the file looked so.
    fn is_modified_since(&self, before: &Self) -> bool {
        self.modified_ns != before.modified_ns || self.size_bytes != before.size_bytes
    }
}

impl Stamp {
    /// The latest time of the action that this file shows.
    pub(super) fn latest_seen_ns(&self) -> u64 {
        [self.accessed, self.modified, self.changed, self.born]
            .into_iter()
            .map(|time| match time {
                Time::Elapsed(ns) => ns,
                Time::Set(_) => 0,
            })
            .max()
            .unwrap_or(0)
    }
}

/// Times that the action is about to set on a file, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Setting {
    accessed: Option<i128>,
    modified: Option<i128>,
    /// When it is set, in the action's time.
    at: u64,
}

/// A file that is being opened for writing.
#[derive(Debug)]
struct Opening {
    thread: i32,
    path: Arc<[u8]>,
    at_ns: u64,
}

/// How many calls of a process a file that it opened for writing is looked at again after: a
/// shell that redirects a command's output has written it within a few.
const LOOKS: u8 = 3;

/// The times of all files of the scratch space, by inode number.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    seen: Map<u64, Stamp>,
    settings: Map<u64, Setting>,
    openings: Vec<Opening>,
}

impl Stamps {
    /// The times of a file that is looked at now.
    pub(super) fn see(&mut self, found: &Statx, now_ns: u64) -> Stamp {
        let real = Real::of(found);
        let now = Time::Elapsed(now_ns);
        let stamp = self.seen.entry(found.stx_ino).or_insert(Stamp {
            accessed: now,
            modified: now,
            changed: now,
            born: now,
            real,
        });
        let is_modified = real.is_modified_since(&stamp.real);
        let is_changed = real != stamp.real;
        if is_modified {
            stamp.modified = now;
            stamp.accessed = now;
        }
        if is_changed {
            stamp.changed = now;
        }
        stamp.real = real;
        if let Some(setting) = self.settings.get(&found.stx_ino) {
            let (accessed_ns, modified_ns) = (setting.accessed, setting.modified);
            // If the kernel's stamp is another, the file was written to since.
            if modified_ns.is_none_or(|ns| ns == real.modified_ns) {
                if let Some(ns) = modified_ns {
                    stamp.modified = Time::Set(ns);
                }
                if let Some(ns) = accessed_ns {
                    stamp.accessed = Time::Set(ns);
                }
                if is_changed {
                    stamp.changed = Time::Elapsed(setting.at);
                }
            } else {
                self.settings.remove(&found.stx_ino);
            }
        }
        *stamp
    }
}

impl Service {
    /// A file will be open for writing as soon as the kernel has done it.
    pub(super) fn note_writing(&mut self, call: &Call, path: Vec<u8>) {
        let path: Arc<[u8]> = path.into();
        let task = self.tasks.task(call.thread, self.patch);
        let (id, at_ns) = (task.process, task.clock.now());
        self.stamps.openings.push(Opening {
            thread: call.thread,
            path: Arc::clone(&path),
            at_ns,
        });
        let process = self.tasks.process(id);
        process.fresh.retain(|(known, _)| *known != path);
        process.fresh.push((Arc::clone(&path), LOOKS));
        process.written.insert(path);
    }

    /// Files whose opening was announced are open now, if the thread that did it has come back
    /// or if someone is about to look at files.
    pub(super) fn note_writes(&mut self, call: &Call) {
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
        while let Some(opening) = self.stamps.openings.get(at) {
            if looks || opening.thread == call.thread {
                let Opening { path, at_ns, .. } = self.stamps.openings.swap_remove(at);
                self.see_scratch(&path, at_ns);
            } else {
                at += 1;
            }
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
            self.see_scratch(&path, now_ns);
        }
    }

    /// The process ends, and with it whatever it still had open for writing.
    pub(super) fn close_writes(&mut self, call: &Call) {
        let task = self.tasks.task(call.thread, self.patch);
        let (id, now_ns) = (task.process, task.clock.now());
        for path in std::mem::take(&mut self.tasks.process(id).written) {
            self.see_scratch(&path, now_ns);
        }
    }

    fn see_scratch(&mut self, path: &[u8], at_ns: u64) {
        if let Ok(file) = self.paths.look_up(path, true)
            && let Ok(found) = look(&file, "", AtFlags::EMPTY_PATH)
            && self.identities.place(&found) == Place::Scratch
        {
            self.stamps.see(&found, at_ns);
        }
    }

    /// The action sets a file's times: what it sets is what it shall see.
    pub(super) fn setting_times(&mut self, call: &Call) {
        let now_ns = self.task(call).clock.now();
        // Whatever cannot be read or found the kernel refuses with the right error.
        if let Ok(times) = requested_times(call)
            && let Ok(found) = self.file_to_stamp(call)
            && self.identities.place(&found) == Place::Scratch
        {
            self.stamps.see(&found, now_ns);
            let [accessed, modified] = times;
            self.stamps.settings.insert(
                found.stx_ino,
                Setting {
                    accessed,
                    modified,
                    at: now_ns,
                },
            );
        }
    }

    fn file_to_stamp(&mut self, call: &Call) -> Result<Statx, Errno> {
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
        let follow = flags & libc::AT_SYMLINK_NOFOLLOW == 0;
        look(&self.paths.look_up(&path, follow)?, "", AtFlags::EMPTY_PATH)
    }
}

/// Access and modification time that a call asks for; none for one that stays, or that is
/// now.
fn requested_times(call: &Call) -> Result<[Option<i128>; 2], Errno> {
    let memory = call.memory();
    let address = match call.number {
        libc::SYS_utimensat | libc::SYS_futimesat => call.arguments[2],
        _ => call.arguments[1],
    };
    if address == 0 {
        return Ok([None; 2]);
    }
    if call.number == libc::SYS_utime {
        let (accessed, modified) = memory.read_pair(address)?;
        return Ok([accessed, modified].map(|s| Some(i128::from(s) * i128::from(NS))));
    }
    let scale = if call.number == libc::SYS_utimensat {
        1
    } else {
        1000
    };
    let time = |(seconds, fraction): (i64, i64)| {
        let is_special =
            scale == 1 && (fraction == libc::UTIME_NOW || fraction == libc::UTIME_OMIT);
        (!is_special).then(|| i128::from(seconds) * i128::from(NS) + i128::from(fraction) * scale)
    };
    Ok([
        time(memory.read_pair(address)?),
        time(memory.read_pair(address.wrapping_add(16))?),
    ])
}
