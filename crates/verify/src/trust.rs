//! The trust file: whose signatures count, for what, and which records are believed.
//!
//! ```toml
//! format = 1
//! replays-required = 0               # optional: auditors that must have reproduced it
//! expires = "2027-06-30T00:00:00Z"   # optional: after this, no conclusion
//!
//! [[builder]]                        # at least one
//! name = "Example, Zurich assembly"
//! key = """
//! -----BEGIN PUBLIC KEY-----
//! …
//! -----END PUBLIC KEY-----
//! """
//! builder-ids = ["https://builder.example/zurich"]
//! build-types = ["https://counterseal.dev/attestations/assembly/v1"]
//!
//! [[auditor]]                        # any number
//! name = "Auditor A"
//! key = "…"
//!
//! [[record]]                         # at least one
//! key = "zurich.record.example+c74f20a3+…"
//! ```
//!
//! Unknown keys are refused. A key has one role and one owner: the same key twice, or as
//! builder and auditor, is refused, so that nobody counts twice or audits themselves. Two
//! keys under one name are one party (that is how a key is rotated).
//!
//! Deliberately absent: where the file comes from and who vouches for it; validity periods
//! per key, which mean nothing without a trusted time of signing; witnesses.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use counterseal_attestation::UnixSeconds;
use counterseal_tlog::note::VerifierKey;

use crate::display::excerpt;
use crate::public_key::{KeyError, PublicKey};

mod file;

/// Largest trust file, in bytes.
pub const TRUST_BYTES_MAX: usize = 1024 * 1024;
/// Most builders, auditors or records in a trust file, and most ids or types of one builder.
pub const PARTIES_MAX: usize = 64;
/// Longest name, builder id or build type, in bytes.
const TEXT_BYTES_MAX: usize = 512;

/// A trust file that has been checked. It cannot hold a contradiction: see [`Trust::parse`].
#[derive(Clone, Debug)]
pub struct Trust {
    builders: Vec<Builder>,
    auditors: Vec<Auditor>,
    records: Vec<VerifierKey>,
    replays_required: usize,
    expires: Option<UnixSeconds>,
}

/// One key that may sign provenance.
#[derive(Clone, Debug)]
pub struct Builder {
    /// The party, as the trust file's author calls it.
    pub name: String,
    /// Its key.
    pub key: PublicKey,
    /// The values of `runDetails.builder.id` this key may claim.
    pub builder_ids: Vec<String>,
    /// The values of `buildDefinition.buildType` this key may claim.
    pub build_types: Vec<String>,
}

/// One key that may sign replay verdicts.
#[derive(Clone, Debug)]
pub struct Auditor {
    /// The party, as the trust file's author calls it; counted once, however many keys.
    pub name: String,
    /// Its key.
    pub key: PublicKey,
}

impl Trust {
    /// Reads a trust file.
    ///
    /// # Errors
    ///
    /// [`TrustError`] for anything that is not exactly the form above, for missing builders or
    /// records, for a key that appears twice, and for a number of required replays that the
    /// listed auditors cannot reach.
    pub fn parse(toml: &str) -> Result<Self, TrustError> {
        if toml.len() > TRUST_BYTES_MAX {
            return Err(TrustError::TooLarge {
                bytes_max: TRUST_BYTES_MAX,
                found: toml.len(),
            });
        }
        let trust = file::read(toml)?;
        trust.check()?;
        Ok(trust)
    }

    /// Who may sign provenance; never empty.
    pub fn builders(&self) -> &[Builder] {
        &self.builders
    }

    /// Who may sign replay verdicts.
    pub fn auditors(&self) -> &[Auditor] {
        &self.auditors
    }

    /// The records that are believed; never empty.
    pub fn records(&self) -> &[VerifierKey] {
        &self.records
    }

    /// How many auditors must have reproduced an artifact for it to be verified.
    pub fn replays_required(&self) -> usize {
        self.replays_required
    }

    /// The same trust for whoever is about to replay: no replay is demanded, and none decides.
    #[must_use]
    pub fn before_replays(self) -> Self {
        Self {
            replays_required: 0,
            ..self
        }
    }

    /// After this instant the file supports no conclusion.
    pub fn expires(&self) -> Option<UnixSeconds> {
        self.expires
    }

    pub(crate) fn builder_of(&self, spki_der: &[u8]) -> Option<&Builder> {
        self.builders
            .iter()
            .find(|builder| builder.key.spki_der() == spki_der)
    }

    pub(crate) fn auditor_of(&self, spki_der: &[u8]) -> Option<&Auditor> {
        self.auditors
            .iter()
            .find(|auditor| auditor.key.spki_der() == spki_der)
    }

    /// The configured attestation key, of whatever role, that has this keyid.
    pub(crate) fn key_of(&self, keyid: &str) -> Option<&PublicKey> {
        self.attestation_keys()
            .map(|(_, key)| key)
            .find(|key| key.keyid() == keyid)
    }

