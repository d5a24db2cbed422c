//! What cannot be said: a lost result is a failure, a lost message is none, a reader that has gone
//! away is not missed.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

/// A place where nothing can be written, if this system has one.
fn full() -> Option<File> {
    let full = File::options().write(true).open("/dev/full").ok();
    if full.is_none() {
        println!("skipped: this system has no /dev/full");
    }
    full
}

fn counterseal(words: &[&str], directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_counterseal"));
    command
        .args(words)
        .current_dir(directory)
        .env_clear()
        .stdin(Stdio::null());
    command
}

/// Help, text for machines, and lines for people.
const RESULTS: [&[&str]; 5] = [
    &["--help"],
    &["--version"],
    &["help", "assemble"],
    &["completions", "bash"],
    &["keys", "show", "a.key"],
];

#[test]
fn a_lost_result_is_a_failure() {
    let directory = tempfile::tempdir().unwrap();
    make_key(directory.path());
    for words in RESULTS {
        let Some(full) = full() else { return };
        let output = counterseal(words, directory.path())
            .stdout(full)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        assert!(
            said.contains("cannot write the result"),
            "{words:?}: {said}"
        );
    }
}

#[test]
fn a_reader_that_has_gone_away_is_not_missed() {
    let directory = tempfile::tempdir().unwrap();
    make_key(directory.path());
    for words in RESULTS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = counterseal(words, directory.path())
            .stdout(writer)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), &*said), (Some(0), ""), "{words:?}");
    }
}

#[test]
fn a_lost_message_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let run = |words: &[&str], code: i32| {
        let Some(full) = full() else { return };
        let output = counterseal(words, at).stderr(full).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{words:?}");
    };
    run(&["keys", "new", "attestation", "b.key"], 0);
    run(
        &["keys", "new", "record", "r.key", "--origin", "a.example"],
        0,
    );
    run(&["record", "init", "record", "--key", "r.key"], 0);
    run(&["keys", "show", "none.key"], 2);
    run(&["no-such-verb"], 2);
}

#[test]
fn quiet_prints_results_only() {
    let directory = tempfile::tempdir().unwrap();
    let words = ["keys", "new", "attestation", "c.key", "--quiet"];
    let output = counterseal(&words, directory.path()).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    let public = std::fs::read(directory.path().join("c.key.pub")).unwrap();
    assert_eq!(output.stdout, public);
}

fn make_key(directory: &Path) {
    let words = ["keys", "new", "attestation", "a.key"];
    let made = counterseal(&words, directory).output().unwrap();
    assert!(made.status.success());
}
