//! Waiting until a time, and mending what the kernel itself must do.
//!
//! Where a program names a time of its own clock, the kernel compares with the host's; where the
//! kernel fills a structure, it fills in the host's. For these calls the service puts a time of
//! the host's clock that lies as far ahead where the kernel will read it, lets the call begin,
//! stops the thread on its way out (`ptrace(2)`, for that moment only), and then puts the
//! program's own time back, or its own values where the kernel's are. A wait that this interrupts
//! the kernel restarts by itself with the time that it has read (`restart_syscall(2)`), so the
//! program notices nothing.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::memory::Words;
use super::service::{Call, Reply, Service};
use super::times::{NS, duration, rusage, uptime_ns};
use crate::sys::{self, Held};

const FUTEX_COMMAND: i32 = 0x7f;
/// `FUTEX_WAIT`, whose time is relative. The others that trap have an absolute one.
const FUTEX_WAIT: i32 = 0;
const FUTEX_LOCK_PI: i32 = 6;
const FUTEX_CLOCK_REALTIME: i32 = 256;

/// How often a wait for a child is looked at that the kernel is not yet left to.
const CHILDREN_EVERY: Duration = Duration::from_millis(1);

impl Service {
    /// `futex(2)` with a time limit.
    pub(super) fn futex_wait(&mut self, call: &Call) -> Reply {
        let (operation, address) = (call.int(1), call.arguments[3]);
        let command = operation & FUTEX_COMMAND;
        if command == FUTEX_WAIT {
            return self.wait_until_timespec(call, address);
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
        let now_ns = if is_real_time {
            self.wall_ns(elapsed_ns)
        } else {
            uptime_ns(elapsed_ns)
        };
        let left_ns = until_ns.saturating_sub(now_ns);
        // Before the host's clock is read, so that this never comes after the kernel's end.
        self.note_timeout(call, left_ns);
        let until = host_time(is_real_time, left_ns);
        self.proceed_and_mend(call, Some((address, until)), None)
    }

    /// Lets the kernel do a call that reads other bytes at an address than the program's own, or
    /// whose result at an address is replaced.
    pub(super) fn proceed_and_mend(
        &mut self,
        call: &Call,
        read: Option<(u64, Vec<u8>)>,
        result: Option<(u64, Vec<u8>)>,
    ) -> Reply {
        if read.is_none() && result.is_none() {
            return Reply::Proceed;
        }
        // Without the right to trace the program's own bytes stay. A time among them is long
        // past, so that a wait ends at once, as waits may.
        let Ok(held) = Held::seize(call.thread) else {
            return Reply::Proceed;
        };
        let memory = call.memory();
        // Forced, since the bytes may lie in memory that the program cannot write.
        let own = read.and_then(|(address, replaced)| {
            let own = memory.read_some(address, replaced.len()).ok()?;
            memory.write_code(address, &replaced).ok()?;
            Some((address, own))
        });
        sys::answer(&self.listener, call.id, 0, 0, true);
        if held.has_stopped() {
            if let Some((address, own)) = own {
                let _ = memory.write_code(address, &own);
            }
            if let Some((address, result)) = result {
                let _ = memory.write(address, &result);
            }
        }
        Reply::Answered
    }

    /// A signal that interrupts a call before the service has taken it would end it with `EINTR`
    /// if the signal's handler does not ask for calls to be begun anew (`SA_RESTART`): calls that
    /// never end like that otherwise. For the signal that builds live with, the end of a child,
    /// every handler therefore asks for it.
    pub(super) fn child_handler(&mut self, call: &Call) -> Reply {
        const FLAGS_AT: u64 = 8;
        /// `SIG_DFL` and `SIG_IGN`.
        const NOT_CALLED: [i64; 2] = [0, 1];
        let address = call.arguments[1];
        let restart = i64::from(libc::SA_RESTART);
        match call.memory().read_pair(address) {
            // The first word is the handler.
            Ok((handler, flags)) if !NOT_CALLED.contains(&handler) && flags & restart == 0 => {
                let flags = (flags | restart).to_le_bytes().to_vec();
                self.proceed_and_mend(call, Some((address.wrapping_add(FLAGS_AT), flags)), None)
            }
            _ => Reply::Proceed,
        }
    }

    /// `wait4(2)` or `waitid(2)` that also asks what the child has used. The kernel would tell of
    /// the host's time, so it is left to it only when a child has ended, and mended.
    pub(super) fn wait_with_usage(&mut self, call: &Call) -> Reply {
        let options = match call.number {
            libc::SYS_wait4 => call.int(2),
            _ => call.int(3),
        };
        let process = self.task(call).process;
        let children = crate::usage::children(process);
        if options & libc::WNOHANG == 0
            && !children.is_empty()
            && !children.iter().any(|child| has_ended(*child))
        {
            return Reply::Again(CHILDREN_EVERY);
        }
        let usage = match call.number {
            libc::SYS_wait4 => call.arguments[3],
            _ => call.arguments[4],
        };
        let Ok(held) = Held::seize(call.thread) else {
            return Reply::Proceed;
        };
        let memory = call.memory();
        let before = memory.read::<144>(usage);
        let busy_before_ns = self.tasks.process(process).children_busy_ns;
        self.tasks.before_wait(process);
        sys::answer(&self.listener, call.id, 0, 0, true);
        // What the kernel has not filled in stays as it is.
        if held.has_stopped() && memory.read::<144>(usage) != before {
            self.tasks.settle(call.thread, process);
            let busy_ns = self.tasks.process(process).children_busy_ns - busy_before_ns;
            let _ = memory.write(usage, &rusage(busy_ns));
        }
        Reply::Answered
    }

    /// Lets the kernel do a call, and has it return this value.
    pub(super) fn proceed_with_result(&mut self, call: &Call, value: i64) -> Reply {
        let Ok(held) = Held::seize(call.thread) else {
            return Reply::Proceed;
        };
        sys::answer(&self.listener, call.id, 0, 0, true);
        if held.has_stopped() {
            held.set_result(value);
        }
        Reply::Answered
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

/// Whether a process has ended and waits to be waited for.
fn has_ended(process: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) else {
        return false;
    };
    let state = stat.rfind(')').and_then(|end| stat.get(end + 1..));
    state.is_some_and(|state| state.trim_start().starts_with('Z'))
}
