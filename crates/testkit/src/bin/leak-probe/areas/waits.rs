//! Waiting: what passes on the clock while a call waits, what it says is left, and how often a timer
//! ran out meanwhile.

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
        let now = after_the_wait(1);
        call!(libc::SYS_clock_nanosleep, 1, 1, &now, 0)
    });
    timed(report, "clock_nanosleep.real", || {
        let now = after_the_wait(0);
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
    seldom(report);
    counted(report);
    interrupted(report);
    cut_short(report);
    timers(report);
    sockets(report);
}

/// Notes the answer of a wait, and what passed on the clock.
fn timed(report: &mut Report, name: &str, wait: impl FnOnce() -> Answer) {
    let start = Instant::now();
    let answer = wait();
    let passed = start.elapsed();
    report.answer(name, answer);
    report.note(format!("{name}.passed"), passed.as_nanos());
}

/// Waits with a time limit that few programs use.
fn seldom(report: &mut Report) {
    let memory = Memory::new();
    memory.put(0, &[0; 256]).put_u64(8, WAIT_NS);
    timed(report, "semtimedop", || {
        let set = call!(libc::SYS_semget, libc::IPC_PRIVATE, 1, 0o600)?;
        // Takes one of none.
        memory.put(64, &[0, 0, 0xff, 0xff, 0, 0]);
        let answer = call!(libc::SYS_semtimedop, set, memory.at(64), 1, &memory);
        let _ = call!(libc::SYS_semctl, set, 0, libc::IPC_RMID);
        answer
    });
    timed(report, "mq_timedreceive", || {
        let flags = libc::O_RDWR | libc::O_CREAT;
        let queue = call!(libc::SYS_mq_open, c"leak-probe", flags, 0o600, 0)?;
        let _ = call!(libc::SYS_mq_unlink, c"leak-probe");
        let until = after_the_wait(0);
        call!(
            libc::SYS_mq_timedreceive,
            queue,
            memory.at(1024),
            16_384,
            0,
            &until
        )
    });
    timed(report, "io_getevents", || {
        memory.put(64, &[0; 8]);
        call!(libc::SYS_io_setup, 4, memory.at(64))?;
        call!(
            libc::SYS_io_getevents,
            memory.u64(64),
            1,
            1,
            memory.at(1024),
            &memory
        )
    });
    timed(report, "futex.bits-until", || {
        let until = after_the_wait(1);
        // FUTEX_WAIT_BITSET of any bit, by the monotonic clock.
        call!(libc::SYS_futex, memory.at(512), 9, 0, &until, 0, u32::MAX)
    });
}

/// How often a timer ran out while the program computed.
fn counted(report: &mut Report) {
    let memory = Memory::new();
    let timer = call!(libc::SYS_timerfd_create, 1, libc::O_NONBLOCK).unwrap_or(u64::MAX);
    memory.put_u64(8, 1_000_000).put_u64(24, 1_000_000);
    let _ = call!(libc::SYS_timerfd_settime, timer, 0, &memory, 0);
    compute();
    let read = call!(libc::SYS_read, timer, memory.at(64), 8);
    report.written("counted.timerfd", read, |_| memory.u64(64).to_string());
    memory
        .put_u32(96, u32::try_from(timer).unwrap_or(0))
        .put_u32(100, 1);
    report.answer("counted.ready", call!(libc::SYS_poll, memory.at(96), 1, 0));
    let _ = call!(libc::SYS_close, timer);
    // Signals that nobody takes: blocked, and counted as overruns.
    let alarms = Memory::new();
    alarms.put_u64(0, 1 << (libc::SIGALRM - 1));
    let _ = call!(libc::SYS_rt_sigprocmask, 0, &alarms, 0, 8);
    let made = call!(libc::SYS_timer_create, 1, 0, memory.at(128));
    report.answer("counted.timer", made);
    if made.is_ok() {
        let id = memory.i32(128);
        let _ = call!(libc::SYS_timer_settime, id, 0, &memory, 0);
        compute();
        // Not longer than this, should the timer never run out.
        let limit = Memory::new();
        limit.put_u64(8, 10 * WAIT_NS);
        let taken = call!(
            libc::SYS_rt_sigtimedwait,
            &alarms,
            memory.at(256),
            &limit,
            8
        );
        report.answer("counted.signal", taken);
        report.answer("counted.overrun", call!(libc::SYS_timer_getoverrun, id));
        report.note("counted.overrun-in-signal", memory.i32(256 + 20));
        let _ = call!(libc::SYS_timer_delete, id);
    }
    // What still waits is taken before the signal is let through again.
    let nothing = Memory::new();
    while call!(libc::SYS_rt_sigtimedwait, &alarms, 0, &nothing, 8).is_ok() {}
    let _ = call!(libc::SYS_rt_sigprocmask, 1, &alarms, 0, 8);
}

/// The time on a clock when the wait is to be over.
fn after_the_wait(clock: i32) -> Memory {
    let now = Memory::new();
    let _ = call!(libc::SYS_clock_gettime, clock, &now);
    let until = now.u64(0) * 1_000_000_000 + now.u64(8) + WAIT_NS;
    now.put_u64(0, until / 1_000_000_000);
    now.put_u64(8, until % 1_000_000_000);
    now
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

/// The same for a signal that another process sends, and what is left when something can be read.
fn cut_short(report: &mut Report) {
    crate::raw::catch(libc::SIGUSR1);
    let memory = Memory::new();
    let own = std::process::id();
    for (name, clock) in [("nanosleep", None), ("clock_nanosleep", Some(0))] {
        memory
            .put(0, &[0; 256])
            .put_u64(0, 100)
            .put_u64(128 + 8, WAIT_NS);
        let name = format!("cut-short.{name}");
        let Ok(child) = crate::raw::fork() else {
            return report.note(name, "cannot fork");
        };
        if child.is_none() {
            let _ = call!(libc::SYS_nanosleep, memory.at(128), 0);
            let _ = call!(libc::SYS_kill, own, libc::SIGUSR1);
            std::process::exit(0);
        }
        let slept = match clock {
            None => call!(libc::SYS_nanosleep, &memory, memory.at(64)),
            Some(clock) => call!(libc::SYS_clock_nanosleep, clock, 0, &memory, memory.at(64)),
        };
        let left = format!("{}.{:09}", memory.u64(64), memory.u64(72));
        report.answer(&name, slept);
        report.note(format!("{name}.left"), left);
        report.answer(format!("{name}.child"), call!(libc::SYS_wait4, -1, 0, 0, 0));
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
        let until = after_the_wait(0);
        memory.put(0, &[0; 64]);
        memory.put_u64(16, until.u64(0)).put_u64(24, until.u64(8));
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

/// Some tens of milliseconds of work, which no clock of the sandbox's makes shorter.
pub(super) fn compute() {
    let mut sum = 0_u64;
    for number in 0..40_000_000_u64 {
        sum = std::hint::black_box(sum.rotate_left(3) ^ number);
    }
}
