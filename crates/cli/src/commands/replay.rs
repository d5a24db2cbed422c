//! `counterseal replay`: rebuild from provenance alone, compare, sign what was found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use counterseal_attestation::bundle::Bundle;
use counterseal_replay::{
    Auditor, ReplayError, ReplayOptions, Replayable, Replayed, Verdict, replay, statement,
};
use counterseal_store::{Digest, Store, open_regular};
use counterseal_verify::{Outcome, Request, Trust, verify};
use counterseal_verify_cli::native_provider::Native;

use crate::arguments::ReplayArgs;
use crate::blob_files::replace_with_blob;
use crate::commands::assemble::advised;
use crate::error::{CommandError, Exit, OrExit, chain, read_bounded, read_text};
use crate::evidence::{self, RecordPlace};
use crate::session::{Session, checked_identity, now};
use crate::{keys, output};

/// Identity of a replayer that was not given one.
const DEFAULT_AUDITOR_ID: &str = "https://counterseal.dev/auditors/unnamed";

pub(crate) fn run(session: &Session, arguments: &ReplayArgs) -> Result<Exit, CommandError> {
    let path = evidence::locate(&arguments.bundle)?;
    let bundles = evidence::read(&path)?;
    // The first provenance of our build type is what is replayed; verdicts stand after it.
    let (bundle, replayable) = bundles
        .iter()
        .find_map(|bundle| Some((bundle, Replayable::from_bundle(bundle).ok()?)))
        .ok_or_else(|| match bundles.first().map(Replayable::from_bundle) {
            Some(Err(error)) => CommandError::usage(chain(&error)),
            _ => CommandError::usage(format!("{} holds no provenance", path.display())),
        })?;
    demand_artifact(&arguments.bundle, &path, &replayable)?;
    let record = &arguments.record;
    if arguments.sign.is_none() && (record.record.is_some() || record.record_key.is_some()) {
        return Err(CommandError::usage(
            "a record is named, but there will be nothing to record: no --sign KEY is given",
        ));
    }
    let named = arguments.auditor_id.as_deref();
    let auditor_id = checked_identity(named.unwrap_or(DEFAULT_AUDITOR_ID))?;
    if let Some(output) = &arguments.output {
        refuse_to_replace(output, &replayable)?;
        output::writable_directory(output)?;
    }
    let place = match &arguments.sign {
        Some(key) => {
            if named.is_none() {
                session.say(format!(
                    "auditor: no --auditor-id is given, so it is {DEFAULT_AUDITOR_ID}"
                ));
            }
            keys::require_attestation(key)?;
            let place = RecordPlace::find(&arguments.record, session)?;
            // Here, so that no rebuild is for nothing; once more when nobody else may write.
            demand_own(&place, &path, bundle, &replayable)?;
            output::writable_directory(output::folder(&path))?;
            Some(place)
        }
        None => None,
    };
    match &arguments.trust {
        Some(trust) => demand_verified(trust, &path, &replayable)?,
        None => session.say("provenance: signature not checked (--trust FILE checks it first)"),
    }
    let directory = output::folder(&path);
    let store = session.store(&arguments.store)?;
    let started_on = now();
    let replayed = rebuild(session, arguments, &replayable, directory, &store)?;
    let auditor = Auditor {
        id: auditor_id,
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        started_on,
        finished_on: now(),
    };
    if let (Some(key), Some(place)) = (&arguments.sign, &place) {
        // Whatever happens from here on, it has been found out.
        session.say(format!("found: {}; signing it", replayed.verdict));
        let payload = statement(&replayable, &replayed, &auditor)
            .to_payload()
            .or_exit(Exit::Internal)?;
        let key = keys::attestation(key)?;
        let _lock = evidence::lock(session, directory)?;
        demand_own(place, &path, bundle, &replayable)?;
        // Each auditor's unfinished verdict is its own to finish.
        let mut pending = path.as_os_str().to_owned();
        pending.push(format!(".{}.pending", &key.keyid()[..16]));
        let pending = PathBuf::from(pending);
        // Every replay is an observation of its own: one that was cut short after it was signed
        // is completed, and this one stands after it.
        if let Some(earlier) = evidence::unfinished(&pending, &key) {
            let verdict = place.add(earlier, &key)?;
            append(&path, bundle, &replayable, &verdict)?;
        }
        let envelope = evidence::sign(&payload, &key, &pending)?;
        let verdict = place.add(envelope, &key)?;
        append(&path, bundle, &replayable, &verdict)?;
        evidence::finished(&pending)?;
    }
    report(arguments, &replayable, &replayed)?;
    Ok(match replayed.verdict {
        Verdict::Reproduced | Verdict::Equivalent => Exit::Success,
        Verdict::Differs => Exit::Failed,
        Verdict::CouldNotRebuild => Exit::NoConclusion,
    })
}

