//! Replay verdicts: four outcomes, and evidence that has to agree with them.

use counterseal_attestation::replay_verdict::{Contradiction, ReplayVerdict, Verdict};
use counterseal_attestation::statement::{DigestSet, Statement};
use serde_json::{Value, json};

use crate::samples::{replay_verdict, spoilt, verdict_statement};

const ALL: [Verdict; 4] = [
    Verdict::Reproduced,
    Verdict::Equivalent,
    Verdict::Differs,
    Verdict::CouldNotRebuild,
];

#[test]
fn each_outcome_round_trips_under_its_own_word() {
    for verdict in ALL {
        let statement = verdict_statement(verdict);
        let payload = statement.to_payload().unwrap();
        assert_eq!(
            Statement::<ReplayVerdict>::parse(&payload).unwrap(),
            statement
        );
        let value: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(value["predicate"]["verdict"], json!(verdict.to_string()));
        assert_eq!(
            value["predicateType"],
            json!("https://counterseal.dev/attestations/replay-verdict/v1")
        );
    }
}

#[test]
fn a_verdict_may_not_contradict_its_evidence() {
    let spoil = |verdict, change: fn(&mut ReplayVerdict)| {
        let mut found = replay_verdict(verdict);
        assert_eq!(found.check(), Ok(()));
        change(&mut found);
        let refusal = found.check().unwrap_err();
        let text = serde_json::to_string(&found).unwrap();
        let read = serde_json::from_str::<ReplayVerdict>(&text)
            .unwrap_err()
            .to_string();
        assert!(read.starts_with(&refusal.to_string()), "{read}");
        refusal
    };
    assert_eq!(
        spoil(Verdict::Reproduced, |v| v.rebuilt.clear()),
        Contradiction::NothingRebuilt
    );
    assert_eq!(
        spoil(Verdict::Reproduced, |v| {
            v.differences = replay_verdict(Verdict::Differs).differences;
        }),
        Contradiction::DifferencesInReproduced { found: 1 }
    );
    for verdict in [Verdict::Differs, Verdict::Equivalent] {
        assert_eq!(
            spoil(verdict, |v| v.differences.clear()),
            Contradiction::NoDifference { verdict }
        );
    }
    for verdict in [Verdict::CouldNotRebuild, Verdict::Equivalent] {
        assert_eq!(
            spoil(verdict, |v| v.reason = None),
            Contradiction::NoReason { verdict }
        );
        assert_eq!(
            spoil(verdict, |v| v.reason = Some(String::new())),
            Contradiction::NoReason { verdict }
        );
    }
    assert_eq!(
        spoil(Verdict::Differs, |v| {
            v.provenance = DigestSet::from_map([("sha1".into(), "0".into())].into()).unwrap();
        }),
        Contradiction::NoProvenance
    );
}

#[test]
fn spoilt_verdicts_are_refused() {
    let good = verdict_statement(Verdict::Differs).to_payload().unwrap();
    for (defect, pointer, new) in [
        (
            "an unknown outcome",
            "/predicate/verdict",
            Some(json!("failed")),
        ),
        (
            "an outcome in another case",
            "/predicate/verdict",
            Some(json!("Differs")),
        ),
        (
            "an outcome in another shape",
            "/predicate/verdict",
            Some(json!({"differs": null})),
        ),
        ("no outcome", "/predicate/verdict", None),
        ("no provenance", "/predicate/provenance", None),
        ("no replayer", "/predicate/replayer", None),
        ("no differences", "/predicate/differences", None),
        ("reason as null", "/predicate/reason", Some(Value::Null)),
        (
            "a negative offset",
            "/predicate/differences/0/firstDifferenceBytesOffset",
            Some(json!(-1)),
        ),
        (
            "a short digest",
            "/predicate/differences/0/found",
            Some(json!("00")),
        ),
        (
            "a digest set for a digest",
            "/predicate/differences/0/expected",
            Some(json!({})),
        ),
        (
            "a time without a zone",
            "/predicate/startedOn",
            Some(json!("2026-11-23T12:00:00")),
        ),
    ] {
        let bad = spoilt(&good, pointer, new);
        assert!(Statement::<ReplayVerdict>::parse(&bad).is_err(), "{defect}");
    }
    let wider = spoilt(&good, "/predicate/normalisers", Some(json!([])));
    assert!(Statement::<ReplayVerdict>::parse(&wider).is_ok());
}
