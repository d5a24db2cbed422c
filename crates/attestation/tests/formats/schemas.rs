//! The JSON schemas in `attestations/` and the types say the same.
//!
//! The schemas are for strangers with other tools; an independent validator reads them here. What
//! a schema cannot say (a digest that fits its text, a date that exists, 1.0 instead of 1) only the
//! types refuse. What a type lets through for others (a subject without SHA-256) a schema refuses.

use counterseal_attestation::provenance::Provenance;
use counterseal_attestation::replay_verdict::{ReplayVerdict, Verdict};
use counterseal_attestation::statement::{Predicate, Statement};
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::samples::{provenance_statement, spoilt, verdict_statement};

const ASSEMBLY: &str = include_str!("../../../../attestations/assembly-v1.schema.json");
const VERDICT: &str = include_str!("../../../../attestations/replay-verdict-v1.schema.json");

fn validator(schema: &str) -> Validator {
    let schema: Value = serde_json::from_str(schema).unwrap();
    jsonschema::draft202012::meta::validate(&schema).expect("the schema is a schema");
    jsonschema::draft202012::new(&schema).unwrap()
}

fn accepts(validator: &Validator, payload: &[u8]) -> bool {
    validator.is_valid(&serde_json::from_slice(payload).unwrap())
}

/// Every member of every object of a valid statement, by JSON pointer.
fn members(value: &Value, pointer: &str, found: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(object) => object.iter().map(|(key, v)| (key.clone(), v)).collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, v)| (index.to_string(), v))
            .collect(),
        _ => return,
    };
    for (key, inner) in inner {
        let pointer = format!("{pointer}/{key}");
        members(inner, &pointer, found);
        found.push(pointer);
    }
}

/// Removes and replaces each member in turn: type and schema must come to the same answer.
fn agree<P: Predicate>(schema: &Validator, payload: &[u8]) {
    let mut pointers = Vec::new();
    members(&serde_json::from_slice(payload).unwrap(), "", &mut pointers);
    assert!(pointers.len() > 30);
    for pointer in pointers {
        let others = [
            None,
            Some(Value::Null),
            Some(json!(-1)),
            Some(json!(1.5)),
            Some(json!("")),
            Some(json!("a/b")),
            Some(json!("\u{9b}31m")),
            Some(json!([])),
            Some(json!({})),
            Some(json!({"unknown": 1})),
        ];
        for new in others {
            // Base64 and the digest of an embedded text are beyond a schema.
            let text = pointer.ends_with("/content") && new.as_ref().is_some_and(Value::is_string);
            if text {
                continue;
            }
            let bad = spoilt(payload, &pointer, new.clone());
            let read = Statement::<P>::parse(&bad)
                .map(|_| ())
                .map_err(|error| error.to_string());
            let valid = accepts(schema, &bad);
            let new = new.map_or("nothing".to_owned(), |new| new.to_string());
            assert_eq!(read.is_ok(), valid, "{pointer} replaced by {new}: {read:?}");
        }
    }
}

#[test]
fn provenance_and_its_schema_agree() {
    let schema = validator(ASSEMBLY);
    let payload = provenance_statement().to_payload().unwrap();
    assert!(accepts(&schema, &payload));
    agree::<Provenance>(&schema, &payload);
}

#[test]
fn verdicts_and_their_schema_agree() {
    let schema = validator(VERDICT);
    for verdict in [
        Verdict::Reproduced,
        Verdict::Equivalent,
        Verdict::Differs,
        Verdict::CouldNotRebuild,
    ] {
        let payload = verdict_statement(verdict).to_payload().unwrap();
        assert!(accepts(&schema, &payload), "{verdict}");
        agree::<ReplayVerdict>(&schema, &payload);
    }
}

#[test]
fn unknown_fields_are_treated_alike() {
    let schema = validator(ASSEMBLY);
    let payload = provenance_statement().to_payload().unwrap();
    let mut pointers = vec![String::new()];
    members(
        &serde_json::from_slice(&payload).unwrap(),
        "",
        &mut pointers,
    );
    let value: Value = serde_json::from_slice(&payload).unwrap();
    // In these two, names are data and not fields.
    let open = |pointer: &str| pointer.ends_with("/isolation") || pointer.ends_with("/version");
    for pointer in pointers {
        if value.pointer(&pointer).is_some_and(Value::is_object) && !open(&pointer) {
            let wider = spoilt(&payload, &format!("{pointer}/unknown"), Some(json!("x")));
            let read = Statement::<Provenance>::parse(&wider).is_ok();
            assert_eq!(read, accepts(&schema, &wider), "{pointer}");
        }
    }
}
