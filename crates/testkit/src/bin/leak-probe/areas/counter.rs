//! The time stamp counter where it shows the program's own time: that it does, in whatever a program
//! starts, and that whoever answers it (a tracer, on Linux) is not felt otherwise: by signals,
//! stops, faults, and calls that a tracer may have to touch. Looked at by name only, since where the
//! counter is the machine's the values never repeat.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use crate::raw::{self, Memory, call, instructions};
use crate::report::{Report, ended};

/// The area, and that of the program that it executes.
pub(super) const WORD: &str = "counter";
pub(super) const EXECUTED: &str = "counter-executed";

const PROGRAM: &str = "/proc/self/exe";
/// `WUNTRACED` and `WCONTINUED` (wait(2)).
const STOPS: i32 = libc::WUNTRACED | libc::WCONTINUED;
/// No memory is mapped there.
const NOWHERE: usize = 0x10;

pub(super) fn look(report: &mut Report) {
    readings(report, "first");
    threads(report);
    report.in_child("fork.end", |report| {
        readings(report, "fork");
        report.in_child("fork.again.end", |report| readings(report, "fork.again"));
    });
    execute(report, "executed", &mut Command::new(PROGRAM));
    execute_in_thread(report);
    the_switch(report);
    faults(report);
    stops(report);
    signals(report);
    mended_calls(report);
    readings(report, "last");
}

/// What the executed program does.
pub(super) fn answer(report: &mut Report) {
    readings(report, "readings");
}

/// The counter by both instructions, between two looks at the clock.
fn readings(report: &mut Report, name: &str) {
    let before = clock();
    let first = instructions::rdtsc();
    let (second, processor) = instructions::rdtscp();
    let third = instructions::rdtsc();
    let after = clock();
    report.note(format!("{name}.rdtsc"), first);
    report.note(
        format!("{name}.rdtscp"),
        format_args!("{second} {processor}"),
    );
    report.note(
        format!("{name}.in-order"),
        before < first && first < second && second < third && third < after,
    );
}

/// `CLOCK_MONOTONIC` in nanoseconds.
fn clock() -> u64 {
    let memory = Memory::new();
    let _ = call!(libc::SYS_clock_gettime, libc::CLOCK_MONOTONIC, &memory);
    memory.u64(0) * 1_000_000_000 + memory.u64(8)
}

fn threads(report: &mut Report) {
    const READINGS: usize = 500;
    // One after the other started, all at once at work: each has its own time.
    let started: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                let seen: Vec<u64> = (0..READINGS).map(|_| instructions::rdtsc()).collect();
                (seen.is_sorted_by(|a, b| a < b), seen[0], seen[READINGS - 1])
            })
        })
        .collect();
    for (number, thread) in started.into_iter().enumerate() {
        if let Ok((is_increasing, first, last)) = thread.join() {
            report.note(
                format!("thread.{number}"),
                format_args!("{is_increasing} {first} {last}"),
            );
        }
    }
}

fn execute(report: &mut Report, name: &str, command: &mut Command) {
    match command.arg(EXECUTED).output() {
        Ok(output) => {
            report.note(format!("{name}.end"), output.status);
            for line in String::from_utf8_lossy(&output.stdout).lines() {
                let (line, value) = line.split_once(' ').unwrap_or((line, ""));
                report.note(format!("{name}.{line}"), value);
            }
        }
        Err(error) => report.note(name, error),
    }
}

/// A thread that is not the first executes: it takes the first one's number.
fn execute_in_thread(report: &mut Report) {
    report.in_child("thread-executes.end", |_| {
        let thread = std::thread::spawn(|| {
            Command::new(PROGRAM)
                .args(["--output", "/dev/null", EXECUTED])
                .exec()
        });
        let _ = thread.join();
    });
}

fn the_switch(report: &mut Report) {
    let memory = Memory::new();
    let asked = call!(libc::SYS_prctl, libc::PR_GET_TSC, &memory);
    report.written("switch.state", asked, |_| memory.i32(0).to_string());
    for (name, state) in [("on", libc::PR_TSC_ENABLE), ("off", libc::PR_TSC_SIGSEGV)] {
        let answer = call!(libc::SYS_prctl, libc::PR_SET_TSC, state);
        report.answer(format!("switch.{name}"), answer);
    }
    let untraced = libc::CLONE_UNTRACED | libc::SIGCHLD;
    match call!(libc::SYS_clone, untraced, 0, 0, 0, 0) {
        Ok(0) => {
            let _ = call!(libc::SYS_exit_group, 0);
        }
        answer => report.answer("untraced", answer),
    }
    for request in [libc::PTRACE_TRACEME, libc::PTRACE_SEIZE] {
        let answer = call!(libc::SYS_ptrace, request, 0, 0, 0);
        report.answer(format!("ptrace.{request}"), answer);
    }
}

