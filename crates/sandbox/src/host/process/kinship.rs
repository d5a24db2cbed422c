//! Who started whom. A new thread shows itself with its first trapped call; what it takes over its
//! parent has left in the *slot*, a few bytes behind the vDSO's functions (`vdso.rs`) that a process
//! inherits with its parent's memory. Threads share that memory, so of those that are started in
//! quick succession each is known by the place where the kernel put its number.

use super::memory::{Memory, Words};
use super::vdso::{Patch, SLOT_BYTES};
use crate::host::Map;
use crate::host::random::stream::Lineage;
use crate::proc_text::{last_word, proc_text};

/// Marks a slot that a parent has filled.
const SLOT_MAGIC: u64 = 0x746f_6c73_2d73_6f68;

/// What a thread starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::host) enum Started {
    Process,
    /// A thread that another can wait for by the word that the kernel clears at its end, as C
    /// libraries start them (`CLONE_CHILD_CLEARTID`).
    Thread,
    /// One that nobody waits for so: a runtime that moves its work from one thread to another, as
    /// Go's does.
    Worker,
}

impl Started {
    pub(in crate::host) const fn by_flags(flags: i32) -> Self {
        if flags & libc::CLONE_THREAD == 0 {
            Self::Process
        } else if flags & libc::CLONE_CHILD_CLEARTID != 0 {
            Self::Thread
        } else {
            Self::Worker
        }
    }

    /// In the slot.
    const fn word(self) -> u64 {
        match self {
            Self::Process => 0,
            Self::Thread => 1,
            Self::Worker => 2,
        }
    }

    fn of_word(word: u64) -> Self {
        let all = [Self::Thread, Self::Worker];
        let found = all.into_iter().find(|started| started.word() == word);
        found.unwrap_or(Self::Process)
    }
}

/// What a thread or process begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heritage {
    pub(super) clock_ns: u64,
    pub(in crate::host) lineage: Lineage,
    pub(in crate::host) started: Started,
}

impl Heritage {
    /// What a parent of this lineage puts into the slot.
    pub(in crate::host) fn slot(self, parent: Lineage) -> Vec<u8> {
        Words::default()
            .u64(SLOT_MAGIC)
            .u64(self.clock_ns)
            .u64(self.lineage.0)
            .u64(parent.0)
            .u64(self.started.word())
            .0
    }
}

/// A thread that is being started, until it shows itself.
#[derive(Clone, Copy, Debug)]
struct Starting {
    heritage: Heritage,
    /// Where in the process's memory the kernel puts its number, if it was asked to.
    number_at: Option<u64>,
}

/// The threads of a process that have not shown themselves yet.
#[derive(Debug, Default)]
pub(super) struct Nursery(Vec<Starting>);

impl Nursery {
    /// More than a program starts before the first of them has made a call.
    const STARTING_MAX: usize = 1024;

    pub(in crate::host) fn expect(&mut self, heritage: Heritage, number_at: Option<u64>) {
        // If another was to put its number there, it was not started after all.
        self.0
            .retain(|other| number_at.is_none() || other.number_at != number_at);
        if self.0.len() < Self::STARTING_MAX {
            self.0.push(Starting {
                heritage,
                number_at,
            });
        }
    }

    pub(in crate::host) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(in crate::host) fn clear(&mut self) {
        self.0.clear();
    }

    /// What the thread with this number inside takes over; `number_of` reads what stands at an
    /// address. Workers have no address and are as good as one another.
    pub(in crate::host) fn take(
        &mut self,
        own: i32,
        number_of: impl Fn(u64) -> Option<i32>,
    ) -> Option<Heritage> {
        let is_its = |starting: &Starting| starting.number_at.and_then(&number_of) == Some(own);
        let index = self
            .0
            .iter()
            .position(is_its)
            .or_else(|| self.0.iter().position(|other| other.number_at.is_none()))?;
        Some(self.0.remove(index).heritage)
    }
}

