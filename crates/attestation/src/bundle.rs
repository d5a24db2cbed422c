//! The Sigstore bundle v0.3 with a public key and exactly one DSSE signature, and files of several
//! bundles (`NAME.sigstore.jsonl`, JSON Lines).
//!
//! Reading is stricter than protobuf's JSON mapping: unknown fields, `null`, omitted defaults and
//! base64 other than the padded standard form are refused; 64-bit integers are decimal strings
//! without leading zeros.
//!
//! Deliberately absent: certificates, inclusion promises, RFC 3161 timestamps, message signatures,
//! more than one log entry. A bundle that carries one is refused, not read without it.

use alloc::string::String;
use alloc::vec::Vec;

use crate::dsse::Envelope;
use crate::json::{self, JsonError, Limits};
use crate::shown::shown;
use crate::{Base64Error, hashedrekord};

mod wire;

/// The media type of a bundle.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// What an artifact's evidence is called: the artifact's name with this appended.
pub const EVIDENCE_SUFFIX: &str = ".sigstore.jsonl";

/// The largest file of bundles, in bytes.
pub const FILE_BYTES_MAX: usize = 64 << 20;
/// The largest bundle, in bytes.
pub const LINE_BYTES_MAX: usize = 8 << 20;
/// How many bundles a file may hold.
pub const LINES_MAX: usize = 1024;
/// The longest inclusion proof, in hashes.
pub const PROOF_HASHES_MAX: usize = 63;
/// The longest checkpoint, in bytes.
pub const CHECKPOINT_BYTES_MAX: usize = 65_536;
/// The longest key hint, in bytes.
pub const HINT_BYTES_MAX: usize = 256;

const LIMITS: Limits = Limits {
    bytes_max: LINE_BYTES_MAX,
    depth_max: 16,
};

/// An envelope with the evidence about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The record's receipt; absent as long as the envelope is not recorded.
    pub entry: Option<LogEntry>,
    /// The signed statement. The bundle's public key hint repeats its `keyid`.
    pub envelope: Envelope,
}

/// A log's receipt for an entry (Sigstore's `TransparencyLogEntry`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The entry's position, counted from 0. The proof repeats it.
    pub log_index: u64,
    /// SHA-256 of name, line feed, 0x01 and public key of the log.
    pub log_id: [u8; 32],
    /// The proof that the entry is in the log.
    pub proof: InclusionProof,
    /// The leaf, exactly as it was hashed.
    pub canonicalized_body: Vec<u8>,
}

/// A Merkle inclusion proof (RFC 6962) with the checkpoint it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// Number of leaves of the tree.
    pub tree_size: u64,
    /// Root of the tree.
    pub root_hash: [u8; 32],
    /// The path, from the leaf upwards; at most [`PROOF_HASHES_MAX`].
    pub hashes: Vec<[u8; 32]>,
    /// The signed note.
    pub checkpoint: String,
}

impl Bundle {
    /// Reads one bundle.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        json::parse::<wire::Bundle>(bytes, LIMITS)?.check()
    }

    /// Writes the bundle as one line of canonical JSON, without the line feed.
    pub fn to_line(&self) -> String {
        wire::Bundle::from(self).to_line()
    }
}

/// Splits a file into its bundles: one a line, blank lines skipped, the last line feed optional,
/// carriage returns before a line feed tolerated.
///
/// # Errors
/// [`BundleError::FileTooLarge`], [`BundleError::LineTooLarge`], [`BundleError::TooManyLines`].
/// An empty file is no error here: it is an empty list.
pub fn split_lines(file: &[u8]) -> Result<Vec<&[u8]>, BundleError> {
    let lines = numbered_lines(file)?;
    Ok(lines.into_iter().map(|(_, line)| line).collect())
}

/// [`split_lines`], each with its number, counted from 1, blank lines included.
///
/// # Errors
/// As [`split_lines`].
pub fn numbered_lines(file: &[u8]) -> Result<Vec<(usize, &[u8])>, BundleError> {
    if file.len() > FILE_BYTES_MAX {
        return Err(BundleError::FileTooLarge {
            found_bytes: file.len(),
        });
    }
    let mut lines = Vec::new();
    for (index, line) in file.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        if line.len() > LINE_BYTES_MAX {
            return Err(BundleError::LineTooLarge {
                line: index + 1,
                found_bytes: line.len(),
            });
        }
        if lines.len() == LINES_MAX {
            return Err(BundleError::TooManyLines);
        }
        lines.push((index + 1, line));
    }
    Ok(lines)
}

