//! The virtual time stamp counter: it is the action's own clock in whatever the step starts, and the
//! tracer that it takes is not felt otherwise. That two hosts show the same is `tests/leaks`' part.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use counterseal_sandbox::{Exit, Guarantee, Scratch, State};

use crate::stage::Stage;

/// Begins when the machine seems to have been up for so long.
const UPTIME_AT_START_NS: u64 = 1_000_000_000_000;

fn traced(program: &[u8]) -> Stage {
    let mut stage = Stage::with_program(program);
    stage.host.virtual_timestamp_counter = true;
    stage
}

fn observed(stage: &mut Stage) -> BTreeMap<String, String> {
    let shown = stage.prints("counter");
    let pairs = shown.lines().filter_map(|line| line.split_once(' '));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn the_counter_is_the_clock_in_everything_that_a_step_starts() {
    let seen = observed(&mut traced(counterseal_static_programs::LEAK_PROBE));
    let mut in_order = 0;
    for (name, value) in &seen {
        if name.ends_with(".in-order") {
            assert_eq!(value, "true", "{name}");
            in_order += 1;
        }
    }
    // At first and at last, forked twice, executed, and in a handler's process.
    assert_eq!(in_order, 6, "{seen:#?}");
    for (name, value) in &seen {
        if name.ends_with(".rdtscp") {
            assert!(value.ends_with(" 0"), "{name}: {value}");
        }
        if name.starts_with("counter.thread.") {
            assert!(value.starts_with("true "), "{name}: {value}");
        }
    }
    let first: u64 = seen["counter.first.rdtsc"].parse().unwrap();
    let last: u64 = seen["counter.last.rdtsc"].parse().unwrap();
    assert!(
        (UPTIME_AT_START_NS..last).contains(&first),
        "{first} {last}"
    );
}

#[test]
fn the_tracer_is_not_felt() {
    let seen = observed(&mut traced(counterseal_static_programs::LEAK_PROBE));
    for (name, expected) in [
        // The switch looks as on any host, and cannot be turned.
        ("switch.state", "1"),
        ("switch.on", "errno 1"),
        ("switch.off", "errno 1"),
        ("untraced", "errno 1"),
        ("ptrace.0", "errno 1"),
        ("ptrace.16902", "errno 1"),
        // Faults are faults, and their handlers see them.
        ("fault.end", "signal 11"),
        ("fault.forbidden.end", "signal 11"),
        ("fault.handled.end", "exit 42"),
        ("trap.end", "signal 5"),
        // Job control.
        ("stop.19", "stopped 19"),
        ("stop.19.continued", "continued"),
        ("stop.19.end", "signal 15"),
        ("stop.20", "stopped 20"),
        ("stop.20.continued", "continued"),
        ("stop.20.end", "signal 15"),
        ("stop.outside", "stopped 19"),
        ("stop.outside.end", "signal 9"),
        // Signals arrive once each, and end what they should end.
        ("signals.counted", "100"),
        ("signals.deadly.end", "signal 15"),
        ("signals.alarm.end", "signal 14"),
        // A thread that is not the first executes.
        ("thread-executes.end", "exit 0"),
        // Calls that the tracer mends in place of the service.
        ("mended.alarm", "= 1000"),
        ("mended.condition", "true"),
        ("mended.condition.long", "true"),
    ] {
        let found = seen.get(&format!("counter.{name}")).map(String::as_str);
        assert_eq!(found, Some(expected), "{name}: {seen:#?}");
    }
    assert!(
        seen["counter.mended.wait"].starts_with("exit 3 "),
        "{seen:#?}"
    );
}

/// What the same experiments show that have nothing to do with the counter, with a tracer.
#[test]
fn everything_else_works_as_without() {
    let mut stage = traced(counterseal_static_programs::PROBE);
    let outcome = stage.run("waits").unwrap();
    assert!(outcome.exit.is_success(), "{}", stage.stderr());
    let shown = stage.stdout();
    for wait in ["sleep", "channel", "condition", "park", "spin"] {
        assert!(shown.contains(&format!("{wait} 10\n")), "{wait}: {shown}");
    }
    stage.prints("clock-storm 8 500");
    stage.prints("start-storm 8 25");
    stage.prints("threads 16");
    let outcome = stage.run("exit 5").unwrap();
    assert_eq!(outcome.exit, Exit::Code(5));
    let outcome = stage.run("crash").unwrap();
    assert!(matches!(outcome.exit, Exit::Signal(_)), "{}", outcome.exit);
    stage.fails("leave-behind");
    stage.limits.wall = std::time::Duration::from_millis(300);
    stage.fails("loop");
}

#[test]
fn the_manifest_says_whose_counter_it_was() {
    let mut stage = traced(counterseal_static_programs::PROBE);
    let counter = |stage: &mut Stage| {
        let isolation = stage.run("print x").unwrap().isolation;
        isolation[&Guarantee::TimestampCounter].clone()
    };
    assert_eq!(counter(&mut stage).0, State::Enforced);
    stage.waived.insert(Guarantee::TimestampCounter);
    let (given_up, why) = counter(&mut stage);
    assert_eq!(given_up, State::Absent);
    assert!(why.starts_with("given up by the user; rdtsc"), "{why}");
    stage.waived.clear();
    stage.host.virtual_timestamp_counter = false;
    let (real, why) = counter(&mut stage);
    assert_eq!(real, State::Absent);
    assert!(why.starts_with("real by the recipe's wish; rdtsc"), "{why}");
}

#[test]
fn runs_at_the_same_time_keep_to_themselves() {
    let run = || {
        let mut stage = traced(counterseal_static_programs::LEAK_PROBE);
        let seen = observed(&mut stage);
        stage.scratch = Scratch::new();
        assert_eq!(observed(&mut stage), seen);
        seen
    };
    let seen = std::thread::scope(|scope| {
        let started: Vec<_> = (0..3).map(|_| scope.spawn(run)).collect();
        let ended = started.into_iter().map(|run| run.join().unwrap());
        ended.collect::<Vec<_>>()
    });
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:#?}");
}

/// Set in a copy of this test program that is killed while its step runs.
const KILLED: &str = "COUNTERSEAL_TEST_KILLED";

#[test]
fn nothing_outlives_a_parent_that_is_killed() {
    use std::io::{BufRead, BufReader};
    if std::env::var_os(KILLED).is_some() {
        let mut stage = traced(counterseal_static_programs::PROBE);
        println!("{KILLED} {}", stage.root.path().display());
        let _ = stage.run("loop");
        return;
    }
    let mut copy = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "timestamp_counter::nothing_outlives_a_parent_that_is_killed",
        ])
        .arg("--nocapture")
        .env(KILLED, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(copy.stdout.take().unwrap());
    let root = said.lines().map_while(Result::ok).find_map(|line| {
        let path = line.split_once(KILLED)?.1.trim().to_owned();
        Some(path)
    });
    // Its processes, of which the step is one as soon as it has executed.
    let parent = i32::try_from(copy.id()).unwrap();
    let step = loop {
        let step = descendants(parent).into_iter().find(|process| {
            std::fs::read(format!("/proc/{process}/cmdline"))
                .is_ok_and(|line| line.starts_with(b"/probe"))
        });
        if let Some(step) = step {
            break step;
        }
        assert!(copy.try_wait().unwrap().is_none(), "the step never ran");
        std::thread::yield_now();
    };
    copy.kill().unwrap();
    copy.wait().unwrap();
    // The kernel is at it; it has no other end.
    while std::fs::exists(format!("/proc/{step}")).unwrap() {
        std::thread::yield_now();
    }
    if let Some(root) = root {
        std::fs::remove_dir_all(root).unwrap();
    }
}

fn descendants(process: i32) -> Vec<i32> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task"));
    let mut found = Vec::new();
    for thread in threads.into_iter().flatten().flatten() {
        let listed = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        for child in listed
            .split_ascii_whitespace()
            .filter_map(|id| id.parse().ok())
        {
            found.push(child);
            found.extend(descendants(child));
        }
    }
    found
}
