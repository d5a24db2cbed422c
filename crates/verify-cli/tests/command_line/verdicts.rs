//! What is told about a file, and with which exit code.

use std::fs;

use counterseal_attestation::replay_verdict::Verdict;
use serde_json::Value;

use crate::desk::{Desk, check_text, document};
use crate::fixture::{NAME, evidence};

#[test]
fn verified_file() {
    let desk = Desk::new();
    let output = desk.run(&[NAME]);
    check_text(
        &output,
        0,
        &[
            "verified hello.deb",
            "This is hello 2.10, unchanged since 'Builder' assembled it",
            "passed       signature.valid",
            "not checked  replay.verdict",
        ],
    );
    let document = document(&desk.run(&["--json", NAME]), 0);
    let verdict = &document["files"][0]["verdict"];
    assert_eq!(verdict["outcome"], "verified");
    assert_eq!(verdict["reproducedBy"], 0);
    let codes: Vec<&str> = verdict["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, counterseal_verify::codes::ALL);
}

#[test]
fn altered_file() {
    let desk = Desk::new();
    desk.write(NAME, b"the installer, altered");
    check_text(
        &desk.run(&[NAME]),
        1,
        &[
            "FAILED hello.deb",
            "subject.digest: artifact digest does not match",
            "hint: this file",
        ],
    );
    let document = document(&desk.run(&["--json", NAME]), 1);
    assert_eq!(document["files"][0]["verdict"]["outcome"], "failed");
}

#[test]
fn altered_evidence() {
    let desk = Desk::new();
    let path = desk.path("hello.deb.sigstore.jsonl");
    let mut bytes = fs::read(&path).unwrap();
    bytes[200] ^= 1;
    fs::write(&path, bytes).unwrap();
    check_text(&desk.run(&[NAME]), 1, &["FAILED hello.deb"]);
}

#[test]
fn no_evidence() {
    let desk = Desk::new();
    fs::remove_file(desk.path("hello.deb.sigstore.jsonl")).unwrap();
    check_text(
        &desk.run(&[NAME]),
        3,
        &[
            "no conclusion hello.deb",
            "evidence.present",
            "hint: evidence is named like the file",
        ],
    );
    let document = document(&desk.run(&["--json", NAME]), 3);
    assert_eq!(document["files"][0]["verdict"]["outcome"], "no-conclusion");
    // Evidence that was asked for by name and is not there is a mistake in the command.
    let output = desk.run(&["--evidence", "missing.jsonl", NAME]);
    check_text(
        &output,
        2,
        &["cannot read missing.jsonl: there is no such file"],
    );
}

#[test]
fn evidence_that_is_none() {
    let desk = Desk::new();
    desk.write("hello.deb.sigstore.jsonl", b"\x89PNG\r\n");
    check_text(
        &desk.run(&[NAME]),
        2,
        &["unreadable hello.deb", "evidence.readable"],
    );
    assert_eq!(
        document(&desk.run(&["--json", NAME]), 2)["error"],
        Value::Null
    );
}

#[test]
fn the_worst_of_several_files_decides_and_all_are_reported() {
    let desk = Desk::new();
    desk.write("other.deb", b"something else");
    desk.write(
        "other.deb.sigstore.jsonl",
        &evidence(&[&desk.world.provenance()]),
    );
    desk.write("bare.deb", b"no evidence");
    let output = desk.run(&[NAME, "bare.deb"]);
    check_text(
        &output,
        3,
        &["verified hello.deb", "no conclusion bare.deb"],
    );
    let output = desk.run(&["missing", NAME, "other.deb", "bare.deb"]);
    check_text(
        &output,
        1,
        &[
            "verified hello.deb",
            "FAILED other.deb",
            "cannot read missing",
        ],
    );
    let document = document(&desk.run(&["--json", "bare.deb", NAME]), 3);
    assert_eq!(document["files"].as_array().unwrap().len(), 2);
    assert_eq!(document["files"][1]["exitCode"], 0);
}

#[test]
fn evidence_may_hold_a_whole_release() {
    let desk = Desk::new();
    fs::rename(
        desk.path("hello.deb.sigstore.jsonl"),
        desk.path("release.jsonl"),
    )
    .unwrap();
    let output = desk.run(&["--evidence", "release.jsonl", NAME]);
    check_text(&output, 0, &["verified hello.deb"]);
}

#[test]
fn replays_are_told_good_and_bad() {
    let desk = Desk::new();
    let world = &desk.world;
    let provenance = world.provenance();
    let good = world.replay(&world.auditor_a, &provenance, Verdict::Reproduced);
    let bad = world.replay(&world.auditor_b, &provenance, Verdict::Differs);
    desk.write("hello.deb.sigstore.jsonl", &evidence(&[&provenance, &good]));
    check_text(
        &desk.run(&[NAME]),
        0,
        &["1 auditor reproduced it bit for bit", "by 'Auditor A'"],
    );
    desk.write(
        "hello.deb.sigstore.jsonl",
        &evidence(&[&provenance, &good, &bad]),
    );
    check_text(
        &desk.run(&[NAME]),
        0,
        &[
            "warning: auditor 'Auditor B' rebuilt it and got different bytes: a reason",
            "FAILED       replay.verdict",
            "differs           by 'Auditor B'",
        ],
    );
    let document = document(&desk.run(&["--json", NAME]), 0);
    let replays = &document["files"][0]["verdict"]["replays"];
    assert_eq!(replays[0]["verdict"], "reproduced");
    assert_eq!(replays[1]["verdict"], "differs");
}

#[test]
fn a_quorum_leaves_missing_evidence_without_conclusion() {
    let desk = Desk::new();
    let trust = desk.world.trust_text_with("replays-required = 1");
    desk.write("trust.toml", trust.as_bytes());
    check_text(
        &desk.run(&[NAME]),
        1,
        &["replay.quorum", "expected at least 1, found 0"],
    );
    let evidence = desk.path("hello.deb.sigstore.jsonl");
    fs::write(&evidence, b"").unwrap();
    let expected = ["no conclusion hello.deb", "not checked  replay.quorum"];
    check_text(&desk.run(&[NAME]), 3, &expected);
    fs::remove_file(&evidence).unwrap();
    check_text(&desk.run(&[NAME]), 3, &expected);
}
