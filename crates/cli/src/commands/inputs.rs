//! `counterseal show --inputs`: how much of each declared input a build was seen to open, from the
//! runtime trace beside the evidence. Decoded, not judged; but a trace that is not the one that the
//! provenance names is refused.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use counterseal_attestation::Sha256Digest;
use counterseal_attestation::bundle::{Bundle, EVIDENCE_SUFFIX};
use counterseal_attestation::provenance::Provenance;
use counterseal_attestation::runtime_trace::{InputUse, RuntimeTrace, TRACE_LIMITS};
use counterseal_attestation::statement::Statement;
use serde_json::json;

use crate::arguments::ShowArgs;
use crate::error::{CommandError, Exit, read_bounded};
use crate::session::Session;
use crate::{evidence, output};

/// Shows the inputs of the first provenance among `bundles`, which were read from `evidence`.
pub(crate) fn run(
    session: &Session,
    arguments: &ShowArgs,
    evidence: &Path,
    bundles: &[Bundle],
) -> Result<Exit, CommandError> {
    let named = bundles.iter().find_map(trace_digest).ok_or_else(|| {
        CommandError::new(
            Exit::NoConclusion,
            format!(
                "no provenance in {} names a runtime trace",
                evidence.display()
            ),
        )
    })?;
    let path = beside(evidence);
    if matches!(path.try_exists(), Ok(false)) {
        return Err(CommandError::new(
            Exit::NoConclusion,
            format!("there is no runtime trace at {}", path.display()),
        )
        .hint(format!("whoever assembled has it: sha256:{named}")));
    }
    let document = read_bounded(&path, TRACE_LIMITS.bytes_max as u64)?;
    let found = Sha256Digest::of(&document);
    if found != named {
        return Err(CommandError::new(
            Exit::Failed,
            format!(
                "{} is not the trace that the provenance names: expected sha256:{named}, found \
                 sha256:{found}",
                path.display()
            ),
        ));
    }
    let trace = Statement::<RuntimeTrace>::of_document(&document)
        .map_err(|error| CommandError::usage(format!("{}: {error}", path.display())))?;
    report(session, arguments, &trace.predicate)?;
    Ok(Exit::Success)
}

fn trace_digest(bundle: &Bundle) -> Option<Sha256Digest> {
    let statement = Statement::<Provenance>::parse(&bundle.envelope.payload).ok()?;
    let byproducts = statement.predicate.run_details.byproducts;
    let trace = byproducts
        .into_iter()
        .find(|one| one.name.as_deref() == Some(counterseal_assembly::TRACE_NAME))?;
    trace.digest?.sha256()
}

/// The trace that stands beside evidence.
fn beside(path: &Path) -> PathBuf {
    let name = path.as_os_str().as_bytes();
    let artifact = name.strip_suffix(EVIDENCE_SUFFIX.as_bytes());
    evidence::trace_beside(Path::new(OsStr::from_bytes(artifact.unwrap_or(name))))
}

fn report(
    session: &Session,
    arguments: &ShowArgs,
    trace: &RuntimeTrace,
) -> Result<(), CommandError> {
    let is_touched = |input: &&InputUse| input.files_opened > 0 || input.links_followed > 0;
    let (opened, untouched): (Vec<&InputUse>, Vec<&InputUse>) =
        trace.inputs.iter().partition(is_touched);
    if arguments.json {
        return output::result(json!({
            "format": 1,
            "declared": trace.inputs.len(),
            "opened": opened.len(),
            "neverTouched": untouched.len(),
            "inputs": trace.inputs,
            "files": trace.monitor_log.file_access,
        }));
    }
    for (state, inputs) in [("opened", &opened), ("untouched", &untouched)] {
        for input in inputs {
            output::text(format!(
                "{state:<9}  {:>5} of {:>5} files, {:>3} links  {}",
                input.files_opened,
                input.files_declared,
                input.links_followed,
                input.uri.as_ref().unwrap_or(&input.name)
            ))?;
        }
    }
    session.say(format!(
        "inputs: {} declared, {} opened, {} never touched; shown, not verified",
        trace.inputs.len(),
        opened.len(),
        untouched.len()
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_stand_beside_artifacts_of_any_name() {
        for (evidence, trace) in [
            (
                &b"out/a.deb.sigstore.jsonl"[..],
                &b"out/a.deb.runtime-trace.json"[..],
            ),
            (b"caf\xe9.sigstore.jsonl", b"caf\xe9.runtime-trace.json"),
            (b"other", b"other.runtime-trace.json"),
        ] {
            let found = beside(Path::new(OsStr::from_bytes(evidence)));
            assert_eq!(found.as_os_str().as_bytes(), trace);
        }
    }
}
