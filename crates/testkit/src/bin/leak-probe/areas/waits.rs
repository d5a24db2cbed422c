//! Waiting: what passes on the clock while a call waits, what it says is left, and what children
//! cost.

use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::raw::{Answer, Memory, call};
use crate::report::Report;

/// How long each wait is, in nanoseconds.
const WAIT_NS: u64 = 20_000_000;
const WAIT_MS: i32 = 20;

pub(crate) fn look(report: &mut Report) {
    let memory = Memory::new();
    memory.put(0, &[0; 256]).put_u64(8, WAIT_NS);
    // A time in microseconds, for the one call that has it.
    memory.put_u64(24, WAIT_NS / 1000);
    let never = Memory::new();
    let epoll = call!(libc::SYS_epoll_create1, 0).unwrap_or(u64::MAX);
    let word = Memory::new();
    timed(report, "nanosleep", || {
        call!(libc::SYS_nanosleep, &memory, memory.at(64))
    });
    timed(report, "clock_nanosleep", || {
        call!(libc::SYS_clock_nanosleep, 1, 0, &memory, memory.at(64))
    });
    timed(report, "clock_nanosleep.absolute", || {
        let now = Memory::new();
        let _ = call!(libc::SYS_clock_gettime, 1, &now);
        let until = now.u64(0) * 1_000_000_000 + now.u64(8) + WAIT_NS;
        now.put_u64(0, until / 1_000_000_000)
            .put_u64(8, until % 1_000_000_000);
        call!(libc::SYS_clock_nanosleep, 1, 1, &now, 0)
    });
    timed(report, "clock_nanosleep.real", || {
        let now = Memory::new();
        let _ = call!(libc::SYS_clock_gettime, 0, &now);
        let until = now.u64(0) * 1_000_000_000 + now.u64(8) + WAIT_NS;
        now.put_u64(0, until / 1_000_000_000)
            .put_u64(8, until % 1_000_000_000);
        call!(libc::SYS_clock_nanosleep, 0, 1, &now, 0)
    });
    timed(report, "poll", || call!(libc::SYS_poll, &never, 0, WAIT_MS));
    timed(report, "ppoll", || {
        call!(libc::SYS_ppoll, &never, 0, &memory, 0, 8)
    });
    report.note(
        "ppoll.left",
        format_args!("{} {}", memory.u64(0), memory.u64(8)),
    );
    memory.put_u64(0, 0).put_u64(8, WAIT_NS);
    timed(report, "select", || {
        call!(libc::SYS_select, 0, 0, 0, 0, memory.at(16))
    });
    report.note(
        "select.left",
        format_args!("{} {}", memory.u64(16), memory.u64(24)),
    );
    timed(report, "pselect", || {
        call!(libc::SYS_pselect6, 0, 0, 0, 0, &memory, 0)
    });
    report.note(
        "pselect.left",
        format_args!("{} {}", memory.u64(0), memory.u64(8)),
    );
    memory.put_u64(0, 0).put_u64(8, WAIT_NS);
    timed(report, "epoll_wait", || {
        call!(libc::SYS_epoll_wait, epoll, &never, 1, WAIT_MS)
    });
    timed(report, "epoll_pwait", || {
        call!(libc::SYS_epoll_pwait, epoll, &never, 1, WAIT_MS, 0, 8)
    });
    timed(report, "epoll_pwait2", || {
        call!(libc::SYS_epoll_pwait2, epoll, &never, 1, &memory, 0, 8)
    });
    timed(report, "futex", || {
        call!(libc::SYS_futex, &word, 0, 0, &memory, 0, 0)
    });
    timed(report, "futex_waitv", || {
        call!(libc::SYS_futex_waitv, &word, 1, 0, &memory, 1)
    });
    timed(report, "futex.lock", || {
        // A lock that somebody holds who does not exist: refused, or waited for.
        word.put_u32(0, 1);
        call!(libc::SYS_futex, &word, 6, 0, &memory, 0, 0)
    });
    let signals = Memory::new();
    signals.put_u64(0, 1 << (libc::SIGUSR1 - 1));
    timed(report, "rt_sigtimedwait", || {
        call!(libc::SYS_rt_sigtimedwait, &signals, 0, &memory, 8)
    });
    timed(report, "condition", || {
        let mutex = Mutex::new(());
        let condition = Condvar::new();
        if let Ok(guard) = mutex.lock() {
            let _ = condition.wait_timeout(guard, Duration::from_nanos(WAIT_NS));
        }
        Ok(0)
    });
    timed(report, "park", || {
        std::thread::park_timeout(Duration::from_nanos(WAIT_NS));
        Ok(0)
    });
    interrupted(report);
    timers(report);
    sockets(report);
    end_of_a_child(report);
    children(report);
}

