//! Replay verdicts: who counts, for what, how often, and that bad news stays visible.

use counterseal_attestation::Sha256Digest;
use counterseal_attestation::bundle::Bundle;
use counterseal_attestation::replay_verdict::{ReplayVerdict, Verdict};
use counterseal_attestation::statement::{DigestSet, Statement};
use counterseal_signing::AttestationKey;
use counterseal_verify::{Outcome, State, codes};

use crate::fixture::{self, World, evidence, replay_statement, subject};
use crate::{assert_failed_by, assert_verified, judge, judge_by};

/// Provenance followed by these verdicts about it.
fn story(world: &World, verdicts: &[(&AttestationKey, Verdict)]) -> Vec<u8> {
    let provenance = world.provenance();
    let replays: Vec<Bundle> = verdicts
        .iter()
        .map(|(key, verdict)| world.replay(key, &provenance, *verdict))
        .collect();
    let mut bundles = vec![&provenance];
    bundles.extend(&replays);
    evidence(&bundles)
}

/// Judges provenance followed by one verdict of an auditor, after `alter` has been at it.
fn judge_altered(alter: impl FnOnce(&mut Statement<ReplayVerdict>)) -> counterseal_verify::Verdict {
    let world = World::new();
    let provenance = world.provenance();
    let mut statement = replay_statement(&provenance, Verdict::Reproduced);
    alter(&mut statement);
    let replay = world.recorded(&world.auditor_a, &statement.to_payload().unwrap());
    judge(&world, &evidence(&[&provenance, &replay]))
}

#[test]
fn each_auditor_counts() {
    let world = World::new();
    let file = story(
        &world,
        &[
            (&world.auditor_a, Verdict::Reproduced),
            (&world.auditor_b, Verdict::Reproduced),
        ],
    );
    let verdict = judge(&world, &file);
    assert_verified(&verdict);
    assert_eq!(verdict.reproduced_by, 2);
    assert_eq!(
        verdict.check(codes::REPLAY_VERDICT).unwrap().state,
        State::Passed
    );
    assert_eq!(verdict.replays[0].auditor.as_deref(), Some("Auditor A"));
}

// CVE-2026-49834, CVE-2020-6174: one party reached a threshold alone.
#[test]
fn one_auditor_twice_counts_once() {
    let world = World::new();
    let a = &world.auditor_a;
    let file = story(
        &world,
        &[(a, Verdict::Reproduced), (a, Verdict::Reproduced)],
    );
    let verdict = judge_by(&world.trust_text_with("replays-required = 2"), &file);
    assert_eq!(verdict.reproduced_by, 1);
    assert_failed_by(&verdict, &["replay.quorum"]);
}

#[test]
fn one_auditor_with_two_keys_counts_once() {
    let world = World::new();
    let file = story(
        &world,
        &[
            (&world.auditor_a, Verdict::Reproduced),
            (&world.auditor_b, Verdict::Reproduced),
        ],
    );
    let trust = world.trust_text().replace("Auditor B", "auditor a");
    assert_eq!(judge_by(&trust, &file).reproduced_by, 1);
}

#[test]
fn builder_does_not_audit_itself() {
    let world = World::new();
    let file = story(&world, &[(&world.builder, Verdict::Reproduced)]);
    let verdict = judge(&world, &file);
    assert_verified(&verdict);
    assert_eq!(verdict.reproduced_by, 0);
    assert!(!verdict.replays[0].counted);
}

#[test]
fn stranger_does_not_count() {
    let world = World::new();
    let file = story(&world, &[(&world.stranger, Verdict::Reproduced)]);
    let verdict = judge(&world, &file);
    assert_verified(&verdict);
    assert_eq!(
        (verdict.reproduced_by, verdict.replays[0].counted),
        (0, false)
    );
}

#[test]
fn strangers_bad_news_is_listed_and_not_believed() {
    let world = World::new();
    let file = story(&world, &[(&world.stranger, Verdict::Differs)]);
    let verdict = judge(&world, &file);
    assert_verified(&verdict);
    assert_eq!(verdict.replays[0].verdict, Verdict::Differs);
    assert_eq!(
        verdict.check(codes::REPLAY_VERDICT).unwrap().state,
        State::NotChecked
    );
}

#[test]
fn difference_is_a_failed_check_that_does_not_decide() {
    let world = World::new();
    let file = story(
        &world,
        &[
            (&world.auditor_a, Verdict::Differs),
            (&world.auditor_b, Verdict::Reproduced),
        ],
    );
    let verdict = judge(&world, &file);
    assert_verified(&verdict);
    assert_eq!(verdict.reproduced_by, 1);
    let check = verdict.check(codes::REPLAY_VERDICT).unwrap();
    assert_eq!((check.state, check.required), (State::Failed, false));
    assert!(check.detail.contains("'Auditor A'"));
    assert_eq!(verdict.replays.len(), 2);
}

