//! The part of `counterseal assemble --vary` that comes after the first build: build again, varied,
//! and say what the outputs depend on. What is built here is neither signed nor recorded.

use std::collections::BTreeSet;

use counterseal_assembly::{
    Assembled, Assembly, Cause, Guarantee, Prepared, Switch, Variation, vary,
};
use counterseal_store::Store;
use serde_json::{Value, json};

use crate::error::CommandError;
use crate::output;
use crate::session::Session;

/// Varies `asked`, or everything that the recipe does not state if nothing is named.
pub(crate) fn run(
    session: &Session,
    asked: &[Switch],
    assembly: &Assembly,
    (prepared, first): (&Prepared, &Assembled),
    store: &Store,
    waived: &BTreeSet<Guarantee>,
) -> Result<Variation, CommandError> {
    let switches = match asked {
        [] => Switch::ALL
            .into_iter()
            .filter(|switch| !switch.is_stated())
            .collect(),
        asked => asked.iter().copied().collect(),
    };
    let mut build = 0_usize;
    let variation = vary(
        assembly,
        prepared,
        store,
        first,
        &switches,
        waived,
        &mut |on| {
            build += 1;
            session.say(format!("varied build {build}: {}", names(on, ", ")));
        },
    );
    variation.map_err(|error| super::assemble::failure(&error))
}

fn names(switches: &BTreeSet<Switch>, between: &str) -> String {
    if switches.is_empty() {
        return "nothing varied".to_owned();
    }
    let names: Vec<&str> = switches.iter().map(|switch| switch.name()).collect();
    names.join(between)
}

/// What was found, for people: one line for each output.
pub(crate) fn print(variation: &Variation) -> Result<(), CommandError> {
    for found in &variation.outputs {
        if found.causes.is_empty() {
            output::result(format!("identical  {}", found.name))?;
            continue;
        }
        let causes: Vec<String> = found.causes.iter().map(explained).collect();
        output::text(format!(
            "differs    {}  {}",
            found.name,
            causes.join("; or ")
        ))?;
    }
    Ok(())
}

fn explained(cause: &Cause) -> String {
    let names = names(&cause.switches, " with ");
    match &cause.failure {
        Some(failure) => {
            let first = failure.lines().next().unwrap_or_default();
            format!("{names} (there is none: {first})")
        }
        None => names,
    }
}

/// The same as a part of the JSON report.
pub(crate) fn document(variation: &Variation) -> Value {
    let list = |switches: &BTreeSet<Switch>| -> Vec<&str> {
        switches.iter().map(|switch| switch.name()).collect()
    };
    let outputs: Vec<Value> = variation
        .outputs
        .iter()
        .map(|found| {
            let causes = found.causes.iter().map(|cause| {
                let mut document = json!({"switches": list(&cause.switches)});
                if let Some(failure) = &cause.failure {
                    document["failure"] = json!(failure);
                }
                document
            });
            json!({
                "name": found.name,
                "identical": found.causes.is_empty(),
                "causes": causes.collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "switches": list(&variation.switches),
        "builds": variation.builds,
        "identical": variation.is_identical(),
        "outputs": outputs,
    })
}
