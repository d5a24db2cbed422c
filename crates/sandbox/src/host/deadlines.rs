//! Waiting until a time: the program names a time of its own clock, the kernel compares with the
//! host's.
//!
//! The kernel reads the time from the program's memory when the call begins. There the service
//! puts the moment of the host's clock that lies as far ahead, lets the call begin, stops the
//! thread on its way out (ptrace(2), for that moment only), and puts the program's own time
//! back. A wait that this interrupts the kernel restarts by itself with the time that it has
//! read (`restart_syscall(2)`), so the program notices nothing.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::memory::Words;
use super::service::{Answer, Call, Reply, Service};
use super::times::{NS, duration, uptime_ns};
use crate::sys::{self, Held};

/// `FUTEX_WAIT_BITSET`, whose time is absolute, without its flags.
const WAIT_BITSET: i32 = 9;
const FUTEX_COMMAND: i32 = 0x7f;
const FUTEX_CLOCK_REALTIME: i32 = 256;

impl Service {
    /// `futex(2)` with a time limit: relative to wait, absolute to wait for bits.
    pub(super) fn futex_wait(&mut self, call: &Call) -> Answer {
        let operation = call.int(1);
        if operation & FUTEX_COMMAND != WAIT_BITSET {
            return Ok(self.wait_until_timespec(call, call.arguments[3]));
        }
        let is_real_time = operation & FUTEX_CLOCK_REALTIME != 0;
        self.wait_until(call, call.arguments[3], is_real_time)
    }

    /// `timerfd_settime(2)` and `timer_settime(2)` with an absolute time: which clock the timer
    /// has is not in the call, but no uptime is as large as a date.
    pub(super) fn set_timer(&mut self, call: &Call) -> Answer {
        const ABSOLUTE: i32 = 1;
        let value = call.arguments[2].wrapping_add(16);
        let Ok((seconds, fraction)) = call.memory().read_pair(value) else {
            return Ok(Reply::Proceed);
        };
        if call.int(1) & ABSOLUTE == 0 || (seconds, fraction) == (0, 0) {
            return Ok(Reply::Proceed);
        }
        let is_real_time = u64::try_from(seconds).is_ok_and(|s| s > self.host.clock_start / 2);
        self.wait_until(call, value, is_real_time)
    }

    fn wait_until(&mut self, call: &Call, address: u64, is_real_time: bool) -> Answer {
        let memory = call.memory();
        let Ok(own) = memory.read::<16>(address) else {
            return Ok(Reply::Proceed);
        };
        let Ok(until_ns) = memory.read_pair(address).and_then(|pair| duration(pair, 1)) else {
            return Ok(Reply::Proceed); // No time at all, and the kernel says so.
        };
        let elapsed_ns = self.task(call).clock.now();
        let (now_ns, clock) = if is_real_time {
            (self.wall_ns(elapsed_ns), ClockId::Realtime)
        } else {
            (uptime_ns(elapsed_ns), ClockId::Monotonic)
        };
        let left_ns = until_ns.saturating_sub(now_ns);
        let host = clock_gettime(clock);
        let host_ns = duration((host.tv_sec, host.tv_nsec), 1)?.saturating_add(left_ns);
        let replaced = Words::default().u64(host_ns / NS).u64(host_ns % NS);

        // Without the right to trace the program's own time stays, which is long past: the wait
        // ends at once, as waits may.
        let Ok(held) = Held::seize(call.thread) else {
            return Ok(Reply::Proceed);
        };
        // Forced, since the time may lie in memory that the program cannot write.
        let written = memory.write_code(address, &replaced.0);
        sys::answer(&self.listener, call.id, 0, 0, true);
        if held.has_stopped() && written.is_ok() {
            let _ = memory.write_code(address, &own);
        }
        drop(held);
        if call.number == libc::SYS_futex
            && let Some(until) = Instant::now().checked_add(Duration::from_nanos(left_ns))
        {
            self.task(call).timeout = Some((until, left_ns));
        }
        Ok(Reply::Answered)
    }
}
