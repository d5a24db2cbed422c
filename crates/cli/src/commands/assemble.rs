//! `counterseal assemble`: build hermetically, sign, record, write artifact and evidence.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use counterseal_assembly::{
    Assembled, Assembly, AssemblyError, CachePolicy, ExecuteOptions, Guarantee, Invocation,
    Prepared, Variation, execute, prepare, statement, trace,
};
use counterseal_attestation::Sha256Digest;
use counterseal_attestation::bundle::Bundle;
use counterseal_attestation::provenance::Provenance;
use counterseal_attestation::statement::Statement;
use counterseal_store::{Digest, Store, open_regular};
use counterseal_verify::{Outcome, Request, Trust, verify};
use counterseal_verify_cli::native_provider::Native;

use crate::arguments::AssembleArgs;
use crate::blob_files::replace_with_blob;
use crate::commands::fetch::fetch;
use crate::commands::{trust, vary};
use crate::error::{CommandError, Exit, OrExit, chain};
use crate::evidence::{self, RecordPlace};
use crate::session::{RecipeFile, Session, checked_identity, now};
use crate::{keys, output};

/// `builder.id` of a builder that was not given an identity: nobody's trust file should name it.
const DEFAULT_BUILDER_ID: &str = "https://counterseal.dev/builders/unnamed";

pub(crate) fn run(session: &Session, arguments: &AssembleArgs) -> Result<Exit, CommandError> {
    let configuration = session.configuration()?;
    let file = RecipeFile::read(&arguments.recipe.recipe)?;
    let assembly = file.assembly()?;
    // Whatever would make the build's end useless fails before it; the keys are not read yet.
    let key_path = Session::required(
        arguments.key.as_ref(),
        configuration.key.as_ref(),
        "signing key",
        "key",
    )?;
    keys::require_attestation(&key_path)?;
    let place = RecordPlace::find(&arguments.record, session)?;
    let named = arguments
        .builder_id
        .as_ref()
        .or(configuration.builder_id.as_ref());
    if named.is_none() {
        session.say(format!(
            "builder: no --builder-id is given, so it is {DEFAULT_BUILDER_ID}"
        ));
    }
    let builder_id = checked_identity(named.map_or(DEFAULT_BUILDER_ID, String::as_str))?;
    output::writable_directory(&arguments.output)?;
    let store = session.store(&arguments.recipe.store)?;
    let sources = session.sources(&arguments.recipe.sources, Some(&file.directory))?;

    let started_on = now();
    fetch(session, &assembly, &sources, &store)?;
    if let Some(directory) = &arguments.archive_inputs {
        let report =
            counterseal_inputs::write_archive(&assembly.lock, &store, directory).or_usage()?;
        session.say(format!(
            "input archive {}: {} blobs, {} bytes",
            directory.display(),
            report.items,
            report.bytes
        ));
    }
    let (prepared, assembled) = build(session, arguments, &assembly, &store)?;
    let invocation = Invocation {
        builder_id,
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        invocation_id: format!("urn:uuid:{}", uuid::Uuid::new_v4()),
        started_on,
        finished_on: now(),
    };
    let trace = traced(&assembly, &prepared, &assembled, &store, &invocation)?;
    let statement =
        statement(&assembly, &prepared, &assembled, &invocation, trace.hash).or_usage()?;
    keep(&file, &assembly, &prepared, &assembled, trace, &store)?;
    let _lock = evidence::lock(session, &arguments.output)?;
    let artifacts = write_artifacts(&arguments.output, &assembled, trace, &store)?;
    let trust = trust::in_own(
        &keys::public_path(&key_path),
        &invocation.builder_id,
        &place.public_key_path(),
    )
    .ok();
    let outputs = assembled.outputs.iter().zip(&artifacts);
    let standing: Option<Vec<(PathBuf, Bundle)>> = outputs
        .map(|(finished, artifact)| {
            let path = evidence::beside(artifact);
            let sound = evidence::read(&path).ok()?.into_iter().find(|bundle| {
                says_same(&bundle.envelope.payload, &statement)
                    && is_sound(bundle, &finished.digest, trust.as_ref())
            })?;
            Some((path, sound))
        })
        .collect();
    if let Some(standing) = standing {
        for (path, bundle) in &standing {
            place.demand_held(path, bundle)?;
        }
        // Left by a run that ended after its evidence was complete.
        let _ = std::fs::remove_file(pending_path(&arguments.output, &assembly));
        session.say("unchanged: artifacts and evidence are up to date");
    } else {
        publish(
            session,
            &statement,
            &key_path,
            &place,
            &arguments.output,
            &artifacts,
            &assembly,
        )?;
    }
    let variation = match &arguments.vary {
        Some(switches) => Some(vary::run(
            session,
            switches,
            &assembly,
            (&prepared, &assembled),
            &store,
            &waived(arguments),
        )?),
        None => None,
    };
    report(arguments, &assembled, &artifacts, variation.as_ref())?;
    match variation {
        Some(variation) if !variation.is_identical() => Ok(Exit::Failed),
        _ => Ok(Exit::Success),
    }
}

