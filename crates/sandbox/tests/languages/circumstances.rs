//! One action in two circumstances: later, on one processor, and less important.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use counterseal_sandbox::{Action, Limits, Scratch, VirtualHost, run};
use rustix::thread::CpuSet;

use crate::EPOCH;
use crate::root::Root;

/// What the program prints, which must be the same in both.
#[track_caller]
pub(crate) fn printed_in_two(root: &Root, argv: &[&str], host: &VirtualHost) -> String {
    let first = printed(root, argv, host);
    // The host's date and its time since the start are others then.
    std::thread::sleep(Duration::from_millis(1100));
    let second = std::thread::scope(|scope| {
        let odd = scope.spawn(|| {
            become_odd();
            printed(root, argv, host)
        });
        odd.join().unwrap()
    });
    assert_eq!(first, second);
    first
}

/// Changes what a thread can change about itself alone, and its children inherit.
fn become_odd() {
    rustix::process::nice(5).unwrap();
    let usable = rustix::thread::sched_getaffinity(None).unwrap();
    let last = (0..CpuSet::MAX_CPU).rev().find(|cpu| usable.is_set(*cpu));
    let mut only = CpuSet::new();
    only.set(last.unwrap());
    rustix::thread::sched_setaffinity(None, &only).unwrap();
}

#[track_caller]
fn printed(root: &Root, argv: &[&str], host: &VirtualHost) -> String {
    let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
    let logs = tempfile::tempdir().unwrap();
    let action = Action {
        root: root.path(),
        argv: &argv,
        environment: &BTreeMap::new(),
        working_directory: "/build",
        limits: &Limits::default(),
        source_date_epoch: EPOCH,
        host,
        waived: &BTreeSet::new(),
    };
    let outcome = run(&action, &mut Scratch::new(), logs.path()).unwrap();
    let complaints = fs::read_to_string(&outcome.stderr.path).unwrap_or_default();
    assert!(outcome.exit.is_success(), "{}: {complaints}", outcome.exit);
    fs::read_to_string(&outcome.stdout.path).unwrap()
}
