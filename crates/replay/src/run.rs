//! Fetch, rebuild, compare.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use counterseal_assembly::{
    Assembled, Assembly, AssemblyError, CachePolicy, ExecuteOptions, Finished, Prepared, declared,
    execute, prepare,
};
use counterseal_attestation::provenance::GuaranteeState;
use counterseal_attestation::replay_verdict::{Difference, Verdict};
use counterseal_attestation::statement::{DigestSet, Subject};
use counterseal_inputs::{InputsError, Progress, Sources};
use counterseal_store::{Store, StoreError};

use crate::compare::first_difference;
use crate::error::ReplayError;
use crate::replayable::Replayable;

/// Longest reason that is written into a verdict, in characters.
const REASON_CHARS_MAX: usize = 2000;

/// How to replay.
#[derive(Debug, Clone, Default)]
pub struct ReplayOptions {
    /// The vendor's artifacts by subject name, where at hand: they allow to say where a
    /// difference begins.
    pub originals: BTreeMap<String, PathBuf>,
    /// Guarantees of the sandbox that the auditor gave up by name.
    pub waived: BTreeSet<counterseal_assembly::Guarantee>,
}

/// What a replay found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// The verdict.
    pub verdict: Verdict,
    /// Why there is no rebuild, or what else a reader must know.
    pub reason: Option<String>,
    /// What was rebuilt, with digests.
    pub rebuilt: Vec<Subject>,
    /// Where rebuild and original differ.
    pub differences: Vec<Difference>,
    /// The rebuilt artifacts, in the store.
    pub outputs: Vec<Finished>,
    /// What the sandbox enforced during the rebuild.
    pub isolation: BTreeMap<String, GuaranteeState>,
}

impl Replayed {
    fn could_not(kind: &str, detail: &str) -> Self {
        let reason: String = format!("{kind}: {detail}")
            .chars()
            .filter(|c| *c == '\n' || !c.is_control())
            .take(REASON_CHARS_MAX)
            .collect();
        Self {
            verdict: Verdict::CouldNotRebuild,
            reason: Some(reason),
            rebuilt: Vec::new(),
            differences: Vec::new(),
            outputs: Vec::new(),
            isolation: BTreeMap::new(),
        }
    }
}

/// Replays `replayable` with inputs from `store` and `sources`; `on_step` is told of each step.
///
/// The action cache is neither asked nor written.
///
/// # Errors
/// [`ReplayError::Machine`] or [`ReplayError::Store`] when this machine is at fault (no space, a
/// damaged store, no sandbox), [`ReplayError::Inputs`] when no place was named that could have the
/// inputs, or one cannot be read: that says nothing about the assembly, so it is no verdict.
pub fn replay(
    replayable: &Replayable,
    store: &Store,
    sources: &Sources,
    options: &ReplayOptions,
    progress: &dyn Progress,
    on_step: &mut dyn FnMut(&str),
) -> Result<Replayed, ReplayError> {
    let assembly = match replayable.assembly() {
        Ok(assembly) => assembly,
        Err(reason) => {
            return Ok(Replayed::could_not(
                "provenance contradicts itself",
                &reason,
            ));
        }
    };
    match counterseal_inputs::fetch(
        &declared(&assembly.recipe),
        &assembly.lock,
        sources,
        store,
        progress,
    ) {
        Ok(_) => {}
        Err(InputsError::Store(error)) => return Err(error.into()),
        Err(error) if is_question(&error, sources) => return Err(ReplayError::Inputs(error)),
        Err(error) => {
            return Ok(Replayed::could_not(
                "inputs not available",
                &error.to_string(),
            ));
        }
    }
    match rebuild(&assembly, store, options, on_step) {
        Ok((prepared, assembled)) => {
            compare(replayable, &prepared, &assembled, store, options).map_err(ReplayError::from)
        }
        Err(error) if error.is_machine_fault() => Err(error.into()),
        Err(error) => Ok(Replayed::could_not("rebuild failed", &error.to_string())),
    }
}

/// Whether inputs are missing for a reason that lies with who asks: no place was named, or one
/// that was cannot be read.
fn is_question(error: &InputsError, sources: &Sources) -> bool {
    error.is_unreadable() || sources.archives.is_empty() && error.is_without_place()
}

fn rebuild(
    assembly: &Assembly,
    store: &Store,
    options: &ReplayOptions,
    on_step: &mut dyn FnMut(&str),
) -> Result<(Prepared, Assembled), AssemblyError> {
    let prepared = prepare(assembly, store)?;
    let execution = ExecuteOptions {
        cache: CachePolicy::Ignore,
        waived: options.waived.clone(),
    };
    let assembled = execute(assembly, &prepared, store, &execution, on_step)?;
    Ok((prepared, assembled))
}

fn compare(
    replayable: &Replayable,
    prepared: &Prepared,
    assembled: &Assembled,
    store: &Store,
    options: &ReplayOptions,
) -> Result<Replayed, StoreError> {
    let mut differences = Vec::new();
    for (name, expected) in &replayable.expected {
        let found = assembled.outputs.iter().find(|output| output.name == *name);
        if found.is_some_and(|output| output.digest.hash == *expected) {
            continue;
        }
        let offset = match (found, options.originals.get(name)) {
            (Some(output), Some(original)) => {
                first_difference(original, expected, store.open_blob(&output.digest)?)
            }
            _ => None,
        };
        differences.push(Difference {
            name: name.clone(),
            expected: *expected,
            found: found.map(|output| output.digest.hash),
            first_difference_bytes_offset: offset,
        });
    }
    let stated: Vec<_> = replayable
        .definition
        .internal_parameters
        .steps
        .iter()
        .map(|s| s.action_digest)
        .collect();
    let planned: Vec<_> = prepared
        .actions
        .iter()
        .map(|action| action.action.hash)
        .collect();
    // Another version may key actions differently; that is worth saying and no difference.
    let reason = (stated != planned)
        .then(|| "the actions' digests are not those that the provenance states".to_owned());
    Ok(Replayed {
        verdict: if differences.is_empty() {
            Verdict::Reproduced
        } else {
            Verdict::Differs
        },
        reason,
        rebuilt: assembled
            .outputs
            .iter()
            .map(|output| Subject {
                name: output.name.clone(),
                digest: DigestSet::from_sha256(output.digest.hash),
            })
            .collect(),
        differences,
        outputs: assembled.outputs.clone(),
        isolation: assembled.isolation.clone(),
    })
}
