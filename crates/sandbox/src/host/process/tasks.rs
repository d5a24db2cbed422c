//! Who is who inside: all threads and processes, by their numbers.
//!
//! A new thread shows itself with its first trapped call; `kinship.rs` says whose it is.

use std::time::{Duration, Instant};

use rustix::process::{Pid, test_kill_process};

use super::handles::Handles;
use super::kinship::{Heritage, Inherited, Started, numbers, vdso_address};
use super::memory::Memory;
use super::task::{Birth, Fate, NOBODY, Process, Task, boot_ns};
use super::vdso::Patch;
use crate::host::random::stream::{Draws, Lineage};
use crate::host::time::clock::Clock;
use crate::host::time::sleepers::Later;
use crate::host::{Map, Set};
use crate::proc_text::proc_text;

/// All threads and processes.
#[derive(Debug)]
pub(in crate::host) struct Tasks {
    threads: Map<i32, Task>,
    processes: Map<i32, Process>,
    /// Which process forked last under a lineage: the slot must not show a number of the host's.
    lineages: Map<u64, i32>,
    pub(in crate::host) handles: Handles,
    /// Processes that execute a program which has not been on its detour yet (`entry.rs`).
    pub(in crate::host) executing: Set<i32>,
    /// Where the program that was executed last has its vDSO: where most have it.
    vdso: Option<u64>,
    /// Processes that have begun.
    births: u64,
    /// So many threads are looked through for those that are gone.
    many: usize,
    /// Whether nobody has called yet.
    is_before_first: bool,
    /// Where the first process's clock begins.
    start_ns: u64,
    /// The latest time at which a process ended.
    latest_ns: u64,
    /// The last time at which everybody waited: nobody's clock is earlier.
    still_ns: u64,
    /// Whether a timer that is a descriptor was ever set.
    pub(in crate::host) has_armed_descriptor: bool,
}

impl Tasks {
    pub(in crate::host) fn starting_at(start_ns: u64) -> Self {
        Self {
            threads: Map::default(),
            processes: Map::default(),
            lineages: Map::default(),
            handles: Handles::default(),
            executing: Set::default(),
            vdso: None,
            births: 0,
            many: MANY,
            is_before_first: true,
            start_ns,
            latest_ns: start_ns,
            still_ns: 0,
            has_armed_descriptor: false,
        }
    }

    /// The latest time that any process has seen, now that all are gone.
    pub(in crate::host) fn latest_ns(&self) -> u64 {
        let alive = self.threads.values().map(|task| task.clock.now());
        alive.fold(self.latest_ns, u64::max)
    }

    /// The thread, made known if this is its first call.
    pub(in crate::host) fn task(&mut self, thread: i32, patch: &Patch) -> &mut Task {
        if !self.threads.contains_key(&thread) {
            self.adopt(thread, patch);
        }
        let start_ns = self.start_ns;
        self.threads
            .entry(thread)
            .or_insert_with(|| Task::first(thread, start_ns))
    }

    /// Whether a timer runs, or anybody is in a wait whose end the kernel sees to, of those that are
    /// there and do not sleep.
    pub(in crate::host) fn await_host(&self, is_there: impl Fn(i32) -> bool) -> bool {
        let now = Instant::now();
        self.threads.iter().any(|(thread, task)| {
            let has_limit = task.timeout.as_ref().is_some_and(|limit| limit.until > now);
            let process = self.processes.get(&task.process);
            let has_timer = process.is_some_and(|process| process.timers.run_by_host());
            has_limit && is_there(*thread) || has_timer && exists(task.process)
        })
    }