/// Why bytes are not a bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// Not the JSON that is wanted.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The file is too large.
    #[error(
        "evidence file is too large: at most {FILE_BYTES_MAX} bytes are read, found {found_bytes}"
    )]
    FileTooLarge {
        /// The length found, in bytes.
        found_bytes: usize,
    },
    /// A line is too large.
    #[error(
        "evidence line {line} is too large: at most {LINE_BYTES_MAX} bytes are read, \
         found {found_bytes}"
    )]
    LineTooLarge {
        /// Counted from 1.
        line: usize,
        /// The length found, in bytes.
        found_bytes: usize,
    },
    /// The file holds too many bundles.
    #[error("evidence file holds too many bundles: at most {LINES_MAX} are read")]
    TooManyLines,
    /// The bundle is of another kind or version.
    #[error(
        "bundle media type is not acceptable: expected {MEDIA_TYPE}, found {}",
        shown(found)
    )]
    MediaType {
        /// The media type found.
        found: String,
    },
    /// The envelope does not have exactly one signature.
    #[error("envelope has {found} signatures: expected exactly 1")]
    Signatures {
        /// How many.
        found: usize,
    },
    /// The bundle has more than one log entry.
    #[error("bundle has {found} log entries: expected at most 1")]
    LogEntries {
        /// How many.
        found: usize,
    },
    /// The entry is of a kind that is not read.
    #[error(
        "log entry kind is not acceptable: expected {}/{}, found {}/{}",
        hashedrekord::KIND,
        hashedrekord::VERSION,
        shown(kind),
        shown(version)
    )]
    KindVersion {
        /// The kind found.
        kind: String,
        /// The version found.
        version: String,
    },
    /// The entry claims a time of integration, which nothing in it proves.
    #[error("log entry claims an integrated time: expected 0, found {found}")]
    IntegratedTime {
        /// The time found, in seconds since 1970.
        found: u64,
    },
    /// The entry and its proof name different positions.
    #[error("log index does not match: the entry says {entry}, its proof says {proof}")]
    LogIndex {
        /// The entry's index.
        entry: u64,
        /// The proof's index.
        proof: u64,
    },
    /// The hint is not the envelope's `keyid`.
    #[error(
        "public key hint does not match the envelope's key id: hint {}, key id {}",
        shown(hint),
        shown(keyid)
    )]
    Hint {
        /// The bundle's hint.
        hint: String,
        /// The envelope's key id.
        keyid: String,
    },
    /// The hint is empty or too long.
    #[error("public key hint has {found_bytes} bytes: expected 1 to {HINT_BYTES_MAX}")]
    HintLength {
        /// The length found, in bytes.
        found_bytes: usize,
    },
    /// The proof has too many hashes.
    #[error(
        "inclusion proof is too long: at most {PROOF_HASHES_MAX} hashes are read, found {found}"
    )]
    ProofTooLong {
        /// How many.
        found: usize,
    },
    /// The checkpoint is too long.
    #[error(
        "checkpoint is too long: at most {CHECKPOINT_BYTES_MAX} bytes are read, found {found_bytes}"
    )]
    CheckpointTooLong {
        /// The length found, in bytes.
        found_bytes: usize,
    },
    /// A field is not base64.
    #[error("bundle field {field}: {reason}")]
    Base64 {
        /// The field.
        field: &'static str,
        /// What is wrong with the text.
        reason: Base64Error,
    },
    /// A hash or identifier does not have 32 bytes.
    #[error("bundle field {field} has the wrong length: expected 32 bytes, found {found}")]
    HashLength {
        /// The field.
        field: &'static str,
        /// The length found, in bytes.
        found: usize,
    },
    /// A 64-bit integer is not in decimal without sign and leading zeros, or above 2^63 - 1.
    #[error(
        "bundle field {field} is not a decimal integer: found {}",
        shown(found)
    )]
    Integer {
        /// The field.
        field: &'static str,
        /// The text found.
        found: String,
    },
}
