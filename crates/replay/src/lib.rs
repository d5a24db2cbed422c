//! Rebuilds an assembly from its provenance alone, compares, and says what was found.
//!
//! - [`Replayable::from_bundle`] takes everything a rebuild needs out of a bundle: recipe and
//!   lock travel inside the provenance, inputs are named by digest.
//! - [`replay`] fetches the inputs, rebuilds with a cold action cache in fresh sandboxes and
//!   compares bit for bit. Bad news is a result, not an error: [`Verdict::Differs`] and
//!   [`Verdict::CouldNotRebuild`] come back like [`Verdict::Reproduced`].
//! - [`statement`] says the result as a replay verdict v1 (`attestations/replay-verdict-v1.md`),
//!   unsigned.
//!
//! Deliberately absent: signing keys, the record, the question whether the bundle's signature is
//! valid (crate `verify`), normalisers (a rebuild is identical or it is not).

mod compare;
mod environment;
mod error;
mod replayable;
mod run;

pub use counterseal_attestation::replay_verdict::Verdict;
pub use error::ReplayError;
pub use replayable::Replayable;
pub use run::{ReplayOptions, Replayed, replay};

use counterseal_attestation::UnixSeconds;
use counterseal_attestation::replay_verdict::{ReplayVerdict, Replayer};
use counterseal_attestation::statement::{DigestSet, Statement};

/// Who replayed, when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auditor {
    /// URI of the replaying party's installation.
    pub id: String,
    /// Version of the program that replayed.
    pub program_version: String,
    /// When the replay began.
    pub started_on: UnixSeconds,
    /// When it ended.
    pub finished_on: UnixSeconds,
}

/// The unsigned verdict statement; its subjects are those of the replayed provenance.
pub fn statement(
    replayable: &Replayable,
    replayed: &Replayed,
    auditor: &Auditor,
) -> Statement<ReplayVerdict> {
    let verdict = ReplayVerdict {
        verdict: replayed.verdict,
        reason: replayed.reason.clone(),
        provenance: DigestSet::from_sha256(replayable.payload_digest),
        replayer: Replayer {
            id: auditor.id.clone(),
            version: [("counterseal".to_owned(), auditor.program_version.clone())].into(),
        },
        environment: environment::environment(),
        rebuilt: replayed.rebuilt.clone(),
        differences: replayed.differences.clone(),
        started_on: auditor.started_on,
        finished_on: auditor.finished_on,
        isolation: replayed.isolation.clone(),
    };
    Statement::new(replayable.subjects.clone(), verdict)
}
