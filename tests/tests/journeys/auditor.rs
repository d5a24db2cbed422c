//! The auditor: a rebuild from the provenance alone, and a signed verdict whatever it is.

use std::fs;
use std::path::Path;

use counterseal_attestation::Sha256Digest;
use rustix::fs::{CWD, FileType, Mode};
use serde_json::{Value, json};

use crate::harness::{
    Bench, PACK, Probe, Program, append, files_below, publish, remove_directory, replace_recipe,
    rules,
};

/// The rule database, assembled, with an input archive and without anything else of the vendor's.
fn published() -> (Bench, String) {
    let bench = Bench::new();
    rules(&bench, "rules");
    bench.lock("rules").exits(0);
    bench
        .assemble("rules", &["--archive-inputs", "inputs"])
        .exits(0);
    remove_directory(&bench.path("rules"));
    remove_directory(&bench.path("store"));
    (bench, format!("out/{PACK}"))
}

/// What `verify` reports about the replays of a file, and its exit code.
fn replays(bench: &Bench, file: &str) -> (Option<i32>, Value) {
    let ran = bench.verify(Program::CountersealVerify, &[file], &["--json"]);
    (ran.code(), ran.json()["files"][0]["verdict"].clone())
}

#[test]
fn the_first_audit_asks_for_no_audit_before_it() {
    let (bench, file) = published();
    bench
        .new_trust("demanding.toml", &["--replays-required", "1"])
        .exits(0);
    bench
        .run(&format!(
            "replay {file}.sigstore.jsonl --offline --store auditor-store --input-archive inputs \
             --trust demanding.toml"
        ))
        .exits(0);
}

#[test]
fn a_rebuild_takes_nothing_s_place() {
    let (bench, file) = published();
    let before = fs::read(bench.path(&file)).unwrap();
    bench
        .run(&format!(
            "replay {file}.sigstore.jsonl --offline --store auditor-store --input-archive inputs \
             --output out"
        ))
        .exits(2)
        .says("is there already")
        .never_says("step compile");
    assert_eq!(fs::read(bench.path(&file)).unwrap(), before);
}

/// Of the same name, but with another key: evidence with receipts of both would fail for everybody.
#[test]
fn a_verdict_does_not_go_into_another_record_than_the_evidence() {
    let (bench, file) = published();
    let origin = "zurich.record.example";
    bench
        .run(&format!("keys new record keys/other.key --origin {origin}"))
        .exits(0);
    bench
        .run("record init other-record --key keys/other.key")
        .exits(0);
    let evidence = format!("{file}.sigstore.jsonl");
    let before = fs::read(bench.path(&evidence)).unwrap();
    let recorded = fs::read(bench.path("other-record/checkpoint")).unwrap();
    bench
        .run(&format!(
            "replay {evidence} --offline --store auditor-store --input-archive inputs \
             --trust trust.toml --sign keys/auditor.key --record other-record \
             --record-key keys/other.key"
        ))
        .exits(2)
        .says("its receipt is not of the record other-record")
        .never_says("step compile");
    // With the wrong key nothing is said about the receipts.
    bench
        .run(&format!(
            "record add record {evidence} --public-key keys/vendor.key.pub --key keys/other.key"
        ))
        .exits(2)
        .says("did not sign the checkpoint of this record");
    assert_eq!(fs::read(bench.path(&evidence)).unwrap(), before);
    let after = fs::read(bench.path("other-record/checkpoint")).unwrap();
    assert_eq!(after, recorded);
    assert_eq!(bench.entries(), 1);
    bench.verify(Program::Counterseal, &[&file], &[]).exits(0);
}