fn waived(arguments: &AssembleArgs) -> BTreeSet<Guarantee> {
    arguments.waive.waived.iter().copied().collect()
}

fn build(
    session: &Session,
    arguments: &AssembleArgs,
    assembly: &Assembly,
    store: &Store,
) -> Result<(Prepared, Assembled), CommandError> {
    let prepared = prepare(assembly, store).map_err(|error| failure(&error))?;
    let options = ExecuteOptions {
        cache: if arguments.no_cache {
            CachePolicy::Ignore
        } else {
            CachePolicy::Use
        },
        waived: waived(arguments),
    };
    let assembled = execute(assembly, &prepared, store, &options, &mut |step| {
        session.say(format!("step {step}"));
    })
    .map_err(|error| failure(&error))?;
    if assembled.cached {
        session.say("steps: nothing changed since an earlier run, result taken from the store");
    }
    Ok((prepared, assembled))
}

/// The runtime trace, in the store.
fn traced(
    assembly: &Assembly,
    prepared: &Prepared,
    assembled: &Assembled,
    store: &Store,
    invocation: &Invocation,
) -> Result<Digest, CommandError> {
    let trace = trace(assembly, prepared, assembled, store, &invocation.builder_id).or_usage()?;
    let document = trace.to_document().or_exit(Exit::Internal)?;
    store.put_bytes(&document).or_usage()
}

/// A failed build is "tried, and false" (1); what keeps it from being tried, the machine included, is
/// usage (2).
pub(crate) fn failure(error: &AssemblyError) -> CommandError {
    let exit = match error {
        error if error.is_machine_fault() => Exit::Usage,
        AssemblyError::StepFailed { .. }
        | AssemblyError::Sandbox { .. }
        | AssemblyError::OutputMissing { .. }
        | AssemblyError::OutputRefused { .. } => Exit::Failed,
        _ => Exit::Usage,
    };
    advised(CommandError::new(exit, chain(error)), error)
}

/// Adds what can be done about it, if the sandbox knows.
pub(crate) fn advised(failure: CommandError, error: &AssemblyError) -> CommandError {
    match error {
        AssemblyError::Sandbox { source, .. } => match source.advice() {
            Some(advice) => failure.hint(advice),
            None => failure,
        },
        _ => failure,
    }
}

/// Pins inputs and results of this recipe's newest assembly of its product and version, so that
/// `store gc` leaves them: the cached result, too. Unpacked packages go; they are large, and made
/// again of the inputs.
fn keep(
    file: &RecipeFile,
    assembly: &Assembly,
    prepared: &Prepared,
    assembled: &Assembled,
    trace: Digest,
    store: &Store,
) -> Result<(), CommandError> {
    // A cached result that cannot be read is made again, and no reason to fail now.
    let cached = store.action_result_parts(&prepared.action());
    let roots: Vec<Digest> = assembly
        .lock
        .inputs
        .iter()
        .flat_map(|input| &input.items)
        .map(counterseal_inputs::LockedItem::digest)
        .chain(assembled.outputs.iter().map(|output| output.digest))
        .chain(assembled.logs.iter().map(|log| log.digest))
        .chain(cached.unwrap_or_default())
        .chain([trace])
        .collect();
    store.pin(&pin_name(file, assembly)?, &roots).or_usage()
}

/// A name for what a recipe makes. Two recipes may make one version of one product, for two
/// architectures say: neither lets go of what the other needs. A recipe that is edited stays the
/// same one, so that what it no longer makes can be collected.
fn pin_name(file: &RecipeFile, assembly: &Assembly) -> Result<String, CommandError> {
    let path = file.directory.join(&file.name);
    let path = path
        .canonicalize()
        .map_err(|error| CommandError::usage(format!("cannot find {}: {error}", path.display())))?;
    let recipe = Sha256Digest::of(path.as_os_str().as_bytes()).to_string();
    Ok(format!("{}-{}", short_name(assembly), &recipe[..16]))
}

/// A name for the product and version that is no longer than a file's may be, with a part of their
/// hash, so that no two share it.
fn short_name(assembly: &Assembly) -> String {
    let product = &assembly.recipe.product;
    let plain = |text: &str| -> String {
        text.chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .take(64)
            .collect()
    };
    let identity = format!("{}\0{}", product.name, product.version);
    let hash = Sha256Digest::of(identity.as_bytes()).to_string();
    format!(
        "{}-{}-{}",
        plain(&product.name),
        plain(&product.version),
        &hash[..16]
    )
}

/// Writes artifacts and, beside each, the runtime trace; what is there already stays.
fn write_artifacts(
    directory: &Path,
    assembled: &Assembled,
    trace: Digest,
    store: &Store,
) -> Result<Vec<PathBuf>, CommandError> {
    let write = |path: &Path, is_executable: bool, content: &Digest| {
        if is_there(path, is_executable, content).unwrap_or(false) {
            return Ok(());
        }
        replace_with_blob(path, is_executable, store, content)
    };
    let mut paths = Vec::new();
    for finished in &assembled.outputs {
        let path = directory.join(&finished.name);
        write(&path, finished.executable, &finished.digest)?;
        write(&evidence::trace_beside(&path), false, &trace)?;
        paths.push(path);
    }
    Ok(paths)
}

