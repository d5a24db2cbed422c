//! Replay verdicts: whose count, for what, and how often (`attestations/`, replay verdict v1).
//!
//! A verdict counts when a trusted auditor signed it, its seal is whole, it is about this
//! artifact, and it refers to the payload of an accepted provenance. Each auditor counts once,
//! by name, however many verdicts or keys. Bad news outweighs good: an auditor that reported a
//! difference does not count as one that reproduced the artifact, whatever else it reported.
//!
//! Deliberately absent: whether auditors are independent of one another.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use counterseal_attestation::Sha256Digest;
use counterseal_attestation::replay_verdict::{ReplayVerdict, Verdict};
use counterseal_attestation::statement::Statement;
use serde_json::Value;

use crate::checks::Checks;
use crate::codes;
use crate::display::{clean, counted};
use crate::seal::{Sealed, Signer};
use crate::trust::party;
use crate::verdict::{ReplayFinding, SetAside};

/// What became of one replay line.
pub(crate) enum Assessed {
    Finding(ReplayFinding),
    SetAside(SetAside),
}

/// Judges one line whose seal is whole and whose statement says it is a replay verdict.
pub(crate) fn assess(
    sealed: &Sealed<'_>,
    statement: Statement<Value>,
    artifact: Sha256Digest,
    accepted: &BTreeSet<Sha256Digest>,
) -> Assessed {
    let line = sealed.line;
    let set_aside = |reason: String| Assessed::SetAside(SetAside { line, reason });
    let about_this = statement
        .subject
        .iter()
        .any(|subject| subject.digest.sha256() == Some(artifact));
    if !about_this {
        return set_aside("a replay verdict about another artifact".into());
    }
    let (auditor, keyid, stranger) = match &sealed.signer {
        Signer::Auditor(auditor) => (Some(auditor.name.clone()), auditor.key.keyid(), None),
        Signer::Builder(builder) => {
            let reason = format!("'{}' is a builder and cannot audit itself", builder.name);
            (None, builder.key.keyid(), Some(reason))
        }
        Signer::Stranger { keyid } => (
            None,
            keyid.as_str(),
            Some("the trust file does not list this key".into()),
        ),
    };
    let verdict = match statement.typed::<ReplayVerdict>() {
        Ok(statement) => statement.predicate,
        Err(error) => {
            let who = auditor.map_or_else(String::new, |name| format!(" by '{name}'"));
            let why = clean(&error.to_string());
            return set_aside(format!("a replay verdict{who} that cannot be read: {why}"));
        }
    };
    let not_counted_because = stranger.or_else(|| objection(&verdict, artifact, accepted));
    Assessed::Finding(ReplayFinding {
        auditor,
        keyid: keyid.to_string(),
        verdict: verdict.verdict,
        reason: verdict.reason.as_deref().map(clean),
        counted: not_counted_because.is_none(),
        not_counted_because,
        line,
    })
}

/// Adds `replay.quorum` and `replay.verdict`; returns how many auditors reproduced the artifact.
///
/// `accepted`: whether there is provenance that a replay could confirm.
pub(crate) fn conclude(
    checks: &mut Checks,
    findings: &[ReplayFinding],
    required: usize,
    accepted: bool,
) -> usize {
    let parties = by_party(findings);
    let with = |standing: Standing| -> Vec<&str> {
        let of_standing = parties.values().filter(|(_, found)| *found == standing);
        of_standing.map(|(name, _)| *name).collect()
    };
    let (differing, reproduced, unable) = (
        with(Standing::Differs),
        with(Standing::Reproduced),
        with(Standing::Inconclusive),
    );
    check_quorum(checks, reproduced.len(), required, accepted);
    if !differing.is_empty() {
        let detail = format!("different bytes came out for {}", quoted(&differing));
        let hint = "ask the publisher and that auditor before you install this";
        checks.failed(codes::REPLAY_VERDICT, detail, hint);
    } else if !reproduced.is_empty() {
        let others = match unable.as_slice() {
            [] => String::new(),
            unable => format!("; no bit-identical result for {}", quoted(unable)),
        };
        let detail = format!("reproduced bit for bit by {}{others}", quoted(&reproduced));
        checks.passed(codes::REPLAY_VERDICT, detail);
    } else if !unable.is_empty() {
        let detail = format!("no bit-identical result for {}", quoted(&unable));
        checks.not_checked(codes::REPLAY_VERDICT, detail, None);
    } else {
        let detail = "no replay by a trusted auditor found";
        checks.not_checked(codes::REPLAY_VERDICT, detail, None);
    }
    checks.advisory();
    reproduced.len()
}

fn check_quorum(checks: &mut Checks, found: usize, required: usize, accepted: bool) {
    const CODE: &str = codes::REPLAY_QUORUM;
    if required == 0 {
        checks.not_checked(CODE, "the trust file demands no replays", None);
        checks.advisory();
    } else if !accepted {
        // Nothing was found wanting: what the replays would have to be of is missing.
        let detail = format!(
            "the trust file demands {}, but there is no accepted provenance to replay",
            counted(required, "replay")
        );
        checks.not_checked(CODE, detail, None);
    } else if found >= required {
        checks.passed(
            CODE,
            format!(
                "reproduced by {}, {required} demanded",
                counted(found, "auditor")
            ),
        );
    } else {
        let detail = format!(
            "too few auditors reproduced the artifact: expected at least {required}, found {found}"
        );
        let hint = "look for newer evidence: replays are added to it as they are made";
        checks.failed(CODE, detail, hint);
    }
}

/// Where one auditor stands after all its verdicts; the greater one outweighs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// Could not rebuild, or only equivalent after normalisation.
    Inconclusive,
    Reproduced,
    Differs,
}

fn by_party(findings: &[ReplayFinding]) -> BTreeMap<String, (&str, Standing)> {
    let mut parties: BTreeMap<String, (&str, Standing)> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| finding.counted) {
        let Some(name) = finding.auditor.as_deref() else {
            continue;
        };
        let standing = match finding.verdict {
            Verdict::Differs => Standing::Differs,
            Verdict::Reproduced => Standing::Reproduced,
            Verdict::Equivalent | Verdict::CouldNotRebuild => Standing::Inconclusive,
        };
        let entry = parties.entry(party(name)).or_insert((name, standing));
        entry.1 = entry.1.max(standing);
    }
    parties
}

fn objection(
    verdict: &ReplayVerdict,
    artifact: Sha256Digest,
    accepted: &BTreeSet<Sha256Digest>,
) -> Option<String> {
    let replayed = verdict.provenance.sha256();
    if !replayed.is_some_and(|digest| accepted.contains(&digest)) {
        return Some("it replays another provenance than the accepted one".into());
    }
    let rebuilt = || {
        verdict
            .rebuilt
            .iter()
            .any(|subject| subject.digest.sha256() == Some(artifact))
    };
    if verdict.verdict == Verdict::Reproduced && !rebuilt() {
        return Some("it says reproduced, but what it rebuilt is not this artifact".into());
    }
    None
}

fn quoted(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    quoted.join(", ")
}
