//! Experiments of many at once: copies of the program, and threads that all do the same.
//!
//! Absent on purpose: what one alone can use up (memory, output, files).

use std::io;
use std::process::Command;

/// Copies of itself that hold memory until somebody ends them.
pub(crate) fn hold_together(count: usize, mib: &str) -> io::Result<()> {
    let copies = (0..count)
        .map(|_| Command::new("/proc/self/exe").args(["hold", mib]).spawn())
        .collect::<io::Result<Vec<_>>>()?;
    for mut copy in copies {
        copy.wait()?;
    }
    Ok(())
}

/// Every process starts two copies of itself, for ever, until the system refuses; then it
/// says so and keeps trying no longer.
pub(crate) fn fork_bomb() -> io::Result<()> {
    let start = || Command::new("/proc/self/exe").arg("fork-bomb").spawn();
    let (mut one, mut other) = (start()?, start()?);
    let refused = !one.wait()?.success() | !other.wait()?.success();
    if refused {
        Err(io::Error::other("a copy was refused"))
    } else {
        Ok(())
    }
}

/// Runs the same in several threads at once; fails if it fails in one.
pub(crate) fn in_threads(
    count: usize,
    run: impl Fn() -> io::Result<()> + Send + Sync + 'static,
) -> io::Result<()> {
    let run = std::sync::Arc::new(run);
    let started: Vec<_> = (0..count)
        .map(|_| {
            let run = run.clone();
            std::thread::spawn(move || run())
        })
        .collect();
    for thread in started {
        thread
            .join()
            .map_err(|_| io::Error::other("a thread panicked"))??;
    }
    Ok(())
}

pub(crate) fn clock_storm(reads: u32) -> io::Result<()> {
    let mut last = std::time::Instant::now();
    for _ in 0..reads {
        let now = std::time::Instant::now();
        if now <= last {
            return Err(io::Error::other("the clock stood still or ran backwards"));
        }
        last = now;
    }
    Ok(())
}

pub(crate) fn start_storm(starts: u32) -> io::Result<()> {
    for _ in 0..starts {
        let output = Command::new("/proc/self/exe")
            .args(["print", "x"])
            .output()?;
        if output.stdout != b"x\n" || !output.status.success() {
            return Err(io::Error::other(format!(
                "a start ended with {}",
                output.status
            )));
        }
    }
    Ok(())
}

/// Threads that are all started before one of them is heard of, each with a random number of its own.
pub(crate) fn draw_in_threads(count: usize) -> io::Result<()> {
    use std::hash::{BuildHasher, RandomState};
    let started: Vec<_> = (0..count)
        .map(|_| std::thread::spawn(|| RandomState::new().hash_one(())))
        .collect();
    for thread in started {
        let number = thread
            .join()
            .map_err(|_| io::Error::other("a thread panicked"))?;
        println!("{number:016x}");
    }
    Ok(())
}

pub(crate) fn threads(count: usize) -> io::Result<()> {
    let barrier = std::sync::Arc::new(std::sync::Barrier::new(count + 1));
    let mut started = Vec::new();
    for _ in 0..count {
        let barrier = barrier.clone();
        started.push(
            std::thread::Builder::new()
                .stack_size(64 * 1024)
                .spawn(move || {
                    barrier.wait();
                })?,
        );
    }
    barrier.wait();
    for thread in started {
        thread
            .join()
            .map_err(|_| io::Error::other("a thread panicked"))?;
    }
    Ok(())
}
