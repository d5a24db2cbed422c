//! What the file system behind an input, and its owner there, let through by what they allow:
//! rights that only an owner has, requests that only some file systems know, holes, copies.

use std::ffi::CStr;

use crate::raw::{Memory, call};
use crate::report::{Report, escaped};

const INPUT: &CStr = c"/inputs/declared";
const COPY: &CStr = c"leak-probe.copy";

pub(crate) fn look(report: &mut Report) {
    let memory = Memory::new();
    let plain = libc::O_RDONLY;
    for (name, path, flags) in [
        // For owners only.
        ("without-access-time", INPUT, plain | libc::O_NOATIME),
        (
            "without-access-time.directory",
            c"/inputs",
            plain | libc::O_NOATIME,
        ),
        // For some file systems only.
        ("direct", INPUT, plain | libc::O_DIRECT),
        ("nameless", c"/inputs", libc::O_TMPFILE | libc::O_RDWR),
        ("for-writing", INPUT, libc::O_RDWR),
        ("new", c"/inputs/new", libc::O_RDWR | libc::O_CREAT),
        ("itself", c"/leak-probe", libc::O_WRONLY),
        ("directory-for-writing", c"/inputs", libc::O_RDWR),
    ] {
        let opened = call!(libc::SYS_open, path, flags, 0o600);
        report.answer(format!("open.{name}"), opened.map(|_| 0));
        if let Ok(descriptor) = opened {
            if name == "direct" {
                // An address and a length that no device has blocks for.
                let read = call!(libc::SYS_pread64, descriptor, memory.at(1), 7, 1);
                report.answer("direct.odd-read", read);
            }
            let _ = call!(libc::SYS_close, descriptor);
        }
    }
    changes(report);
    let Ok(input) = call!(libc::SYS_open, INPUT, plain, 0) else {
        return report.note("input", "absent");
    };
    for (name, command, argument) in [
        ("lease", libc::F_SETLEASE, libc::F_RDLCK),
        ("lease-back", libc::F_SETLEASE, libc::F_UNLCK),
        ("notify", libc::F_NOTIFY, 2),
        ("no-access-time", libc::F_SETFL, libc::O_NOATIME),
        ("direct-later", libc::F_SETFL, libc::O_DIRECT),
        ("flags", libc::F_GETFL, 0),
    ] {
        report.answer(
            format!("control.{name}"),
            call!(libc::SYS_fcntl, input, command, argument),
        );
    }
    // What writing is expected to be like, by file and by description.
    for (name, command) in [("hint", 1035), ("hint-of-file", 1037)] {
        let answer = call!(libc::SYS_fcntl, input, command, &memory);
        report.written(format!("control.{name}"), answer, |_| {
            memory.u64(0).to_string()
        });
    }
    for (name, whence) in [
        ("data", libc::SEEK_DATA),
        ("hole", libc::SEEK_HOLE),
        ("end", 2),
    ] {
        report.answer(
            format!("seek.{name}"),
            call!(libc::SYS_lseek, input, 0, whence),
        );
    }
    report.answer("sync", call!(libc::SYS_fsync, input));
    report.answer("sync-all", call!(libc::SYS_syncfs, input));
    report.answer("read-ahead", call!(libc::SYS_readahead, input, 0, 4096));
    report.answer("allocate", call!(libc::SYS_fallocate, input, 0, 0, 4096));
    report.answer(
        "lock",
        call!(libc::SYS_flock, input, libc::LOCK_EX | libc::LOCK_NB),
    );
    copies(report, input, &memory);
    let directory = call!(libc::SYS_open, c"/inputs", plain, 0).unwrap_or(u64::MAX);
    for (name, place) in [
        ("start", 0_u64),
        ("second", 2),
        ("far", 1 << 40),
        ("end", i64::MAX.cast_unsigned()),
    ] {
        let answer = call!(libc::SYS_lseek, directory, place, libc::SEEK_SET);
        report.answer(format!("directory.seek-{name}"), answer);
        let read = call!(libc::SYS_getdents64, directory, &memory, 48);
        report.written(format!("directory.read-{name}"), read, |length| {
            let length = usize::try_from(length).unwrap_or(0);
            escaped(&memory.bytes(length))
        });
    }
    report.answer(
        "directory.seek-from-end",
        call!(libc::SYS_lseek, directory, 0, libc::SEEK_END),
    );
    report.answer(
        "directory.as-file",
        call!(libc::SYS_read, directory, &memory, 16),
    );
}

/// What may be done to inputs, and how it is refused.
fn changes(report: &mut Report) {
    for mode in 0..8 {
        for (name, path) in [("input", INPUT), ("directory", c"/inputs"), ("root", c"/")] {
            let answer = call!(libc::SYS_access, path, mode);
            report.answer(format!("access.{name}.{mode}"), answer);
        }
    }
    for (name, answer) in [
        ("chmod", call!(libc::SYS_chmod, INPUT, 0o600)),
        ("chown", call!(libc::SYS_chown, INPUT, 1000, 1000)),
        (
            "touch",
            call!(libc::SYS_utimensat, libc::AT_FDCWD, INPUT, 0, 0),
        ),
        ("truncate", call!(libc::SYS_truncate, INPUT, 0)),
        ("rename", call!(libc::SYS_rename, INPUT, c"/inputs/other")),
        ("link", call!(libc::SYS_link, INPUT, c"leak-probe.link")),
        ("link-there", call!(libc::SYS_link, INPUT, c"/inputs/other")),
        ("unlink", call!(libc::SYS_unlink, INPUT)),
        ("mkdir", call!(libc::SYS_mkdir, c"/inputs/new", 0o700)),
        ("rmdir", call!(libc::SYS_rmdir, c"/inputs")),
    ] {
        report.answer(name, answer);
    }
}

/// Ways to copy without reading: some work between certain file systems only.
fn copies(report: &mut Report, input: u64, memory: &Memory) {
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC;
    let Ok(copy) = call!(libc::SYS_open, COPY, flags, 0o600) else {
        return report.note("copy", "nowhere");
    };
    // FICLONE.
    report.answer(
        "copy.clone",
        call!(libc::SYS_ioctl, copy, 0x4004_9409, input),
    );
    memory.put(0, &[0; 64]).put_u64(16, 1).put_u64(24, copy);
    report.answer(
        "copy.same",
        call!(libc::SYS_ioctl, input, 0xc018_9436_u64, memory),
    );
    let _ = call!(libc::SYS_lseek, input, 0, 0);
    report.answer(
        "copy.range",
        call!(libc::SYS_copy_file_range, input, 0, copy, 0, 4096, 0),
    );
    let _ = call!(libc::SYS_lseek, input, 0, 0);
    report.answer("copy.send", call!(libc::SYS_sendfile, copy, input, 0, 4096));
    let _ = call!(libc::SYS_close, copy);
    let _ = call!(libc::SYS_unlink, COPY);
}
