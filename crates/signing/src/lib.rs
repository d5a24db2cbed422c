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
//! [`create_key`] writes two files and replaces neither:
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
//! use counterseal_signing::{AttestationKey, KeyKind, create_key};
//!
//! let directory = tempfile::tempdir()?;
//! let path = directory.path().join("builder.key");
//! create_key(KeyKind::Attestation, "builder", &path, None)?;
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
use std::path::{Path, PathBuf};

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

/// The half of a key that may be shown to anyone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicPart {
    /// What the key is for.
    pub kind: KeyKind,
    /// The name given at creation; for a record key, the origin.
    pub name: String,
    /// For an attestation key the keyid: 64 lower-case hexadecimal digits, the SHA-256 of
    /// the DER `SubjectPublicKeyInfo`. For a record key the eight hexadecimal digits of the
    /// note key ID.
    pub keyid: String,
    /// What a trust file holds: a PEM `PUBLIC KEY` block with its final newline, or a
    /// verifier key line without one.
    pub text: String,
    /// Where the same text was written.
    pub path: PathBuf,
}

/// Makes a new key, writes it to `path` and its public half to `path` with `.pub` appended.
///
/// `name` is the origin when `kind` is [`KeyKind::Record`] (a bare host name) and a label
/// otherwise. The private file has mode 0600 from its first byte and appears under its
/// name only when it is complete and on disk.
///
/// # Errors
///
/// [`SigningError::Exists`] when either file is there already: keys are never replaced.
/// [`SigningError::Origin`] for an origin that is no host name. Otherwise what the operating
/// system or its source of randomness reports.
pub fn create_key(
    kind: KeyKind,
    name: &str,
    path: &Path,
    passphrase: Option<&Passphrase>,
) -> Result<PublicPart, SigningError> {
    let public_path = key_file::public_path(path);
    for candidate in [path, public_path.as_path()] {
        // `symlink_metadata`, so that a dangling link counts as something that exists.
        if std::fs::symlink_metadata(candidate).is_ok() {
            return Err(SigningError::Exists {
                path: candidate.to_owned(),
            });
        }
    }
    let (origin, secret, keyid, text) = match kind {
        KeyKind::Attestation => {
            let key = AttestationKey::generate()?;
            (
                None,
                key.to_pkcs8()?,
                key.keyid().to_owned(),
                key.public_pem()?,
            )
        }
        KeyKind::Record => {
            let key = RecordKey::generate(name)?;
            let verifier = key.verifier_key();
            let keyid = format!("{:08x}", verifier.key_id());
            (Some(name), key.to_pkcs8()?, keyid, verifier.to_string())
        }
    };
    key_file::write_private(path, origin, &secret, passphrase)?;
    let with_newline = format!("{}\n", text.trim_end());
    key_file::write_public(&public_path, &with_newline)?;
    Ok(PublicPart {
        kind,
        name: name.to_owned(),
        keyid,
        text,
        path: public_path,
    })
}
