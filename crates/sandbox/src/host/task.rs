//! Who is who inside: threads and processes by their ids, each with its clock, its place in the
//! family tree, and what a later call of the same thread has to know.
//!
//! A new thread shows itself with its first trapped call; `kinship.rs` says whose it is.

use std::sync::Arc;
use std::time::Instant;

use rustix::process::{Pid, test_kill_process};

use super::Map;
use super::clock::Clock;
use super::entry::Entering;
use super::handles::Handles;
use super::kinship::{Heritage, Inherited, Nursery, Started, numbers, vdso_address};
use super::memory::Memory;
use super::random::{Draws, Lineage};
use super::stamps::Written;
use super::timers::Timers;
use super::vdso::Patch;

/// What becomes of a process's children when they end (sigaction(2), SIGCHLD).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// They wait to be waited for.
    Kept,
    /// They vanish, also those of the program that this one executes.
    Ignored,
    /// They vanish, until another program is executed.
    NotKept,
}

/// One thread.
#[derive(Debug)]
pub(super) struct Task {
    /// The process that it is a thread of.
    pub(super) process: i32,
    pub(super) clock: Clock,
    pub(super) lineage: Lineage,
    /// Threads and processes that it has started.
    forks: u64,
    /// What it has drawn, if it draws for itself and not for its process.
    pub(super) draws: Option<Draws>,
    /// A wait with a time limit that the kernel was left to do.
    pub(super) timeout: Option<Timeout>,
    /// When it last waited for a child that the kernel had nothing to tell of.
    pub(super) waited_in_vain: Option<Instant>,
    /// Whether the program has executed since its thread began: then its vDSO is patched.
    pub(super) has_executed: bool,
    /// Where its vDSO is, once that is known.
    pub(super) vdso: Option<u64>,
}

/// A wait with a time limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeout {
    /// When it ends at the latest, in the host's time.
    pub(super) until: Instant,
    /// How long that is in the thread's time, and when it began there.
    pub(super) ns: u64,
    pub(super) began_ns: u64,
    /// Where the kernel writes what is left of it, and how many nanoseconds a unit of the fraction
    /// there is.
    pub(super) left: Option<(u64, u64)>,
}

/// One process.
#[derive(Debug)]
pub(super) struct Process {
    parent: i32,
    threads: u32,
    /// What its main thread had worked when it began.
    pub(super) born_busy_ns: u64,
    /// What the children that it waited for had worked.
    pub(super) children_busy_ns: u64,
    /// Children that have ended, with their last time and their work, until this process has waited
    /// for them: then they are gone.
    ended: Vec<(i32, u64, u64)>,
    pub(super) fate_of_children: Fate,
    starting: Nursery,
    /// Its program's detour, as long as that lasts.
    pub(super) entering: Option<Entering>,
    /// What its threads have drawn together.
    draws: Draws,
    pub(super) timers: Timers,
    /// The working directory, until it may have changed.
    pub(super) directory: Option<Arc<[u8]>>,
    /// Files that it opened for writing and that may still be open.
    pub(super) written: Written,
    /// The latest of them, and how many more of its calls each is looked at again after.
    pub(super) fresh: Vec<(Arc<[u8]>, u8)>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Tasks {
    threads: Map<i32, Task>,
    processes: Map<i32, Process>,
    /// Which process forked last under a lineage: the slot must not show a number of the host's.
    lineages: Map<u64, i32>,
    pub(super) handles: Handles,
    /// Where the program that was executed last has its vDSO: where most have it.
    vdso: Option<u64>,
    /// Whether nobody has called yet.
    is_before_first: bool,
    /// Where the first process's clock begins.
    start_ns: u64,
    /// The latest time at which a process ended.
    latest_ns: u64,
}

impl Tasks {
    pub(super) fn starting_at(start_ns: u64) -> Self {
        Self {
            threads: Map::default(),
            processes: Map::default(),
            lineages: Map::default(),
            handles: Handles::default(),
            vdso: None,
            is_before_first: true,
            start_ns,
            latest_ns: start_ns,
        }
    }

    /// The latest time that any process has seen, now that all are gone.
    pub(super) fn latest_ns(&self) -> u64 {
        let alive = self.threads.values().map(|task| task.clock.now());
        alive.fold(self.latest_ns, u64::max)
    }

