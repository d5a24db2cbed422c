//! What a file's status shows: its contents and kind are real, everything that tells of the
//! host (devices, inode numbers, times, blocks, links, free space) is ours.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use rustix::fs::{AtFlags, Statx, StatxFlags, statx};

use super::inputs::real_path;
use super::lead::Led;
use super::paths::{descriptor_path, errno, look_below};
use super::shown::{BLOCK_BYTES, Shown};
use crate::host::Map;
use crate::host::process::memory::Words;
use crate::host::random::stream::word;
use crate::host::service::{Answer, Call, DONE, Reply, Service};
use crate::host::time::times::NS;
use crate::sys::Errno;

/// What a real device number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The memory file system that holds the root's own directories.
    Root,
    /// `/build`, `/tmp` and `/dev/shm`.
    Scratch,
    /// `/proc`.
    Processes,
    /// The devices.
    Devices,
    /// A file that has no path: a pipe, a socket, an anonymous file.
    Nameless,
    /// An input; also everything else.
    Input,
}

impl Place {
    /// The minor number of the device, whose major number is 0; an input's is 8:1.
    pub(in crate::host) const fn device(self) -> (u32, u32) {
        match self {
            Self::Root => (0, 30),
            Self::Scratch => (0, 31),
            Self::Processes => (0, 32),
            Self::Devices => (0, 5),
            Self::Nameless => (0, 12),
            Self::Input => (8, 1),
        }
    }

    fn of_shown(shown: &Shown) -> Self {
        const ALL: [Place; 6] = [
            Place::Root,
            Place::Scratch,
            Place::Processes,
            Place::Devices,
            Place::Nameless,
            Place::Input,
        ];
        let is_its = |place: &Self| place.device() == shown.device;
        ALL.into_iter().find(is_its).unwrap_or(Self::Input)
    }
}

/// Which real device is which place, and which inode number a file seems to have.
#[derive(Debug)]
pub(in crate::host) struct Identities {
    places: Map<(u32, u32), Place>,
    inputs: Map<(u32, u32, u64), u64>,
    nameless: Map<(u32, u32, u64), u64>,
    nameless_count: u64,
    /// Files of `/proc` that the action has opened and got from the service, by what they are here.
    texts: Map<(u32, u32, u64), Arc<[u8]>>,
    salt: u64,
}

impl Identities {
    pub(in crate::host) fn new(root: &OwnedFd, salt: u64) -> Self {
        let mut places = Map::default();
        for (path, place) in [
            ("dev/null", Place::Devices),
            ("proc", Place::Processes),
            ("build", Place::Scratch),
            (".", Place::Root),
        ] {
            if let Ok(found) = look(root, path, AtFlags::SYMLINK_NOFOLLOW) {
                places.insert((found.stx_dev_major, found.stx_dev_minor), place);
            }
        }
        Self {
            places,
            inputs: Map::default(),
            nameless: Map::default(),
            nameless_count: 0,
            texts: Map::default(),
            salt,
        }
    }

    pub(super) fn place(&self, found: &Statx) -> Place {
        let device = (found.stx_dev_major, found.stx_dev_minor);
        match self.places.get(&device) {
            Some(place) => *place,
            // Devices without a real number behind them hold pipes, sockets and the like.
            None if found.stx_dev_major == 0 && !has_path(found) => Place::Nameless,
            None => Place::Input,
        }
    }

    /// From now on this file is that one of `/proc`.
    pub(super) fn note_text(&mut self, file: &OwnedFd, path: &[u8]) {
        if self.texts.len() >= TEXTS_MAX {
            self.texts.clear();
        }
        if let Ok(found) = look(file, "", AtFlags::EMPTY_PATH) {
            self.texts.insert(key(&found), path.into());
        }
    }

    pub(super) fn text_path(&self, found: &Statx) -> Option<Arc<[u8]>> {
        self.texts.get(&key(found)).cloned()
    }

    /// The number of an input follows from its path, so that it is the same wherever the input
    /// is kept.
    pub(super) fn input_number(&self, path: &[u8]) -> u64 {
        // Positive, and exact in every language.
        word(&[b"input", &self.salt.to_le_bytes(), path]) >> 16 | 1
    }

