//! Bundles with one thing spoilt: each defect has a name, and a message that says what it is.

use counterseal_attestation::bundle::{Bundle, BundleError};
use counterseal_attestation::json::JsonError;
use serde_json::{Value, json};

use crate::bundle::{ENTRY, sample};
use crate::samples::spoilt;

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn spoilt_bundles_are_refused() {
    let line = sample().to_line();
    let good: Value = serde_json::from_str(&line).unwrap();
    let entry = good.pointer(ENTRY).unwrap().clone();
    let signature = good["dsseEnvelope"]["signatures"][0].clone();
    let hash = entry["inclusionProof"]["rootHash"].clone();
    let at = |rest: &str| format!("{ENTRY}{rest}");
    let signatures = "/dsseEnvelope/signatures";
    let cases = [
        (
            "bundle of version 0.2",
            "/mediaType".into(),
            Some(json!(
                "application/vnd.dev.sigstore.bundle+json;version=0.2"
            )),
            "bundle media type is not acceptable",
        ),
        (
            "no media type",
            "/mediaType".into(),
            None,
            "lacks the field mediaType",
        ),
        (
            "unknown field",
            "/extra".into(),
            Some(json!(0)),
            "unknown field extra",
        ),
        (
            "case folding",
            "/MediaType".into(),
            Some(json!("x")),
            "unknown field MediaType",
        ),
        (
            "a message signature beside the envelope",
            "/messageSignature".into(),
            Some(json!({})),
            "unknown field messageSignature",
        ),
        (
            "a certificate beside the key",
            "/verificationMaterial/certificate".into(),
            Some(json!({"rawBytes": "AA=="})),
            "unknown field certificate",
        ),
        (
            "no signature",
            signatures.into(),
            Some(json!([])),
            "envelope has 0 signatures",
        ),
        (
            "two signatures",
            signatures.into(),
            Some(json!([signature, signature])),
            "envelope has 2 signatures",
        ),
        (
            "hint differs from keyid",
            "/verificationMaterial/publicKey/hint".into(),
            Some(json!("cd".repeat(32))),
            "public key hint does not match",
        ),
        (
            "no keyid",
            format!("{signatures}/0/keyid"),
            None,
            "lacks the field keyid",
        ),
        (
            "payload in base64url",
            "/dsseEnvelope/payload".into(),
            Some(json!("e3_=")),
            "payload",
        ),
        (
            "payload without padding",
            "/dsseEnvelope/payload".into(),
            Some(json!("e30")),
            "payload: not standard base64: the padding is missing",
        ),
        (
            "payload with trailing bits",
            "/dsseEnvelope/payload".into(),
            Some(json!("e31=")),
            "payload: not canonical base64: unused bits are set",
        ),
        (
            "payload with a line feed",
            "/dsseEnvelope/payload".into(),
            Some(json!("e30=\n")),
            "payload",
        ),
        (
            "two log entries",
            "/verificationMaterial/tlogEntries".into(),
            Some(json!([entry, entry])),
            "bundle has 2 log entries",
        ),
        (
            "log entries as null",
            "/verificationMaterial/tlogEntries".into(),
            Some(Value::Null),
            "tlogEntries is not acceptable",
        ),
        (
            "dsse entry",
            at("/kindVersion/kind"),
            Some(json!("dsse")),
            "expected hashedrekord/0.0.2, found dsse/0.0.2",
        ),
        (
            "hashedrekord 0.0.1",
            at("/kindVersion/version"),
            Some(json!("0.0.1")),
            "found hashedrekord/0.0.1",
        ),
        (
            "an integrated time",
            at("/integratedTime"),
            Some(json!("1")),
            "claims an integrated time",
        ),
        (
            "no integrated time",
            at("/integratedTime"),
            None,
            "lacks the field integratedTime",
        ),
        (
            "an inclusion promise",
            at("/inclusionPromise"),
            Some(json!({})),
            "inclusionPromise",
        ),
        (
            "index as a number",
            at("/logIndex"),
            Some(json!(5)),
            "logIndex is not acceptable",
        ),
        (
            "index with a leading zero",
            at("/logIndex"),
            Some(json!("05")),
            "not a decimal integer",
        ),
        (
            "index with a sign",
            at("/logIndex"),
            Some(json!("+5")),
            "not a decimal integer",
        ),
        (
            "negative index",
            at("/logIndex"),
            Some(json!("-5")),
            "not a decimal integer",
        ),
        (
            "empty index",
            at("/logIndex"),
            Some(json!("")),
            "not a decimal integer",
        ),
        (
            "index with a space",
            at("/logIndex"),
            Some(json!("5 ")),
            "not a decimal integer",
        ),
        (
            "index above int64",
            at("/logIndex"),
            Some(json!("9223372036854775808")),
            "not a decimal integer",
        ),
        (
            "two indices",
            at("/logIndex"),
            Some(json!("4")),
            "the entry says 4, its proof says 5",
        ),
        (
            "short log id",
            at("/logId/keyId"),
            Some(json!("AAAAAA==")),
            "expected 32 bytes, found 4",
        ),
        (
            "short hash in the proof",
            at("/inclusionProof/hashes/1"),
            Some(json!("AA==")),
            "hashes has the wrong length",
        ),
        (
            "64 hashes in the proof",
            at("/inclusionProof/hashes"),
            Some(json!(vec![hash; 64])),
            "at most 63 hashes are read, found 64",
        ),
        (
            "no proof",
            at("/inclusionProof"),
            None,
            "lacks the field inclusionProof",
        ),
        (
            "no checkpoint",
            at("/inclusionProof/checkpoint"),
            None,
            "lacks the field checkpoint",
        ),
        (
            "endless checkpoint",
            at("/inclusionProof/checkpoint/envelope"),
            Some(json!("x".repeat(65_537))),
            "checkpoint is too long",
        ),
        (
            "proof as an array",
            at("/inclusionProof"),
            Some(json!([])),
            "invalid type: array",
        ),
    ];
    for (defect, pointer, new, message) in cases {
        let bad = spoilt(line.as_bytes(), &pointer, new);
        let error = Bundle::parse(&bad).expect_err(defect).to_string();
        assert!(error.contains(message), "{defect}: {error}");
        assert!(!error.chars().any(char::is_control), "{defect}: {error}");
    }
}

#[test]
fn duplicate_keys_are_refused_in_every_object_of_a_bundle() {
    let line = sample().to_line();
    let mut objects = 0;
    for (at, _) in line.match_indices("{\"") {
        let rest = &line[at + 1..];
        let key = &rest[..=rest[1..].find('"').unwrap() + 1];
        let doubled = format!("{}{key}:0,{rest}", &line[..=at]);
        let error = Bundle::parse(doubled.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("twice"), "{error}");
        objects += 1;
    }
    assert_eq!(objects, 10);
}

#[test]
fn nesting_is_bounded() {
    let line = sample().to_line();
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let bad = line.replacen("\"e30=\"", &deep, 1);
    assert!(matches!(
        Bundle::parse(bad.as_bytes()),
        Err(BundleError::Json(JsonError::TooDeep { .. }))
    ));
}
