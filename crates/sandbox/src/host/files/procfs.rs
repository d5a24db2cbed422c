//! `/proc` as the action sees it: the files that programs read to learn about their machine and
//! about processes, with values of the host's description; a short list of files that are the
//! kernel's own; and nothing else.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, MemfdFlags, Mode, OFlags};

use super::lead::magic_link;
use super::paths::{errno, join, read_link};
use super::shown::Shown;
use super::status::{Place, look};
use crate::host::Randomness;
use crate::host::random::stream::{Lineage, Stream};
use crate::host::service::{Call, Service};
use crate::host::time::times::{NS, uptime_ns};
use crate::sys::Errno;

mod names;
mod texts;

pub(in crate::host) use names::own_path;
use names::{Kind, kind};
pub(super) use names::{made_up_entries, own_ids};
use texts::{MOUNTINFO, MOUNTS, cpuinfo, meminfo, process_stat, process_status, stat, uuid};

/// More than the kernel's longest of these files has in a build.
const REAL_BYTES_MAX: u64 = 4 << 20;

impl Service {
    /// What stands in a file of `/proc`: its text, "no such file", or none if it is the
    /// kernel's own.
    pub(super) fn process_file(
        &mut self,
        call: &Call,
        path: &[u8],
    ) -> Option<Result<Vec<u8>, Errno>> {
        let path = own_path(call.thread, path)?;
        match kind(&path)? {
            Kind::Real => None,
            Kind::Hidden => Some(Err(Errno(libc::ENOENT))),
            Kind::Machine(name) => Some(Ok(self.machine_text(call, name).into_bytes())),
            Kind::Written { directory, name } => {
                Some(self.written(call, directory, name).map(String::into_bytes))
            }
        }
    }

    /// Whether such a file is there; none if the kernel says so itself.
    pub(super) fn is_process_file(call: &Call, path: &[u8]) -> Option<Result<(), Errno>> {
        match kind(&own_path(call.thread, path)?)? {
            Kind::Real => None,
            Kind::Hidden => Some(Err(Errno(libc::ENOENT))),
            Kind::Machine(_) | Kind::Written { .. } => Some(Ok(())),
        }
    }

    /// Opens a text for the action; from then on it is known as the file of that path.
    pub(super) fn open_text(&mut self, path: &[u8], text: &[u8]) -> Result<OwnedFd, Errno> {
        let file = as_file(text)?;
        self.identities.note_text(&file, path);
        Ok(file)
    }

    pub(super) fn is_hidden(call: &Call, path: &[u8]) -> bool {
        let clean = super::paths::lexical(path);
        own_path(call.thread, &clean).is_some_and(|path| matches!(kind(&path), Some(Kind::Hidden)))
    }

    /// The status of a path below `/proc` or `/dev`, if only the service can tell it.
    pub(super) fn process_status(
        &mut self,
        call: &Call,
        path: &[u8],
        follow: bool,
    ) -> Option<Result<Shown, Errno>> {
        let path = match path {
            b"/proc/self" | b"/proc/thread-self" if follow => join(path, b"."),
            b"/dev/fd" if follow => b"/proc/self/fd".to_vec(),
            // Links of the root, which the kernel answers for as it does for any.
            b"/dev/fd" | b"/dev/stdin" | b"/dev/stdout" | b"/dev/stderr" if !follow => return None,
            path => path.to_vec(),
        };
        let path = own_path(call.thread, &path)?;
        let path = path.strip_suffix("/.").unwrap_or(&path).to_owned();
        match kind(&path)? {
            Kind::Hidden => return Some(Err(Errno(libc::ENOENT))),
            Kind::Machine(_) | Kind::Written { .. } => {
                return Some(Ok(
                    self.made_up_status(path.as_bytes(), libc::S_IFREG | 0o444)
                ));
            }
            Kind::Real => {}
        }
        // The kernel follows the links of a process for that process only; the service names them
        // from outside, and nothing behind them.
        let link = magic_link(path.as_bytes()).filter(|_| follow);
        let outside = match link.map(|link| self.outside(call, &link)).transpose() {
            Ok(outside) => outside,
            Err(gone) => return Some(Err(gone)),
        };
        if let Some(outside) = outside {
            let found = look(rustix::fs::CWD, &outside, AtFlags::empty());
            return Some(found.map(|found| {
                self.shown(call, &found, || {
                    read_link(&outside).unwrap_or_else(|_| path.into_bytes())
                })
            }));
        }
        let file = self.paths.look_up(path.as_bytes(), follow);
        let found = file.and_then(|file| look(&file, "", AtFlags::EMPTY_PATH));
        Some(found.map(|found| {
            self.made_up_status(path.as_bytes(), found.stx_mode.into())
                .owned_by(self.host.user_id)
        }))
    }