    fn number(&mut self, found: &Statx, place: Place, path: impl FnOnce() -> Vec<u8>) -> u64 {
        match place {
            Place::Scratch | Place::Root | Place::Devices => found.stx_ino,
            Place::Processes => self.input_number(&path()),
            Place::Nameless => {
                if self.nameless.len() >= NAMELESS_MAX {
                    self.nameless.clear();
                }
                *self.nameless.entry(key(found)).or_insert_with(|| {
                    self.nameless_count += 1;
                    NAMELESS_FIRST + self.nameless_count - 1
                })
            }
            Place::Input => {
                if let Some(known) = self.inputs.get(&key(found)) {
                    return *known;
                }
                let mut path = path();
                // A namespace is named by its kind and by a number of the host's.
                if let Some(end) = path.windows(2).position(|pair| pair == b":[")
                    && !path.starts_with(b"/")
                {
                    path.truncate(end);
                }
                let number = self.input_number(&path);
                self.inputs.insert(key(found), number);
                number
            }
        }
    }

    /// The number of a file that was found by looking at it.
    pub(in crate::host) fn number_at(
        &mut self,
        found: &Statx,
        path: impl FnOnce() -> Vec<u8>,
    ) -> u64 {
        let place = self.place(found);
        self.number(found, place, path)
    }

    /// The number by which a link to this pipe or socket would name it.
    pub(super) fn nameless_number(&mut self, found: &Statx) -> u64 {
        self.number(found, Place::Nameless, Vec::new)
    }
}

/// Open files of `/proc` that are known for what they are; a process has at most as many.
const TEXTS_MAX: usize = 4096;

/// Pipes and sockets that are known again, of about 40 bytes each: more than can be open at once. One
/// that is looked at before and after so many others gets another number.
const NAMELESS_MAX: usize = 1 << 20;
/// The number of the first pipe or socket that is looked at.
const NAMELESS_FIRST: u64 = 1000;

fn key(found: &Statx) -> (u32, u32, u64) {
    (found.stx_dev_major, found.stx_dev_minor, found.stx_ino)
}

fn has_path(found: &Statx) -> bool {
    let kind = u32::from(found.stx_mode) & libc::S_IFMT;
    found.stx_nlink > 0 && (kind == libc::S_IFDIR || kind == libc::S_IFLNK || kind == libc::S_IFREG)
}

/// Everything about a file that a status can hold.
pub(in crate::host) fn look(
    directory: impl AsFd,
    path: &str,
    flags: AtFlags,
) -> Result<Statx, Errno> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    statx(directory, OsStr::from_bytes(path.as_bytes()), flags, wanted).map_err(errno)
}

const STATUS_NS: u64 = 1_000;

impl Service {
    /// What a real status is shown as. `path` says where the file is, if that has to be known.
    pub(super) fn shown(
        &mut self,
        call: &Call,
        found: &Statx,
        path: impl FnOnce() -> Vec<u8>,
    ) -> Shown {
        let place = self.identities.place(found);
        if place == Place::Input {
            return self.shown_input(found, path);
        }
        if place == Place::Nameless
            && let Some(path) = self.identities.text_path(found)
        {
            return self.made_up_status(&path, libc::S_IFREG | 0o444);
        }
        let kind = u32::from(found.stx_mode) & libc::S_IFMT;
        let start_ns = i128::from(self.wall_ns(0));
        let mut shown = Shown {
            device: place.device(),
            inode: self.identities.number(found, place, path),
            mode: found.stx_mode.into(),
            links: found.stx_nlink.into(),
            user: found.stx_uid,
            group: found.stx_gid,
            special: (found.stx_rdev_major, found.stx_rdev_minor),
            size_bytes: found.stx_size,
            accessed_ns: start_ns,
            modified_ns: start_ns,
            changed_ns: start_ns,
            born_ns: start_ns,
        };
        // The service sees real users; inside there is one, and the system's.
        (shown.user, shown.group) = (self.host.user_id, self.host.user_id);
        match place {
            Place::Input => {}
            Place::Scratch => {
                let now_ns = self.task(call).clock.now();
                let stamp = self.stamps.see(found, now_ns);
                let latest = stamp.latest_seen_ns();
                let wall = |ns: super::stamps::Time| ns.wall_ns(start_ns);
                shown.modified_ns = wall(stamp.modified);
                shown.changed_ns = wall(stamp.changed);
                shown.accessed_ns = wall(stamp.accessed);
                shown.born_ns = wall(stamp.born);
                self.task(call).clock.merge(latest);
            }
            Place::Devices => {
                (shown.user, shown.group) = (0, 0);
                shown.mode = libc::S_IFCHR | 0o666;
                shown.inode = u64::from(found.stx_rdev_minor) + 2;
            }
            Place::Root => (shown.user, shown.group) = (0, 0),
            Place::Processes | Place::Nameless => {
                if self.devices.is_random(found) {
                    shown.mode = libc::S_IFCHR | 0o666;
                    shown.special = (1, 9);
                    shown.device = Place::Devices.device();
                    shown.inode = 11;
                    (shown.user, shown.group) = (0, 0);
                } else if kind == libc::S_IFIFO {
                    shown.mode = libc::S_IFIFO | 0o600;
                }
            }
        }
        shown
    }

