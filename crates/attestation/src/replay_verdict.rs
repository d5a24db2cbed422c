//! The replay verdict v1, this project's own predicate: what somebody got who rebuilt an assembly
//! from its provenance. `attestations/replay-verdict-v1.md` is its page.
//!
//! The subjects of the statement are those of the replayed provenance. Unknown fields are ignored;
//! a verdict that contradicts its own evidence is refused.
//!
//! Deliberately absent: normalisers. `equivalent` is defined, and its reason has to name them; a
//! structured list comes with the first program that has any.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::provenance::GuaranteeState;
use crate::statement::{DigestSet, Predicate, Subject};
use crate::{Sha256Digest, UnixSeconds};

/// The predicate type.
pub const PREDICATE_TYPE: &str = "https://counterseal.dev/attestations/replay-verdict/v1";

/// The predicate: the outcome of one replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplayVerdict {
    /// The outcome.
    pub verdict: Verdict,
    /// Why, for people. Required where the outcome alone says too little: see
    /// [`ReplayVerdict::check`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// SHA-256 of the payload of the envelope that was replayed.
    pub provenance: DigestSet,
    /// Who replayed.
    pub replayer: Replayer,
    /// What the replayer says about where it ran, by name (`kernel`, `processor`, …).
    pub environment: BTreeMap<String, String>,
    /// What came out, in the order of the statement's subjects.
    pub rebuilt: Vec<Subject>,
    /// One entry for each subject that came out differently or not at all.
    pub differences: Vec<Difference>,
    /// When the replay began.
    #[serde(with = "crate::time::rfc3339")]
    pub started_on: UnixSeconds,
    /// When the replay ended.
    #[serde(with = "crate::time::rfc3339")]
    pub finished_on: UnixSeconds,
    /// The replay's own isolation manifest; empty if nothing ran.
    pub isolation: BTreeMap<String, GuaranteeState>,
}

impl Predicate for ReplayVerdict {
    const TYPE: &'static str = PREDICATE_TYPE;
}

impl ReplayVerdict {
    /// Checks that outcome and evidence agree. Everything that was read has passed this.
    ///
    /// # Errors
    /// [`Contradiction`].
    pub fn check(&self) -> Result<(), Contradiction> {
        let reason = self
            .reason
            .as_ref()
            .is_some_and(|reason| !reason.is_empty());
        if self.provenance.sha256().is_none() {
            return Err(Contradiction::NoProvenance);
        }
        match self.verdict {
            Verdict::Reproduced if self.rebuilt.is_empty() => Err(Contradiction::NothingRebuilt),
            Verdict::Reproduced if !self.differences.is_empty() => {
                Err(Contradiction::DifferencesInReproduced {
                    found: self.differences.len(),
                })
            }
            Verdict::Equivalent | Verdict::Differs if self.differences.is_empty() => {
                Err(Contradiction::NoDifference {
                    verdict: self.verdict,
                })
            }
            Verdict::Equivalent | Verdict::CouldNotRebuild if !reason => {
                Err(Contradiction::NoReason {
                    verdict: self.verdict,
                })
            }
            _ => Ok(()),
        }
    }
}

/// The outcome of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every subject came out bit for bit.
    Reproduced,
    /// Every subject came out identical after named normalisers.
    Equivalent,
    /// At least one subject came out differently or not at all.
    Differs,
    /// The rebuild did not get to its end, for the reason given.
    CouldNotRebuild,
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Reproduced => "reproduced",
            Self::Equivalent => "equivalent",
            Self::Differs => "differs",
            Self::CouldNotRebuild => "could-not-rebuild",
        })
    }
}

/// Who replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replayer {
    /// A URI that the replayer chose for itself.
    pub id: String,
    /// Versions of the replayer's parts, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub version: BTreeMap<String, String>,
}

/// One subject that came out differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The subject's name.
    pub name: String,
    /// The subject's digest.
    pub expected: Sha256Digest,
    /// What came out; absent if nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Sha256Digest>,
    /// Where the two files part, in bytes from the start: the length of the shorter one if it is
    /// the beginning of the other. Absent if the original file was not at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_difference_bytes_offset: Option<u64>,
}

/// How a verdict contradicts its own evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Contradiction {
    /// `reproduced`, with nothing rebuilt.
    #[error("verdict reproduced lists nothing that was rebuilt")]
    NothingRebuilt,
    /// `reproduced`, with differences.
    #[error("verdict reproduced lists {found} differences")]
    DifferencesInReproduced {
        /// How many.
        found: usize,
    },
    /// `differs` or `equivalent`, without a difference.
    #[error("verdict {verdict} lists no difference")]
    NoDifference {
        /// The verdict.
        verdict: Verdict,
    },
    /// `could-not-rebuild` or `equivalent`, without a reason.
    #[error("verdict {verdict} gives no reason")]
    NoReason {
        /// The verdict.
        verdict: Verdict,
    },
    /// The replayed provenance is not named by SHA-256.
    #[error("verdict does not name the provenance by sha256")]
    NoProvenance,
}

/// The fields as they stand, before the rules across them are checked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Unchecked {
    verdict: Verdict,
    reason: Option<String>,
    provenance: DigestSet,
    replayer: Replayer,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    rebuilt: Vec<Subject>,
    differences: Vec<Difference>,
    #[serde(with = "crate::time::rfc3339")]
    started_on: UnixSeconds,
    #[serde(with = "crate::time::rfc3339")]
    finished_on: UnixSeconds,
    #[serde(default)]
    isolation: BTreeMap<String, GuaranteeState>,
}

impl<'de> Deserialize<'de> for ReplayVerdict {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let found = Unchecked::deserialize(input)?;
        let verdict = Self {
            verdict: found.verdict,
            reason: found.reason,
            provenance: found.provenance,
            replayer: found.replayer,
            environment: found.environment,
            rebuilt: found.rebuilt,
            differences: found.differences,
            started_on: found.started_on,
            finished_on: found.finished_on,
            isolation: found.isolation,
        };
        verdict.check().map_err(D::Error::custom)?;
        Ok(verdict)
    }
}
