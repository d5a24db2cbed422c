//! in-toto statements: what is ignored, what is refused.

use counterseal_attestation::Sha256Digest;
use counterseal_attestation::provenance::Provenance;
use counterseal_attestation::replay_verdict::{ReplayVerdict, Verdict};
use counterseal_attestation::statement::{
    DigestSet, PAYLOAD_LIMITS, ResourceDescriptor, SUBJECTS_MAX, Statement, StatementError,
    parse_any,
};
use serde_json::{Value, json};

use crate::samples::{provenance_statement, spoilt, subject, verdict_statement};

#[test]
fn statements_round_trip_and_are_canonical() {
    let statement = provenance_statement();
    let payload = statement.to_payload().unwrap();
    assert_eq!(Statement::<Provenance>::parse(&payload).unwrap(), statement);
    let any = parse_any(&payload).unwrap();
    assert_eq!(any.to_payload().unwrap(), payload);
    assert_eq!(any.typed::<Provenance>().unwrap(), statement);
}

#[test]
fn unknown_predicates_and_unknown_fields_are_read_past() {
    let text = br#"{"_type":"https://in-toto.io/Statement/v1","later":{"x":1},
        "subject":[{"digest":{"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "gitCommit":"any text"},"annotations":{}}],
        "predicateType":"https://example.com/other/v9","predicate":[1.5,null]}"#;
    let statement = parse_any(text).unwrap();
    assert_eq!(statement.subject[0].name, "");
    assert_eq!(
        statement.subject[0].digest.sha256(),
        Some(Sha256Digest::of(b""))
    );
    assert!(matches!(
        statement.typed::<Provenance>(),
        Err(StatementError::PredicateType { found, .. }) if found == "https://example.com/other/v9"
    ));
}

#[test]
fn one_predicate_is_not_read_as_another() {
    let payload = verdict_statement(Verdict::Reproduced).to_payload().unwrap();
    assert!(Statement::<ReplayVerdict>::parse(&payload).is_ok());
    assert!(matches!(
        Statement::<Provenance>::parse(&payload),
        Err(StatementError::PredicateType { .. })
    ));
}

#[test]
fn spoilt_statements_are_refused() {
    let good = provenance_statement().to_payload().unwrap();
    let upper = subject("x")
        .digest
        .sha256()
        .unwrap()
        .to_string()
        .to_uppercase();
    for (defect, pointer, new, message) in [
        (
            "statement of version 0.1",
            "/_type",
            Some(json!("https://in-toto.io/Statement/v0.1")),
            "statement type is not acceptable",
        ),
        ("no type", "/_type", None, "lacks the field _type"),
        ("no subject", "/subject", None, "lacks the field subject"),
        (
            "empty subjects",
            "/subject",
            Some(json!([])),
            "statement has 0 subjects",
        ),
        (
            "subject as an object",
            "/subject",
            Some(json!({})),
            "$.subject is not acceptable",
        ),
        (
            "no digest",
            "/subject/0/digest",
            None,
            "$.subject[0] lacks the field digest",
        ),
        (
            "empty digest set",
            "/subject/0/digest",
            Some(json!({})),
            "digest set is empty",
        ),
        (
            "upper-case digest",
            "/subject/0/digest/sha256",
            Some(json!(upper)),
            "digest is not lower-case hexadecimal",
        ),
        (
            "short digest",
            "/subject/0/digest/sha256",
            Some(json!("e3b0")),
            "expected 64 hexadecimal digits, found 4",
        ),
        (
            "sha512 of the wrong length",
            "/subject/0/digest/sha512",
            Some(json!("00")),
            "sha512: digest has the wrong length",
        ),
        (
            "digest as a number",
            "/subject/0/digest/sha1",
            Some(json!(1)),
            "expected a string",
        ),
        (
            "name as null",
            "/subject/0/name",
            Some(Value::Null),
            "$.subject[0].name",
        ),
        (
            "no predicate type",
            "/predicateType",
            None,
            "lacks the field predicateType",
        ),
        (
            "no predicate",
            "/predicate",
            None,
            "lacks the field predicate",
        ),
    ] {
        let bad = spoilt(&good, pointer, new);
        let error = parse_any(&bad).expect_err(defect).to_string();
        assert!(error.contains(message), "{defect}: {error}");
    }
}

#[test]
fn a_digest_by_a_weak_algorithm_identifies_nothing() {
    let weak: DigestSet = serde_json::from_value(json!({
        "sha1": "da39a3ee5e6b4b0d3255bfef95601890afd80709", "md5": "x", "gitCommit": "y",
    }))
    .unwrap();
    assert_eq!(weak.sha256(), None);
    let written = serde_json::to_value(&weak).unwrap();
    assert_eq!(written.as_object().unwrap().len(), 3);
}

#[test]
fn subjects_are_bounded() {
    let mut statement = provenance_statement();
    statement.subject = vec![subject("x"); SUBJECTS_MAX];
    assert!(parse_any(&statement.to_payload().unwrap()).is_ok());
    statement.subject.push(subject("y"));
    assert!(matches!(
        statement.to_payload(),
        Err(StatementError::Subjects { found }) if found == SUBJECTS_MAX + 1
    ));
    let text = serde_json::to_vec(&statement).unwrap();
    assert!(matches!(
        parse_any(&text),
        Err(StatementError::Subjects { .. })
    ));
    statement.subject.clear();
    assert!(statement.to_payload().is_err());
}

#[test]
fn payloads_are_bounded_in_size_and_depth() {
    let good = provenance_statement().to_payload().unwrap();
    let mut large = good.clone();
    large.resize(PAYLOAD_LIMITS.bytes_max, b' ');
    assert!(parse_any(&large).is_ok());
    large.push(b' ');
    assert!(parse_any(&large).is_err());

    let mut deep = json!(0);
    for _ in 0..PAYLOAD_LIMITS.depth_max - 1 {
        deep = json!([deep]);
    }
    assert!(parse_any(&spoilt(&good, "/x", Some(deep.clone()))).is_ok());
    assert!(parse_any(&spoilt(&good, "/x", Some(json!([deep])))).is_err());
}

#[test]
fn a_statement_that_could_not_be_read_back_is_not_written() {
    let mut statement = provenance_statement();
    let dependency = &mut statement.predicate.build_definition.resolved_dependencies[0];
    dependency.annotations.insert("ratio".into(), json!(0.5));
    assert!(statement.to_payload().is_err());
}

#[test]
fn descriptors_need_something_to_go_by() {
    for (text, accepted) in [
        (r#"{"uri":"pkg:deb/debian/gcc"}"#, true),
        (r#"{"content":"AA=="}"#, true),
        (r#"{"name":"gcc"}"#, false),
        (
            r#"{"name":"gcc","downloadLocation":"https://example.com/"}"#,
            false,
        ),
        (r#"{"content":"AA"}"#, false),
        (r#"{"content":"AB=="}"#, false),
        (r#"{"content":"_w=="}"#, false),
    ] {
        let found = serde_json::from_str::<ResourceDescriptor>(text);
        assert_eq!(found.is_ok(), accepted, "{text}");
    }
}
