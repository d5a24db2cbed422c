//! `OpenPGP` signatures over Debian's index (RFC 9580 section 7: the cleartext framework).
//!
//! A document is accepted when one of its signatures is by a key of the keyring that may sign, is
//! neither expired nor revoked at `now`, and is bound to its certificate by valid signatures in
//! both directions. Digests weaker than SHA-256 do not count anywhere. What is returned is exactly
//! the text that was signed. Deliberately absent: the web of trust (the keyring *is* the trust),
//! key servers, detached signatures, and reading a clock.

use std::fmt;
use std::fmt::Write as _;

use counterseal_attestation::UnixSeconds;
use pgp::armor::DearmorOptions;
use pgp::composed::{CleartextSignedMessage, Deserializable, SignedPublicKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType, SubpacketData};
use pgp::types::{Duration, KeyDetails, Tag, Timestamp};

/// Largest accepted keyring, in bytes.
pub const KEYRING_BYTES_MAX: usize = 8 << 20;
/// Most certificates taken from one keyring.
const CERTIFICATES_MAX: usize = 1024;
/// Most signatures examined on one document.
const SIGNATURES_MAX: usize = 16;
/// How far a signature or an index may lie in the future, for clocks that are a little slow.
pub(crate) const CLOCK_SLACK_SECONDS: u64 = 24 * 60 * 60;

/// Certificates whose signatures are accepted.
#[derive(Debug, Clone)]
pub struct Keyring {
    certificates: Vec<SignedPublicKey>,
}

/// Why a keyring or a signature is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenPgpError {
    /// Larger than [`KEYRING_BYTES_MAX`].
    #[error("it has {found} bytes; at most {KEYRING_BYTES_MAX} are read")]
    KeyringTooLarge {
        /// Its size.
        found: usize,
    },
    /// The keyring file cannot be read.
    #[error("it cannot be read: {reason}")]
    KeyringUnreadable {
        /// The operating system's answer.
        reason: String,
    },
    /// Nothing in it is a certificate.
    #[error("it holds no OpenPGP certificate")]
    NoCertificates,
    /// The document does not have the form of a signed text.
    #[error("it is not a signed text: {reason}")]
    NotSigned {
        /// What the reader objected to.
        reason: String,
    },
    /// No signature counts.
    #[error("none of its signatures counts{}", list(reasons))]
    NoGoodSignature {
        /// For each signature, who made it and why it does not count.
        reasons: Vec<(String, Refusal)>,
    },
}

/// Why one signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// No certificate of the keyring has this key.
    UnknownKey,
    /// The signature does not fit the text.
    Wrong,
    /// The key or its certificate is expired.
    KeyExpired,
    /// The key or its certificate is revoked.
    KeyRevoked,
    /// The key is not properly bound to its certificate, or is not meant for signing.
    KeyUnusable,
    /// The signature itself is expired.
    Expired,
    /// The signature was made in the future.
    FromTheFuture,
    /// A digest weaker than SHA-256, or a kind of signature that is not over a document.
    Unsuitable,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownKey => "the keyring does not have this key",
            Self::Wrong => "the signature does not fit the text",
            Self::KeyExpired => "the key is expired",
            Self::KeyRevoked => "the key is revoked",
            Self::KeyUnusable => "the key may not sign",
            Self::Expired => "the signature is expired",
            Self::FromTheFuture => "the signature lies in the future; is this clock right?",
            Self::Unsuitable => "the signature is of a kind or digest that is not accepted",
        })
    }
}

fn list(reasons: &[(String, Refusal)]) -> String {
    let mut text = String::new();
    for (key, refusal) in reasons {
        // Writing to a String cannot fail.
        let _ = write!(text, "; key {key}: {refusal}");
    }
    text
}

