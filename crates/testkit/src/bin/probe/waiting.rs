//! Experiments with sleep, alone and beside others.
//!
//! Absent on purpose: real time. What is printed is what the program's own clock says.

use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Sleeps and prints how many seconds that took by the clock.
pub(crate) fn sleep(seconds: u64) {
    let before = Instant::now();
    std::thread::sleep(Duration::from_secs(seconds));
    println!("{}", before.elapsed().as_secs());
}

/// Processes and threads that sleep at once, the longest of them started first; each says who it is when
/// it wakes.
pub(crate) fn sleep_together() -> io::Result<()> {
    let children = [5000, 3000, 1000]
        .map(|seconds| copy(&["sleep", &seconds.to_string()]).spawn())
        .into_iter()
        .collect::<io::Result<Vec<Child>>>()?;
    let threads = [4000, 2000].map(|seconds| std::thread::spawn(move || sleep(seconds)));
    for thread in threads {
        let _ = thread.join();
    }
    for mut child in children {
        child.wait()?;
    }
    Ok(())
}

/// Sleeps while a child works for a few tenths of a second of anybody's time, which its clock hardly
/// sees; whether the child was done first.
pub(crate) fn sleep_beside_work() -> io::Result<()> {
    let mut child = copy(&["work"]).stdout(Stdio::piped()).spawn()?;
    sleep(1000);
    println!("{}", child.try_wait()?.is_some());
    Ok(())
}

/// A child sleeps long, says so through a pipe, sleeps a little and is done; its parent sleeps for longer
/// than that once it has heard. Who comes last, and what time it is.
pub(crate) fn sleep_after_word() -> io::Result<()> {
    let begin = Instant::now();
    let mut child = copy(&["sleep", "10", "then", "sleep", "1", "then", "print", "done"])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut output = child.stdout.take().ok_or(io::ErrorKind::NotFound)?;
    output.read_exact(&mut [0; 3])?;
    println!("{}", begin.elapsed().as_secs());
    std::thread::sleep(Duration::from_secs(5));
    println!("{}", child.try_wait()?.is_some());
    println!("{}", begin.elapsed().as_secs());
    Ok(())
}

/// Threads that sleep equally long, the first of them a little earlier than the second, and so on.
pub(crate) fn sleep_alike(count: usize) {
    let threads: Vec<_> = (0..count)
        .map(|number| {
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(100));
                println!("{number}");
            })
        })
        .collect();
    for thread in threads {
        let _ = thread.join();
    }
}

/// Sleeps after somebody was killed who would have slept, or waited with a limit, for longer than the step
/// may take.
pub(crate) fn sleep_after_death() -> io::Result<()> {
    let mut child = copy(&["sleep", "100000"]).spawn()?;
    sleep(1);
    child.kill()?;
    child.wait()?;
    sleep(3600);
    Ok(())
}

/// Sleeps with the random device open, before and after it has been read.
pub(crate) fn sleep_beside_device() -> io::Result<()> {
    let mut device = std::fs::File::open("/dev/urandom")?;
    sleep(3600);
    device.read_exact(&mut [0; 64])?;
    sleep(3600);
    Ok(())
}

/// Computes.
pub(crate) fn work() {
    let mut state = 1_u64;
    for _ in 0..300_000_000_u32 {
        state = std::hint::black_box(state.wrapping_mul(6_364_136_223_846_793_005) ^ 1);
    }
}

fn copy(words: &[&str]) -> Command {
    let mut copy = Command::new("/proc/self/exe");
    copy.args(words).stdin(Stdio::null());
    copy
}