    /// The thread, made known if this is its first call.
    pub(super) fn task(&mut self, thread: i32, patch: &Patch) -> &mut Task {
        if !self.threads.contains_key(&thread) {
            self.adopt(thread, patch);
        }
        let start_ns = self.start_ns;
        self.threads
            .entry(thread)
            .or_insert_with(|| Task::first(thread, start_ns))
    }

    pub(super) fn process(&mut self, id: i32) -> &mut Process {
        begun_process(&mut self.processes, id)
    }

    /// Where a thread's random bytes come from. Threads of a runtime that moves its work between
    /// them share what their process has; each thread of another draws for itself, so that it
    /// does not matter which of them runs first.
    pub(super) fn draws(&mut self, thread: i32, patch: &Patch) -> &mut Draws {
        let id = self.task(thread, patch).process;
        let own = self.threads.get_mut(&thread);
        match own.and_then(|task| task.draws.as_mut()) {
            Some(own) => own,
            None => &mut begun_process(&mut self.processes, id).draws,
        }
    }

    /// A thread begins, whoever had its number before.
    pub(super) fn begin(&mut self, thread: i32, patch: &Patch) {
        self.threads.remove(&thread);
        self.adopt(thread, patch);
    }

    fn adopt(&mut self, thread: i32, patch: &Patch) {
        // The step itself has no parent here, and memory that may not be read yet.
        let is_first = std::mem::take(&mut self.is_before_first);
        let inherited = if is_first {
            None
        } else {
            self.inherited(thread, patch)
                .map(|inherited| self.tell_apart(thread, inherited))
        };
        let mut task = Task::first(thread, self.start_ns);
        if let Some(Inherited { heritage, vdso, .. }) = inherited {
            task.clock = Clock::starting_at(heritage.clock_ns);
            task.lineage = heritage.lineage;
            task.has_executed = true;
            task.vdso = Some(vdso);
        }
        let started = inherited.map_or(Started::Process, |inherited| inherited.heritage.started);
        match inherited {
            Some(Inherited { parent, .. }) if started != Started::Process => {
                task.process = parent;
                task.draws = (started == Started::Thread).then(|| Draws::of(task.lineage));
                self.process(parent).threads += 1;
            }
            inherited => {
                let parent = inherited.map_or(0, |inherited| inherited.parent);
                let mut process = Process::begun(task.lineage);
                process.parent = parent;
                process.born_busy_ns = task.clock.busy();
                if let Some(parent) = self.processes.get(&parent) {
                    process.fate_of_children = parent.fate_of_children;
                }
                self.processes.insert(thread, process);
            }
        }
        self.threads.insert(thread, task);
    }

    /// A process with threads may have started several since the slot was written last, and what it
    /// says may be of another: threads and processes are told apart by their numbers.
    fn tell_apart(&mut self, thread: i32, mut inherited: Inherited) -> Inherited {
        let known = self.processes.get_mut(&inherited.parent);
        let is_starting = known
            .as_ref()
            .is_some_and(|known| !known.starting.is_empty());
        if inherited.heritage.started == Started::Process && !is_starting {
            return inherited;
        }
        let Some((process, own)) = numbers(thread) else {
            return inherited; // It is gone.
        };
        if process == thread {
            inherited.heritage.started = Started::Process;
        } else if let Some(known) = known
            && process == inherited.parent
        {
            let number_of = |at| Memory(thread).read(at).ok().map(i32::from_ne_bytes);
            if let Some(heritage) = known.starting.take(own, number_of) {
                inherited.heritage = heritage;
            }
        }
        inherited
    }

    /// A program has been executed, and its vDSO is there.
    pub(super) fn executed(&mut self, thread: i32, vdso: Option<u64>, lineage: Lineage) {
        let Some(task) = self.threads.get_mut(&thread) else {
            return;
        };
        task.vdso = vdso;
        self.vdso = vdso.or(self.vdso);
        let process = task.process;
        self.handles.executed(process);
        self.process(process).executed(lineage);
    }

    /// Writes to a thread's memory where it may not write itself.
    pub(super) fn write_code(
        &mut self,
        thread: i32,
        address: u64,
        bytes: &[u8],
    ) -> std::io::Result<()> {
        let process = self
            .threads
            .get(&thread)
            .map_or(thread, |task| task.process);
        // The number of a process whose first thread has ended has no memory any more.
        self.handles
            .write_code(process, address, bytes)
            .or_else(|_| Memory(thread).write_code(address, bytes))
    }