fn faults(report: &mut Report) {
    report.in_child("fault.end", |_| raw::touch(NOWHERE));
    report.in_child("fault.forbidden.end", |_| instructions::halt());
    report.in_child("fault.handled.end", |report| {
        raw::exit_on_fault(NOWHERE);
        report.note("fault.handled.in-order", instructions::rdtsc() < clock());
        raw::touch(NOWHERE);
    });
    report.in_child("trap.end", |_| instructions::breakpoint());
}

/// Job control, as a shell sees it.
fn stops(report: &mut Report) {
    for signal in [libc::SIGSTOP, libc::SIGTSTP] {
        let stopped = start(report, || {
            let own = call!(libc::SYS_getpid).unwrap_or(0);
            // A group of its own, with a parent outside who could continue it: only such a group
            // is stopped by the signals of a terminal.
            let _ = call!(libc::SYS_setpgid, 0, 0);
            let before = instructions::rdtsc();
            let _ = call!(libc::SYS_kill, own, signal);
            if instructions::rdtsc() <= before {
                let _ = call!(libc::SYS_exit_group, 1);
            }
        });
        let Some(child) = stopped else { return };
        wait(report, &format!("stop.{signal}"), child);
        let _ = call!(libc::SYS_kill, child, libc::SIGCONT);
        wait(report, &format!("stop.{signal}.continued"), child);
        let _ = call!(libc::SYS_kill, child, libc::SIGTERM);
        wait(report, &format!("stop.{signal}.end"), child);
    }
    // A stop from outside, and a death while stopped.
    let Some(child) = start(report, || {}) else {
        return;
    };
    let _ = call!(libc::SYS_kill, child, libc::SIGSTOP);
    wait(report, "stop.outside", child);
    let _ = call!(libc::SYS_kill, child, libc::SIGKILL);
    wait(report, "stop.outside.end", child);
}

/// A child that does its part and then waits for signals.
fn start(report: &mut Report, part: impl FnOnce()) -> Option<i32> {
    match raw::fork() {
        Err(errno) => {
            report.note("stop", errno);
            None
        }
        Ok(None) => {
            part();
            loop {
                let _ = call!(libc::SYS_pause);
            }
        }
        Ok(child) => child,
    }
}

fn wait(report: &mut Report, name: &str, child: i32) {
    let status = Memory::new();
    let waited = call!(libc::SYS_wait4, child, &status, STOPS, 0);
    report.written(name, waited, |_| {
        let status = status.i32(0);
        if libc::WIFSTOPPED(status) {
            format!("stopped {}", libc::WSTOPSIG(status))
        } else if libc::WIFCONTINUED(status) {
            "continued".to_owned()
        } else {
            ended(status)
        }
    });
}

fn signals(report: &mut Report) {
    raw::count(libc::SIGUSR1);
    let own = call!(libc::SYS_getpid).unwrap_or(0);
    for _ in 0..100 {
        let _ = call!(libc::SYS_kill, own, libc::SIGUSR1);
        let _ = instructions::rdtsc();
    }
    report.note("signals.counted", raw::counted());
    report.in_child("signals.deadly.end", |_| {
        let own = call!(libc::SYS_getpid).unwrap_or(0);
        let _ = call!(libc::SYS_kill, own, libc::SIGTERM);
    });
    report.in_child("signals.alarm.end", |_| {
        let memory = Memory::new();
        memory.put_u64(24, 1_000);
        let _ = call!(libc::SYS_setitimer, libc::ITIMER_REAL, &memory, 0);
        loop {
            let _ = call!(libc::SYS_pause);
        }
    });
}

/// Calls whose times are not the host's, and which therefore are not left alone.
fn mended_calls(report: &mut Report) {
    let _ = call!(libc::SYS_alarm, 1000);
    report.answer("mended.alarm", call!(libc::SYS_alarm, 0));
    raw::count(libc::SIGCHLD);
    if let Ok(child) = raw::fork() {
        let Some(child) = child else {
            for _ in 0..10 {
                let _ = instructions::rdtsc();
            }
            let _ = call!(libc::SYS_exit_group, 3);
            std::process::abort()
        };
        let memory = Memory::new();
        let waited = call!(libc::SYS_wait4, child, &memory, 0, memory.at(8));
        report.written("mended.wait", waited, |_| {
            format!(
                "{} {} {}",
                ended(memory.i32(0)),
                memory.u64(8),
                memory.u64(16)
            )
        });
    }
    let (lock, condition) = (Mutex::new(()), Condvar::new());
    let before = instructions::rdtsc();
    if let Ok(guard) = lock.lock() {
        let waited = condition.wait_timeout(guard, Duration::from_millis(20));
        let is_over = waited.is_ok_and(|(_, result)| result.timed_out());
        report.note("mended.condition", is_over);
    }
    let after = instructions::rdtsc();
    report.note("mended.condition.long", after - before >= 20_000_000);
}
