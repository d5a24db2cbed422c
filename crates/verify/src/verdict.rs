//! What the verifier says, as data: every check with its state, what was found out about the
//! product, who replayed it, and what was set aside. Serialises to the stable part of the
//! command line's JSON document (names in camelCase, codes and states in kebab-case).
//! Deliberately absent: text layout, exit codes of other failures than a verdict.

use alloc::string::String;
use alloc::vec::Vec;

use counterseal_attestation::{Sha256Digest, replay_verdict};
use serde::Serialize;

/// The verdict over one artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// What follows from the checks: see [`Outcome`].
    pub outcome: Outcome,
    /// The artifact that was asked about.
    pub artifact: Artifact,
    /// What the accepted or best provenance says; present as soon as a trusted builder's
    /// signature on it holds, also when another check fails.
    pub product: Option<Product>,
    /// Every check, in the order of [`codes::ALL`](crate::codes::ALL) for the deciding
    /// provenance, then those of further lines.
    pub checks: Vec<Check>,
    /// Replay verdicts about this artifact, in the order of the evidence.
    pub replays: Vec<ReplayFinding>,
    /// Distinct trusted auditors that reproduced the artifact bit for bit and never reported
    /// a difference.
    pub reproduced_by: usize,
    /// Lines of the evidence that neither helped nor harmed, each with the reason.
    pub set_aside: Vec<SetAside>,
}

impl Verdict {
    /// The first check with this code, which is the deciding provenance's where there is one.
    pub fn check(&self, code: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.code == code)
    }

    /// The checks that stand in the way of [`Outcome::Verified`].
    pub fn obstacles(&self) -> impl Iterator<Item = &Check> {
        self.checks
            .iter()
            .filter(|check| check.required && check.state != State::Passed)
    }
}

/// What follows from the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outcome {
    /// Every required check passed.
    Verified,
    /// A required check failed.
    Failed,
    /// No required check failed, but not all could be made.
    NoConclusion,
    /// What was given as evidence is not evidence.
    Unreadable,
}

impl Outcome {
    /// The exit code: 0 verified, 1 failed, 2 unreadable, 3 no conclusion.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Verified => 0,
            Self::Failed => 1,
            Self::Unreadable => 2,
            Self::NoConclusion => 3,
        }
    }
}

/// The artifact that was asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Its file name, if the caller gave one; never compared.
    pub name: Option<String>,
    /// Its digest, the only thing that is compared.
    pub sha256: Sha256Digest,
}

/// What a signed provenance says about its product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Product {
    /// Product name.
    pub name: String,
    /// Product version.
    pub version: String,
    /// The trust file's name for the signer.
    pub builder: String,
    /// `runDetails.builder.id`.
    pub builder_id: String,
    /// RFC 3339; the builder's word, not a trusted time.
    pub finished_on: String,
    /// How many inputs the provenance lists by digest, without recipe and lock.
    pub inputs: usize,
    /// SHA-256 of the signed payload; replay verdicts refer to it.
    pub provenance_sha256: Sha256Digest,
    /// The record that lists it, if its origin is known.
    pub record: Option<String>,
    /// Where it stands in that record.
    pub log_index: Option<u64>,
    /// Line of the evidence, counted from 1.
    pub line: usize,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Stable code: see [`codes`](crate::codes).
    pub code: &'static str,
    /// How it went.
    pub state: State,
    /// Whether the outcome depends on it.
    pub required: bool,
    /// Line of the evidence it is about, counted from 1.
    pub line: Option<usize>,
    /// What was found, in one sentence without a full stop; safe to print.
    pub detail: String,
    /// What to do next.
    pub hint: Option<String>,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Made, and it holds.
    Passed,
    /// Made, and it does not hold.
    Failed,
    /// Not made, because something it needs is missing or did not hold.
    NotChecked,
}

/// One replay verdict about the artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplayFinding {
    /// The trust file's name for the signer; nothing for a stranger.
    pub auditor: Option<String>,
    /// Keyid of the signer.
    pub keyid: String,
    /// What came out.
    pub verdict: replay_verdict::Verdict,
    /// The auditor's reason, if one is given; safe to print.
    pub reason: Option<String>,
    /// Whether it counts: signed by a trusted auditor and about this very assembly.
    pub counted: bool,
    /// Why it does not count, when it does not.
    pub not_counted_because: Option<String>,
    /// Line of the evidence, counted from 1.
    pub line: usize,
}

/// A line that neither helped nor harmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SetAside {
    /// Line of the evidence, counted from 1.
    pub line: usize,
    /// Why; safe to print.
    pub reason: String,
}

/// What the checks amount to. `Unreadable` is decided before there are checks to weigh.
pub(crate) fn outcome_of(checks: &[Check]) -> Outcome {
    let required = || checks.iter().filter(|check| check.required);
    if required().any(|check| check.state == State::Failed) {
        Outcome::Failed
    } else if required().all(|check| check.state == State::Passed) && required().count() > 0 {
        Outcome::Verified
    } else {
        Outcome::NoConclusion
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn check(state: State, required: bool) -> Check {
        Check {
            code: "x.y",
            state,
            required,
            line: None,
            detail: String::new(),
            hint: None,
        }
    }

    #[test]
    fn nothing_checked_is_no_conclusion() {
        assert_eq!(outcome_of(&[]), Outcome::NoConclusion);
        assert_eq!(
            outcome_of(&[check(State::Passed, false)]),
            Outcome::NoConclusion
        );
    }

    #[test]
    fn one_failure_outweighs_everything() {
        use State::{Failed, NotChecked, Passed};
        let passed = check(Passed, true);
        for (other, outcome) in [
            (check(Passed, true), Outcome::Verified),
            (check(Failed, true), Outcome::Failed),
            (check(NotChecked, true), Outcome::NoConclusion),
            (check(Failed, false), Outcome::Verified),
            (check(NotChecked, false), Outcome::Verified),
        ] {
            assert_eq!(outcome_of(&[passed.clone(), other.clone()]), outcome);
            assert_eq!(outcome_of(&[other, passed.clone()]), outcome);
        }
        let both = vec![check(NotChecked, true), check(Failed, true)];
        assert_eq!(outcome_of(&both), Outcome::Failed);
    }
}