/// The process that a thread belongs to, on the host, and the thread's own number inside.
pub(in crate::host) fn numbers(thread: i32) -> Option<(i32, i32)> {
    let status = proc_text(format!("/proc/{thread}/status")).ok()?;
    let last = |name| last_word(&status, name)?.parse().ok();
    Some((last("Tgid:")?, last("NSpid:")?))
}

/// What a parent left in the slot.
#[derive(Clone, Copy)]
pub(super) struct Inherited {
    pub(super) heritage: Heritage,
    pub(in crate::host) parent: i32,
    pub(in crate::host) vdso: u64,
}

impl Inherited {
    pub(in crate::host) fn read(
        thread: i32,
        base: u64,
        patch: &Patch,
        lineages: &Map<u64, i32>,
    ) -> Option<Self> {
        let slot: [u8; SLOT_BYTES] = Memory(thread).read(base.checked_add(patch.slot)?).ok()?;
        let mut words = slot
            .chunks_exact(8)
            .filter_map(|word| word.try_into().ok().map(u64::from_le_bytes));
        if words.next()? != SLOT_MAGIC {
            return None;
        }
        let (clock_ns, lineage) = (words.next()?, Lineage(words.next()?));
        let parent = lineages.get(&words.next()?).copied().unwrap_or(0);
        Some(Self {
            heritage: Heritage {
                clock_ns,
                lineage,
                started: Started::of_word(words.next()?),
            },
            parent,
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
    pub(in crate::host) fn read(thread: i32) -> Self {
        let mut bytes = [0; Self::BYTES_MAX];
        if let Ok(mut file) = std::fs::File::open(format!("/proc/{thread}/auxv")) {
            // The kernel gives the whole vector at once.
            let _ = std::io::Read::read(&mut file, &mut bytes);
        }
        Self { bytes }
    }

    pub(in crate::host) fn value(&self, key: u64) -> Option<u64> {
        self.bytes.chunks_exact(16).find_map(|pair| {
            let (found, value) = pair.split_first_chunk::<8>()?;
            let value = value.first_chunk::<8>()?;
            (u64::from_le_bytes(*found) == key).then(|| u64::from_le_bytes(*value))
        })
    }
}

/// Where a process has its vDSO.
pub(super) fn vdso_address(thread: i32) -> Option<u64> {
    Auxiliary::read(thread).value(libc::AT_SYSINFO_EHDR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_started_is_known_by_its_flags_and_by_its_word() {
        const WORKER: i32 = libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_THREAD;
        for (flags, expected) in [
            (0, Started::Process),
            (libc::CLONE_CHILD_CLEARTID, Started::Process),
            (libc::CLONE_VM | libc::CLONE_VFORK, Started::Process),
            (WORKER | libc::CLONE_CHILD_CLEARTID, Started::Thread),
            (WORKER, Started::Worker),
        ] {
            let started = Started::by_flags(flags);
            assert_eq!(started, expected, "{flags:#x}");
            assert_eq!(Started::of_word(started.word()), expected);
        }
    }

    #[test]
    fn threads_are_told_apart_by_where_their_numbers_are() {
        let heritage = |clock_ns, started| Heritage {
            clock_ns,
            lineage: Lineage::FIRST.child(clock_ns),
            started,
        };
        let mut nursery = Nursery::default();
        nursery.expect(heritage(1, Started::Thread), Some(0x100));
        nursery.expect(heritage(2, Started::Thread), Some(0x200));
        nursery.expect(heritage(3, Started::Worker), None);
        nursery.expect(heritage(4, Started::Thread), Some(0x300));
        // That one was refused, and its place is used again.
        nursery.expect(heritage(5, Started::Thread), Some(0x300));
        let number_of = |at| Some(i32::try_from(at / 0x100).unwrap());
        for (own, clock_ns) in [(3, 5), (1, 1), (9, 3), (2, 2)] {
            assert_eq!(nursery.take(own, number_of).unwrap().clock_ns, clock_ns);
        }
        assert!(nursery.take(1, number_of).is_none() && nursery.is_empty());
    }

    #[test]
    fn own_numbers() {
        let (process, inside) = numbers(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
        assert_eq!(process, rustix::process::getpid().as_raw_nonzero().get());
        assert!(inside > 0);
    }
}
