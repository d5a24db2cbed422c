//! Evidence files: sign, record, write, append.
//!
//! An evidence file is JSON Lines of Sigstore bundles beside the artifact. The order of work makes
//! a kill at any moment harmless: the signed envelope is on disk before it is recorded, recording
//! is idempotent, and the evidence file appears last and whole. The next run finds the pending
//! envelope and goes on from there, so that nothing is recorded twice.

use std::fs::{File, TryLockError};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use counterseal_attestation::Sha256Digest;
use counterseal_attestation::bundle::{
    Bundle, EVIDENCE_SUFFIX, InclusionProof, LINE_BYTES_MAX, LINES_MAX, LogEntry, numbered_lines,
};
use counterseal_attestation::dsse::{Envelope, IN_TOTO_PAYLOAD_TYPE};
use counterseal_attestation::hashedrekord;
use counterseal_attestation::runtime_trace::TRACE_SUFFIX;
use counterseal_record::{Receipt, Record, RecordError, Waiting};
use counterseal_signing::{AttestationKey, RecordKey};
use counterseal_tlog::note::{self, VerifierKey};
use counterseal_verify_cli::open_regular;

use crate::arguments::RecordOptions;
use crate::error::{CommandError, Exit, OrExit, chain, read_bounded};
use crate::session::Session;
use crate::{keys, output};

/// Largest evidence file that is read, in bytes.
const EVIDENCE_BYTES_MAX: u64 = counterseal_attestation::bundle::FILE_BYTES_MAX as u64;

/// The evidence file beside an artifact.
pub(crate) fn beside(artifact: &Path) -> PathBuf {
    with_suffix(artifact, EVIDENCE_SUFFIX)
}

/// The runtime trace beside an artifact.
pub(crate) fn trace_beside(artifact: &Path) -> PathBuf {
    with_suffix(artifact, TRACE_SUFFIX)
}

