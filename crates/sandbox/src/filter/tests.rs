//! Runs the filter the way the kernel does.

use super::*;

fn run(architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
    run_with(Tracer::Absent, architecture, number, arguments)
}

fn run_with(tracer: Tracer, architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
    interpret(program(tracer), architecture, number, arguments)
}

/// Interprets a program the way the kernel does (the subset that is used here).
fn interpret(program: &[sock_filter], architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
    let mut data = [0_u8; 64];
    data[0..4].copy_from_slice(&number.to_ne_bytes());
    data[4..8].copy_from_slice(&architecture.to_ne_bytes());
    for (index, argument) in arguments.iter().enumerate() {
        data[16 + 8 * index..24 + 8 * index].copy_from_slice(&argument.to_ne_bytes());
    }
    let mut accumulator = 0_u32;
    let mut at = 0;
    loop {
        let instruction = program[at];
        at += 1;
        let code = u32::from(instruction.code);
        match code & 0x07 {
            libc::BPF_LD => {
                let from = instruction.k as usize;
                accumulator = u32::from_ne_bytes(data[from..from + 4].try_into().unwrap());
            }
            libc::BPF_RET => return instruction.k,
            libc::BPF_ALU => accumulator &= instruction.k,
            libc::BPF_JMP => {
                if code & 0xf0 == libc::BPF_JA {
                    at += instruction.k as usize;
                    continue;
                }
                let holds = match code & 0xf0 {
                    libc::BPF_JEQ => accumulator == instruction.k,
                    libc::BPF_JGE => accumulator >= instruction.k,
                    libc::BPF_JGT => accumulator > instruction.k,
                    libc::BPF_JSET => accumulator & instruction.k != 0,
                    other => panic!("unexpected jump {other:#x}"),
                };
                at += usize::from(if holds {
                    instruction.jt
                } else {
                    instruction.jf
                });
            }
            other => panic!("unexpected class {other}"),
        }
    }
}

fn native(number: i64, arguments: [u64; 6]) -> u32 {
    run(ARCHITECTURE, number as u32, arguments)
}

