//! Timers: the kernel runs them in the host's time, what they show is the action's.
//!
//! A timer that has gone off in the host's time has gone off in the action's: its process's
//! clock is then at least that late, however it learned of it (a signal, a descriptor, a wait
//! that ended). What is left of a timer is counted by the clock of whoever asks.

use std::time::{Duration, Instant};

use super::deadlines::host_time;
use super::times::{NS, duration};
use crate::host::Map;
use crate::host::process::memory::Words;
use crate::host::service::{Answer, Call, DONE, Reply, Service};
use crate::proc_text::proc_text;

/// Which timer of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Timer {
    /// `setitimer(2)`, and `alarm(2)`, which is number 0.
    Interval(i32),
    /// `timer_create(2)`.
    Posix(i32),
    /// `timerfd_create(2)`, by its descriptor.
    Descriptor(i32),
}

/// A timer that runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Armed {
    /// When it goes off next, in the action's time and in the host's; none if the host's clock
    /// is not what it runs by (processor time).
    due_ns: u64,
    due: Option<Instant>,
    every_ns: u64,
}

/// Timers of one process that are known; the kernel has a limit, too, but it comes after us.
const TIMERS_MAX: usize = 1024;

/// The timers of one process.
#[derive(Debug, Default)]
pub(in crate::host) struct Timers(Map<Timer, Armed>);

impl Timers {
    /// The latest time in the action at which one of them has gone off by now. `is_there` says
    /// whether the process still has a timer's descriptor: that it closed it nobody hears.
    fn gone_off(&mut self, now: Instant, is_there: impl Fn(i32) -> bool) -> Option<u64> {
        let mut latest = None;
        self.0.retain(|timer, armed| {
            let Some(due) = armed.due.filter(|due| *due <= now) else {
                return true;
            };
            if matches!(timer, Timer::Descriptor(number) if !is_there(*number)) {
                return false;
            }
            if armed.every_ns == 0 {
                latest = latest.max(Some(armed.due_ns));
                return false;
            }
            let every = Duration::from_nanos(armed.every_ns);
            let passed = now.duration_since(due).as_nanos() / u128::from(armed.every_ns);
            let passed = u32::try_from(passed).unwrap_or(u32::MAX);
            let last_ns = armed
                .due_ns
                .saturating_add(armed.every_ns.saturating_mul(passed.into()));
            latest = latest.max(Some(last_ns));
            armed.due_ns = last_ns.saturating_add(armed.every_ns);
            armed.due = due.checked_add(every.saturating_mul(passed.saturating_add(1)));
            true
        });
        latest
    }

    /// The process executes another program, which those of `timer_create(2)` do not survive.
    pub(in crate::host) fn executed(&mut self) {
        self.0.retain(|timer, _| !matches!(timer, Timer::Posix(_)));
    }

    pub(in crate::host) fn run_by_host(&self) -> bool {
        self.0.values().any(|armed| armed.due.is_some())
    }

    pub(super) fn are_any(&self) -> bool {
        !self.0.is_empty()
    }

    /// A timer is set. Whether the kernel does that nobody hears here.
    fn set(&mut self, timer: Timer, armed: Armed) {
        if self.0.len() < TIMERS_MAX || self.0.contains_key(&timer) {
            self.0.insert(timer, armed);
        }
    }

    /// Interval and rest, in nanoseconds.
    fn left(&self, timer: Timer, now_ns: u64) -> (u64, u64) {
        self.0.get(&timer).map_or((0, 0), |armed| {
            // A timer that runs has at least something left.
            (armed.every_ns, armed.due_ns.saturating_sub(now_ns).max(1))
        })
    }
}

impl Service {
    /// Moves the thread's clock on to what its process's timers have shown it; whether they have.
    pub(in crate::host) fn see_timers(&mut self, call: &Call) -> bool {
        let process = self.task(call).process;
        let timers = &mut self.tasks.process(process).timers;
        if !timers.are_any() {
            return false;
        }
        let is_there = |descriptor| is_timer(process, descriptor);
        let Some(due_ns) = timers.gone_off(Instant::now(), is_there) else {
            return false;
        };
        self.task(call).clock.merge(due_ns);
        true
    }

