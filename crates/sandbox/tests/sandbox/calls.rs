//! Single system calls, made by programs of a few dozen bytes that this file assembles: they
//! reach what no compiled language offers (other system call tables, calls with nonsense
//! arguments). Each exits with the error number of its last call, or 0.

use counterseal_sandbox::{Exit, Guarantee, SandboxError, State};

use crate::stage::{Stage, install};

/// How a program calls.
#[derive(Clone, Copy)]
enum Gate {
    /// The instruction of this architecture.
    Syscall,
    /// The one of the 32-bit architecture.
    Interrupt80,
}

/// A static ELF program that makes one call and exits with its error number.
fn program(gate: Gate, number: i64, arguments: [u64; 6]) -> Vec<u8> {
    let mut code = Vec::new();
    // mov r64, imm64 for rax and the registers of the arguments.
    let registers: [[u8; 2]; 6] = [
        [0x48, 0xbf],
        [0x48, 0xbe],
        [0x48, 0xba],
        [0x49, 0xba],
        [0x49, 0xb8],
        [0x49, 0xb9],
    ];
    code.extend([0x48, 0xb8]);
    code.extend(number.to_le_bytes());
    for (register, argument) in registers.into_iter().zip(arguments) {
        code.extend(register);
        code.extend(argument.to_le_bytes());
    }
    match gate {
        Gate::Syscall => code.extend([0x0f, 0x05]),
        Gate::Interrupt80 => code.extend([0xcd, 0x80]),
    }
    // xor edi, edi; test eax, eax; jns +4; mov edi, eax; neg edi; mov eax, 60; syscall
    code.extend([0x31, 0xff, 0x85, 0xc0, 0x79, 0x04, 0x89, 0xc7, 0xf7, 0xdf]);
    code.extend([0xb8, 60, 0, 0, 0, 0x0f, 0x05]);
    elf(&code)
}

/// One loaded segment that is executed from its start (System V ABI, chapter 4 and 5).
fn elf(code: &[u8]) -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let size = HEADERS + code.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend(2_u16.to_le_bytes()); // executable
    file.extend(62_u16.to_le_bytes()); // x86-64
    file.extend(1_u32.to_le_bytes());
    file.extend((BASE + HEADERS).to_le_bytes()); // entry
    file.extend(64_u64.to_le_bytes()); // program headers start here
    file.extend(0_u64.to_le_bytes()); // no sections
    file.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    file.extend(1_u32.to_le_bytes()); // load
    file.extend(5_u32.to_le_bytes()); // readable, executable
    for word in [0, BASE, BASE, size, size, 0x1000] {
        file.extend(word.to_le_bytes());
    }
    file.extend(code);
    file
}

#[track_caller]
fn exit_of(gate: Gate, number: i64, arguments: [u64; 6]) -> Exit {
    let mut stage = Stage::with_program(&program(gate, number, arguments));
    stage.run("").unwrap_or_else(|error| panic!("{error}")).exit
}

#[track_caller]
fn answers(cases: &[(&str, i64, [u64; 6])], errno: i32) {
    for (name, number, arguments) in cases {
        let exit = exit_of(Gate::Syscall, *number, *arguments);
        assert_eq!(exit, Exit::Code(errno), "{name}");
    }
}

#[test]
fn the_assembled_programs_work() {
    assert_eq!(
        exit_of(Gate::Syscall, libc::SYS_getuid, [0; 6]),
        Exit::Code(0)
    );
    assert_eq!(
        exit_of(Gate::Syscall, libc::SYS_close, [99, 0, 0, 0, 0, 0]),
        Exit::Code(libc::EBADF)
    );
}