/// Notes the answer of a wait, and what passed on the clock.
fn timed(report: &mut Report, name: &str, wait: impl FnOnce() -> Answer) {
    let start = Instant::now();
    let answer = wait();
    let passed = start.elapsed();
    report.answer(name, answer);
    report.note(format!("{name}.passed"), passed.as_nanos());
}

/// What is left of sleeps that a signal interrupts.
fn interrupted(report: &mut Report) {
    crate::raw::catch(libc::SIGALRM);
    let memory = Memory::new();
    for (name, clock) in [
        ("nanosleep", None),
        ("clock_nanosleep", Some(1)),
        ("ppoll", Some(-1)),
    ] {
        memory.put(0, &[0; 256]).put_u64(0, 100);
        memory.put_u64(128 + 24, WAIT_NS / 1000);
        let armed = call!(libc::SYS_setitimer, 0, memory.at(128), 0);
        let name = format!("interrupted.{name}");
        timed(report, &name, || {
            armed?;
            match clock {
                None => call!(libc::SYS_nanosleep, &memory, memory.at(64)),
                Some(-1) => call!(libc::SYS_ppoll, 0, 0, &memory, 0, 8),
                Some(clock) => call!(libc::SYS_clock_nanosleep, clock, 0, &memory, memory.at(64)),
            }
        });
        let at = if clock == Some(-1) { 0 } else { 64 };
        report.note(
            format!("{name}.left"),
            format_args!("{}.{:09}", memory.u64(at), memory.u64(at + 8)),
        );
    }
}

/// Timers that send a signal, or make a descriptor readable.
fn timers(report: &mut Report) {
    let alarms = Memory::new();
    alarms.put_u64(0, 1 << (libc::SIGALRM - 1));
    let _ = call!(libc::SYS_rt_sigprocmask, 0, &alarms, 0, 8);
    let memory = Memory::new();
    timed(report, "setitimer", || {
        memory.put(0, &[0; 64]).put_u64(24, WAIT_NS / 1000);
        call!(libc::SYS_setitimer, 0, &memory, 0)?;
        call!(libc::SYS_rt_sigtimedwait, &alarms, memory.at(128), 0, 8)
    });
    timed(report, "timerfd", || {
        let timer = call!(libc::SYS_timerfd_create, 1, 0)?;
        memory.put(0, &[0; 64]).put_u64(24, WAIT_NS);
        call!(libc::SYS_timerfd_settime, timer, 0, &memory, 0)?;
        call!(libc::SYS_read, timer, memory.at(128), 8).map(|_| memory.u64(128))
    });
    timed(report, "timerfd.poll", || {
        let timer = call!(libc::SYS_timerfd_create, 1, 0)?;
        memory.put(0, &[0; 64]).put_u64(24, WAIT_NS);
        call!(libc::SYS_timerfd_settime, timer, 0, &memory, 0)?;
        memory
            .put_u32(64, u32::try_from(timer).unwrap_or(0))
            .put_u32(68, 1);
        call!(libc::SYS_poll, memory.at(64), 1, -1)
    });
    timed(report, "timerfd.absolute", || {
        let timer = call!(libc::SYS_timerfd_create, 0, 0)?;
        let now = Memory::new();
        call!(libc::SYS_clock_gettime, 0, &now)?;
        let until = now.u64(0) * 1_000_000_000 + now.u64(8) + WAIT_NS;
        memory.put(0, &[0; 64]);
        memory
            .put_u64(16, until / 1_000_000_000)
            .put_u64(24, until % 1_000_000_000);
        call!(libc::SYS_timerfd_settime, timer, 1, &memory, 0)?;
        // If the kernel's clock is another one the time may be far: not longer than this.
        memory
            .put_u32(64, u32::try_from(timer).unwrap_or(0))
            .put_u32(68, 1);
        call!(libc::SYS_poll, memory.at(64), 1, 200)
    });
    // A computation that never asks: what a timer of its processor time shows afterwards.
    memory.put(0, &[0; 64]).put_u64(16, 1000);
    let _ = call!(libc::SYS_setitimer, 2, &memory, 0);
    compute();
    let left = call!(libc::SYS_getitimer, 2, memory.at(32));
    report.written("itimer.profile.left", left, |_| {
        format!("{}.{:06}", memory.u64(48), memory.u64(56))
    });
    let _ = call!(libc::SYS_setitimer, 2, memory.at(128), 0);
}

