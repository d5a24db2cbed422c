//! The bundle's JSON field by field (protobuf JSON mapping of `dev.sigstore.bundle.v1`), and the
//! way between it and the types of the parent module.
//!
//! Deliberately absent: every field that the parent module does not read.

use alloc::borrow::ToOwned as _;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{
    BundleError, CHECKPOINT_BYTES_MAX, HINT_BYTES_MAX, InclusionProof, LogEntry, MEDIA_TYPE,
    PROOF_HASHES_MAX,
};
use crate::dsse::Envelope;
use crate::{decode_base64, encode_base64, hashedrekord, json};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Bundle {
    media_type: String,
    verification_material: Material,
    dsse_envelope: WireEnvelope,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Material {
    public_key: PublicKeyIdentifier,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tlog_entries: Vec<TlogEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublicKeyIdentifier {
    hint: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WireEnvelope {
    payload: String,
    payload_type: String,
    signatures: Vec<WireSignature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSignature {
    sig: String,
    keyid: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TlogEntry {
    log_index: String,
    log_id: LogId,
    kind_version: KindVersion,
    integrated_time: String,
    inclusion_proof: WireProof,
    canonicalized_body: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LogId {
    key_id: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KindVersion {
    kind: String,
    version: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WireProof {
    log_index: String,
    root_hash: String,
    tree_size: String,
    hashes: Vec<String>,
    checkpoint: WireCheckpoint,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireCheckpoint {
    envelope: String,
}

impl Bundle {
    pub(super) fn to_line(&self) -> String {
        // Strings, arrays and objects of fixed depth always have a canonical form, and it is UTF-8.
        let bytes = json::canonical(self).expect("strings in fixed depth are canonical");
        String::from_utf8(bytes).expect("canonical json is utf-8")
    }

    pub(super) fn check(self) -> Result<super::Bundle, BundleError> {
        if self.media_type != MEDIA_TYPE {
            return Err(BundleError::MediaType {
                found: self.media_type,
            });
        }
        let envelope = self.dsse_envelope.check()?;
        let hint = self.verification_material.public_key.hint;
        if !(1..=HINT_BYTES_MAX).contains(&hint.len()) {
            return Err(BundleError::HintLength {
                found_bytes: hint.len(),
            });
        }
        if hint != envelope.keyid {
            return Err(BundleError::Hint {
                hint,
                keyid: envelope.keyid,
            });
        }
        let entries = self.verification_material.tlog_entries;
        if entries.len() > 1 {
            return Err(BundleError::LogEntries {
                found: entries.len(),
            });
        }
        let entry = entries
            .into_iter()
            .next()
            .map(TlogEntry::check)
            .transpose()?;
        Ok(super::Bundle { entry, envelope })
    }
}

impl From<&super::Bundle> for Bundle {
    fn from(bundle: &super::Bundle) -> Self {
        Self {
            media_type: MEDIA_TYPE.to_owned(),
            verification_material: Material {
                public_key: PublicKeyIdentifier {
                    hint: bundle.envelope.keyid.clone(),
                },
                tlog_entries: bundle.entry.iter().map(TlogEntry::from).collect(),
            },
            dsse_envelope: WireEnvelope {
                payload: encode_base64(&bundle.envelope.payload),
                payload_type: bundle.envelope.payload_type.clone(),
                signatures: vec![WireSignature {
                    sig: encode_base64(&bundle.envelope.signature),
                    keyid: bundle.envelope.keyid.clone(),
                }],
            },
        }
    }
}

impl WireEnvelope {
    fn check(mut self) -> Result<Envelope, BundleError> {
        let found = self.signatures.len();
        let (1, Some(signature)) = (found, self.signatures.pop()) else {
            return Err(BundleError::Signatures { found });
        };
        Ok(Envelope {
            payload_type: self.payload_type,
            payload: bytes("payload", &self.payload)?,
            signature: bytes("sig", &signature.sig)?,
            keyid: signature.keyid,
        })
    }
}

impl TlogEntry {
    fn check(self) -> Result<LogEntry, BundleError> {
        let KindVersion { kind, version } = self.kind_version;
        if kind != hashedrekord::KIND || version != hashedrekord::VERSION {
            return Err(BundleError::KindVersion { kind, version });
        }
        let integrated_time = integer("integratedTime", self.integrated_time)?;
        if integrated_time != 0 {
            return Err(BundleError::IntegratedTime {
                found: integrated_time,
            });
        }
        let log_index = integer("logIndex", self.log_index)?;
        let (proof_index, proof) = self.inclusion_proof.check()?;
        if log_index != proof_index {
            return Err(BundleError::LogIndex {
                entry: log_index,
                proof: proof_index,
            });
        }
        Ok(LogEntry {
            log_index,
            log_id: hash("keyId", &self.log_id.key_id)?,
            proof,
            canonicalized_body: bytes("canonicalizedBody", &self.canonicalized_body)?,
        })
    }
}

impl From<&LogEntry> for TlogEntry {
    fn from(entry: &LogEntry) -> Self {
        Self {
            log_index: entry.log_index.to_string(),
            log_id: LogId {
                key_id: encode_base64(&entry.log_id),
            },
            kind_version: KindVersion {
                kind: hashedrekord::KIND.to_owned(),
                version: hashedrekord::VERSION.to_owned(),
            },
            integrated_time: "0".to_owned(),
            inclusion_proof: WireProof::new(entry.log_index, &entry.proof),
            canonicalized_body: encode_base64(&entry.canonicalized_body),
        }
    }
}

impl WireProof {
    /// The position and the rest.
    fn check(self) -> Result<(u64, InclusionProof), BundleError> {
        if self.hashes.len() > PROOF_HASHES_MAX {
            return Err(BundleError::ProofTooLong {
                found: self.hashes.len(),
            });
        }
        let checkpoint = self.checkpoint.envelope;
        if checkpoint.len() > CHECKPOINT_BYTES_MAX {
            return Err(BundleError::CheckpointTooLong {
                found_bytes: checkpoint.len(),
            });
        }
        let log_index = integer("inclusionProof.logIndex", self.log_index)?;
        let proof = InclusionProof {
            tree_size: integer("treeSize", self.tree_size)?,
            root_hash: hash("rootHash", &self.root_hash)?,
            hashes: self
                .hashes
                .iter()
                .map(|text| hash("hashes", text))
                .collect::<Result<_, _>>()?,
            checkpoint,
        };
        Ok((log_index, proof))
    }

    fn new(log_index: u64, proof: &InclusionProof) -> Self {
        Self {
            log_index: log_index.to_string(),
            root_hash: encode_base64(&proof.root_hash),
            tree_size: proof.tree_size.to_string(),
            hashes: proof
                .hashes
                .iter()
                .map(|hash| encode_base64(hash))
                .collect(),
            checkpoint: WireCheckpoint {
                envelope: proof.checkpoint.clone(),
            },
        }
    }
}

fn bytes(field: &'static str, text: &str) -> Result<Vec<u8>, BundleError> {
    decode_base64(text).map_err(|reason| BundleError::Base64 { field, reason })
}

fn hash(field: &'static str, text: &str) -> Result<[u8; 32], BundleError> {
    bytes(field, text)?
        .try_into()
        .map_err(|found: Vec<u8>| BundleError::HashLength {
            field,
            found: found.len(),
        })
}

/// Protobuf's int64 as a string; the sign bit is not used by any field here.
fn integer(field: &'static str, text: String) -> Result<u64, BundleError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = digits && (text == "0" || !text.starts_with('0'));
    match text.parse::<u64>() {
        Ok(value) if canonical && i64::try_from(value).is_ok() => Ok(value),
        _ => Err(BundleError::Integer { field, found: text }),
    }
}