#[test]
fn difference_outweighs_the_same_auditors_success() {
    let world = World::new();
    let a = &world.auditor_a;
    for order in [
        [Verdict::Differs, Verdict::Reproduced],
        [Verdict::Reproduced, Verdict::Differs],
    ] {
        let file = story(&world, &[(a, order[0]), (a, order[1])]);
        let verdict = judge_by(&world.trust_text_with("replays-required = 1"), &file);
        assert_eq!(verdict.reproduced_by, 0);
        assert_failed_by(&verdict, &["replay.quorum"]);
    }
}

#[test]
fn could_not_rebuild_is_neither_success_nor_difference() {
    let world = World::new();
    let file = story(&world, &[(&world.auditor_a, Verdict::CouldNotRebuild)]);
    let verdict = judge(&world, &file);
    assert_verified(&verdict);
    assert_eq!(verdict.reproduced_by, 0);
    assert_eq!(
        verdict.check(codes::REPLAY_VERDICT).unwrap().state,
        State::NotChecked
    );
    assert_eq!(verdict.replays[0].reason.as_deref(), Some("a reason"));
    // A later success of the same auditor counts.
    let a = &world.auditor_a;
    let file = story(
        &world,
        &[(a, Verdict::CouldNotRebuild), (a, Verdict::Reproduced)],
    );
    assert_eq!(judge(&world, &file).reproduced_by, 1);
}

#[test]
fn equivalent_is_not_reproduced() {
    let world = World::new();
    let file = story(&world, &[(&world.auditor_a, Verdict::Equivalent)]);
    let verdict = judge(&world, &file);
    assert_eq!(
        (verdict.reproduced_by, verdict.replays[0].verdict),
        (0, Verdict::Equivalent)
    );
}

#[test]
fn quorum_decides_when_the_trust_file_demands_it() {
    let world = World::new();
    let trust = world.trust_text_with("replays-required = 1");
    assert_failed_by(&judge_by(&trust, &story(&world, &[])), &["replay.quorum"]);
    let file = story(&world, &[(&world.auditor_b, Verdict::Reproduced)]);
    assert_verified(&judge_by(&trust, &file));
}

#[test]
fn verdict_about_another_assembly_does_not_count() {
    let verdict = judge_altered(|statement| {
        let other = Sha256Digest::of(b"other payload");
        statement.predicate.provenance = DigestSet::from_sha256(other);
    });
    assert_verified(&verdict);
    assert_eq!(
        (verdict.reproduced_by, verdict.replays[0].counted),
        (0, false)
    );
}

#[test]
fn verdict_about_another_artifact_is_set_aside() {
    let verdict = judge_altered(|statement| {
        statement.subject = vec![subject(Sha256Digest::of(b"another installer"))];
    });
    assert_verified(&verdict);
    assert_eq!((verdict.reproduced_by, verdict.replays.len()), (0, 0));
    assert_eq!(verdict.set_aside.len(), 1);
}

#[test]
fn reproduced_with_other_bytes_does_not_count() {
    let verdict = judge_altered(|statement| {
        statement.predicate.rebuilt = vec![subject(Sha256Digest::of(b"other bytes"))];
    });
    assert_verified(&verdict);
    assert_eq!(
        (verdict.reproduced_by, verdict.replays[0].counted),
        (0, false)
    );
}

#[test]
fn unrecorded_replay_fails() {
    let world = World::new();
    let provenance = world.provenance();
    let mut replay = world.replay(&world.auditor_a, &provenance, Verdict::Differs);
    replay.entry = None;
    let verdict = judge(&world, &evidence(&[&provenance, &replay]));
    assert_failed_by(&verdict, &["record.entry-matches"]);
}

/// Nobody may silence a replay by damaging its line.
#[test]
fn damaged_replay_fails() {
    let world = World::new();
    let provenance = world.provenance();
    let mut replay = world.replay(&world.auditor_a, &provenance, Verdict::Differs);
    replay.envelope.payload[10] ^= 1;
    let verdict = judge(&world, &evidence(&[&provenance, &replay]));
    assert_eq!(verdict.outcome, Outcome::Failed);
}

#[test]
fn replays_of_rejected_provenance_do_not_count() {
    let world = World::new();
    let mut statement = fixture::provenance_statement();
    statement.predicate.run_details.builder.id = "https://elsewhere.test".into();
    let rejected = world.recorded(&world.builder, &statement.to_payload().unwrap());
    let replay = world.replay(&world.auditor_a, &rejected, Verdict::Reproduced);
    let verdict = judge(&world, &evidence(&[&rejected, &replay]));
    assert_failed_by(&verdict, &["signer.builder-allowed"]);
    assert_eq!(verdict.reproduced_by, 0);
}
