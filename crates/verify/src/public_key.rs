//! Attestation keys as a trust file holds them: one PEM `PUBLIC KEY` block (RFC 7468) with a
//! P-256 key inside. Deliberately absent: certificates, other algorithms, several blocks.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use counterseal_attestation::Sha256Digest;

use crate::provider::p256_point;

/// A P-256 public key in its one accepted encoding, with the keyid that follows from it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey {
    spki_der: Vec<u8>,
    keyid: String,
}

impl PublicKey {
    /// Reads one PEM block; white space around it and line lengths do not matter.
    ///
    /// # Errors
    ///
    /// [`KeyError`] says which layer is at fault.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
        const END: &str = "-----END PUBLIC KEY-----";
        let body = pem
            .trim()
            .strip_prefix(BEGIN)
            .and_then(|rest| rest.strip_suffix(END))
            .ok_or(KeyError::Pem)?;
        let text: String = body.split_ascii_whitespace().collect();
        let der = STANDARD.decode(text).map_err(|_| KeyError::Base64)?;
        Self::from_spki(der)
    }

    /// Takes a DER `SubjectPublicKeyInfo`.
    pub(crate) fn from_spki(spki_der: Vec<u8>) -> Result<Self, KeyError> {
        p256_point(&spki_der).map_err(|_| KeyError::Algorithm)?;
        let keyid = Sha256Digest::of(&spki_der).to_string();
        Ok(Self { spki_der, keyid })
    }

    /// DER `SubjectPublicKeyInfo`, 91 bytes.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// SHA-256 of [`Self::spki_der`] as 64 lower-case hexadecimal digits.
    pub fn keyid(&self) -> &str {
        &self.keyid
    }
}

/// Why a text or bytes are not a key that a trust file may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not exactly one PEM block of the type `PUBLIC KEY`.
    #[error("expected one PEM block of the type PUBLIC KEY")]
    Pem,
    /// The block's content is not padded standard base64.
    #[error("the PEM block is not base64")]
    Base64,
    /// Another algorithm, another curve, or another encoding of the point.
    #[error("expected a P-256 key with an uncompressed point")]
    Algorithm,
    /// Not a C2SP verifier key of an Ed25519 key.
    #[error("expected an Ed25519 verifier key: name+8 hexadecimal digits+base64")]
    VerifierKey,
}
