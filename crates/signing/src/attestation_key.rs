//! The key that signs attestations: ECDSA P-256 with SHA-256 over the DSSE pre-authentication
//! encoding (DSSE v1, protocol.md). Nonces are derived from key and message (RFC 6979), so
//! the same payload always gets the same signature and a record can recognise it.
//! Deliberately absent: other curves, several signatures in one envelope.

use std::fmt;
use std::path::Path;

use counterseal_attestation::Sha256Digest;
use counterseal_attestation::dsse::{self, Envelope};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use pkcs8::{DecodePublicKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use zeroize::Zeroizing;

use crate::key_file;
use crate::{KeyKind, Passphrase, PublicPart, SigningError};

/// An attestation key in memory; wiped when dropped.
pub struct AttestationKey {
    key: SigningKey,
    spki_der: Vec<u8>,
    keyid: String,
}

impl AttestationKey {
    /// Makes a new key, writes it to `path` and its public half to `path` with `.pub` appended.
    ///
    /// The private file has mode 0600 from its first byte and appears under its name only when
    /// it is complete and on disk.
    ///
    /// # Errors
    ///
    /// [`SigningError::Exists`] when either file is there already: keys are never replaced.
    /// Otherwise what the operating system or its source of randomness reports.
    pub fn create(
        path: &Path,
        passphrase: Option<&Passphrase>,
    ) -> Result<PublicPart, SigningError> {
        key_file::create(path, None, passphrase, || {
            let key = Self::generate()?;
            let secret = key
                .key
                .to_pkcs8_der()
                .map_err(|source| SigningError::Encoding { source })?;
            Ok((secret, key.public_pem()?))
        })
    }

    /// Opens the key file at `path`.
    ///
    /// # Errors
    ///
    /// [`SigningError::Permissions`] when group or others may touch the file,
    /// [`SigningError::PassphraseNeeded`] or [`SigningError::PassphraseWrong`] for an
    /// encrypted one, [`SigningError::WrongKind`] for a key of another algorithm,
    /// [`SigningError::PublicMismatch`] when `PATH.pub` exists and is not its public half,
    /// [`SigningError::Malformed`] or [`SigningError::Io`] otherwise.
    pub fn load(path: &Path, passphrase: Option<&Passphrase>) -> Result<Self, SigningError> {
        let file = key_file::read_private(path, passphrase)?;
        if file.origin.is_some() {
            return Err(SigningError::WrongKind {
                path: path.to_owned(),
                expected: KeyKind::Attestation,
            });
        }
        let loaded = Self::from_key(file.key(path, KeyKind::Attestation)?)?;
        let public_path = key_file::public_path(path);
        if let Some(text) = key_file::read_public(&public_path)? {
            let found = keyid_of(&text);
            if found.as_ref() != Some(&loaded.keyid) {
                return Err(SigningError::PublicMismatch {
                    path: public_path,
                    expected: loaded.keyid,
                    found: found.unwrap_or_else(|| "no public key in PEM form".to_owned()),
                });
            }
        }
        Ok(loaded)
    }

    /// The public key as DER `SubjectPublicKeyInfo`: 91 bytes, uncompressed point.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// 64 lower-case hexadecimal digits: the SHA-256 of [`Self::spki_der`].
    pub fn keyid(&self) -> &str {
        &self.keyid
    }

    /// The public key as a PEM `PUBLIC KEY` block with its final newline.
    ///
    /// # Errors
    ///
    /// [`SigningError::Encoding`]; it does not depend on input.
    pub fn public_pem(&self) -> Result<String, SigningError> {
        self.key
            .verifying_key()
            .to_public_key_pem(LineEnding::LF)
            .map_err(|error| SigningError::Encoding {
                source: error.into(),
            })
    }

    /// Signs `payload` as it is, byte for byte, and wraps it.
    pub fn sign_envelope(&self, payload_type: &str, payload: &[u8]) -> Envelope {
        let signature: Signature = self.key.sign(&dsse::pae(payload_type, payload));
        Envelope {
            payload_type: payload_type.to_owned(),
            payload: payload.to_vec(),
            signature: signature.to_der().as_bytes().to_vec(),
            keyid: self.keyid.clone(),
        }
    }

    fn generate() -> Result<Self, SigningError> {
        loop {
            let mut scalar = Zeroizing::new([0; 32]);
            key_file::random(scalar.as_mut())?;
            // Zero or a value above the group order: once in 2^32 draws at most.
            if let Ok(key) = SigningKey::from_slice(scalar.as_ref()) {
                return Self::from_key(key);
            }
        }
    }

    fn from_key(key: SigningKey) -> Result<Self, SigningError> {
        let spki_der = key
            .verifying_key()
            .to_public_key_der()
            .map_err(|error| SigningError::Encoding {
                source: error.into(),
            })?
            .into_vec();
        let keyid = Sha256Digest::of(&spki_der).to_string();
        Ok(Self {
            key,
            spki_der,
            keyid,
        })
    }
}

/// The key id of a public key in PEM form.
fn keyid_of(public_pem: &str) -> Option<String> {
    let key = VerifyingKey::from_public_key_pem(public_pem).ok()?;
    let der = key.to_public_key_der().ok()?;
    Some(Sha256Digest::of(der.as_bytes()).to_string())
}

impl fmt::Debug for AttestationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttestationKey")
            .field("keyid", &self.keyid)
            .finish_non_exhaustive()
    }
}
