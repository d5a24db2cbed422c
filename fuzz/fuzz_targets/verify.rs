//! The whole verifier on hostile evidence: never a panic, and never "verified" where no signature
//! holds. A second pass believes every signature, to get behind that check.
#![no_main]

use std::sync::LazyLock;

use counterseal_attestation::{Sha256Digest, UnixSeconds};
use counterseal_verify::{CryptoProvider, Outcome, Request, SignatureError, Trust, verify};
use libfuzzer_sys::fuzz_target;

/// Believes every signature, or none.
struct Constant(Result<(), SignatureError>);

impl CryptoProvider for Constant {
    fn verify_p256_sha256(&self, _: &[u8], _: &[u8], _: &[u8]) -> Result<(), SignatureError> {
        self.0
    }

    fn verify_ed25519(&self, _: &[u8; 32], _: &[u8], _: &[u8; 64]) -> Result<(), SignatureError> {
        self.0
    }
}

static TRUST: LazyLock<Trust> = LazyLock::new(|| {
    let text = include_str!("../../crates/verify/tests/data/trust.toml");
    Trust::parse(text).expect("the example is a trust file")
});

fuzz_target!(|evidence: &[u8]| {
    let request = Request {
        evidence,
        artifact: Sha256Digest::of(b""),
        artifact_name: Some("installer"),
        trust: &TRUST,
        now: UnixSeconds(1_800_000_000),
    };
    let refused = verify(&request, &Constant(Err(SignatureError::Mismatch)));
    assert_ne!(refused.outcome, Outcome::Verified);
    let believed = verify(&request, &Constant(Ok(())));
    serde_json::to_string(&believed).expect("a verdict has a JSON form");
});
