//! Calls that somebody else could answer in the kernel's place, where they would easily get it wrong.
//! By name only: on any Linux the answers are the same.

use std::time::Duration;

use crate::raw::{self, Memory, call};
use crate::report::{Report, ended};

pub(super) const WORD: &str = "answers";

const PAGE_BYTES: u64 = 4096;
/// Where nothing is, and nothing comes by itself.
const FREE: u64 = 0x7000_0000;

pub(crate) fn look(report: &mut Report) {
    report.in_child("children.end", children);
    report.in_child("stopped-child.end", stopped_child);
    resident(report);
    sent(report);
    bound(report);
    timers(report);
}

/// A child that ends at once, or sleeps first.
fn start(sleeps: bool) -> i32 {
    match raw::fork() {
        Ok(Some(child)) => child,
        Err(_) => 0,
        Ok(None) => {
            if sleeps {
                std::thread::sleep(Duration::from_millis(50));
            }
            let _ = call!(libc::SYS_exit_group, if sleeps { 5 } else { 4 });
            std::process::abort()
        }
    }
}

/// Waits for one child, with its usage, while another has ended that nobody has waited for.
fn children(report: &mut Report) {
    let first = start(false);
    // Until it has ended; it stays.
    let kept = libc::WEXITED | libc::WNOWAIT;
    let memory = Memory::new();
    let _ = call!(libc::SYS_waitid, 1, first, &memory, kept, 0);
    let refused = call!(libc::SYS_wait4, first, &memory, 0x10, memory.at(64));
    report.answer("wait4.unknown-option", refused);
    let none = call!(libc::SYS_waitid, 0, 0, &memory, 0, memory.at(64));
    report.answer("waitid.nothing", none);
    let second = start(true);
    let nothing_yet = call!(libc::SYS_wait4, second, &memory, 1, memory.at(64));
    report.answer("wait4.not-yet", nothing_yet);
    let waited = call!(libc::SYS_wait4, second, &memory, 0, memory.at(64));
    report.written("wait4.second", waited, |child| {
        let is_it = child == u64::from(second.cast_unsigned());
        format!("{is_it} {}", ended(memory.i32(0)))
    });
    for (name, kind) in [("process", 1), ("handle", 3), ("group", 2)] {
        let child = start(true);
        let id = match kind {
            3 => call!(libc::SYS_pidfd_open, child, 0).unwrap_or(u64::MAX),
            2 => {
                let _ = call!(libc::SYS_setpgid, child, 0);
                u64::from(child.cast_unsigned())
            }
            _ => u64::from(child.cast_unsigned()),
        };
        memory.put(0, &[0; 256]);
        let waited = call!(libc::SYS_waitid, kind, id, &memory, 4, memory.at(256));
        report.written(format!("waitid.{name}"), waited, |_| {
            format!("{} {}", memory.i32(16) == child, memory.i32(24))
        });
    }
    let waited = call!(libc::SYS_wait4, -1, &memory, 0, memory.at(64));
    report.written("wait4.first", waited, |_| ended(memory.i32(0)));
    let none = call!(libc::SYS_wait4, -1, &memory, 0, memory.at(64));
    report.answer("wait4.none", none);
}

/// Waits, with its usage, for a child to stop and to go on.
fn stopped_child(report: &mut Report) {
    let Ok(child) = raw::fork() else { return };
    let Some(child) = child else {
        loop {
            let _ = call!(libc::SYS_pause);
        }
    };
    let memory = Memory::new();
    for (name, signal, option) in [
        ("stopped", libc::SIGSTOP, libc::WUNTRACED),
        ("continued", libc::SIGCONT, libc::WCONTINUED),
        ("ended", libc::SIGTERM, 0),
    ] {
        let _ = call!(libc::SYS_kill, child, signal);
        let waited = call!(libc::SYS_wait4, child, &memory, option, memory.at(64));
        report.written(format!("wait4.{name}"), waited, |_| {
            format!("{:x}", memory.i32(0))
        });
    }
}

