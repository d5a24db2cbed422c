//! The system call filter: a classic BPF program (seccomp(2)) that answers in the kernel.
//!
//! It refuses what a build has no use for: tracing, mounting, namespaces, keys, kernel
//! administration, kernel interfaces that other filters cannot see into (`io_uring`), other
//! address families than local, IPv4 and IPv6 (a VSOCK socket ignores network namespaces) and
//! set-id bits. Who makes a call of the i386 table is killed. Calls newer than [`LAST_KNOWN`] do
//! not exist inside, on any kernel, and neither do those of the x32 table, whose numbers are larger.
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

use std::sync::OnceLock;

use libc::sock_filter;

use crate::sys::HAND_OVER;

mod block;
mod calls;
#[cfg(test)]
mod tests;

use block::{Block, ranges, shorten, tree};
use calls::{
    ARCH_BASES, ARCH_SET_FS, CHILD_WAITS, EMPTY_CALLS, FIOQSIZE, FUTEX_REQUEUE_WAITS, FUTEX_WAITS,
    HIDDEN_OPTIONS, IO_FLAGS, LARGE_MAPPING_BYTES, LINUX_COMMANDS, LINUX_COMMANDS_START,
    MENDED_CALLS, MISSING_CALLS, MODE_CALLS, OFFSET_END_HIGH, PRCTL_END, REFUSED_CALLS,
    REQUEST_KINDS, SIOCGSTAMP, SIOCGSTAMPNS, SOCKET_PROTOCOLS, SPECULATION_OPTIONS, STATISTICS,
    STATISTICS_COMMANDS, TRAPPED_CALLS, UNASSIGNED, UNSETTABLE_OPTIONS, UNSUPPORTED_CALLS, WAITS,
    WAITS_MS,
};

/// The newest call that exists inside, `set_mempolicy_home_node`: that of the release that the
/// virtual host shows.
const LAST_KNOWN: u32 = 450;

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
/// The call waits for the tracer (`host/time/tracer.rs`).
const TRACE: u32 = libc::SECCOMP_RET_TRACE;
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
/// `personality(2)`: the default, the query, and the default without random addresses, with waits
/// that leave what they were asked for as it is, or with both.
const PERSONALITIES: [u32; 5] = [0, 0xffff_ffff, 0x0004_0000, 0x0400_0000, 0x0404_0000];

/// Whether every thread of the step has a tracer. A thread can have one only, so those calls that
/// need one are then the tracer's and not the service's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tracer {
    Absent,
    Present,
}

impl Tracer {
    /// The verdict for calls whose arguments or results are mended.
    const fn mending(self) -> u32 {
        match self {
            Self::Absent => TRAP,
            Self::Present => TRACE,
        }
    }
}

/// Builds the program. At most 4096 instructions, as the kernel demands; in fact under 500.
///
/// The calls lie in a balanced tree of ranges: the kernel interprets the program once for every
/// call number when it is installed, and every time for calls whose arguments matter.
pub(crate) fn program(tracer: Tracer) -> &'static [sock_filter] {
    static PLAIN: OnceLock<Vec<sock_filter>> = OnceLock::new();
    static TRACED: OnceLock<Vec<sock_filter>> = OnceLock::new();
    let program = match tracer {
        Tracer::Absent => &PLAIN,
        Tracer::Present => &TRACED,
    };
    program.get_or_init(|| shorten(&build(tracer)))
}

fn build(tracer: Tracer) -> Vec<sock_filter> {
    let mut leaves: Vec<(u32, Block)> = blocks(tracer)
        .into_iter()
        .map(|(number, block)| (number as u32, block))
        .collect();
    for (calls, verdict) in [
        (MISSING_CALLS, MISSING),
        (REFUSED_CALLS, REFUSE),
        (UNSUPPORTED_CALLS, answer(libc::EOPNOTSUPP)),
        (EMPTY_CALLS, answer(0)),
        (TRAPPED_CALLS, TRAP),
        (MENDED_CALLS, tracer.mending()),
    ] {
        leaves.extend(
            calls
                .iter()
                .map(|number| (*number as u32, Block::always(verdict))),
        );
    }
    leaves.extend(UNASSIGNED.map(|number| (number, Block::always(MISSING))));
    leaves.sort_by_key(|(number, _)| *number);
    debug_assert!(
        leaves.is_sorted_by(|(a, _), (b, _)| a < b),
        "one verdict a call"
    );

    let mut program = Block::default();
    program.load(OFFSET_ARCHITECTURE);
    program.unless_equal(ARCHITECTURE, KILL);
    program.load(OFFSET_NUMBER);
    program
        .0
        .extend(tree(&ranges(leaves, LAST_KNOWN + 1, MISSING)));
    program.0
}

