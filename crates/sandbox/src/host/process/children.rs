//! `wait4(2)` and `waitid(2)` that also ask what a child has used. The kernel would tell of the
//! host's time, so it is left to do them only when there is a child to tell of, and mended
//! (`deadlines.rs`).

use std::time::{Duration, Instant};

use crate::host::service::{Call, Reply, Service};
use crate::host::time::deadlines::Mend;
use crate::proc_text::{last_word, proc_text};

/// How often a wait for a child is looked at that the kernel is not yet left to.
const CHILDREN_EVERY: Duration = Duration::from_millis(1);

/// Options that either call takes, beside its own.
const OPTIONS: i32 =
    libc::WNOHANG | libc::WCONTINUED | libc::__WNOTHREAD | libc::__WCLONE | libc::__WALL;

impl Service {
    pub(in crate::host) fn wait_with_usage(&mut self, call: &Call) -> Reply {
        // The tracer holds the thread behind the call however long it takes; here everybody
        // else would wait.
        if !self.is_traced && self.must_wait(call) {
            return Reply::Again(CHILDREN_EVERY);
        }
        Reply::Mend(Mend::usage(match call.number {
            libc::SYS_wait4 => call.arguments[3],
            _ => call.arguments[4],
        }))
    }

    /// Whether the kernel would find nothing to tell yet, and wait.
    fn must_wait(&mut self, call: &Call) -> bool {
        let task = self.task(call);
        let (process, in_vain) = (task.process, task.waited_in_vain);
        let Some(wait) = Wait::of(call, process) else {
            return false;
        };
        let mut children = crate::usage::children(process)
            .into_iter()
            .filter_map(Child::read)
            .filter(|child| wait.is_for(child))
            .peekable();
        if children.peek().is_none() {
            return false; // Nobody to wait for, which the kernel says.
        }
        // What it has to tell cannot always be seen here, so it is not asked all the time.
        let is_soon = in_vain.is_some_and(|last| last.elapsed() < CHILDREN_EVERY);
        is_soon || !children.any(|child| wait.has_news(&child))
    }

    /// The kernel had nothing to tell, and the wait begins anew.
    pub(in crate::host) fn waited_in_vain(&mut self, thread: i32) {
        let patch = self.patch;
        self.tasks.task(thread, patch).waited_in_vain = Some(Instant::now());
    }
}

/// Whom a call waits for. Numbers are those inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whom {
    Any,
    Process(i32),
    Group(i32),
}

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wait {
    whom: Whom,
    ends: bool,
    stops: bool,
    continuations: bool,
}

impl Wait {
    /// None if the kernel refuses the call, or answers at once.
    fn of(call: &Call, process: i32) -> Option<Self> {
        let is_waitid = call.number == libc::SYS_waitid;
        let (known, options) = if is_waitid {
            let own = libc::WEXITED | libc::WSTOPPED | libc::WNOWAIT;
            (OPTIONS | own, call.int(3))
        } else {
            (OPTIONS | libc::WUNTRACED, call.int(2))
        };
        if options & !known != 0 || options & libc::WNOHANG != 0 {
            return None;
        }
        let own_group = || Child::read(process).map(|own| Whom::Group(own.group));
        let whom = if is_waitid {
            let id = call.int(1);
            match call.arguments[0] & 0xffff_ffff {
                ALL => Whom::Any,
                PROCESS if id > 0 => Whom::Process(id),
                GROUP if id > 0 => Whom::Group(id),
                GROUP if id == 0 => own_group()?,
                HANDLE => Whom::Process(by_handle(process, id)?),
                _ => return None,
            }
        } else {
            match call.int(0) {
                -1 => Whom::Any,
                0 => own_group()?,
                i32::MIN => return None,
                id if id < 0 => Whom::Group(-id),
                id => Whom::Process(id),
            }
        };
        let wait = Self {
            whom,
            ends: !is_waitid || options & libc::WEXITED != 0,
            stops: options & libc::WUNTRACED != 0,
            continuations: options & libc::WCONTINUED != 0,
        };
        (wait.ends || wait.stops || wait.continuations).then_some(wait)
    }

    fn is_for(&self, child: &Child) -> bool {
        match self.whom {
            Whom::Any => true,
            Whom::Process(number) => child.number == number,
            Whom::Group(group) => child.group == group,
        }
    }

    /// Whether there may be something to tell of a child: that it was continued only the kernel
    /// knows.
    fn has_news(&self, child: &Child) -> bool {
        self.continuations || (self.ends && child.has_ended) || (self.stops && child.has_stopped)
    }
}

/// `P_ALL` and its like, of `waitid(2)`.
const ALL: u64 = 0;
const PROCESS: u64 = 1;
const GROUP: u64 = 2;
const HANDLE: u64 = 3;

