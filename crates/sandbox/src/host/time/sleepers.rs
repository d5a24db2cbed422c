//! Calls that are answered later, and how a signal ends them.
//!
//! A thread that waits for an answer takes no signals (`SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`), so
//! the service looks for them. What it then answers is for the kernel alone (`ERESTARTSYS` and its
//! like), which turns it into `EINTR` or begins the call anew on the thread's way out, but only if
//! that thread has been told of a signal. Of a process's threads the kernel tells one, and which it
//! was nobody can see. A thread that may not have been told is therefore stopped on its way out,
//! which is as good; a signal for the whole process it then takes like any other.

use std::time::{Duration, Instant};

use rustix::event::Timespec;

use super::stillness::Stillness;
use crate::host::service::{Call, DONE, Service};
use crate::host::{Map, Set};
use crate::proc_text::proc_text;
use crate::sys::{self, Errno, Held};

/// How often sleepers are asked for signals.
const SIGNALS_EVERY: Duration = Duration::from_millis(20);

/// How often it is looked whether others have come to rest.
pub(super) const REST_EVERY: Duration = Duration::from_millis(1);

/// What the kernel itself answers to a call that a signal interrupts: try again after the
/// handler, or after no handler only.
const ERESTARTSYS: i32 = 512;
const ERESTARTNOHAND: i32 = 514;

/// A call that is answered when its time has come.
pub(in crate::host) struct Later {
    pub(in crate::host) due: Instant,
    pub(in crate::host) call: Call,
    /// Whether it is then asked again, or has done what it should.
    pub(in crate::host) is_asked_again: bool,
    /// Where what is left of it goes, and of how much, if a signal ends it.
    pub(in crate::host) left: Option<(u64, Duration)>,
    /// Its time by the thread's clock; the last of all times if it never ends.
    pub(in crate::host) due_ns: u64,
    /// A time limit that the kernel would leave empty.
    pub(in crate::host) used_up: Option<u64>,
}

impl Later {
    /// Whether it is a sleep whose time has come.
    fn is_due(&self, now: Instant) -> bool {
        !self.is_asked_again && self.due <= now
    }

    /// Who comes first, if several could.
    fn order(&self) -> (u64, i32) {
        (self.due_ns, self.call.thread)
    }
}

/// All of them.
pub(in crate::host) struct Sleepers {
    calls: Vec<Later>,
    /// The earliest of their times.
    due: Option<Instant>,
    /// When they were asked for signals last.
    looked: Instant,
    /// Sleeps that their threads are about to begin anew, since no handler has seen the signal.
    resumed: Map<i32, Later>,
    /// Traced threads that were sent a stop which is none.
    prodded: Set<i32>,
    pub(super) stillness: Stillness,
}

impl Sleepers {
    pub(in crate::host) fn none() -> Self {
        Self {
            calls: Vec::new(),
            due: None,
            looked: Instant::now(),
            resumed: Map::default(),
            prodded: Set::default(),
            stillness: Stillness::unseen(),
        }
    }

    /// A thread calls.
    pub(in crate::host) fn hear(&mut self, thread: i32) {
        self.stillness.know(thread);
        if !self.calls.is_empty() {
            self.stillness.end(Instant::now());
        }
    }

    /// Whose they are, sorted.
    pub(super) fn threads(&self) -> Vec<i32> {
        let mut threads: Vec<i32> = self.calls.iter().map(|later| later.call.thread).collect();
        threads.sort_unstable();
        threads
    }

    pub(super) fn is_one_due(&self, now: Instant) -> bool {
        self.calls.iter().any(|later| later.is_due(now))
    }

    pub(super) fn is_one_asked_again(&self) -> bool {
        self.calls.iter().any(|later| later.is_asked_again)
    }

    pub(in crate::host) fn push(&mut self, later: Later) {
        if self.calls.is_empty() {
            self.stillness.begin(Instant::now());
        }
        self.put_back(later);
    }

    /// One that was looked at.
    fn put_back(&mut self, later: Later) {
        self.due = Some(self.due.map_or(later.due, |due| due.min(later.due)));
        self.calls.push(later);
    }

    fn take(&mut self) -> Vec<Later> {
        self.due = None;
        std::mem::take(&mut self.calls)
    }

    /// The first, in the action's time, of those that are taken.
    fn take_first(&mut self, is_taken: impl Fn(&Later) -> bool) -> Option<Later> {
        let taken = self
            .calls
            .iter()
            .enumerate()
            .filter(|(_, later)| is_taken(later));
        let (first, _) = taken.min_by_key(|(_, later)| later.order())?;
        let first = self.calls.swap_remove(first);
        self.set_due();
        Some(first)
    }

