//! Files: their status by every call, order of directories, space, extended attributes, handles,
//! and what their file systems tell. `new_files.rs` looks at files that the probe makes itself.
//!
//! Inputs are `/inputs` and what is in it, where there is one.

use std::ffi::{CStr, CString};

use super::new_files;
use crate::raw::{Answer, Memory, call};
use crate::report::{Report, escaped};

const PATHS: [&str; 24] = [
    // Whoever runs the probe may have put it there, outside.
    "/tmp/leak-probe.host",
    "/leak-probe",
    "/",
    "/build",
    "/build/home",
    "/tmp",
    "/dev",
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/urandom",
    "/dev/random",
    "/dev/tty",
    "/dev/shm",
    "/dev/fd",
    "/dev/stdin",
    "/proc",
    "/proc/self",
    "/proc/self/exe",
    "/proc/self/status",
    "/proc/cpuinfo",
    "/inputs",
    "/inputs/declared",
    "/link",
];

pub(super) const AT: i32 = libc::AT_FDCWD;

pub(crate) fn look(report: &mut Report) {
    let memory = Memory::new();
    for path in PATHS {
        let Ok(named) = CString::new(path) else {
            continue;
        };
        status(report, path, &named, &memory);
        let answer = call!(libc::SYS_statfs, named.as_c_str(), &memory);
        space(report, &format!("statfs.{path}"), answer, &memory);
    }
    for descriptor in 0..3 {
        let answer = call!(libc::SYS_fstat, descriptor, &memory);
        report.written(format!("fstat.{descriptor}"), answer, |_| shown(&memory));
        let answer = call!(libc::SYS_fstatfs, descriptor, &memory);
        space(report, &format!("fstatfs.{descriptor}"), answer, &memory);
    }
    for (name, path) in [
        ("exe", c"/proc/self/exe"),
        ("cwd", c"/proc/self/cwd"),
        ("root", c"/proc/self/root"),
        ("self", c"/proc/self"),
        ("thread-self", c"/proc/thread-self"),
        ("mounts", c"/proc/mounts"),
        ("link", c"/link"),
        ("fd", c"/dev/fd"),
        ("stdin", c"/dev/stdin"),
        ("0", c"/proc/self/fd/0"),
        ("1", c"/proc/self/fd/1"),
        ("2", c"/proc/self/fd/2"),
    ] {
        report.note(format!("readlink.{name}"), link(path));
    }
    let answer = call!(libc::SYS_getcwd, &memory, 4096);
    report.written("getcwd", answer, |_| memory.text(0));
    for path in [
        "/",
        "/dev",
        "/inputs",
        "/build",
        "/tmp",
        "/proc",
        "/proc/self",
        "/dev/shm",
    ] {
        listing(report, path, &memory);
    }
    attributes(report, "input", c"/inputs/declared", &memory);
    for (name, path) in [
        ("input", c"/inputs/declared"),
        ("root", c"/"),
        ("here", c"."),
    ] {
        controls(report, name, path, &memory);
    }
    new_files::look(report, &memory);
}

pub(super) fn status(report: &mut Report, name: &str, path: &CStr, memory: &Memory) {
    let answer = call!(libc::SYS_stat, path, memory);
    report.written(format!("stat.{name}"), answer, |_| shown(memory));
    let answer = call!(libc::SYS_lstat, path, memory);
    report.written(format!("lstat.{name}"), answer, |_| shown(memory));
    extended(report, &format!("statx.{name}"), path, memory);
}

/// Every field of statx(2) in lines of their own: identity, size, times, mount.
fn extended(report: &mut Report, name: &str, path: &CStr, memory: &Memory) {
    memory.put(0, &[0; 256]);
    let answer = call!(libc::SYS_statx, AT, path, 0, 0xffff_ffff_u32 >> 1, memory);
    let Ok(_) = answer else {
        return report.answer(name, answer);
    };
    report.note(
        format!("{name}.identity"),
        format_args!(
            "dev {}:{} ino {} mode {:o} nlink {} uid {} gid {} rdev {}:{}",
            memory.u32(136),
            memory.u32(140),
            memory.u64(32),
            memory.u16(28),
            memory.u32(16),
            memory.u32(20),
            memory.u32(24),
            memory.u32(128),
            memory.u32(132),
        ),
    );
    report.note(
        format!("{name}.size"),
        format_args!(
            "size {} blocks {} blksize {} direct-io {} {} {}",
            memory.u64(40),
            memory.u64(48),
            memory.u32(4),
            memory.u32(152),
            memory.u32(156),
            memory.u64(160),
        ),
    );
    report.note(
        format!("{name}.mount"),
        format_args!(
            "mask {:x} attributes {:x} of {:x} mount {:x} subvolume {}",
            memory.u32(0),
            memory.u64(8),
            memory.u64(56),
            memory.u64(144),
            memory.u64(160),
        ),
    );
    for (field, at) in [("atime", 64), ("btime", 80), ("ctime", 96), ("mtime", 112)] {
        report.note(
            format!("{name}.{field}"),
            format_args!("{}.{:09}", memory.i64(at), memory.u32(at + 8)),
        );
    }
}

