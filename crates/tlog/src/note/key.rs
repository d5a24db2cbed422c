//! The text form of a verifier key, and what its key id is made of.
//!
//! C2SP signed-note, section "Verifier keys". Only Ed25519 is known here.
//! Deliberately absent: private keys, and Ed25519 itself.

use alloc::string::String;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::{NoteVerifier, is_key_name};

/// The algorithm byte of Ed25519 in key ids and verifier keys.
const ALGORITHM_ED25519: u8 = 0x01;

/// The public half of an Ed25519 note key: `<name>+<8 hex digits>+<base64>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifierKey {
    name: String,
    public_key: [u8; 32],
}

/// Why a text is not a verifier key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifierKeyError {
    /// The text must be a name, a key id and a key, joined by `+`.
    #[error("not a verifier key of the form `name+key id+key`: `{text}`")]
    Form {
        /// The first 80 characters of the text as found; nothing of a private key.
        text: String,
    },
    /// A key name is not empty and has neither white space nor `+`.
    #[error("not a key name: `{name}`")]
    Name {
        /// The name as found.
        name: String,
    },
    /// Only Ed25519 (`01`) is known.
    #[error("the verifier key `{name}` has the unknown algorithm {algorithm:#04x}")]
    Algorithm {
        /// Name of the key.
        name: String,
        /// The algorithm byte.
        algorithm: u8,
    },
    /// The key id does not belong to this name and key.
    #[error("the key id of `{name}` does not match: expected {expected:08x}, found {found:08x}")]
    KeyId {
        /// Name of the key.
        name: String,
        /// The key id of this name and key.
        expected: u32,
        /// The key id in the text.
        found: u32,
    },
}

impl VerifierKey {
    /// A key from its parts.
    ///
    /// # Errors
    /// [`VerifierKeyError::Name`].
    pub fn new(name: &str, public_key: [u8; 32]) -> Result<Self, VerifierKeyError> {
        if !is_key_name(name) {
            return Err(VerifierKeyError::Name {
                name: excerpt(name),
            });
        }
        Ok(Self {
            name: name.into(),
            public_key,
        })
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// A [`VerifierKeyError`].
    pub fn parse(text: &str) -> Result<Self, VerifierKeyError> {
        let form = || VerifierKeyError::Form {
            text: excerpt(text),
        };
        // Base64 may contain `+`, so only the first two separate.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(key_id), Some(key)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(form());
        };
        let lower_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if key_id.len() != 8 || !key_id.bytes().all(lower_hex) {
            return Err(form());
        }
        let found = u32::from_str_radix(key_id, 16).map_err(|_| form())?;
        let bytes = STANDARD.decode(key).map_err(|_| form())?;
        let (algorithm, key) = bytes.split_first().ok_or_else(form)?;
        if *algorithm != ALGORITHM_ED25519 {
            return Err(VerifierKeyError::Algorithm {
                name: excerpt(name),
                algorithm: *algorithm,
            });
        }
        let key = Self::new(name, key.try_into().map_err(|_| form())?)?;
        let expected = key.key_id();
        if found != expected {
            return Err(VerifierKeyError::KeyId {
                name: excerpt(name),
                expected,
                found,
            });
        }
        Ok(key)
    }

    /// Name of the key.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The Ed25519 public key.
    pub fn public_key(&self) -> &[u8; 32] {
        &self.public_key
    }

    /// The key id: the first four bytes of [`VerifierKey::full_key_hash`], big-endian.
    pub fn key_id(&self) -> u32 {
        let [a, b, c, d, ..] = self.full_key_hash();
        u32::from_be_bytes([a, b, c, d])
    }

    /// `SHA-256(name ‖ "\n" ‖ 0x01 ‖ key)`, all of it: Sigstore's log id.
    pub fn full_key_hash(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.name.as_bytes());
        hasher.update([b'\n', ALGORITHM_ED25519]);
        hasher.update(self.public_key);
        hasher.finalize().into()
    }

    /// This key as a [`NoteVerifier`], with the caller's Ed25519 check of
    /// (public key, message, signature).
    pub fn verifier<F>(self, check: F) -> Ed25519Verifier<F>
    where
        F: Fn(&[u8; 32], &[u8], &[u8; 64]) -> bool,
    {
        Ed25519Verifier { key: self, check }
    }
}