    /// Takes the next one in the action's time before its own, and as much from the others'. A sleep
    /// that never ends has no time.
    pub(super) fn take_next(&mut self, now: Instant) -> Option<(Later, Duration)> {
        let next = self.take_first(|later| later.due_ns < u64::MAX)?;
        let skipped = next.due.saturating_duration_since(now);
        for later in &mut self.calls {
            later.due = later.due.checked_sub(skipped).unwrap_or(now);
        }
        self.set_due();
        Some((next, skipped))
    }

    fn set_due(&mut self) {
        self.due = self.calls.iter().map(|later| later.due).min();
    }

    /// What is left of a sleep that this call continues.
    pub(in crate::host) fn continued(&mut self, call: &Call) -> Option<Later> {
        if self.resumed.is_empty() {
            return None;
        }
        let later = self.resumed.remove(&call.thread)?;
        let is_same = later.call.number == call.number
            && later.call.arguments == call.arguments
            && later.call.instruction == call.instruction;
        is_same.then_some(Later {
            call: *call,
            ..later
        })
    }

    /// Whether a thread's next stop is the one that it was sent. It is then nobody else's business.
    pub(super) fn has_prodded(&mut self, thread: i32) -> bool {
        self.prodded.remove(&thread)
    }
}

impl Service {
    /// Answers calls whose time has come; how long the next one still has to wait.
    pub(in crate::host) fn answer_due(&mut self) -> Option<Timespec> {
        let first = self.sleepers.due?;
        let now = Instant::now();
        if first <= now {
            self.ask_again(now);
        }
        if now.saturating_duration_since(self.sleepers.looked) >= SIGNALS_EVERY {
            self.sleepers.looked = now;
            self.look_for_signals();
        }
        self.pass_time(now);
        let due = self.sleepers.due?;
        // One whose time has come waits for others to come to rest.
        let left = due
            .max(now + REST_EVERY)
            .min(self.sleepers.looked + SIGNALS_EVERY)
            .min(self.sleepers.stillness.next_look().max(now));
        Some(Timespec {
            tv_sec: 0,
            tv_nsec: left.saturating_duration_since(now).subsec_nanos().into(),
        })
    }

    fn ask_again(&mut self, now: Instant) {
        while let Some(later) = self
            .sleepers
            .take_first(|later| later.is_asked_again && later.due <= now)
        {
            if sys::is_waiting(&*self.listener, later.call.id) {
                let reply = self.handle(&later.call);
                self.answer(later.call, reply);
            }
        }
    }

    pub(super) fn answer_first_due(&mut self, now: Instant) {
        if let Some(later) = self.sleepers.take_first(|later| later.is_due(now)) {
            self.answer_sleeper(&later);
        }
    }

    pub(super) fn answer_sleeper(&mut self, later: &Later) {
        self.sleepers.stillness.begin_anew();
        if let Some(address) = later.used_up {
            let _ = later.call.memory().write(address, &[0; 16]);
        }
        self.answer(later.call, DONE);
    }

    pub(super) fn look_for_signals(&mut self) {
        let mut calls = self.sleepers.take();
        // Who takes a signal that any thread of a process may take.
        calls.sort_by_key(|later| later.call.thread);
        let mut served = Set::default();
        for later in calls {
            // Its thread was killed.
            if !sys::is_waiting(&*self.listener, later.call.id) {
                continue;
            }
            let signals = Signals::of(later.call.thread);
            let is_first = signals.shared == 0 || served.insert(signals.process);
            // A stop is for all threads, a handler runs in one.
            if signals.are_any() && (is_first || signals.are_told() || !signals.are_caught()) {
                self.interrupt(later, &signals);
            } else {
                self.sleepers.put_back(later);
            }
        }
    }

    fn interrupt(&mut self, later: Later, signals: &Signals) {
        let call = later.call;
        let restart = Err(Errno(if later.is_asked_again {
            ERESTARTSYS
        } else {
            ERESTARTNOHAND
        }));
        if signals.are_told() {
            self.leave_sleep(later, signals.are_caught());
            return self.answer(call, restart);
        }
        if self.is_traced {
            // The tracer's alone to stop, by a signal that no thread can block. It takes `SIGCONT`
            // away: who has that waits a little longer.
            let can_send = signals.shared & Signals::CONTINUE == 0;
            if !can_send || sys::send_stop(signals.process, call.thread).is_err() {
                return self.sleepers.put_back(later);
            }
            self.sleepers.prodded.insert(call.thread);
            self.leave_sleep(later, signals.are_caught());
            return self.answer(call, restart);
        }
        match Held::seize(call.thread) {
            Ok(held) => {
                self.answer(call, restart);
                if held.has_stopped() {
                    // Another thread may have been quicker.
                    self.leave_sleep(later, Signals::of(call.thread).are_caught());
                }
            }
            // Not quite what the kernel does, but nothing that only the kernel knows.
            Err(_) if signals.are_caught() => {
                self.leave_sleep(later, true);
                self.answer(call, Err(Errno(libc::EINTR)));
            }
            Err(_) => self.sleepers.put_back(later),
        }
    }

