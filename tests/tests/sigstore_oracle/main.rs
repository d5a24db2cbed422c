//! A second opinion on our bundles.
//!
//! Producer and verifier of this project share one definition of each format, so a mistake in it
//! would agree with itself. Here `sigstore-verify`, written by others, gets a bundle that we made,
//! a trusted root that describes our record, and the builder's public key. It must accept that and
//! refuse every alteration, and our verifier must agree with it.
//!
//! Deliberately absent: what it does not check (replays, the record's origin, build types); those
//! are our own verifier's tests.

#[path = "../../../crates/verify/tests/fixture/mod.rs"]
mod fixture;

mod evidence;
mod ring_provider;

use counterseal_attestation::bundle::Bundle;
use counterseal_attestation::{Sha256Digest, UnixSeconds};
use counterseal_verify::pure_rust::PureRust;
use counterseal_verify::{Outcome, Request, Trust, verify};
use sigstore_verify::types::{ArtifactDigest, DerPublicKey, Sha256Hash};
use sigstore_verify::{PublicKeyVerificationPolicy, Verifier};

use crate::evidence::Evidence;
use crate::fixture::ARTIFACT;

/// Asks the other implementation; the reason when it refuses.
fn ask(evidence: &Evidence, line: &str, artifact: &[u8]) -> Result<(), String> {
    ring_provider::install();
    let root = sigstore_verify::trust_root::TrustedRoot::from_json(&evidence.trusted_root())
        .map_err(|error| format!("trusted root: {error}"))?;
    let bundle = sigstore_verify::types::Bundle::from_json(line)
        .map_err(|error| format!("bundle: {error}"))?;
    let key = DerPublicKey::new(evidence.builder.spki_der().to_vec());
    let policy = PublicKeyVerificationPolicy::new(key);
    let digest = Sha256Hash::new(*Sha256Digest::of(artifact).as_bytes());
    let verifier = Verifier::new(&root).map_err(|error| format!("verifier: {error}"))?;
    let result = verifier
        .verify(ArtifactDigest::sha256(digest), &bundle, &policy)
        .map_err(|error| error.to_string())?;
    if result.tlog_verified() {
        Ok(())
    } else {
        Err("the record was not checked".into())
    }
}

/// Asks our own verifier.
fn ask_ours(evidence: &Evidence, line: &str, artifact: &[u8]) -> Outcome {
    let request = Request {
        evidence: line.as_bytes(),
        artifact: Sha256Digest::of(artifact),
        artifact_name: None,
        trust: &Trust::parse(&evidence.trust()).unwrap(),
        now: UnixSeconds(1_800_000_000),
    };
    verify(&request, &PureRust).outcome
}

/// Both accept the bundle as it is.
fn accepts(evidence: &Evidence, what: &str) {
    let line = evidence.bundle.to_line();
    ask(evidence, &line, ARTIFACT).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(
        ask_ours(evidence, &line, ARTIFACT),
        Outcome::Verified,
        "{what}"
    );
}

/// Both refuse the bundle as it is; the other implementation's reason.
fn refused(evidence: &Evidence, line: &str, artifact: &[u8], what: &str) -> String {
    assert_ne!(
        ask_ours(evidence, line, artifact),
        Outcome::Verified,
        "{what}"
    );
    match ask(evidence, line, artifact) {
        Ok(()) => panic!("accepted although {what}"),
        Err(reason) => reason,
    }
}

/// Alters the bundle and expects a refusal whose reason mentions `reason`.
fn refuses(what: &str, reason: &str, alter: impl FnOnce(&mut Bundle)) {
    let evidence = Evidence::new();
    let mut bundle = evidence.bundle.clone();
    alter(&mut bundle);
    assert_ne!(bundle, evidence.bundle, "{what}: nothing was altered");
    let found = refused(&evidence, &bundle.to_line(), ARTIFACT, what);
    assert!(
        found.to_lowercase().contains(reason),
        "{what}: expected a reason with \"{reason}\", found: {found}"
    );
}