/// The fields of stat(2).
pub(super) fn shown(memory: &Memory) -> String {
    format!(
        "dev {} ino {} nlink {} mode {:o} uid {} gid {} rdev {} size {} blksize {} blocks {} \
         atime {}.{} mtime {}.{} ctime {}.{}",
        memory.u64(0),
        memory.u64(8),
        memory.u64(16),
        memory.u32(24),
        memory.u32(28),
        memory.u32(32),
        memory.u64(40),
        memory.u64(48),
        memory.u64(56),
        memory.u64(64),
        memory.i64(72),
        memory.i64(80),
        memory.i64(88),
        memory.i64(96),
        memory.i64(104),
        memory.i64(112),
    )
}

/// The fields of statfs(2).
fn space(report: &mut Report, name: &str, answer: Answer, memory: &Memory) {
    for (part, places) in [
        ("kind", [0, 8, 56, 64, 72, 80].as_slice()),
        ("total", &[16, 40]),
        ("free", &[24, 32, 48]),
    ] {
        report.written(format!("{name}.{part}"), answer, |_| {
            let fields: Vec<u64> = places.iter().map(|at| memory.u64(*at)).collect();
            format!("{fields:x?}")
        });
    }
}

pub(super) fn link(path: &CStr) -> String {
    let memory = Memory::new();
    match call!(libc::SYS_readlink, path, &memory, 4096) {
        Ok(_) => memory.text(0),
        Err(errno) => errno.to_string(),
    }
}

/// Names, numbers and places of a directory, by both calls, and its contents' order.
pub(super) fn listing(report: &mut Report, path: &str, memory: &Memory) {
    let Ok(terminated) = CString::new(path) else {
        return;
    };
    for (name, number, name_at) in [
        ("getdents64", libc::SYS_getdents64, 19),
        ("getdents", libc::SYS_getdents, 18),
    ] {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY;
        let Ok(directory) = call!(libc::SYS_open, terminated.as_c_str(), flags, 0) else {
            report.note(format!("{name}.{path}"), "absent");
            continue;
        };
        let mut names = Vec::new();
        let mut numbers = Vec::new();
        let mut places = Vec::new();
        let end = loop {
            match call!(number, directory, memory, Memory::BYTES / 2) {
                Ok(0) => break "complete".to_owned(),
                Err(errno) => break errno.to_string(),
                Ok(length) => {
                    let mut at = 0;
                    while (at as u64) < length {
                        names.push(memory.text(at + name_at));
                        numbers.push(memory.u64(at).to_string());
                        places.push(memory.u64(at + 8).to_string());
                        at += usize::from(memory.u16(at + 16)).max(1);
                    }
                }
            }
        };
        report.note(format!("{name}.{path}.names"), names.join(" "));
        report.note(format!("{name}.{path}.numbers"), numbers.join(" "));
        report.note(format!("{name}.{path}.places"), places.join(" "));
        report.note(format!("{name}.{path}.end"), end);
        let _ = call!(libc::SYS_close, directory);
    }
}

pub(super) fn attributes(report: &mut Report, name: &str, path: &CStr, memory: &Memory) {
    let answer = call!(libc::SYS_listxattr, path, memory, 4096);
    report.written(format!("xattr.list.{name}"), answer, |length| {
        let length = usize::try_from(length).unwrap_or(0);
        escaped(&memory.bytes(length))
    });
    for attribute in [c"user.probe", c"security.selinux", c"security.capability"] {
        let answer = call!(libc::SYS_getxattr, path, attribute, memory, 4096);
        report.answer(
            format!("xattr.{}.{name}", attribute.to_string_lossy()),
            answer,
        );
    }
    let value: &[u8] = b"value";
    let answer = call!(
        libc::SYS_setxattr,
        path,
        c"user.probe",
        value,
        value.len(),
        0
    );
    report.answer(format!("xattr.set.{name}"), answer);
    // The handle's capacity stands at its beginning, its bytes follow.
    memory.put(0, &[0; 256]);
    memory.put_u32(0, 128);
    let answer = call!(
        libc::SYS_name_to_handle_at,
        AT,
        path,
        memory,
        memory.at(512),
        0
    );
    report.written(format!("handle.{name}"), answer, |_| {
        format!("mount {} {}", memory.i32(512), escaped(&memory.bytes(40)))
    });
}

/// Questions to the file system behind a file (ioctl(2)).
fn controls(report: &mut Report, name: &str, path: &CStr, memory: &Memory) {
    let Ok(file) = call!(libc::SYS_open, path, libc::O_RDONLY, 0) else {
        return report.note(format!("control.{name}"), "absent");
    };
    for (question, request) in [
        ("block-size", 0x2_u32),
        ("generation", 0x8008_7601),
        ("flags", 0x8008_6601),
        ("project", 0x801c_581f),
        ("label", 0x8100_9431),
        ("uuid", 0x8011_1500),
        ("place-in-sysfs", 0x8081_1501),
        ("extents", 0xc020_660b),
    ] {
        memory.put(0, &[0; 512]);
        if question == "extents" {
            // The whole file, at most four extents.
            memory.put_u64(8, u64::MAX).put_u32(24, 4);
        }
        let answer = call!(libc::SYS_ioctl, file, request, memory);
        report.written(format!("control.{name}.{question}"), answer, |_| {
            escaped(&memory.bytes(128))
        });
    }
    // Who holds a lock on it, by process.
    memory.put(0, &[0; 32]).put(0, &[1, 0]);
    let answer = call!(libc::SYS_fcntl, file, libc::F_GETLK, memory);
    report.written(format!("control.{name}.lock"), answer, |_| {
        format!("{} {}", memory.u16(0), memory.i32(24))
    });
    let _ = call!(libc::SYS_close, file);
}