    /// A sleep ends before its time, or is begun anew if no handler sees why.
    fn leave_sleep(&mut self, later: Later, is_caught: bool) {
        if later.is_asked_again {
            return; // It was not asleep by any clock.
        }
        if !is_caught {
            self.sleepers.resumed.insert(later.call.thread, later);
        } else if let Some((address, delay)) = later.left {
            self.cut_short(&later.call, address, delay);
        }
    }

    /// What is left of a sleep that a stop has interrupted is slept by the same call.
    pub(in crate::host) fn continue_sleep(&mut self, call: &Call) -> bool {
        let Some(later) = self.sleepers.continued(call) else {
            return false;
        };
        self.sleepers.push(later);
        true
    }
}

/// Signals that wait for a thread and would do something to it.
struct Signals {
    /// The process that it is a thread of.
    process: i32,
    /// Whether it is the only one.
    is_alone: bool,
    own: u64,
    shared: u64,
    /// Those that have a handler.
    caught: u64,
}

impl Signals {
    const CONTINUE: u64 = Self::bit(libc::SIGCONT);
    /// Those that do nothing without a handler.
    const IDLE: u64 = Self::CONTINUE
        | Self::bit(libc::SIGCHLD)
        | Self::bit(libc::SIGURG)
        | Self::bit(libc::SIGWINCH);

    const fn bit(signal: i32) -> u64 {
        1 << (signal - 1)
    }

    fn of(thread: i32) -> Self {
        let status = proc_text(format!("/proc/{thread}/status"));
        Self::in_status(&status.unwrap_or_default())
    }

    /// From a text of the kernel's (proc(5), `/proc/pid/status`).
    fn in_status(status: &str) -> Self {
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().trim()
        };
        let mask = |name: &str| u64::from_str_radix(value(name), 16).unwrap_or(0);
        let caught = mask("SigCgt:");
        let idle = mask("SigBlk:") | mask("SigIgn:") | (Self::IDLE & !caught);
        Self {
            process: value("Tgid:").parse().unwrap_or(0),
            is_alone: value("Threads:") == "1",
            own: mask("SigPnd:") & !idle,
            shared: mask("ShdPnd:") & !idle,
            caught,
        }
    }

    const fn are_any(&self) -> bool {
        self.own | self.shared != 0
    }

    const fn are_caught(&self) -> bool {
        (self.own | self.shared) & self.caught != 0
    }

    /// Whether the kernel has certainly told this thread.
    const fn are_told(&self) -> bool {
        self.own != 0 || (self.is_alone && self.shared != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_signals_end_a_sleep() {
        let status = |threads, own: u64, shared: u64, blocked: u64| {
            Signals::in_status(&format!(
                "Name:\tx\nTgid:\t7\nPid:\t8\nThreads:\t{threads}\nSigPnd:\t{own:016x}\n\
                 ShdPnd:\t{shared:016x}\nSigBlk:\t{blocked:016x}\nSigIgn:\t{:016x}\n\
                 SigCgt:\t{:016x}\n",
                Signals::bit(libc::SIGPIPE),
                Signals::bit(libc::SIGUSR1) | Signals::bit(libc::SIGURG),
            ))
        };
        let bit = Signals::bit;
        // Any, caught, told.
        for (threads, own, shared, blocked, expected) in [
            (1, 0, 0, 0, (false, false, false)),
            (1, 0, bit(libc::SIGUSR1), 0, (true, true, true)),
            (2, 0, bit(libc::SIGUSR1), 0, (true, true, false)),
            (2, bit(libc::SIGUSR1), 0, 0, (true, true, true)),
            (1, 0, bit(libc::SIGSTOP), 0, (true, false, true)),
            (2, 0, bit(libc::SIGURG), 0, (true, true, false)),
            // Blocked, ignored, without effect.
            (
                1,
                0,
                bit(libc::SIGUSR1),
                bit(libc::SIGUSR1),
                (false, false, false),
            ),
            (1, 0, bit(libc::SIGPIPE), 0, (false, false, false)),
            (
                1,
                bit(libc::SIGCHLD),
                bit(libc::SIGCONT),
                0,
                (false, false, false),
            ),
        ] {
            let signals = status(threads, own, shared, blocked);
            assert_eq!(signals.process, 7);
            let found = (signals.are_any(), signals.are_caught(), signals.are_told());
            assert_eq!(found, expected, "{threads} {own:x} {shared:x} {blocked:x}");
        }
    }
}
