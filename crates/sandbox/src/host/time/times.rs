//! Calls that ask for the time, or wait for it.

use std::time::{Duration, Instant};

use crate::host::process::memory::Words;
use crate::host::process::task::Timeout;
use crate::host::service::{Answer, Call, DONE, Reply, Service};
use crate::sys::Errno;

/// How long the machine seems to have been up when an action begins.
const UPTIME_AT_START_NS: u64 = 1_000_000_000_000;
pub(in crate::host) const NS: u64 = 1_000_000_000;
/// Ticks of times(2) in a second.
const TICK_NS: u64 = NS / 100;
/// How long a wait has lasted that something has ended before its time, if not a timer: when that
/// came only the host's clock knows. Not nothing, so that who waits again for what is left gets to
/// the end.
pub(in crate::host) const CUT_SHORT_NS: u64 = 1_000_000;
/// The largest resident set that any process seems to have had, in KiB.
const RESIDENT_KIB: u64 = 4096;

const INVALID: Errno = Errno(libc::EINVAL);

impl Service {
    /// Nanoseconds since 1970 for a thread's time.
    pub(in crate::host) fn wall_ns(&self, elapsed_ns: u64) -> u64 {
        self.host
            .clock_start
            .saturating_mul(NS)
            .saturating_add(elapsed_ns)
    }

    /// What a clock shows at a thread's time: the date, or how long the machine has been up.
    pub(super) fn shown_ns(&self, by_date: bool, elapsed_ns: u64) -> u64 {
        if by_date {
            self.wall_ns(elapsed_ns)
        } else {
            uptime_ns(elapsed_ns)
        }
    }

    pub(in crate::host) fn time_call(&mut self, call: &Call) -> Option<Answer> {
        let [first, second, third, fourth, ..] = call.arguments;
        Some(match call.number {
            libc::SYS_clock_gettime => self.clock_value(call).and_then(|ns| {
                call.memory().write(second, &timespec(ns))?;
                DONE
            }),
            libc::SYS_clock_getres => self.clock_value(call).and_then(|_| {
                let resolution_ns = if matches!(call.int(0), 5 | 6) {
                    4_000_000
                } else {
                    1
                };
                call.memory()
                    .write_unless_null(second, &timespec(resolution_ns))?;
                DONE
            }),
            libc::SYS_gettimeofday => {
                let elapsed_ns = self.task(call).clock.read();
                let ns = self.wall_ns(elapsed_ns);
                let value = Words::default().u64(ns / NS).u64(ns % NS / 1000);
                call.memory()
                    .write_unless_null(first, &value.0)
                    // The time zone that nobody uses: minutes west, and a flag.
                    .and_then(|()| call.memory().write_unless_null(second, &[0; 8]))
                    .and(DONE)
            }
            libc::SYS_time => {
                let elapsed_ns = self.task(call).clock.read();
                let seconds = self.wall_ns(elapsed_ns) / NS;
                call.memory()
                    .write_unless_null(first, &seconds.to_le_bytes())
                    .map(|()| Reply::Value(seconds.cast_signed()))
            }
            libc::SYS_times => self.times(call),
            libc::SYS_getrusage => self.usage(call),
            libc::SYS_nanosleep => self.sleep(call, first, second),
            libc::SYS_clock_nanosleep => self.clock_sleep(call, second, third, fourth),
            libc::SYS_poll => Ok(self.wait_ms(call, call.int(2))),
            libc::SYS_epoll_wait | libc::SYS_epoll_pwait => Ok(self.wait_ms(call, call.int(3))),
            libc::SYS_epoll_pwait2 | libc::SYS_semtimedop => Ok(self.wait_pair(call, fourth, 1)),
            libc::SYS_ppoll | libc::SYS_rt_sigtimedwait => Ok(self.wait_pair(call, third, 1)),
            libc::SYS_select | libc::SYS_pselect6 => {
                let scale = if call.number == libc::SYS_select {
                    1000
                } else {
                    1
                };
                Ok(self.wait_pair(call, call.arguments[4], scale))
            }
            libc::SYS_futex => Ok(self.futex_wait(call)),
            _ => return self.timer_call(call),
        })
    }

    /// What a clock shows; it advances by that.
    fn clock_value(&mut self, call: &Call) -> Result<u64, Errno> {
        let elapsed_ns = self.task(call).clock.read();
        Ok(match call.int(0) {
            // Real time, coarse, alarm, and atomic time without its leap seconds.
            0 | 5 | 8 | 11 => self.wall_ns(elapsed_ns),
            // Monotonic, raw, coarse, boot time, boot time alarm.
            1 | 4 | 6 | 7 | 9 => uptime_ns(elapsed_ns),
            // The process, the thread, and any process by its id: always the caller's own.
            2 => self.process_busy_ns(call),
            3 => self.task(call).clock.busy(),
            id if id < 0 && id & 7 != 3 => self.process_busy_ns(call),
            _ => return Err(INVALID),
        })
    }

