//! Files without a name: pipes, sockets, memory files, event counters, timers, terminals; their
//! numbers, times and sizes.

use crate::raw::{Answer, Memory, call};
use crate::report::{Report, escaped};

pub(crate) fn look(report: &mut Report) {
    let memory = Memory::new();
    pipes(report, &memory);
    let pair = call!(
        libc::SYS_socketpair,
        libc::AF_UNIX,
        libc::SOCK_STREAM,
        0,
        &memory
    );
    report.answer("socketpair", pair);
    if pair.is_ok() {
        let first = u64::from(memory.u32(0));
        describe(report, "socketpair", Ok(first));
    }
    let empty: &[u8] = b"\0";
    let full = 0xffff_ffff_ffff_ffff_u64;
    for (name, answer) in [
        ("eventfd", call!(libc::SYS_eventfd2, 0, 0)),
        ("memfd", call!(libc::SYS_memfd_create, c"name", 0)),
        ("memfd-secret", call!(libc::SYS_memfd_secret, 0)),
        ("epoll", call!(libc::SYS_epoll_create1, 0)),
        ("signalfd", call!(libc::SYS_signalfd4, -1, &memory, 8, 0)),
        ("timerfd", call!(libc::SYS_timerfd_create, 1, 0)),
        ("timerfd-realtime", call!(libc::SYS_timerfd_create, 0, 0)),
        ("timerfd-alarm", call!(libc::SYS_timerfd_create, 9, 0)),
        ("inotify", call!(libc::SYS_inotify_init1, 0)),
        ("fanotify", call!(libc::SYS_fanotify_init, 0, 0)),
        ("userfaultfd", call!(libc::SYS_userfaultfd, 1)),
        (
            "io_uring",
            call!(libc::SYS_io_uring_setup, 1, memory.at(1024)),
        ),
        (
            "perf",
            call!(libc::SYS_perf_event_open, memory.at(2048), 0, -1, -1, 0),
        ),
        (
            "tcp",
            call!(libc::SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0),
        ),
        (
            "udp",
            call!(libc::SYS_socket, libc::AF_INET, libc::SOCK_DGRAM, 0),
        ),
        (
            "unix",
            call!(libc::SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0),
        ),
        (
            "netlink",
            call!(libc::SYS_socket, libc::AF_NETLINK, libc::SOCK_RAW, 0),
        ),
        ("pidfd", call!(libc::SYS_pidfd_open, std::process::id(), 0)),
        (
            "landlock",
            call!(libc::SYS_landlock_create_ruleset, 0, 0, 1),
        ),
        ("mq", call!(libc::SYS_mq_open, empty, 0, 0, 0)),
        ("bpf", call!(libc::SYS_bpf, full, 0, 0)),
        ("ptmx", call!(libc::SYS_open, c"/dev/ptmx", libc::O_RDWR, 0)),
        ("tty", call!(libc::SYS_open, c"/dev/tty", libc::O_RDWR, 0)),
        (
            "shm",
            call!(
                libc::SYS_open,
                c"/dev/shm/leak-probe",
                libc::O_RDWR | libc::O_CREAT,
                0o600
            ),
        ),
        ("kvm", call!(libc::SYS_open, c"/dev/kvm", libc::O_RDWR, 0)),
        ("fuse", call!(libc::SYS_open, c"/dev/fuse", libc::O_RDWR, 0)),
    ] {
        report.answer(format!("{name}.descriptor"), answer);
        describe(report, name, answer);
    }
    let _ = call!(libc::SYS_unlink, c"/dev/shm/leak-probe");
    timer(report, &memory);
    streams(report, &memory);
    handles(report, &memory);
    events(report, &memory);
}

/// What is told of changes to a directory; the number that joins both halves of a move is the
/// kernel's.
fn events(report: &mut Report, memory: &Memory) {
    let Ok(inotify) = call!(libc::SYS_inotify_init1, libc::O_NONBLOCK) else {
        return report.note("inotify.events", "none");
    };
    let watch = call!(libc::SYS_inotify_add_watch, inotify, c".", 0xfff);
    report.answer("inotify.watch", watch);
    let (one, other) = (c"leak-probe.one", c"leak-probe.other");
    for turn in ["first", "second"] {
        let _ = call!(libc::SYS_mknod, one, libc::S_IFREG | 0o600, 0);
        let _ = call!(libc::SYS_rename, one, other);
        let _ = call!(libc::SYS_unlink, other);
        memory.put(0, &[0; 1024]);
        let read = call!(libc::SYS_read, inotify, memory, 1024);
        report.written(format!("inotify.events.{turn}"), read, |length| {
            let length = usize::try_from(length).unwrap_or(0);
            let (mut at, mut events) = (0, Vec::new());
            while at + 16 <= length {
                events.push(format!("{:x}/{}", memory.u32(at + 4), memory.u32(at + 8)));
                at += 16 + usize::try_from(memory.u32(at + 12)).unwrap_or(length);
            }
            events.join(" ")
        });
    }
}