/// What an error says of a text that is not what it should be. Error messages are copied into
/// logs and reports, and whoever names the wrong file may have named a private key.
fn excerpt(text: &str) -> String {
    const CHARACTERS_MAX: usize = 80;
    if text.contains("PRIVATE KEY") {
        return "(a private key, not shown)".into();
    }
    text.chars().take(CHARACTERS_MAX).collect()
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = [ALGORITHM_ED25519; 33];
        key[1..].copy_from_slice(&self.public_key);
        write!(
            f,
            "{}+{:08x}+{}",
            self.name,
            self.key_id(),
            STANDARD.encode(key)
        )
    }
}

/// A [`VerifierKey`] together with somebody's Ed25519; from [`VerifierKey::verifier`].
#[derive(Debug, Clone)]
pub struct Ed25519Verifier<F> {
    key: VerifierKey,
    check: F,
}

impl<F> NoteVerifier for Ed25519Verifier<F>
where
    F: Fn(&[u8; 32], &[u8], &[u8; 64]) -> bool,
{
    fn name(&self) -> &str {
        self.key.name()
    }

    fn key_id(&self) -> u32 {
        self.key.key_id()
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        signature
            .try_into()
            .is_ok_and(|signature| (self.check)(self.key.public_key(), text, signature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString as _;

    /// The example key of Go's `sumdb/note`.
    const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    #[test]
    fn a_published_key_is_read_and_written_again() {
        let key = VerifierKey::parse(PETER).unwrap();
        assert_eq!((key.name(), key.key_id()), ("PeterNeumann", 0xc74f_20a3));
        assert_eq!(key.to_string(), PETER);
        assert_eq!(key.full_key_hash()[..4], [0xc7, 0x4f, 0x20, 0xa3]);
    }

    #[test]
    fn malformed_keys_are_refused() {
        for text in [
            "",
            "PeterNeumann",
            "PeterNeumann+c74f20a3",
            "PeterNeumann+c74f20a3+",
            "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10T",
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy1w==",
            "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            " PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n",
        ] {
            assert!(VerifierKey::parse(text).is_err(), "{text}");
        }
        let other_name = PETER.replace("Peter", "Petra");
        assert!(matches!(
            VerifierKey::parse(&other_name),
            Err(VerifierKeyError::KeyId { .. })
        ));
        let other_algorithm = PETER.replace("+AR", "+Bh");
        assert!(matches!(
            VerifierKey::parse(&other_algorithm),
            Err(VerifierKeyError::Algorithm { algorithm: 6, .. })
        ));
    }

    #[test]
    fn errors_quote_little_and_no_secret() {
        let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQ+c74f20a3+AR==\n-----END PRIVATE KEY-----\n";
        for error in [
            VerifierKey::parse(pem).unwrap_err(),
            VerifierKey::new(pem, [0; 32]).unwrap_err(),
        ] {
            let message = error.to_string();
            assert!(!message.contains("MC4CAQ"), "{message}");
            assert!(message.contains("not shown"), "{message}");
        }
        let long = "ü".repeat(1 << 20);
        let error = VerifierKey::parse(&long).unwrap_err();
        assert_eq!(
            error,
            VerifierKeyError::Form {
                text: "ü".repeat(80)
            }
        );
    }

    #[test]
    fn only_signatures_of_64_bytes_reach_the_check() {
        let verifier = VerifierKey::parse(PETER).unwrap().verifier(|_, _, _| true);
        assert!(verifier.verify(b"text", &[0; 64]));
        assert!(!verifier.verify(b"text", &[0; 63]));
        assert!(!verifier.verify(b"text", &[0; 65]));
    }
}