fn with_suffix(artifact: &Path, suffix: &str) -> PathBuf {
    let mut name = artifact.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The evidence file that a person means: the one beside an artifact, or the file itself, which
/// may have any name. An artifact that has none leaves no conclusion; what is not there at all
/// cannot be read.
pub(crate) fn locate(path: &Path) -> Result<PathBuf, CommandError> {
    let beside = beside(path);
    let name = path.as_os_str().as_bytes();
    let is_evidence = name.ends_with(EVIDENCE_SUFFIX.as_bytes())
        || !beside.exists() && begins_like_evidence(path);
    if is_evidence {
        return Ok(path.to_owned());
    }
    // Where it cannot be told whether there is one, reading it will say why.
    let is_missing = |path: &Path| matches!(path.try_exists(), Ok(false));
    match (is_missing(&beside), is_missing(path)) {
        (false, _) => Ok(beside),
        (true, false) if path.is_dir() => Err(CommandError::usage(format!(
            "{} is a directory, and there is no {}",
            path.display(),
            beside.display()
        ))),
        (true, false) => Err(CommandError::new(
            Exit::NoConclusion,
            format!("there is no evidence at {}", beside.display()),
        )),
        (true, true) => Err(CommandError::usage(format!(
            "there is neither {} nor {}",
            path.display(),
            beside.display()
        ))),
    }
}

/// Whether a file could be JSON Lines: an artifact without evidence beside it is not taken for
/// evidence that cannot be read.
fn begins_like_evidence(path: &Path) -> bool {
    let mut first = [0];
    let file = open_regular(path).ok().flatten();
    file.is_some_and(|mut file| file.read_exact(&mut first).is_ok() && first == *b"{")
}

/// Reads every bundle of an evidence file. One that is damaged is unreadable here; that it fails a
/// check is for the verifier to say.
pub(crate) fn read(path: &Path) -> Result<Vec<Bundle>, CommandError> {
    let bytes = read_bounded(path, EVIDENCE_BYTES_MAX)?;
    let at =
        |error: &dyn std::fmt::Display| CommandError::usage(format!("{}: {error}", path.display()));
    let lines = numbered_lines(&bytes).map_err(|error| at(&error))?;
    lines
        .into_iter()
        .map(|(number, line)| {
            Bundle::parse(line).map_err(|error| at(&format!("line {number}: {error}")))
        })
        .collect()
}

/// Writes an evidence file whole, unless nobody could read it.
pub(crate) fn write(path: &Path, bundles: &[Bundle]) -> Result<(), CommandError> {
    let mut text = String::new();
    let mut is_readable = bundles.len() <= LINES_MAX;
    for bundle in bundles {
        let line = bundle.to_line();
        is_readable &= line.len() <= LINE_BYTES_MAX;
        text.push_str(&line);
        text.push('\n');
    }
    if !is_readable || text.len() as u64 > EVIDENCE_BYTES_MAX {
        return Err(full(path));
    }
    output::replace_bytes(path, text.as_bytes())
}

fn full(path: &Path) -> CommandError {
    CommandError::usage(format!(
        "{} is full: evidence is read up to {LINES_MAX} lines of {LINE_BYTES_MAX} bytes and \
         {EVIDENCE_BYTES_MAX} bytes in all",
        path.display()
    ))
}

/// A record that evidence is added to, named but with its key still on disk.
pub(crate) struct RecordPlace {
    directory: PathBuf,
    key: PathBuf,
    waiting: Waiting,
}

impl RecordPlace {
    /// Finds record and key, and fails early if either is missing.
    pub(crate) fn find(options: &RecordOptions, session: &Session) -> Result<Self, CommandError> {
        let configuration = session.configuration()?;
        let directory = Session::required(
            options.record.as_ref(),
            configuration.record.as_ref(),
            "record",
            "record",
        )?;
        let key = Session::required(
            options.record_key.as_ref(),
            configuration.record_key.as_ref(),
            "record key",
            "record-key",
        )?;
        let record = Record::open(&directory).or_usage().map_err(|error| {
            if directory.exists() {
                error.hint("counterseal record check says what is wrong with it")
            } else {
                error.hint("make a record with: counterseal record init DIR --key FILE")
            }
        })?;
        keys::require_usable(&key)?;
        let public = keys::public_path(&key);
        if public.exists() {
            let named = keys::public_of_record(&public)?;
            if named.name() != record.origin() {
                return Err(CommandError::usage(format!(
                    "{} signs for the record {}, but {} is the record {}",
                    key.display(),
                    named.name(),
                    directory.display(),
                    record.origin()
                )));
            }
            let checkpoint = record.checkpoint().or_usage()?;
            if note::open(&checkpoint.note, &[&keys::verifier_of_record(named)]).is_err() {
                return Err(CommandError::usage(format!(
                    "the checkpoint of the record {} is not signed by {}",
                    directory.display(),
                    key.display()
                ))
                .hint("counterseal record check says more"));
            }
        }
        Ok(Self {
            directory,
            key,
            waiting: session.waiting_for_record(),
        })
    }

    /// Where the public half of the record's key is, if it is anywhere.
    pub(crate) fn public_key_path(&self) -> PathBuf {
        keys::public_path(&self.key)
    }

    /// Refuses to add to evidence that has receipts of another record: nobody's trust names two, so
    /// all of it would fail from then on. So does evidence that has no room for another line.
    pub(crate) fn demand_own(&self, path: &Path, bundles: &[Bundle]) -> Result<(), CommandError> {
        let public = keys::public_path(&self.key);
        let own = if public.exists() {
            keys::public_of_record(&public)?
        } else {
            keys::record(&self.key)?.verifier_key().clone()
        };
        if bundles.len() >= LINES_MAX {
            return Err(full(path));
        }
        let record = Record::open(&self.directory).or_usage()?;
        for (index, bundle) in bundles.iter().enumerate() {
            let Some(entry) = &bundle.entry else {
                continue;
            };
            let whose = format!("{} statement {}", path.display(), index + 1);
            self.demand_receipt(&whose, entry, &record, &own)?;
        }
        Ok(())
    }

    /// Refuses a record that has lost what a receipt of its own proves.
    pub(crate) fn demand_held(&self, path: &Path, bundle: &Bundle) -> Result<(), CommandError> {
        let Some(entry) = &bundle.entry else {
            return Ok(());
        };
        let own = keys::public_of_record(&self.public_key_path())?;
        let record = Record::open(&self.directory).or_usage()?;
        self.demand_receipt(&path.display().to_string(), entry, &record, &own)
    }

    fn demand_receipt(
        &self,
        whose: &str,
        entry: &LogEntry,
        record: &Record,
        own: &VerifierKey,
    ) -> Result<(), CommandError> {
        let receipt = format!(
            "{whose}: its receipt is not of the record {}",
            self.directory.display()
        );
        match Standing::of(entry, record, own)? {
            Standing::Held => Ok(()),
            Standing::Stranger => {
                let key = self.key.display();
                Err(
                    CommandError::usage(format!("{receipt}, which {key} signs for"))
                        .hint("name the record that the evidence is in, or leave --sign out"),
                )
            }
            Standing::Lost => Err(lost(&receipt, entry)),
        }
    }

    /// Records an envelope; one that is there already keeps its index.
    pub(crate) fn add(
        &self,
        envelope: Envelope,
        signer: &AttestationKey,
    ) -> Result<Bundle, CommandError> {
        let record = Record::open(&self.directory).or_usage()?;
        let record = record.telling(self.waiting);
        let key = keys::record(&self.key)?;
        let entry = add(&record, &key, &envelope, signer.spki_der())?;
        Ok(Bundle {
            entry: Some(entry),
            envelope,
        })
    }
}

/// The entry that an envelope is recorded as.
pub(crate) fn leaf(envelope: &Envelope, spki_der: &[u8]) -> Vec<u8> {
    hashedrekord::leaf(&envelope.pae_digest(), &envelope.signature, spki_der)
}

/// How a receipt stands to a record. Two records may have one key, so that the key alone does not
/// tell: the entry must be where the receipt says, too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Held,
    /// Of another key.
    Stranger,
    /// Of this key, and the entry is not there.
    Lost,
}

