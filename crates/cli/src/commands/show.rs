//! `counterseal show`: what evidence says, decoded and not judged.

use counterseal_attestation::bundle::Bundle;
use counterseal_attestation::statement::parse_any;
use serde_json::{Value, json};

use crate::arguments::ShowArgs;
use crate::error::{CommandError, Exit};
use crate::session::Session;
use crate::{evidence, output};

pub(crate) fn run(session: &Session, arguments: &ShowArgs) -> Result<Exit, CommandError> {
    let path = evidence::locate(&arguments.file)?;
    let bundles = evidence::read(&path)?;
    if arguments.inputs {
        return super::inputs::run(session, arguments, &path, &bundles);
    }
    let decoded: Vec<Value> = bundles
        .iter()
        .enumerate()
        .map(|(index, bundle)| {
            decode(bundle).map_err(|error| {
                CommandError::usage(format!(
                    "{} statement {}: {error}",
                    path.display(),
                    index + 1
                ))
            })
        })
        .collect::<Result<_, _>>()?;
    if arguments.json {
        output::result(json!({"format": 1, "statements": decoded}))?;
    } else {
        for statement in &decoded {
            print(statement)?;
        }
        session.say("shown, not verified: counterseal verify says what holds");
    }
    Ok(Exit::Success)
}

fn decode(bundle: &Bundle) -> Result<Value, String> {
    let statement = parse_any(&bundle.envelope.payload).map_err(|error| error.to_string())?;
    Ok(json!({
        "keyid": bundle.envelope.keyid,
        "payloadSha256": bundle.envelope.payload_digest(),
        "logIndex": bundle.entry.as_ref().map(|entry| entry.log_index),
        "treeSize": bundle.entry.as_ref().map(|entry| entry.proof.tree_size),
        "statement": statement,
    }))
}

/// One statement for a person; strings stand in quotes, so that it shows where each ends.
fn print(decoded: &Value) -> Result<(), CommandError> {
    let at = |pointer: &str| decoded.pointer(pointer).unwrap_or(&Value::Null);
    output::text(at("/statement/predicateType"))?;
    for subject in at("/statement/subject").as_array().into_iter().flatten() {
        output::text(format!(
            "  subject    {} {}",
            subject["name"], subject["digest"]["sha256"]
        ))?;
    }
    for (label, pointer) in [
        (
            "product",
            "/statement/predicate/buildDefinition/externalParameters/product",
        ),
        ("builder", "/statement/predicate/runDetails/builder/id"),
        (
            "finished",
            "/statement/predicate/runDetails/metadata/finishedOn",
        ),
        ("verdict", "/statement/predicate/verdict"),
        ("reason", "/statement/predicate/reason"),
        ("replayer", "/statement/predicate/replayer/id"),
        ("signed by", "/keyid"),
        ("log index", "/logIndex"),
    ] {
        if !at(pointer).is_null() {
            output::text(format!("  {label:<10} {}", at(pointer)))?;
        }
    }
    let dependencies = at("/statement/predicate/buildDefinition/resolvedDependencies").as_array();
    for dependency in dependencies.into_iter().flatten() {
        let name = if dependency["uri"].is_null() {
            &dependency["name"]
        } else {
            &dependency["uri"]
        };
        output::text(format!(
            "  input      {name} {}",
            dependency["digest"]["sha256"]
        ))?;
    }
    let isolation =
        at("/statement/predicate/buildDefinition/internalParameters/isolation").as_object();
    for (guarantee, state) in isolation.into_iter().flatten() {
        output::text(format!(
            "  isolation  {} {} {}",
            Value::from(guarantee.as_str()),
            state["state"],
            state["mechanism"]
        ))?;
    }
    Ok(())
}
