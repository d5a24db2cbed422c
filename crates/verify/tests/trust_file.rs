//! Trust files: what is refused, and that the message names the place.

mod fixture;

use counterseal_verify::{TRUST_BYTES_MAX, Trust, TrustError};

use fixture::World;

/// Alters a good trust file and expects the message to contain `expected`.
#[track_caller]
fn check(world: &World, from: &str, to: &str, expected: &str) {
    let good = world.trust_text();
    assert!(good.contains(from), "the fixture has no {from}");
    let error = Trust::parse(&good.replacen(from, to, 1)).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains(expected),
        "expected {expected:?} in: {message}"
    );
}

#[test]
fn good_file_is_read_whole() {
    let world = World::new();
    let trust = Trust::parse(&world.trust_text_with("replays-required = 2")).unwrap();
    assert_eq!((trust.builders().len(), trust.auditors().len()), (1, 2));
    assert_eq!(trust.records()[0].name(), fixture::ORIGIN);
    assert_eq!((trust.replays_required(), trust.expires()), (2, None));
    assert_eq!(trust.builders()[0].key.keyid(), world.builder.keyid());
}

#[test]
fn anything_unknown_or_missing_is_refused_with_its_line() {
    let world = World::new();
    check(
        &world,
        "format = 1",
        "format = 2",
        "unknown format: expected 1, found 2",
    );
    check(&world, "format = 1", "format = 1\nformat = 1", "line 2");
    check(
        &world,
        "format = 1",
        "format = 1\nsurprise = 1",
        "line 2: unknown field `surprise`",
    );
    check(&world, "format = 1", "", "missing field `format`");
    check(&world, "format = 1", "format = \"1\"", "line 1");
    check(
        &world,
        "builder-ids =",
        "builder-id =",
        "unknown field `builder-id`",
    );
    check(
        &world,
        "[[auditor]]",
        "[[auditors]]",
        "unknown field `auditors`",
    );
    check(&world, "name = \"Builder\"", "", "missing field `name`");
    check(
        &world,
        "format = 1",
        "format = 1\nexpires = \"tomorrow\"",
        "2027-06-30T00:00:00Z",
    );
    check(&world, "format = 1", "format = 1\n\u{1b}[2J", "line 2");
}

#[test]
fn roles_that_a_verdict_needs_must_be_filled() {
    let world = World::new();
    let record = format!("[[record]]\nkey = \"{}\"\n", world.record.verifier_key());
    check(&world, &record, "", "names no record");
    assert_eq!(
        Trust::parse(&format!("format = 1\n{record}")).unwrap_err(),
        TrustError::Missing { what: "builder" }
    );
    assert_eq!(
        Trust::parse("format = 1").unwrap_err(),
        TrustError::Missing { what: "builder" }
    );
}

// CVE-2026-6966 and others: one key under two names filled a threshold.
#[test]
fn one_key_twice_is_refused() {
    let world = World::new();
    let pem = |key: &counterseal_signing::AttestationKey| key.public_pem().unwrap();
    let (a, b, builder) = (
        pem(&world.auditor_a),
        pem(&world.auditor_b),
        pem(&world.builder),
    );
    check(&world, &b, &a, "twice, for 'Auditor A' and for 'Auditor B'");
    check(
        &world,
        &b,
        &builder,
        "twice, for 'Builder' and for 'Auditor B'",
    );
    // The same key in another layout of its PEM block is the same key.
    let folded = a.replace('\n', "\n\n").replacen("MFkw", "MF\nkw", 1);
    check(&world, &b, &folded, "twice");
    let record = format!("[[record]]\nkey = \"{}\"\n", world.record.verifier_key());
    check(
        &world,
        &record,
        &format!("{record}{record}"),
        "lists record record.test twice",
    );
}

#[test]
fn quorum_must_be_reachable() {
    let world = World::new();
    check(
        &world,
        "format = 1",
        "format = 1\nreplays-required = 3",
        "demands 3 replays",
    );
    check(
        &world,
        "format = 1",
        "format = 1\nreplays-required = -1",
        "line 2",
    );
    let text = world
        .trust_text_with("replays-required = 2")
        .replace("Auditor B", "AUDITOR A");
    assert!(matches!(
        Trust::parse(&text),
        Err(TrustError::TooManyReplays { auditors: 1, .. })
    ));
}

#[test]
fn unusable_keys_are_refused() {
    let world = World::new();
    let vkey = world.record.verifier_key().to_string();
    check(
        &world,
        "BEGIN PUBLIC",
        "BEGIN PRIVATE",
        "[[builder]] number 1: the key is unusable",
    );
    check(&world, "MFkw", "MFk!", "not base64");
    check(&world, "MFkw", "MFkx", "expected a P-256 key");
    check(
        &world,
        &vkey,
        &vkey.replace(fixture::ORIGIN, "other.test"),
        "[[record]] number 1",
    );
    check(
        &world,
        &vkey,
        "record.test",
        "expected an Ed25519 verifier key",
    );
}

#[test]
fn texts_are_bounded_and_printable() {
    let world = World::new();
    for bad in ["", " Builder", "a\\u001bb", &"x".repeat(513)] {
        check(
            &world,
            "\"Builder\"",
            &format!("\"{bad}\""),
            "[[builder]] number 1: name must be",
        );
    }
    let ids = format!("builder-ids = [\"{}\"]", fixture::BUILDER_ID);
    let many = format!("builder-ids = [{}]", "\"x\",".repeat(65));
    for (bad, found) in [("builder-ids = []", 0), (many.as_str(), 65)] {
        let expected = format!("number 1: builder-ids must list 1 to 64, found {found}");
        check(&world, &ids, bad, &expected);
    }
    let many = "[[record]]\nkey = \"x\"\n".repeat(65);
    let text = format!("{}{many}", world.trust_text());
    assert!(matches!(
        Trust::parse(&text),
        Err(TrustError::TooMany { what: "record", .. })
    ));
    let long = format!("{}#{}", world.trust_text(), "x".repeat(TRUST_BYTES_MAX));
    assert!(matches!(
        Trust::parse(&long),
        Err(TrustError::TooLarge { .. })
    ));
}
