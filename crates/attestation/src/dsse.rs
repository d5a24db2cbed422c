//! DSSE v1.0.2: the pre-authentication encoding (PAE) and an envelope with exactly one signature.
//!
//! Deliberately absent: making and checking signatures, and DSSE's own JSON (an envelope travels
//! inside a [`crate::bundle::Bundle`]). `keyid` is a hint that nobody has signed: it may order the
//! keys to try, never exclude one.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use sha2::{Digest as _, Sha256};

use crate::Sha256Digest;

/// The payload type of every in-toto statement.
pub const IN_TOTO_PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The bytes that are signed: `DSSEv1 SP len(type) SP type SP len(payload) SP payload`, lengths in
/// bytes, decimal.
///
/// # Examples
/// ```
/// let pae = counterseal_attestation::dsse::pae("http://example.com/HelloWorld", b"hello world");
/// assert_eq!(pae, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
/// ```
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = head(payload_type, payload).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// SHA-256 of [`pae`], without building it: the digest that the record's leaf carries.
pub fn pae_digest(payload_type: &str, payload: &[u8]) -> Sha256Digest {
    let hash = Sha256::new()
        .chain_update(head(payload_type, payload))
        .chain_update(payload);
    Sha256Digest::from_bytes(hash.finalize().into())
}

fn head(payload_type: &str, payload: &[u8]) -> String {
    format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    )
}

/// A payload with one signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// What the payload claims to be; signed along with it.
    pub payload_type: String,
    /// The bytes that were signed. Never re-serialised.
    pub payload: Vec<u8>,
    /// The signature over [`Envelope::pae`]; for ECDSA in DER.
    pub signature: Vec<u8>,
    /// Lower-case hexadecimal SHA-256 of the signer's public key (`SubjectPublicKeyInfo`, DER).
    /// Not signed.
    pub keyid: String,
}

impl Envelope {
    /// The signed bytes.
    pub fn pae(&self) -> Vec<u8> {
        pae(&self.payload_type, &self.payload)
    }

    /// SHA-256 of the signed bytes.
    pub fn pae_digest(&self) -> Sha256Digest {
        pae_digest(&self.payload_type, &self.payload)
    }

    /// SHA-256 of the payload alone: how a replay verdict names the provenance it is about.
    pub fn payload_digest(&self) -> Sha256Digest {
        Sha256Digest::of(&self.payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_are_in_bytes_and_empty_parts_are_written() {
        assert_eq!(pae("", b""), b"DSSEv1 0  0 ");
        assert_eq!(pae("é", b"x"), "DSSEv1 2 é 1 x".as_bytes());
    }

    proptest! {
        #[test]
        fn the_digest_is_of_the_encoding(kind in ".{0,40}", payload: Vec<u8>) {
            prop_assert_eq!(pae_digest(&kind, &payload), Sha256Digest::of(&pae(&kind, &payload)));
        }

        #[test]
        fn different_envelopes_never_share_an_encoding(
            a in "[0-9 a]{0,6}", b in "[0-9 a]{0,6}",
            p in "[0-9 a]{0,6}", q in "[0-9 a]{0,6}",
        ) {
            let same = (&a, &p) == (&b, &q);
            prop_assert_eq!(pae(&a, p.as_bytes()) == pae(&b, q.as_bytes()), same);
        }
    }
}