    fn process_busy_ns(&mut self, call: &Call) -> u64 {
        let task = self.task(call);
        let (busy_ns, process) = (task.clock.busy(), task.process);
        busy_ns.saturating_sub(self.tasks.process(process).born_busy_ns)
    }

    fn children_busy_ns(&mut self, call: &Call) -> u64 {
        let process = self.task(call).process;
        self.tasks.process(process).children_busy_ns
    }

    fn times(&mut self, call: &Call) -> Answer {
        let elapsed_ns = self.task(call).clock.read();
        let own = self.process_busy_ns(call) / TICK_NS;
        let children = self.children_busy_ns(call) / TICK_NS;
        let value = Words::default().u64(own).u64(0).u64(children).u64(0);
        call.memory()
            .write_unless_null(call.arguments[0], &value.0)?;
        let ticks = uptime_ns(elapsed_ns) / TICK_NS;
        Ok(Reply::Value(ticks.cast_signed()))
    }

    fn usage(&mut self, call: &Call) -> Answer {
        self.task(call).clock.read();
        let busy_ns = match call.int(0) {
            libc::RUSAGE_SELF => self.process_busy_ns(call),
            libc::RUSAGE_CHILDREN => self.children_busy_ns(call),
            libc::RUSAGE_THREAD => self.task(call).clock.busy(),
            _ => return Err(INVALID),
        };
        call.memory().write(call.arguments[1], &rusage(busy_ns))?;
        DONE
    }

    fn sleep(&mut self, call: &Call, request: u64, left: u64) -> Answer {
        let ns = duration(call.memory().read_pair(request)?, 1)?;
        self.note_timeout(call, ns, None);
        // The program may look at what is left before it calls again, so the kernel does not write it.
        let left = (left != 0).then_some(left);
        Ok(Reply::After(Duration::from_nanos(ns), left))
    }

    /// A signal ends a wait that the service keeps: writes what is left of it.
    pub(super) fn cut_short(&mut self, call: &Call, left: u64, delay: Duration) {
        let ns = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        let task = self.task(call);
        task.timeout = None; // It did not end by itself, however late it is now.
        let before_ns = task.clock.now();
        if !self.see_timers(call) {
            self.task(call).clock.sleep(CUT_SHORT_NS.min(ns));
        }
        let passed_ns = self.task(call).clock.now().saturating_sub(before_ns);
        // A place that cannot be written the program has not asked for.
        let _ = call
            .memory()
            .write(left, &timespec(ns.saturating_sub(passed_ns)));
    }

    fn clock_sleep(&mut self, call: &Call, flags: u64, request: u64, left: u64) -> Answer {
        match call.int(0) {
            0 | 1 | 7 | 11 => {}
            // A processor's time, which only the kernel counts.
            2 => return Ok(Reply::Proceed),
            id if id < 0 => return Ok(Reply::Proceed),
            // Clocks that nobody can wait for; the alarms only with a clock that goes on without power.
            3..=6 | 8 | 9 => return Err(Errno(libc::EOPNOTSUPP)),
            _ => return Err(INVALID),
        }
        if flags & u64::from(libc::TIMER_ABSTIME.unsigned_abs()) == 0 {
            return self.sleep(call, request, left);
        }
        let until_ns = duration(call.memory().read_pair(request)?, 1)?;
        let ns = until_ns.saturating_sub(self.clock_value(call)?);
        self.note_timeout(call, ns, None);
        Ok(Reply::After(Duration::from_nanos(ns), None))
    }

    fn wait_ms(&mut self, call: &Call, ms: i32) -> Reply {
        let Ok(ms) = u64::try_from(ms) else {
            return Reply::Proceed;
        };
        let ns = ms.saturating_mul(1_000_000);
        self.note_timeout(call, ns, None);
        Self::after_nothing(call, ns)
    }

    /// A time limit of two words; `scale` is what one unit of the second has in nanoseconds.
    pub(super) fn wait_pair(&mut self, call: &Call, address: u64, scale: i64) -> Reply {
        // A pointer that cannot be read, or no time at all: the kernel says so better.
        if address != 0
            && let Ok((seconds, fraction)) = call.memory().read_pair(address)
            && let Ok(ns) = duration(normal(call, seconds, fraction), scale)
        {
            // These write it where they have read how long to wait.
            let is_written = matches!(
                call.number,
                libc::SYS_ppoll | libc::SYS_select | libc::SYS_pselect6
            );
            let left = is_written.then_some((address, scale.unsigned_abs()));
            self.note_timeout(call, ns, left);
            return Self::after_nothing(call, ns);
        }
        Reply::Proceed
    }