/// A name for people, a call, its arguments, the verdict.
type Case = (&'static str, i64, [u64; 6], u32);

/// One argument and nothing else.
const fn mode(mode: u64, at: usize) -> [u64; 6] {
    let mut arguments = [0; 6];
    arguments[at] = mode;
    arguments
}

#[track_caller]
fn check(cases: &[Case]) {
    for (name, number, arguments, expected) in cases {
        assert_eq!(native(*number, *arguments), *expected, "{name}");
    }
}

#[test]
fn what_is_refused() {
    check(&[
        ("read", libc::SYS_read, [0; 6], ALLOW),
        ("execve", libc::SYS_execve, [0; 6], TRAP),
        ("ptrace", libc::SYS_ptrace, [0; 6], REFUSE),
        ("mount", libc::SYS_mount, [0; 6], REFUSE),
        ("clone3", libc::SYS_clone3, [0; 6], MISSING),
        ("thread", libc::SYS_clone, mode(0x3d_0f00, 0), TRAP),
        (
            "clone newuser",
            libc::SYS_clone,
            mode(0x1000_0011, 0),
            REFUSE,
        ),
        ("chmod 0755", libc::SYS_chmod, mode(0o755, 1), ALLOW),
        ("chmod 4755", libc::SYS_chmod, mode(0o4755, 1), REFUSE),
        ("fchmodat 2755", libc::SYS_fchmodat, mode(0o2755, 2), REFUSE),
        ("fchmodat2", 452, mode(0o755, 2), MISSING),
        ("uretprobe", 335, [0; 6], MISSING),
        ("last unassigned", 423, [0; 6], MISSING),
        ("pidfd_send_signal", 424, [0; 6], ALLOW),
        ("sendto", libc::SYS_sendto, [0; 6], TRAP),
        ("sendmsg", libc::SYS_sendmsg, [0; 6], TRAP),
        (
            "sendmsg without a signal",
            libc::SYS_sendmsg,
            mode(0x4000, 2),
            TRAP,
        ),
        ("sendmsg of ours", libc::SYS_sendmsg, mode(0x4800, 2), ALLOW),
        ("sendmmsg", libc::SYS_sendmmsg, [0; 6], TRAP),
    ]);
}

#[test]
fn what_does_not_exist() {
    check(&[
        (
            "cookie",
            libc::SYS_getsockopt,
            [0, 1, 57, 0, 0, 0],
            answer(libc::ENOPROTOOPT),
        ),
        ("error", libc::SYS_getsockopt, [0, 1, 4, 0, 0, 0], ALLOW),
        (
            "tcp information",
            libc::SYS_getsockopt,
            [0, 6, 11, 0, 0, 0],
            answer(libc::ENOPROTOOPT),
        ),
        ("no delay", libc::SYS_setsockopt, [0, 6, 1, 0, 0, 0], ALLOW),
        (
            "stamps",
            libc::SYS_setsockopt,
            [0, 1, 29, 0, 0, 0],
            answer(libc::ENOPROTOOPT),
        ),
        (
            "openat reading, stray mode",
            libc::SYS_openat,
            [0, 0, 0, 0o4755, 0, 0],
            TRAP,
        ),
        (
            "openat creating",
            libc::SYS_openat,
            [0, 0, 0o102, 0o644, 0, 0],
            TRAP,
        ),
        (
            "openat creating set-id",
            libc::SYS_openat,
            [0, 0, 0o102, 0o4755, 0, 0],
            REFUSE,
        ),
        (
            "open unnamed set-id",
            libc::SYS_open,
            [0, 0o20_200_002, 0o4755, 0, 0, 0],
            REFUSE,
        ),
        (
            "vsock",
            libc::SYS_socket,
            [40, 1, 0, 0, 0, 0],
            answer(libc::EAFNOSUPPORT),
        ),
        (
            "netlink",
            libc::SYS_socket,
            [16, 3, 9, 0, 0, 0],
            answer(libc::EAFNOSUPPORT),
        ),
        ("inet", libc::SYS_socket, [2, 1, 0, 0, 0, 0], TRAP),
        ("pair", libc::SYS_socketpair, [1, 1, 0, 0, 0, 0], TRAP),
        ("queue", libc::SYS_msgget, [0; 6], TRAP),
        ("named queue", libc::SYS_mq_open, [0; 6], MISSING),
        ("semaphores", libc::SYS_semget, [0; 6], TRAP),
        ("typing", libc::SYS_ioctl, [0, 0x5412, 0, 0, 0, 0], REFUSE),
        (
            "typing, high half set",
            libc::SYS_ioctl,
            [0, 0x1_0000_5412, 0, 0, 0, 0],
            REFUSE,
        ),
        (
            "block map",
            libc::SYS_ioctl,
            [0, 0xc020_660b, 0, 0, 0, 0],
            answer(libc::ENOTTY),
        ),
    ]);
}

#[test]
fn what_only_some_flags_make_refused() {
    check(&[
        (
            "lease",
            libc::SYS_fcntl,
            [0, 1024, 0, 0, 0, 0],
            answer(libc::EINVAL),
        ),
        ("flags", libc::SYS_fcntl, [0, 4, 0o2000, 0, 0, 0], ALLOW),
        (
            "flags, direct",
            libc::SYS_fcntl,
            [0, 4, 0o40000, 0, 0, 0],
            answer(libc::EINVAL),
        ),
        (
            "unwaiting read",
            libc::SYS_preadv2,
            [0, 0, 0, 0, 0, 8],
            answer(libc::EOPNOTSUPP),
        ),
        (
            "how much to read",
            libc::SYS_ioctl,
            [0, 0x541b, 0, 0, 0, 0],
            TRAP,
        ),
        ("seeking", libc::SYS_lseek, [0, 5, 0, 0, 0, 0], ALLOW),
        (
            "seeking from the end",
            libc::SYS_lseek,
            [0, 5, 2, 0, 0, 0],
            TRAP,
        ),
        (
            "queue statistics",
            libc::SYS_msgctl,
            [0, 2, 0, 0, 0, 0],
            REFUSE,
        ),
        ("queue removal", libc::SYS_msgctl, [0; 6], ALLOW),
        ("getgroups", libc::SYS_getgroups, [0; 6], answer(0)),
        (
            "no random addresses",
            libc::SYS_personality,
            mode(0x4_0000, 0),
            ALLOW,
        ),
        (
            "read implies exec",
            libc::SYS_personality,
            mode(0x40_0000, 0),
            REFUSE,
        ),
    ]);
}

#[test]
fn what_traps_by_its_arguments() {
    check(&[
        ("poll for ever", libc::SYS_poll, mode(0xffff_ffff, 2), ALLOW),
        ("poll a while", libc::SYS_poll, mode(5, 2), TRAP),
        ("futex wake", libc::SYS_futex, [0, 129, 1, 7, 0, 0], ALLOW),
        ("futex wait", libc::SYS_futex, [0, 128, 0, 0, 0, 0], ALLOW),
        (
            "futex requeue",
            libc::SYS_futex,
            [0, 139, 0, 1, 0, 0],
            MISSING,
        ),
        (
            "futex wait, high address",
            libc::SYS_futex,
            [0, 393, 0, 7 << 32, 0, 0],
            TRAP,
        ),
        (
            "what thread storage is",
            libc::SYS_arch_prctl,
            mode(0x1003, 0),
            ALLOW,
        ),
        (
            "private gigabytes",
            libc::SYS_mmap,
            [0, 1 << 40, 3, 0x22, 0, 0],
            ALLOW,
        ),
        (
            "shared megabytes",
            libc::SYS_mmap,
            [0, (256 << 20) - 1, 3, 0x21, 0, 0],
            ALLOW,
        ),
        ("more", libc::SYS_mmap, [0, 256 << 20, 3, 0x21, 0, 0], TRAP),
        (
            "shared gigabytes",
            libc::SYS_mmap,
            [0, 4 << 30, 3, 3, 0, 0],
            TRAP,
        ),
        (
            "thread storage",
            libc::SYS_arch_prctl,
            mode(0x1002, 0),
            TRAP,
        ),
        (
            "attributes",
            libc::SYS_getxattr,
            [0; 6],
            answer(libc::EOPNOTSUPP),
        ),
        ("newest", 450, [0; 6], ALLOW),
        ("unknown", 451, [0; 6], MISSING),
    ]);
}

#[test]
fn other_tables_are_closed() {
    assert_eq!(run(0x4000_0003, 20, [0; 6]), KILL);
    assert_eq!(run(ARCHITECTURE, X32_BIT | 0x27, [0; 6]), MISSING);
    assert_eq!(run(ARCHITECTURE, u32::MAX, [0; 6]), MISSING);
}

#[test]
fn shortening_changes_no_verdict() {
    for tracer in [Tracer::Absent, Tracer::Present] {
        shortening_changes_no_verdict_of(tracer);
    }
}

fn shortening_changes_no_verdict_of(tracer: Tracer) {
    let long = build(tracer);
    let mut words = vec![0, 1, u64::MAX, u64::from(u32::MAX), 1 << 32, 0x8000_0000];
    words.extend(long.iter().map(|instruction| u64::from(instruction.k)));
    words.sort_unstable();
    words.dedup();
    for number in (0..=LAST_KNOWN + 2).chain([X32_BIT, u32::MAX]) {
        for word in &words {
            for other in [0, 1, 6, *word] {
                for at in 0..6 {
                    let mut arguments = [other; 6];
                    arguments[at] = *word;
                    assert_eq!(
                        run_with(tracer, ARCHITECTURE, number, arguments),
                        interpret(&long, ARCHITECTURE, number, arguments),
                        "{number} {arguments:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_program_fits() {
    for tracer in [Tracer::Absent, Tracer::Present] {
        let length = program(tracer).len();
        assert!(length < 500, "{tracer:?}: {length}");
    }
}

#[test]
fn what_goes_to_the_tracer_if_there_is_one() {
    let get = libc::PR_GET_TSC as u64;
    let set = libc::PR_SET_TSC as u64;
    let untraced = libc::CLONE_UNTRACED as u64;
    for (name, number, arguments, plain, traced) in [
        ("read", libc::SYS_read, [0; 6], ALLOW, ALLOW),
        ("uname", libc::SYS_uname, [0; 6], TRAP, TRAP),
        ("limits", libc::SYS_prlimit64, [0; 6], ALLOW, ALLOW),
        (
            "limits of 1",
            libc::SYS_prlimit64,
            mode(1, 0),
            REFUSE,
            REFUSE,
        ),
        ("alarm", libc::SYS_alarm, [0; 6], TRAP, TRACE),
        ("wait", libc::SYS_wait4, [0; 6], ALLOW, ALLOW),
        ("wait usage", libc::SYS_wait4, mode(8, 3), TRAP, TRACE),
        (
            "waitid usage",
            libc::SYS_waitid,
            mode(1 << 40, 4),
            TRAP,
            TRACE,
        ),
        ("futex", libc::SYS_futex, mode(128, 1), ALLOW, ALLOW),
        (
            "futex timed",
            libc::SYS_futex,
            [8, 128, 0, 8, 0, 0],
            TRAP,
            TRACE,
        ),
        (
            "child",
            libc::SYS_rt_sigaction,
            [17, 8, 0, 8, 0, 0],
            TRAP,
            TRACE,
        ),
        ("prctl", libc::SYS_prctl, mode(15, 0), ALLOW, ALLOW),
        ("counter?", libc::SYS_prctl, mode(get, 0), ALLOW, TRAP),
        ("counter!", libc::SYS_prctl, mode(set, 0), ALLOW, REFUSE),
        ("fork", libc::SYS_clone, mode(17, 0), TRAP, TRAP),
        ("untraced", libc::SYS_clone, mode(untraced, 0), TRAP, REFUSE),
        ("ptrace", libc::SYS_ptrace, [0; 6], REFUSE, REFUSE),
    ] {
        let verdict = |tracer| run_with(tracer, ARCHITECTURE, number as u32, arguments);
        assert_eq!(verdict(Tracer::Absent), plain, "{name}");
        assert_eq!(verdict(Tracer::Present), traced, "{name}, traced");
    }
}

#[test]
fn options_of_sockets_that_show_what_the_kernel_draws() {
    for (level, option) in [
        (1, 26),
        (1, 15),
        (1, 50),
        (6, 27),
        (6, 13),
        (41, 32),
        (41, 11),
    ] {
        let verdict = native(libc::SYS_setsockopt, [3, level, option, 0, 0, 0]);
        assert_eq!(verdict, answer(libc::ENOPROTOOPT), "{level} {option}");
    }
    for (level, option) in [(6, 28), (41, 32)] {
        let verdict = native(libc::SYS_getsockopt, [3, level, option, 0, 0, 0]);
        assert_eq!(verdict, answer(libc::ENOPROTOOPT), "{level} {option}");
    }
    // IPV6_V6ONLY, SO_REUSEADDR.
    for (level, option) in [(41, 26), (1, 2)] {
        let verdict = native(libc::SYS_setsockopt, [3, level, option, 0, 0, 0]);
        assert_eq!(verdict, ALLOW, "{level} {option}");
    }
    for (flags, verdict) in [
        (0, ALLOW),
        (0x17, ALLOW),
        (8, answer(libc::EOPNOTSUPP)),
        (0x80, answer(libc::EOPNOTSUPP)),
    ] {
        assert_eq!(native(libc::SYS_preadv2, [3, 0, 0, 0, 0, flags]), verdict);
    }
}
