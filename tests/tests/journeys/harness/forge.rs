//! Statements that the program itself would never make, signed with a throw-away key and recorded
//! like any other: what a careless or hostile vendor could publish.

use std::fs;

use counterseal_attestation::Sha256Digest;
use counterseal_attestation::bundle::Bundle;
use counterseal_attestation::dsse::IN_TOTO_PAYLOAD_TYPE;
use counterseal_signing::AttestationKey;
use serde_json::{Value, json};

use super::bench::Bench;

/// Signs any bytes as a statement, with a key of the bench.
pub(crate) fn sign(bench: &Bench, key: &str, payload: &[u8]) -> Bundle {
    let key = AttestationKey::load(&bench.path(key), None).unwrap();
    let envelope = key.sign_envelope(IN_TOTO_PAYLOAD_TYPE, payload);
    Bundle {
        entry: None,
        envelope,
    }
}

/// Writes evidence with one statement, signed by the vendor and recorded.
pub(crate) fn publish(bench: &Bench, evidence: &str, statement: &Value) {
    fs::write(bench.path(evidence), "").unwrap();
    append(bench, evidence, "keys/vendor.key", statement);
}

/// Appends a statement to evidence, signed with a key of the bench and recorded.
pub(crate) fn append(bench: &Bench, evidence: &str, key: &str, statement: &Value) {
    let payload = counterseal_attestation::json::canonical(statement).unwrap();
    let line = format!("{}\n", sign(bench, key, &payload).to_line());
    let text = fs::read_to_string(bench.path(evidence)).unwrap() + &line;
    fs::write(bench.path(evidence), text).unwrap();
    record(bench, evidence);
}

/// Adds evidence to the bench's record, whichever keys of the bench signed it.
pub(crate) fn record(bench: &Bench, evidence: &str) {
    let mut words = vec![
        "record",
        "add",
        "record",
        evidence,
        "--key",
        "keys/record.key",
    ];
    let names = fs::read_dir(bench.path("keys"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let keys: Vec<String> = names
        .map(|name| format!("keys/{}", name.display()))
        // The record's own key signs no statements.
        .filter(|name| {
            name.strip_suffix(".pub")
                .is_some_and(|key| key != "keys/record.key")
        })
        .collect();
    for key in &keys {
        words.extend(["--public-key", key]);
    }
    bench.run_words(&words).exits(0);
}

/// Puts another text into the place of the embedded recipe, and keeps the provenance consistent
/// with itself.
pub(crate) fn replace_recipe(provenance: &mut Value, change: impl Fn(&str) -> String) {
    let definition = &mut provenance["predicate"]["buildDefinition"];
    let recipe = &mut definition["externalParameters"]["recipe"];
    let text = change(recipe["content"].as_str().unwrap());
    let digest = Sha256Digest::of(text.as_bytes()).to_string();
    assert!(
        recipe["sha256"].is_string(),
        "the recipe's digest stands beside its text"
    );
    recipe["sha256"] = json!(digest);
    recipe["content"] = json!(text);
    definition["resolvedDependencies"][0]["digest"]["sha256"] = json!(digest);
}