impl Keyring {
    /// Reads a keyring, binary or armored, with any number of certificates. Certificates of kinds
    /// that this program does not know are passed over.
    ///
    /// # Errors
    /// An oversize keyring, or one without a usable certificate.
    pub fn parse(bytes: &[u8]) -> Result<Self, OpenPgpError> {
        if bytes.len() > KEYRING_BYTES_MAX {
            return Err(OpenPgpError::KeyringTooLarge { found: bytes.len() });
        }
        let Ok((certificates, _)) = SignedPublicKey::from_reader_many_buf(bytes) else {
            return Err(OpenPgpError::NoCertificates);
        };
        let certificates: Vec<_> = certificates.take(CERTIFICATES_MAX).flatten().collect();
        if certificates.is_empty() {
            return Err(OpenPgpError::NoCertificates);
        }
        Ok(Self { certificates })
    }

    /// Checks a document in the cleartext framework and returns the text that was signed, without
    /// its dash escapes; its lines end in CR LF.
    ///
    /// # Errors
    /// When the document has another form, or when no signature on it counts.
    pub fn verify_cleartext(
        &self,
        document: &[u8],
        now: UnixSeconds,
    ) -> Result<String, OpenPgpError> {
        let (message, _) =
            CleartextSignedMessage::from_armor_buf(document, DearmorOptions::default()).map_err(
                |error| OpenPgpError::NotSigned {
                    reason: error.to_string(),
                },
            )?;
        let text = message.signed_text();
        let mut reasons = Vec::new();
        for signature in message.signatures().iter().take(SIGNATURES_MAX) {
            match self.check(signature, text.as_bytes(), now) {
                Ok(()) => return Ok(text),
                Err(refusal) => reasons.push((signer(signature), refusal)),
            }
        }
        Err(OpenPgpError::NoGoodSignature { reasons })
    }

    /// Whether a key of this keyring made the signature over `text`, and may.
    fn check(&self, signature: &Signature, text: &[u8], now: UnixSeconds) -> Result<(), Refusal> {
        let is_document = matches!(
            signature.typ(),
            Some(SignatureType::Text | SignatureType::Binary)
        );
        if !is_document || !is_strong(signature) || has_unknown_demand(signature) {
            return Err(Refusal::Unsuitable);
        }
        let Some(created) = signature.created() else {
            return Err(Refusal::Unsuitable);
        };
        if u64::from(created.as_secs()) > now.0.saturating_add(CLOCK_SLACK_SECONDS) {
            return Err(Refusal::FromTheFuture);
        }
        if is_past(created, signature.signature_expiration_time(), now) {
            return Err(Refusal::Expired);
        }
        let mut refusal = Refusal::UnknownKey;
        for certificate in &self.certificates {
            let primary = &certificate.primary_key;
            if is_issuer(signature, primary) {
                match check_primary(certificate, now, true) {
                    Ok(()) if signature.verify(primary, text).is_ok() => {
                        return Ok(());
                    }
                    Ok(()) => refusal = Refusal::Wrong,
                    Err(reason) => refusal = reason,
                }
            }
            for subkey in &certificate.public_subkeys {
                if !is_issuer(signature, &subkey.key) {
                    continue;
                }
                let usable = check_primary(certificate, now, false)
                    .and_then(|()| check_subkey(certificate, subkey, now));
                match usable {
                    Ok(()) if signature.verify(&subkey.key, text).is_ok() => {
                        return Ok(());
                    }
                    Ok(()) => refusal = Refusal::Wrong,
                    Err(reason) => refusal = reason,
                }
            }
        }
        Err(refusal)
    }
}

/// Whether the certificate stands at `now`, and, when `must_sign`, its primary key may sign.
fn check_primary(
    certificate: &SignedPublicKey,
    now: UnixSeconds,
    must_sign: bool,
) -> Result<(), Refusal> {
    let primary = &certificate.primary_key;
    let details = &certificate.details;
    if details
        .revocation_signatures
        .iter()
        .any(|s| s.verify_key(primary).is_ok())
    {
        return Err(Refusal::KeyRevoked);
    }
    let direct = details
        .direct_signatures
        .iter()
        .filter(|s| s.typ() == Some(SignatureType::Key) && s.verify_key(primary).is_ok());
    let users = details.users.iter().flat_map(|user| {
        user.signatures.iter().filter(|s| {
            s.is_certification()
                && is_issuer(s, primary)
                && s.verify_certification(primary, Tag::UserId, &user.id)
                    .is_ok()
        })
    });
    let newest = newest(direct.chain(users), now).ok_or(Refusal::KeyUnusable)?;
    if is_past(primary.created_at(), newest.key_expiration_time(), now) {
        return Err(Refusal::KeyExpired);
    }
    if must_sign && !newest.key_flags().sign() {
        return Err(Refusal::KeyUnusable);
    }
    Ok(())
}

