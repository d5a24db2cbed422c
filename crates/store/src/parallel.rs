//! The same work on many items, spread over a few threads.
//!
//! Absent on purpose: a pool that lives on; starting two threads costs less than one file.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// More threads than this gain nothing on one disk.
const THREADS_MAX: usize = 4;

/// How many threads do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threads {
    /// The calling one, because something else is going on.
    One,
    /// As many as help.
    All,
}

/// Calls a worker with each number below `count`, until one fails. Each thread makes itself a
/// worker of its own, which may hold buffers.
///
/// # Errors
/// One of the failures; which one is up to chance.
pub(crate) fn for_each<E: Send, W: FnMut(usize) -> Result<(), E>>(
    count: usize,
    threads: Threads,
    worker: impl Fn() -> W + Sync,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let run = || -> Result<(), E> {
        let mut work = worker();
        while !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            let done = work(index);
            if done.is_err() {
                failed.store(true, Ordering::Relaxed);
                return done;
            }
        }
        Ok(())
    };
    let threads = match threads {
        Threads::One => 1,
        Threads::All => std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(THREADS_MAX)
            .min(count.max(1)),
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let mut result = run();
        for other in others {
            // A panic in a worker is a bug; pass it on.
            let theirs = other
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            result = result.and(theirs);
        }
        result
    })
}