fn rebuild(
    session: &Session,
    arguments: &ReplayArgs,
    replayable: &Replayable,
    directory: &Path,
    store: &Store,
) -> Result<Replayed, CommandError> {
    // No base directory: what stood beside the recipe must come from a store or an archive.
    let sources = session.sources(&arguments.sources, None)?;
    let originals: BTreeMap<String, PathBuf> = replayable
        .expected
        .iter()
        .filter(|(name, _)| is_plain_file_name(name))
        .map(|(name, _)| (name.clone(), directory.join(name)))
        .collect();
    let options = ReplayOptions {
        originals,
        waived: arguments.waive.waived.iter().copied().collect(),
    };
    let bar = session.bar();
    let replayed = replay(replayable, store, &sources, &options, &bar, &mut |step| {
        bar.clear();
        session.say(format!("step {step}"));
    });
    bar.clear();
    let replayed = replayed.map_err(|error| {
        let failure = CommandError::usage(chain(&error));
        match &error {
            ReplayError::Inputs(_) => failure.hint(
                "name the vendor's input archive with --input-archive DIR; no verdict was made",
            ),
            ReplayError::Machine(error) => advised(failure, error),
            _ => failure,
        }
    })?;
    if let Some(output) = &arguments.output {
        output::directory(output)?;
        for finished in &replayed.outputs {
            let path = output.join(&finished.name);
            replace_with_blob(&path, finished.executable, store, &finished.digest)?;
        }
    }
    Ok(replayed)
}

/// Where an artifact was named, it must be one that its evidence is about.
fn demand_artifact(
    named: &Path,
    evidence: &Path,
    replayable: &Replayable,
) -> Result<(), CommandError> {
    if named == evidence {
        return Ok(());
    }
    let found = open_regular(named)
        .and_then(Digest::of_reader)
        .map_err(|error| {
            CommandError::usage(format!("cannot read {}: {error}", named.display())).hint(format!(
                "to replay without the artifact, name {}",
                evidence.display()
            ))
        })?
        .hash;
    if replayable
        .expected
        .iter()
        .any(|(_, digest)| *digest == found)
    {
        return Ok(());
    }
    Err(CommandError::new(
        Exit::Failed,
        format!(
            "{} has sha256:{found}, which its evidence is not about",
            named.display()
        ),
    )
    .hint(format!(
        "to replay what the evidence is about, name {}",
        evidence.display()
    )))
}

/// What a rebuild leaves may not take the place of anything, such as of what it is compared with.
fn refuse_to_replace(output: &Path, replayable: &Replayable) -> Result<(), CommandError> {
    let names = replayable.expected.iter().map(|(name, _)| name);
    let names = names.filter(|name| is_plain_file_name(name));
    for path in names.map(|name| output.join(name)) {
        if path.symlink_metadata().is_ok() {
            return Err(CommandError::usage(format!(
                "{} is there already; give --output another directory",
                path.display()
            )));
        }
    }
    Ok(())
}

