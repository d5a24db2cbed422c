//! Where a path leads: to `/proc` or a device, for which the service answers, or elsewhere.
//!
//! What a path is called says little: links lead anywhere, and so do `..`, doubled slashes and the
//! links of `/proc` itself. The kernel says for most paths at once that no link is on their way, or
//! that they stay within an input; only the others are followed here step by step. Nothing is ever
//! looked up in the service's own root: a link that the action has made would lead into the host.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2, readlinkat};

use super::paths::{errno, join, lexical, read_link};
use crate::host::process::kinship::numbers;
use crate::host::service::{Call, Service};
use crate::sys::Errno;

/// As many links as the kernel follows (`path_resolution(7)`).
const LINKS_MAX: u32 = 40;

/// Where a path leads.
pub(super) enum Led {
    /// To a place below `/proc` or `/dev`, by its own name: without links on the way, `.` and `..`.
    Machine(Vec<u8>),
    /// Elsewhere, by this path, with the file if it has been looked at already.
    Elsewhere(Vec<u8>, Option<Result<OwnedFd, Errno>>),
}

impl Service {
    /// Follows an absolute path, and the link at its end if `follow` says so.
    pub(super) fn lead(&mut self, call: &Call, path: Vec<u8>, follow: bool) -> Led {
        if self.input_status(&path, follow).is_some() {
            return Led::Elsewhere(path, None); // An input: links that leave it are not known there.
        }
        let is_spelt_out = path.windows(2).all(|pair| !matches!(pair, b"//" | b"/."));
        if !(is_spelt_out && is_machine(&path)) {
            let file = self.paths.look_without_links(&path, follow);
            if !matches!(file, Err(Errno(libc::ELOOP))) {
                // Then it means what it says.
                if is_spelt_out || !is_machine(&lexical(&path)) {
                    return Led::Elsewhere(path, Some(file));
                }
            }
        }
        self.follow(call, path, follow)
    }

    fn follow(&self, call: &Call, path: Vec<u8>, follow: bool) -> Led {
        let mut done = Vec::new();
        let mut left = Vec::new();
        put_before(&mut left, &path);
        let follow = follow || path.ends_with(b"/");
        let mut links = 0;
        while let Some(part) = left.pop() {
            if part == b".." {
                let parent = done.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                done.truncate(parent);
                continue;
            }
            let next = join(&done, &part);
            let is_last = left.is_empty();
            let target = if next == b"/dev/fd" && !is_last {
                Ok(b"/proc/self/fd".to_vec())
            } else if is_machine(&next) {
                // The service knows the link at an end of a path, and what is no link.
                match magic_link(&next) {
                    Some(link) if !is_last => self.outside(call, &link).and_then(|l| read_link(&l)),
                    _ => Err(Errno(libc::EINVAL)),
                }
            } else if is_last && !follow {
                Err(Errno(libc::EINVAL))
            } else {
                self.paths.read_link(&next)
            };
            match target {
                Ok(target) => {
                    links += 1;
                    if links > LINKS_MAX {
                        return Led::Elsewhere(path, Some(Err(Errno(libc::ELOOP))));
                    }
                    if target.first() == Some(&b'/') {
                        done.clear();
                    } else if is_machine(&next) {
                        // A file without a path: nothing is below it.
                        return Led::Elsewhere(path, Some(Err(Errno(libc::ENOTDIR))));
                    }
                    put_before(&mut left, &target);
                }
                // No link.
                Err(Errno(libc::EINVAL)) => done = next,
                // Nothing is there, or nothing may be: what is left changes nothing.
                Err(reason) => return Led::Elsewhere(path, Some(Err(reason))),
            }
        }
        if done.is_empty() {
            done.push(b'/');
        }
        if is_machine(&done) {
            Led::Machine(done)
        } else {
            Led::Elsewhere(done, None)
        }
    }

