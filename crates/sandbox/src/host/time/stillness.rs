//! Sleeping while nothing else can happen takes none of the host's time: when every thread waits for
//! another, the one whose sleep ends first in the action's time is answered at once, and it is that late
//! for all of them. Who sleeps beside others that work is answered in the host's time, but not before
//! those have come to rest that have not worked for long.
//!
//! Whether all wait is seen from outside, in the host's `/proc`: twice, with some time in between, and
//! nobody may have run meanwhile, by the kernel's count of switches. Then there was a moment at which
//! nobody did, and only what the action itself does could change that. Whatever comes by the host's time
//! (a timer that runs, a time limit that the kernel keeps, a network's retransmissions) or from outside
//! (the random device, a reader of the logs) means that sleeps take their time.

use std::time::{Duration, Instant};

use super::sleepers::REST_EVERY;
use crate::host::service::{Service, has_call};
use crate::proc_text::{last_word, proc_text};
use crate::usage;

/// How long all must have been still.
const STILL_FOR: Duration = Duration::from_micros(100);
/// How often a busy action is looked at.
const LOOK_EVERY_MAX: Duration = Duration::from_millis(20);
/// More threads than this are not looked at: builds that have so many have work.
const THREADS_MAX: usize = 200;
/// And so long not again.
const BLIND_FOR: Duration = Duration::from_millis(200);

/// How long others may act before a sleeper whose time has come is answered anyway.
const REST_WITHIN: Duration = Duration::from_millis(200);

/// What was seen of an action some of whose threads sleep.
pub(in crate::host) struct Stillness {
    /// Everybody, as they waited.
    seen: Option<Vec<Waiting>>,
    look_at: Instant,
    every: Duration,
    /// When somebody whose time has come may look for others to come to rest.
    rest_at: Instant,
    /// Until when nobody looks.
    blind_until: Instant,
    /// Process 1 on the host.
    first_process: Option<i32>,
    /// The step's main process. What it leaves behind is not helped to end.
    step: Option<i32>,
    /// Since when somebody whose time has come waits for others to come to rest.
    waits_since: Option<Instant>,
    /// Who has acted for so long that nobody waits for it, until it has waited.
    workers: Vec<i32>,
}

/// A thread, and how often it has been switched to or from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waiting {
    process: i32,
    thread: i32,
    switches: u64,
}

/// What a look at everybody says.
enum Look {
    /// All wait, as they did the last time.
    Still,
    /// All wait; it takes another look.
    Once,
    /// Somebody acts, or waits for the host.
    Busy,
}

/// Everybody in an action.
struct Everybody {
    waiting: Vec<Waiting>,
    acting: Vec<i32>,
}

impl Stillness {
    pub(super) fn unseen() -> Self {
        Self {
            seen: None,
            look_at: Instant::now(),
            every: STILL_FOR,
            rest_at: Instant::now(),
            blind_until: Instant::now(),
            first_process: None,
            step: None,
            waits_since: None,
            workers: Vec::new(),
        }
    }

    /// A thread does something.
    pub(super) fn end(&mut self, now: Instant) {
        self.seen = None;
        self.look_at = now + self.every;
    }

    /// Somebody sleeps, where nobody did before.
    pub(super) fn begin(&mut self, now: Instant) {
        self.every = STILL_FOR;
        self.end(now);
    }

    /// The first call of all is that of the step's main thread.
    pub(super) fn know(&mut self, caller: i32) {
        self.step.get_or_insert(caller);
    }

    pub(super) fn next_look(&self) -> Instant {
        self.look_at.max(self.blind_until)
    }

    /// Somebody is answered: the next one waits anew.
    pub(super) const fn begin_anew(&mut self) {
        self.waits_since = None;
    }

    /// Takes a look at everybody who is there, if somebody sleeps for whose step there is a main process.
    fn look(&mut self, now: Instant, found: &Everybody, awaits_host: bool) -> Look {
        let mut waiting = found.waiting.iter();
        let has_step = waiting.any(|waiting| Some(waiting.process) == self.step);
        let may_be_still = found.acting.is_empty() && !awaits_host && has_step;
        let is_still = may_be_still && self.seen.as_ref() == Some(&found.waiting);
        self.every = if may_be_still {
            STILL_FOR
        } else {
            (self.every * 2).min(LOOK_EVERY_MAX)
        };
        self.look_at = now + self.every;
        self.seen = may_be_still.then(|| found.waiting.clone());
        match (may_be_still, is_still) {
            (_, true) => Look::Still,
            (true, false) => Look::Once,
            (false, false) => Look::Busy,
        }
    }

    /// Whether these, who act, have all done so for long, or a sleeper whose time has come has waited long
    /// enough for them.
    fn is_at_rest(&mut self, now: Instant, acting: Vec<i32>) -> bool {
        self.rest_at = now + REST_EVERY;
        let is_late = self.is_late(now);
        self.workers.retain(|worker| acting.contains(worker));
        let is_at_rest = acting.iter().all(|acting| self.workers.contains(acting));
        if is_late {
            self.workers = acting;
        }
        is_at_rest || is_late
    }

