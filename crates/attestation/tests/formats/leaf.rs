//! The record's leaf: one text for each entry.

use counterseal_attestation::hashedrekord::{Entry, LEAF_BYTES_MAX, LeafError, leaf, parse};
use counterseal_attestation::{Sha256Digest, json};
use proptest::prelude::*;
use serde_json::json;

use crate::samples::spoilt;

fn sample() -> Vec<u8> {
    leaf(&Sha256Digest::of(b"pae"), b"signature", b"public key")
}

#[test]
fn the_text_is_the_one_that_rekor_v2_writes() {
    let text = String::from_utf8(leaf(&Sha256Digest::from_bytes([0; 32]), &[1], &[2, 3])).unwrap();
    assert_eq!(
        text,
        "{\"apiVersion\":\"0.0.2\",\"kind\":\"hashedrekord\",\"spec\":{\"hashedRekordV002\":\
         {\"data\":{\"algorithm\":\"SHA2_256\",\
         \"digest\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"},\
         \"signature\":{\"content\":\"AQ==\",\"verifier\":\
         {\"keyDetails\":\"PKIX_ECDSA_P256_SHA_256\",\"publicKey\":{\"rawBytes\":\"AgM=\"}}}}}}"
    );
}

#[test]
fn spoilt_leaves_are_refused() {
    let at = |rest: &str| format!("/spec/hashedRekordV002{rest}");
    let certificate = json!({"keyDetails": "PKIX_ECDSA_P256_SHA_256",
                             "x509Certificate": {"rawBytes": "AA=="}});
    for (defect, pointer, new, message) in [
        (
            "another version",
            "/apiVersion".into(),
            Some(json!("0.0.1")),
            "another apiVersion",
        ),
        (
            "another kind",
            "/kind".into(),
            Some(json!("dsse")),
            "another kind",
        ),
        (
            "another hash",
            at("/data/algorithm"),
            Some(json!("SHA2_512")),
            "another algorithm: expected SHA2_256, found SHA2_512",
        ),
        (
            "another key type",
            at("/signature/verifier/keyDetails"),
            Some(json!("PKIX_ED25519")),
            "another keyDetails",
        ),
        (
            "a certificate",
            at("/signature/verifier"),
            Some(certificate),
            "x509Certificate",
        ),
        (
            "a short digest",
            at("/data/digest"),
            Some(json!("AA==")),
            "expected 32 bytes, found 1",
        ),
        (
            "base64url",
            at("/signature/content"),
            Some(json!("_w==")),
            "field content: not standard base64",
        ),
        (
            "no padding",
            at("/signature/content"),
            Some(json!("AQ")),
            "the padding is missing",
        ),
        (
            "trailing bits",
            at("/signature/content"),
            Some(json!("AR==")),
            "unused bits are set",
        ),
        (
            "an unknown field",
            at("/more"),
            Some(json!(0)),
            "unknown field more",
        ),
        (
            "no digest",
            at("/data/digest"),
            None,
            "lacks the field digest",
        ),
    ] {
        let error = parse(&spoilt(&sample(), &pointer, new))
            .expect_err(defect)
            .to_string();
        assert!(error.contains(message), "{defect}: {error}");
    }
}

#[test]
fn the_same_entry_in_another_text_is_refused() {
    let text = String::from_utf8(sample()).unwrap();
    for other in [
        format!("{text}\n"),
        text.replacen(':', ": ", 1),
        text.replacen("\"kind\"", "\"k\\u0069nd\"", 1),
        text.replacen(
            "\"apiVersion\":\"0.0.2\",\"kind\":\"hashedrekord\"",
            "\"kind\":\"hashedrekord\",\"apiVersion\":\"0.0.2\"",
            1,
        ),
    ] {
        assert_ne!(other, text);
        assert_eq!(
            parse(other.as_bytes()),
            Err(LeafError::NotCanonical),
            "{other}"
        );
    }
    let doubled = text.replacen("\"kind\"", "\"kind\":\"hashedrekord\",\"kind\"", 1);
    assert!(matches!(parse(doubled.as_bytes()), Err(LeafError::Json(_))));
}

#[test]
fn leaves_are_bounded() {
    let large = leaf(&Sha256Digest::of(b""), &vec![0; LEAF_BYTES_MAX], b"");
    assert!(matches!(parse(&large), Err(LeafError::Json(_))));
}

proptest! {
    #[test]
    fn leaves_round_trip_and_are_canonical(
        pae: Vec<u8>, signature: Vec<u8>, spki_der: Vec<u8>,
    ) {
        let entry = Entry { digest: Sha256Digest::of(&pae), signature, spki_der };
        let text = leaf(&entry.digest, &entry.signature, &entry.spki_der);
        let limits = json::Limits { bytes_max: LEAF_BYTES_MAX, depth_max: 8 };
        let value = json::parse_value(&text, limits).unwrap();
        prop_assert_eq!(&json::canonical(&value).unwrap(), &text);
        prop_assert_eq!(parse(&text), Ok(entry));
    }

    #[test]
    fn a_flipped_bit_never_gives_the_same_entry(at: prop::sample::Index, bit in 0u8..8) {
        let good = parse(&sample()).unwrap();
        let mut text = sample();
        let at = at.index(text.len());
        text[at] ^= 1 << bit;
        prop_assert_ne!(parse(&text), Ok(good));
    }
}
