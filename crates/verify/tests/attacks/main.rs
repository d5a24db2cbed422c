//! The attacks that verifiers have fallen to, one test each, named by the defect. The advisories
//! behind them are named in the comments.

#[path = "../fixture/mod.rs"]
mod fixture;

mod evidence;
mod format;
mod record;
mod replays;
mod signer;
mod statement;

use counterseal_verify::pure_rust::PureRust;
use counterseal_verify::{Outcome, Request, State, Trust, Verdict, verify};

use fixture::{NAME, NOW, World, artifact};

/// Judges `evidence` for the fixture's artifact under the fixture's trust file.
fn judge(world: &World, evidence: &[u8]) -> Verdict {
    judge_by(&world.trust_text(), evidence)
}

fn judge_by(trust: &str, evidence: &[u8]) -> Verdict {
    let trust = Trust::parse(trust).unwrap();
    let request = Request {
        evidence,
        artifact: artifact(),
        artifact_name: Some(NAME),
        trust: &trust,
        now: NOW,
    };
    verify(&request, &PureRust)
}

/// Asserts that the verdict is "failed", and by which required checks, no more and no less.
#[track_caller]
fn assert_failed_by(verdict: &Verdict, codes: &[&str]) {
    let mut found: Vec<&str> = verdict
        .checks
        .iter()
        .filter(|check| check.required && check.state == State::Failed)
        .map(|check| check.code)
        .collect();
    found.dedup();
    assert_eq!(found, codes, "{:#?}", verdict.checks);
    assert_eq!(verdict.outcome, Outcome::Failed);
}

#[track_caller]
fn assert_verified(verdict: &Verdict) {
    let obstacles: Vec<_> = verdict.obstacles().collect();
    assert_eq!(verdict.outcome, Outcome::Verified, "{obstacles:#?}");
}
