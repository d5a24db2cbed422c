//! The system call filter: a classic BPF program (seccomp(2)) that answers in the kernel.
//!
//! It refuses what a build has no use for: tracing, mounting, namespaces, keys, kernel
//! administration, kernel interfaces that other filters cannot see into (`io_uring`), other
//! address families than local, IPv4, IPv6 and the routing part of netlink (a VSOCK socket
//! ignores network namespaces), set-id bits, and both other system call tables (i386, x32).
//! Calls newer than [`LAST_KNOWN`] do not exist inside, on any kernel.
//!
//! Calls that are allowed whatever their arguments are cheap: the kernel caches that. The
//! few whose arguments matter come first. Calls whose answers would show the host trap; the
//! parent answers them (`host/`).

// Constants of every integer type become the program's 32-bit words, which they all fit.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::cast_lossless
)]

use libc::sock_filter;

/// The newest call that exists inside: `futex_requeue`.
const LAST_KNOWN: u32 = 456;

/// The bit that marks the x32 table: numbers far beyond the last.
#[cfg(test)]
const X32_BIT: u32 = 0x4000_0000;
/// `AUDIT_ARCH_X86_64`.
const ARCHITECTURE: u32 = 0xc000_003e;

const OFFSET_NUMBER: u32 = 0;
const OFFSET_ARCHITECTURE: u32 = 4;
/// The low half of an argument.
const fn offset_argument(index: u32) -> u32 {
    16 + 8 * index
}

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;
/// The kernel answers with this error number; 0 is success without doing anything.
const fn answer(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno as u32
}
/// The call waits for an answer of the parent (`host/`).
const TRAP: u32 = libc::SECCOMP_RET_USER_NOTIF;
const REFUSE: u32 = answer(libc::EPERM);
const MISSING: u32 = answer(libc::ENOSYS);

const SET_ID_BITS: u32 = libc::S_ISUID | libc::S_ISGID;
const NAMESPACE_FLAGS: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;
/// `O_TMPFILE` without the `O_DIRECTORY` that it includes.
const TEMPORARY_FILE: u32 = 0o20_000_000;
const CREATING_FLAGS: u32 = libc::O_CREAT as u32 | TEMPORARY_FILE;
/// `personality(2)`: the default, the query, and the default without random addresses.
const PERSONALITIES: [u32; 3] = [0, 0xffff_ffff, 0x0004_0000];

/// Answered as if the kernel did not have them, because programs then take another way.
const MISSING_CALLS: &[i64] = &[
    // Flags in memory, out of the filter's sight; C libraries fall back to clone.
    libc::SYS_clone3,
    // The same for open modes.
    libc::SYS_openat2,
    // Would do system calls behind the filter's back.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // Memory that no limit sees while it is not mapped.
    libc::SYS_memfd_create,
    libc::SYS_memfd_secret,
    libc::SYS_shmget,
    // Registered, the kernel would write the processor's number into the thread's memory.
    libc::SYS_rseq,
    // Kernel interfaces that a host may or may not have.
    libc::SYS_userfaultfd,
    libc::SYS_perf_event_open,
    libc::SYS_bpf,
    libc::SYS_fanotify_init,
    libc::SYS_uselib,
    libc::SYS__sysctl,
    libc::SYS_nfsservctl,
    libc::SYS_lookup_dcookie,
];

/// Answered "operation not permitted".
const REFUSED_CALLS: &[i64] = &[
    // Other processes' memory and descriptors.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Key rings, which namespaces do not separate.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // Mounts and roots.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    // Namespaces.
    libc::SYS_unshare,
    libc::SYS_setns,
    // Files without a path.
    libc::SYS_open_by_handle_at,
    // The machine.
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_vhangup,
];

/// Extended attributes: file systems that a root may lie on have them or not.
const UNSUPPORTED_CALLS: &[i64] = &[
    libc::SYS_getxattr,
    libc::SYS_lgetxattr,
    libc::SYS_fgetxattr,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_name_to_handle_at,
];
const EMPTY_CALLS: &[i64] = &[
    libc::SYS_listxattr,
    libc::SYS_llistxattr,
    libc::SYS_flistxattr,
    // An ordinary user cannot drop supplementary groups: hide them.
    libc::SYS_getgroups,
];

