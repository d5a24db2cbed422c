//! Which names of `/proc` the action sees, and who answers for each: the kernel, the host's
//! description, or nobody.

use crate::host::files::paths::join;
use crate::proc_text::{last_word, proc_text};

/// Files of the whole machine.
const MACHINE: &[&str] = &[
    "cmdline",
    "cpuinfo",
    "filesystems",
    "loadavg",
    "meminfo",
    "stat",
    "swaps",
    "uptime",
    "version",
    "sys/fs/file-max",
    "sys/kernel/cap_last_cap",
    "sys/kernel/domainname",
    "sys/kernel/hostname",
    "sys/kernel/ngroups_max",
    "sys/kernel/osrelease",
    "sys/kernel/ostype",
    "sys/kernel/pid_max",
    "sys/kernel/random/boot_id",
    "sys/kernel/random/entropy_avail",
    "sys/kernel/random/poolsize",
    "sys/kernel/random/uuid",
    "sys/kernel/randomize_va_space",
    "sys/kernel/threads-max",
    "sys/kernel/version",
    "sys/vm/overcommit_memory",
];

/// Files of a process that the service writes.
const WRITTEN: &[&str] = &[
    "cgroup",
    "gid_map",
    "io",
    "limits",
    "loginuid",
    "maps",
    "mountinfo",
    "mounts",
    "oom_adj",
    "oom_score",
    "oom_score_adj",
    "sched",
    "schedstat",
    "sessionid",
    "setgroups",
    "stat",
    "statm",
    "status",
    "uid_map",
];

/// Files of a process that are the kernel's.
const REAL: &[&str] = &[
    "cmdline",
    "comm",
    "cwd",
    "environ",
    "exe",
    "fd",
    "mem",
    "ns",
    "personality",
    "root",
    "task",
];

/// What a path below `/proc` is.
pub(super) enum Kind<'a> {
    /// A file of the machine.
    Machine(&'a str),
    /// A file of a process, or of a thread, that the service writes.
    Written { directory: &'a str, name: &'a str },
    /// The kernel's, as it is.
    Real,
    /// Not there.
    Hidden,
}

/// Names of `/proc` that the kernel does not list, and their kinds.
pub(in crate::host::files) fn made_up_entries(path: &[u8]) -> &'static [(&'static str, u8)] {
    match path {
        b"/proc" => &[
            ("cmdline", libc::DT_REG),
            ("cpuinfo", libc::DT_REG),
            ("filesystems", libc::DT_REG),
            ("loadavg", libc::DT_REG),
            ("meminfo", libc::DT_REG),
            ("stat", libc::DT_REG),
            ("swaps", libc::DT_REG),
            ("uptime", libc::DT_REG),
            ("version", libc::DT_REG),
        ],
        _ => &[],
    }
}

/// A path below `/proc` with the thread's own numbers for `self` and `thread-self`; none for a
/// path elsewhere.
pub(in crate::host) fn own_path(thread: i32, path: &[u8]) -> Option<String> {
    let path = std::str::from_utf8(path).ok()?;
    let rest = match path {
        "/dev/stdin" => "self/fd/0",
        "/dev/stdout" => "self/fd/1",
        "/dev/stderr" => "self/fd/2",
        "/proc" => return Some(path.to_owned()),
        _ => match path.strip_prefix("/dev/fd/") {
            Some(descriptor) => {
                return own_path(thread, &join(b"/proc/self/fd", descriptor.as_bytes()));
            }
            None => path.strip_prefix("/proc/")?,
        },
    };
    let (first, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let first = match first {
        "self" if !rest.is_empty() => own_ids(thread)?.0.to_string(),
        "thread-self" if !rest.is_empty() => {
            let (process, thread) = own_ids(thread)?;
            format!("{process}/task/{thread}")
        }
        "mounts" if rest.is_empty() => return own_path(thread, b"/proc/self/mounts"),
        other => other.to_owned(),
    };
    Some(if rest.is_empty() {
        format!("/proc/{first}")
    } else {
        format!("/proc/{first}/{rest}")
    })
}

/// The ids of a thread's process and of the thread itself, as it sees them.
pub(in crate::host::files) fn own_ids(thread: i32) -> Option<(i32, i32)> {
    let status = proc_text(format!("/proc/{thread}/status")).ok()?;
    let innermost = |name| last_word(&status, name)?.parse().ok();
    Some((innermost("NStgid:")?, innermost("NSpid:")?))
}

pub(super) fn kind(path: &str) -> Option<Kind<'_>> {
    let Some(rest) = path.strip_prefix("/proc/") else {
        return Some(Kind::Real);
    };
    if let Some(name) = MACHINE.iter().find(|name| **name == rest) {
        return Some(Kind::Machine(name));
    }
    let (first, inner) = rest.split_once('/').unwrap_or((rest, ""));
    if matches!(first, "self" | "thread-self") && inner.is_empty() {
        return Some(Kind::Real);
    }
    // Process 1 is ours.
    if first.is_empty() || first == "1" || !first.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Kind::Hidden);
    }
    // A thread's directory has what a process's has.
    let mut inner = inner;
    let mut directory_bytes = "/proc/".len() + first.len();
    if let Some(task) = inner.strip_prefix("task/") {
        let (id, rest) = task.split_once('/').unwrap_or((task, ""));
        directory_bytes += "/task/".len() + id.len();
        inner = rest;
    }
    let name = inner.split('/').next().unwrap_or_default();
    if inner.is_empty() || REAL.contains(&name) {
        return Some(Kind::Real);
    }
    if WRITTEN.contains(&inner) {
        return Some(Kind::Written {
            directory: path.get(..directory_bytes)?,
            name: inner,
        });
    }
    Some(Kind::Hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_and_what_is_not() {
        let is_hidden = |path| matches!(kind(path), Some(Kind::Hidden));
        for path in [
            "/proc/1/stat",
            "/proc/kallsyms",
            "/proc/2/smaps",
            "/proc/net",
            "/proc/sys",
            "/proc/2/attr/x",
        ] {
            assert!(is_hidden(path), "{path}");
        }
        for path in [
            "/proc/2/fd/0",
            "/proc/2/task/2/fd/0",
            "/proc/2",
            "/proc/self",
            "/proc",
        ] {
            assert!(matches!(kind(path), Some(Kind::Real)), "{path}");
        }
        assert!(matches!(
            kind("/proc/2/task/3/stat"),
            Some(Kind::Written {
                directory: "/proc/2/task/3",
                name: "stat"
            })
        ));
        assert!(matches!(
            kind("/proc/cpuinfo"),
            Some(Kind::Machine("cpuinfo"))
        ));
    }
}