    /// A sleeper is answered although so much of the host's time is left. It is as late as that for
    /// everybody, and those that go on sleeping wait so much less.
    pub(in crate::host) fn skip(
        &mut self,
        woken: &Later,
        sleepers: &[i32],
        skipped: Duration,
        now: Instant,
    ) {
        self.still_ns = woken.due_ns;
        for (thread, task) in &mut self.threads {
            if *thread == woken.call.thread {
                if let Some(timeout) = &mut task.timeout {
                    timeout.until = now;
                }
            } else if sleepers.contains(thread) {
                if let Some(timeout) = &mut task.timeout {
                    timeout.until = timeout.until.checked_sub(skipped).unwrap_or(now);
                }
            } else {
                task.clock.merge(woken.due_ns);
            }
        }
    }

    pub(in crate::host) fn process(&mut self, id: i32) -> &mut Process {
        begun_process(&mut self.processes, id)
    }

    /// Where a thread's random bytes come from. Threads of a runtime that moves its work between
    /// them share what their process has; each thread of another draws for itself, so that it
    /// does not matter which of them runs first.
    pub(in crate::host) fn draws(&mut self, thread: i32, patch: &Patch) -> &mut Draws {
        let id = self.task(thread, patch).process;
        let own = self.threads.get_mut(&thread);
        match own.and_then(|task| task.draws.as_mut()) {
            Some(own) => own,
            None => &mut begun_process(&mut self.processes, id).draws,
        }
    }

    /// A thread begins, whoever had its number before.
    pub(in crate::host) fn begin(&mut self, thread: i32, patch: &Patch) {
        self.forget(thread);
        self.adopt(thread, patch);
    }

    /// A thread calls: forgets who had its number before. To have it again takes as many others as
    /// there are numbers, so only one that was not heard of for a while is looked at.
    pub(in crate::host) fn recognise(&mut self, thread: i32) {
        let now_ns = boot_ns();
        let Some(task) = self.threads.get_mut(&thread) else {
            return;
        };
        let heard_ns = std::mem::replace(&mut task.heard_ns, now_ns);
        if now_ns.saturating_sub(heard_ns) > SILENCE_NS && has_begun_since(thread, heard_ns) {
            self.forget(thread);
        }
    }

    /// A number has come to mean another thread.
    fn forget(&mut self, number: i32) {
        self.forget_threads(|thread, _| thread == number);
        if self.processes.remove(&number).is_some() {
            self.forget_threads(|_, task| task.process == number);
            self.lineages.retain(|_, process| *process != number);
            self.handles.ended(number);
        }
    }

