//! Waiting until a time, and mending what the kernel itself must do.
//!
//! Where a program names a time of its own clock, the kernel compares with the host's; where the
//! kernel fills a structure, it fills in the host's. For these calls the service puts a time of
//! the host's clock that lies as far ahead where the kernel will read it, lets the call begin,
//! stops the thread on its way out (`ptrace(2)`, for that moment only), and then puts the
//! program's own time back, or its own values where the kernel's are. A wait that this interrupts
//! the kernel restarts by itself with the time that it has read (`restart_syscall(2)`), so the
//! program notices nothing.

use rustix::time::{ClockId, clock_gettime};

use super::times::{NS, duration, rusage};
use crate::host::process::memory::{Memory, Words};
use crate::host::process::task::Fate;
use crate::host::service::{Call, Reply, Service};
use crate::sys::{self, Held};

const FUTEX_COMMAND: i32 = 0x7f;
/// `FUTEX_WAIT`, whose time is relative. The others that trap have an absolute one.
const FUTEX_WAIT: i32 = 0;
const FUTEX_LOCK_PI: i32 = 6;
const FUTEX_CLOCK_REALTIME: i32 = 256;

/// What is to be done around a call that the kernel does.
pub(in crate::host) struct Mend {
    /// What the kernel reads at an address in place of the program's own bytes.
    read: Option<(u64, Vec<u8>)>,
    after: After,
}

impl Mend {
    /// A child's usage goes to this address.
    pub(in crate::host) const fn usage(address: u64) -> Self {
        Self {
            read: None,
            after: After::Usage(address),
        }
    }
}

/// What is to be done behind it.
enum After {
    Nothing,
    /// These bytes at this address are what the program reads.
    Write(u64, Vec<u8>),
    /// The call returns this.
    Return(i64),
    /// If the kernel has written a child's usage at this address, it is one of ours.
    Usage(u64),
}

/// A call that the kernel does now.
pub(super) struct Pending {
    thread: i32,
    process: i32,
    own: Option<(u64, Vec<u8>)>,
    after: After,
    usage_before: Option<[u8; USAGE_BYTES]>,
    busy_before_ns: u64,
}

impl Pending {
    /// Whether the kernel reads other bytes than the program's own.
    pub(super) const fn has_replaced(&self) -> bool {
        self.own.is_some()
    }
}

/// The size of a `struct rusage`.
const USAGE_BYTES: usize = 144;

impl Service {
    /// `futex(2)` with a time limit.
    pub(super) fn futex_wait(&mut self, call: &Call) -> Reply {
        let (operation, address) = (call.int(1), call.arguments[3]);
        let command = operation & FUTEX_COMMAND;
        if command == FUTEX_WAIT {
            return self.wait_pair(call, address, 1);
        }
        let is_real_time = command == FUTEX_LOCK_PI || operation & FUTEX_CLOCK_REALTIME != 0;
        let Ok(until_ns) = call
            .memory()
            .read_pair(address)
            .and_then(|pair| duration(pair, 1))
        else {
            return Reply::Proceed; // No time at all, and the kernel says so.
        };
        let elapsed_ns = self.task(call).clock.now();
        let now_ns = self.shown_ns(is_real_time, elapsed_ns);
        let left_ns = until_ns.saturating_sub(now_ns);
        // Before the host's clock is read, so that this never comes after the kernel's end.
        self.note_timeout(call, left_ns, None);
        let until = host_time(is_real_time, left_ns);
        Self::proceed_and_mend(Some((address, until)), None)
    }

    /// Lets the kernel do a call that reads other bytes at an address than the program's own, or
    /// whose result at an address is replaced.
    pub(super) fn proceed_and_mend(
        read: Option<(u64, Vec<u8>)>,
        result: Option<(u64, Vec<u8>)>,
    ) -> Reply {
        match (read, result) {
            (None, None) => Reply::Proceed,
            (read, None) => Reply::Mend(Mend {
                read,
                after: After::Nothing,
            }),
            (read, Some((address, bytes))) => Reply::Mend(Mend {
                read,
                after: After::Write(address, bytes),
            }),
        }
    }