    /// A wait of this length for nothing in particular is a sleep; others are the kernel's.
    fn after_nothing(call: &Call, ns: u64) -> Reply {
        let [_, second, third, fourth, _, sixth] = call.arguments;
        let is_for_nothing = match call.number {
            libc::SYS_poll => second == 0,
            libc::SYS_ppoll => second == 0 && fourth == 0,
            libc::SYS_select => second | third | fourth == 0 && call.int(0) >= 0,
            libc::SYS_pselect6 => second | third | fourth | sixth == 0 && call.int(0) >= 0,
            _ => false,
        };
        if is_for_nothing && ns > 0 {
            Reply::After(Duration::from_nanos(ns), None)
        } else {
            Reply::Proceed
        }
    }

    /// The kernel waits for so long or for something else; which of both it was shows the
    /// host's clock when the thread calls again.
    pub(super) fn note_timeout(&mut self, call: &Call, ns: u64, left: Option<(u64, u64)>) {
        let Some(until) = Instant::now().checked_add(Duration::from_nanos(ns)) else {
            return;
        };
        let task = self.task(call);
        task.timeout = Some(Timeout {
            until,
            ns,
            began_ns: task.clock.now(),
            left,
        });
    }

    /// Something has ended a wait early: what the kernel wrote as left of it, in the host's time, is
    /// replaced by what is left by the thread's clock. Only if it is still there: the program may
    /// have put something else in its place since.
    pub(in crate::host) fn mend_left(&mut self, call: &Call, interrupted: &Timeout) {
        let Timeout {
            until,
            ns,
            began_ns,
            left: Some((address, scale)),
        } = *interrupted
        else {
            return;
        };
        let least = until.saturating_duration_since(Instant::now()).as_nanos();
        let is_there = call
            .memory()
            .read_pair(address)
            .and_then(|pair| duration(pair, scale.cast_signed()))
            .is_ok_and(|found_ns| {
                found_ns <= ns && u128::from(found_ns) + u128::from(scale) >= least
            });
        if is_there {
            let passed_ns = self.task(call).clock.now().saturating_sub(began_ns);
            let left_ns = ns.saturating_sub(passed_ns);
            let value = Words::default().u64(left_ns / NS).u64(left_ns % NS / scale);
            let _ = call.memory().write(address, &value.0);
        }
    }
}

/// `select(2)` alone takes more than a second in microseconds.
fn normal(call: &Call, seconds: i64, fraction: i64) -> (i64, i64) {
    const MICROSECONDS: i64 = 1_000_000;
    if call.number == libc::SYS_select && fraction >= MICROSECONDS {
        let more = fraction / MICROSECONDS;
        (seconds.saturating_add(more), fraction % MICROSECONDS)
    } else {
        (seconds, fraction)
    }
}

/// Where a wait for nothing writes that nothing is left of its limit.
pub(in crate::host) fn used_up_limit(call: &Call) -> Option<u64> {
    match call.number {
        libc::SYS_select | libc::SYS_pselect6 => Some(call.arguments[4]),
        libc::SYS_ppoll => Some(call.arguments[2]),
        _ => None,
    }
}

/// How long the machine seems to have been up, for a thread's time.
pub(in crate::host) const fn uptime_ns(elapsed_ns: u64) -> u64 {
    UPTIME_AT_START_NS.saturating_add(elapsed_ns)
}

fn timespec(ns: u64) -> Vec<u8> {
    Words::default().u64(ns / NS).u64(ns % NS).0
}

/// `struct rusage` of someone who has worked this long.
pub(super) fn rusage(busy_ns: u64) -> Vec<u8> {
    Words::default()
        .u64(busy_ns / NS)
        .u64(busy_ns % NS / 1000)
        .u64(0)
        .u64(0)
        .u64(RESIDENT_KIB)
        .padded_to(144)
        .0
}

/// Seconds and a fraction, in nanoseconds; `scale` is what one unit of the fraction has.
pub(in crate::host) fn duration((seconds, fraction): (i64, i64), scale: i64) -> Result<u64, Errno> {
    let seconds = u64::try_from(seconds).map_err(|_| INVALID)?;
    let fraction = fraction.checked_mul(scale).ok_or(INVALID)?;
    let fraction = u64::try_from(fraction).map_err(|_| INVALID)?;
    if fraction >= NS {
        return Err(INVALID);
    }
    Ok(seconds.saturating_mul(NS).saturating_add(fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_within_bounds() {
        assert_eq!(duration((1, 5), 1000).ok(), Some(NS + 5_000));
        assert_eq!(duration((i64::MAX, 0), 1).ok(), Some(u64::MAX));
        for bad in [(-1, 0), (0, -1), (0, 1_000_000_000), (0, i64::MAX)] {
            assert!(duration(bad, 1).is_err());
        }
    }

    #[test]
    fn structures_have_the_kernels_length() {
        assert_eq!(rusage(7).len(), size_of::<libc::rusage>());
        assert_eq!(timespec(7).len(), size_of::<libc::timespec>());
    }
}
