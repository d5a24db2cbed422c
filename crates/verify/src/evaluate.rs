//! The order of things: read the lines, check each seal, find the provenance that decides, count
//! the replays, conclude. The rules are in the crate's documentation.
//! Deliberately absent: the checks themselves, which are made in the modules this one calls.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use counterseal_attestation::statement::Statement;
use counterseal_attestation::{Sha256Digest, UnixSeconds, provenance as slsa, replay_verdict};
use counterseal_tlog::NodeHash;
use serde_json::Value;

use crate::checks::Checks;
use crate::codes;
use crate::display::{clean, counted};
use crate::lines::{self, Content, Line};
use crate::provenance::{self, Candidate};
use crate::provider::CryptoProvider;
use crate::replays::{self, Assessed};
use crate::seal::{Sealed, Sealer};
use crate::trust::Trust;
use crate::verdict::{Artifact, Outcome, ReplayFinding, SetAside, State, Verdict, outcome_of};

const HINT_NO_EVIDENCE: &str =
    "evidence is named like the file with .sigstore.jsonl appended: fetch it from the publisher";
const HINT_DAMAGED: &str = "the evidence was damaged or altered, or something was added that is no \
                            evidence: fetch it again from the publisher";

/// Everything a verdict depends on.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The content of the `.sigstore.jsonl` file; empty when there is none.
    pub evidence: &'a [u8],
    /// SHA-256 of the artifact.
    pub artifact: Sha256Digest,
    /// The artifact's file name, for messages; it is never compared with anything.
    pub artifact_name: Option<&'a str>,
    /// Whose signatures count.
    pub trust: &'a Trust,
    /// The time to judge by.
    pub now: UnixSeconds,
}

/// Judges one artifact by its evidence.
///
/// Costs one P-256 check a bundle and one Ed25519 check a distinct checkpoint; bounded by the
/// limits of the format (64 MiB, 1024 lines). Never fails: what cannot be read is a verdict too.
pub fn verify(request: &Request<'_>, provider: &dyn CryptoProvider) -> Verdict {
    let artifact = Artifact {
        name: request.artifact_name.map(clean),
        sha256: request.artifact,
    };
    let mut general = Checks::default();
    check_trust(&mut general, request.trust, request.now);
    let lines = match lines::read(request.evidence) {
        Ok(lines) => lines,
        Err(error) => return unreadable(general, artifact, &error.to_string()),
    };
    let mut findings = sort_lines(&lines, request, &artifact, provider);
    let deciding = findings.take_deciding();
    let damaged = !findings.damage.is_empty();
    check_evidence(&mut general, lines.len(), deciding.is_some() || damaged);
    check_consistency(&mut general, &findings.sealed);
    let (replays, reproduced_by) =
        count_replays(&mut general, &mut findings, deciding.as_ref(), request);
    findings.dismiss_others();

    let mut checks = general;
    let mut product = None;
    if let Some(deciding) = deciding {
        checks.append(deciding.checks);
        product = deciding.product;
    } else if let Some(mut damage) = findings.take_damage() {
        damage.complete(&codes::OF_PROVENANCE);
        checks.append(damage);
    }
    for checks in &mut findings.damage {
        checks.keep_failed();
    }
    let mut checks = checks.into_list();
    checks.sort_by_key(|check| codes::ALL.iter().position(|code| *code == check.code));
    checks.extend(findings.damage.into_iter().flat_map(Checks::into_list));
    findings.set_aside.sort_by_key(|line| line.line);
    Verdict {
        outcome: outcome_of(&checks),
        artifact,
        product,
        checks,
        replays,
        reproduced_by,
        set_aside: findings.set_aside,
    }
}

/// The lines of the evidence, sorted by what they are good for.
#[derive(Default)]
struct Findings<'a> {
    /// Every line that is a bundle.
    sealed: Vec<Sealed<'a>>,
    /// What claims to be provenance, damaged or not.
    candidates: Vec<Candidate>,
    /// Whole lines that say they are replay verdicts: index into `sealed`, statement.
    replays: Vec<(usize, Statement<Value>)>,
    /// Failed checks of lines that are damaged and no candidates.
    damage: Vec<Checks>,
    set_aside: Vec<SetAside>,
}