    fn inherited(&self, thread: i32, patch: &Patch) -> Option<Inherited> {
        let at = |base| Inherited::read(thread, base, patch, &self.lineages);
        self.vdso.and_then(at).or_else(|| at(vdso_address(thread)?))
    }

    /// The number that a process has outside, from the one that it has inside. Looks at each.
    pub(super) fn outside_number(&self, inside: i32) -> Option<i32> {
        let mut known = self.processes.keys().copied();
        known.find(|process| numbers(*process).is_some_and(|(_, own)| own == inside))
    }

    /// The thread is about to start another: leaves word for it. The kernel will put the other's
    /// number at an address, if it is asked to.
    pub(super) fn before_fork(
        &mut self,
        thread: i32,
        started: Started,
        number_at: Option<u64>,
        patch: &Patch,
    ) {
        let task = self.task(thread, patch);
        task.forks += 1;
        let heritage = Heritage {
            clock_ns: task.clock.now(),
            lineage: task.lineage.child(task.forks),
            started,
        };
        let (lineage, process, vdso) = (task.lineage, task.process, task.vdso);
        self.lineages.insert(lineage.0, process);
        if started != Started::Process {
            self.process(process).starting.expect(heritage, number_at);
        }
        if let Some(base) = vdso.or_else(|| vdso_address(thread)) {
            // If it fails the child starts at zero, which is as fixed as any other time.
            let _ = self.write_code(thread, base + patch.slot, &heritage.slot(lineage));
        }
    }

    /// Takes over the clocks of children that the process has waited for since: waiting itself
    /// does not trap, but a child that has ended stays until then.
    pub(super) fn settle(&mut self, thread: i32, process: i32) {
        let known = self.process(process);
        if known.ended.is_empty() {
            return;
        }
        let mut latest_ns = 0;
        let mut busy_ns = 0;
        known.ended.retain(|(child, clock_ns, child_busy_ns)| {
            if exists(*child) {
                return true;
            }
            latest_ns = latest_ns.max(*clock_ns);
            busy_ns += child_busy_ns;
            false
        });
        known.children_busy_ns += busy_ns;
        if let Some(task) = self.threads.get_mut(&thread) {
            task.clock.merge(latest_ns);
        }
    }

    /// The thread, or its whole process, ends.
    pub(super) fn end(&mut self, thread: i32, whole_process: bool) {
        let Some(task) = self.threads.remove(&thread) else {
            return;
        };
        self.latest_ns = self.latest_ns.max(task.clock.now());
        let id = task.process;
        let process = self.process(id);
        process.threads = process.threads.saturating_sub(1);
        if !whole_process && process.threads > 0 {
            return;
        }
        if whole_process {
            self.threads.retain(|_, other| other.process != id);
        }
        let Some(process) = self.processes.remove(&id) else {
            return;
        };
        self.handles.ended(id);
        self.lineages.retain(|_, parent| *parent != id);
        let busy_ns = task.clock.busy().saturating_sub(process.born_busy_ns);
        // One that vanishes by itself does so at some time of the host's.
        if let Some(parent) = self.processes.get_mut(&process.parent)
            && parent.fate_of_children == Fate::Kept
        {
            parent
                .ended
                .push((id, task.clock.now(), busy_ns + process.children_busy_ns));
        }
    }

    /// Threads that were killed leave no word: forgets them, now and then.
    pub(super) fn sweep(&mut self) {
        const MANY: usize = 8192;
        if self.threads.len() > MANY {
            self.threads.retain(|thread, _| exists(*thread));
            self.processes.retain(|process, _| exists(*process));
        }
    }
}

impl Task {
    fn first(thread: i32, start_ns: u64) -> Self {
        Self {
            process: thread,
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
    pub(super) fn executed(&mut self, lineage: Lineage) {
        self.timers.executed();
        self.starting.clear();
        self.draws = Draws::of(lineage);
        if self.fate_of_children == Fate::NotKept {
            self.fate_of_children = Fate::Kept;
        }
    }

    fn begun(lineage: Lineage) -> Self {
        Self {
            parent: 0,
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

fn begun_process(processes: &mut Map<i32, Process>, id: i32) -> &mut Process {
    processes
        .entry(id)
        .or_insert_with(|| Process::begun(Lineage::FIRST))
}

fn exists(process: i32) -> bool {
    Pid::from_raw(process).is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}
