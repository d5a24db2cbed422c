//! Who signed, for whom, and whether the signature covers what is read.

use counterseal_attestation::dsse::IN_TOTO_PAYLOAD_TYPE;
use counterseal_verify::codes;

use crate::fixture::{BUILDER_ID, World, evidence, provenance_statement};
use crate::{assert_failed_by, assert_verified, judge, judge_by};

#[test]
fn payload_altered_after_signing() {
    let world = World::new();
    let mut bundle = world.provenance();
    let text = String::from_utf8(bundle.envelope.payload).unwrap();
    bundle.envelope.payload = text.replace("2.10", "2.11").into_bytes();
    let verdict = judge(&world, &evidence(&[&bundle]));
    assert_failed_by(&verdict, &["signature.valid", "record.entry-matches"]);
    assert!(
        verdict.product.is_none(),
        "nothing of an unsigned payload is shown"
    );
}

#[test]
fn payload_type_swapped() {
    let world = World::new();
    let mut bundle = world.provenance();
    bundle.envelope.payload_type = "text/plain".into();
    let verdict = judge(&world, &evidence(&[&bundle]));
    assert_failed_by(&verdict, &["signature.valid", "record.entry-matches"]);
}

#[test]
fn signed_as_another_payload_type() {
    let world = World::new();
    let payload = provenance_statement().to_payload().unwrap();
    let envelope = world.builder.sign_envelope("text/plain", &payload);
    let bundle = world.record_envelope(&world.builder, envelope);
    assert_failed_by(&judge(&world, &evidence(&[&bundle])), &["statement.parse"]);
}

// CVE-2025-29778, CVE-2025-62375: any valid signature was as good as the expected one.
#[test]
fn signed_by_a_stranger() {
    let world = World::new();
    let payload = provenance_statement().to_payload().unwrap();
    let bundle = world.recorded(&world.stranger, &payload);
    let verdict = judge(&world, &evidence(&[&bundle]));
    assert_failed_by(&verdict, &["signer.builder-allowed"]);
    assert!(verdict.product.is_none());
    // Beside the genuine one it neither helps nor harms.
    let verdict = judge(&world, &evidence(&[&bundle, &world.provenance()]));
    assert_verified(&verdict);
    assert_eq!(verdict.set_aside.len(), 1);
}

#[test]
fn signed_by_a_stranger_without_a_record() {
    let world = World::new();
    let payload = provenance_statement().to_payload().unwrap();
    let mut bundle = world.recorded(&world.stranger, &payload);
    bundle.entry = None;
    let verdict = judge(&world, &evidence(&[&bundle]));
    assert_failed_by(
        &verdict,
        &["signer.builder-allowed", "record.entry-matches"],
    );
}

#[test]
fn signed_by_an_auditor() {
    let world = World::new();
    let payload = provenance_statement().to_payload().unwrap();
    let bundle = world.recorded(&world.auditor_a, &payload);
    let verdict = judge(&world, &evidence(&[&bundle]));
    assert_failed_by(&verdict, &["signer.builder-allowed"]);
}

#[test]
fn builder_id_of_somebody_else() {
    let world = World::new();
    let mut statement = provenance_statement();
    for other in [
        "https://builder.test/assembl",
        "https://builder.test/assembly/",
        "HTTPS://builder.test/assembly",
    ] {
        statement.predicate.run_details.builder.id = other.into();
        let bundle = world.recorded(&world.builder, &statement.to_payload().unwrap());
        let verdict = judge(&world, &evidence(&[&bundle]));
        assert_failed_by(&verdict, &["signer.builder-allowed"]);
    }
}

/// The hint is not signed: another key's hint must not lend its trust.
#[test]
fn hint_of_a_trusted_key_on_a_strangers_signature() {
    let world = World::new();
    let payload = provenance_statement().to_payload().unwrap();
    let mut bundle = world.recorded(&world.stranger, &payload);
    bundle.envelope.keyid = world.builder.keyid().into();
    let verdict = judge(&world, &evidence(&[&bundle]));
    assert_failed_by(&verdict, &["signature.valid", "record.entry-matches"]);
}

/// Nor may a wrong hint hide a trusted signer's line from judgement.
#[test]
fn unknown_hint_on_a_trusted_signature() {
    let world = World::new();
    for hint in [
        "00",
        world.stranger.keyid(),
        &world.builder.keyid().to_uppercase(),
    ] {
        let mut bundle = world.provenance();
        bundle.envelope.keyid = hint.into();
        let verdict = judge(&world, &evidence(&[&bundle]));
        assert_failed_by(&verdict, &["envelope.keyid"]);
    }
}

#[test]
fn hint_differs_from_keyid() {
    let world = World::new();
    let hint = |keyid: &str| format!("\"hint\":\"{keyid}\"");
    let line = world.provenance().to_line();
    let (own, other) = (hint(world.builder.keyid()), hint(world.stranger.keyid()));
    assert!(line.contains(&own));
    let verdict = judge(&world, line.replace(&own, &other).as_bytes());
    assert_failed_by(&verdict, &["envelope.parse"]);
}

#[test]
fn signature_in_another_encoding() {
    let world = World::new();
    let payload = provenance_statement().to_payload().unwrap();
    let good = world.builder.sign_envelope(IN_TOTO_PAYLOAD_TYPE, &payload);
    let mut raw = Vec::new();
    let signature = p256::ecdsa::Signature::from_der(&good.signature).unwrap();
    raw.extend_from_slice(&signature.to_bytes());
    let mut trailing = good.signature.clone();
    trailing.push(0);
    for other in [
        raw,
        trailing,
        Vec::new(),
        vec![0x30, 0x06, 2, 1, 0, 2, 1, 0],
    ] {
        let mut envelope = good.clone();
        envelope.signature = other;
        let bundle = world.record_envelope(&world.builder, envelope);
        let verdict = judge(&world, &evidence(&[&bundle]));
        assert_failed_by(&verdict, &["signature.valid"]);
    }
}

/// Two keys under one name are one builder; both may sign.
#[test]
fn rotated_builder_key_is_accepted() {
    let world = World::new();
    let second = crate::fixture::attestation_key();
    let trust = format!(
        "{}[[builder]]\nname = \"Builder\"\nkey = \"\"\"\n{}\"\"\"\nbuilder-ids = [\"{BUILDER_ID}\"]\n\
         build-types = [\"https://counterseal.dev/attestations/assembly/v1\"]\n",
        world.trust_text(),
        second.public_pem().unwrap()
    );
    let payload = provenance_statement().to_payload().unwrap();
    let bundle = world.recorded(&second, &payload);
    let verdict = judge_by(&trust, &evidence(&[&bundle]));
    assert_verified(&verdict);
    assert!(
        verdict
            .check(codes::SIGNATURE_VALID)
            .unwrap()
            .detail
            .contains("'Builder'")
    );
}