fn sort_lines<'a>(
    lines: &'a [Line],
    request: &Request<'a>,
    artifact: &Artifact,
    provider: &'a dyn CryptoProvider,
) -> Findings<'a> {
    let mut findings = Findings::default();
    let mut seals = Sealer::new(request.trust, provider);
    for Line { number, content } in lines {
        match content {
            Content::Bundle(bundle) => {
                let sealed = seals.seal(*number, bundle);
                findings.sort_bundle(sealed, artifact, request.now);
            }
            Content::Other(reason) => findings.set_aside(*number, reason.clone()),
            Content::Damaged(reason) => {
                let mut checks = Checks::about_line(*number);
                checks.failed(codes::ENVELOPE_PARSE, reason.clone(), HINT_DAMAGED);
                findings.damage.push(checks);
            }
        }
    }
    findings
}

impl<'a> Findings<'a> {
    fn set_aside(&mut self, line: usize, reason: impl Into<String>) {
        self.set_aside.push(SetAside {
            line,
            reason: reason.into(),
        });
    }

    fn sort_bundle(&mut self, sealed: Sealed<'a>, artifact: &Artifact, now: UnixSeconds) {
        match sealed.checks.state(codes::SIGNATURE_VALID) {
            Some(State::Passed) => self.sort_signed(&sealed, artifact, now),
            // Signed by who knows whom: it is nobody's statement, but may be all there is.
            Some(State::NotChecked) if !sealed.is_damaged() => {
                self.candidates.push(provenance::unattributed(&sealed));
            }
            _ => self.damage.push(sealed.checks.clone()),
        }
        self.sealed.push(sealed);
    }

    fn sort_signed(&mut self, sealed: &Sealed<'a>, artifact: &Artifact, now: UnixSeconds) {
        let index = self.sealed.len();
        let line = sealed.line;
        let statement = match provenance::read_statement(sealed) {
            Ok(statement) => statement,
            Err(reason) if sealed.is_damaged() || sealed.is_trusted() => {
                let mut checks = sealed.checks.clone();
                checks.failed(codes::STATEMENT_PARSE, reason, "ask the publisher");
                return self.damage.push(checks);
            }
            Err(reason) => return self.set_aside(line, reason),
        };
        match statement.predicate_type.as_str() {
            slsa::PREDICATE_TYPE => {
                self.candidates
                    .push(provenance::examine(sealed, statement, artifact, now));
            }
            _ if sealed.is_damaged() => self.damage.push(sealed.checks.clone()),
            replay_verdict::PREDICATE_TYPE => self.replays.push((index, statement)),
            other => {
                let reason = format!("not used here: predicate type {}", clean(other));
                self.set_aside(line, reason);
            }
        }
    }

    /// Removes and returns the provenance that decides; the first of equals.
    fn take_deciding(&mut self) -> Option<Candidate> {
        // Of equals, `max_by_key` takes the last.
        let best = (0..self.candidates.len())
            .rev()
            .max_by_key(|index| self.candidates[*index].rank())?;
        Some(self.candidates.remove(best))
    }

    /// Lists the provenance that does not decide; where it is damaged, its failures count.
    fn dismiss_others(&mut self) {
        for other in core::mem::take(&mut self.candidates) {
            if other.damaged {
                self.damage.push(other.checks);
            } else {
                let reason = match other.checks.first_failed() {
                    Some(check) => format!("provenance that does not apply: {}", check.detail),
                    None => "further provenance of the same artifact".to_string(),
                };
                self.set_aside(other.line, reason);
            }
        }
    }

    /// The first damaged line: with no provenance at all it is shown in full.
    fn take_damage(&mut self) -> Option<Checks> {
        (!self.damage.is_empty()).then(|| self.damage.remove(0))
    }
}