/// Which pages are in memory: of those that are not mapped the kernel does not say.
fn resident(report: &mut Report) {
    const FLAGS: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let answer = Memory::new();
    let mapped = call!(
        libc::SYS_mmap,
        FREE,
        2 * PAGE_BYTES,
        libc::PROT_NONE,
        FLAGS,
        -1,
        0
    );
    report.note("mincore.mapped", mapped == Ok(FREE));
    for (name, start, length) in [
        ("nothing", FREE, 0),
        ("all", FREE, 2 * PAGE_BYTES - 1),
        ("part", FREE, 3 * PAGE_BYTES),
        ("none", FREE + 2 * PAGE_BYTES, PAGE_BYTES),
        ("null", 0, 1),
        ("odd", FREE + 1, 1),
        ("endless", FREE, u64::MAX),
        ("long", FREE, 1 << 46),
        ("kernel", u64::MAX - PAGE_BYTES + 1, PAGE_BYTES),
    ] {
        answer.put(0, &[7; 4]);
        let answered = call!(libc::SYS_mincore, start, length, &answer);
        report.answer(format!("mincore.{name}"), answered);
        // What is written depends on the machine.
        let written = answer.bytes(4).into_iter().filter(|byte| *byte != 7);
        report.note(format!("mincore.{name}.pages"), written.count());
    }
}

/// The port that a socket has after it has sent something, to itself or nobody.
fn sent(report: &mut Report) {
    let memory = Memory::new();
    // An address, a buffer, and a message of both.
    memory.put(0, &[2, 0, 0, 9, 127, 0, 0, 1]);
    memory
        .put_u64(64, memory.address(128))
        .put_u64(72, 4)
        .put_u64(256, memory.address(0))
        .put_u64(264, 16)
        .put_u64(272, memory.address(64))
        .put_u64(280, 1);
    for (name, number) in [
        ("sendmsg", libc::SYS_sendmsg),
        ("sendmmsg", libc::SYS_sendmmsg),
        ("sendto", libc::SYS_sendto),
    ] {
        let Ok(socket) = call!(libc::SYS_socket, libc::AF_INET, libc::SOCK_DGRAM, 0) else {
            return report.note("sent", "no socket");
        };
        let answer = match number {
            libc::SYS_sendmsg => call!(number, socket, memory.at(256), 0),
            libc::SYS_sendmmsg => call!(number, socket, memory.at(256), 1, 0),
            _ => call!(number, socket, memory.at(128), 4, 0, &memory, 16),
        };
        report.answer(format!("sent.{name}"), answer);
        report.note(format!("sent.{name}.port"), port(socket));
    }
    let Ok(socket) = call!(libc::SYS_socket, libc::AF_INET, libc::SOCK_DGRAM, 0) else {
        return;
    };
    let unconnected = call!(libc::SYS_sendto, socket, memory.at(128), 4, 0, 0, 0);
    report.answer("sent.nowhere", unconnected);
    report.note("sent.nowhere.port", port(socket));
}

fn port(socket: u64) -> u16 {
    let name = Memory::new();
    name.put_u32(64, 64);
    let _ = call!(libc::SYS_getsockname, socket, &name, name.at(64));
    u16::from_be_bytes(name.array(2))
}

/// Addresses without a port that are too short, or without a family.
fn bound(report: &mut Report) {
    let name = Memory::new();
    for (case, family, host, length) in [
        ("short", libc::AF_INET, 0, 8),
        ("endless", libc::AF_INET, 0, 1_000),
        ("unspecified", libc::AF_UNSPEC, 0, 16),
        ("unspecified-host", libc::AF_UNSPEC, 0x0100_007f, 16),
        ("plain", libc::AF_INET, 0x0100_007f, 16),
    ] {
        let Ok(socket) = call!(libc::SYS_socket, libc::AF_INET, libc::SOCK_DGRAM, 0) else {
            return report.note("bound", "no socket");
        };
        name.put(0, &[0; 32])
            .put_u32(0, family.cast_unsigned())
            .put_u32(4, host);
        let answer = call!(libc::SYS_bind, socket, &name, length);
        report.answer(format!("bound.{case}"), answer);
        report.note(format!("bound.{case}.port"), port(socket));
    }
}

/// Timers that do not exist, and one for longer than there is time.
fn timers(report: &mut Report) {
    let memory = Memory::new();
    memory.put_u64(24, 1);
    let refused = (100..5_000)
        .all(|id: i32| call!(libc::SYS_timer_settime, id, 0, &memory, 0) == Err(raw::Errno(22)));
    report.note("timers.refused", refused);
    memory.put_u64(16, i64::MAX.cast_unsigned()).put_u64(24, 0);
    let set = call!(libc::SYS_setitimer, libc::ITIMER_REAL, &memory, 0);
    report.answer("timers.endless", set);
    let left = call!(libc::SYS_getitimer, libc::ITIMER_REAL, memory.at(64));
    report.written("timers.endless.left", left, |_| {
        (memory.u64(80) > 1_000_000_000).to_string()
    });
}
