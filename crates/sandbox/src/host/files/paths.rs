//! Paths as the action means them: made absolute with the thread's own directories, and looked
//! up below the action's root, whatever the service's own root is. Notes what was opened.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, Statx, openat, openat2};

use super::lead::Led;
use super::status::look;
use crate::host::Set;
use crate::host::random::device::is_random_device;
use crate::host::service::{Answer, Call, DONE, Reply, Service};
use crate::sys::Errno;

/// Distinct paths that are noted; a program that opens more has stopped being a build.
const OPENED_MAX: usize = 1 << 20;
/// How often a look-up is tried again that a renaming elsewhere disturbed.
const ATTEMPTS: u32 = 8;

/// The root, and what was opened below it.
#[derive(Debug)]
pub(in crate::host) struct Paths {
    root: OwnedFd,
    opened: Set<Box<[u8]>>,
    /// Whether a directory has been renamed: those that are somebody's working directory may have
    /// another path at any time.
    have_moved: bool,
}

impl Paths {
    pub(in crate::host) fn new(root: OwnedFd) -> Self {
        Self {
            root,
            opened: Set::default(),
            have_moved: false,
        }
    }

    pub(in crate::host) const fn root(&self) -> &OwnedFd {
        &self.root
    }

    pub(in crate::host) fn take_opened(&mut self) -> Vec<Vec<u8>> {
        let opened = std::mem::take(&mut self.opened);
        let mut opened: Vec<_> = opened.into_iter().map(<[u8]>::into_vec).collect();
        opened.sort_unstable();
        opened
    }

    pub(super) fn note_opened(&mut self, path: &[u8]) {
        if !self.opened.contains(path) && self.opened.len() < OPENED_MAX {
            self.opened.insert(path.into());
        }
    }

    /// The file at an absolute path, opened for looking at it only.
    pub(super) fn look_up(&self, path: &[u8], follow: bool) -> Result<OwnedFd, Errno> {
        let mut flags = OFlags::PATH | OFlags::CLOEXEC;
        if !follow {
            flags |= OFlags::NOFOLLOW;
        }
        self.open(path, flags)
    }

    /// The same for reading.
    pub(in crate::host) fn open(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = OsStr::from_bytes(path);
        let mut left = ATTEMPTS;
        loop {
            let opened = openat2(
                &self.root,
                path,
                flags,
                Mode::empty(),
                ResolveFlags::IN_ROOT,
            );
            match opened {
                Err(rustix::io::Errno::AGAIN) if left > 0 => left -= 1,
                other => return other.map_err(errno),
            }
        }
    }
}

/// The same error in the form that answers have.
pub(in crate::host) fn errno(errno: rustix::io::Errno) -> Errno {
    Errno(errno.raw_os_error())
}

