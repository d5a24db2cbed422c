//! `counterseal record init|add|check`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use counterseal_attestation::bundle::Bundle;
use counterseal_record::{CheckFailure, Record};
use counterseal_verify::{CryptoProvider, PublicKey};
use counterseal_verify_cli::native_provider::Native;

use crate::arguments::RecordVerb;
use crate::error::{CommandError, Exit, OrExit, chain};
use crate::evidence::Standing;
use crate::session::Session;
use crate::{evidence, keys, output};

pub(crate) fn run(session: &Session, verb: &RecordVerb) -> Result<Exit, CommandError> {
    match verb {
        RecordVerb::Init { directory, key } => {
            let key = keys::record(key)?;
            let record = Record::create(directory, &key).or_usage()?;
            session.say(format!(
                "record {} in {}",
                record.origin(),
                directory.display()
            ));
            output::result(key.verifier_key())?;
            Ok(Exit::Success)
        }
        RecordVerb::Add {
            directory,
            evidence,
            public_keys,
            key,
        } => add(session, directory, evidence, public_keys, key),
        RecordVerb::Check {
            directory,
            public_key,
        } => check(session, directory, public_key),
    }
}

fn add(
    session: &Session,
    directory: &Path,
    evidence_path: &Path,
    public_keys: &[PathBuf],
    key: &Path,
) -> Result<Exit, CommandError> {
    let signers: Vec<PublicKey> = public_keys
        .iter()
        .map(|path| keys::public(path))
        .collect::<Result<_, _>>()?;
    let _lock = evidence::lock(session, output::folder(evidence_path))?;
    let mut bundles = evidence::read(evidence_path)?;
    if bundles.is_empty() {
        return Err(CommandError::new(
            Exit::NoConclusion,
            format!("{} holds no evidence", evidence_path.display()),
        ));
    }
    let record = Record::open(directory).or_usage()?;
    let record = record.telling(session.waiting_for_record());
    let key = keys::record(key)?;
    // Of another key nothing could be said about the receipts.
    record
        .check_signer(&key)
        .map_err(|error| CommandError::usage(chain(&error)))?;
    // Everything is checked before anything is recorded.
    let mut signed_by = Vec::new();
    for (index, bundle) in bundles.iter().enumerate() {
        let at = |what: String| {
            CommandError::new(
                Exit::Failed,
                format!("{} line {}: {what}", evidence_path.display(), index + 1),
            )
        };
        let signer = signer_of(bundle, &signers)
            .ok_or_else(|| at("the signature is by none of the given public keys".to_owned()))?;
        if let Some(entry) = &bundle.entry {
            let leaf = evidence::leaf(&bundle.envelope, signer.spki_der());
            let foreign = format!("its receipt is not of the record {}", record.origin());
            if entry.canonicalized_body != leaf {
                return Err(at(foreign));
            }
            match Standing::of(entry, &record, key.verifier_key())? {
                Standing::Held => {}
                Standing::Stranger => return Err(at(foreign)),
                Standing::Lost => return Err(evidence::lost(&at(foreign).message, entry)),
            }
        }
        signed_by.push(signer);
    }
    for (bundle, signer) in bundles.iter_mut().zip(signed_by) {
        if bundle.entry.is_none() {
            let entry = evidence::add(&record, &key, &bundle.envelope, signer.spki_der())?;
            bundle.entry = Some(entry);
        }
    }
    // A link to the evidence stays one: the file that it leads to is replaced.
    let target = evidence_path
        .canonicalize()
        .unwrap_or_else(|_| evidence_path.to_owned());
    evidence::write(&target, &bundles).map_err(|error| {
        error.hint("the entries are recorded, only the receipts are not written: run this again")
    })?;
    for bundle in &bundles {
        if let Some(entry) = &bundle.entry {
            output::result(format!("index {}", entry.log_index))?;
        }
    }
    Ok(Exit::Success)
}

/// The key that signed a bundle's envelope. The record takes nothing that its own verifiers would
/// refuse.
fn signer_of<'a>(bundle: &Bundle, signers: &'a [PublicKey]) -> Option<&'a PublicKey> {
    let envelope = &bundle.envelope;
    signers.iter().find(|signer| {
        signer.keyid() == envelope.keyid
            && Native
                .verify_p256_sha256(signer.spki_der(), &envelope.pae(), &envelope.signature)
                .is_ok()
    })
}

fn check(session: &Session, directory: &Path, public_key: &Path) -> Result<Exit, CommandError> {
    let key = keys::public_of_record(public_key)?;
    let verifier = keys::verifier_of_record(key);
    let has = |name: &str| directory.join(name).exists();
    if !has("checkpoint") && !has("tile") && !has(".state") {
        return Err(CommandError::usage(format!(
            "{} holds no record",
            directory.display()
        )));
    }
    match Record::check(directory, &verifier, session.waiting_for_record()) {
        Ok(report) => {
            output::result(format!(
                "{}: {} entries, {} tiles, {} entry bundles, all recomputed; checkpoint signature holds",
                report.checkpoint.origin, report.checkpoint.size, report.tiles, report.bundles
            ))?;
            for path in &report.unpublished {
                session.say(format!(
                    "unpublished leftover of an interrupted append: {}",
                    path.display()
                ));
            }
            Ok(Exit::Success)
        }
        Err(failure) => {
            let exit = if failure.is_damage() {
                Exit::Failed
            } else {
                Exit::Usage
            };
            Err(CommandError::new(exit, chain(&failure)).hint(advice(&failure)))
        }
    }
}

/// What to do next; the check itself changes nothing.
fn advice(failure: &CheckFailure) -> &'static str {
    match failure {
        CheckFailure::Note { .. } | CheckFailure::Origin { .. } => {
            "either the key is another record's: compare it with the one that the operator published; \
             or the checkpoint is damaged: restore the named file from a mirror or a backup"
        }
        CheckFailure::Stray { .. } => "move the named file away; nothing was changed",
        failure if failure.is_damage() => {
            "restore the named file from a mirror or a backup; nothing was changed"
        }
        CheckFailure::Unreadable { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            "check the record as a user who may read all of it; nothing was changed"
        }
        _ => "this says nothing of the record: see why it cannot be read, and check again",
    }
}
