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
//!
//! What is remembered is bounded: of each process [`WRITTEN_BYTES_MAX`], after which what it has
//! opened so far is looked at as if it ended; of all files twice those that there are, or
//! [`SEEN_MAX`]. Beyond that those are forgotten that cannot be found any more (`census.rs`).

use std::collections::hash_map::Entry;
use std::sync::Arc;

use rustix::fs::{AtFlags, Statx};

use super::paths::descriptor_path;
use super::service::{Call, Service};
use super::status::{Place, look};
use super::times::NS;
use super::{Map, Set};
use crate::sys::Errno;

/// When something happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    /// At this time of the action, in nanoseconds since its beginning.
    Elapsed(u64),
    /// The action itself set this time, in seconds since 1970 and nanoseconds.
    Set(i64, u32),
}

impl Time {
    pub(super) fn wall_ns(self, start_ns: i128) -> i128 {
        match self {
            Self::Elapsed(ns) => start_ns + i128::from(ns),
            Self::Set(seconds, ns) => i128::from(seconds) * i128::from(NS) + i128::from(ns),
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
    modified: Stated,
    changed: Stated,
    size_bytes: u64,
    links: u32,
}

impl Real {
    fn of(found: &Statx) -> Self {
        Self {
            modified: (found.stx_mtime.tv_sec, found.stx_mtime.tv_nsec),
            changed: (found.stx_ctime.tv_sec, found.stx_ctime.tv_nsec),
            size_bytes: found.stx_size,
            links: found.stx_nlink,
        }
    }

    /// Whether the content is another than when the file looked so.
    fn is_modified_since(&self, before: &Self) -> bool {
        self.modified != before.modified || self.size_bytes != before.size_bytes
    }
}

impl Stamp {
    /// The latest time of the action that this file shows.
    pub(super) fn latest_seen_ns(&self) -> u64 {
        [self.accessed, self.modified, self.changed, self.born]
            .into_iter()
            .map(|time| match time {
                Time::Elapsed(ns) => ns,
                Time::Set(..) => 0,
            })
            .max()
            .unwrap_or(0)
    }
}

/// A time in seconds since 1970 and nanoseconds.
type Stated = (i64, u32);

/// Times that the action is about to set on a file, until it has been seen with them.
#[derive(Clone, Copy, Debug)]
struct Setting {
    accessed: Option<Stated>,
    modified: Option<Stated>,
    /// When it is set, in the action's time.
    at_ns: u64,
    /// What the file is until then.
    before: Real,
}

impl Setting {
    /// The file has been seen with them, and with whatever was done to it since.
    fn apply_to(&self, stamp: &mut Stamp, is_modified: bool) {
        // If the kernel's stamp is another, or the size, it was written to since.
        let is_all = match self.modified {
            Some(modified) => modified == stamp.real.modified,
            None => stamp.real.size_bytes == self.before.size_bytes,
        };
        if !is_all {
            return;
        }
        let at = Time::Elapsed(self.at_ns);
        stamp.changed = at;
        match self.modified {
            Some((seconds, ns)) => stamp.modified = Time::Set(seconds, ns),
            None if is_modified => (stamp.modified, stamp.accessed) = (at, at),
            None => {}
        }
        if let Some((seconds, ns)) = self.accessed {
            stamp.accessed = Time::Set(seconds, ns);
        }
    }
}

/// A file that is being opened for writing, or whose times are being set.
#[derive(Debug)]
struct Announced {
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
/// Times that are being set at once and have not been seen; there is hardly more than one a thread.
const SETTINGS_MAX: usize = 1024;
/// Files that are remembered, of about 128 bytes each, before anybody asks which are still there.
const SEEN_MAX: usize = 1 << 19;

/// Files that a process has opened for writing.
#[derive(Debug, Default)]
pub(super) struct Written {
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

/// The times of all files of the scratch space, by inode number.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    seen: Map<u64, Stamp>,
    settings: Map<u64, Setting>,
    announced: Vec<Announced>,
    /// How many files may be remembered now.
    seen_max: usize,
}

impl Stamps {
    /// Whether it is time to ask which files are still there.
    pub(super) fn are_many(&self) -> bool {
        self.seen.len() > self.seen_max.max(SEEN_MAX)
    }

    /// Forgets all files but these.
    pub(super) fn keep_only(&mut self, there: &Set<u64>) {
        self.seen.retain(|inode, _| there.contains(inode));
        self.seen.shrink_to_fit();
        self.settings.retain(|inode, _| there.contains(inode));
        self.seen_max = 2 * self.seen.len();
    }

    /// The times that a call sets will show as soon as the kernel has done it.
    fn expect(&mut self, inode: u64, setting: Setting) {
        // What was never seen belongs to a thread that was killed.
        if self.settings.len() >= SETTINGS_MAX && !self.settings.contains_key(&inode) {
            let oldest = self
                .settings
                .iter()
                .min_by_key(|(inode, other)| (other.at_ns, **inode));
            if let Some(oldest) = oldest.map(|(inode, _)| *inode) {
                self.settings.remove(&oldest);
            }
        }
        self.settings.insert(inode, setting);
    }

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
        if let Entry::Occupied(entry) = self.settings.entry(found.stx_ino)
            && real != entry.get().before
        {
            entry.remove().apply_to(stamp, is_modified);
        }
        *stamp
    }

    /// The thread that was setting times has come back, and the file has just been seen: if the
    /// kernel's stamps are the same as before, they had those already.
    fn settle(&mut self, inode: u64) {
        if let Some(setting) = self.settings.remove(&inode)
            && let Some(stamp) = self.seen.get_mut(&inode)
        {
            setting.apply_to(stamp, false);
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
    pub(super) fn close_writes(&mut self, call: &Call) {
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
            && let Ok((path, follow)) = self.path_to_stamp(call)
            && let Ok(file) = self.paths.look_up(&path, follow)
            && let Ok(found) = look(&file, "", AtFlags::EMPTY_PATH)
            && self.identities.place(&found) == Place::Scratch
        {
            let before = self.stamps.see(&found, at_ns).real;
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

/// Access and modification time that a call asks for; none for one that stays, or that is
/// now.
fn requested_times(call: &Call) -> Result<[Option<Stated>; 2], Errno> {
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
        return Ok([accessed, modified].map(|seconds| Some((seconds, 0))));
    }
    let is_in_ns = call.number == libc::SYS_utimensat;
    let time = |(seconds, fraction): (i64, i64)| {
        let is_special = fraction == libc::UTIME_NOW || fraction == libc::UTIME_OMIT;
        if is_in_ns && is_special {
            return Ok(None);
        }
        let ns = fraction.checked_mul(if is_in_ns { 1 } else { 1000 });
        let ns = ns.and_then(|ns| u32::try_from(ns).ok());
        let ns = ns.filter(|ns| u64::from(*ns) < NS);
        ns.map(|ns| Some((seconds, ns))).ok_or(Errno(libc::EINVAL))
    };
    Ok([
        time(memory.read_pair(address)?)?,
        time(memory.read_pair(address.wrapping_add(16))?)?,
    ])
}

#[cfg(test)]
mod tests {
    use std::fs::{File, FileTimes, set_permissions};
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn status(path: &Path) -> Statx {
        look(File::open(path).unwrap(), "", AtFlags::EMPTY_PATH).unwrap()
    }

    /// Announces it, does it, and looks at it only at some later time.
    fn set(stamps: &mut Stamps, path: &Path, at_ns: u64, modified: Option<u64>, accessed: u64) {
        let found = status(path);
        let before = stamps.see(&found, at_ns).real;
        let instant = |seconds| (i64::try_from(seconds).unwrap(), 0);
        let setting = Setting {
            accessed: Some(instant(accessed)),
            modified: modified.map(instant),
            at_ns,
            before,
        };
        stamps.expect(found.stx_ino, setting);
        // Not done yet: nothing shows.
        stamps.see(&status(path), at_ns + 1);
        assert_eq!(stamps.settings.len(), 1);
        let seconds = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let mut times = FileTimes::new().set_accessed(seconds(accessed));
        if let Some(modified) = modified {
            times = times.set_modified(seconds(modified));
        }
        let file = File::options().write(true).open(path).unwrap();
        file.set_times(times).unwrap();
    }

    #[test]
    fn times_that_are_set_show_until_the_next_change() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        std::fs::write(&path, "x").unwrap();
        let mut stamps = Stamps::default();
        stamps.see(&status(&path), 1);
        set(&mut stamps, &path, 10, Some(7), 8);
        let shown = stamps.see(&status(&path), 20);
        assert_eq!(shown.modified, Time::Set(7, 0));
        assert_eq!(shown.accessed, Time::Set(8, 0));
        assert_eq!(shown.changed, Time::Elapsed(10));
        assert!(stamps.settings.is_empty());
        // Its number of names is what every kernel shows at once.
        std::fs::hard_link(&path, place.path().join("other")).unwrap();
        let shown = stamps.see(&status(&path), 30);
        assert_eq!(shown.modified, Time::Set(7, 0));
        assert_eq!(shown.changed, Time::Elapsed(30));
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(b"y").unwrap();
        let shown = stamps.see(&status(&path), 40);
        assert_eq!(shown.modified, Time::Elapsed(40));
        assert_eq!(shown.changed, Time::Elapsed(40));
        // Without a modification time, too.
        set(&mut stamps, &path, 50, None, 9);
        let shown = stamps.see(&status(&path), 60);
        assert_eq!(shown.accessed, Time::Set(9, 0));
        assert_eq!(shown.modified, Time::Elapsed(40));
        std::fs::hard_link(&path, place.path().join("third")).unwrap();
        assert_eq!(stamps.see(&status(&path), 70).changed, Time::Elapsed(70));
        // Written to before anybody has looked.
        set(&mut stamps, &path, 80, Some(7), 8);
        file.write_all(b"z").unwrap();
        let shown = stamps.see(&status(&path), 90);
        assert_eq!(shown.modified, Time::Elapsed(90));
        assert_eq!(shown.changed, Time::Elapsed(90));
        assert!(stamps.settings.is_empty());
        // The same times once more, as a kernel shows it that does not tell the two apart.
        let found = status(&path);
        let before = stamps.see(&found, 100).real;
        let setting = Setting {
            accessed: Some((6, 0)),
            modified: Some(before.modified),
            at_ns: 100,
            before,
        };
        stamps.expect(found.stx_ino, setting);
        stamps.settle(found.stx_ino);
        let shown = stamps.see(&found, 110);
        assert_eq!(shown.accessed, Time::Set(6, 0));
        assert_eq!(shown.changed, Time::Elapsed(100));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let place = tempfile::tempdir().unwrap();
        let mut stamps = Stamps::default();
        let mut there = Set::default();
        let before = stamps.see(&status(place.path()), 1).real;
        for number in 0..64_u64 {
            let path = place.path().join(number.to_string());
            std::fs::write(&path, "x").unwrap();
            set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            let found = status(&path);
            stamps.see(&found, number);
            if number % 2 == 0 {
                there.insert(found.stx_ino);
            }
        }
        stamps.keep_only(&there);
        assert_eq!((stamps.seen.len(), stamps.are_many()), (32, false));
        for at_ns in 0..2 * SETTINGS_MAX as u64 {
            let setting = Setting {
                accessed: None,
                modified: None,
                at_ns,
                before,
            };
            stamps.expect(at_ns, setting);
        }
        assert_eq!(stamps.settings.len(), SETTINGS_MAX);
        assert!(!stamps.settings.contains_key(&0));
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
