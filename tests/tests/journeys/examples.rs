//! The examples in `attestations/`: made by the program, accepted by its types and by the schemas
//! beside them, and of the shape that the program makes today.
//!
//! To make them anew after a change of a format:
//! `COUNTERSEAL_UPDATE=1 cargo test -p counterseal-tests --test journeys examples`.

use std::collections::BTreeSet;
use std::fs;

use counterseal_attestation::json::canonical;
use counterseal_attestation::provenance::Provenance;
use counterseal_attestation::replay_verdict::ReplayVerdict;
use counterseal_attestation::statement::Statement;
use counterseal_tests::repository;
use serde_json::Value;

use crate::harness::{Bench, PACK, rules};

const UPDATE: &str = "COUNTERSEAL_UPDATE";
/// One for each format: provenance first, then the verdict, as in the evidence.
const FORMATS: [&str; 2] = ["assembly-v1", "replay-verdict-v1"];

/// Provenance and verdict of a real run.
fn real() -> Vec<Value> {
    let bench = Bench::new();
    rules(&bench, "rules");
    bench.lock("rules").exits(0);
    bench.assemble("rules", &[]).exits(0);
    bench
        .replay(&format!("out/{PACK}"), "store", &["--trust", "trust.toml"])
        .exits(0);
    bench.statements(&format!("out/{PACK}"))
}

fn path(format: &str, kind: &str) -> std::path::PathBuf {
    repository::root()
        .join("attestations")
        .join(format!("{format}.{kind}.json"))
}

fn read(format: &str, kind: &str) -> Value {
    let path = path(format, kind);
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every path of a document, list positions left out; below `open`, names are data.
fn shape(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    const OPEN: [&str; 2] = [
        "/predicate/environment",
        "/predicate/runDetails/builder/version",
    ];
    found.insert(path.to_owned());
    match value {
        Value::Object(members) if !OPEN.contains(&path) => {
            for (name, inner) in members {
                shape(inner, &format!("{path}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for inner in items {
                shape(inner, &format!("{path}/[]"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn examples_are_what_the_program_makes() {
    let real = real();
    assert_eq!(real.len(), FORMATS.len());
    for (format, real) in FORMATS.into_iter().zip(&real) {
        let schema = read(format, "schema");
        let validator = jsonschema::draft202012::new(&schema).expect("the schema is a schema");
        let explain = |value: &Value| {
            let errors = validator.iter_errors(value);
            errors
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect::<Vec<_>>()
        };
        assert_eq!(explain(real), Vec::<String>::new(), "{format}: a real run");
        if std::env::var_os(UPDATE).is_some() {
            let text = serde_json::to_string_pretty(real).unwrap();
            fs::write(path(format, "example"), format!("{text}\n")).unwrap();
        }
        let example = read(format, "example");
        assert_eq!(
            explain(&example),
            Vec::<String>::new(),
            "{format}: the example"
        );
        let mut shapes = [BTreeSet::new(), BTreeSet::new()];
        shape(real, "", &mut shapes[0]);
        shape(&example, "", &mut shapes[1]);
        assert_eq!(
            shapes[0], shapes[1],
            "{format}: the program makes another shape than the example's; if that is meant, make \
             the examples anew with {UPDATE}=1"
        );
    }
    let payload = |format: &str| canonical(&read(format, "example")).unwrap();
    let provenance = Statement::<Provenance>::parse(&payload(FORMATS[0])).unwrap();
    let verdict = Statement::<ReplayVerdict>::parse(&payload(FORMATS[1])).unwrap();
    assert_eq!(
        verdict.subject, provenance.subject,
        "the verdict is about that assembly"
    );
    assert_eq!(
        verdict.predicate.provenance.sha256(),
        Some(counterseal_attestation::Sha256Digest::of(&payload(
            FORMATS[0]
        ))),
        "the verdict names that very statement"
    );
}
