//! What the process is: ids, limits, rights, scheduling, signals, and how children are numbered.

use crate::raw::{Memory, call};
use crate::report::{Report, escaped};

const LIMITS: [&str; 16] = [
    "cpu",
    "fsize",
    "data",
    "stack",
    "core",
    "rss",
    "nproc",
    "nofile",
    "memlock",
    "as",
    "locks",
    "sigpending",
    "msgqueue",
    "nice",
    "rtprio",
    "rttime",
];

/// Questions of prctl(2) that take no pointer.
const CONTROLS: [(&str, i32); 22] = [
    ("pdeathsig-takes-pointer", 2),
    ("dumpable", 3),
    ("unalign", 5),
    ("keepcaps", 7),
    ("fpemu", 9),
    ("fpexc", 11),
    ("timing", 13),
    ("endian", 19),
    ("seccomp", 21),
    ("securebits", 27),
    ("timerslack", 30),
    ("mce-kill", 34),
    ("child-subreaper-takes-pointer", 37),
    ("no-new-privs", 39),
    ("thp-disable", 42),
    ("fp-mode", 46),
    ("sve-vector-length", 51),
    ("io-flusher", 58),
    ("mdwe", 66),
    ("memory-merge", 68),
    ("shadow-stack", 74),
    ("timer-create-restore-ids", 77),
];

pub(crate) fn look(report: &mut Report) {
    let memory = Memory::new();
    ids(report, &memory);
    for (name, resource) in LIMITS.into_iter().zip(0_u32..) {
        let answer = call!(libc::SYS_prlimit64, 0, resource, 0, &memory);
        report.written(format!("limit.{name}"), answer, |_| {
            format!("{} of {}", memory.u64(0), memory.u64(8))
        });
    }
    let answer = call!(libc::SYS_getrlimit, 7, &memory);
    report.written("limit.nofile-by-getrlimit", answer, |_| {
        memory.u64(0).to_string()
    });
    controls(report, &memory);
    rights(report, &memory);
    scheduling(report, &memory);
    signals(report, &memory);
    report.answer("umask", call!(libc::SYS_umask, 0o22));
    report.answer("personality", call!(libc::SYS_personality, 0xffff_ffff_u32));
    report.answer("kcmp", call!(libc::SYS_kcmp, 1, 1, 0, 0, 0));
    report.answer("seccomp-actions", call!(libc::SYS_seccomp, 2, 0, 0));
    report.answer(
        "landlock-version",
        call!(libc::SYS_landlock_create_ruleset, 0, 0, 1),
    );
    report.answer("mseal", call!(462, 0, 0, 0));
    report.answer("lsm-list", call!(461, &memory, memory.at(4096), 0));
    shared(report, &memory);
    children(report);
}

/// System V's queues, semaphores and segments: bounds, and how much is in use.
fn shared(report: &mut Report, memory: &Memory) {
    for (name, number, command, is_of_four) in [
        ("queues.bounds", libc::SYS_msgctl, 3, false),
        ("queues.use", libc::SYS_msgctl, 12, false),
        ("semaphores.bounds", libc::SYS_semctl, 3, true),
        ("semaphores.use", libc::SYS_semctl, 19, true),
        ("segments.bounds", libc::SYS_shmctl, 3, false),
        ("segments.use", libc::SYS_shmctl, 14, false),
    ] {
        memory.put(0, &[0; 128]);
        let answer = if is_of_four {
            call!(number, 0, 0, command, memory)
        } else {
            call!(number, 0, command, memory)
        };
        report.written(name, answer, |value| {
            let words = [0, 8, 16, 24, 32, 40, 48].map(|at| memory.u64(at));
            format!("{value} {words:x?}")
        });
    }
    // Removed at once, so that nothing stays where nobody else cleans up.
    for (name, made, number) in [
        (
            "queues",
            call!(libc::SYS_msgget, libc::IPC_PRIVATE, 0o600),
            libc::SYS_msgctl,
        ),
        (
            "segments",
            call!(libc::SYS_shmget, libc::IPC_PRIVATE, 4096, 0o600),
            libc::SYS_shmctl,
        ),
        (
            "semaphores",
            call!(libc::SYS_semget, libc::IPC_PRIVATE, 1, 0o600),
            libc::SYS_semctl,
        ),
    ] {
        report.answer(format!("{name}.new"), made);
        let Ok(id) = made else {
            continue;
        };
        if name == "semaphores" {
            let _ = call!(number, id, 0, libc::IPC_RMID);
            continue;
        }
        memory.put(0, &[0; 128]);
        let answer = call!(number, id, libc::IPC_STAT, memory);
        report.written(format!("{name}.status"), answer, |_| {
            escaped(&memory.bytes(112))
        });
        let _ = call!(number, id, libc::IPC_RMID, 0);
    }
}