/// Whether a subkey stands at `now`, may sign, and itself agrees to belong to the certificate.
fn check_subkey(
    certificate: &SignedPublicKey,
    subkey: &pgp::composed::SignedPublicSubKey,
    now: UnixSeconds,
) -> Result<(), Refusal> {
    let primary = &certificate.primary_key;
    let bound = |kind: SignatureType| {
        subkey.signatures.iter().filter(move |s| {
            s.typ() == Some(kind) && s.verify_subkey_binding(primary, &subkey.key).is_ok()
        })
    };
    if bound(SignatureType::SubkeyRevocation).next().is_some() {
        return Err(Refusal::KeyRevoked);
    }
    let newest = newest(bound(SignatureType::SubkeyBinding), now).ok_or(Refusal::KeyUnusable)?;
    if is_past(subkey.key.created_at(), newest.key_expiration_time(), now) {
        return Err(Refusal::KeyExpired);
    }
    let is_agreed = newest.embedded_signature().is_some_and(|back| {
        is_strong(back)
            && back
                .verify_primary_key_binding(&subkey.key, primary)
                .is_ok()
    });
    if newest.key_flags().sign() && is_agreed {
        Ok(())
    } else {
        Err(Refusal::KeyUnusable)
    }
}

/// The newest signature that is strong enough and not from the future: it alone speaks.
fn newest<'a>(
    signatures: impl Iterator<Item = &'a Signature>,
    now: UnixSeconds,
) -> Option<&'a Signature> {
    let latest = now.0.saturating_add(CLOCK_SLACK_SECONDS);
    signatures
        .filter(|s| is_strong(s) && !has_unknown_demand(s))
        .filter_map(|s| Some((s.created()?, s)))
        .filter(|(created, s)| {
            u64::from(created.as_secs()) <= latest
                && !is_past(*created, s.signature_expiration_time(), now)
        })
        .max_by_key(|(created, _)| *created)
        .map(|(_, signature)| signature)
}

fn is_strong(signature: &Signature) -> bool {
    matches!(
        signature.hash_alg(),
        Some(
            HashAlgorithm::Sha256
                | HashAlgorithm::Sha384
                | HashAlgorithm::Sha512
                | HashAlgorithm::Sha3_256
                | HashAlgorithm::Sha3_512
        )
    )
}

/// RFC 9580 section 5.2.3.7: a critical subpacket or notation we do not know voids the signature.
fn has_unknown_demand(signature: &Signature) -> bool {
    signature.config().is_none_or(|config| {
        config.hashed_subpackets().any(|subpacket| {
            let is_unknown = matches!(
                subpacket.data,
                SubpacketData::Other(..)
                    | SubpacketData::Experimental(..)
                    | SubpacketData::Notation(_)
            );
            subpacket.is_critical && is_unknown
        })
    })
}

/// Whether `start` plus `length` lies at or before `now`; an absent or zero length never ends.
fn is_past(start: Timestamp, length: Option<Duration>, now: UnixSeconds) -> bool {
    let length = length.map_or(0, Duration::as_secs);
    length != 0 && u64::from(start.as_secs()) + u64::from(length) <= now.0
}

/// Whether the signature names this key as its maker, by fingerprint or else by key id.
fn is_issuer(signature: &Signature, key: &impl KeyDetails) -> bool {
    let fingerprints = signature.issuer_fingerprint();
    if fingerprints.is_empty() {
        signature.issuer_key_id().contains(&&key.legacy_key_id())
    } else {
        fingerprints.contains(&&key.fingerprint())
    }
}

/// A name for the maker of a signature, for messages.
fn signer(signature: &Signature) -> String {
    if let Some(fingerprint) = signature.issuer_fingerprint().first() {
        return fingerprint.to_string();
    }
    match signature.issuer_key_id().first() {
        Some(key_id) => key_id.to_string(),
        None => "without a name".to_owned(),
    }
}