    /// A signal that interrupts a call before the service has taken it would end it with `EINTR`
    /// if the signal's handler does not ask for calls to be begun anew (`SA_RESTART`): calls that
    /// never end like that otherwise. For the signal that builds live with, the end of a child,
    /// every handler therefore asks for it.
    pub(in crate::host) fn child_handler(&mut self, call: &Call) -> Reply {
        const FLAGS_AT: u64 = 8;
        const DEFAULT: i64 = 0;
        const IGNORE: i64 = 1;
        let address = call.arguments[1];
        // The first word is the handler. What cannot be read the kernel refuses.
        let Ok((handler, flags)) = call.memory().read_pair(address) else {
            return Reply::Proceed;
        };
        let process = self.task(call).process;
        self.tasks.process(process).fate_of_children = if handler == IGNORE {
            Fate::Ignored
        } else if flags & i64::from(libc::SA_NOCLDWAIT) != 0 {
            Fate::NotKept
        } else {
            Fate::Kept
        };
        let restart = i64::from(libc::SA_RESTART);
        if [DEFAULT, IGNORE].contains(&handler) || flags & restart != 0 {
            return Reply::Proceed;
        }
        let flags = (flags | restart).to_le_bytes().to_vec();
        Self::proceed_and_mend(Some((address.wrapping_add(FLAGS_AT), flags)), None)
    }

    /// Lets the kernel do a call, and has it return this value.
    pub(super) fn proceed_with_result(value: i64) -> Reply {
        Reply::Mend(Mend {
            read: None,
            after: After::Return(value),
        })
    }

    /// Lets the kernel do a call of a thread that nobody traces, and mends it.
    pub(in crate::host) fn hold_and_mend(&mut self, call: &Call, mend: Mend) {
        // Without the right to trace nothing is replaced: the kernel reads the program's own
        // bytes, and its results stay the host's. A time among what it reads is long past, so that
        // a wait ends at once, as waits may.
        let Ok(held) = Held::seize(call.thread) else {
            sys::answer(&*self.listener, call.id, 0, 0, true);
            return;
        };
        let pending = self.begin(call, mend);
        sys::answer(&*self.listener, call.id, 0, 0, true);
        if held.has_stopped()
            && let Some(result) = self.finish(pending)
        {
            held.set_result(result);
        }
    }

    /// Prepares memory for a call that the kernel is about to do.
    pub(super) fn begin(&mut self, call: &Call, Mend { read, after }: Mend) -> Pending {
        let memory = call.memory();
        // Forced, since the bytes may lie in memory that the program cannot write.
        let own = read.and_then(|(address, replaced)| {
            let own = memory.read_some(address, replaced.len()).ok()?;
            memory.write_code(address, &replaced).ok()?;
            Some((address, own))
        });
        let process = self.task(call).process;
        let mut usage_before = None;
        if let After::Usage(address) = after {
            usage_before = memory.read(address).ok();
        }
        Pending {
            thread: call.thread,
            process,
            own,
            after,
            usage_before,
            busy_before_ns: self.tasks.process(process).children_busy_ns,
        }
    }

    /// Mends what a call has left, now that its thread has stopped behind it; the value that the
    /// call shall return, if that is another than the kernel's.
    pub(super) fn finish(&mut self, pending: Pending) -> Option<i64> {
        let Pending {
            thread,
            process,
            own,
            after,
            usage_before,
            busy_before_ns,
        } = pending;
        let memory = Memory(thread);
        if let Some((address, own)) = own {
            let _ = memory.write_code(address, &own);
        }
        match after {
            After::Nothing => {}
            After::Write(address, bytes) => {
                let _ = memory.write(address, &bytes);
            }
            After::Return(value) => return Some(value),
            // What the kernel has not filled in stays as it is.
            After::Usage(address) => {
                if memory.read(address).ok() == usage_before {
                    self.waited_in_vain(thread);
                } else {
                    self.tasks.settle(thread, process);
                    let busy_after_ns = self.tasks.process(process).children_busy_ns;
                    let busy_ns = busy_after_ns.saturating_sub(busy_before_ns);
                    let _ = memory.write(address, &rusage(busy_ns));
                }
            }
        }
        None
    }
}

/// The time of the host's clock that lies so far ahead, as a `timespec`.
pub(super) fn host_time(is_real_time: bool, left_ns: u64) -> Vec<u8> {
    let clock = if is_real_time {
        ClockId::Realtime
    } else {
        ClockId::Monotonic
    };
    let now = clock_gettime(clock);
    let now_ns = duration((now.tv_sec, now.tv_nsec), 1).unwrap_or(0);
    let until_ns = now_ns.saturating_add(left_ns);
    Words::default().u64(until_ns / NS).u64(until_ns % NS).0
}