    pub(super) fn timer_call(&mut self, call: &Call) -> Option<Answer> {
        let [_, second, third, fourth, ..] = call.arguments;
        let id = call.int(0);
        Some(match call.number {
            libc::SYS_getitimer => self.timer_left(call, Timer::Interval(id), second, 1000),
            libc::SYS_timer_gettime => self.timer_left(call, Timer::Posix(id), second, 1),
            libc::SYS_timerfd_gettime => self.timer_left(call, Timer::Descriptor(id), second, 1),
            libc::SYS_setitimer => {
                Ok(self.arm(call, Timer::Interval(id), second, false, third, 1000))
            }
            libc::SYS_timer_settime => {
                let is_absolute = call.int(1) & libc::TIMER_ABSTIME != 0;
                Ok(self.arm(call, Timer::Posix(id), third, is_absolute, fourth, 1))
            }
            libc::SYS_timerfd_settime => {
                self.tasks.has_armed_descriptor = true;
                let is_absolute = call.int(1) & libc::TFD_TIMER_ABSTIME != 0;
                Ok(self.arm(call, Timer::Descriptor(id), third, is_absolute, fourth, 1))
            }
            libc::SYS_timer_delete => {
                let process = self.task(call).process;
                self.tasks
                    .process(process)
                    .timers
                    .0
                    .remove(&Timer::Posix(id));
                Ok(Reply::Proceed)
            }
            libc::SYS_alarm => Ok(self.alarm(call)),
            _ => return None,
        })
    }

    fn timer_left(&mut self, call: &Call, timer: Timer, address: u64, scale: u64) -> Answer {
        let now_ns = self.task(call).clock.read();
        let process = self.task(call).process;
        let left = self.tasks.process(process).timers.left(timer, now_ns);
        call.memory().write(address, &setting(left, scale))?;
        DONE
    }

    fn alarm(&mut self, call: &Call) -> Reply {
        let now_ns = self.task(call).clock.now();
        let process = self.task(call).process;
        let timer = Timer::Interval(libc::ITIMER_REAL);
        let (_, left_ns) = self.tasks.process(process).timers.left(timer, now_ns);
        let seconds = u64::from(call.int(0).cast_unsigned());
        self.note_timer(call, timer, 0, seconds.saturating_mul(NS));
        Self::proceed_with_result(i64::try_from(left_ns.div_ceil(NS)).unwrap_or(0))
    }

    fn arm(
        &mut self,
        call: &Call,
        timer: Timer,
        new: u64,
        is_absolute: bool,
        old: u64,
        scale: i64,
    ) -> Reply {
        let memory = call.memory();
        let read = memory
            .read_pair(new)
            .and_then(|every| {
                Ok((
                    duration(every, scale)?,
                    memory.read_pair(new.wrapping_add(16))?,
                ))
            })
            .and_then(|(every, first)| Ok((every, duration(first, scale)?)));
        let Ok((every_ns, mut first_ns)) = read else {
            return Reply::Proceed; // The kernel has the right error, or only asks.
        };
        let now_ns = self.task(call).clock.now();
        let process = self.task(call).process;
        let before = self.tasks.process(process).timers.left(timer, now_ns);
        let mut replaced = None;
        if is_absolute && first_ns > 0 {
            let is_real_time = runs_by_date(process, timer);
            let now = self.shown_ns(is_real_time, now_ns);
            first_ns = first_ns.saturating_sub(now).max(1);
            replaced = Some((new.wrapping_add(16), host_time(is_real_time, first_ns)));
        }
        self.note_timer(call, timer, every_ns, first_ns);
        let scale = scale.cast_unsigned();
        let after = (old != 0).then(|| (old, setting(before, scale)));
        Self::proceed_and_mend(replaced, after)
    }

    fn note_timer(&mut self, call: &Call, timer: Timer, every_ns: u64, first_ns: u64) {
        let now_ns = self.task(call).clock.now();
        let process = self.task(call).process;
        let timers = &mut self.tasks.process(process).timers;
        if first_ns == 0 {
            timers.0.remove(&timer);
            return;
        }
        let by_host = !matches!(timer, Timer::Interval(kind) if kind != libc::ITIMER_REAL);
        let due = Instant::now().checked_add(Duration::from_nanos(first_ns));
        let armed = Armed {
            due_ns: now_ns.saturating_add(first_ns),
            due: due.filter(|_| by_host),
            every_ns,
        };
        timers.set(timer, armed);
    }
}

/// Whether a descriptor is a timer's.
fn is_timer(process: i32, descriptor: i32) -> bool {
    descriptor_text(process, descriptor).contains("\nit_interval:")
}

/// What the kernel says of a descriptor (proc(5), `/proc/pid/fdinfo`), as far as it may be asked.
fn descriptor_text(process: i32, descriptor: i32) -> String {
    proc_text(format!("/proc/{process}/fdinfo/{descriptor}")).unwrap_or_default()
}