fn count_replays(
    general: &mut Checks,
    findings: &mut Findings<'_>,
    deciding: Option<&Candidate>,
    request: &Request<'_>,
) -> (Vec<ReplayFinding>, usize) {
    // Only provenance that passes everything can be what a replay confirms.
    let accepted: BTreeSet<Sha256Digest> = deciding
        .into_iter()
        .chain(&findings.candidates)
        .filter(|candidate| candidate.checks.all_passed())
        .map(|candidate| candidate.payload_sha256)
        .collect();
    let mut replays = Vec::new();
    for (index, statement) in core::mem::take(&mut findings.replays) {
        match replays::assess(
            &findings.sealed[index],
            statement,
            request.artifact,
            &accepted,
        ) {
            Assessed::Finding(finding) => replays.push(finding),
            Assessed::SetAside(line) => findings.set_aside.push(line),
        }
    }
    let required = request.trust.replays_required();
    let count = replays::conclude(general, &replays, required, !accepted.is_empty());
    (replays, count)
}

fn check_trust(checks: &mut Checks, trust: &Trust, now: UnixSeconds) {
    const CODE: &str = codes::TRUST_FRESH;
    match trust.expires() {
        None => checks.passed(CODE, "the trust file states no expiry"),
        Some(expires) if now <= expires => {
            checks.passed(CODE, format!("the trust file expires on {expires}"));
        }
        Some(expires) => {
            let detail = format!("the trust file expired on {expires}, it is {now}");
            let hint = "obtain the current trust file from where you got this one";
            checks.not_checked(CODE, detail, Some(hint));
        }
    }
}

fn check_evidence(checks: &mut Checks, lines: usize, deciding: bool) {
    checks.passed(codes::EVIDENCE_READABLE, counted(lines, "line"));
    if deciding {
        checks.passed(
            codes::EVIDENCE_PRESENT,
            "there is evidence for this artifact to judge",
        );
    } else if lines == 0 {
        let detail = "there is no evidence";
        checks.not_checked(codes::EVIDENCE_PRESENT, detail, Some(HINT_NO_EVIDENCE));
    } else {
        let detail = "the evidence holds no provenance";
        checks.not_checked(codes::EVIDENCE_PRESENT, detail, Some(HINT_NO_EVIDENCE));
    }
}

/// Two checkpoints of one size and different roots, both signed, prove that the record showed
/// different trees to different people.
fn check_consistency(checks: &mut Checks, sealed: &[Sealed<'_>]) {
    const CODE: &str = codes::RECORD_CONSISTENT;
    let mut signed: BTreeMap<(&str, u64), &NodeHash> = BTreeMap::new();
    for checkpoint in sealed
        .iter()
        .filter_map(|sealed| sealed.checkpoint.as_ref())
    {
        let key = (checkpoint.origin.as_str(), checkpoint.size);
        if signed
            .insert(key, &checkpoint.root)
            .is_some_and(|other| *other != checkpoint.root)
        {
            let detail = format!(
                "{} signed two different trees of size {}",
                clean(&checkpoint.origin),
                checkpoint.size
            );
            let hint = "keep this evidence: it proves that the record contradicts itself";
            return checks.failed(CODE, detail, hint);
        }
    }
    if signed.is_empty() {
        checks.not_checked(CODE, "no signed checkpoint to compare", None);
    } else {
        let checkpoints = counted(signed.len(), "signed checkpoint");
        checks.passed(CODE, format!("{checkpoints}, no contradiction"));
    }
}

fn unreadable(mut checks: Checks, artifact: Artifact, reason: &str) -> Verdict {
    checks.failed(codes::EVIDENCE_READABLE, reason, HINT_NO_EVIDENCE);
    Verdict {
        outcome: Outcome::Unreadable,
        artifact,
        product: None,
        checks: checks.into_list(),
        replays: Vec::new(),
        reproduced_by: 0,
        set_aside: Vec::new(),
    }
}