/// Whether a file has this content and can be executed if, and only if, it should be. Who else may
/// read it is the owner's business.
fn is_there(path: &Path, is_executable: bool, content: &Digest) -> std::io::Result<bool> {
    let file = open_regular(path)?;
    let mode = file.metadata()?.permissions().mode();
    Ok((mode & 0o111 != 0) == is_executable && Digest::of_reader(file)? == *content)
}

/// Whether a signed payload differs from `wanted` in nothing but the run's own metadata.
fn says_same(payload: &[u8], wanted: &Statement<Provenance>) -> bool {
    let Ok(mut found) = Statement::<Provenance>::parse(payload) else {
        return false;
    };
    found.predicate.run_details.metadata = wanted.predicate.run_details.metadata.clone();
    found == *wanted
}

/// Whether a bundle is what a verifier wants who trusts this key and this record.
fn is_sound(bundle: &Bundle, artifact: &Digest, trust: Option<&Trust>) -> bool {
    trust.is_some_and(|trust| {
        let line = bundle.to_line();
        let request = Request {
            evidence: line.as_bytes(),
            artifact: artifact.hash,
            artifact_name: None,
            trust,
            now: now(),
        };
        verify(&request, &Native).outcome == Outcome::Verified
    })
}

fn publish(
    session: &Session,
    statement: &Statement<Provenance>,
    key_path: &Path,
    place: &RecordPlace,
    directory: &Path,
    artifacts: &[PathBuf],
    assembly: &Assembly,
) -> Result<(), CommandError> {
    let payload = statement.to_payload().or_exit(Exit::Internal)?;
    let pending = pending_path(directory, assembly);
    // Every process of the build has ended: from here on, and not before, a key is in memory.
    let key = keys::attestation(key_path)?;
    let earlier = evidence::unfinished(&pending, &key)
        .filter(|envelope| says_same(&envelope.payload, statement));
    let envelope = match earlier {
        Some(envelope) => envelope,
        None => evidence::sign(&payload, &key, &pending)?,
    };
    let bundle = place.add(envelope, &key)?;
    for artifact in artifacts {
        let path = evidence::beside(artifact);
        if let Some(kept) = evidence::keep_replaced(&path)? {
            session.say(format!(
                "{}: what was there is kept as {}",
                path.display(),
                kept.display()
            ));
        }
        evidence::write(&path, std::slice::from_ref(&bundle))?;
    }
    evidence::finished(&pending)
}

/// Where a signed envelope waits until it is recorded and beside every artifact.
fn pending_path(directory: &Path, assembly: &Assembly) -> PathBuf {
    directory.join(format!(".{}.pending", short_name(assembly)))
}

fn report(
    arguments: &AssembleArgs,
    assembled: &Assembled,
    artifacts: &[PathBuf],
    variation: Option<&Variation>,
) -> Result<(), CommandError> {
    if arguments.json {
        let outputs: Vec<serde_json::Value> = assembled
            .outputs
            .iter()
            .zip(artifacts)
            .map(|(finished, path)| {
                serde_json::json!({
                    "name": finished.name,
                    "path": path,
                    "sha256": finished.digest.hash,
                    "sizeBytes": finished.digest.size_bytes,
                    "evidence": evidence::beside(path),
                    "runtimeTrace": evidence::trace_beside(path),
                })
            })
            .collect();
        let mut document = serde_json::json!({
            "format": 1, "cached": assembled.cached, "outputs": outputs,
        });
        if let Some(variation) = variation {
            document["variation"] = vary::document(variation);
        }
        return output::result(document);
    }
    for (finished, path) in assembled.outputs.iter().zip(artifacts) {
        output::result(format!(
            "sha256:{}  {}",
            finished.digest.hash,
            path.display()
        ))?;
    }
    variation.map_or(Ok(()), vary::print)
}

#[cfg(test)]
mod tests {
    use counterseal_sandbox::{Exit as StepExit, SandboxError};

    use super::*;

    #[test]
    fn only_what_the_assembly_itself_is_to_blame_for_was_tried_and_is_false() {
        let sandbox = |source| AssemblyError::Sandbox {
            step: "try".to_owned(),
            source,
            tail: String::new(),
        };
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        for (error, expected) in [
            (
                AssemblyError::StepFailed {
                    step: "try".to_owned(),
                    exit: StepExit::Code(1).to_string(),
                    tail: String::new(),
                },
                Exit::Failed,
            ),
            (
                sandbox(SandboxError::LogExceeded { limit_bytes: 1 }),
                Exit::Failed,
            ),
            (sandbox(SandboxError::SetupKilled), Exit::Usage),
            (
                sandbox(SandboxError::HostLimit {
                    name: "nofile",
                    wanted: 2,
                    found: 1,
                }),
                Exit::Usage,
            ),
            (
                sandbox(SandboxError::Io {
                    doing: "writing",
                    path: None,
                    source: full,
                }),
                Exit::Usage,
            ),
        ] {
            assert_eq!(failure(&error).exit, expected, "{error}");
        }
    }
}
