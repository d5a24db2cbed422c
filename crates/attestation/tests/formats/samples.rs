//! Valid values of every format, and the means to spoil them.

use std::collections::BTreeMap;

use counterseal_attestation::provenance::{
    BUILD_TYPE, BuildDefinition, Builder, EmbeddedFile, ExternalParameters, GuaranteeState,
    InternalParameters, IsolationState, Limits, Metadata, Product, Provenance, RunDetails,
    StepSummary,
};
use counterseal_attestation::replay_verdict::{Difference, ReplayVerdict, Replayer, Verdict};
use counterseal_attestation::statement::{DigestSet, ResourceDescriptor, Statement, Subject};
use counterseal_attestation::{Sha256Digest, UnixSeconds};
use serde_json::Value;

pub(crate) fn digest(of: &str) -> Sha256Digest {
    Sha256Digest::of(of.as_bytes())
}

pub(crate) fn subject(name: &str) -> Subject {
    Subject {
        name: name.into(),
        digest: DigestSet::from_sha256(digest(name)),
    }
}

fn isolation() -> BTreeMap<String, GuaranteeState> {
    let state = |state, mechanism: &str| GuaranteeState {
        state,
        mechanism: mechanism.into(),
    };
    BTreeMap::from([
        (
            "network".into(),
            state(
                IsolationState::Enforced,
                "network namespace without interfaces",
            ),
        ),
        (
            "memory-limit".into(),
            state(IsolationState::Degraded, "address space of each process"),
        ),
        (
            "virtual-clock".into(),
            state(IsolationState::Absent, "not offered yet"),
        ),
    ])
}

pub(crate) fn provenance() -> Provenance {
    Provenance {
        build_definition: BuildDefinition {
            build_type: BUILD_TYPE.into(),
            external_parameters: ExternalParameters {
                product: Product {
                    name: "rules".into(),
                    version: "2026.11.23".into(),
                },
                recipe: EmbeddedFile::new("assembly.toml", "format = 1\n").unwrap(),
                lock: EmbeddedFile::new("assembly.lock", "format = 1\n").unwrap(),
            },
            internal_parameters: InternalParameters {
                source_date_epoch: UnixSeconds(1_795_392_000),
                limits: Limits {
                    wall_seconds: 600,
                    memory_bytes: 1 << 30,
                    scratch_bytes: 1 << 30,
                    log_bytes: 1 << 20,
                    processes_max: 64,
                },
                isolation: isolation(),
                steps: vec![StepSummary {
                    name: "compile".into(),
                    action_digest: digest("action"),
                }],
            },
            resolved_dependencies: vec![ResourceDescriptor {
                name: Some("sources".into()),
                uri: Some("pkg:generic/rules-sources".into()),
                digest: Some(DigestSet::from_sha256(digest("sources"))),
                annotations: BTreeMap::from([("sizeBytes".into(), 4711.into())]),
                ..ResourceDescriptor::default()
            }],
        },
        run_details: RunDetails {
            builder: Builder {
                id: "https://builder.example/counterseal/local".into(),
                version: BTreeMap::from([("counterseal".into(), "0.1.0".into())]),
            },
            metadata: Metadata {
                invocation_id: "urn:uuid:00000000-0000-4000-8000-000000000000".into(),
                started_on: UnixSeconds(1_795_435_200),
                finished_on: UnixSeconds(1_795_435_207),
            },
            byproducts: vec![ResourceDescriptor {
                name: Some("compile.stdout".into()),
                digest: Some(DigestSet::from_sha256(digest("log"))),
                content: Some(b"ok\n".to_vec()),
                media_type: Some("text/plain".into()),
                ..ResourceDescriptor::default()
            }],
        },
    }
}

pub(crate) fn provenance_statement() -> Statement<Provenance> {
    Statement::new(vec![subject("rules-2026.11.23.pack")], provenance())
}

pub(crate) fn replay_verdict(verdict: Verdict) -> ReplayVerdict {
    let name = "rules-2026.11.23.pack";
    let differs = matches!(verdict, Verdict::Differs | Verdict::Equivalent);
    let reason = matches!(verdict, Verdict::CouldNotRebuild | Verdict::Equivalent);
    ReplayVerdict {
        verdict,
        reason: reason.then(|| "as the test wants it".into()),
        provenance: DigestSet::from_sha256(digest("payload")),
        replayer: Replayer {
            id: "https://auditor.example/replay".into(),
            version: BTreeMap::from([("counterseal".into(), "0.1.0".into())]),
        },
        environment: BTreeMap::from([("kernel".into(), "Linux 6.18".into())]),
        rebuilt: if verdict == Verdict::CouldNotRebuild {
            vec![]
        } else {
            vec![subject(name)]
        },
        differences: if differs {
            vec![Difference {
                name: name.into(),
                expected: digest(name),
                found: Some(digest("other")),
                first_difference_bytes_offset: Some(24),
            }]
        } else {
            vec![]
        },
        started_on: UnixSeconds(1_795_500_000),
        finished_on: UnixSeconds(1_795_500_060),
        isolation: isolation(),
    }
}

pub(crate) fn verdict_statement(verdict: Verdict) -> Statement<ReplayVerdict> {
    Statement::new(
        vec![subject("rules-2026.11.23.pack")],
        replay_verdict(verdict),
    )
}

/// The value at `pointer` replaced, or removed if `new` is `None`; a last segment that does not
/// exist is added.
pub(crate) fn spoilt(text: &[u8], pointer: &str, new: Option<Value>) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(text).unwrap();
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    let parent = value
        .pointer_mut(parent)
        .unwrap_or_else(|| panic!("no {parent} in the sample"));
    match (parent, new) {
        (Value::Object(object), Some(new)) => drop(object.insert(last.into(), new)),
        (Value::Object(object), None) => assert!(object.remove(last).is_some(), "no {pointer}"),
        (Value::Array(items), Some(new)) => items[last.parse::<usize>().unwrap()] = new,
        (Value::Array(items), None) => drop(items.remove(last.parse().unwrap())),
        _ => panic!("{pointer} leads into a scalar"),
    }
    serde_json::to_vec(&value).unwrap()
}
