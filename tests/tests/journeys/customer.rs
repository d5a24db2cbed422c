//! The customer: a download with evidence beside it, two verifiers, four answers.

use std::fs;

use crate::harness::{Bench, PACK, Program, Ran, rules};

const VERIFIERS: [Program; 2] = [Program::Counterseal, Program::CountersealVerify];

/// A bench with the rule database assembled, and the artifact's path on it.
fn assembled() -> (Bench, String) {
    let bench = Bench::new();
    rules(&bench, "rules");
    bench.lock("rules").exits(0);
    bench.assemble("rules", &[]).exits(0);
    (bench, format!("out/{PACK}"))
}

/// Both verifiers, as text and as JSON: the exit code is one and the same.
#[track_caller]
fn verified_with(bench: &Bench, file: &str, more: &[&str], code: i32) -> Ran {
    for verifier in VERIFIERS {
        bench
            .verify(verifier, &[file], more)
            .exits(code)
            .speaks_plainly();
        let ran = bench
            .verify(verifier, &[file], &[&["--json"], more].concat())
            .exits(code);
        let document = ran.json();
        assert_eq!(document["format"], "counterseal-verify/1");
        assert_eq!(document["exitCode"], code);
        assert_eq!(ran.stdout().lines().count(), 1, "one document, one line");
    }
    bench.verify(Program::CountersealVerify, &[file], more)
}

#[test]
fn what_was_assembled_is_verified() {
    let (bench, file) = assembled();
    let ran = verified_with(&bench, &file, &[], 0);
    assert!(ran.stdout().starts_with("verified "), "{}", ran.stdout());
    let ran = ran
        .says("verified")
        .says("This is rules 2026.11.1, unchanged since 'vendor'");
    ran.says("no auditor is known to have reproduced it");

    let document = bench
        .verify(Program::Counterseal, &[&file], &["--json"])
        .json();
    let verdict = &document["files"][0]["verdict"];
    assert_eq!(verdict["outcome"], "verified");
    assert_eq!(verdict["product"]["builder"], "vendor");
    assert_eq!(verdict["product"]["logIndex"], 0);
    for code in [
        "signature.valid",
        "signer.builder-allowed",
        "subject.digest",
        "predicate.type",
        "build.type",
        "record.entry-matches",
        "record.inclusion",
        "record.checkpoint-signature",
        "record.origin",
    ] {
        let checks = verdict["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["code"] == code);
        assert_eq!(check.unwrap()["state"], "passed", "{code}");
    }
    // The same input gives the same document, whichever of the two says it.
    let other = bench
        .verify(Program::CountersealVerify, &[&file], &["--json"])
        .json();
    assert_eq!(document, other);
}

#[test]
fn a_changed_download_is_false() {
    let (bench, file) = assembled();
    let mut bytes = fs::read(bench.path(&file)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(bench.path(&file), bytes).unwrap();
    verified_with(&bench, &file, &[], 1).says("subject.digest");
}

#[test]
fn missing_evidence_is_no_conclusion() {
    let (bench, file) = assembled();
    fs::copy(bench.path(&file), bench.path("bare")).unwrap();
    verified_with(&bench, "bare", &[], 3).says("evidence.present");
    // Evidence that is there but says nothing is no better.
    fs::write(bench.path("bare.sigstore.jsonl"), "").unwrap();
    verified_with(&bench, "bare", &[], 3);
    fs::write(bench.path("bare.sigstore.jsonl"), "\n\n").unwrap();
    verified_with(&bench, "bare", &[], 3);
}

#[test]
fn unreadable_is_neither_true_nor_false() {
    let (bench, file) = assembled();
    verified_with(&bench, "nowhere", &[], 2).says("nowhere");
    verified_with(&bench, "out", &[], 2).says("is not a regular file");
    verified_with(&bench, &file, &["--evidence", "nowhere"], 2).says("nowhere");
    // A directory where evidence should be.
    fs::copy(bench.path(&file), bench.path("odd")).unwrap();
    fs::create_dir(bench.path("odd.sigstore.jsonl")).unwrap();
    verified_with(&bench, "odd", &[], 2).says("odd.sigstore.jsonl");
    // Bytes that are no evidence at all.
    fs::write(bench.path("none.sigstore.jsonl"), [0xff, 0xfe, 0x00]).unwrap();
    fs::copy(bench.path(&file), bench.path("none")).unwrap();
    verified_with(&bench, "none", &[], 2).says("evidence.readable");

    fs::write(bench.path("trust.toml"), "format = 1\nsurprise = true\n").unwrap();
    verified_with(&bench, &file, &[], 2)
        .says("trust.toml")
        .says("surprise");
    fs::remove_file(bench.path("trust.toml")).unwrap();
    verified_with(&bench, &file, &[], 2).says("trust.toml");
}

#[test]
fn strangers_signatures_do_not_count() {
    let (bench, file) = assembled();
    let other = Bench::new();
    // The same product with other parties' keys: everything holds, and nobody is known.
    fs::copy(other.path("trust.toml"), bench.path("trust.toml")).unwrap();
    verified_with(&bench, &file, &[], 1).says("signer.builder-allowed");
}

#[test]
fn a_demand_for_replays_is_kept() {
    let (bench, file) = assembled();
    fs::remove_file(bench.path("trust.toml")).unwrap();
    bench
        .new_trust("trust.toml", &["--replays-required", "1"])
        .exits(0);
    verified_with(&bench, &file, &[], 1).says("replay.quorum");
    bench
        .replay(&format!("{file}.sigstore.jsonl"), "store", &[])
        .exits(0);
    verified_with(&bench, &file, &[], 0).says("1 auditor reproduced it bit for bit");
}

#[test]
fn the_worst_of_several_files_decides() {
    let (bench, file) = assembled();
    fs::copy(bench.path(&file), bench.path("bare")).unwrap();
    fs::write(bench.path("false"), "other bytes").unwrap();
    fs::copy(
        bench.path(format!("{file}.sigstore.jsonl").as_str()),
        bench.path("false.sigstore.jsonl"),
    )
    .unwrap();
    for verifier in VERIFIERS {
        for (files, code) in [
            (vec![&*file, &*file], 0),
            (vec![&*file, "bare"], 3),
            (vec!["bare", "nowhere", &*file], 2),
            (vec!["bare", "nowhere", "false", &*file], 1),
        ] {
            bench.verify(verifier, &files, &[]).exits(code);
        }
    }
}

#[test]
fn the_time_of_judgement_can_be_named() {
    let (bench, file) = assembled();
    let ran = bench.verify(
        Program::CountersealVerify,
        &[&file],
        &["--now", "2001-01-01T00:00:00Z"],
    );
    ran.exits(3).says("build.time");
    bench
        .verify(Program::CountersealVerify, &[&file], &["--now", "tomorrow"])
        .exits(2);
}

#[test]
fn the_trust_file_is_found_where_the_user_keeps_it() {
    let (bench, file) = assembled();
    let run = |variable: &str, value: &std::path::Path| {
        let mut command = bench.command(Program::CountersealVerify);
        command.env(variable, value).arg(&file);
        Ran::of(command)
    };
    run("HOME", &bench.path("home"))
        .exits(2)
        .says("no trust file");
    run("COUNTERSEAL_TRUST", &bench.path("trust.toml")).exits(0);
    let home = bench.path("home/.config/counterseal");
    fs::create_dir_all(&home).unwrap();
    fs::copy(bench.path("trust.toml"), home.join("trust.toml")).unwrap();
    run("HOME", &bench.path("home")).exits(0);
}