    /// Threads that have ended without a word.
    fn forget_threads(&mut self, is_gone: impl Fn(i32, &Task) -> bool) {
        let latest_ns = &mut self.latest_ns;
        self.threads.retain(|thread, task| {
            let is_gone = is_gone(*thread, task);
            if is_gone {
                *latest_ns = (*latest_ns).max(task.clock.now());
            }
            !is_gone
        });
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
        task.clock.merge(self.still_ns);
        let started = inherited.map_or(Started::Process, |inherited| inherited.heritage.started);
        match inherited {
            // One whose process is ending has none any more.
            Some(Inherited { parent, .. }) if started != Started::Process && parent != 0 => {
                task.process = parent;
                task.draws = (started == Started::Thread).then(|| Draws::of(task.lineage));
                self.process(parent).threads += 1;
            }
            inherited => {
                let number = inherited.map_or(0, |inherited| inherited.parent);
                let mut process = Process::begun(task.lineage);
                self.births += 1;
                process.birth = Birth(self.births);
                process.born_busy_ns = task.clock.busy();
                if let Some(parent) = self.processes.get(&number) {
                    process.parent = (number, parent.birth);
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
        } else {
            if let Some(known) = known
                && process == inherited.parent
            {
                let number_of = |at| Memory(thread).read(at).ok().map(i32::from_ne_bytes);
                if let Some(heritage) = known.starting.take(own, number_of) {
                    inherited.heritage = heritage;
                }
            }
            inherited.parent = process;
        }
        inherited
    }

    /// A program has been executed, and its vDSO is there.
    pub(in crate::host) fn executed(&mut self, thread: i32, vdso: Option<u64>, lineage: Lineage) {
        let Some(task) = self.threads.get_mut(&thread) else {
            return;
        };
        task.vdso = vdso;
        self.vdso = vdso.or(self.vdso);
        let process = task.process;
        self.handles.executed(process);
        self.executing.remove(&process);
        let known = self.process(process);
        known.executed(lineage);
        // The others have ended with their program.
        if std::mem::replace(&mut known.threads, 1) > 1 {
            self.forget_threads(|other, task| task.process == process && other != thread);
        }
    }

    /// Writes to a thread's memory where it may not write itself.
    pub(in crate::host) fn write_code(
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
    pub(in crate::host) fn outside_number(&self, inside: i32) -> Option<i32> {
        let mut known = self.processes.keys().copied();
        known.find(|process| numbers(*process).is_some_and(|(_, own)| own == inside))
    }

    /// The thread is about to start another: leaves word for it. The kernel will put the other's
    /// number at an address, if it is asked to.
    pub(in crate::host) fn before_fork(
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
            let _ = self.write_code(
                thread,
                base.wrapping_add(patch.slot),
                &heritage.slot(lineage),
            );
        }
    }

    /// Takes over the clocks of children that the process has waited for since: waiting itself
    /// does not trap, but a child that has ended stays until then.
    pub(in crate::host) fn settle(&mut self, thread: i32, process: i32) {
        let known = self.process(process);
        if known.ended.is_empty() {
            return;
        }
        let mut ended = std::mem::take(&mut known.ended);
        let mut latest_ns = 0;
        let mut busy_ns = 0_u64;
        ended.retain(|(child, clock_ns, child_busy_ns)| {
            let is_another = self
                .processes
                .get(child)
                .is_some_and(|known| known.parent != NOBODY);
            if !is_another && exists(*child) {
                return true;
            }
            latest_ns = latest_ns.max(*clock_ns);
            busy_ns = busy_ns.saturating_add(*child_busy_ns);
            false
        });
        let known = self.process(process);
        known.ended = ended;
        known.children_busy_ns = known.children_busy_ns.saturating_add(busy_ns);
        if let Some(task) = self.threads.get_mut(&thread) {
            task.clock.merge(latest_ns);
        }
    }

    /// The thread, or its whole process, ends.
    pub(in crate::host) fn end(&mut self, thread: i32, whole_process: bool) {
        let Some(task) = self.threads.remove(&thread) else {
            return;
        };
        self.latest_ns = self.latest_ns.max(task.clock.now());
        let id = task.process;
        let process = self.process(id);
        process.threads = process.threads.saturating_sub(1);
        // Threads that have not shown themselves yet may be left.
        if !whole_process && (process.threads > 0 || !process.starting.is_empty()) {
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
        let busy_ns = busy_ns.saturating_add(process.children_busy_ns);
        let (number, birth) = process.parent;
        // One that vanishes by itself does so at some time of the host's.
        if let Some(parent) = self.processes.get_mut(&number)
            && parent.birth == birth
            && parent.fate_of_children == Fate::Kept
        {
            parent.ended.push((id, task.clock.now(), busy_ns));
        }
    }

    /// Threads that were killed leave no word: forgets them, now and then.
    pub(in crate::host) fn sweep(&mut self) {
        if self.threads.len() > self.many {
            self.forget_threads(|thread, _| !exists(thread));
            self.processes.retain(|process, _| exists(*process));
            // Those that are left are there.
            self.many = MANY.max(2 * self.threads.len());
        }
    }
}

/// Not before there are so many threads is it asked whether they still are.
const MANY: usize = 8192;

/// A thread that was heard of since cannot have ended and left its number to another: that takes a
/// machine several times as long.
const SILENCE_NS: u64 = 100_000_000;

/// Whether a thread began after a time.
fn has_begun_since(thread: i32, since_ns: u64) -> bool {
    // What /proc/pid/stat counts in, here (proc(5)).
    const TICK_NS: u64 = 10_000_000;
    const BEGUN: usize = 22 - 3;
    let Ok(stat) = proc_text(format!("/proc/{thread}/stat")) else {
        return false; // It is gone.
    };
    // Behind the name, which may hold anything.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let begun = fields.split_ascii_whitespace().nth(BEGUN);
    let ticks = begun.and_then(|ticks| ticks.parse::<u64>().ok());
    // Ticks are rounded, times are not.
    ticks.is_some_and(|ticks| ticks.saturating_mul(TICK_NS) > since_ns.saturating_add(TICK_NS))
}

fn begun_process(processes: &mut Map<i32, Process>, id: i32) -> &mut Process {
    processes
        .entry(id)
        .or_insert_with(|| Process::begun(Lineage::FIRST))
}

fn exists(process: i32) -> bool {
    Pid::from_raw(process).is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_number_that_means_another_process_now_has_nothing_of_the_old_one() {
        let mut other = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let number = i32::try_from(other.id()).unwrap();
        let mut tasks = Tasks::starting_at(0);
        // A process with a second thread, and one that has always been there.
        for (thread, process, heard_ns) in [
            (number, number, 1),
            (i32::MAX, number, 1),
            (1, 1, boot_ns() - 2 * SILENCE_NS),
        ] {
            let mut task = Task::first(thread, 0);
            task.process = process;
            task.heard_ns = heard_ns;
            task.clock.work(u64::try_from(process).unwrap());
            tasks.threads.insert(thread, task);
            tasks.process(process).directory = Some(Arc::from(&b"/build"[..]));
            tasks.lineages.insert(heard_ns, process);
        }
        tasks.recognise(1);
        tasks.recognise(number);
        tasks.recognise(number);
        let known: Vec<i32> = tasks.threads.keys().copied().collect();
        assert_eq!(known, [1]);
        assert!(tasks.processes.contains_key(&1) && !tasks.processes.contains_key(&number));
        assert!(tasks.lineages.values().all(|process| *process == 1));
        // What it has seen it has seen.
        assert!(tasks.latest_ns() >= u64::try_from(number).unwrap());
        drop(other.stdin.take());
        other.wait().unwrap();
    }

    #[test]
    fn whoever_was_heard_of_just_now_is_not_looked_at() {
        let mut tasks = Tasks::starting_at(0);
        let own = rustix::thread::gettid().as_raw_nonzero().get();
        tasks.threads.insert(own, Task::first(own, 0));
        tasks.recognise(own);
        assert!(tasks.threads.contains_key(&own));
        assert!(!has_begun_since(own, boot_ns()) && has_begun_since(own, 0));
    }

    #[test]
    fn a_child_s_work_is_that_of_the_process_that_started_it_and_never_too_much() {
        let mut tasks = Tasks::starting_at(0);
        let gone = i32::MAX;
        for (birth, expected) in [(Birth(1), 0), (Birth(2), u64::MAX), (Birth(2), u64::MAX)] {
            let mut child = Process::begun(Lineage::FIRST);
            child.parent = (1, birth);
            child.children_busy_ns = 1;
            tasks.processes.insert(gone, child);
            tasks.threads.insert(gone, Task::first(gone, 0));
            if let Some(child) = tasks.threads.get_mut(&gone) {
                child.clock.work(u64::MAX);
            }
            tasks.process(1).birth = Birth(2);
            tasks.end(gone, true);
            tasks.settle(1, 1);
            assert_eq!(tasks.process(1).children_busy_ns, expected);
        }
    }

    #[test]
    fn threads_end_with_the_program_that_another_replaces() {
        let mut tasks = Tasks::starting_at(0);
        for thread in [7, 8, 9] {
            let mut task = Task::first(thread, 0);
            task.process = if thread == 9 { 9 } else { 7 };
            tasks.threads.insert(thread, task);
        }
        tasks.process(7).threads = 2;
        tasks.executed(7, None, Lineage::FIRST);
        assert!(!tasks.threads.contains_key(&8));
        assert_eq!((tasks.threads.len(), tasks.process(7).threads), (2, 1));
    }
}