/// Calls whose arguments matter. Each block ends in a verdict.
fn blocks(tracer: Tracer) -> Vec<(i64, Block)> {
    let mut blocks = vec![
        (libc::SYS_openat, creating(2, 3)),
        (libc::SYS_open, creating(1, 2)),
        (libc::SYS_creat, set_id(1, TRAP)),
        (libc::SYS_futex, futex(tracer.mending())),
        (libc::SYS_rt_sigaction, child_handler(tracer.mending())),
        (libc::SYS_fcntl, descriptor_control()),
        (libc::SYS_preadv2, flagged_io()),
        (libc::SYS_pwritev2, flagged_io()),
        (libc::SYS_getsockopt, socket_option(HIDDEN_OPTIONS)),
        (libc::SYS_setsockopt, socket_option(UNSETTABLE_OPTIONS)),
        (libc::SYS_socket, socket()),
        (
            libc::SYS_sendmsg,
            Block::on_argument(2, |block| {
                block.if_equal(HAND_OVER as u32, ALLOW);
                block.verdict(TRAP);
            }),
        ),
        (
            libc::SYS_arch_prctl,
            Block::on_argument(0, |block| {
                block.if_equal(ARCH_SET_FS, TRAP);
                for command in ARCH_BASES {
                    block.if_equal(command, ALLOW);
                }
                // Among the others: a second vDSO, which would be the host's.
                block.verdict(answer(libc::EINVAL));
            }),
        ),
        (libc::SYS_ioctl, device_control()),
        (
            libc::SYS_clone,
            Block::on_argument(0, |block| {
                block.if_any_bit(NAMESPACE_FLAGS, REFUSE);
                if tracer == Tracer::Present {
                    // It would escape, and die by the first time stamp.
                    block.if_any_bit(libc::CLONE_UNTRACED as u32, REFUSE);
                }
                block.verdict(TRAP);
            }),
        ),
        (
            // Of process 1, which is ours.
            libc::SYS_prlimit64,
            Block::on_argument(0, |block| {
                block.if_equal(1, REFUSE);
                block.verdict(ALLOW);
            }),
        ),
        (libc::SYS_prctl, process_control(tracer)),
        (libc::SYS_mmap, mapping()),
        (libc::SYS_lseek, seeking()),
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
    for (number, argument) in CHILD_WAITS {
        let mut block = Block::default();
        block.unless_null(*argument, tracer.mending());
        block.verdict(ALLOW);
        blocks.push((*number, block));
    }
    for (number, argument) in STATISTICS {
        let block = Block::on_argument(*argument, |block| {
            for command in STATISTICS_COMMANDS {
                block.if_equal(command, REFUSE);
            }
            block.verdict(ALLOW);
        });
        blocks.push((*number, block));
    }
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
        block.unless_null(*argument, TRAP);
        block.verdict(ALLOW);
        blocks.push((*number, block));
    }
    blocks
}