impl Standing {
    /// `own` is the record's key.
    pub(crate) fn of(
        entry: &LogEntry,
        record: &Record,
        own: &VerifierKey,
    ) -> Result<Self, CommandError> {
        if entry.log_id != own.full_key_hash() {
            return Ok(Self::Stranger);
        }
        let found = record.find(&entry.canonicalized_body).or_usage()?;
        Ok(if found == Some(entry.log_index) {
            Self::Held
        } else {
            Self::Lost
        })
    }
}

/// `receipt` says whose receipt is not of which record.
pub(crate) fn lost(receipt: &str, entry: &LogEntry) -> CommandError {
    CommandError::new(
        Exit::Failed,
        format!(
            "{receipt}: the key is the same, but the entry is not there as number {}",
            entry.log_index
        ),
    )
    .hint(
        "either the evidence is in another record of this key, or this one was set back to an \
         earlier state: compare it with a mirror or a backup before anything is added",
    )
}

/// Keeps evidence that is about to be replaced beside it, unless it is a provenance alone, which
/// the record has: auditors' verdicts, for instance, and what cannot be read. Gives the path.
pub(crate) fn keep_replaced(path: &Path) -> Result<Option<PathBuf>, CommandError> {
    let Ok(bytes) = read_bounded(path, EVIDENCE_BYTES_MAX) else {
        return Ok(None); // Nothing that could be read as evidence.
    };
    let is_dispensable = match numbered_lines(&bytes).as_deref() {
        Ok([]) => true,
        Ok([(_, line)]) => Bundle::parse(line).is_ok(),
        _ => false,
    };
    if is_dispensable {
        return Ok(None);
    }
    let digest = Sha256Digest::of(&bytes).to_string();
    let kept = with_suffix(path, &format!(".replaced-{}", &digest[..16]));
    output::replace_bytes(&kept, &bytes)?;
    Ok(Some(kept))
}

/// Records one envelope and turns the receipt into a bundle's log entry.
pub(crate) fn add(
    record: &Record,
    key: &RecordKey,
    envelope: &Envelope,
    spki_der: &[u8],
) -> Result<LogEntry, CommandError> {
    let leaf = leaf(envelope, spki_der);
    let receipts = record.append(&[leaf.as_slice()], key).map_err(|error| {
        let is_published_copy = matches!(
            &error,
            RecordError::Missing { path } if path.parent().is_some_and(|p| p.ends_with(".state"))
        );
        let failure = CommandError::usage(chain(&error));
        if is_published_copy {
            failure.hint(
                "published copies of a record lack .state: to go on from one in the record's \
                 place, check it and make .state in it, with an empty file lock and a directory staging",
            )
        } else {
            failure
        }
    })?;
    // One entry in, one receipt out.
    let receipt = receipts.into_iter().next().ok_or_else(|| {
        CommandError::new(Exit::Internal, "the record gave no receipt for an entry")
    })?;
    Ok(log_entry(receipt, key, leaf))
}