    /// Whether a sleeper whose time has come has waited long enough.
    fn is_late(&mut self, now: Instant) -> bool {
        *self.waits_since.get_or_insert(now) + REST_WITHIN <= now
    }

    /// Everybody, as far as there are not too many of them.
    fn everybody(&mut self, sleepers: &[i32], feeds: Feeds) -> Option<Everybody> {
        let first = match self.first_process {
            Some(first) => first,
            None => *self
                .first_process
                .insert(first_process(*sleepers.first()?)?),
        };
        let (mut waiting, mut acting) = (Vec::new(), Vec::new());
        for process in usage::descendants(first) {
            for thread in usage::threads(process) {
                if waiting.len() + acting.len() == THREADS_MAX {
                    return None;
                }
                let doing = if sleepers.contains(&thread) {
                    Doing::Waits(0) // Whatever the kernel makes of its wait for an answer.
                } else {
                    look(process, thread, feeds)
                };
                match doing {
                    Doing::HasEnded => {}
                    Doing::Waits(switches) => waiting.push(Waiting {
                        process,
                        thread,
                        switches,
                    }),
                    Doing::Acts => acting.push(thread),
                }
            }
        }
        Some(Everybody { waiting, acting })
    }
}

impl Service {
    /// Answers a sleeper: the next one in the action's time if nothing else can happen before, or the
    /// first of those whose time has come, beside others that work.
    pub(super) fn pass_time(&mut self, now: Instant) {
        let is_due = self.sleepers.is_one_due(now);
        let stillness = &self.sleepers.stillness;
        if now < stillness.blind_until {
            return self.answer_first_due(now);
        }
        let looks_for_rest = is_due && stillness.seen.is_none() && stillness.rest_at <= now;
        if now < stillness.look_at && !looks_for_rest {
            return;
        }
        let sleepers = self.sleepers.threads();
        let Some(everybody) = self.everybody(&sleepers) else {
            self.sleepers.stillness.blind_until = now + BLIND_FOR;
            return self.answer_first_due(now);
        };
        let is_there = |thread: i32| {
            let mut waiting = everybody.waiting.iter();
            waiting.any(|waiting| waiting.thread == thread) && !sleepers.contains(&thread)
        };
        let awaits_host = self.traces.network
            || self.sleepers.is_one_asked_again()
            || self.tasks.await_host(is_there);
        let look = self.sleepers.stillness.look(now, &everybody, awaits_host);
        if has_call(&self.listener) {
            return;
        }
        match look {
            Look::Still => self.answer_next(now, &sleepers),
            Look::Busy if is_due && self.sleepers.stillness.is_at_rest(now, everybody.acting) => {
                self.answer_first_due(now);
            }
            // They wait again and again.
            Look::Once if is_due && self.sleepers.stillness.is_late(now) => {
                self.answer_first_due(now);
            }
            Look::Once | Look::Busy => {}
        }
    }

    fn answer_next(&mut self, now: Instant, sleepers: &[i32]) {
        // A signal that waits for one of them comes first.
        self.look_for_signals();
        self.sleepers.stillness.end(now);
        if self.sleepers.threads() == sleepers
            && let Some((later, skipped)) = self.sleepers.take_next(now)
        {
            let others = self.sleepers.threads();
            self.tasks.skip(&later, &others, skipped, now);
            self.answer_sleeper(&later);
        }
    }

    fn everybody(&mut self, sleepers: &[i32]) -> Option<Everybody> {
        let feeds = if self.devices.has_sockets() || self.tasks.has_armed_descriptor {
            Feeds::Some
        } else {
            Feeds::None
        };
        self.sleepers.stillness.everybody(sleepers, feeds)
    }
}

/// Process 1 of the action that a thread belongs to.
fn first_process(thread: i32) -> Option<i32> {
    let mut process = thread;
    loop {
        let status = proc_text(format!("/proc/{process}/status")).ok()?;
        let mut numbers = status
            .lines()
            .find_map(|line| line.strip_prefix("NSpid:"))?
            .split_ascii_whitespace()
            .rev();
        match (numbers.next()?, numbers.next()) {
            ("1", Some(_)) => return Some(process),
            (_, Some(_)) => process = last_word(&status, "PPid:")?.parse().ok()?,
            // Nobody's that is inside.
            (_, None) => return None,
        }
    }
}

/// What a thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    /// After so many switches to it and from it.
    Waits(u64),
    HasEnded,
    /// It runs, or may go on without another's doing.
    Acts,
}

fn look(process: i32, thread: i32, feeds: Feeds) -> Doing {
    let about = |file| proc_text(format!("/proc/{process}/task/{thread}/{file}")).ok();
    let Some(status) = about("status") else {
        return Doing::Acts; // It was there when it was listed, so it has done something since.
    };
    let may_wait = match state(&status) {
        Some(b'Z' | b'X') => return Doing::HasEnded,
        Some(b'T') => true,
        Some(b'S') => about("syscall").is_some_and(|call| waits(process, &call, feeds)),
        _ => false,
    };
    let count = |label| last_word(&status, label)?.parse::<u64>().ok();
    let switches = count("voluntary_ctxt_switches:").zip(count("nonvoluntary_ctxt_switches:"));
    match switches {
        Some((voluntary, other)) if may_wait => Doing::Waits(voluntary.wrapping_add(other)),
        _ => Doing::Acts,
    }
}