/// A file that is created may not have set-id bits, and none may be opened past the cache, which
/// some file systems can and others cannot.
fn creating(flags: u32, mode: u32) -> Block {
    Block::on_argument(flags, |block| {
        block.if_any_bit(libc::O_DIRECT as u32, answer(libc::EINVAL));
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

fn futex(timed: u32) -> Block {
    Block::on_argument(1, |block| {
        let count = FUTEX_WAITS.len();
        for (index, operation) in FUTEX_WAITS.iter().enumerate() {
            // Behind the list and the verdicts that follow it.
            let verdicts = 2 * FUTEX_REQUEUE_WAITS.len() + 1;
            let ahead = u8::try_from(count - index - 1 + verdicts).unwrap_or(u8::MAX);
            block.push(
                libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
                ahead,
                0,
                *operation,
            );
        }
        for operation in FUTEX_REQUEUE_WAITS {
            block.if_equal(operation, MISSING);
        }
        block.verdict(ALLOW);
        block.unless_null(3, timed);
        block.verdict(ALLOW);
    })
}

fn device_control() -> Block {
    Block::on_argument(1, |block| {
        // Typing into a terminal.
        block.if_equal(libc::TIOCSTI as u32, REFUSE);
        block.if_equal(libc::TIOCLINUX as u32, REFUSE);
        // How a file system counts a file's bytes.
        block.if_equal(FIOQSIZE, answer(libc::ENOTTY));
        // What waits in the random device.
        block.if_equal(libc::FIONREAD as u32, TRAP);
        // When the host received the last packet.
        block.if_equal(SIOCGSTAMP, answer(libc::ENOTTY));
        block.if_equal(SIOCGSTAMPNS, answer(libc::ENOTTY));
        block.mask(0xff00);
        for kind in REQUEST_KINDS {
            block.if_equal(kind, ALLOW);
        }
        block.verdict(answer(libc::ENOTTY));
    })
}

/// `prctl(2)`: what kernels like the one that the virtual host shows have on every machine.
fn process_control(tracer: Tracer) -> Block {
    Block::on_argument(0, |block| {
        if tracer == Tracer::Present {
            block.if_equal(libc::PR_GET_TSC as u32, TRAP);
            block.if_equal(libc::PR_SET_TSC as u32, REFUSE);
        }
        for option in SPECULATION_OPTIONS {
            block.if_equal(option, answer(libc::ENODEV));
        }
        block.if_at_least(PRCTL_END, answer(libc::EINVAL));
        block.verdict(ALLOW);
    })
}

/// A large mapping that others may share is checked against the host's memory, and not against the
/// step's limit.
fn mapping() -> Block {
    Block::on_argument(3, |block| {
        // As where no huge pages are set aside, and where files are not in lasting memory.
        block.if_any_bit(libc::MAP_HUGETLB as u32, answer(libc::ENOMEM));
        block.if_any_bit(libc::MAP_SYNC as u32, answer(libc::EOPNOTSUPP));
        block.unless_any_bit(libc::MAP_SHARED as u32, ALLOW);
        block.load(offset_argument(1) + 4);
        block.unless_equal(0, TRAP);
        block.load(offset_argument(1));
        block.if_at_least(LARGE_MAPPING_BYTES, TRAP);
        block.verdict(ALLOW);
    })
}

/// Where a directory ends.
fn seeking() -> Block {
    Block::on_argument(2, |block| {
        block.if_equal(libc::SEEK_END as u32, TRAP);
        block.unless_equal(libc::SEEK_SET as u32, ALLOW);
        // How large a file may be is its file system's to say; all have this much.
        block.load(offset_argument(1) + 4);
        block.if_at_least(OFFSET_END_HIGH, answer(libc::EINVAL));
        block.verdict(ALLOW);
    })
}

/// `fcntl(2)`: of what only Linux has, what neither file systems nor settings of the host differ in;
/// and the flags that opening refuses, too.
fn descriptor_control() -> Block {
    Block::on_argument(1, |block| {
        for command in LINUX_COMMANDS {
            block.if_equal(command, ALLOW);
        }
        // How large a pipe may become is the host's to say.
        block.if_equal(libc::F_SETPIPE_SZ as u32, REFUSE);
        block.if_at_least(LINUX_COMMANDS_START, answer(libc::EINVAL));
        let flags = Block::on_argument(2, |flags| {
            flags.if_any_bit(libc::O_NOATIME as u32, REFUSE);
            flags.if_any_bit(libc::O_DIRECT as u32, answer(libc::EINVAL));
            flags.verdict(ALLOW);
        });
        block.if_equal_run(libc::F_SETFL as u32, &flags);
        block.verdict(ALLOW);
    })
}

/// Whether a read would wait depends on what the host has in its cache, and what later flags do on
/// its file systems.
fn flagged_io() -> Block {
    Block::on_argument(5, |block| {
        block.if_any_bit(!IO_FLAGS, answer(libc::EOPNOTSUPP));
        block.verdict(ALLOW);
    })
}

/// A handler for the end of a child.
fn child_handler(set: u32) -> Block {
    Block::on_argument(0, |block| {
        let mut is_set = Block::default();
        is_set.unless_null(1, set);
        is_set.verdict(ALLOW);
        block.if_equal_run(libc::SIGCHLD as u32, &is_set);
        block.verdict(ALLOW);
    })
}

/// Options of sockets, with their levels, that do not exist inside.
fn socket_option(options: &[(i32, i32)]) -> Block {
    Block::on_argument(1, |block| {
        for level in [libc::SOL_SOCKET, libc::IPPROTO_TCP, libc::IPPROTO_IPV6] {
            let names = Block::on_argument(2, |names| {
                for (_, name) in options.iter().filter(|(known, _)| *known == level) {
                    names.if_equal(*name as u32, answer(libc::ENOPROTOOPT));
                }
                names.verdict(ALLOW);
            });
            block.if_equal_run(level as u32, &names);
        }
        block.verdict(ALLOW);
    })
}

fn socket() -> Block {
    let mut by_protocol = Block::default();
    by_protocol.load(offset_argument(2));
    for protocol in SOCKET_PROTOCOLS {
        by_protocol.if_equal(protocol as u32, TRAP);
    }
    by_protocol.verdict(answer(libc::EPROTONOSUPPORT));
    Block::on_argument(0, |block| {
        for family in [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6] {
            block.if_equal_run(family as u32, &by_protocol);
        }
        block.verdict(answer(libc::EAFNOSUPPORT));
    })
}