#[test]
fn accepts_what_we_make() {
    accepts(&Evidence::new(), "as made");
}

#[test]
fn accepts_entries_at_both_ends_of_the_record() {
    for (before, after) in [(0, 0), (0, 1), (1, 0), (4, 3), (255, 2), (256, 0)] {
        let what = format!("{before} entries before, {after} after");
        accepts(&Evidence::among(before, after), &what);
    }
}

#[test]
fn refuses_another_artifact() {
    let evidence = Evidence::new();
    let line = evidence.bundle.to_line();
    refused(&evidence, &line, b"another", "the artifact is another");
}

#[test]
fn refuses_another_builder() {
    let evidence = Evidence {
        builder: Evidence::new().builder,
        ..Evidence::new()
    };
    let line = evidence.bundle.to_line();
    refused(&evidence, &line, ARTIFACT, "the builder is another");
}

#[test]
fn refuses_another_record() {
    let evidence = Evidence {
        record: Evidence::new().record,
        ..Evidence::new()
    };
    let line = evidence.bundle.to_line();
    let reason = refused(&evidence, &line, ARTIFACT, "the record is another");
    assert!(reason.contains("key"), "{reason}");
}

#[test]
fn refuses_a_bundle_without_entry() {
    refuses("the entry is missing", "inclusion proof", |bundle| {
        bundle.entry = None;
    });
}

#[test]
fn refuses_an_altered_payload() {
    refuses("the payload differs", "signature", |bundle| {
        let payload = String::from_utf8(bundle.envelope.payload.clone()).unwrap();
        bundle.envelope.payload = payload.replace("2.10", "2.11").into_bytes();
    });
}

#[test]
fn refuses_an_altered_payload_type() {
    refuses("the payload type differs", "", |bundle| {
        bundle.envelope.payload_type.push('x');
    });
}

#[test]
fn refuses_an_altered_signature() {
    refuses("the signature differs", "signature", |bundle| {
        *bundle.envelope.signature.last_mut().unwrap() ^= 1;
    });
}

#[test]
fn refuses_an_entry_of_another_envelope() {
    let other = Evidence::new().bundle;
    refuses("the entry is of another envelope", "", |bundle| {
        bundle.entry = other.entry;
    });
}

#[test]
fn refuses_an_altered_leaf() {
    refuses("the leaf differs", "inclusion proof", |bundle| {
        let entry = bundle.entry.as_mut().unwrap();
        let other = Evidence::new().bundle.entry.unwrap();
        entry.canonicalized_body = other.canonicalized_body;
    });
}

#[test]
fn refuses_an_altered_proof() {
    refuses("a hash of the proof differs", "inclusion proof", |bundle| {
        bundle.entry.as_mut().unwrap().proof.hashes[0][0] ^= 1;
    });
}

#[test]
fn refuses_a_shortened_proof() {
    refuses("the proof is too short", "inclusion proof", |bundle| {
        bundle.entry.as_mut().unwrap().proof.hashes.pop();
    });
}

#[test]
fn refuses_another_index() {
    refuses("the index differs", "inclusion proof", |bundle| {
        let entry = bundle.entry.as_mut().unwrap();
        entry.log_index += 1;
    });
}

#[test]
fn refuses_an_altered_checkpoint() {
    refuses("the checkpoint's origin differs", "checkpoint", |bundle| {
        let checkpoint = &mut bundle.entry.as_mut().unwrap().proof.checkpoint;
        *checkpoint = checkpoint.replacen("zurich", "geneva", 1);
    });
}

#[test]
fn refuses_an_altered_checkpoint_signature() {
    refuses(
        "the checkpoint's signature differs",
        "checkpoint",
        |bundle| {
            let checkpoint = &mut bundle.entry.as_mut().unwrap().proof.checkpoint;
            // The last line is "— NAME BASE64": alter a character well inside the signature.
            let at = checkpoint.len() - 20;
            let other = if &checkpoint[at..=at] == "A" {
                "B"
            } else {
                "A"
            };
            checkpoint.replace_range(at..=at, other);
        },
    );
}
