//! Whether there is evidence at all, and what stands beside the provenance.

use counterseal_attestation::Sha256Digest;
use counterseal_verify::pure_rust::PureRust;
use counterseal_verify::{Outcome, Request, State, Trust, codes, verify};

use crate::fixture::{self, NOW, World, evidence, provenance_statement, subject};
use crate::{assert_failed_by, assert_verified, judge, judge_by};

#[test]
fn intact_evidence_is_verified_and_every_check_is_listed() {
    let world = World::new();
    let verdict = judge(&world, &evidence(&[&world.provenance()]));
    assert_verified(&verdict);
    let listed: Vec<&str> = verdict.checks.iter().map(|check| check.code).collect();
    assert_eq!(listed, codes::ALL);
    let product = verdict.product.unwrap();
    assert_eq!(
        (product.name.as_str(), product.version.as_str()),
        ("hello", "2.10")
    );
    assert_eq!(
        (product.record.as_deref(), product.log_index),
        (Some("record.test"), Some(5))
    );
}

// CVE-2025-25204, slsa-verifier #425: zero attestations counted as success.
#[test]
fn no_evidence_is_no_conclusion() {
    let world = World::new();
    for nothing in [&b""[..], b"\n", b"\n\n\r\n"] {
        let verdict = judge(&world, nothing);
        assert_eq!(verdict.outcome, Outcome::NoConclusion);
        assert_eq!(
            verdict.check(codes::EVIDENCE_PRESENT).unwrap().state,
            State::NotChecked
        );
    }
}

#[test]
fn evidence_without_provenance_is_no_conclusion() {
    let world = World::new();
    let provenance = world.provenance();
    let replay = world.replay(
        &world.auditor_a,
        &provenance,
        counterseal_attestation::replay_verdict::Verdict::Reproduced,
    );
    let verdict = judge(&world, &evidence(&[&replay]));
    assert_eq!(verdict.outcome, Outcome::NoConclusion);
    assert_eq!(verdict.reproduced_by, 0);
    assert_eq!(
        judge(&world, b"{\"_type\":\"x\"}\n").outcome,
        Outcome::NoConclusion
    );
}

#[test]
fn what_is_no_evidence_is_unreadable() {
    let world = World::new();
    for bytes in [&b"not evidence\n"[..], b"\x7fELF\x02\x01\x01", b"[1,2]"] {
        let verdict = judge(&world, bytes);
        assert_eq!(
            (verdict.outcome, verdict.outcome.exit_code()),
            (Outcome::Unreadable, 2)
        );
    }
}

// gh #9521: a trailing newline broke JSON Lines, or only the first line was read.
#[test]
fn line_order_blank_lines_and_line_endings_do_not_matter() {
    let world = World::new();
    let provenance = world.provenance();
    let other = world.replay(
        &world.auditor_a,
        &provenance,
        counterseal_attestation::replay_verdict::Verdict::Reproduced,
    );
    let (first, second) = (provenance.to_line(), other.to_line());
    for file in [
        format!("{first}\n{second}\n"),
        format!("{second}\n{first}"),
        format!("\n\n{second}\n\n{first}\n\n"),
        format!("{first}\r\n{second}\r\n"),
    ] {
        let verdict = judge(&world, file.as_bytes());
        assert_verified(&verdict);
        assert_eq!(verdict.reproduced_by, 1);
    }
}

// CVE-2026-39395, CVE-2022-35929: what could not be parsed was passed over.
#[test]
fn damaged_line_beside_good_provenance_fails() {
    let world = World::new();
    let line = world.provenance().to_line();
    let half = &line[..line.len() / 2];
    for damaged in [
        half,
        "{\"mediaType\":\"x\"}",
        "{\"dsseEnvelope\":{}}",
        "garbage",
        "[]",
        "{",
    ] {
        let file = format!("{line}\n{damaged}\n");
        assert_failed_by(&judge(&world, file.as_bytes()), &["envelope.parse"]);
    }
}

#[test]
fn lines_of_another_kind_are_set_aside_and_listed() {
    let world = World::new();
    let line = world.provenance().to_line();
    let file = format!("{{\"payloadType\":\"x\",\"payload\":\"\",\"signatures\":[]}}\n{line}\n");
    let verdict = judge(&world, file.as_bytes());
    assert_verified(&verdict);
    assert_eq!(verdict.set_aside.len(), 1);
    assert_eq!(verdict.set_aside[0].line, 1);
}

#[test]
fn provenance_of_another_artifact_is_set_aside() {
    let world = World::new();
    let mut statement = provenance_statement();
    statement.subject = vec![subject(Sha256Digest::of(b"another installer"))];
    let other = world.recorded(&world.builder, &statement.to_payload().unwrap());
    let verdict = judge(&world, &evidence(&[&other, &world.provenance()]));
    assert_verified(&verdict);
    assert_eq!(verdict.set_aside.len(), 1);
    assert_failed_by(&judge(&world, &evidence(&[&other])), &["subject.digest"]);
}

#[test]
fn altered_artifact_fails() {
    let world = World::new();
    let trust = Trust::parse(&world.trust_text()).unwrap();
    let file = evidence(&[&world.provenance()]);
    let request = Request {
        evidence: &file,
        artifact: Sha256Digest::of(b"the installer, altered"),
        artifact_name: Some(fixture::NAME),
        trust: &trust,
        now: NOW,
    };
    let verdict = verify(&request, &PureRust);
    assert_failed_by(&verdict, &["subject.digest"]);
    let check = verdict.check(codes::SUBJECT_DIGEST).unwrap();
    assert!(
        check
            .detail
            .starts_with("artifact digest does not match: expected sha256:")
    );
    assert!(verdict.product.is_some(), "what was signed is still shown");
}

// CVE-2026-24122 and others: expired trust was used as if it were current.
#[test]
fn expired_trust_file_is_no_conclusion() {
    let world = World::new();
    let file = evidence(&[&world.provenance()]);
    let expired = world.trust_text_with("expires = \"2026-01-01T00:00:00Z\"");
    let verdict = judge_by(&expired, &file);
    assert_eq!(verdict.outcome, Outcome::NoConclusion);
    assert_eq!(
        verdict.check(codes::TRUST_FRESH).unwrap().state,
        State::NotChecked
    );
    let current = world.trust_text_with("expires = \"2036-01-01T00:00:00Z\"");
    assert_verified(&judge_by(&current, &file));
}

// CVE-2024-29902 and others: sizes and counts without a bound.
#[test]
fn endless_evidence_is_refused() {
    let world = World::new();
    let too_long = b"{}\n".repeat(2000);
    assert_eq!(judge(&world, &too_long).outcome, Outcome::Unreadable);
    let nested = format!(
        "{{\"dsseEnvelope\":{}{}}}",
        "[".repeat(50_000),
        "]".repeat(50_000)
    );
    assert_failed_by(&judge(&world, nested.as_bytes()), &["envelope.parse"]);
    let wide = format!("{{\"dsseEnvelope\":\"{}\"}}", "x".repeat(9 << 20));
    assert_failed_by(&judge(&world, wide.as_bytes()), &["envelope.parse"]);
}
