//! Threads that sleep while signals come: what their sleeps answer, and how long they were. By name
//! only, since most of it is about whether the kernel's own answers stay inside the kernel.

use std::time::{Duration, Instant};

use crate::raw::{self, Answer, Memory, call};
use crate::report::Report;

pub(super) const WORD: &str = "sleepers";

/// A second of a sleep that nothing but a signal ends.
const LONG_S: u64 = 1_000;
const SHORT_NS: u64 = 300_000_000;

pub(crate) fn look(report: &mut Report) {
    report.in_child("handled.end", handled);
    report.in_child("parent.end", parent);
    report.in_child("stopped.end", |report| stopped(report, "stopped", 1));
    report.in_child("stopped.several.end", |report| {
        stopped(report, "stopped.several", 3);
    });
    for_nothing(report);
    report.note("undisturbed.passed", sleep(0, SHORT_NS, true).1.as_nanos());
}

/// A relative sleep, and what passed on the clock; what is left of it is asked for, or not.
fn sleep(seconds: u64, nanoseconds: u64, asks_for_rest: bool) -> (Answer, Duration) {
    let memory = Memory::new();
    memory.put_u64(0, seconds).put_u64(8, nanoseconds);
    let start = Instant::now();
    let answer = if asks_for_rest {
        call!(libc::SYS_nanosleep, &memory, memory.at(64))
    } else {
        // Until a time, by the clock.
        let flags = libc::TIMER_ABSTIME;
        let _ = call!(libc::SYS_clock_gettime, 1, memory.at(128));
        memory
            .put_u64(128, memory.u64(128) + seconds)
            .put_u64(136, 0);
        call!(libc::SYS_clock_nanosleep, 1, flags, memory.at(128), 0)
    };
    (answer, start.elapsed())
}

/// Waits for nothing but their time limit, a long one.
fn for_nothing(report: &mut Report) {
    let memory = Memory::new();
    let limit = || memory.put_u64(0, LONG_S).put_u64(8, 0);
    let mut timed = |name: &str, wait: &dyn Fn() -> Answer| {
        let start = Instant::now();
        report.answer(format!("for-nothing.{name}"), wait());
        let seconds = start.elapsed().as_secs();
        report.note(format!("for-nothing.{name}.passed"), seconds);
    };
    timed("poll", &|| call!(libc::SYS_poll, 0, 0, LONG_S * 1000));
    timed("ppoll", &|| call!(libc::SYS_ppoll, 0, 0, limit(), 0, 8));
    timed("select", &|| call!(libc::SYS_select, 0, 0, 0, 0, limit()));
    let left = format!("{} {}", memory.u64(0), memory.u64(8));
    timed("pselect", &|| {
        call!(libc::SYS_pselect6, 0, 0, 0, 0, limit(), 0)
    });
    report.note("for-nothing.select.left", left);
    // As the kernel takes it, and clocks that nobody can wait for.
    memory.put_u64(0, 0).put_u64(8, 1_500_000);
    let start = Instant::now();
    report.answer(
        "for-nothing.microseconds",
        call!(libc::SYS_select, 0, 0, 0, 0, &memory),
    );
    let passed = start.elapsed().as_millis();
    report.note("for-nothing.microseconds.passed", passed);
    for clock in [3, 6, 9, 10, 99] {
        memory.put_u64(0, 0).put_u64(8, 1000);
        let answer = call!(libc::SYS_clock_nanosleep, clock, 0, &memory, 0);
        report.answer(format!("clock.{clock}"), answer);
    }
    report.answer(
        "for-nothing.negative",
        call!(libc::SYS_select, -1_i32, 0, 0, 0, limit()),
    );
}

/// Signals to a process whose threads all sleep but one, which takes none.
fn handled(report: &mut Report) {
    // A sleep does not go on whatever the handler asks for; the threads' other calls shall.
    raw::count_and_go_on(libc::SIGUSR1);
    let asleep: Vec<_> = [true, true, false, false]
        .into_iter()
        .map(|asks_for_rest| std::thread::spawn(move || sleep(LONG_S, 0, asks_for_rest)))
        .collect();
    block();
    let own = std::process::id();
    let mut woken = 0;
    let mut are_all_handled = true;
    while woken < asleep.len() {
        let _ = call!(libc::SYS_kill, own, libc::SIGUSR1);
        std::thread::sleep(Duration::from_millis(10));
        woken = asleep.iter().filter(|thread| thread.is_finished()).count();
        // Nobody wakes for a signal that somebody else has taken.
        are_all_handled &= raw::counted() >= woken as u64;
    }
    report.note("handled.by-each", are_all_handled);
    for (number, thread) in asleep.into_iter().enumerate() {
        if let Ok((answer, passed)) = thread.join() {
            report.answer(format!("handled.{number}"), answer);
            report.note(format!("handled.{number}.short"), passed.as_secs() < LONG_S);
        }
    }
}

fn block() {
    let signals = Memory::new();
    signals.put_u64(0, 1 << (libc::SIGUSR1 - 1));
    let _ = call!(libc::SYS_rt_sigprocmask, 0, &signals, 0, 8);
}

/// A signal to somebody who waits for a child, and for what it has used.
fn parent(report: &mut Report) {
    raw::count(libc::SIGUSR1);
    let own = std::process::id();
    let Ok(child) = raw::fork() else { return };
    let Some(child) = child else {
        loop {
            std::thread::sleep(Duration::from_millis(10));
            let _ = call!(libc::SYS_kill, own, libc::SIGUSR1);
        }
    };
    let memory = Memory::new();
    let waited = call!(libc::SYS_wait4, child, &memory, 0, memory.at(64));
    block();
    report.answer("parent.wait", waited);
    let _ = call!(libc::SYS_kill, child, libc::SIGKILL);
}

/// Sleeps of a process that somebody stops and continues, while it has so many threads.
fn stopped(report: &mut Report, name: &str, threads: usize) {
    let own = std::process::id();
    match raw::fork() {
        Err(errno) => return report.note(name, errno),
        Ok(None) => {
            for signal in [libc::SIGSTOP, libc::SIGCONT] {
                std::thread::sleep(Duration::from_millis(60));
                let _ = call!(libc::SYS_kill, own, signal);
            }
            let _ = call!(libc::SYS_exit_group, 0);
            std::process::abort()
        }
        Ok(Some(_)) => {}
    }
    let others: Vec<_> = (1..threads)
        .map(|_| std::thread::spawn(|| sleep(0, SHORT_NS, true)))
        .collect();
    let mut slept = vec![sleep(0, SHORT_NS, true)];
    slept.extend(others.into_iter().filter_map(|thread| thread.join().ok()));
    for (number, (answer, passed)) in slept.into_iter().enumerate() {
        report.answer(format!("{name}.{number}"), answer);
        report.note(format!("{name}.{number}.passed"), passed.as_nanos());
    }
}
