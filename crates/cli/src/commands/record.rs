//! `counterseal record init|add|check`.

use std::path::Path;

use counterseal_record::Record;
use counterseal_verify::CryptoProvider;
use counterseal_verify_cli::native_provider::Native;

use crate::arguments::RecordVerb;
use crate::error::{CommandError, Exit, OrExit, chain};
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
            output::result(key.verifier_key());
            Ok(Exit::Success)
        }
        RecordVerb::Add {
            directory,
            evidence,
            public_key,
            key,
        } => add(directory, evidence, public_key, key),
        RecordVerb::Check {
            directory,
            public_key,
        } => check(directory, public_key),
    }
}

fn add(
    directory: &Path,
    evidence_path: &Path,
    public_key: &Path,
    key: &Path,
) -> Result<Exit, CommandError> {
    let signer = keys::public(public_key)?;
    let spki_der = signer.spki_der();
    let mut bundles = evidence::read(evidence_path)?;
    let record = Record::open(directory).or_usage()?;
    let key = keys::record(key)?;
    for (index, bundle) in bundles.iter_mut().enumerate() {
        if bundle.entry.is_some() {
            continue;
        }
        let envelope = &bundle.envelope;
        // The record takes nothing that its own verifiers would refuse.
        Native
            .verify_p256_sha256(spki_der, &envelope.pae(), &envelope.signature)
            .map_err(|error| {
                CommandError::new(
                    Exit::Failed,
                    format!(
                        "{} line {}: the signature is not by {}: {error}",
                        evidence_path.display(),
                        index + 1,
                        public_key.display()
                    ),
                )
            })?;
        bundle.entry = Some(evidence::add(&record, &key, envelope, spki_der)?);
    }
    evidence::write(evidence_path, &bundles)?;
    for bundle in &bundles {
        if let Some(entry) = &bundle.entry {
            output::result(format!("index {}", entry.log_index));
        }
    }
    Ok(Exit::Success)
}

fn check(directory: &Path, public_key: &Path) -> Result<Exit, CommandError> {
    let key = keys::public_of_record(public_key)?;
    let verifier = key.verifier(|key: &[u8; 32], message: &[u8], signature: &[u8; 64]| {
        Native.verify_ed25519(key, message, signature).is_ok()
    });
    if !directory.join("checkpoint").exists() {
        return Err(CommandError::usage(format!(
            "{} holds no record",
            directory.display()
        )));
    }
    match Record::check(directory, &verifier) {
        Ok(report) => {
            output::result(format!(
                "{}: {} entries, {} tiles, {} entry bundles, all recomputed; checkpoint signature holds",
                report.checkpoint.origin, report.checkpoint.size, report.tiles, report.bundles
            ));
            for path in &report.unpublished {
                eprintln!(
                    "unpublished leftover of an interrupted append: {}",
                    path.display()
                );
            }
            Ok(Exit::Success)
        }
        Err(failure) => Err(CommandError::new(Exit::Failed, chain(&failure))
            .hint("restore the named file from a mirror or a backup; nothing was changed")),
    }
}
