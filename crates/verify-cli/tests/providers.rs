//! Both providers against the vectors of project Wycheproof, against each other, and against what
//! stands here. The vectors are not part of this repository; where they are missing the test says
//! that it was skipped.

use std::path::{Path, PathBuf};

use counterseal_signing::AttestationKey;
use counterseal_verify::CryptoProvider;
use counterseal_verify::pure_rust::PureRust;
use counterseal_verify_cli::native_provider::Native;
use serde::Deserialize;

const PROVIDERS: [(&str, &dyn CryptoProvider); 2] = [("pure Rust", &PureRust), ("native", &Native)];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vectors {
    number_of_tests: usize,
    test_groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    /// The whole key for ECDSA; Ed25519 files call the same member the same.
    public_key_der: String,
    tests: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    tc_id: usize,
    comment: String,
    flags: Vec<String>,
    msg: String,
    sig: String,
    result: String,
}

fn read(name: &str) -> Option<Vectors> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/vectors/wycheproof")
        .join(name);
    let Ok(bytes) = std::fs::read(&path) else {
        println!("skipped: the vectors {name} are not there");
        return None;
    };
    Some(serde_json::from_slice(&bytes).unwrap())
}

/// Runs `accepts` over every case with every provider, and demands what the vectors demand.
fn run(name: &str, accepts: impl Fn(&dyn CryptoProvider, &[u8], &[u8], &[u8]) -> bool) {
    let Some(vectors) = read(name) else { return };
    let mut cases = 0;
    for group in &vectors.test_groups {
        let key = hex::decode(&group.public_key_der).unwrap();
        for case in &group.tests {
            let message = hex::decode(&case.msg).unwrap();
            let signature = hex::decode(&case.sig).unwrap();
            let answers =
                PROVIDERS.map(|(_, provider)| accepts(provider, &key, &message, &signature));
            let label = format!(
                "{name} case {}: {} {:?}",
                case.tc_id, case.comment, case.flags
            );
            assert_eq!(answers[0], answers[1], "the providers disagree: {label}");
            match case.result.as_str() {
                "valid" => assert!(answers[0], "refused: {label}"),
                "invalid" => assert!(!answers[0], "accepted: {label}"),
                other => assert_eq!(other, "acceptable", "{label}"),
            }
            cases += 1;
        }
    }
    assert_eq!(cases, vectors.number_of_tests);
}

#[test]
fn wycheproof_ecdsa_p256_sha256() {
    run(
        "ecdsa_secp256r1_sha256_test.json",
        |provider, key, message, signature| {
            provider.verify_p256_sha256(key, message, signature).is_ok()
        },
    );
}

#[test]
fn wycheproof_ed25519() {
    run("ed25519_test.json", |provider, key, message, signature| {
        // The last 32 bytes of an Ed25519 SubjectPublicKeyInfo are the key (RFC 8410).
        let key: [u8; 32] = key[key.len() - 32..].try_into().unwrap();
        let Ok(signature) = <[u8; 64]>::try_from(signature) else {
            return false;
        };
        provider.verify_ed25519(&key, message, &signature).is_ok()
    });
}

/// What needs no vectors: a signature of ours holds, and none that is a bit or a byte away does.
#[test]
fn p256_signature_and_its_neighbours() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    AttestationKey::create(&path, None).unwrap();
    let key = AttestationKey::load(&path, None).unwrap();
    let envelope = key.sign_envelope("text/plain", b"a message");
    let good = &envelope.signature;
    let flipped = (0..8 * good.len()).map(|at| {
        let mut other = good.clone();
        other[at / 8] ^= 1 << (at % 8);
        other
    });
    let others: Vec<Vec<u8>> = flipped
        .chain([good[..good.len() - 1].to_vec(), [good, &[0][..]].concat()])
        .collect();
    for (name, provider) in PROVIDERS {
        let verify = |signature: &[u8]| {
            provider.verify_p256_sha256(key.spki_der(), &envelope.pae(), signature)
        };
        assert_eq!(verify(good), Ok(()), "{name}");
        for other in &others {
            assert!(verify(other).is_err(), "{name} accepted {other:02x?}");
        }
    }
}

/// Keys and nonce points of small order verify anything in lenient libraries.
#[test]
fn ed25519_of_small_order_is_refused() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    for (name, provider) in PROVIDERS {
        for message in [&b""[..], b"a", b"b"] {
            assert!(
                provider
                    .verify_ed25519(&identity, message, &signature)
                    .is_err(),
                "{name}"
            );
        }
    }
}

/// A key that is not on the curve, and one in another encoding.
#[test]
fn unusable_p256_keys_are_refused() {
    let mut off_curve = hex::decode(concat!(
        "3059301306072a8648ce3d020106082a8648ce3d030107034200",
        "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
    ))
    .unwrap();
    *off_curve.last_mut().unwrap() ^= 1;
    let signature = hex::decode("3006020101020101").unwrap();
    for (name, provider) in PROVIDERS {
        assert!(
            provider
                .verify_p256_sha256(&off_curve, b"x", &signature)
                .is_err(),
            "{name}"
        );
        assert!(
            provider
                .verify_p256_sha256(&off_curve[26..], b"x", &signature)
                .is_err(),
            "{name}"
        );
        assert!(
            provider.verify_p256_sha256(&[], b"x", &signature).is_err(),
            "{name}"
        );
    }
}