/// The provenance must verify for one of its subjects before anything of it is run.
fn demand_verified(
    trust: &Path,
    evidence_path: &Path,
    replayable: &Replayable,
) -> Result<(), CommandError> {
    let text = read_text(trust, counterseal_verify::TRUST_BYTES_MAX as u64)?;
    let trust = Trust::parse(&text)
        .map_err(|error| CommandError::usage(format!("{}: {error}", trust.display())))?
        .before_replays();
    let bytes = read_bounded(
        evidence_path,
        counterseal_attestation::bundle::FILE_BYTES_MAX as u64,
    )?;
    for (name, digest) in &replayable.expected {
        let request = Request {
            evidence: &bytes,
            artifact: *digest,
            artifact_name: Some(name),
            trust: &trust,
            now: now(),
        };
        let verdict = verify(&request, &Native);
        let provenance = verdict
            .product
            .as_ref()
            .map(|product| product.provenance_sha256);
        if verdict.outcome != Outcome::Verified || provenance != Some(replayable.payload_digest) {
            let mut obstacles: Vec<String> = verdict
                .obstacles()
                .map(|check| format!("{}: {}", check.code, check.detail))
                .collect();
            if obstacles.is_empty() {
                obstacles.push("another statement of the evidence does".to_owned());
            }
            return Err(CommandError::new(
                Exit::Failed,
                format!("the provenance does not verify: {}", obstacles.join("; ")),
            ));
        }
    }
    Ok(())
}

/// Appends the verdict to the evidence of every subject that has the same provenance beside it.
fn append(
    path: &Path,
    bundle: &Bundle,
    replayable: &Replayable,
    verdict: &Bundle,
) -> Result<(), CommandError> {
    let recorded = verdict.envelope.payload_digest();
    for (path, mut bundles) in sharing(path, bundle, replayable)? {
        if !evidence::holds(&bundles, &recorded) {
            bundles.push(verdict.clone());
            evidence::write(&path, &bundles)?;
        }
    }
    Ok(())
}

/// Refuses a record that any of the evidence to which the verdict would be appended is not in.
fn demand_own(
    place: &RecordPlace,
    path: &Path,
    bundle: &Bundle,
    replayable: &Replayable,
) -> Result<(), CommandError> {
    for (path, bundles) in sharing(path, bundle, replayable)? {
        place.demand_own(&path, &bundles)?;
    }
    Ok(())
}

/// The evidence at `path` and that of every other subject, as far as the same provenance is in it.
fn sharing(
    path: &Path,
    bundle: &Bundle,
    replayable: &Replayable,
) -> Result<Vec<(PathBuf, Vec<Bundle>)>, CommandError> {
    let directory = path.parent().unwrap_or(Path::new(""));
    let payload = bundle.envelope.payload_digest();
    let mut paths = vec![path.to_owned()];
    for (name, _) in &replayable.expected {
        let other = evidence::beside(&directory.join(name));
        if is_plain_file_name(name) && !paths.contains(&other) && other.exists() {
            paths.push(other);
        }
    }
    let mut sharing = Vec::new();
    for path in paths {
        let bundles = evidence::read(&path)?;
        if evidence::holds(&bundles, &payload) {
            sharing.push((path, bundles));
        }
    }
    Ok(sharing)
}

/// Subject names come from the evidence: only a plain file name is looked up on disk.
fn is_plain_file_name(name: &str) -> bool {
    !name.is_empty() && !matches!(name, "." | "..") && !name.contains(['/', '\0'])
}

fn report(
    arguments: &ReplayArgs,
    replayable: &Replayable,
    replayed: &Replayed,
) -> Result<(), CommandError> {
    if arguments.json {
        return output::result(serde_json::json!({
            "format": 1,
            "verdict": replayed.verdict,
            "reason": replayed.reason,
            "provenanceSha256": replayable.payload_digest,
            "rebuilt": replayed.rebuilt,
            "differences": replayed.differences,
            "signed": arguments.sign.is_some(),
        }));
    }
    output::text(format!("verdict: {}", replayed.verdict))?;
    if let Some(reason) = &replayed.reason {
        output::text(format!("reason: {reason}"))?;
    }
    for subject in &replayed.rebuilt {
        if let Some(digest) = subject.digest.sha256() {
            output::text(format!("rebuilt sha256:{digest}  {}", subject.name))?;
        }
    }
    for difference in &replayed.differences {
        let found = match difference.found {
            Some(found) => format!("sha256:{found}"),
            None => "nothing".to_owned(),
        };
        output::text(format!(
            "differs {}: expected sha256:{}, found {found}",
            difference.name, difference.expected
        ))?;
        if let Some(offset) = difference.first_difference_bytes_offset {
            output::text(format!("  first difference at byte {offset}"))?;
        }
    }
    Ok(())
}