    fn attestation_keys(&self) -> impl Iterator<Item = (&str, &PublicKey)> {
        let builders = self
            .builders
            .iter()
            .map(|builder| (builder.name.as_str(), &builder.key));
        let auditors = self
            .auditors
            .iter()
            .map(|auditor| (auditor.name.as_str(), &auditor.key));
        builders.chain(auditors)
    }

    fn check(&self) -> Result<(), TrustError> {
        if self.builders.is_empty() {
            return Err(TrustError::Missing { what: "builder" });
        }
        if self.records.is_empty() {
            return Err(TrustError::Missing { what: "record" });
        }
        let mut seen: Vec<(&str, &PublicKey)> = Vec::new();
        for (name, key) in self.attestation_keys() {
            if let Some((first, _)) = seen.iter().find(|(_, other)| *other == key) {
                return Err(TrustError::KeyTwice {
                    keyid: key.keyid().to_string(),
                    first: excerpt(first),
                    second: excerpt(name),
                });
            }
            seen.push((name, key));
        }
        for (index, record) in self.records.iter().enumerate() {
            if self.records[..index]
                .iter()
                .any(|other| other.name() == record.name())
            {
                return Err(TrustError::RecordTwice {
                    origin: excerpt(record.name()),
                });
            }
        }
        let mut parties: Vec<String> = self
            .auditors
            .iter()
            .map(|auditor| party(&auditor.name))
            .collect();
        parties.sort_unstable();
        parties.dedup();
        if self.replays_required > parties.len() {
            return Err(TrustError::TooManyReplays {
                required: self.replays_required,
                auditors: parties.len(),
            });
        }
        Ok(())
    }
}

/// What a party is counted by: its name without regard to case.
pub(crate) fn party(name: &str) -> String {
    name.to_lowercase()
}

/// Why a trust file is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The file is larger than any trust file.
    #[error("trust file is too large: at most {bytes_max} bytes, found {found}")]
    TooLarge {
        /// The bound.
        bytes_max: usize,
        /// The file's size.
        found: usize,
    },
    /// Not TOML, or not these tables: a missing, unknown or mistyped key.
    #[error("trust file, line {line}: {message}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// The parser's words, shortened, and without key material.
        message: String,
    },
    /// A format this version does not know.
    #[error("trust file has an unknown format: expected {expected}, found {found}")]
    Format {
        /// The one known.
        expected: u32,
        /// What the file says.
        found: u32,
    },
    /// Nobody is trusted in a role that a verdict needs.
    #[error("trust file names no {what}: at least one [[{what}]] is needed")]
    Missing {
        /// The role.
        what: &'static str,
    },
    /// More entries than are read.
    #[error("trust file has too many [[{what}]] entries: at most {max}, found {found}")]
    TooMany {
        /// The role.
        what: &'static str,
        /// The bound.
        max: usize,
        /// How many there are.
        found: usize,
    },
    /// A name, id or type that is empty, too long, or not plain text.
    #[error(
        "trust file, [[{what}]] number {number}: {field} must be 1 to {max} bytes of text, without \
         control characters and without white space around it"
    )]
    Text {
        /// The role.
        what: &'static str,
        /// Counted from 1.
        number: usize,
        /// The key in the table.
        field: &'static str,
        /// The bound.
        max: usize,
    },
    /// A list of ids or types that is empty or too long.
    #[error("trust file, [[{what}]] number {number}: {field} must list 1 to {max}, found {found}")]
    List {
        /// The role.
        what: &'static str,
        /// Counted from 1.
        number: usize,
        /// The key in the table.
        field: &'static str,
        /// The bound.
        max: usize,
        /// How many there are.
        found: usize,
    },
    /// A key that cannot be read.
    #[error("trust file, [[{what}]] number {number}: the key is unusable: {reason}")]
    Key {
        /// The role.
        what: &'static str,
        /// Counted from 1.
        number: usize,
        /// What is wrong with it.
        reason: KeyError,
    },
    /// The same key in two entries.
    #[error(
        "trust file lists key sha256:{keyid} twice, for '{first}' and for '{second}': a key has \
         one owner and one role"
    )]
    KeyTwice {
        /// The key.
        keyid: String,
        /// The name it appears under first.
        first: String,
        /// The name it appears under again.
        second: String,
    },
    /// Two keys for one record.
    #[error("trust file lists record {origin} twice")]
    RecordTwice {
        /// The record.
        origin: String,
    },
    /// An instant not in the one accepted form.
    #[error("trust file: expires must look like 2027-06-30T00:00:00Z")]
    Expires,
    /// A quorum that cannot be reached.
    #[error(
        "trust file demands {required} replays, but names {auditors} auditors: each counts once"
    )]
    TooManyReplays {
        /// `replays-required`.
        required: usize,
        /// Distinct auditors listed.
        auditors: usize,
    },
}
