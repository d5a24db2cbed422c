//! Keys and the files they live in.
//!
//! Two kinds of key exist. An *attestation* key (ECDSA P-256 with SHA-256) signs
//! statements as DSSE envelopes; a *record* key (Ed25519) signs the checkpoints of one
//! record, in the signed-note form of C2SP. Both are kept as PKCS#8 in PEM (RFC 5208,
//! RFC 5958, RFC 7468), encrypted with PBES2 (RFC 8018: scrypt, AES-256-CBC) when a
//! passphrase is given.
//!
//! # Key files
//!
//! [`AttestationKey::create`] and [`RecordKey::create`] write two files and replace neither:
//!
//! | file | mode | content |
//! |---|---|---|
//! | `PATH` | 0600 | `PRIVATE KEY` or `ENCRYPTED PRIVATE KEY` PEM block |
//! | `PATH.pub` | 0644 | attestation: `PUBLIC KEY` PEM; record: C2SP verifier key, one line |
//!
//! A record key belongs to one record and must not sign for another, so its file begins
//! with a line of explanatory text (RFC 7468, section 5.2) that names the origin:
//!
//! ```text
//! record-origin: zurich.record.example
//! -----BEGIN PRIVATE KEY-----
//! ```
//!
//! Other programs skip that line. When `PATH.pub` is there as well, [`RecordKey::load`]
//! demands that the two agree, so that an edited origin is noticed.
//!
//! Deliberately absent: asking for a passphrase (the command line does), tokens and
//! keyless signing (they will be further signers beside these), any knowledge of recipes
//! or sandboxes. Nothing here runs while a build runs.
//!
//! # Examples
//!
//! ```
//! use counterseal_signing::AttestationKey;
//!
//! let directory = tempfile::tempdir()?;
//! let path = directory.path().join("builder.key");
//! AttestationKey::create(&path, None)?;
//! let key = AttestationKey::load(&path, None)?;
//! let envelope = key.sign_envelope("application/vnd.in-toto+json", b"{}");
//! assert_eq!(envelope.keyid, key.keyid());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod attestation_key;
mod error;
mod key_file;
mod passphrase;
mod record_key;

use std::fmt;
use std::path::PathBuf;

pub use attestation_key::AttestationKey;
pub use error::SigningError;
pub use passphrase::Passphrase;
pub use record_key::RecordKey;

/// What a key is for. The purpose fixes the algorithm; there is no choice to get wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Signs attestations: ECDSA P-256 with SHA-256.
    Attestation,
    /// Signs the checkpoints of one record: Ed25519.
    Record,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attestation => "attestation (ECDSA P-256)",
            Self::Record => "record (Ed25519)",
        })
    }
}

/// The half of a new key that may be shown to anyone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicPart {
    /// What a trust file holds: a PEM `PUBLIC KEY` block or a verifier key; with a final newline.
    pub text: String,
    /// Where the same text was written.
    pub path: PathBuf,
}
