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
    /// Says what is wrong, in words that follow "the key is unusable: ".
    pub fn from_pem(pem: &str) -> Result<Self, &'static str> {
        const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
        const END: &str = "-----END PUBLIC KEY-----";
        let body = pem
            .trim()
            .strip_prefix(BEGIN)
            .and_then(|rest| rest.strip_suffix(END))
            .ok_or("expected one PEM block of the type PUBLIC KEY")?;
        let text: String = body.split_ascii_whitespace().collect();
        let der = STANDARD
            .decode(text)
            .map_err(|_| "the PEM block is not base64")?;
        Self::from_spki(der)
    }

    /// Takes a DER `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    ///
    /// As [`Self::from_pem`].
    pub fn from_spki(spki_der: Vec<u8>) -> Result<Self, &'static str> {
        p256_point(&spki_der).map_err(|_| "expected a P-256 key with an uncompressed point")?;
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