#[test]
fn tracing_mounting_and_namespaces_are_refused() {
    answers(
        &[
            (
                "ptrace attach to process 1",
                libc::SYS_ptrace,
                [16, 1, 0, 0, 0, 0],
            ),
            ("ptrace traceme", libc::SYS_ptrace, [0; 6]),
            (
                "process_vm_readv",
                libc::SYS_process_vm_readv,
                [1, 0, 0, 0, 0, 0],
            ),
            ("mount", libc::SYS_mount, [0; 6]),
            ("umount", libc::SYS_umount2, [0; 6]),
            ("pivot_root", libc::SYS_pivot_root, [0; 6]),
            ("open_tree", libc::SYS_open_tree, [0; 6]),
            ("fsopen", libc::SYS_fsopen, [0; 6]),
            ("chroot", libc::SYS_chroot, [0; 6]),
            (
                "unshare user",
                libc::SYS_unshare,
                [0x1000_0000, 0, 0, 0, 0, 0],
            ),
            (
                "clone newuser",
                libc::SYS_clone,
                [0x1000_0011, 0, 0, 0, 0, 0],
            ),
            ("setns", libc::SYS_setns, [0; 6]),
            ("keyctl", libc::SYS_keyctl, [0; 6]),
            ("reboot", libc::SYS_reboot, [0; 6]),
            ("open_by_handle_at", libc::SYS_open_by_handle_at, [0; 6]),
            ("sethostname", libc::SYS_sethostname, [0; 6]),
            (
                "personality",
                libc::SYS_personality,
                [0x40_0000, 0, 0, 0, 0, 0],
            ),
        ],
        libc::EPERM,
    );
}

#[test]
fn interfaces_that_a_filter_cannot_see_into_do_not_exist() {
    answers(
        &[
            (
                "io_uring_setup",
                libc::SYS_io_uring_setup,
                [1, 0, 0, 0, 0, 0],
            ),
            ("clone3", libc::SYS_clone3, [0; 6]),
            ("openat2", libc::SYS_openat2, [0; 6]),
            ("userfaultfd", libc::SYS_userfaultfd, [0; 6]),
            ("bpf", libc::SYS_bpf, [0; 6]),
            ("perf_event_open", libc::SYS_perf_event_open, [0; 6]),
            ("memfd_create", libc::SYS_memfd_create, [0; 6]),
            ("a call of the future", 1000, [0; 6]),
        ],
        libc::ENOSYS,
    );
}

#[test]
fn what_processors_kernels_and_memories_differ_in_is_not_told() {
    const MAP_VDSO_64: u64 = 0x2003;
    const GET_CPUID: u64 = 0x1011;
    const SCHED_CORE: u64 = 62;
    const SET_PTRACER: u64 = 0x5961_6d61;
    const SHARED: u64 = 0x21;
    let process = libc::SYS_prctl;
    answers(
        &[
            (
                "a vDSO that is not ours",
                libc::SYS_arch_prctl,
                [MAP_VDSO_64, 0x1000_0000, 0, 0, 0, 0],
            ),
            (
                "whether cpuid can trap",
                libc::SYS_arch_prctl,
                [GET_CPUID, 0, 0, 0, 0, 0],
            ),
            ("core scheduling", process, [SCHED_CORE, 0, 0, 0, 0, 0]),
            ("PR_GET_MDWE", process, [66, 0, 0, 0, 0, 0]),
            ("PR_GET_AUXV", process, [0x4155_5856, 0, 0, 0, 0, 0]),
            ("PR_SET_PTRACER", process, [SET_PTRACER, 0, 0, 0, 0, 0]),
        ],
        libc::EINVAL,
    );
    answers(
        &[("speculation", process, [52, 0, 0, 0, 0, 0])],
        libc::ENODEV,
    );
    let control = libc::SYS_fcntl;
    answers(
        &[
            ("a larger pipe", control, [0, 1031, 1 << 20, 0, 0, 0]),
            (
                "another's memory limit",
                libc::SYS_prlimit64,
                [1, 7, 0, 0, 0, 0],
            ),
        ],
        libc::EPERM,
    );
    answers(
        &[
            ("seals", control, [0, 1034, 0, 0, 0, 0]),
            ("a lease", control, [0, 1025, 0, 0, 0, 0]),
            (
                "where no file ends",
                libc::SYS_lseek,
                [0, 1 << 44, 0, 0, 0, 0],
            ),
        ],
        libc::EINVAL,
    );
    answers(
        &[(
            "how a file is counted",
            libc::SYS_ioctl,
            [0, 0x5460, 0, 0, 0, 0],
        )],
        libc::ENOTTY,
    );
    let map = |bytes: u64| {
        (
            "shared memory",
            libc::SYS_mmap,
            [0, bytes, 3, SHARED, u64::MAX, 0],
        )
    };
    // The host that is shown has 8 GiB.
    answers(&[map((8 << 30) + 1), map(1 << 45)], libc::ENOMEM);
    answers(&[map(1 << 29)], 0);
    let huge = [0, 2 << 20, 3, 0x4_0022, u64::MAX, 0];
    answers(&[("huge pages", libc::SYS_mmap, huge)], libc::ENOMEM);
}

