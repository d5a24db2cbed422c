//! An assembly over what an earlier one left: the record may have changed since, and others may have
//! added to the evidence.

use std::fs;

use crate::harness::{Bench, PACK, copy_directory, files_below, remove_directory, rules};

#[test]
fn a_record_that_was_set_back_is_not_up_to_date() {
    let bench = Bench::new();
    rules(&bench, "rules");
    bench.lock("rules").exits(0);
    copy_directory(&bench.path("record"), &bench.path("earlier"));
    bench
        .assemble("rules", &["--archive-inputs", "inputs"])
        .exits(0);
    let evidence = fs::read(bench.path(&format!("out/{PACK}.sigstore.jsonl"))).unwrap();
    remove_directory(&bench.path("record"));
    fs::rename(bench.path("earlier"), bench.path("record")).unwrap();
    bench
        .assemble("rules", &[])
        .exits(1)
        .says("the entry is not there as number 0")
        .says("set back to an earlier state");
    bench
        .replay(
            &format!("out/{PACK}"),
            "store",
            &["--input-archive", "inputs"],
        )
        .exits(1)
        .says("set back to an earlier state")
        .never_says("step compile");
    assert_eq!(bench.entries(), 0);
    let after = fs::read(bench.path(&format!("out/{PACK}.sigstore.jsonl"))).unwrap();
    assert_eq!(after, evidence);
}

#[test]
fn what_auditors_said_is_kept_when_evidence_is_made_anew() {
    let bench = Bench::new();
    rules(&bench, "rules");
    bench.lock("rules").exits(0);
    bench
        .assemble("rules", &["--archive-inputs", "inputs"])
        .exits(0);
    let file = format!("out/{PACK}");
    bench
        .replay(&file, "store", &["--input-archive", "inputs"])
        .exits(0);
    assert_eq!(bench.statements(&file).len(), 2);
    let before = fs::read(bench.path(&format!("{file}.sigstore.jsonl"))).unwrap();
    // In another record it has to be recorded again.
    bench
        .run("keys new record keys/other.key --origin other.record.example")
        .exits(0);
    bench.run("record init other --key keys/other.key").exits(0);
    let line = Bench::assemble_line("rules")
        .replace("keys/record.key", "keys/other.key")
        .replace("--record record", "--record other");
    bench.run(&line).exits(0).says("what was there is kept as");
    assert_eq!(bench.statements(&file).len(), 1);
    let kept = files_below(&bench.path("out"))
        .into_iter()
        .find(|path| path.to_string_lossy().contains(".replaced-"))
        .unwrap();
    assert_eq!(fs::read(kept).unwrap(), before);
    // A provenance alone is in the record, and goes.
    bench.assemble("rules", &[]).exits(0).never_says("is kept");
}

/// Publishing leaves `.state/` out.
#[test]
fn a_record_goes_on_from_a_published_copy() {
    let bench = Bench::new();
    rules(&bench, "rules");
    bench.lock("rules").exits(0);
    bench.assemble("rules", &[]).exits(0);
    remove_directory(&bench.path("record/.state"));
    assert_eq!(bench.entries(), 1);
    remove_directory(&bench.path("out"));
    bench
        .assemble("rules", &[])
        .exits(2)
        .says("record/.state/lock")
        .says("hint: published copies");
    fs::create_dir_all(bench.path("record/.state/staging")).unwrap();
    fs::write(bench.path("record/.state/lock"), "").unwrap();
    bench.assemble("rules", &[]).exits(0);
    assert_eq!(bench.entries(), 2);
}

/// A long build must not be for nothing.
#[test]
fn what_cannot_be_written_is_said_before_anything_runs() {
    let bench = Bench::new();
    rules(&bench, "rules");
    bench.lock("rules").exits(0);
    let line = Bench::assemble_line("rules").replace("--output out", "--output /proc/self");
    bench
        .run(&line)
        .exits(2)
        .says("cannot write in /proc/self")
        .never_says("step compile");
    bench
        .assemble("rules", &["--archive-inputs", "inputs"])
        .exits(0);
    bench
        .replay(&format!("out/{PACK}"), "store", &["--output", "/proc/self"])
        .exits(2)
        .says("cannot write in /proc/self")
        .never_says("step compile");
    assert_eq!(bench.entries(), 1);
}

#[test]
fn a_lock_with_another_size_is_told_by_the_size() {
    let bench = Bench::new();
    rules(&bench, "rules");
    bench.lock("rules").exits(0);
    let path = bench.path("rules/assembly.lock");
    let lock = fs::read_to_string(&path).unwrap();
    let size = fs::metadata(bench.path("rules/rulec")).unwrap().len();
    let altered = lock.replace(&size.to_string(), "1");
    assert_ne!(altered, lock);
    fs::write(&path, altered).unwrap();
    bench.assemble("rules", &[]).exits(2).says(&format!(
        "states 1 bytes for the input rulec, but what has the pinned digest has {size}"
    ));
}