/// A path below a directory.
pub(in crate::host) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = directory.to_vec();
    if path.last() != Some(&b'/') {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// Without `.`, `..`, and doubled slashes: what a path means if no link is on its way.
pub(super) fn lexical(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut clean = Vec::with_capacity(path.len());
    for part in parts {
        clean.push(b'/');
        clean.extend_from_slice(part);
    }
    if clean.is_empty() {
        clean.push(b'/');
    }
    clean
}

impl Service {
    /// The path that a call names with a directory's descriptor and a name, absolute.
    pub(in crate::host) fn absolute(
        &mut self,
        call: &Call,
        directory: i32,
        name: &[u8],
    ) -> Result<Vec<u8>, Errno> {
        if name.first() == Some(&b'/') {
            return Ok(name.to_vec());
        }
        let base = if directory == libc::AT_FDCWD {
            self.working_directory(call)?
        } else {
            descriptor_path(call.thread, directory)?.into()
        };
        if name.is_empty() {
            return Ok(base.to_vec());
        }
        Ok(join(&base, name))
    }

    fn working_directory(&mut self, call: &Call) -> Result<Arc<[u8]>, Errno> {
        let id = self.task(call).process;
        if !self.paths.have_moved
            && let Some(known) = &self.tasks.process(id).directory
        {
            return Ok(Arc::clone(known));
        }
        let path: Arc<[u8]> = read_link(&format!("/proc/{}/cwd", call.thread))?.into();
        self.tasks.process(id).directory = Some(Arc::clone(&path));
        Ok(path)
    }

    pub(in crate::host) fn file_call(&mut self, call: &Call) -> Option<Answer> {
        let at = |index: usize| call.arguments[index];
        Some(match call.number {
            libc::SYS_open => self.opening(call, libc::AT_FDCWD, at(0), call.int(1)),
            libc::SYS_openat => self.opening(call, call.int(0), at(1), call.int(2)),
            libc::SYS_creat => {
                let flags = libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC;
                self.opening(call, libc::AT_FDCWD, at(0), flags)
            }
            libc::SYS_access => self.accessing(call, libc::AT_FDCWD, at(0)),
            libc::SYS_faccessat | libc::SYS_faccessat2 => self.accessing(call, call.int(0), at(1)),
            libc::SYS_readlink => self.reading_link(call, libc::AT_FDCWD, at(0), at(1), at(2)),
            libc::SYS_readlinkat => self.reading_link(call, call.int(0), at(1), at(2), at(3)),
            libc::SYS_chdir | libc::SYS_fchdir => {
                let id = self.task(call).process;
                self.tasks.process(id).directory = None;
                Ok(Reply::Proceed)
            }
            libc::SYS_rename => {
                self.see_moving(call, libc::AT_FDCWD, at(0));
                self.see_moving(call, libc::AT_FDCWD, at(1));
                Ok(Reply::Proceed)
            }
            libc::SYS_renameat | libc::SYS_renameat2 => {
                self.see_moving(call, call.int(0), at(1));
                self.see_moving(call, call.int(2), at(3));
                Ok(Reply::Proceed)
            }
            libc::SYS_stat => self.status_at(call, libc::AT_FDCWD, at(0), at(1), 0),
            libc::SYS_lstat => {
                let flags = libc::AT_SYMLINK_NOFOLLOW;
                self.status_at(call, libc::AT_FDCWD, at(0), at(1), flags)
            }
            libc::SYS_fstat => self.status_of(call, call.int(0), at(1)),
            libc::SYS_newfstatat => self.status_at(call, call.int(0), at(1), at(2), call.int(3)),
            libc::SYS_statx => self.extended_status(call),
            libc::SYS_statfs | libc::SYS_fstatfs => self.file_system_status(call),
            libc::SYS_utimensat | libc::SYS_utime | libc::SYS_utimes | libc::SYS_futimesat => {
                self.setting_times(call);
                Ok(Reply::Proceed)
            }
            libc::SYS_getdents64 | libc::SYS_getdents => self.listing(call),
            libc::SYS_lseek => self.seeking_from_end(call),
            libc::SYS_ioctl => self.asking_what_waits(call),
            _ => return None,
        })
    }

    /// A file gets another name.
    fn see_moving(&mut self, call: &Call, directory: i32, name: u64) {
        let path = call.memory().read_path(name);
        let path = path.and_then(|name| self.absolute(call, directory, &name));
        let file = path.and_then(|path| self.paths.look_up(&path, false));
        self.paths.have_moved |= file
            .and_then(|file| look(&file, "", AtFlags::EMPTY_PATH))
            .is_ok_and(|found| u32::from(found.stx_mode) & libc::S_IFMT == libc::S_IFDIR);
    }

    fn opening(&mut self, call: &Call, directory: i32, name: u64, flags: i32) -> Answer {
        self.task(call).clock.work(OPEN_NS);
        let Ok(name) = call.memory().read_path(name) else {
            return Ok(Reply::Proceed); // The kernel has the right error.
        };
        let Ok(path) = self.absolute(call, directory, &name) else {
            return Ok(Reply::Proceed);
        };
        let close_on_exec = flags & libc::O_CLOEXEC != 0;
        let led = self.lead(call, path.clone(), flags & libc::O_NOFOLLOW == 0);
        if let Led::Machine(clean) = &led {
            if self.host.randomness == crate::host::Randomness::Seeded
                && (is_random_device(clean) || self.leads_to_random(call, clean))
            {
                return self.open_random(call, flags, close_on_exec);
            }
            if let Some(text) = self.process_file(call, clean) {
                let text = text?;
                if flags & libc::O_ACCMODE != libc::O_RDONLY {
                    return Err(Errno(libc::EROFS));
                }
                let descriptor = self.open_text(clean, &text)?;
                return Ok(Reply::Descriptor {
                    descriptor,
                    close_on_exec,
                });
            }
        }
        if flags & libc::O_NOATIME != 0 {
            self.refuse_inputs(&path, libc::EPERM)?;
        }
        if flags & libc::O_ACCMODE != libc::O_WRONLY {
            self.paths.note_opened(&path);
            if let Led::Elsewhere(led, _) = &led
                && *led != path
            {
                self.paths.note_opened(led);
            }
        }
        if flags & (libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC) != 0 {
            // One that may not be there yet has a reason of its own if it is.
            if flags & (libc::O_CREAT | libc::O_EXCL) != libc::O_CREAT | libc::O_EXCL {
                self.refuse_inputs(&path, libc::EROFS)?;
            }
            if let Led::Elsewhere(path, _) = led {
                self.note_writing(call, path);
            }
        }
        Ok(Reply::Proceed)
    }

    /// Inputs belong to somebody else and cannot be written, whoever owns them on the host.
    fn refuse_inputs(&self, path: &[u8], reason: i32) -> Result<(), Errno> {
        if let Ok(file) = self.paths.look_up(path, true)
            && let Ok(found) = super::status::look(&file, "", rustix::fs::AtFlags::EMPTY_PATH)
            && self.identities.place(&found) == super::status::Place::Input
        {
            return Err(Errno(reason));
        }
        Ok(())
    }

    /// Files of `/proc` that exist for the action only have to be accessible, too.
    fn accessing(&mut self, call: &Call, directory: i32, name: u64) -> Answer {
        let mode = call.int(if call.number == libc::SYS_access {
            1
        } else {
            2
        });
        let Ok(path) = call
            .memory()
            .read_path(name)
            .and_then(|name| self.absolute(call, directory, &name))
        else {
            return Ok(Reply::Proceed);
        };
        let is_to_write = mode & libc::W_OK != 0;
        if let Led::Machine(clean) = self.lead(call, path.clone(), true)
            && let Some(is_there) = Self::is_process_file(call, &clean)
        {
            is_there?;
            return if is_to_write {
                Err(Errno(libc::EROFS))
            } else {
                DONE
            };
        }
        if is_to_write {
            self.refuse_inputs(&path, libc::EROFS)?;
        }
        Ok(Reply::Proceed)
    }

    fn reading_link(
        &mut self,
        call: &Call,
        directory: i32,
        name: u64,
        buffer: u64,
        length: u64,
    ) -> Answer {
        let Ok(name) = call.memory().read_path(name) else {
            return Ok(Reply::Proceed);
        };
        let Ok(path) = self.absolute(call, directory, &name) else {
            return Ok(Reply::Proceed);
        };
        let Led::Machine(path) = self.lead(call, path, false) else {
            return Ok(Reply::Proceed);
        };
        let Some(target) = self.process_link(call, &path) else {
            return Ok(Reply::Proceed);
        };
        let target = target?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length == 0 || i32::try_from(length).is_err() {
            return Err(Errno(libc::EINVAL));
        }
        let shown = target.get(..length.min(target.len())).unwrap_or_default();
        call.memory().write(buffer, shown)?;
        Ok(Reply::Value(i64::try_from(shown.len()).unwrap_or(i64::MAX)))
    }

    /// Looks at a thread's descriptor, whatever it is.
    pub(in crate::host) fn descriptor_status(
        &mut self,
        call: &Call,
        descriptor: i32,
    ) -> Result<Statx, Errno> {
        let process = self.task(call).process;
        // Other threads may have descriptors of their own.
        if call.thread == process
            && let Ok(file) = self.tasks.handles.descriptor(process, descriptor)
        {
            return look(file, "", AtFlags::EMPTY_PATH);
        }
        let link = format!("/proc/{}/fd/{descriptor}", call.thread);
        look(CWD, &link, AtFlags::empty()).map_err(|_| Errno(libc::EBADF))
    }

    /// A program is executed: it and what interprets it are opened.
    pub(in crate::host) fn before_execute(&mut self, call: &Call) {
        self.expect_entry(call);
        // Before its first program a step is a copy of the parent's process, whose memory an
        // ordinary user may not look into; but what it executes is known.
        if !self.task(call).has_executed
            && let Some(path) = self.programs.pop_front()
        {
            return self.note_executed(path);
        }
        let (directory, name) = match call.number {
            libc::SYS_execve => (libc::AT_FDCWD, call.arguments[0]),
            _ => (call.int(0), call.arguments[1]),
        };
        if let Ok(name) = call.memory().read_path(name)
            && let Ok(path) = self.absolute(call, directory, &name)
        {
            self.note_executed(path);
        }
    }

    fn note_executed(&mut self, path: Vec<u8>) {
        let mut next = Some(path);
        // As deep as the kernel lets interpreters be nested.
        for _ in 0..5 {
            let Some(path) = next.take() else { return };
            let is_known = self.paths.opened.contains(path.as_slice());
            self.paths.note_opened(&path);
            if is_known && !path.starts_with(b"/build") && !path.starts_with(b"/tmp") {
                return; // What interprets it is known, too.
            }
            let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
            if let Ok(file) = self.paths.open(&path, flags) {
                next = interpreter(&std::fs::File::from(file));
            }
        }
    }
}

const OPEN_NS: u64 = 2_000;
/// Where a thread's descriptor leads.
pub(super) fn descriptor_path(thread: i32, descriptor: i32) -> Result<Vec<u8>, Errno> {
    read_link(&format!("/proc/{thread}/fd/{descriptor}"))
}

pub(super) fn read_link(link: &str) -> Result<Vec<u8>, Errno> {
    let target = std::fs::read_link(link)
        .map_err(|error| Errno(error.raw_os_error().unwrap_or(libc::EIO)))?;
    Ok(PathBuf::into_os_string(target).into_vec())
}

/// The file of this name below a directory that lies deeper than any path reaches: none but the action
/// makes those, and no link is followed on the way.
pub(super) fn look_below(
    call: &Call,
    directory: i32,
    name: &[u8],
    follow: bool,
) -> Result<OwnedFd, Errno> {
    let base = if directory == libc::AT_FDCWD {
        format!("/proc/{}/cwd", call.thread)
    } else {
        format!("/proc/{}/fd/{directory}", call.thread)
    };
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let base = openat(CWD, base, flags | OFlags::DIRECTORY, Mode::empty()).map_err(errno)?;
    let flags = if follow {
        flags
    } else {
        flags | OFlags::NOFOLLOW
    };
    let name = OsStr::from_bytes(name);
    openat2(base, name, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS).map_err(errno)
}

/// The program that the kernel runs in place of this file: a script's interpreter, or the
/// dynamic linker that an ELF file names.
fn interpreter(file: &std::fs::File) -> Option<Vec<u8>> {
    use std::os::unix::fs::FileExt;
    let mut head = [0; 4096];
    let read = file.read_at(&mut head, 0).ok()?;
    let head = head.get(..read)?;
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next()?;
        let mut words = line
            .split(|byte| matches!(byte, b' ' | b'\t'))
            .filter(|word| !word.is_empty());
        return words.next().map(<[u8]>::to_vec);
    }
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let word = |at: usize, length: usize| {
        head.get(at..at.checked_add(length)?)?
            .iter()
            .rev()
            .try_fold(0_usize, |value, byte| {
                value.checked_mul(256)?.checked_add((*byte).into())
            })
    };
    let (headers, size, count) = (word(0x20, 8)?, word(0x36, 2)?, word(0x38, 2)?);
    for index in 0..count {
        let at = headers.checked_add(index.checked_mul(size)?)?;
        if word(at, 4)? == 3 {
            let (offset, length) = (word(at.checked_add(8)?, 8)?, word(at.checked_add(32)?, 8)?);
            let name = head.get(offset..offset.checked_add(length)?)?;
            return name.split(|byte| *byte == 0).next().map(<[u8]>::to_vec);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lexical_paths() {
        for (path, clean) in [
            ("/proc//self/./stat", "/proc/self/stat"),
            ("/proc/../../x", "/x"),
            ("/", "/"),
            ("//..", "/"),
        ] {
            assert_eq!(lexical(path.as_bytes()), clean.as_bytes());
        }
    }

    #[test]
    fn interpreters() {
        let scripted = tempfile::tempfile().unwrap();
        std::os::unix::fs::FileExt::write_all_at(&scripted, b"#! /bin/sh -e\nx", 0).unwrap();
        assert_eq!(interpreter(&scripted).as_deref(), Some(&b"/bin/sh"[..]));
        let own = std::fs::File::open("/proc/self/exe").unwrap();
        let named = interpreter(&own);
        assert!(named.is_none_or(|name| name.starts_with(b"/")));
    }
}