/// Whether a timer's times count from 1970 rather than from the machine's start: which clock it has
/// is not in the call that sets it.
fn runs_by_date(process: i32, timer: Timer) -> bool {
    let clock = match timer {
        Timer::Interval(_) => None,
        Timer::Descriptor(number) => clock_of(&descriptor_text(process, number), "", "\nclockid:"),
        Timer::Posix(id) => {
            let list = proc_text(format!("/proc/{process}/timers"));
            clock_of(
                &list.unwrap_or_default(),
                &format!("ID: {id}\n"),
                "\nClockID:",
            )
        }
    };
    matches!(
        clock,
        Some(libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_ALARM | libc::CLOCK_TAI)
    )
}

/// The number of the clock in a text of the kernel: the first after `label` after `head`.
fn clock_of(text: &str, head: &str, label: &str) -> Option<i32> {
    let (_, entry) = text.split_once(head)?;
    let (_, rest) = entry.split_once(label)?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

/// `struct itimerspec`, or `itimerval` with a scale of 1000: interval and rest.
fn setting((every_ns, left_ns): (u64, u64), scale: u64) -> Vec<u8> {
    // Rounded up: what is left is never nothing.
    let left_ns = left_ns.checked_next_multiple_of(scale).unwrap_or(left_ns);
    Words::default()
        .u64(every_ns / NS)
        .u64(every_ns % NS / scale)
        .u64(left_ns / NS)
        .u64(left_ns % NS / scale)
        .0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_gone_off_and_what_is_left() {
        let second = Duration::from_secs(1);
        let before = Instant::now();
        let now = before + second;
        let mut timers = Timers::default();
        let once = Timer::Interval(0);
        timers.0.insert(
            once,
            Armed {
                due_ns: 10,
                due: Some(now),
                every_ns: 0,
            },
        );
        assert_eq!(timers.left(once, 4), (0, 6));
        assert_eq!(timers.gone_off(before, |_| true), None);
        assert_eq!(timers.gone_off(now, |_| true), Some(10));
        assert!(!timers.are_any());
        timers.0.insert(
            once,
            Armed {
                due_ns: 10,
                due: Some(now),
                every_ns: NS,
            },
        );
        assert_eq!(
            timers.gone_off(now + second + second / 2, |_| true),
            Some(10 + NS)
        );
        assert_eq!(timers.left(once, 10 + NS), (NS, NS));
    }

    #[test]
    fn no_more_are_known_than_the_bound_and_none_is_longer_than_all_time() {
        let mut timers = Timers::default();
        let armed = |due_ns| Armed {
            due_ns,
            due: None,
            every_ns: u64::MAX,
        };
        for id in 0..2 * i32::try_from(TIMERS_MAX).unwrap() {
            timers.set(Timer::Posix(id), armed(10));
        }
        assert_eq!(timers.0.len(), TIMERS_MAX);
        timers.set(Timer::Posix(1), armed(u64::MAX));
        let left = timers.left(Timer::Posix(1), 0);
        assert_eq!(left, (u64::MAX, u64::MAX));
        assert_eq!(setting(left, 1000).len(), 32);
    }

    #[test]
    fn a_descriptor_that_is_closed_is_no_timer_any_more() {
        let now = Instant::now();
        let mut timers = Timers::default();
        let armed = Armed {
            due_ns: 10,
            due: Some(now),
            every_ns: 1,
        };
        timers.0.insert(Timer::Descriptor(3), armed);
        assert_eq!(timers.gone_off(now, |_| true), Some(10));
        let later = now + Duration::from_secs(1);
        assert_eq!(timers.gone_off(later, |descriptor| descriptor != 3), None);
        assert!(!timers.are_any());
        assert!(!is_timer(std::process::id().cast_signed(), 0));
    }

    #[test]
    fn the_kernel_says_which_clock_a_timer_has() {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        use std::os::fd::AsRawFd;
        let process = std::process::id().cast_signed();
        for (clock, by_date) in [
            (TimerfdClockId::Realtime, true),
            (TimerfdClockId::Monotonic, false),
        ] {
            let timer = timerfd_create(clock, TimerfdFlags::CLOEXEC).unwrap();
            let timer = Timer::Descriptor(timer.as_raw_fd());
            assert_eq!(runs_by_date(process, timer), by_date);
        }
        // proc(5), `/proc/pid/timers`.
        let list = "ID: 1\nsignal: 60/00007fff86e452a8\nnotify: signal/pid.2634\nClockID: 0\n\
                    ID: 11\nsignal: 60/00007fff86e452a8\nnotify: signal/pid.2634\nClockID: 1\n";
        assert_eq!(clock_of(list, "ID: 1\n", "\nClockID:"), Some(0));
        assert_eq!(clock_of(list, "ID: 11\n", "\nClockID:"), Some(1));
        assert_eq!(clock_of(list, "ID: 2\n", "\nClockID:"), None);
    }
}
