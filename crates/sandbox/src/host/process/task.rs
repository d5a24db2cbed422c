//! What is known of one thread, and of one process: its clock, its place in the family tree, and what
//! a later call of the same thread has to know. `tasks.rs` keeps them.

use std::sync::Arc;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

use super::entry::Entering;
use super::kinship::Nursery;
use crate::host::files::announced::Written;
use crate::host::random::stream::{Draws, Lineage};
use crate::host::time::clock::Clock;
use crate::host::time::timers::Timers;
use crate::host::time::times::duration;

/// What becomes of a process's children when they end (sigaction(2), SIGCHLD).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::host) enum Fate {
    /// They wait to be waited for.
    Kept,
    /// They vanish, also those of the program that this one executes.
    Ignored,
    /// They vanish, until another program is executed.
    NotKept,
}

/// One thread.
#[derive(Debug)]
pub(in crate::host) struct Task {
    /// The process that it is a thread of.
    pub(in crate::host) process: i32,
    /// When it called last, since the machine's start.
    pub(super) heard_ns: u64,
    pub(in crate::host) clock: Clock,
    pub(in crate::host) lineage: Lineage,
    /// Threads and processes that it has started.
    pub(super) forks: u64,
    /// What it has drawn, if it draws for itself and not for its process.
    pub(in crate::host) draws: Option<Draws>,
    /// A wait with a time limit that the kernel was left to do.
    pub(in crate::host) timeout: Option<Timeout>,
    /// When it last waited for a child that the kernel had nothing to tell of.
    pub(in crate::host) waited_in_vain: Option<Instant>,
    /// Whether the program has executed since its thread began: then its vDSO is patched.
    pub(in crate::host) has_executed: bool,
    /// Where its vDSO is, once that is known.
    pub(in crate::host) vdso: Option<u64>,
}

/// A wait with a time limit.
#[derive(Clone, Copy, Debug)]
pub(in crate::host) struct Timeout {
    /// When it ends at the latest, in the host's time.
    pub(in crate::host) until: Instant,
    /// How long that is in the thread's time, and when it began there.
    pub(in crate::host) ns: u64,
    pub(in crate::host) began_ns: u64,
    /// Where the kernel writes what is left of it, and how many nanoseconds a unit of the fraction
    /// there is.
    pub(in crate::host) left: Option<(u64, u64)>,
}

/// One process.
#[derive(Debug)]
pub(in crate::host) struct Process {
    /// Who started it, and which of all processes with that number it was.
    pub(super) parent: (i32, Birth),
    pub(super) birth: Birth,
    pub(in crate::host) threads: u32,
    /// What its main thread had worked when it began.
    pub(in crate::host) born_busy_ns: u64,
    /// What the children that it waited for had worked.
    pub(in crate::host) children_busy_ns: u64,
    /// Children that have ended, with their last time and their work, until this process has waited
    /// for them: then they are gone.
    pub(in crate::host) ended: Vec<(i32, u64, u64)>,
    pub(in crate::host) fate_of_children: Fate,
    pub(super) starting: Nursery,
    /// Its program's detour, as long as that lasts.
    pub(super) entering: Option<Entering>,
    /// What its threads have drawn together.
    pub(in crate::host) draws: Draws,
    pub(in crate::host) timers: Timers,
    /// The working directory, until it may have changed.
    pub(in crate::host) directory: Option<Arc<[u8]>>,
    /// Files that it opened for writing and that may still be open.
    pub(in crate::host) written: Written,
    /// The latest of them, and how many more of its calls each is looked at again after.
    pub(in crate::host) fresh: Vec<(Arc<[u8]>, u8)>,
}

/// Tells processes apart that have had the same number, one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Birth(pub(in crate::host) u64);

/// Whose children the first process is, and those whose parent is gone.
pub(super) const NOBODY: (i32, Birth) = (0, Birth(0));

impl Task {
    pub(in crate::host) fn first(thread: i32, start_ns: u64) -> Self {
        Self {
            process: thread,
            heard_ns: boot_ns(),
            clock: Clock::starting_at(start_ns),
            lineage: Lineage::FIRST,
            forks: 0,
            draws: None,
            timeout: None,
            waited_in_vain: None,
            has_executed: false,
            vdso: None,
        }
    }
}

impl Process {
    /// It executes another program.
    pub(in crate::host) fn executed(&mut self, lineage: Lineage) {
        self.timers.executed();
        self.starting.clear();
        self.draws = Draws::of(lineage);
        if self.fate_of_children == Fate::NotKept {
            self.fate_of_children = Fate::Kept;
        }
    }

    pub(in crate::host) fn begun(lineage: Lineage) -> Self {
        Self {
            parent: NOBODY,
            birth: Birth(0),
            threads: 1,
            born_busy_ns: 0,
            children_busy_ns: 0,
            ended: Vec::new(),
            fate_of_children: Fate::Kept,
            starting: Nursery::default(),
            entering: None,
            draws: Draws::of(lineage),
            timers: Timers::default(),
            directory: None,
            written: Written::default(),
            fresh: Vec::new(),
        }
    }
}

/// Since the machine's start.
pub(super) fn boot_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    duration((now.tv_sec, now.tv_nsec), 1).unwrap_or(0)
}
