//! New files of each kind: their status at birth, and what reading, writing, renaming and stamping
//! do to it.
//!
//! They are made in the working directory, below a directory that is removed at the end.

use std::ffi::{CStr, CString};

use super::files::{AT, attributes, link, listing, shown, status};
use crate::raw::{Memory, call};
use crate::report::Report;

/// The directory for new files, relative to the working directory.
const NEW: &CStr = c"leak-probe.new";
const MKDIR_MODE: u32 = 0o777;

/// New files of each kind, and what happens to their times.
pub(super) fn look(report: &mut Report, memory: &Memory) {
    let answer = call!(libc::SYS_mkdir, NEW, MKDIR_MODE);
    report.answer("new.mkdir", answer);
    status(report, "new.directory", NEW, memory);
    let file = c"leak-probe.new/file";
    let flags = libc::O_CREAT | libc::O_RDWR | libc::O_EXCL;
    let opened = call!(libc::SYS_openat, AT, file, flags, 0o666);
    report.answer("new.open", opened);
    let Ok(descriptor) = opened else {
        return;
    };
    status(report, "new.file", file, memory);
    let text: &[u8] = b"some text\n";
    let _ = call!(libc::SYS_write, descriptor, text, text.len());
    status(report, "new.written", file, memory);
    let _ = call!(libc::SYS_pread64, descriptor, memory, 16, 0);
    status(report, "new.read", file, memory);
    let _ = call!(libc::SYS_fchmod, descriptor, 0o640);
    status(report, "new.chmod", file, memory);
    let answer = call!(libc::SYS_fstat, descriptor, memory);
    report.written("new.fstat", answer, |_| shown(memory));
    for (at, value) in [(0, 1_000_000_000), (8, 5), (16, 1_100_000_000), (24, 7)] {
        memory.put_u64(at, value);
    }
    report.answer(
        "new.utimensat",
        call!(libc::SYS_utimensat, AT, file, memory, 0),
    );
    status(report, "new.stamped", file, memory);
    report.answer("new.touch", call!(libc::SYS_utimensat, AT, file, 0, 0));
    status(report, "new.touched", file, memory);
    let _ = call!(libc::SYS_ftruncate, descriptor, 100_000);
    status(report, "new.truncated", file, memory);
    memory.put(0, &[0; 32]);
    let answer = call!(libc::SYS_ioctl, descriptor, 0x8008_7601_u64, memory);
    report.written("new.generation", answer, |_| memory.u32(0).to_string());
    let answer = call!(libc::SYS_ioctl, descriptor, 0x8008_6601_u64, memory);
    report.written("new.flags", answer, |_| memory.u64(0).to_string());
    report.answer(
        "new.seek-data",
        call!(libc::SYS_lseek, descriptor, 0, libc::SEEK_DATA),
    );
    report.answer(
        "new.seek-hole",
        call!(libc::SYS_lseek, descriptor, 0, libc::SEEK_HOLE),
    );
    let fallocated = call!(libc::SYS_fallocate, descriptor, 0, 0, 200_000);
    report.answer("new.fallocate", fallocated);
    status(report, "new.allocated", file, memory);
    attributes(report, "new", file, memory);
    others(report, file, memory);
    let _ = call!(libc::SYS_unlink, file);
    status(report, "new.directory-emptied", NEW, memory);
    report.answer("new.rmdir", call!(libc::SYS_rmdir, NEW));
    let answer = call!(libc::SYS_fstat, descriptor, memory);
    report.written("new.deleted.fstat", answer, |_| shown(memory));
    let place = format!("/proc/self/fd/{descriptor}");
    report.note(
        "new.deleted.readlink",
        CString::new(place).map_or_else(|_| String::new(), |place| link(&place)),
    );
}

/// Links, pipes and files without a name.
fn others(report: &mut Report, file: &CStr, memory: &Memory) {
    let other = c"leak-probe.new/other";
    report.answer("new.link", call!(libc::SYS_link, file, other));
    status(report, "new.linked", other, memory);
    let moved = c"leak-probe.new/moved";
    report.answer("new.rename", call!(libc::SYS_rename, other, moved));
    status(report, "new.renamed", moved, memory);
    let symlink = c"leak-probe.new/symlink";
    report.answer("new.symlink", call!(libc::SYS_symlink, c"file", symlink));
    let answer = call!(libc::SYS_lstat, symlink, memory);
    report.written("new.symlink.lstat", answer, |_| shown(memory));
    let fifo = c"leak-probe.new/fifo";
    let kind = libc::S_IFIFO | 0o666;
    report.answer("new.mknod", call!(libc::SYS_mknod, fifo, kind, 0));
    status(report, "new.fifo", fifo, memory);
    report.answer(
        "new.mknod-device",
        call!(
            libc::SYS_mknod,
            c"leak-probe.new/null",
            libc::S_IFCHR | 0o666,
            259
        ),
    );
    status(report, "new.directory-after", NEW, memory);
    listing(report, "leak-probe.new", memory);
    for (index, name) in [
        c"leak-probe.new/m",
        c"leak-probe.new/b",
        c"leak-probe.new/z",
    ]
    .into_iter()
    .enumerate()
    {
        report.answer(
            format!("new.create.{index}"),
            call!(libc::SYS_creat, name, 0o666),
        );
        let _ = call!(libc::SYS_unlink, name);
    }
    if let Ok(socket) = call!(libc::SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0) {
        let address: &[u8] = b"\x01\0leak-probe.new/socket\0";
        let bound = call!(libc::SYS_bind, socket, address, address.len());
        report.answer("new.socket", bound);
        let path = c"leak-probe.new/socket";
        status(report, "new.socket", path, memory);
        let _ = call!(libc::SYS_unlink, path);
    }
    let nameless = call!(libc::SYS_open, NEW, libc::O_TMPFILE | libc::O_RDWR, 0o600);
    report.answer("new.tmpfile", nameless);
    if let Ok(nameless) = nameless {
        let answer = call!(libc::SYS_fstat, nameless, memory);
        report.written("new.tmpfile.fstat", answer, |_| shown(memory));
    }
    for name in [moved, symlink, fifo, c"leak-probe.new/null"] {
        let _ = call!(libc::SYS_unlink, name);
    }
}