#[test]
fn sockets_that_ignore_network_namespaces_are_refused() {
    answers(
        &[
            ("vsock", libc::SYS_socket, [40, 1, 0, 0, 0, 0]),
            ("kernel cryptography", libc::SYS_socket, [38, 5, 0, 0, 0, 0]),
            ("packet", libc::SYS_socket, [17, 3, 0, 0, 0, 0]),
            ("audit", libc::SYS_socket, [16, 3, 9, 0, 0, 0]),
        ],
        libc::EAFNOSUPPORT,
    );
    answers(
        &[
            ("mptcp", libc::SYS_socket, [2, 1, 262, 0, 0, 0]),
            ("sctp", libc::SYS_socket, [10, 1, 132, 0, 0, 0]),
        ],
        libc::EPROTONOSUPPORT,
    );
    answers(
        &[
            ("tcp", libc::SYS_socket, [2, 1, 6, 0, 0, 0]),
            ("udp", libc::SYS_socket, [10, 2, 0, 0, 0, 0]),
            ("local", libc::SYS_socket, [1, 1, 0, 0, 0, 0]),
        ],
        0,
    );
}

#[test]
fn other_tables_are_closed() {
    // x32: the same instruction with a bit set in the number.
    let x32 = 0x4000_0000 | libc::SYS_getpid;
    assert_eq!(
        exit_of(Gate::Syscall, x32, [0; 6]),
        Exit::Code(libc::ENOSYS)
    );
    // i386: getpid there is 20. Where the kernel has no such table it is a fault.
    let exit = exit_of(Gate::Interrupt80, 20, [0; 6]);
    assert!(
        matches!(exit, Exit::Signal(libc::SIGSYS | libc::SIGSEGV)),
        "{exit}"
    );
}

#[test]
fn signals_to_process_1_do_nothing() {
    for signal in [9, 15, 19, 11] {
        let kill = [1, signal, 0, 0, 0, 0];
        assert_eq!(
            exit_of(Gate::Syscall, libc::SYS_kill, kill),
            Exit::Code(0),
            "{signal}"
        );
    }
    // To everybody: the caller itself is spared, and there is nobody else.
    let everybody = [u64::MAX, 9, 0, 0, 0, 0];
    let exit = exit_of(Gate::Syscall, libc::SYS_kill, everybody);
    assert_eq!(exit, Exit::Code(libc::ESRCH));
    // To the own group, which is not process 1's.
    assert_eq!(
        exit_of(Gate::Syscall, libc::SYS_kill, [0, 9, 0, 0, 0, 0]),
        Exit::Signal(9)
    );
}

#[test]
fn supplementary_groups_are_hidden() {
    assert_eq!(
        exit_of(Gate::Syscall, libc::SYS_getgroups, [0; 6]),
        Exit::Code(0)
    );
}

#[test]
fn a_step_that_stops_itself_runs_into_its_limit() {
    let stop = program(Gate::Syscall, libc::SYS_kill, [2, 19, 0, 0, 0, 0]);
    let mut stage = Stage::with_program(&stop);
    stage.limits.wall = std::time::Duration::from_millis(200);
    let error = stage.fails("");
    assert!(
        matches!(error, SandboxError::WallTimeExceeded { .. }),
        "{error}"
    );
}

#[test]
fn a_program_without_a_runtime_keeps_what_the_manifest_then_does_not_promise() {
    let states = |mut stage: Stage, words: &str| {
        let isolation = stage.run(words).unwrap().isolation;
        [Guarantee::VirtualClock, Guarantee::Randomness].map(|guarantee| isolation[&guarantee].0)
    };
    let bare = program(Gate::Syscall, libc::SYS_getuid, [0; 6]);
    assert_eq!(states(Stage::with_program(&bare), ""), [State::Degraded; 2]);
    // Executed by another, and one that was killed.
    let stage = Stage::new();
    install(stage.root.path(), "bare", &bare);
    assert_eq!(states(stage, "run /bare"), [State::Degraded; 2]);
    let stage = Stage::new();
    let fault = program(Gate::Interrupt80, 20, [0; 6]);
    install(stage.root.path(), "fault", &fault);
    assert_eq!(states(stage, "run /fault"), [State::Degraded; 2]);
    // Also where nothing came of an execution, or the end was sudden.
    for words in [
        "print x",
        "run /absent",
        "crash",
        "run /probe crash",
        "start-storm 4 5",
    ] {
        assert_eq!(states(Stage::new(), words), [State::Enforced; 2], "{words}");
    }
}
