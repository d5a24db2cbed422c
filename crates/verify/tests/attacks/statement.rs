//! What the signed statement says: types, subjects, parameters, times.

use std::collections::BTreeMap;

use counterseal_attestation::UnixSeconds;
use counterseal_attestation::provenance::Provenance;
use counterseal_attestation::statement::{DigestSet, Statement, Subject};
use counterseal_verify::{Outcome, codes};

use crate::fixture::{NOW, World, artifact, evidence, provenance_statement, subject};
use crate::{assert_failed_by, assert_verified, judge};

/// Judges the statement after `alter` has been at it, signed and recorded as it then is.
#[track_caller]
fn check(alter: impl FnOnce(&mut Statement<Provenance>), codes: &[&str]) {
    let world = World::new();
    let mut statement = provenance_statement();
    alter(&mut statement);
    let bundle = world.recorded(&world.builder, &statement.to_payload().unwrap());
    assert_failed_by(&judge(&world, &evidence(&[&bundle])), codes);
}

/// The same over the statement's JSON text.
#[track_caller]
fn check_text(from: &str, to: &str, codes: &[&str]) {
    let world = World::new();
    let text = String::from_utf8(provenance_statement().to_payload().unwrap()).unwrap();
    assert!(text.contains(from), "the fixture has no {from}: {text}");
    let bundle = world.recorded(&world.builder, text.replacen(from, to, 1).as_bytes());
    assert_failed_by(&judge(&world, &evidence(&[&bundle])), codes);
}

#[test]
fn unknown_external_parameter() {
    check_text(
        "\"externalParameters\":{",
        "\"externalParameters\":{\"debug\":true,",
        &["parameters.known"],
    );
}

#[test]
fn missing_external_parameter() {
    check_text("\"lock\":{", "\"locked\":{", &["parameters.known"]);
}

#[test]
fn embedded_recipe_that_is_not_what_its_digest_says() {
    check_text(
        "name = \\\"hello\\\"",
        "name = \\\"hallo\\\"",
        &["parameters.known"],
    );
}

#[test]
fn unknown_build_type() {
    check_text(
        "assembly/v1\"",
        "assembly/v2\"",
        &["build.type", "parameters.known"],
    );
}

#[test]
fn no_builder_id() {
    check_text(
        "\"id\":",
        "\"ID\":",
        &["signer.builder-allowed", "parameters.known"],
    );
}

#[test]
fn duplicate_json_key_in_the_statement() {
    check_text(
        "\"predicateType\":",
        "\"predicateType\":\"x\",\"predicateType\":",
        &["statement.parse"],
    );
}

#[test]
fn other_statement_version() {
    check_text("Statement/v1", "Statement/v0.1", &["statement.parse"]);
}

#[test]
fn payload_that_is_no_json() {
    let world = World::new();
    let bundle = world.recorded(&world.builder, b"\x00\x01");
    assert_failed_by(&judge(&world, &evidence(&[&bundle])), &["statement.parse"]);
}

#[test]
fn other_predicate_type_is_no_provenance() {
    let world = World::new();
    let text = String::from_utf8(provenance_statement().to_payload().unwrap()).unwrap();
    let other = text.replace("slsa.dev/provenance/v1", "slsa.dev/provenance/v0.2");
    let bundle = world.recorded(&world.builder, other.as_bytes());
    let verdict = judge(&world, &evidence(&[&bundle]));
    assert_eq!(verdict.outcome, Outcome::NoConclusion);
    assert_eq!(verdict.set_aside.len(), 1);
}

fn digests(pairs: &[(&str, String)]) -> DigestSet {
    let map = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    DigestSet::from_map(map.collect::<BTreeMap<_, _>>()).unwrap()
}

#[test]
fn weak_digest_as_the_only_match() {
    for weak in ["sha1", "md5", "gitCommit", "SHA256", "sha512_256"] {
        let digest = digests(&[(weak, artifact().to_string())]);
        check(
            |statement| {
                statement.subject = vec![Subject {
                    name: "hello.deb".into(),
                    digest,
                }];
            },
            &["subject.digest"],
        );
    }
}

#[test]
fn digest_of_another_file_under_the_right_name() {
    check(
        |statement| {
            let other = counterseal_attestation::Sha256Digest::of(b"x");
            statement.subject = vec![subject(other)];
        },
        &["subject.digest"],
    );
}

#[test]
fn upper_case_and_short_hexadecimal() {
    let digest = artifact().to_string();
    let short = &digest[..62];
    for other in [digest.to_uppercase().as_str(), short, ""] {
        check_text(
            &format!("\"sha256\":\"{digest}\"}},\"name\""),
            &format!("\"sha256\":\"{other}\"}},\"name\""),
            &["statement.parse"],
        );
    }
}

#[test]
fn no_subject() {
    let digest = artifact().to_string();
    check_text(
        &format!("{{\"digest\":{{\"sha256\":\"{digest}\"}},\"name\":\"hello.deb\"}}"),
        "",
        &["statement.parse"],
    );
}

#[test]
fn build_that_ended_before_it_began() {
    check(
        |statement| {
            statement.predicate.run_details.metadata.started_on = UnixSeconds(1_780_000_061);
        },
        &["build.time"],
    );
}

#[test]
fn build_in_the_future_is_no_conclusion() {
    let world = World::new();
    let mut statement = provenance_statement();
    statement.predicate.run_details.metadata.finished_on = UnixSeconds(NOW.0 + 86_401);
    let bundle = world.recorded(&world.builder, &statement.to_payload().unwrap());
    let verdict = judge(&world, &evidence(&[&bundle]));
    assert_eq!(verdict.outcome, Outcome::NoConclusion);
    assert!(verdict.check(codes::BUILD_TIME).unwrap().hint.is_some());
}

/// Names are for people: a renamed artifact is the same artifact, and the verdict says so.
#[test]
fn renamed_artifact_is_verified_with_a_remark() {
    let world = World::new();
    let mut statement = provenance_statement();
    statement.subject[0].name = "other.deb".into();
    let bundle = world.recorded(&world.builder, &statement.to_payload().unwrap());
    let verdict = judge(&world, &evidence(&[&bundle]));
    assert_verified(&verdict);
    assert!(
        verdict
            .check(codes::SUBJECT_DIGEST)
            .unwrap()
            .detail
            .contains("called other.deb")
    );
}