/// Calls that the parent answers whatever their arguments are.
const TRAPPED_CALLS: &[i64] = &[
    // Clocks.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_time,
    libc::SYS_times,
    libc::SYS_getrusage,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_timerfd_settime,
    libc::SYS_timer_settime,
    // The machine.
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getcpu,
    libc::SYS_getrandom,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_getparam,
    libc::SYS_sched_setparam,
    libc::SYS_sched_getattr,
    libc::SYS_sched_setattr,
    libc::SYS_sched_rr_get_interval,
    libc::SYS_getpriority,
    libc::SYS_setpriority,
    libc::SYS_ioprio_get,
    libc::SYS_ioprio_set,
    // Files.
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_getdents,
    libc::SYS_getdents64,
    libc::SYS_access,
    libc::SYS_faccessat,
    SYS_FACCESSAT2,
    libc::SYS_readlink,
    libc::SYS_readlinkat,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_utimensat,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_link,
    libc::SYS_linkat,
    libc::SYS_chdir,
    libc::SYS_fchdir,
    // Processes.
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_wait4,
    libc::SYS_waitid,
];
const SYS_FACCESSAT2: i64 = 439;

/// Calls that wait, and which argument says for how long: in milliseconds, negative for ever.
const WAITS_MS: &[(i64, u32)] = &[
    (libc::SYS_poll, 2),
    (libc::SYS_epoll_wait, 3),
    (libc::SYS_epoll_pwait, 3),
];
/// The same with a pointer, null for ever.
const WAITS: &[(i64, u32)] = &[
    (libc::SYS_select, 4),
    (libc::SYS_pselect6, 4),
    (libc::SYS_ppoll, 2),
    (libc::SYS_epoll_pwait2, 3),
    (libc::SYS_rt_sigtimedwait, 2),
    (libc::SYS_semtimedop, 3),
];
/// `futex(2)`: to wait, or to wait for bits; each may be private or of the real-time clock.
const FUTEX_WAITS: [u32; 8] = [0, 128, 256, 384, 9, 137, 265, 393];
/// `arch_prctl(2)`: sets the base of thread-local storage.
const ARCH_SET_FS: u32 = 0x1002;

/// Calls that set a file's mode, and which argument it is. `mkdir` is not among them: the
/// kernel takes no set-id bit from it.
const MODE_CALLS: &[(i64, u32)] = &[
    (libc::SYS_chmod, 1),
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (SYS_FCHMODAT2, 2),
    (libc::SYS_mknod, 1),
    (libc::SYS_mknodat, 2),
];
const SYS_FCHMODAT2: i64 = 452;

/// Builds the program. At most 4096 instructions, as the kernel demands; in fact under 768.
///
/// The calls lie in a balanced tree: the kernel interprets the program once for every call
/// number when it is installed, and every time for calls whose arguments matter.
pub(crate) fn program() -> Vec<sock_filter> {
    let mut leaves: Vec<(u32, Block)> = blocks()
        .into_iter()
        .map(|(number, block)| (number as u32, block))
        .collect();
    for (calls, verdict) in [
        (MISSING_CALLS, MISSING),
        (REFUSED_CALLS, REFUSE),
        (UNSUPPORTED_CALLS, answer(libc::EOPNOTSUPP)),
        (EMPTY_CALLS, answer(0)),
        (TRAPPED_CALLS, TRAP),
    ] {
        leaves.extend(
            calls
                .iter()
                .map(|number| (*number as u32, Block::always(verdict))),
        );
    }
    leaves.sort_by_key(|(number, _)| *number);
    debug_assert!(
        leaves.is_sorted_by(|(a, _), (b, _)| a < b),
        "one verdict a call"
    );

    let mut program = Block::default();
    program.load(OFFSET_ARCHITECTURE);
    program.unless_equal(ARCHITECTURE, KILL);
    program.load(OFFSET_NUMBER);
    program.if_at_least(LAST_KNOWN + 1, MISSING);
    program.0.extend(tree(&leaves));
    program.0
}

/// Finds the accumulator's number among the leaves; allows what is not there.
fn tree(leaves: &[(u32, Block)]) -> Vec<sock_filter> {
    let mut node = Block::default();
    if leaves.len() <= 3 {
        for (number, block) in leaves {
            // A block is a dozen instructions, far below the 255 that a jump can skip.
            let skip = u8::try_from(block.0.len()).unwrap_or(u8::MAX);
            node.push(
                libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
                0,
                skip,
                *number,
            );
            node.0.extend_from_slice(&block.0);
        }
        node.verdict(ALLOW);
        return node.0;
    }
    let (low, high) = leaves.split_at(leaves.len() / 2);
    let low = tree(low);
    let first = high.first().map_or(0, |(number, _)| *number);
    node.push(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, first);
    node.push(libc::BPF_JMP | libc::BPF_JA, 0, 0, low.len() as u32);
    node.0.extend(low);
    node.0.extend(tree(high));
    node.0
}