    /// What a link below `/proc` says, if that would show the host.
    pub(super) fn process_link(
        &mut self,
        call: &Call,
        path: &[u8],
    ) -> Option<Result<Vec<u8>, Errno>> {
        // Reading one's own program's path is common and shows nothing.
        if path.ends_with(b"/exe") {
            return None;
        }
        let path = own_path(call.thread, path)?;
        let rest = path.strip_prefix("/proc/")?;
        if rest.contains("/ns/") {
            let name = rest.rsplit('/').next()?;
            let number =
                4_026_531_840 + crate::host::random::stream::word(&[b"ns", name.as_bytes()]) % 64;
            return Some(Ok(format!(
                "{}:[{number}]",
                name.trim_end_matches("_for_children")
            )
            .into_bytes()));
        }
        let (directory, descriptor) = rest.rsplit_once('/')?;
        let descriptor: i32 = descriptor.parse().ok()?;
        if !directory.ends_with("/fd") {
            return None;
        }
        let real = self
            .paths
            .open(
                format!("/proc/{directory}").as_bytes(),
                OFlags::PATH | OFlags::DIRECTORY,
            )
            .ok()?;
        let name = descriptor.to_string();
        let target = rustix::fs::readlinkat(&real, name.as_str(), Vec::new()).ok()?;
        let target = target.into_bytes();
        if target.starts_with(b"/memfd:") {
            let found = look(&real, &name, AtFlags::empty()).ok()?;
            return Some(Ok(self.identities.text_path(&found)?.to_vec()));
        }
        let text = std::str::from_utf8(&target).ok()?;
        let (kind, number) = text.split_once(":[")?;
        // Other files without a path are named by their kind.
        if !matches!(kind, "pipe" | "socket") || !number.ends_with(']') {
            return None;
        }
        let found = look(&real, &name, AtFlags::empty()).ok()?;
        if self.devices.is_random(&found) {
            return Some(Ok(b"/dev/urandom".to_vec()));
        }
        let number = self.identities.nameless_number(&found);
        Some(Ok(format!("{kind}:[{number}]").into_bytes()))
    }

    fn machine_text(&mut self, call: &Call, name: &str) -> String {
        let now_ns = self.task(call).clock.now();
        let uptime_ns = uptime_ns(now_ns);
        let host = &self.host;
        match name {
            "cmdline" => "console=tty0\n".to_owned(),
            "cpuinfo" => cpuinfo(host.processors),
            "filesystems" => "nodev\tproc\nnodev\ttmpfs\n\text4\n".to_owned(),
            "loadavg" => "0.00 0.00 0.00 1/1 2\n".to_owned(),
            "meminfo" => meminfo(host.memory_bytes),
            "stat" => stat(host.processors, host.clock_start),
            "swaps" => "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n".to_owned(),
            "uptime" => {
                let hundredths = uptime_ns / (NS / 100);
                let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
                format!("{text} {text}\n")
            }
            "version" => format!(
                "Linux version {} (build@{}) (cc) {}\n",
                host.kernel_release, host.host_name, host.kernel_version
            ),
            "sys/fs/file-max" => "1048576\n".to_owned(),
            "sys/kernel/cap_last_cap" => "40\n".to_owned(),
            "sys/kernel/domainname" => "(none)\n".to_owned(),
            "sys/kernel/hostname" => format!("{}\n", host.host_name),
            "sys/kernel/osrelease" => format!("{}\n", host.kernel_release),
            "sys/kernel/ostype" => "Linux\n".to_owned(),
            "sys/kernel/pid_max" => "4194304\n".to_owned(),
            "sys/kernel/random/boot_id" => {
                let mut bits = [0; 16];
                Stream::new(&host.seed, Lineage::FIRST, "boot id").fill(&mut bits);
                uuid(bits)
            }
            "sys/kernel/random/uuid" if host.randomness == Randomness::Real => {
                std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default()
            }
            "sys/kernel/random/uuid" => {
                let mut bits = [0; 16];
                let draws = self.tasks.draws(call.thread, self.patch);
                draws.stream(&self.host.seed).fill(&mut bits);
                uuid(bits)
            }
            "sys/kernel/random/entropy_avail" | "sys/kernel/random/poolsize" => "256\n".to_owned(),
            "sys/kernel/ngroups_max" | "sys/kernel/threads-max" => "65536\n".to_owned(),
            "sys/kernel/version" => format!("{}\n", host.kernel_version),
            "sys/kernel/randomize_va_space" | "sys/vm/overcommit_memory" => "0\n".to_owned(),
            _ => String::new(),
        }
    }