    /// The same for an input, whatever the action has done so far.
    pub(super) fn shown_input(&mut self, found: &Statx, path: impl FnOnce() -> Vec<u8>) -> Shown {
        let ns = i128::from(self.host.input_time) * i128::from(NS);
        let is_directory = u32::from(found.stx_mode) & libc::S_IFMT == libc::S_IFDIR;
        Shown {
            device: Place::Input.device(),
            inode: self.identities.number(found, Place::Input, path),
            mode: input_mode(found.stx_mode.into()),
            links: 1,
            user: 0,
            group: 0,
            special: (found.stx_rdev_major, found.stx_rdev_minor),
            size_bytes: if is_directory {
                BLOCK_BYTES
            } else {
                found.stx_size
            },
            accessed_ns: ns,
            modified_ns: ns,
            changed_ns: ns,
            born_ns: ns,
        }
    }

    pub(super) fn status_of(&mut self, call: &Call, descriptor: i32, buffer: u64) -> Answer {
        self.task(call).clock.work(STATUS_NS);
        let found = self.descriptor_status(call, descriptor)?;
        let thread = call.thread;
        let path = || descriptor_path(thread, descriptor).unwrap_or_default();
        let shown = self.shown(call, &found, path).stat();
        call.memory().write(buffer, &shown)?;
        DONE
    }

    pub(super) fn status_at(
        &mut self,
        call: &Call,
        directory: i32,
        name: u64,
        buffer: u64,
        flags: i32,
    ) -> Answer {
        const KNOWN: i32 = libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH | libc::AT_NO_AUTOMOUNT;
        if flags & !KNOWN != 0 {
            return Err(Errno(libc::EINVAL));
        }
        match self.find(call, directory, name, flags)? {
            Some(shown) => {
                call.memory().write(buffer, &shown.stat())?;
                DONE
            }
            None => Ok(Reply::Proceed),
        }
    }

    pub(super) fn extended_status(&mut self, call: &Call) -> Answer {
        const RESERVED: u64 = 0x8000_0000;
        const KNOWN: i32 = libc::AT_SYMLINK_NOFOLLOW
            | libc::AT_EMPTY_PATH
            | libc::AT_NO_AUTOMOUNT
            | libc::AT_STATX_FORCE_SYNC
            | libc::AT_STATX_DONT_SYNC;
        let [_, name, _, mask, buffer, _] = call.arguments;
        if mask & RESERVED != 0 || call.int(2) & !KNOWN != 0 {
            return Err(Errno(libc::EINVAL));
        }
        match self.find(call, call.int(0), name, call.int(2))? {
            Some(shown) => {
                call.memory().write(buffer, &shown.statx())?;
                DONE
            }
            None => Ok(Reply::Proceed),
        }
    }