/// Calls whose arguments matter. Each block ends in a verdict.
fn blocks() -> Vec<(i64, Block)> {
    let mut blocks = vec![
        (libc::SYS_openat, creating(2, 3)),
        (libc::SYS_open, creating(1, 2)),
        (libc::SYS_creat, set_id(1, TRAP)),
        (libc::SYS_futex, futex()),
        (libc::SYS_socket, socket()),
        (
            libc::SYS_arch_prctl,
            Block::on_argument(0, |block| {
                block.if_equal(ARCH_SET_FS, TRAP);
                block.verdict(ALLOW);
            }),
        ),
        (
            libc::SYS_ioctl,
            Block::on_argument(1, |block| {
                // Typing into a terminal.
                block.if_equal(libc::TIOCSTI as u32, REFUSE);
                block.if_equal(libc::TIOCLINUX as u32, REFUSE);
                block.verdict(ALLOW);
            }),
        ),
        (
            libc::SYS_clone,
            Block::on_argument(0, |block| {
                block.if_any_bit(NAMESPACE_FLAGS, REFUSE);
                block.verdict(TRAP);
            }),
        ),
        (
            libc::SYS_personality,
            Block::on_argument(0, |block| {
                for personality in PERSONALITIES {
                    block.if_equal(personality, ALLOW);
                }
                block.verdict(REFUSE);
            }),
        ),
    ];
    for (number, argument) in MODE_CALLS {
        blocks.push((*number, set_id(*argument, ALLOW)));
    }
    for (number, argument) in WAITS_MS {
        let block = Block::on_argument(*argument, |block| {
            block.if_equal(0, ALLOW);
            block.if_at_least(0x8000_0000, ALLOW);
            block.verdict(TRAP);
        });
        blocks.push((*number, block));
    }
    for (number, argument) in WAITS {
        let mut block = Block::default();
        block.trap_unless_null(*argument);
        block.verdict(ALLOW);
        blocks.push((*number, block));
    }
    blocks
}

/// A file that is created may not have set-id bits.
fn creating(flags: u32, mode: u32) -> Block {
    Block::on_argument(flags, |block| {
        block.unless_any_bit(CREATING_FLAGS, TRAP);
        block.0.extend(set_id(mode, TRAP).0);
    })
}

fn set_id(mode: u32, otherwise: u32) -> Block {
    Block::on_argument(mode, |block| {
        block.if_any_bit(SET_ID_BITS, REFUSE);
        block.verdict(otherwise);
    })
}

fn futex() -> Block {
    Block::on_argument(1, |block| {
        let count = FUTEX_WAITS.len();
        for (index, operation) in FUTEX_WAITS.iter().enumerate() {
            // Behind the list and the verdict that follows it.
            let ahead = u8::try_from(count - index).unwrap_or(u8::MAX);
            block.push(
                libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
                ahead,
                0,
                *operation,
            );
        }
        block.verdict(ALLOW);
        block.trap_unless_null(3);
        block.verdict(ALLOW);
    })
}

fn socket() -> Block {
    Block::on_argument(0, |block| {
        for family in [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6] {
            block.if_equal(family as u32, ALLOW);
        }
        block.unless_equal(libc::AF_NETLINK as u32, answer(libc::EAFNOSUPPORT));
        block.load(offset_argument(2));
        block.unless_equal(libc::NETLINK_ROUTE as u32, answer(libc::EAFNOSUPPORT));
        block.verdict(ALLOW);
    })
}

/// A run of instructions.
#[derive(Default)]
struct Block(Vec<sock_filter>);

impl Block {
    fn always(verdict: u32) -> Self {
        let mut block = Self::default();
        block.verdict(verdict);
        block
    }

    /// Instructions over the low half of an argument.
    fn on_argument(argument: u32, fill: impl FnOnce(&mut Self)) -> Self {
        let mut block = Self::default();
        block.load(offset_argument(argument));
        fill(&mut block);
        block
    }

    fn push(&mut self, code: u32, jt: u8, jf: u8, k: u32) {
        self.0.push(sock_filter {
            code: code as u16,
            jt,
            jf,
            k,
        });
    }

    fn load(&mut self, offset: u32) {
        self.push(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset);
    }

    fn verdict(&mut self, verdict: u32) {
        self.push(libc::BPF_RET | libc::BPF_K, 0, 0, verdict);
    }

