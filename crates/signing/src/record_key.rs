//! The key that signs one record's checkpoints: Ed25519 over the text of a signed note
//! (C2SP signed-note, signature type 0x01; C2SP checkpoint, where key name = origin).
//! Deliberately absent: cosignatures (type 0x04) and ML-DSA (0x06), other uses of the key.

use std::fmt;
use std::path::Path;

use counterseal_tlog::note::{BoxedError, NoteSigner, VerifierKey};
use ed25519_dalek::pkcs8::KeypairBytes;
use ed25519_dalek::{Signer, SigningKey};
use pkcs8::{EncodePrivateKey, SecretDocument};
use zeroize::Zeroizing;

use crate::key_file;
use crate::{KeyKind, Passphrase, PublicPart, SigningError};

/// Longest host name that DNS can carry, in bytes (RFC 1035).
const ORIGIN_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// A record key in memory, together with the origin it signs for; wiped when dropped.
pub struct RecordKey {
    key: SigningKey,
    verifier: VerifierKey,
}

impl RecordKey {
    /// Makes a new key for the record `origin`, a bare host name, and writes it as
    /// [`AttestationKey::create`](crate::AttestationKey::create) does.
    ///
    /// # Errors
    ///
    /// As there; besides, [`SigningError::Origin`] for an origin that is no host name.
    pub fn create(
        origin: &str,
        path: &Path,
        passphrase: Option<&Passphrase>,
    ) -> Result<PublicPart, SigningError> {
        key_file::create(path, Some(origin), passphrase, || {
            let key = Self::generate(origin)?;
            Ok((key.to_pkcs8()?, format!("{}\n", key.verifier)))
        })
    }

    /// Opens the key file at `path`.
    ///
    /// # Errors
    ///
    /// As [`AttestationKey::load`](crate::AttestationKey::load); besides,
    /// [`SigningError::WrongKind`] when the file names no origin, and
    /// [`SigningError::PublicMismatch`] when `PATH.pub` exists and speaks of another key or
    /// another origin.
    pub fn load(path: &Path, passphrase: Option<&Passphrase>) -> Result<Self, SigningError> {
        let file = key_file::read_private(path, passphrase)?;
        let Some(origin) = &file.origin else {
            return Err(SigningError::WrongKind {
                path: path.to_owned(),
                expected: KeyKind::Record,
            });
        };
        let loaded = Self::from_key(file.key(path, KeyKind::Record)?, origin)?;
        let public_path = key_file::public_path(path);
        if let Some(text) = key_file::read_public(&public_path)? {
            let expected = loaded.verifier.to_string();
            let found = text.lines().next().unwrap_or_default();
            if found != expected {
                return Err(SigningError::PublicMismatch {
                    path: public_path,
                    expected,
                    found: found.to_owned(),
                });
            }
        }
        Ok(loaded)
    }

    /// What others check this key's signatures with.
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.verifier
    }

    fn generate(origin: &str) -> Result<Self, SigningError> {
        let mut seed = Zeroizing::new([0; 32]);
        key_file::random(seed.as_mut())?;
        Self::from_key(SigningKey::from_bytes(&seed), origin)
    }

    /// PKCS#8 version 1, without the public key: the form every other program reads.
    fn to_pkcs8(&self) -> Result<SecretDocument, SigningError> {
        KeypairBytes {
            secret_key: self.key.to_bytes(),
            public_key: None,
        }
        .to_pkcs8_der()
        .map_err(|source| SigningError::Encoding { source })
    }

    fn from_key(key: SigningKey, origin: &str) -> Result<Self, SigningError> {
        let refused = || SigningError::Origin {
            found: origin.to_owned(),
        };
        if !is_host_name(origin) {
            return Err(refused());
        }
        let verifier =
            VerifierKey::new(origin, key.verifying_key().to_bytes()).map_err(|_| refused())?;
        Ok(Self { key, verifier })
    }
}

impl NoteSigner for RecordKey {
    fn name(&self) -> &str {
        self.verifier.name()
    }

    fn key_id(&self) -> u32 {
        self.verifier.key_id()
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, BoxedError> {
        Ok(self.key.sign(text).to_bytes().to_vec())
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordKey")
            .field("verifier", &self.verifier.to_string())
            .finish_non_exhaustive()
    }
}

/// Labels of lower-case letters, digits and inner hyphens, joined by dots (RFC 1123).
/// Upper case is refused and not folded: the origin is compared byte for byte.
fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (1..=ORIGIN_BYTES_MAX).contains(&text.len()) && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names() {
        for good in ["zurich.record.example", "localhost", "a", "x1-y.z9"] {
            assert!(is_host_name(good), "{good}");
        }
        let long = "a".repeat(64);
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "A.example",
            "a b",
            "a+b",
            "-a",
            "a-",
            "ä.ch",
            &long,
        ] {
            assert!(!is_host_name(bad), "{bad}");
        }
        assert!(!is_host_name(&["abcdefgh"; 30].join(".")));
    }
}