fn ids(report: &mut Report, memory: &Memory) {
    for (name, number) in [
        ("pid", libc::SYS_getpid),
        ("tid", libc::SYS_gettid),
        ("ppid", libc::SYS_getppid),
        ("group", libc::SYS_getpgrp),
        ("uid", libc::SYS_getuid),
        ("euid", libc::SYS_geteuid),
        ("gid", libc::SYS_getgid),
        ("egid", libc::SYS_getegid),
    ] {
        report.answer(name, call!(number));
    }
    report.answer("session", call!(libc::SYS_getsid, 0));
    report.answer("session-of-1", call!(libc::SYS_getsid, 1));
    report.answer("session-of-parent", {
        let parent = call!(libc::SYS_getppid).unwrap_or(0);
        call!(libc::SYS_getpgid, parent)
    });
    for (name, number) in [
        ("resuid", libc::SYS_getresuid),
        ("resgid", libc::SYS_getresgid),
    ] {
        let answer = call!(number, memory, memory.at(8), memory.at(16));
        report.written(name, answer, |_| {
            format!("{} {} {}", memory.u32(0), memory.u32(8), memory.u32(16))
        });
    }
    let groups = call!(libc::SYS_getgroups, 1000, memory);
    report.written("groups", groups, |count| {
        let count = usize::try_from(count).unwrap_or(0);
        let groups: Vec<u32> = (0..count).map(|index| memory.u32(index * 4)).collect();
        format!("{groups:?}")
    });
    report.answer("fsuid", call!(libc::SYS_setfsuid, -1));
    report.answer("fsgid", call!(libc::SYS_setfsgid, -1));
}

fn controls(report: &mut Report, memory: &Memory) {
    for (name, option) in CONTROLS {
        memory.put(0, &[0; 8]);
        let takes_pointer = name.ends_with("takes-pointer");
        let answer = if takes_pointer {
            call!(libc::SYS_prctl, option, memory, 0, 0, 0)
        } else {
            call!(libc::SYS_prctl, option, 0, 0, 0, 0)
        };
        report.written(format!("control.{name}"), answer, |value| {
            format!("{value} {}", memory.i32(0))
        });
    }
    let answer = call!(libc::SYS_prctl, libc::PR_GET_NAME, memory, 0, 0, 0);
    report.written("control.name", answer, |_| memory.text(0));
    memory.put(0, &[0; 8]);
    let answer = call!(libc::SYS_prctl, libc::PR_GET_TSC, memory, 0, 0, 0);
    report.written("control.tsc", answer, |_| memory.u32(0).to_string());
    for (name, which) in [
        ("store-bypass", 0),
        ("indirect-branch", 1),
        ("l1d-flush", 2),
    ] {
        let answer = call!(
            libc::SYS_prctl,
            libc::PR_GET_SPECULATION_CTRL,
            which,
            0,
            0,
            0
        );
        report.answer(format!("control.speculation.{name}"), answer);
    }
    // PR_GET_AUXV, PR_SCHED_CORE: a cookie of the kernel's, and PR_GET_TAGGED_ADDR_CTRL.
    let answer = call!(libc::SYS_prctl, 0x4155_5856, memory, 4096, 0, 0);
    report.written("control.auxv", answer, |length| {
        let length = usize::try_from(length).unwrap_or(0).min(4096);
        format!(
            "{length} bytes {:016x}",
            crate::report::digest(&memory.bytes(length))
        )
    });
    memory.put(0, &[0; 8]);
    let answer = call!(libc::SYS_prctl, 62, 0, 0, 0, memory);
    report.written("control.core-cookie", answer, |_| memory.u64(0).to_string());
    for (name, code) in [
        ("fs", 0x1003),
        ("gs", 0x1004),
        ("cpuid", 0x1011),
        ("features", 0x1021),
        ("permitted", 0x1022),
    ] {
        memory.put(0, &[0; 8]);
        let answer = if name == "cpuid" {
            call!(libc::SYS_arch_prctl, code, 0)
        } else {
            call!(libc::SYS_arch_prctl, code, memory)
        };
        report.written(format!("control.arch.{name}"), answer, |value| {
            format!("{value} {:x}", memory.u64(0))
        });
    }
}