    fn written(&self, call: &Call, directory: &str, name: &str) -> Result<String, Errno> {
        let is_own = own_path(call.thread, b"/proc/self/stat")
            .is_some_and(|own| own.strip_suffix("/stat") == Some(directory));
        let real = |name: &str| self.real_text(&format!("{directory}/{name}"));
        Ok(match name {
            "cgroup" => "0::/\n".to_owned(),
            "uid_map" | "gid_map" => {
                let user = self.host.user_id;
                format!("{user:>10} {user:>10} {:>10}\n", 1)
            }
            "io" => "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\n\
                     cancelled_write_bytes: 0\n"
                .to_owned(),
            "loginuid" | "sessionid" => "4294967295".to_owned(),
            "mountinfo" => MOUNTINFO.to_owned(),
            "mounts" => MOUNTS.to_owned(),
            "oom_adj" | "oom_score" | "oom_score_adj" => "0\n".to_owned(),
            "sched" => String::new(),
            "schedstat" => "0 0 0\n".to_owned(),
            "setgroups" => "deny\n".to_owned(),
            "statm" => "1024 512 256 64 0 512 0\n".to_owned(),
            "limits" => real("limits")?,
            "maps" => self.maps(&real("maps")?),
            "stat" => process_stat(&real("stat")?, is_own).ok_or(Errno(libc::EIO))?,
            "status" => process_status(&real("status")?, is_own, &self.host),
            _ => return Err(Errno(libc::ENOENT)),
        })
    }

    /// A file of the kernel's, through the action's own `/proc`.
    fn real_text(&self, path: &str) -> Result<String, Errno> {
        let file = self
            .paths
            .open(path.as_bytes(), OFlags::RDONLY | OFlags::CLOEXEC)?;
        let mut bytes = Vec::new();
        std::fs::File::from(file)
            .take(REAL_BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(|error| Errno(error.raw_os_error().unwrap_or(libc::EIO)))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Mapped files with our device and inode numbers in place of the host's (proc(5)).
    fn maps(&self, real: &str) -> String {
        let mut text = String::new();
        for line in real.lines() {
            let mut fields = line.splitn(6, ' ');
            let mut field = || fields.next().unwrap_or_default();
            let (addresses, rights, offset, _device, inode) =
                (field(), field(), field(), field(), field());
            let path = field().trim_start();
            // How large these are, and whether they are there, is the kernel's.
            if path.starts_with("[vvar") || path == "[vsyscall]" {
                continue;
            }
            if inode == "0" {
                text.push_str(line);
                text.push('\n');
                continue;
            }
            let is_scratch = ["/build/", "/tmp/", "/dev/shm/"]
                .iter()
                .any(|place| path.starts_with(place));
            let start = if is_scratch {
                let (major, minor) = Place::Scratch.device();
                format!("{addresses} {rights} {offset} {major:02x}:{minor:02x} {inode}")
            } else {
                let (major, minor) = Place::Input.device();
                let inode = self.identities.input_number(path.as_bytes());
                format!("{addresses} {rights} {offset} {major:02x}:{minor:02x} {inode}")
            };
            let _ = writeln!(text, "{start:<72} {path}");
        }
        text
    }
}

/// An open file with this text.
fn as_file(text: &[u8]) -> Result<OwnedFd, Errno> {
    let made = rustix::fs::memfd_create("proc", MemfdFlags::CLOEXEC).map_err(errno)?;
    let mut file = std::fs::File::from(made);
    file.write_all(text).map_err(|_| Errno(libc::ENOMEM))?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(0o444)).map_err(errno)?;
    // Opened anew: read-only, and at its beginning.
    let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    std::fs::File::open(link)
        .map(OwnedFd::from)
        .map_err(|error| Errno(error.raw_os_error().unwrap_or(libc::EIO)))
}
