//! The record's leaf: a Rekor v2 `hashedrekord` entry, version 0.0.2, in canonical JSON.
//!
//! The entry commits to the digest of an envelope's PAE, to its signature and to the signer's
//! public key, not to the payload itself.
//!
//! Deliberately absent: certificates as verifiers, and keys other than ECDSA P-256.

use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;

use crate::json::{self, JsonError, Limits};
use crate::shown::shown;
use crate::{Base64Error, Sha256Digest, decode_base64, encode_base64};

/// The kind, as a bundle's `kindVersion` repeats it.
pub(crate) const KIND: &str = "hashedrekord";
/// The version, as a bundle's `kindVersion` repeats it.
pub(crate) const VERSION: &str = "0.0.2";

/// The largest leaf, in bytes: an entry bundle of the record has 16 bits for its length.
pub const LEAF_BYTES_MAX: usize = 65_535;

const LIMITS: Limits = Limits {
    bytes_max: LEAF_BYTES_MAX,
    depth_max: 8,
};
const ALGORITHM: &str = "SHA2_256";
const KEY_DETAILS: &str = "PKIX_ECDSA_P256_SHA_256";

/// What a leaf says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// SHA-256 of the envelope's PAE.
    pub digest: Sha256Digest,
    /// The envelope's signature (DER).
    pub signature: Vec<u8>,
    /// The signer's `SubjectPublicKeyInfo` (DER).
    pub spki_der: Vec<u8>,
}

/// Writes the leaf.
pub fn leaf(pae_digest: &Sha256Digest, signature: &[u8], spki_der: &[u8]) -> Vec<u8> {
    // The keys stand in RFC 8785 order and no value needs an escape, so the text is canonical as
    // it is; `parse` and the tests hold this against `json::canonical`.
    alloc::format!(
        concat!(
            r#"{{"apiVersion":"{}","kind":"{}","spec":{{"hashedRekordV002":{{"#,
            r#""data":{{"algorithm":"{}","digest":"{}"}},"#,
            r#""signature":{{"content":"{}","verifier":{{"keyDetails":"{}","#,
            r#""publicKey":{{"rawBytes":"{}"}}}}}}}}}}}}"#,
        ),
        VERSION,
        KIND,
        ALGORITHM,
        encode_base64(pae_digest.as_bytes()),
        encode_base64(signature),
        KEY_DETAILS,
        encode_base64(spki_der),
    )
    .into_bytes()
}

/// Reads a leaf.
///
/// # Errors
/// [`LeafError`]; bytes that [`leaf`] would not write for the same entry are refused.
pub fn parse(bytes: &[u8]) -> Result<Entry, LeafError> {
    let body: Body = json::parse(bytes, LIMITS)?;
    let data = body.spec.hashed_rekord_v002.data;
    let signature = body.spec.hashed_rekord_v002.signature;
    for (field, expected, found) in [
        ("apiVersion", VERSION, &body.api_version),
        ("kind", KIND, &body.kind),
        ("algorithm", ALGORITHM, &data.algorithm),
        ("keyDetails", KEY_DETAILS, &signature.verifier.key_details),
    ] {
        if found != expected {
            return Err(LeafError::Constant {
                field,
                expected,
                found: found.clone(),
            });
        }
    }
    let decode = |field, text: &str| {
        decode_base64(text).map_err(|reason| LeafError::Base64 { field, reason })
    };
    let digest = decode("digest", &data.digest)?;
    let digest: [u8; 32] =
        digest
            .try_into()
            .map_err(|digest: Vec<u8>| LeafError::DigestLength {
                found: digest.len(),
            })?;
    let entry = Entry {
        digest: Sha256Digest::from_bytes(digest),
        signature: decode("content", &signature.content)?,
        spki_der: decode("rawBytes", &signature.verifier.public_key.raw_bytes)?,
    };
    if leaf(&entry.digest, &entry.signature, &entry.spki_der) != bytes {
        return Err(LeafError::NotCanonical);
    }
    Ok(entry)
}

/// Why bytes are not a leaf.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeafError {
    /// Not the JSON that is wanted.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A field that has only one value has another.
    #[error(
        "record entry has another {field}: expected {expected}, found {}",
        shown(found)
    )]
    Constant {
        /// The field.
        field: &'static str,
        /// Its value.
        expected: &'static str,
        /// The value found.
        found: String,
    },
    /// A field is not base64.
    #[error("record entry field {field}: {reason}")]
    Base64 {
        /// The field.
        field: &'static str,
        /// What is wrong with the text.
        reason: Base64Error,
    },
    /// The digest has another length.
    #[error("record entry digest has the wrong length: expected 32 bytes, found {found}")]
    DigestLength {
        /// The length found, in bytes.
        found: usize,
    },
    /// The content is right but not in canonical form.
    #[error("record entry is not in canonical form")]
    NotCanonical,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Body {
    api_version: String,
    kind: String,
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    #[serde(rename = "hashedRekordV002")]
    hashed_rekord_v002: HashedRekord,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HashedRekord {
    data: Data,
    signature: Signature,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    algorithm: String,
    digest: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    content: String,
    verifier: Verifier,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Verifier {
    key_details: String,
    public_key: PublicKey,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PublicKey {
    raw_bytes: String,
}