fn log_entry(receipt: Receipt, key: &RecordKey, leaf: Vec<u8>) -> LogEntry {
    LogEntry {
        log_index: receipt.index,
        log_id: key.verifier_key().full_key_hash(),
        proof: InclusionProof {
            tree_size: receipt.tree_size,
            root_hash: receipt.root.0,
            hashes: receipt.proof.iter().map(|hash| hash.0).collect(),
            checkpoint: receipt.checkpoint,
        },
        canonicalized_body: leaf,
    }
}

/// Signs a statement and keeps the envelope on disk until its evidence is written: the caller
/// removes `pending` then.
pub(crate) fn sign(
    payload: &[u8],
    key: &AttestationKey,
    pending: &Path,
) -> Result<Envelope, CommandError> {
    let envelope = key.sign_envelope(IN_TOTO_PAYLOAD_TYPE, payload);
    let bundle = Bundle {
        entry: None,
        envelope: envelope.clone(),
    };
    write(pending, &[bundle])?;
    Ok(envelope)
}

/// What an earlier run signed with this key and did not finish; a damaged file counts as none.
/// Signatures follow from key and message alone, so that signing again tells whether this one is
/// its own: recording takes whatever it is given.
pub(crate) fn unfinished(pending: &Path, key: &AttestationKey) -> Option<Envelope> {
    let envelope = read(pending).ok()?.into_iter().next()?.envelope;
    let again = key.sign_envelope(IN_TOTO_PAYLOAD_TYPE, &envelope.payload);
    (envelope == again).then_some(envelope)
}

/// Removes a pending envelope whose evidence is written.
pub(crate) fn finished(pending: &Path) -> Result<(), CommandError> {
    std::fs::remove_file(pending).map_err(|error| {
        CommandError::usage(format!("cannot remove {}: {error}", pending.display()))
    })
}

/// Keeps other processes from writing evidence into the same directory until it is dropped.
pub(crate) fn lock(session: &Session, directory: &Path) -> Result<File, CommandError> {
    let fail = |error: std::io::Error| {
        CommandError::usage(format!("cannot lock {}: {error}", directory.display()))
    };
    let file = File::open(directory).map_err(fail)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(error)) => return Err(fail(error)),
        Err(TryLockError::WouldBlock) => {
            let what = format!(
                "{}: another process is writing evidence there",
                directory.display()
            );
            let _until_it_is_over = session.wait(what);
            file.lock().map_err(fail)?;
        }
    }
    Ok(file)
}

/// Whether one of the bundles has a payload with this digest.
pub(crate) fn holds(bundles: &[Bundle], payload: &Sha256Digest) -> bool {
    bundles
        .iter()
        .any(|bundle| bundle.envelope.payload_digest() == *payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_could_read_is_not_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("evidence");
        let bundle = Bundle {
            entry: None,
            envelope: Envelope {
                payload_type: IN_TOTO_PAYLOAD_TYPE.to_owned(),
                payload: b"{}".to_vec(),
                signature: vec![1],
                keyid: "00".repeat(32),
            },
        };
        let mut bundles = vec![bundle; LINES_MAX];
        write(&path, &bundles).unwrap();
        assert_eq!(read(&path).unwrap().len(), LINES_MAX);
        bundles.push(bundles[0].clone());
        let error = write(&path, &bundles).unwrap_err();
        assert!(error.message.contains("is full"), "{}", error.message);
        assert_eq!(read(&path).unwrap().len(), LINES_MAX, "as it was");
        bundles.truncate(1);
        bundles[0].envelope.payload = vec![b'x'; LINE_BYTES_MAX];
        assert!(write(&path, &bundles).is_err());
    }
}