/// Two records of one key would be two histories: the key alone does not tell them apart.
#[test]
fn a_verdict_does_not_go_into_a_second_record_of_the_same_key() {
    let (bench, file) = published();
    bench
        .run("record init second --key keys/record.key")
        .exits(0);
    let evidence = format!("{file}.sigstore.jsonl");
    let before = fs::read(bench.path(&evidence)).unwrap();
    let recorded = fs::read(bench.path("second/checkpoint")).unwrap();
    let line = format!(
        "replay {evidence} --offline --store auditor-store --input-archive inputs \
         --sign keys/auditor.key --record second --record-key keys/record.key"
    );
    let (public, aside) = (bench.path("keys/record.key.pub"), bench.path("aside.pub"));
    for has_public in [true, false] {
        if !has_public {
            fs::rename(&public, &aside).unwrap();
        }
        bench
            .run(&line)
            .exits(1)
            .says(&format!(
                "{evidence} statement 1: its receipt is not of the record second"
            ))
            .never_says("step compile");
    }
    fs::rename(&aside, &public).unwrap();
    assert_eq!(fs::read(bench.path(&evidence)).unwrap(), before);
    assert_eq!(fs::read(bench.path("second/checkpoint")).unwrap(), recorded);
    assert_eq!(bench.entries(), 1);
}

/// Whoever opens a pipe waits for somebody at its other end.
#[test]
fn a_pipe_in_the_place_of_a_file_is_refused_at_once() {
    let (bench, file) = published();
    let evidence = format!("{file}.sigstore.jsonl");
    let pipe = |path: &Path| {
        fs::remove_file(path).unwrap();
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(CWD, path, FileType::Fifo, mode, 0).unwrap();
    };
    let more = ["--input-archive", "inputs", "--trust", "trust.toml"];
    bench.replay(&evidence, "auditor-store", &more).exits(0);
    let inputs = files_below(&bench.path("inputs/sha256"));
    for input in &inputs {
        pipe(input);
    }
    bench
        .replay(&evidence, "another-store", &more)
        .exits(2)
        .says("inputs/sha256/")
        .says("it is not a regular file");
    for input in &inputs {
        fs::remove_file(input).unwrap();
        fs::create_dir(input).unwrap();
    }
    bench
        .replay(&evidence, "another-store", &more)
        .exits(2)
        .says("inputs/sha256/")
        .says("it is not a regular file");
    pipe(&bench.path("record/.state/lock"));
    bench
        .run("record check record --public-key keys/record.key.pub")
        .exits(1)
        .says("record/.state/lock: not a regular file");
    pipe(&bench.path("auditor-store/lock"));
    bench
        .run("store check --store auditor-store")
        .exits(2)
        .says("auditor-store/lock");
    pipe(&bench.path("auditor-store/format"));
    bench
        .run("store check --store auditor-store")
        .exits(2)
        .says("auditor-store/format: it is not a regular file");
}

#[test]
fn a_rebuild_from_provenance_and_archive_is_countersigned() {
    let (bench, file) = published();
    let evidence = format!("{file}.sigstore.jsonl");
    let more = ["--input-archive", "inputs", "--trust", "trust.toml"];
    let ran = bench.replay(&evidence, "auditor-store", &more).exits(0);
    ran.says("step compile").says("verdict: reproduced");
    let (code, verdict) = replays(&bench, &file);
    assert_eq!((code, &verdict["reproducedBy"]), (Some(0), &json!(1)));
    assert_eq!(verdict["replays"][0]["auditor"], "auditor");
    assert_eq!(verdict["replays"][0]["counted"], true);
    let ran = bench.verify(Program::Counterseal, &[&file], &[]).exits(0);
    ran.says("1 auditor reproduced it bit for bit");

    // The same auditor a second time, now with everything in the store: a cold action cache
    // means that the steps run again. However many statements, one auditor.
    bench
        .replay(&evidence, "auditor-store", &[])
        .exits(0)
        .says("step compile");
    // Two replays within one second state the same, and the same is recorded once.
    let statements = bench.statements(&evidence).len() as u64;
    assert!(
        (2..=3).contains(&statements),
        "provenance and one or two verdicts"
    );
    assert_eq!(bench.entries(), statements);
    let (code, verdict) = replays(&bench, &file);
    assert_eq!((code, &verdict["reproducedBy"]), (Some(0), &json!(1)));
    // Two that differ in no more than their times count once as well.
    let mut other = bench.statements(&evidence).remove(1);
    other["predicate"]["startedOn"] = json!("2001-01-01T00:00:00Z");
    append(&bench, &evidence, "keys/auditor.key", &other);
    let (code, verdict) = replays(&bench, &file);
    assert_eq!((code, &verdict["reproducedBy"]), (Some(0), &json!(1)));
    assert_eq!(
        verdict["replays"].as_array().unwrap().len() as u64,
        statements
    );
    assert_eq!(bench.entries(), statements + 1);
    // A stranger's word is shown and does not count.
    bench.run("keys new attestation keys/stranger.key").exits(0);
    append(&bench, &evidence, "keys/stranger.key", &other);
    let (code, verdict) = replays(&bench, &file);
    assert_eq!((code, &verdict["reproducedBy"]), (Some(0), &json!(1)));
    bench.run("store check --store auditor-store").exits(0);
}