/// A thread's state by `/proc/pid/task/tid/status` (proc(5)).
fn state(status: &str) -> Option<u8> {
    let mut lines = status.lines();
    let letters = lines.find_map(|line| line.strip_prefix("State:\t"))?;
    letters.bytes().next()
}

/// Whether a call is one in which a thread waits for another, by `/proc/pid/task/tid/syscall` (proc(5)).
fn waits(process: i32, call: &str, feeds: Feeds) -> bool {
    let mut words = call.split_ascii_whitespace();
    let Some(number) = words.next().and_then(|word| word.parse::<i64>().ok()) else {
        return false; // It runs, or a page is on its way to it.
    };
    let first = words.next().and_then(|word| word.strip_prefix("0x"));
    let descriptor = first.and_then(|digits| i32::from_str_radix(digits, 16).ok());
    if READS.contains(&number) {
        descriptor.is_some_and(|descriptor| is_filled_inside(process, descriptor))
    } else if WAITS_FOR_EVENTS.contains(&number) {
        feeds == Feeds::None
    } else {
        WAITS.contains(&number)
    }
}

/// Whether what one polls may come from outside: a thread of the service writes random bytes into sockets
/// of the action's, or there were descriptors of timers, which go on without who set them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Feeds {
    None,
    Some,
}

/// Whether only another thread of the action can fill a descriptor: not a timer, nor a socket, which may
/// be the random device or have a time limit of its own (`SO_RCVTIMEO`).
fn is_filled_inside(process: i32, descriptor: i32) -> bool {
    const KINDS: [&[u8]; 4] = [
        b"pipe:",
        b"/",
        b"anon_inode:[eventfd",
        b"anon_inode:[signalfd",
    ];
    let target = std::fs::read_link(format!("/proc/{process}/fd/{descriptor}"));
    target.is_ok_and(|target| {
        let name = target.as_os_str().as_encoded_bytes();
        KINDS.iter().any(|kind| name.starts_with(kind))
    })
}

/// Calls that wait for bytes, from the descriptor that is their first argument.
const READS: [i64; 2] = [libc::SYS_read, libc::SYS_readv];

/// Calls that wait for any of several descriptors.
const WAITS_FOR_EVENTS: [i64; 6] = [
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_select,
    libc::SYS_pselect6,
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
];

/// Calls in which a thread waits for another, for a signal, or for its sleep to end. Absent on purpose:
/// writes, which may wait for a reader of the logs, and all that is about sockets.
const WAITS: [i64; 16] = [
    libc::SYS_open,
    libc::SYS_openat,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_futex,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_pause,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_flock,
    libc::SYS_fcntl,
    libc::SYS_msgrcv,
    libc::SYS_semop,
    libc::SYS_semtimedop,
];

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::sync::mpsc;

    use super::*;

    /// What is seen of a thread once it sleeps in the kernel.
    fn seen(thread: i32, feeds: Feeds) -> Doing {
        let process = std::process::id().cast_signed();
        let path = format!("/proc/{process}/task/{thread}/status");
        while state(&proc_text(&path).unwrap()) != Some(b'S') {
            std::thread::yield_now();
        }
        look(process, thread, feeds)
    }

    /// Starts a thread; its number.
    fn start(work: impl FnOnce() + Send + 'static) -> i32 {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            sender
                .send(rustix::thread::gettid().as_raw_nonzero().get())
                .unwrap();
            work();
        });
        receiver.recv().unwrap()
    }

    #[test]
    fn who_reads_waits_for_another_and_who_writes_may_wait_for_the_host() {
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        let reading = start(move || drop(reader.read(&mut [0])));
        let first = seen(reading, Feeds::Some);
        assert!(matches!(first, Doing::Waits(_)), "{first:?}");
        assert_eq!(seen(reading, Feeds::None), first);
        writer.write_all(b"x").unwrap();

        let (reader, mut writer) = std::io::pipe().unwrap();
        let writing = start(move || drop(writer.write_all(&vec![0; 1 << 20])));
        assert_eq!(seen(writing, Feeds::None), Doing::Acts);
        drop(reader);
    }

    #[test]
    fn who_waits_at_a_socket_may_wait_for_the_host() {
        let (mut here, there) = std::os::unix::net::UnixStream::pair().unwrap();
        let reading = start(move || drop(here.read(&mut [0])));
        assert_eq!(seen(reading, Feeds::None), Doing::Acts);
        drop(there);
    }

    #[test]
    fn who_runs_is_not_still() {
        let process = std::process::id().cast_signed();
        let own = rustix::thread::gettid().as_raw_nonzero().get();
        assert_eq!(look(process, own, Feeds::None), Doing::Acts);
        assert_eq!(first_process(own), None, "this is nobody's sandbox");
    }
}