/// Handles of the process and of its namespaces, and what they tell when asked.
fn handles(report: &mut Report, memory: &Memory) {
    if let Ok(handle) = call!(libc::SYS_pidfd_open, std::process::id(), 0) {
        // PIDFD_GET_INFO: everything that there is.
        memory.put(0, &[0; 256]).put_u64(0, u64::MAX);
        let answer = call!(libc::SYS_ioctl, handle, 0xc040_ff0b_u64, memory);
        report.written("pidfd.answer", answer, |_| escaped(&memory.bytes(64)));
    }
    for name in ["mnt", "pid", "net", "user", "uts", "ipc", "cgroup", "time"] {
        let path = std::ffi::CString::new(format!("/proc/self/ns/{name}")).unwrap_or_default();
        let opened = call!(libc::SYS_open, path.as_c_str(), libc::O_RDONLY, 0);
        report.answer(format!("namespace.{name}"), opened.map(|_| 0));
        let Ok(opened) = opened else {
            continue;
        };
        let answer = call!(libc::SYS_fstat, opened, memory);
        report.written(format!("namespace.{name}.number"), answer, |_| {
            memory.u64(8).to_string()
        });
        // NS_GET_MNTNS_ID, NS_GET_ID, and the kind.
        for (question, request) in [
            ("id", 0x8008_b705_u32),
            ("number-64", 0x8008_b70d),
            ("kind", 0xb703),
        ] {
            memory.put(0, &[0; 64]);
            let answer = call!(libc::SYS_ioctl, opened, request, memory);
            report.written(format!("namespace.{name}.{question}"), answer, |value| {
                format!("{value} {}", memory.u64(0))
            });
        }
        let _ = call!(libc::SYS_close, opened);
    }
    memory.put(0, &[0; 64]);
    let made = call!(libc::SYS_io_setup, 4, memory);
    report.written("asynchronous", made, |_| format!("{:x}", memory.u64(0)));
}

/// Both ends of pipes, and how large they may be.
fn pipes(report: &mut Report, memory: &Memory) {
    for flags in [0, libc::O_CLOEXEC] {
        let made = call!(libc::SYS_pipe2, memory, flags);
        report.answer(format!("pipe.{flags}"), made);
        if made.is_err() {
            continue;
        }
        for (end, descriptor) in [("read", memory.i32(0)), ("write", memory.i32(4))] {
            let name = format!("pipe.{flags}.{end}");
            describe(report, &name, Ok(u64::from(descriptor.unsigned_abs())));
            report.answer(
                format!("{name}.size"),
                call!(libc::SYS_fcntl, descriptor, libc::F_GETPIPE_SZ),
            );
        }
        report.answer(
            format!("pipe.{flags}.resize"),
            call!(libc::SYS_fcntl, memory.i32(0), libc::F_SETPIPE_SZ, 1 << 21),
        );
    }
}

/// Number, kind and times of an open file, and what its link says.
fn describe(report: &mut Report, name: &str, descriptor: Answer) {
    let Ok(descriptor) = descriptor else {
        return;
    };
    let memory = Memory::new();
    let answer = call!(libc::SYS_fstat, descriptor, &memory);
    report.written(format!("{name}.identity"), answer, |_| {
        format!(
            "dev {} ino {} mode {:o} nlink {} uid {} size {} blksize {}",
            memory.u64(0),
            memory.u64(8),
            memory.u32(24),
            memory.u64(16),
            memory.u32(28),
            memory.u64(48),
            memory.u64(56),
        )
    });
    report.written(format!("{name}.times"), answer, |_| {
        format!("{} {} {}", memory.i64(72), memory.i64(88), memory.i64(104))
    });
    let empty = c"";
    let answer = call!(
        libc::SYS_statx,
        descriptor,
        empty,
        libc::AT_EMPTY_PATH,
        0x17ff,
        &memory
    );
    report.written(format!("{name}.statx"), answer, |_| {
        format!(
            "ino {} btime {}.{} mount {:x} mtime {}.{}",
            memory.u64(32),
            memory.i64(80),
            memory.u32(88),
            memory.u64(144),
            memory.i64(112),
            memory.u32(120),
        )
    });
    let link = std::fs::read_link(format!("/proc/self/fd/{descriptor}"));
    report.note(
        format!("{name}.link"),
        link.map_or_else(
            |error| error.to_string(),
            |target| target.display().to_string(),
        ),
    );
    let information = std::fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}"));
    report.note(
        format!("{name}.information"),
        information.unwrap_or_else(|error| error.to_string()),
    );
}