    /// The file that a status call names; none if the kernel has to say it itself.
    fn find(
        &mut self,
        call: &Call,
        directory: i32,
        name: u64,
        flags: i32,
    ) -> Result<Option<Shown>, Errno> {
        self.task(call).clock.work(STATUS_NS);
        let is_empty_allowed = flags & libc::AT_EMPTY_PATH != 0;
        // Linux 6.11 takes a null pointer for an empty path.
        let name = if name == 0 && is_empty_allowed {
            Vec::new()
        } else {
            call.memory().read_path(name)?
        };
        if name.is_empty() {
            if !is_empty_allowed {
                return Err(Errno(libc::ENOENT));
            }
            if directory != libc::AT_FDCWD {
                let found = self.descriptor_status(call, directory)?;
                let thread = call.thread;
                let path = || descriptor_path(thread, directory).unwrap_or_default();
                return Ok(Some(self.shown(call, &found, path)));
            }
        }
        let follow = flags & libc::AT_SYMLINK_NOFOLLOW == 0;
        let path = match self.absolute(call, directory, &name) {
            Err(Errno(libc::ENAMETOOLONG)) => {
                let file = look_below(call, directory, &name, follow)?;
                let found = look(&file, "", AtFlags::EMPTY_PATH)?;
                return Ok(Some(self.shown(call, &found, Vec::new)));
            }
            path => path?,
        };
        let (path, file) = match self.lead(call, path, follow) {
            Led::Machine(path) => {
                if let Some(shown) = self.process_status(call, &path, follow) {
                    return shown.map(Some);
                }
                (path, None)
            }
            Led::Elsewhere(path, file) => (path, file),
        };
        if file.is_none()
            && let Some(known) = self.input_status(&path, follow)
        {
            return known.map(Some);
        }
        let file = file.unwrap_or_else(|| self.paths.look_up(&path, follow))?;
        let found = look(&file, "", AtFlags::EMPTY_PATH)?;
        Ok(Some(self.shown(call, &found, || real_path(&file))))
    }

    /// A status that stands for a file of `/proc` that only the service knows.
    pub(super) fn made_up_status(&self, path: &[u8], mode: u32) -> Shown {
        let ns = i128::from(self.wall_ns(0));
        Shown {
            device: Place::Processes.device(),
            inode: self.identities.input_number(path),
            mode,
            links: 1,
            user: 0,
            group: 0,
            special: (0, 0),
            size_bytes: 0,
            accessed_ns: ns,
            modified_ns: ns,
            changed_ns: ns,
            born_ns: ns,
        }
    }

    fn place_at(&self, path: &[u8]) -> Result<Place, Errno> {
        let file = self.paths.look_up(path, true)?;
        let found = look(&file, "", AtFlags::EMPTY_PATH)?;
        Ok(self.identities.place(&found))
    }

    /// `struct statfs`: the kind of file system is real, its size and space are not.
    pub(super) fn file_system_status(&mut self, call: &Call) -> Answer {
        const TMPFS: u64 = 0x0102_1994;
        const PROC: u64 = 0x9fa0;
        const PIPEFS: u64 = 0x5049_5045;
        let place = if call.number == libc::SYS_fstatfs {
            let found = self.descriptor_status(call, call.int(0))?;
            self.identities.place(&found)
        } else {
            let name = call.memory().read_path(call.arguments[0])?;
            let path = self.absolute(call, libc::AT_FDCWD, &name)?;
            match self.lead(call, path, true) {
                Led::Machine(path) => match self.process_status(call, &path, true) {
                    Some(shown) => Place::of_shown(&shown?),
                    None => self.place_at(&path)?,
                },
                Led::Elsewhere(path, _) => self.place_at(&path)?,
            }
        };
        let (kind, blocks, files) = match place {
            Place::Processes => (PROC, 0, 0),
            Place::Nameless => (PIPEFS, 0, 0),
            _ => (TMPFS, 1 << 21, 1 << 20),
        };
        // Read-only, no set-id, no devices, as mount flags of statfs(2).
        let flags: u64 = if place == Place::Scratch { 0x26 } else { 0x27 };
        let (major, minor) = place.device();
        let status = Words::default()
            .u64(kind)
            .u64(BLOCK_BYTES)
            .u64(blocks)
            .u64(blocks / 2)
            .u64(blocks / 2)
            .u64(files)
            .u64(files / 2)
            .u32(major)
            .u32(minor)
            .u64(255)
            .u64(BLOCK_BYTES)
            .u64(flags)
            .padded_to(120);
        call.memory().write(call.arguments[1], &status.0)?;
        DONE
    }
}

/// An input's mode: its kind, and whether it can be executed; nobody may write to it.
const fn input_mode(mode: u32) -> u32 {
    let kind = mode & libc::S_IFMT;
    kind | match kind {
        libc::S_IFLNK => 0o777,
        libc::S_IFREG if mode & 0o111 == 0 => 0o444,
        _ => 0o555,
    }
}