    /// A link of a process in the `/proc` that the service has.
    pub(super) fn outside(&self, call: &Call, link: &MagicLink<'_>) -> Result<String, Errno> {
        const GONE: Errno = Errno(libc::ENOENT);
        let (own, _) = super::procfs::own_ids(call.thread).ok_or(GONE)?;
        let process = match link.process {
            "self" | "thread-self" => own,
            number => number.parse().map_err(|_| GONE)?,
        };
        let process = if process == own {
            numbers(call.thread).ok_or(GONE)?.0
        } else {
            self.tasks.outside_number(process).ok_or(GONE)?
        };
        Ok(format!("/proc/{process}/{}", link.name))
    }
}

impl super::paths::Paths {
    /// The file at a path on which no link lies; `ELOOP` if one does.
    fn look_without_links(&self, path: &[u8], follow: bool) -> Result<OwnedFd, Errno> {
        let mut flags = OFlags::PATH | OFlags::CLOEXEC;
        if !follow {
            flags |= OFlags::NOFOLLOW;
        }
        let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        openat2(
            self.root(),
            OsStr::from_bytes(path),
            flags,
            Mode::empty(),
            within,
        )
        .map_err(errno)
    }

    /// What a link says; `EINVAL` if there is something else. No link may be on the way.
    fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, Errno> {
        let file = self.look_without_links(path, false)?;
        match readlinkat(&file, "", Vec::new()) {
            // That is how the kernel says it of a file that is open itself.
            Err(rustix::io::Errno::NOENT) => Err(Errno(libc::EINVAL)),
            target => target.map(std::ffi::CString::into_bytes).map_err(errno),
        }
    }
}

/// A link of `/proc` that leads where its process has something open.
pub(super) struct MagicLink<'a> {
    process: &'a str,
    /// Without the thread: threads share what the links lead to.
    name: &'a str,
}

/// Takes such a link apart.
pub(super) fn magic_link(path: &[u8]) -> Option<MagicLink<'_>> {
    let path = std::str::from_utf8(path).ok()?.strip_prefix("/proc/")?;
    let (process, mut name) = path.split_once('/')?;
    if let Some(task) = name.strip_prefix("task/") {
        name = task.split_once('/')?.1;
    }
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_link = match name.split_once('/') {
        None => matches!(name, "cwd" | "root" | "exe"),
        Some(("fd", descriptor)) => is_number(descriptor),
        Some(("ns", namespace)) => !namespace.is_empty() && !namespace.contains('/'),
        Some(_) => false,
    };
    let is_process = is_number(process) || matches!(process, "self" | "thread-self");
    (is_link && is_process).then_some(MagicLink { process, name })
}

/// Whether a path without `.` and `..` begins where the service answers. `/dev/shm` is scratch space.
fn is_machine(path: &[u8]) -> bool {
    let is_within = |place: &[u8]| {
        let rest = path.strip_prefix(place);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    };
    is_within(b"/proc") || is_within(b"/dev") && !is_within(b"/dev/shm")
}

/// Puts the parts of a path before those that are left, the next one last.
fn put_before(left: &mut Vec<Vec<u8>>, path: &[u8]) {
    let parts = path.split(|byte| *byte == b'/');
    let parts = parts.filter(|part| !matches!(*part, b"" | b"."));
    left.extend(parts.rev().map(<[u8]>::to_vec));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_service_answers_for() {
        for path in ["/proc", "/proc/2/stat", "/dev", "/dev/urandom", "/dev/fd/3"] {
            assert!(is_machine(path.as_bytes()), "{path}");
        }
        for path in [
            "/",
            "/process",
            "/device",
            "/dev/shm",
            "/dev/shm/x",
            "/build/proc",
        ] {
            assert!(!is_machine(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn links_of_processes() {
        for (path, process, name) in [
            ("/proc/self/cwd", "self", "cwd"),
            ("/proc/12/task/13/fd/7", "12", "fd/7"),
            ("/proc/thread-self/ns/net", "thread-self", "ns/net"),
        ] {
            let link = magic_link(path.as_bytes()).unwrap();
            assert_eq!((link.process, link.name), (process, name), "{path}");
        }
        for path in [
            "/proc/self",
            "/proc/self/fd",
            "/proc/self/fd/x",
            "/proc/self/fd/1/2",
            "/proc/x/cwd",
            "/proc/self/stat",
            "/build/self/cwd",
        ] {
            assert!(magic_link(path.as_bytes()).is_none(), "{path}");
        }
    }
}
