//! Who is who inside: threads and processes by their ids, each with its clock, its place in the
//! family tree, and what a later call of the same thread has to know.
//!
//! A new thread shows itself with its first trapped call. What it inherited it finds in the
//! slot (`vdso.rs`) that its parent filled when it forked.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use rustix::process::{Pid, test_kill_process};

use super::clock::Clock;
use super::memory::{Memory, Words};
use super::random::{Lineage, Stream};
use super::timers::Timers;
use super::vdso::{Patch, SLOT_BYTES};

/// Marks a slot that a parent has filled.
const SLOT_MAGIC: u64 = 0x746f_6c73_2d73_6f68;
/// In the slot: the child shares the parent's process.
const IS_THREAD: u64 = 1;

/// One thread.
#[derive(Debug)]
pub(super) struct Task {
    /// The process that it is a thread of.
    pub(super) process: i32,
    pub(super) clock: Clock,
    pub(super) lineage: Lineage,
    /// Threads and processes that it has started.
    forks: u64,
    pub(super) random: Option<Stream>,
    /// How often it has opened a random device.
    pub(super) devices_opened: u64,
    /// A wait with a time limit that the kernel was left to do.
    pub(super) timeout: Option<Timeout>,
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
    /// Children that have ended, with their last time and their work, until it is known that
    /// this process has waited for them.
    ended: Vec<(i32, u64, u64)>,
    is_waiting: bool,
    pub(super) timers: Timers,
    /// The working directory, until it may have changed.
    pub(super) directory: Option<Arc<[u8]>>,
    /// Files that it opened for writing and that may still be open.
    pub(super) written: HashSet<Arc<[u8]>>,
    /// The latest of them, and how many more of its calls each is looked at again after.
    pub(super) fresh: Vec<(Arc<[u8]>, u8)>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Tasks {
    threads: HashMap<i32, Task>,
    processes: HashMap<i32, Process>,
    /// Which process forked last under a lineage: the slot must not show a number of the host's.
    lineages: HashMap<u64, i32>,
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
            threads: HashMap::new(),
            processes: HashMap::new(),
            lineages: HashMap::new(),
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
        self.processes.entry(id).or_insert_with(Process::first)
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
            Inherited::read(thread, patch, &self.lineages)
        };
        let mut task = Task::first(thread, self.start_ns);
        if let Some(inherited) = &inherited {
            task.clock = Clock::starting_at(inherited.clock_ns);
            task.lineage = inherited.lineage;
            task.has_executed = true;
            task.vdso = Some(inherited.vdso);
        }
        match inherited {
            Some(Inherited {
                parent,
                is_thread: true,
                ..
            }) => {
                task.process = parent;
                self.process(parent).threads += 1;
            }
            inherited => {
                let parent = inherited.map_or(0, |inherited| inherited.parent);
                let mut process = Process::first();
                process.parent = parent;
                process.born_busy_ns = task.clock.busy();
                if let Some(parent) = self.processes.get(&parent) {
                    process.directory.clone_from(&parent.directory);
                }
                self.processes.insert(thread, process);
            }
        }
        self.threads.insert(thread, task);
    }

    /// The thread is about to start another: leaves word for it.
    pub(super) fn before_fork(&mut self, thread: i32, is_thread: bool, patch: &Patch) {
        let task = self.task(thread, patch);
        task.forks += 1;
        let slot = Words::default()
            .u64(SLOT_MAGIC)
            .u64(task.clock.now())
            .u64(task.lineage.child(task.forks).0)
            .u64(task.lineage.0)
            .u64(if is_thread { IS_THREAD } else { 0 });
        let (lineage, process, vdso) = (task.lineage, task.process, task.vdso);
        self.lineages.insert(lineage.0, process);
        if let Some(base) = vdso.or_else(|| vdso_address(thread)) {
            // If it fails the child starts at zero, which is as fixed as any other time.
            let _ = Memory(thread).write_code(base + patch.slot, &slot.0);
        }
    }

    /// The process is about to wait for children.
    pub(super) fn before_wait(&mut self, process: i32) {
        self.process(process).is_waiting = true;
    }

    /// Takes over the clocks of children that the process has waited for since.
    pub(super) fn settle(&mut self, thread: i32, process: i32) {
        let known = self.process(process);
        if !known.is_waiting {
            return;
        }
        known.is_waiting = false;
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
        self.lineages.retain(|_, parent| *parent != id);
        let busy_ns = task.clock.busy().saturating_sub(process.born_busy_ns);
        if let Some(parent) = self.processes.get_mut(&process.parent) {
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
            random: None,
            devices_opened: 0,
            timeout: None,
            has_executed: false,
            vdso: None,
        }
    }
}

impl Process {
    fn first() -> Self {
        Self {
            parent: 0,
            threads: 1,
            born_busy_ns: 0,
            children_busy_ns: 0,
            ended: Vec::new(),
            is_waiting: false,
            timers: Timers::default(),
            directory: None,
            written: HashSet::new(),
            fresh: Vec::new(),
        }
    }
}

/// What a parent left in the slot.
struct Inherited {
    clock_ns: u64,
    lineage: Lineage,
    parent: i32,
    is_thread: bool,
    vdso: u64,
}

impl Inherited {
    fn read(thread: i32, patch: &Patch, lineages: &HashMap<u64, i32>) -> Option<Self> {
        let base = vdso_address(thread)?;
        let slot: [u8; SLOT_BYTES] = Memory(thread).read(base.checked_add(patch.slot)?).ok()?;
        let mut words = slot
            .chunks_exact(8)
            .filter_map(|word| word.try_into().ok().map(u64::from_le_bytes));
        if words.next()? != SLOT_MAGIC {
            return None;
        }
        Some(Self {
            clock_ns: words.next()?,
            lineage: Lineage(words.next()?),
            parent: lineages.get(&words.next()?).copied().unwrap_or(0),
            is_thread: words.next()? == IS_THREAD,
            vdso: base,
        })
    }
}

/// The vector that the kernel gives to every program (`getauxval(3)`).
pub(super) struct Auxiliary {
    bytes: [u8; Self::BYTES_MAX],
}

impl Auxiliary {
    /// Twice what kernels have today.
    const BYTES_MAX: usize = 1024;

    /// A thread's; empty if it cannot be read.
    pub(super) fn read(thread: i32) -> Self {
        let mut bytes = [0; Self::BYTES_MAX];
        if let Ok(mut file) = std::fs::File::open(format!("/proc/{thread}/auxv")) {
            // The kernel gives the whole vector at once.
            let _ = std::io::Read::read(&mut file, &mut bytes);
        }
        Self { bytes }
    }

    pub(super) fn value(&self, key: u64) -> Option<u64> {
        self.bytes.chunks_exact(16).find_map(|pair| {
            let (found, value) = pair.split_first_chunk::<8>()?;
            let value = value.first_chunk::<8>()?;
            (u64::from_le_bytes(*found) == key).then(|| u64::from_le_bytes(*value))
        })
    }
}

/// Where a process has its vDSO.
fn vdso_address(thread: i32) -> Option<u64> {
    Auxiliary::read(thread).value(libc::AT_SYSINFO_EHDR)
}

fn exists(process: i32) -> bool {
    Pid::from_raw(process).is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}