/// What is left of timers that were just set.
fn timer(report: &mut Report, memory: &Memory) {
    if let Ok(timer) = call!(libc::SYS_timerfd_create, 1, 0) {
        memory.put(0, &[0; 64]).put_u64(16, 1000);
        let _ = call!(libc::SYS_timerfd_settime, timer, 0, memory, 0);
        let left = call!(libc::SYS_timerfd_gettime, timer, memory.at(32));
        report.written("timerfd.left", left, |_| {
            format!("{}.{:09}", memory.u64(48), memory.u64(56))
        });
    }
    if let Ok(timer) = call!(libc::SYS_timerfd_create, 0, 0) {
        // An absolute time long past: how often the interval of a year has come since.
        memory
            .put(0, &[0; 64])
            .put_u64(0, 31_536_000)
            .put_u64(16, 1);
        let _ = call!(libc::SYS_timerfd_settime, timer, 1, memory, 0);
        let left = call!(libc::SYS_timerfd_gettime, timer, memory.at(32));
        report.written("timerfd.absolute-left", left, |_| {
            format!("{}.{:09}", memory.u64(48), memory.u64(56))
        });
        let flags = call!(libc::SYS_fcntl, timer, libc::F_SETFL, libc::O_NONBLOCK);
        if flags.is_ok() {
            let times = call!(libc::SYS_read, timer, memory, 8);
            report.written("timerfd.expirations", times, |_| memory.u64(0).to_string());
        }
    }
    memory.put(0, &[0; 64]).put_u64(16, 1000);
    for (name, kind) in [("real", 0), ("virtual", 1), ("profile", 2)] {
        let _ = call!(libc::SYS_setitimer, kind, memory, 0);
        let left = call!(libc::SYS_getitimer, kind, memory.at(32));
        report.written(format!("itimer.{name}.left"), left, |_| {
            format!("{}.{:06}", memory.u64(48), memory.u64(56))
        });
        let _ = call!(libc::SYS_setitimer, kind, memory.at(128), 0);
    }
    report.answer("alarm.before", call!(libc::SYS_alarm, 1000));
    report.answer("alarm.left", call!(libc::SYS_alarm, 0));
    memory.put(0, &[0; 256]);
    let made = call!(libc::SYS_timer_create, 0, 0, memory);
    report.written("timer.id", made, |_| memory.i32(0).to_string());
    if made.is_ok() {
        let id = memory.i32(0);
        memory.put(0, &[0; 64]).put_u64(16, 1000);
        let _ = call!(libc::SYS_timer_settime, id, 0, memory, 0);
        let left = call!(libc::SYS_timer_gettime, id, memory.at(32));
        report.written("timer.left", left, |_| {
            format!("{}.{:09}", memory.u64(48), memory.u64(56))
        });
        let _ = call!(libc::SYS_timer_delete, id);
    }
}

/// Terminals, flags and places of the standard streams.
fn streams(report: &mut Report, memory: &Memory) {
    for descriptor in 0..3 {
        for (name, request) in [
            ("terminal", libc::TCGETS),
            ("window", libc::TIOCGWINSZ),
            ("session", libc::TIOCGSID),
            ("waiting", libc::FIONREAD),
        ] {
            let answer = call!(libc::SYS_ioctl, descriptor, request, memory);
            report.answer(format!("stream.{descriptor}.{name}"), answer);
        }
        for (name, request) in [
            ("status-flags", libc::F_GETFL),
            ("descriptor-flags", libc::F_GETFD),
            ("owner", libc::F_GETOWN),
            ("signal", 11),
            ("lease", libc::F_GETLEASE),
            ("pipe-size", libc::F_GETPIPE_SZ),
        ] {
            let answer = call!(libc::SYS_fcntl, descriptor, request);
            report.answer(format!("stream.{descriptor}.{name}"), answer);
        }
        report.answer(
            format!("stream.{descriptor}.place"),
            call!(libc::SYS_lseek, descriptor, 0, libc::SEEK_CUR),
        );
    }
    let mut open = Vec::new();
    for descriptor in 0..256 {
        if call!(libc::SYS_fcntl, descriptor, libc::F_GETFD).is_ok() {
            open.push(descriptor.to_string());
        }
    }
    report.note("stream.open", open.join(" "));
}