fn rights(report: &mut Report, memory: &Memory) {
    memory.put(0, &[0; 64]).put_u32(0, 0x2008_0522);
    let answer = call!(libc::SYS_capget, memory, memory.at(16));
    for (name, at) in [("effective", 16), ("permitted", 20), ("inheritable", 24)] {
        report.written(format!("capabilities.{name}"), answer, |_| {
            format!("{:08x}{:08x}", memory.u32(at + 12), memory.u32(at))
        });
    }
    let mut bounding = String::new();
    let mut ambient = String::new();
    for capability in 0..48 {
        let bit = call!(libc::SYS_prctl, libc::PR_CAPBSET_READ, capability, 0, 0, 0);
        bounding.push_str(&bit.map_or_else(|_| "-".to_owned(), |bit| bit.to_string()));
        let bit = call!(libc::SYS_prctl, libc::PR_CAP_AMBIENT, 1, capability, 0, 0);
        ambient.push_str(&bit.map_or_else(|_| "-".to_owned(), |bit| bit.to_string()));
    }
    report.note("capabilities.bounding", bounding);
    report.note("capabilities.ambient", ambient);
}

fn scheduling(report: &mut Report, memory: &Memory) {
    for (name, which) in [("process", 0), ("group", 1), ("user", 2)] {
        report.answer(
            format!("priority.{name}"),
            call!(libc::SYS_getpriority, which, 0),
        );
        report.answer(
            format!("io-priority.{name}"),
            call!(libc::SYS_ioprio_get, which + 1, 0),
        );
    }
    report.answer("scheduler", call!(libc::SYS_sched_getscheduler, 0));
    let answer = call!(libc::SYS_sched_getparam, 0, memory);
    report.written("scheduler.priority", answer, |_| memory.i32(0).to_string());
    memory.put(0, &[0; 128]);
    let answer = call!(libc::SYS_sched_getattr, 0, memory, 128, 0);
    report.written("scheduler.attributes", answer, |_| {
        let words = [0, 8, 16, 24, 32, 40, 48].map(|at| memory.u64(at));
        format!("{words:x?}")
    });
    let answer = call!(libc::SYS_sched_rr_get_interval, 0, memory);
    report.written("scheduler.interval", answer, |_| {
        format!("{}.{:09}", memory.u64(0), memory.u64(8))
    });
    for (name, policy) in [
        ("other", 0),
        ("fifo", 1),
        ("round-robin", 2),
        ("deadline", 6),
    ] {
        for (kind, number) in [
            ("least", libc::SYS_sched_get_priority_min),
            ("most", libc::SYS_sched_get_priority_max),
        ] {
            report.answer(format!("scheduler.{name}.{kind}"), call!(number, policy));
        }
    }
}

fn signals(report: &mut Report, memory: &Memory) {
    memory.put(0, &[0; 64]);
    let answer = call!(libc::SYS_rt_sigprocmask, 0, 0, memory, 8);
    report.written("signals.blocked", answer, |_| {
        format!("{:x}", memory.u64(0))
    });
    let answer = call!(libc::SYS_rt_sigpending, memory, 8);
    report.written("signals.pending", answer, |_| {
        format!("{:x}", memory.u64(0))
    });
    let mut actions = String::new();
    for signal in 1..65 {
        memory.put(0, &[0; 32]);
        let answer = call!(libc::SYS_rt_sigaction, signal, 0, memory, 8);
        actions.push(match (answer, memory.u64(0)) {
            (Err(_), _) => '-',
            (_, 0) => '0',
            (_, 1) => '1',
            _ => 'h',
        });
    }
    report.note("signals.actions", actions);
    memory.put(0, &[0; 64]);
    let answer = call!(libc::SYS_sigaltstack, 0, memory);
    report.written("signals.stack", answer, |_| {
        format!("flags {} size {}", memory.u32(8), memory.u64(16))
    });
}

/// Numbers of children and threads.
fn children(report: &mut Report) {
    for name in ["one", "two", "three"] {
        report.in_child(format!("child.{name}.end"), |report| {
            report.answer(format!("child.{name}.pid"), call!(libc::SYS_getpid));
            report.answer(format!("child.{name}.parent"), call!(libc::SYS_getppid));
            report.answer(format!("child.{name}.tid"), call!(libc::SYS_gettid));
        });
    }
    for name in ["one", "two"] {
        let thread = std::thread::spawn(|| call!(libc::SYS_gettid));
        if let Ok(id) = thread.join() {
            report.answer(format!("thread.{name}"), id);
        }
    }
    report.answer("kill-1", call!(libc::SYS_kill, 1, 0));
    report.answer("kill-far", call!(libc::SYS_kill, 4_000_000, 0));
    report.answer("robust-list", {
        let memory = Memory::new();
        call!(libc::SYS_get_robust_list, 0, &memory, memory.at(8)).map(|_| memory.u64(8))
    });
}