#[test]
fn an_unsigned_replay_changes_nothing() {
    let (bench, file) = published();
    let evidence = bench.path(&format!("{file}.sigstore.jsonl"));
    let before = fs::read(&evidence).unwrap();
    let line = format!(
        "replay {file} --store auditor-store --offline --input-archive inputs --output rebuilt --json"
    );
    let report = bench.run(&line).exits(0).json();
    assert_eq!(
        (&report["verdict"], &report["signed"]),
        (&json!("reproduced"), &json!(false))
    );
    assert_eq!(fs::read(&evidence).unwrap(), before);
    assert_eq!(bench.entries(), 1);
    let rebuilt = fs::read(bench.path("rebuilt").join(PACK)).unwrap();
    assert_eq!(rebuilt, fs::read(bench.path(&file)).unwrap());
}

#[test]
fn other_bytes_are_reported_with_the_place_where_they_begin() {
    let (bench, file) = published();
    let mut bytes = fs::read(bench.path(&file)).unwrap();
    let place = bytes.len() - 7;
    bytes[place] ^= 0x20;
    let mut provenance = bench.statements(&file).remove(0);
    provenance["subject"][0]["digest"]["sha256"] = json!(Sha256Digest::of(&bytes));
    fs::write(bench.path(&file), bytes).unwrap();
    let evidence = format!("{file}.sigstore.jsonl");
    publish(&bench, &evidence, &provenance);
    // Nothing but a replay can tell: the vendor signed and recorded these bytes.
    bench.verify(Program::Counterseal, &[&file], &[]).exits(0);

    let more = ["--input-archive", "inputs", "--trust", "trust.toml"];
    let ran = bench
        .replay(&evidence, "auditor-store", &more)
        .exits(1)
        .speaks_plainly();
    ran.says("verdict: differs")
        .says(&format!("first difference at byte {place}"));

    // The bad news is signed, recorded and shown first; it does not undo what still is true.
    let verdict = bench.statements(&evidence).remove(1);
    assert_eq!(verdict["predicate"]["verdict"], "differs");
    assert_eq!(bench.entries(), 3);
    let (code, verdict) = replays(&bench, &file);
    assert_eq!((code, &verdict["reproducedBy"]), (Some(0), &json!(0)));
    let check = verdict["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["code"] == "replay.verdict");
    assert_eq!(check.unwrap()["state"], "failed");
    let ran = bench
        .verify(Program::CountersealVerify, &[&file], &[])
        .exits(0);
    ran.says("warning: auditor 'auditor' rebuilt it and got different bytes");

    // Where the trust file asks for replays, it is not accepted any more.
    fs::remove_file(bench.path("trust.toml")).unwrap();
    bench
        .new_trust("trust.toml", &["--replays-required", "1"])
        .exits(0);
    bench
        .verify(Program::Counterseal, &[&file], &[])
        .exits(1)
        .says("replay.quorum");
}

/// Who names no place with the inputs, or one that cannot be read, has found nothing out.
#[test]
fn a_question_that_nobody_could_answer_is_no_verdict() {
    let (bench, file) = published();
    let evidence = format!("{file}.sigstore.jsonl");
    bench
        .replay(&evidence, "auditor-store", &["--trust", "trust.toml"])
        .exits(2)
        .speaks_plainly()
        .says("--input-archive")
        .says("no verdict was made");
    assert_eq!(bench.statements(&evidence).len(), 1);
    assert_eq!(bench.entries(), 1);
}

/// The artifact that is named is the one that is asked about.
#[test]
fn an_artifact_that_the_evidence_is_not_about_is_not_replayed() {
    let (bench, file) = published();
    let mut bytes = fs::read(bench.path(&file)).unwrap();
    bytes.push(0);
    fs::write(bench.path(&file), bytes).unwrap();
    let more = ["--input-archive", "inputs"];
    bench
        .replay(&file, "auditor-store", &more)
        .exits(1)
        .says("which its evidence is not about")
        .never_says("step compile");
    fs::remove_file(bench.path(&file)).unwrap();
    bench
        .replay(&file, "auditor-store", &more)
        .exits(2)
        .says(&format!("cannot read {file}"));
    assert_eq!(bench.entries(), 1);
}

#[test]
fn a_record_without_a_signature_is_refused() {
    let (bench, file) = published();
    bench
        .run(&format!("replay {file} --offline --record record"))
        .exits(2)
        .says("no --sign KEY is given");
}

#[test]
fn inputs_out_of_reach_are_a_verdict_too() {
    let (bench, file) = published();
    let evidence = format!("{file}.sigstore.jsonl");
    fs::create_dir_all(bench.path("lacking/sha256")).unwrap();
    let more = ["--trust", "trust.toml", "--input-archive", "lacking"];
    let ran = bench.replay(&evidence, "auditor-store", &more).exits(3);
    ran.speaks_plainly()
        .says("verdict: could-not-rebuild")
        .says("inputs not available");
    let verdict = bench.statements(&evidence).remove(1);
    assert_eq!(verdict["predicate"]["verdict"], "could-not-rebuild");
    assert!(
        verdict["predicate"]["reason"]
            .as_str()
            .unwrap()
            .contains("inputs not available")
    );
    let (code, verdict) = replays(&bench, &file);
    assert_eq!((code, &verdict["reproducedBy"]), (Some(0), &json!(0)));
    assert_eq!(verdict["replays"][0]["verdict"], "could-not-rebuild");
    assert_eq!(verdict["replays"][0]["counted"], true);
    let ran = bench
        .verify(Program::CountersealVerify, &[&file], &[])
        .exits(0);
    ran.says("auditor 'auditor' could not rebuild it");

    // Later the archive turns up: the auditor's newer word counts as well.
    bench
        .replay(&evidence, "auditor-store", &["--input-archive", "inputs"])
        .exits(0);
    assert_eq!(replays(&bench, &file).1["reproducedBy"], 1);
}

#[test]
fn a_damaged_archive_cannot_make_a_rebuild() {
    let (bench, file) = published();
    let blobs = files_below(&bench.path("inputs"));
    let largest = blobs
        .iter()
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap();
    let mut bytes = fs::read(largest).unwrap();
    bytes[4096] ^= 1;
    fs::remove_file(largest).unwrap();
    fs::write(largest, bytes).unwrap();
    let evidence = format!("{file}.sigstore.jsonl");
    let ran = bench
        .replay(&evidence, "auditor-store", &["--input-archive", "inputs"])
        .exits(3);
    ran.speaks_plainly().says("could-not-rebuild");
    bench
        .run("store check --store auditor-store")
        .exits(0)
        .says(" 0 problems");
}

#[test]
fn a_failing_step_is_a_verdict_too() {
    let bench = Bench::new();
    Probe::default().write(&bench, "probe");
    bench.lock("probe").exits(0);
    bench.assemble("probe", &[]).exits(0);
    let mut provenance = bench.statements("out/probe.out").remove(0);
    replace_recipe(&mut provenance, |recipe| {
        let failing = recipe.replace(
            "\"write-text\"",
            "\"print-error\", \"broken\", \"then\", \"exit\", \"9\"",
        );
        assert_ne!(failing, recipe);
        failing.replace(", \"/build/out\", \"done\"", "")
    });
    publish(&bench, "out/probe.out.sigstore.jsonl", &provenance);
    let ran = bench
        .replay("out/probe.out", "store", &["--trust", "trust.toml"])
        .exits(3);
    ran.speaks_plainly()
        .says("could-not-rebuild")
        .says("exit code 9")
        .says("broken");
    let verdict = bench.statements("out/probe.out").remove(1);
    assert_eq!(verdict["predicate"]["verdict"], "could-not-rebuild");
    assert_eq!(bench.entries(), 3);
    let ran = bench
        .verify(Program::Counterseal, &["out/probe.out"], &[])
        .exits(0);
    ran.says("could not rebuild it");
}

#[test]
fn provenance_that_does_not_verify_is_not_run() {
    let (bench, file) = published();
    let evidence = format!("{file}.sigstore.jsonl");
    let other = Bench::new();
    fs::copy(other.path("trust.toml"), bench.path("strangers.toml")).unwrap();
    let more = ["--input-archive", "inputs", "--trust", "strangers.toml"];
    let ran = bench
        .replay(&evidence, "auditor-store", &more)
        .exits(1)
        .speaks_plainly();
    ran.says("the provenance does not verify")
        .never_says("step compile");
    // Nobody is told to trust bytes that the evidence contradicts itself about.
    let mut provenance = bench.statements(&file).remove(0);
    let definition = &mut provenance["predicate"]["buildDefinition"];
    definition["resolvedDependencies"][2]["digest"]["sha256"] = json!(Sha256Digest::of(b"other"));
    publish(&bench, &evidence, &provenance);
    let ran = bench
        .replay(&evidence, "auditor-store", &["--input-archive", "inputs"])
        .exits(3);
    ran.says("provenance contradicts itself")
        .never_says("step compile");
    assert_eq!(bench.entries(), 3);
}

#[test]
fn evidence_may_have_any_name() {
    let (bench, file) = published();
    let statements = bench.statements(&file);
    for name in ["evidence.json", "evidence"] {
        let evidence = bench.path(&format!("{file}.sigstore.jsonl"));
        fs::copy(evidence, bench.path(name)).unwrap();
        assert_eq!(bench.statements(name), statements);
        bench
            .replay(name, "auditor-store", &["--input-archive", "inputs"])
            .exits(0);
        assert_eq!(bench.statements(name).len(), 2, "the verdict is added");
    }
    // What stands beside a file says what it is about, whatever the file looks like.
    fs::write(bench.path("data"), "{}\n").unwrap();
    fs::copy(bench.path("evidence"), bench.path("data.sigstore.jsonl")).unwrap();
    assert_eq!(bench.statements("data").len(), 2);
}

#[test]
fn there_must_be_something_to_replay() {
    let (bench, file) = published();
    fs::copy(bench.path(&file), bench.path("bare")).unwrap();
    // An artifact without evidence leaves no conclusion; a name that is mistyped is no artifact.
    for (name, code, said) in [
        ("bare", 3, "there is no evidence at bare.sigstore.jsonl"),
        (
            "nothing",
            2,
            "there is neither nothing nor nothing.sigstore.jsonl",
        ),
        ("keys", 2, "keys is a directory, and there is no"),
        (
            "nothing.sigstore.jsonl",
            2,
            "cannot read nothing.sigstore.jsonl: No such file",
        ),
    ] {
        bench
            .replay(name, "auditor-store", &[])
            .exits(code)
            .says(said);
        bench.run(&format!("show {name}")).exits(code).says(said);
        let ran = bench.verify(Program::Counterseal, &[name], &[]);
        assert_eq!(ran.code(), Some(code), "{}", ran.spoken());
    }
    fs::write(bench.path("x.sigstore.jsonl"), "").unwrap();
    bench
        .replay("x", "auditor-store", &[])
        .exits(2)
        .says("x.sigstore.jsonl holds no provenance");
    let line = fs::read_to_string(bench.path(&format!("{file}.sigstore.jsonl"))).unwrap();
    fs::write(
        bench.path("x.sigstore.jsonl"),
        line.replace("payload", "pay1oad"),
    )
    .unwrap();
    bench
        .replay("x", "auditor-store", &[])
        .exits(2)
        .says("x.sigstore.jsonl: line 1")
        .speaks_plainly();
}