/// The process that a pidfd is for; none if it is none, or one that does not wait.
fn by_handle(process: i32, descriptor: i32) -> Option<i32> {
    let text = proc_text(format!("/proc/{process}/fdinfo/{descriptor}")).ok()?;
    let flags = i32::from_str_radix(last_word(&text, "flags:")?, 8).ok()?;
    if flags & libc::O_NONBLOCK != 0 {
        return None;
    }
    last_word(&text, "NSpid:")?.parse().ok()
}

/// A child, by its numbers inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Child {
    number: i32,
    group: i32,
    has_ended: bool,
    has_stopped: bool,
}

impl Child {
    fn read(process: i32) -> Option<Self> {
        let status = proc_text(format!("/proc/{process}/status")).ok()?;
        Self::in_status(&status)
    }

    /// From a text of the kernel's (proc(5), `/proc/pid/status`).
    fn in_status(status: &str) -> Option<Self> {
        let state = status
            .lines()
            .find_map(|line| line.strip_prefix("State:"))?
            .trim_start();
        Some(Self {
            number: last_word(status, "NSpid:")?.parse().ok()?,
            group: last_word(status, "NSpgid:")?.parse().ok()?,
            has_ended: state.starts_with('Z'),
            has_stopped: state.starts_with('T'),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for() {
        let child = |number, group, state| {
            let status = format!(
                "Name:\tx\nState:\t{state}\nTgid:\t99\nNStgid:\t99\t{number}\n\
                 NSpid:\t99\t{number}\nNSpgid:\t90\t{group}\n"
            );
            Child::in_status(&status).unwrap()
        };
        let ended = child(7, 5, "Z (zombie)");
        let (runs, stopped) = (child(8, 8, "S (sleeping)"), child(9, 8, "T (stopped)"));
        let wait = |number, arguments| {
            Wait::of(
                &Call {
                    id: 0,
                    thread: 1,
                    number,
                    arguments,
                    instruction: 0,
                },
                std::process::id().cast_signed(),
            )
        };
        let minus = |value: i64| value.cast_unsigned();
        let news = |wait: Option<Wait>| {
            let wait = wait.unwrap();
            [ended, runs, stopped].map(|child| wait.is_for(&child) && wait.has_news(&child))
        };
        for (first, options, expected) in [
            (minus(-1), 0, [true, false, false]),
            (7, 0, [true, false, false]),
            (8, 0, [false; 3]),
            (minus(-5), 0, [true, false, false]),
            (minus(-8), 0, [false; 3]),
            (minus(-8), 2, [false, false, true]),
            (8, 8, [false, true, false]),
        ] {
            let found = news(wait(libc::SYS_wait4, [first, 0, options, 1, 0, 0]));
            assert_eq!(found, expected, "wait4 {first:x} {options}");
        }
        for (kind, id, options, expected) in [
            (0, 0, 4, [true, false, false]),
            (0, 0, 2, [false, false, true]),
            (1, 8, 4, [false; 3]),
            (1, 7, 4 | 0x0100_0000, [true, false, false]),
            (2, 5, 6, [true, false, false]),
            (2, 8, 6, [false, false, true]),
        ] {
            let found = news(wait(libc::SYS_waitid, [kind, id, 0, options, 1, 0]));
            assert_eq!(found, expected, "waitid {kind} {id} {options}");
        }
        // The kernel refuses, or does not wait.
        for (number, arguments) in [
            (libc::SYS_wait4, [7, 0, 1, 1, 0, 0]),
            (libc::SYS_wait4, [7, 0, 4, 1, 0, 0]),
            (libc::SYS_wait4, [0x8000_0000, 0, 0, 1, 0, 0]),
            (libc::SYS_waitid, [0, 0, 0, 0, 1, 0]),
            (libc::SYS_waitid, [1, 0, 0, 4, 1, 0]),
            (libc::SYS_waitid, [3, 999_999, 0, 4, 1, 0]),
            (libc::SYS_waitid, [9, 1, 0, 4, 1, 0]),
        ] {
            assert_eq!(wait(number, arguments), None, "{number} {arguments:?}");
        }
    }

    #[test]
    fn handles_and_own_groups() {
        use rustix::process::{PidfdFlags, getpid, pidfd_open};
        use std::os::fd::AsRawFd;
        let own = std::process::id().cast_signed();
        for (flags, expected) in [(PidfdFlags::empty(), true), (PidfdFlags::NONBLOCK, false)] {
            let handle = pidfd_open(getpid(), flags).unwrap();
            let found = by_handle(own, handle.as_raw_fd());
            assert_eq!(found.is_some(), expected);
            assert_eq!(found, expected.then(|| Child::read(own).unwrap().number));
        }
        let null = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(by_handle(own, null.as_raw_fd()), None);
    }
}