    /// A verdict if the jump's condition holds (`when`) or does not; else falls through.
    fn verdict_if(&mut self, jump: u32, when: bool, value: u32, verdict: u32) {
        let (jt, jf) = if when { (0, 1) } else { (1, 0) };
        self.push(libc::BPF_JMP | jump | libc::BPF_K, jt, jf, value);
        self.verdict(verdict);
    }

    fn if_equal(&mut self, value: u32, verdict: u32) {
        self.verdict_if(libc::BPF_JEQ, true, value, verdict);
    }

    fn unless_equal(&mut self, value: u32, verdict: u32) {
        self.verdict_if(libc::BPF_JEQ, false, value, verdict);
    }

    fn if_at_least(&mut self, value: u32, verdict: u32) {
        self.verdict_if(libc::BPF_JGE, true, value, verdict);
    }

    fn if_any_bit(&mut self, bits: u32, verdict: u32) {
        self.verdict_if(libc::BPF_JSET, true, bits, verdict);
    }

    fn unless_any_bit(&mut self, bits: u32, verdict: u32) {
        self.verdict_if(libc::BPF_JSET, false, bits, verdict);
    }

    /// For a pointer argument: both of its halves count.
    fn trap_unless_null(&mut self, argument: u32) {
        for offset in [offset_argument(argument), offset_argument(argument) + 4] {
            self.load(offset);
            self.unless_equal(0, TRAP);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Interprets the program the way the kernel does (the subset that it uses).
    fn run(architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let mut data = [0_u8; 64];
        data[0..4].copy_from_slice(&number.to_ne_bytes());
        data[4..8].copy_from_slice(&architecture.to_ne_bytes());
        for (index, argument) in arguments.iter().enumerate() {
            data[16 + 8 * index..24 + 8 * index].copy_from_slice(&argument.to_ne_bytes());
        }
        let program = program();
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
                libc::BPF_JMP => {
                    if code & 0xf0 == libc::BPF_JA {
                        at += instruction.k as usize;
                        continue;
                    }
                    let holds = match code & 0xf0 {
                        libc::BPF_JEQ => accumulator == instruction.k,
                        libc::BPF_JGE => accumulator >= instruction.k,
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

    #[test]
    fn verdicts() {
        let mode = |mode: u64, at: usize| {
            let mut arguments = [0; 6];
            arguments[at] = mode;
            arguments
        };
        let cases: &[(&str, i64, [u64; 6], u32)] = &[
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
            ("fchmodat2 4755", SYS_FCHMODAT2, mode(0o4755, 2), REFUSE),
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
                "routing netlink",
                libc::SYS_socket,
                [16, 3, 0, 0, 0, 0],
                ALLOW,
            ),
            (
                "audit netlink",
                libc::SYS_socket,
                [16, 3, 9, 0, 0, 0],
                answer(libc::EAFNOSUPPORT),
            ),
            ("inet", libc::SYS_socket, [2, 1, 0, 0, 0, 0], ALLOW),
            ("typing", libc::SYS_ioctl, [0, 0x5412, 0, 0, 0, 0], REFUSE),
            (
                "typing, high half set",
                libc::SYS_ioctl,
                [0, 0x1_0000_5412, 0, 0, 0, 0],
                REFUSE,
            ),
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
            ("poll for ever", libc::SYS_poll, mode(0xffff_ffff, 2), ALLOW),
            ("poll a while", libc::SYS_poll, mode(5, 2), TRAP),
            ("futex wake", libc::SYS_futex, [0, 129, 1, 7, 0, 0], ALLOW),
            ("futex wait", libc::SYS_futex, [0, 128, 0, 0, 0, 0], ALLOW),
            (
                "futex wait, high address",
                libc::SYS_futex,
                [0, 393, 0, 7 << 32, 0, 0],
                TRAP,
            ),
            (
                "other than thread storage",
                libc::SYS_arch_prctl,
                mode(0x3001, 0),
                ALLOW,
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
            ("newest", 456, [0; 6], ALLOW),
            ("unknown", 457, [0; 6], MISSING),
        ];
        for (name, number, arguments, expected) in cases {
            assert_eq!(native(*number, *arguments), *expected, "{name}");
        }
    }

    #[test]
    fn other_tables_are_closed() {
        assert_eq!(run(0x4000_0003, 20, [0; 6]), KILL);
        assert_eq!(run(ARCHITECTURE, X32_BIT | 0x27, [0; 6]), MISSING);
        assert_eq!(run(ARCHITECTURE, u32::MAX, [0; 6]), MISSING);
    }

    #[test]
    fn the_program_fits() {
        assert!(program().len() < 768, "{}", program().len());
    }
}
