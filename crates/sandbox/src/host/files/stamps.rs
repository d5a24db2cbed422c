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

use rustix::fs::Statx;

use super::announced::Announced;
use crate::host::time::times::NS;
use crate::host::{Map, Set};

/// When something happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    /// At this time of the action, in nanoseconds since its beginning.
    Elapsed(u64),
    /// The action itself set this time, in seconds since 1970 and nanoseconds.
    Set(i64, u32),
}

impl Time {
    pub(in crate::host) fn wall_ns(self, start_ns: i128) -> i128 {
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
    pub(in crate::host) changed: Time,
    pub(super) born: Time,
    /// What the file was when it was last seen.
    pub(super) real: Real,
}

/// What of the kernel's status tells that a file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Real {
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
pub(super) type Stated = (i64, u32);

/// What a call wants of one of a file's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// It stays.
    Keep,
    /// The time of the call.
    Now,
    At(Stated),
}

/// Times that the action is about to set on a file, until it has been seen with them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) accessed: Wish,
    pub(super) modified: Wish,
    /// When it is set, in the action's time.
    pub(super) at_ns: u64,
    /// What the file is until then.
    pub(super) before: Stamp,
}

impl Setting {
    /// The file has been seen with them, and with whatever was done to it since.
    fn apply_to(&self, stamp: &mut Stamp) {
        // If the kernel's stamp is another, or the size, it was written to since.
        let is_all = match self.modified {
            Wish::At(modified) => modified == stamp.real.modified,
            Wish::Now | Wish::Keep => stamp.real.size_bytes == self.before.real.size_bytes,
        };
        if !is_all {
            return;
        }
        let at = Time::Elapsed(self.at_ns);
        stamp.changed = at;
        match self.modified {
            Wish::Keep => {}
            Wish::Now => stamp.modified = at,
            Wish::At((seconds, ns)) => stamp.modified = Time::Set(seconds, ns),
        }
        match self.accessed {
            // That it was modified was taken for a write, which counts as an access.
            Wish::Keep if self.modified != Wish::Keep => stamp.accessed = self.before.accessed,
            Wish::Keep => {}
            Wish::Now => stamp.accessed = at,
            Wish::At((seconds, ns)) => stamp.accessed = Time::Set(seconds, ns),
        }
    }
}

/// Times that are being set at once and have not been seen; there is hardly more than one a thread.
const SETTINGS_MAX: usize = 1024;
/// Files that are remembered, of about 128 bytes each, before anybody asks which are still there.
const SEEN_MAX: usize = 1 << 19;

/// The times of all files of the scratch space, by inode number.
#[derive(Debug, Default)]
pub(in crate::host) struct Stamps {
    seen: Map<u64, Stamp>,
    settings: Map<u64, Setting>,
    pub(super) announced: Vec<Announced>,
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
    pub(super) fn expect(&mut self, inode: u64, setting: Setting) {
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
            && real != entry.get().before.real
        {
            entry.remove().apply_to(stamp);
        }
        *stamp
    }

    /// The thread that was setting times has come back, and the file has just been seen: if the
    /// kernel's stamps are the same as before, they had those already.
    pub(super) fn settle(&mut self, inode: u64) {
        if let Some(setting) = self.settings.remove(&inode)
            && let Some(stamp) = self.seen.get_mut(&inode)
        {
            setting.apply_to(stamp);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, FileTimes, set_permissions};
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::time::{Duration, UNIX_EPOCH};

    use rustix::fs::AtFlags;

    use super::super::status::look;
    use super::*;

    fn status(path: &Path) -> Statx {
        look(File::open(path).unwrap(), "", AtFlags::EMPTY_PATH).unwrap()
    }

    /// Announces it, does it, and looks at it only at some later time.
    fn set(stamps: &mut Stamps, path: &Path, at_ns: u64, modified: Option<u64>, accessed: u64) {
        let found = status(path);
        let before = stamps.see(&found, at_ns);
        let instant = |seconds| (i64::try_from(seconds).unwrap(), 0);
        let setting = Setting {
            accessed: Wish::At(instant(accessed)),
            modified: modified.map_or(Wish::Keep, |seconds| Wish::At(instant(seconds))),
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
        let before = stamps.see(&found, 100);
        let setting = Setting {
            accessed: Wish::At((6, 0)),
            modified: Wish::At(before.real.modified),
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
    fn one_time_is_set_to_now_and_the_other_stays() {
        use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, futimens};

        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        std::fs::write(&path, "x").unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        let mut stamps = Stamps::default();
        stamps.see(&status(&path), 1);
        let special = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
        let (now, keep) = (special(UTIME_NOW), special(UTIME_OMIT));
        for (at_ns, accessed, expected) in [(10, true, (10, 1)), (20, false, (10, 20))] {
            let found = status(&path);
            let before = stamps.see(&found, at_ns);
            let (one, other) = (Wish::Now, Wish::Keep);
            let setting = Setting {
                accessed: if accessed { one } else { other },
                modified: if accessed { other } else { one },
                at_ns,
                before,
            };
            stamps.expect(found.stx_ino, setting);
            let times = Timestamps {
                last_access: if accessed { now } else { keep },
                last_modification: if accessed { keep } else { now },
            };
            futimens(&file, &times).unwrap();
            stamps.see(&status(&path), at_ns + 5);
            stamps.settle(found.stx_ino);
            let shown = stamps.see(&status(&path), at_ns + 6);
            let (accessed, modified) = expected;
            assert_eq!(shown.accessed, Time::Elapsed(accessed));
            assert_eq!(shown.modified, Time::Elapsed(modified));
            assert_eq!(shown.changed, Time::Elapsed(at_ns));
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let place = tempfile::tempdir().unwrap();
        let mut stamps = Stamps::default();
        let mut there = Set::default();
        let before = stamps.see(&status(place.path()), 1);
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
                accessed: Wish::Now,
                modified: Wish::Now,
                at_ns,
                before,
            };
            stamps.expect(at_ns, setting);
        }
        assert_eq!(stamps.settings.len(), SETTINGS_MAX);
        assert!(!stamps.settings.contains_key(&0));
    }
}
