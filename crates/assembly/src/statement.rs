//! Says an assembly as an in-toto Statement v1 with SLSA provenance v1, unsigned.
//!
//! The build type is documented in `attestations/assembly-v1.md`.

use std::collections::BTreeMap;

use counterseal_attestation::dsse::IN_TOTO_PAYLOAD_TYPE;
use counterseal_attestation::provenance::{
    BUILD_TYPE, BuildDefinition, Builder, EmbeddedFile, ExternalParameters, InternalParameters,
    Limits, Metadata, Product, Provenance, RunDetails, StepSummary,
};
use counterseal_attestation::statement::{DigestSet, ResourceDescriptor, Statement, Subject};
use counterseal_attestation::{Sha256Digest, UnixSeconds};
use serde_json::Value;

use crate::assembly::{Assembly, LOCK_NAME};
use crate::error::AssemblyError;
use crate::execute::Assembled;
use crate::prepare::Prepared;

/// Who ran the assembly, when: the part of the provenance that no rebuild repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// `builder.id`: a URI that verifiers know the signing key by.
    pub builder_id: String,
    /// Version of the program that assembled.
    pub program_version: String,
    /// Unique name of this run.
    pub invocation_id: String,
    /// When it began.
    pub started_on: UnixSeconds,
    /// When it ended.
    pub finished_on: UnixSeconds,
}

/// The byproduct that is the runtime trace.
pub const TRACE_NAME: &str = "runtime-trace";

/// The unsigned statement about `assembled`, whose runtime trace has the digest `trace`.
///
/// # Errors
/// [`AssemblyError::Provenance`] when recipe or lock have a name that cannot be embedded.
pub fn statement(
    assembly: &Assembly,
    prepared: &Prepared,
    assembled: &Assembled,
    invocation: &Invocation,
    trace: Sha256Digest,
) -> Result<Statement<Provenance>, AssemblyError> {
    let recipe = &assembly.recipe;
    let limits = &recipe.limits;
    let embed = |name: &str, text: &str| {
        EmbeddedFile::new(name, text).map_err(|error| AssemblyError::Provenance {
            detail: error.to_string(),
        })
    };
    let provenance = Provenance {
        build_definition: BuildDefinition {
            build_type: BUILD_TYPE.to_owned(),
            external_parameters: ExternalParameters {
                product: Product {
                    name: recipe.product.name.clone(),
                    version: recipe.product.version.clone(),
                },
                recipe: embed(&assembly.recipe_name, &assembly.recipe_text)?,
                lock: embed(LOCK_NAME, &assembly.lock_text)?,
            },
            internal_parameters: InternalParameters {
                source_date_epoch: UnixSeconds(recipe.product.source_date_epoch),
                limits: Limits {
                    wall_seconds: limits.wall_seconds,
                    memory_bytes: limits.memory_bytes,
                    scratch_bytes: limits.scratch_bytes,
                    log_bytes: limits.log_bytes,
                    processes_max: limits.processes_max,
                },
                isolation: assembled.isolation.clone(),
                steps: prepared
                    .actions
                    .iter()
                    .map(|planned| StepSummary {
                        name: planned.step.name.clone(),
                        action_digest: planned.action.hash,
                    })
                    .collect(),
            },
            resolved_dependencies: dependencies(assembly),
        },
        run_details: RunDetails {
            builder: Builder {
                id: invocation.builder_id.clone(),
                version: BTreeMap::from([(
                    "counterseal".to_owned(),
                    invocation.program_version.clone(),
                )]),
            },
            metadata: Metadata {
                invocation_id: invocation.invocation_id.clone(),
                started_on: invocation.started_on,
                finished_on: invocation.finished_on,
            },
            byproducts: byproducts(prepared, assembled, trace),
        },
    };
    Ok(Statement::new(subjects(assembled), provenance))
}

/// The outputs, by digest.
pub(crate) fn subjects(assembled: &Assembled) -> Vec<Subject> {
    let outputs = assembled.outputs.iter();
    outputs
        .map(|output| Subject {
            name: output.name.clone(),
            digest: DigestSet::from_sha256(output.digest.hash),
        })
        .collect()
}

/// Every pinned item, recipe and lock first; hosts appear nowhere.
pub fn dependencies(assembly: &Assembly) -> Vec<ResourceDescriptor> {
    let mut dependencies = vec![
        described(
            &assembly.recipe_name,
            Sha256Digest::of(assembly.recipe_text.as_bytes()),
        ),
        described(LOCK_NAME, Sha256Digest::of(assembly.lock_text.as_bytes())),
    ];
    for input in &assembly.lock.inputs {
        for item in &input.items {
            let annotations = BTreeMap::from([
                ("input".to_owned(), Value::from(input.name.clone())),
                ("sizeBytes".to_owned(), Value::from(item.size_bytes)),
            ]);
            dependencies.push(ResourceDescriptor {
                uri: Some(item.purl.to_string()),
                annotations,
                ..described(item.display_name(), item.sha256)
            });
        }
    }
    dependencies
}

/// Root tree, runtime trace and the logs of each step.
fn byproducts(
    prepared: &Prepared,
    assembled: &Assembled,
    trace: Sha256Digest,
) -> Vec<ResourceDescriptor> {
    let trace = ResourceDescriptor {
        media_type: Some(IN_TOTO_PAYLOAD_TYPE.to_owned()),
        ..described(TRACE_NAME, trace)
    };
    let mut byproducts = vec![described("input-root", prepared.root.hash), trace];
    for log in &assembled.logs {
        byproducts.push(ResourceDescriptor {
            media_type: Some("text/plain".to_owned()),
            ..described(&format!("{}.{}", log.step, log.stream), log.digest.hash)
        });
    }
    byproducts
}

fn described(name: &str, digest: Sha256Digest) -> ResourceDescriptor {
    ResourceDescriptor {
        name: Some(name.to_owned()),
        digest: Some(DigestSet::from_sha256(digest)),
        ..ResourceDescriptor::default()
    }
}
