//! `/proc`: which files there are, and what stands in each.
//!
//! Left out: files that block a reader, that are as large as the memory, and the directories of
//! other processes; numbers of processes and threads in names are the probe's own.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::report::Report;

/// Block, or are the memory itself.
const LEFT_OUT: [&str; 8] = [
    "kmsg",
    "kcore",
    "kpagecount",
    "kpageflags",
    "kpagecgroup",
    "mem",
    "pagemap",
    "trace_pipe",
];
/// Directories whose contents other areas look at, or that lead elsewhere.
const CLOSED: [&str; 10] = [
    "cwd",
    "root",
    "fd",
    "fdinfo",
    "map_files",
    "task",
    "bus",
    "irq",
    "acpi",
    "driver",
];
const DEPTH_MAX: usize = 6;
const BYTES_MAX: u64 = 1 << 20;
const FILES_MAX: usize = 4000;

/// Files of which each line is an observable of its own.
const BY_LINE: [&str; 9] = [
    "/proc/self/status",
    "/proc/self/limits",
    "/proc/self/io",
    "/proc/self/sched",
    "/proc/self/mountinfo",
    "/proc/self/maps",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
];
/// Others, known by name, should they not be listed.
const KNOWN: [&str; 30] = [
    "/proc/buddyinfo",
    "/proc/cgroups",
    "/proc/cmdline",
    "/proc/config.gz",
    "/proc/consoles",
    "/proc/cpuinfo",
    "/proc/crypto",
    "/proc/devices",
    "/proc/diskstats",
    "/proc/dma",
    "/proc/filesystems",
    "/proc/interrupts",
    "/proc/iomem",
    "/proc/ioports",
    "/proc/kallsyms",
    "/proc/key-users",
    "/proc/keys",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/modules",
    "/proc/net/dev",
    "/proc/partitions",
    "/proc/pressure/cpu",
    "/proc/schedstat",
    "/proc/softirqs",
    "/proc/stat",
    "/proc/uptime",
    "/proc/version",
    "/proc/vmstat",
    "/proc/zoneinfo",
];
const KNOWN_SETTINGS: [&str; 22] = [
    "fs/file-max",
    "fs/file-nr",
    "fs/inode-nr",
    "fs/pipe-max-size",
    "kernel/core_pattern",
    "kernel/hostname",
    "kernel/osrelease",
    "kernel/ostype",
    "kernel/version",
    "kernel/pid_max",
    "kernel/ns_last_pid",
    "kernel/threads-max",
    "kernel/random/boot_id",
    "kernel/random/entropy_avail",
    "kernel/random/poolsize",
    "kernel/randomize_va_space",
    "kernel/cap_last_cap",
    "net/core/somaxconn",
    "vm/overcommit_memory",
    "vm/max_map_count",
    "vm/mmap_min_addr",
    "vm/swappiness",
];
const KNOWN_OF_SELF: [&str; 42] = [
    "arch_status",
    "attr/current",
    "auxv",
    "cgroup",
    "clear_refs",
    "cmdline",
    "comm",
    "coredump_filter",
    "cpuset",
    "cpu_resctrl_groups",
    "environ",
    "gid_map",
    "io",
    "ksm_stat",
    "limits",
    "loginuid",
    "maps",
    "mountinfo",
    "mounts",
    "mountstats",
    "net/dev",
    "net/sockstat",
    "net/unix",
    "numa_maps",
    "oom_adj",
    "oom_score",
    "oom_score_adj",
    "patch_state",
    "personality",
    "projid_map",
    "schedstat",
    "sched",
    "sessionid",
    "setgroups",
    "smaps",
    "smaps_rollup",
    "stack",
    "stat",
    "statm",
    "status",
    "syscall",
    "timens_offsets",
];

pub(crate) fn look(report: &mut Report) {
    for path in BY_LINE {
        by_line(report, path);
    }
    let mut paths: Vec<String> = KNOWN.map(str::to_owned).to_vec();
    paths.extend(KNOWN_SETTINGS.map(|name| format!("/proc/sys/{name}")));
    for name in KNOWN_OF_SELF {
        paths.push(format!("/proc/self/{name}"));
        paths.push(format!("/proc/thread-self/{name}"));
    }
    list(Path::new("/proc"), 1, &mut paths);
    for directory in [
        "/proc/sys",
        "/proc/self",
        "/proc/thread-self",
        "/proc/net",
        "/proc/fs",
    ] {
        list(Path::new(directory), DEPTH_MAX, &mut paths);
    }
    paths.sort();
    paths.dedup();
    report.note("files", paths.len());
    for path in paths {
        match read(&path) {
            Ok(content) => report.bytes(&path, &content),
            Err(error) => report.note(&path, error),
        }
    }
    let threads = names("/proc/self/task");
    report.note("threads", threads.join(" "));
    for descriptor in names("/proc/self/fd") {
        let path = format!("/proc/self/fdinfo/{descriptor}");
        match read(&path) {
            Ok(content) => report.bytes(&path, &content),
            Err(error) => report.note(&path, error),
        }
    }
    for name in names("/proc/self/ns") {
        let target = std::fs::read_link(format!("/proc/self/ns/{name}"));
        report.note(
            format!("namespace.{name}"),
            target.map_or_else(|error| error.to_string(), |path| path.display().to_string()),
        );
    }
    for path in [
        "/proc/1/status",
        "/proc/1/cmdline",
        "/proc/2/stat",
        "/proc/3/stat",
    ] {
        match read(path) {
            Ok(content) => report.bytes(format!("other.{path}"), &content),
            Err(error) => report.note(format!("other.{path}"), error),
        }
    }
}

fn by_line(report: &mut Report, path: &str) {
    let content = match read(path) {
        Ok(content) => content,
        Err(error) => return report.note(format!("line.{path}"), error),
    };
    let text = String::from_utf8_lossy(&content);
    for (number, line) in text.lines().enumerate() {
        report.note(format!("line.{path}.{number:03}"), line);
    }
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    let describe = |error: std::io::Error| {
        error
            .raw_os_error()
            .map_or_else(|| error.to_string(), |errno| format!("errno {errno}"))
    };
    let mut content = Vec::new();
    let file = File::open(path).map_err(describe)?;
    let is_file = file.metadata().map_err(describe)?.is_file();
    if !is_file {
        return Err("no file".to_owned());
    }
    file.take(BYTES_MAX)
        .read_to_end(&mut content)
        .map_err(describe)?;
    Ok(content)
}

/// Files below a directory, down to a depth.
fn list(directory: &Path, depth: usize, paths: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            continue;
        };
        if LEFT_OUT.contains(&name) || name.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_file() && paths.len() < FILES_MAX {
            paths.push(entry.path().display().to_string());
        } else if kind.is_dir() && depth > 1 && !CLOSED.contains(&name) {
            list(&entry.path(), depth - 1, paths);
        }
    }
}

/// What a directory holds, sorted; nothing if it cannot be read.
fn names(directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
