//! What a step can learn about its host: the leak probe, run under two hosts as unlike as one
//! machine allows, prints the same in the sandbox, and not under bubblewrap.
//!
//! A test target of its own in this crate, since it holds this crate's promises only, takes seconds
//! and must not share its process, whose mask, limits, directory and priority it changes: each run
//! is made by this same program, started anew as one test of its own
//! (`the_probe_looks_everywhere`).
//!
//! Absent on purpose: other machines. What is equal here because it is the same kernel and
//! processor is seen by replaying elsewhere.

mod hosts;
mod observations;
mod runners;

use std::collections::BTreeMap;

use counterseal_sandbox::{Guarantee, State};

use crate::hosts::Host;
use crate::observations::{differences, observations};
use crate::runners::{Runner, bubblewrap};

/// What may differ on a machine whose processor does not trap it, and the guarantee that says so in
/// the isolation manifest: there it must not be stated as enforced. At most eight.
const NOT_MASKABLE: [(&str, Guarantee); 8] = [
    ("processor.cpuid-number", Guarantee::ProcessorIdentity),
    ("processor.rdpid", Guarantee::ProcessorNumber),
    ("processor.rdrand", Guarantee::HardwareRandomness),
    ("processor.rdseed", Guarantee::HardwareRandomness),
    ("processor.segment-limit", Guarantee::ProcessorNumber),
    ("processor.rdtsc", Guarantee::TimestampCounter),
    ("processor.rdtscp", Guarantee::TimestampCounter),
    // How far one thread comes while another does something else is no value that anybody gives.
    ("processor.thread-that-counts", Guarantee::CountingThreads),
];

/// What still tells two runs apart and could be hidden: known, and open. The work of a child in the
/// signal of its end; a trapped call that a signal interrupts before it is taken; how often a timer
/// goes off while a program computes. By a part of their names. The manifest says so of all of them
/// ([`Guarantee::SignalTiming`]).
const OPEN: [&str; 3] = [
    "children.end-of-child.",
    "storms.signals.",
    "waits.counted.",
];

/// Fewer would mean that an area did not look.
const OBSERVABLES_MIN: usize = 1000;
/// So many at least differ where only namespaces and a clean environment hide the host.
const SEEN_UNDER_BUBBLEWRAP_MIN: usize = 60;

/// A run in this process as it is, and the run that the other tests start in processes of their
/// own, as another host.
#[test]
fn the_probe_looks_everywhere() {
    let (runner, text) = hosts::run_as_asked();
    let seen = observations(&text);
    assert!(seen.len() >= OBSERVABLES_MIN, "{} observables", seen.len());
    // A world in which random numbers repeat is too fixed.
    for (one, other) in [
        ("random.call.first", "random.call.second"),
        ("random.child.one", "random.child.two"),
        ("random./dev/urandom.first", "random./dev/urandom.second"),
        ("random.uuid.first", "random.uuid.second"),
        ("random.gift", "again.first.random.gift"),
        (
            "again.first.random.call.first",
            "again.second.random.call.first",
        ),
    ] {
        assert_ne!(seen[one], seen[other], "{one} and {other} ({runner:?})");
    }
}

#[test]
fn two_hosts_are_one_in_the_sandbox() {
    two_hosts_are_one(Runner::Sandbox);
}

#[test]
fn two_hosts_are_one_where_the_counter_is_virtual() {
    two_hosts_are_one(Runner::Traced);
}

#[track_caller]
fn two_hosts_are_one(runner: Runner) {
    let isolation = runners::in_sandbox(false, runner == Runner::Traced).isolation;
    let first = hosts::run_on(Host::Plain, runner);
    let mut found = BTreeMap::new();
    for (what, host) in [
        ("another host", Host::Odd),
        ("the same host later", Host::Plain),
    ] {
        let other = hosts::run_on(host, runner);
        for (name, values) in differences(&observations(&first), &observations(&other)) {
            found.entry(name).or_insert((what, values));
        }
    }
    for (name, (what, (ours, theirs))) in &found {
        println!("{name} ({what})\n    {ours}\n    {theirs}");
    }
    let is_maskable = |name: &str| {
        let known = NOT_MASKABLE.iter().find(|(known, _)| *known == name);
        known.is_none_or(|(_, guarantee)| isolation[guarantee].0 == State::Enforced)
    };
    let leaks: Vec<&String> = found
        .keys()
        .filter(|name| is_maskable(name))
        .filter(|name| OPEN.iter().all(|known| !name.contains(known)))
        .collect();
    assert!(leaks.is_empty(), "{} leaks: {leaks:#?}", leaks.len());
}

#[test]
fn what_cannot_be_masked_is_in_the_manifest() {
    for (is_traced, expected) in [(false, State::Absent), (true, State::Enforced)] {
        let isolation = runners::in_sandbox(false, is_traced).isolation;
        assert_eq!(isolation[&Guarantee::SignalTiming].0, State::Absent);
        for (name, guarantee) in NOT_MASKABLE {
            let (state, mechanism) = &isolation[&guarantee];
            let instruction = name.rsplit(['.', '-']).next().unwrap();
            if guarantee == Guarantee::TimestampCounter {
                assert_eq!(*state, expected, "{name}: {mechanism}");
                assert!(mechanism.contains(instruction), "{name}: {mechanism}");
            } else {
                assert_eq!(*state, State::Absent, "{name}: {mechanism}");
            }
        }
    }
}

#[test]
fn the_probe_sees_what_bubblewrap_lets_through() {
    if let Err(reason) = bubblewrap() {
        println!("skipped: {reason}");
        return;
    }
    let ours = hosts::run_on(Host::Plain, Runner::Bubblewrap);
    let theirs = hosts::run_on(Host::Odd, Runner::Bubblewrap);
    let found = differences(&observations(&ours), &observations(&theirs));
    println!("{} observables differ", found.len());
    assert!(found.len() > SEEN_UNDER_BUBBLEWRAP_MIN, "{found:#?}");
}