/// A receive time limit, and the kernel's stamp on what is received.
fn sockets(report: &mut Report) {
    let memory = Memory::new();
    let made = call!(
        libc::SYS_socketpair,
        libc::AF_UNIX,
        libc::SOCK_DGRAM,
        0,
        &memory
    );
    if made.is_err() {
        return report.answer("socket", made);
    }
    let (near, far) = (memory.i32(0), memory.i32(4));
    memory.put(0, &[0; 64]).put_u64(8, WAIT_NS / 1000);
    let _ = call!(
        libc::SYS_setsockopt,
        near,
        1,
        libc::SO_RCVTIMEO,
        &memory,
        16
    );
    timed(report, "socket.receive", || {
        call!(libc::SYS_recvfrom, near, &memory, 16, 0, 0, 0)
    });
    memory.put_u32(0, 1);
    let _ = call!(
        libc::SYS_setsockopt,
        near,
        1,
        libc::SO_TIMESTAMPNS,
        &memory,
        4
    );
    let text: &[u8] = b"x";
    let _ = call!(libc::SYS_sendto, far, text, 1, 0, 0, 0);
    let header = Memory::new();
    // struct msghdr with one buffer and room for control messages.
    memory.put(0, &[0; 256]);
    memory.put_u64(0, memory.address(64)).put_u64(8, 16);
    header
        .put_u64(16, memory.address(0))
        .put_u64(24, 1)
        .put_u64(32, header.address(1024))
        .put_u64(40, 512);
    let received = call!(libc::SYS_recvmsg, near, &header, libc::MSG_DONTWAIT);
    report.written("socket.stamp", received, |length| {
        let control = header.u64(40);
        format!(
            "{length} control {control} {}.{:09}",
            header.i64(1040),
            header.i64(1048)
        )
    });
    // SIOCGSTAMPNS: the stamp of the last datagram.
    let answer = call!(libc::SYS_ioctl, near, 0x8907, &memory);
    report.written("socket.last-stamp", answer, |_| {
        format!("{}.{:09}", memory.u64(0), memory.u64(8))
    });
}

/// What the signal of a child's end tells.
fn end_of_a_child(report: &mut Report) {
    let children = Memory::new();
    children.put_u64(0, 1 << (libc::SIGCHLD - 1));
    let _ = call!(libc::SYS_rt_sigprocmask, 0, &children, 0, 8);
    let child = match crate::raw::fork() {
        Ok(Some(child)) => child,
        Ok(None) => {
            compute();
            let _ = call!(libc::SYS_exit_group, 3);
            std::process::abort()
        }
        Err(errno) => return report.note("end-of-child", errno),
    };
    let memory = Memory::new();
    let answer = call!(libc::SYS_rt_sigtimedwait, &children, &memory, 0, 8);
    report.answer("end-of-child", answer);
    report.note(
        "end-of-child.who",
        format_args!("{} {}", memory.i32(16), memory.u32(20)),
    );
    report.note(
        "end-of-child.work",
        format_args!("{} {}", memory.u64(32), memory.u64(40)),
    );
    let _ = call!(libc::SYS_wait4, child, 0, 0, 0);
    let _ = call!(libc::SYS_rt_sigprocmask, 1, &children, 0, 8);
}

/// Some tens of milliseconds of work, which no clock of the sandbox's makes shorter.
fn compute() {
    let mut sum = 0_u64;
    for number in 0..40_000_000_u64 {
        sum = std::hint::black_box(sum.rotate_left(3) ^ number);
    }
}

/// What a child cost, as wait4(2) and waitid(2) tell.
fn children(report: &mut Report) {
    for (name, is_waitid) in [("wait4", false), ("waitid", true)] {
        let child = match crate::raw::fork() {
            Ok(Some(child)) => child,
            Ok(None) => {
                compute();
                let _ = call!(libc::SYS_exit_group, 7);
                std::process::abort()
            }
            Err(errno) => return report.note(name, errno),
        };
        let memory = Memory::new();
        let answer = if is_waitid {
            call!(libc::SYS_waitid, 1, child, &memory, 4, memory.at(256))
        } else {
            call!(libc::SYS_wait4, child, &memory, 0, memory.at(256))
        };
        report.answer(format!("{name}.answer"), answer);
        report.note(
            format!("{name}.status"),
            memory.i32(if is_waitid { 24 } else { 0 }),
        );
        if is_waitid {
            let work = format!("{} {}", memory.u64(32), memory.u64(40));
            report.note("waitid.work-in-signal", work);
        }
        let usage: Vec<u64> = (0..18).map(|index| memory.u64(256 + index * 8)).collect();
        report.note(format!("{name}.time"), format_args!("{:?}", &usage[..4]));
        report.note(format!("{name}.resident"), usage[4]);
        report.note(
            format!("{name}.faults"),
            format_args!("{:?}", &usage[8..10]),
        );
        report.note(format!("{name}.rest"), format_args!("{:?}", &usage[10..]));
    }
}
