//! One bundle's seal: who signed it, whether the signature holds, and whether it stands in a
//! trusted record. Nothing of the payload is believed before that.
//!
//! DSSE v1 (envelope), Rekor v2 `hashedrekord` 0.0.2 (the entry), RFC 9162 section 2.1.3.2
//! (inclusion), C2SP signed-note and tlog-checkpoint.
//!
//! The key is found by the hint among the trusted keys, and otherwise taken from the log entry.
//! Neither decides anything: whichever key it is must verify the signature, must be the one in
//! the entry, and only its place in the trust file makes it a builder or an auditor.
//!
//! Deliberately absent: what the statement says; certificates; witness cosignatures, whose
//! lines on a checkpoint are passed over.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use counterseal_attestation::Sha256Digest;
use counterseal_attestation::bundle::{Bundle, LogEntry};
use counterseal_attestation::hashedrekord;
use counterseal_tlog::checkpoint::Checkpoint;
use counterseal_tlog::note::{self, Note, VerifierKey};
use counterseal_tlog::{NodeHash, leaf_hash, proof};

use crate::checks::Checks;
use crate::codes;
use crate::display::clean;
use crate::provider::CryptoProvider;
use crate::public_key::PublicKey;
use crate::trust::{Auditor, Builder, Trust};

const HINT_REFETCH: &str =
    "the evidence was damaged or altered after it was signed: fetch it again from the publisher";
const HINT_OTHER_KEY: &str = "either the evidence was altered, or the trust file has another key for \
                              this record than the publisher: compare the keys";
const HINT_NO_ENTRY: &str = "ask the publisher for evidence that carries a log entry; what is not \
                             recorded cannot be told from what was made in secret";

/// A bundle with what is known about its seal.
pub(crate) struct Sealed<'a> {
    pub(crate) line: usize,
    pub(crate) bundle: &'a Bundle,
    pub(crate) signer: Signer<'a>,
    pub(crate) checks: Checks,
    /// The checkpoint, once its signature by a trusted record has been verified.
    pub(crate) checkpoint: Option<Checkpoint>,
}

/// Whose key the bundle is to be checked with.
#[derive(Clone)]
pub(crate) enum Signer<'a> {
    Builder(&'a Builder),
    Auditor(&'a Auditor),
    /// A key that the trust file does not list.
    Stranger {
        keyid: String,
    },
}

impl Sealed<'_> {
    /// Whether the line counts as damaged. A trusted signer's line must pass every check; a
    /// stranger's must not contradict itself, but may lack a record that we know.
    pub(crate) fn is_damaged(&self) -> bool {
        match self.signer {
            Signer::Builder(_) | Signer::Auditor(_) => !self.checks.all_passed(),
            Signer::Stranger { .. } if self.bundle.entry.is_none() => false,
            Signer::Stranger { .. } => self.checks.first_failed().is_some(),
        }
    }

    pub(crate) fn is_trusted(&self) -> bool {
        !matches!(self.signer, Signer::Stranger { .. })
    }

    pub(crate) fn payload_sha256(&self) -> Sha256Digest {
        self.bundle.envelope.payload_digest()
    }
}

/// Makes seals; remembers the checkpoints it has verified, so that many bundles under one
/// checkpoint cost one signature check.
pub(crate) struct Sealer<'a> {
    trust: &'a Trust,
    provider: &'a dyn CryptoProvider,
    checkpoints: BTreeMap<String, bool>,
}

impl<'a> Sealer<'a> {
    pub(crate) fn new(trust: &'a Trust, provider: &'a dyn CryptoProvider) -> Self {
        Self {
            trust,
            provider,
            checkpoints: BTreeMap::new(),
        }
    }

    pub(crate) fn seal<'b>(&mut self, line: usize, bundle: &'b Bundle) -> Sealed<'b>
    where
        'a: 'b,
    {
        let mut checks = Checks::about_line(line);
        checks.passed(
            codes::ENVELOPE_PARSE,
            "a Sigstore bundle v0.3 with one signature",
        );
        let key = self.find_key(bundle);
        let signer = self.signer(bundle, key.as_ref());
        self.check_signature(&mut checks, bundle, key.as_ref(), &signer);
        let checkpoint = match &bundle.entry {
            None => {
                checks.failed(
                    codes::RECORD_ENTRY_MATCHES,
                    "there is no log entry",
                    HINT_NO_ENTRY,
                );
                None
            }
            Some(entry) => {
                check_entry(&mut checks, bundle, entry, key.as_ref());
                self.check_record(&mut checks, entry, &signer)
            }
        };
        Sealed {
            line,
            bundle,
            signer,
            checks,
            checkpoint,
        }
    }

    fn find_key(&self, bundle: &Bundle) -> Option<PublicKey> {
        if let Some(key) = self.trust.key_of(&bundle.envelope.keyid) {
            return Some(key.clone());
        }
        let entry = bundle.entry.as_ref()?;
        let leaf = hashedrekord::parse(&entry.canonicalized_body).ok()?;
        PublicKey::from_spki(leaf.spki_der).ok()
    }

    fn signer(&self, bundle: &Bundle, key: Option<&PublicKey>) -> Signer<'a> {
        let stranger = |keyid: &str| Signer::Stranger {
            keyid: clean(keyid),
        };
        let Some(key) = key else {
            return stranger(&bundle.envelope.keyid);
        };
        if let Some(builder) = self.trust.builder_of(key.spki_der()) {
            return Signer::Builder(builder);
        }
        match self.trust.auditor_of(key.spki_der()) {
            Some(auditor) => Signer::Auditor(auditor),
            None => stranger(key.keyid()),
        }
    }

    fn check_signature(
        &self,
        checks: &mut Checks,
        bundle: &Bundle,
        key: Option<&PublicKey>,
        signer: &Signer<'_>,
    ) {
        let envelope = &bundle.envelope;
        let hint = &envelope.keyid;
        let Some(key) = key else {
            let detail = format!("no trusted key has the keyid {}", clean(hint));
            checks.not_checked(codes::ENVELOPE_KEYID, detail.clone(), None);
            checks.not_checked(codes::SIGNATURE_VALID, detail, None);
            return;
        };
        if hint == key.keyid() {
            checks.passed(codes::ENVELOPE_KEYID, format!("keyid {}", key.keyid()));
        } else {
            let detail = format!(
                "the keyid is not that of the key in the log entry: expected {}, found {}",
                key.keyid(),
                clean(hint)
            );
            checks.failed(codes::ENVELOPE_KEYID, detail, HINT_REFETCH);
        }
        match self
            .provider
            .verify_p256_sha256(key.spki_der(), &envelope.pae(), &envelope.signature)
        {
            Ok(()) => {
                let who = match signer {
                    Signer::Builder(builder) => format!("builder '{}'", builder.name),
                    Signer::Auditor(auditor) => format!("auditor '{}'", auditor.name),
                    Signer::Stranger { .. } => "a key that the trust file does not list".into(),
                };
                checks.passed(codes::SIGNATURE_VALID, format!("signed by {who}"));
            }
            Err(error) => {
                checks.failed(codes::SIGNATURE_VALID, error.to_string(), HINT_REFETCH);
            }
        }
    }

    /// The three checks on the record's side. Returns the checkpoint once it is authenticated.
    fn check_record(
        &mut self,
        checks: &mut Checks,
        entry: &LogEntry,
        signer: &Signer<'_>,
    ) -> Option<Checkpoint> {
        let envelope = &entry.proof.checkpoint;
        let read = Note::parse(envelope)
            .map_err(|error| error.to_string())
            .and_then(|note| Checkpoint::parse(&note.text).map_err(|error| error.to_string()));
        let checkpoint = match read {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                let detail = format!("the checkpoint cannot be read: {}", clean(&error));
                checks.failed(codes::RECORD_CHECKPOINT_SIGNATURE, detail, HINT_REFETCH);
                return None;
            }
        };
        check_inclusion(checks, entry, &checkpoint);
        let authentic = self.check_origin(checks, entry, &checkpoint, signer);
        authentic.then_some(checkpoint)
    }

    fn check_origin(
        &mut self,
        checks: &mut Checks,
        entry: &LogEntry,
        checkpoint: &Checkpoint,
        signer: &Signer<'_>,
    ) -> bool {
        let origin = clean(&checkpoint.origin);
        let known = self
            .trust
            .records()
            .iter()
            .find(|key| key.name() == checkpoint.origin);
        let Some(record) = known else {
            let trusted: Vec<&str> = self.trust.records().iter().map(VerifierKey::name).collect();
            let detail = format!(
                "the checkpoint is of a record that the trust file does not list: expected {}, \
                 found {origin}",
                trusted.join(" or ")
            );
            if matches!(signer, Signer::Stranger { .. }) {
                checks.not_checked(codes::RECORD_ORIGIN, detail, None);
            } else {
                let hint = "if you trust that record, add its key to the trust file";
                checks.failed(codes::RECORD_ORIGIN, detail, hint);
            }
            return false;
        };
        if entry.log_id == record.full_key_hash() {
            checks.passed(codes::RECORD_ORIGIN, format!("record {origin}"));
        } else {
            let detail = format!("the entry names another log key than that of {origin}");
            checks.failed(codes::RECORD_ORIGIN, detail, HINT_OTHER_KEY);
        }
        let envelope = &entry.proof.checkpoint;
        let holds = if let Some(known) = self.checkpoints.get(envelope) {
            *known
        } else {
            let provider = self.provider;
            let verifier = record.clone().verifier(move |key, text, signature| {
                provider.verify_ed25519(key, text, signature).is_ok()
            });
            let holds = note::open(envelope, &[&verifier]).is_ok();
            self.checkpoints.insert(envelope.clone(), holds);
            holds
        };
        if holds {
            let detail = format!("signed by {origin} at size {}", checkpoint.size);
            checks.passed(codes::RECORD_CHECKPOINT_SIGNATURE, detail);
        } else {
            let detail = format!("no valid signature of {origin} over this checkpoint");
            checks.failed(codes::RECORD_CHECKPOINT_SIGNATURE, detail, HINT_REFETCH);
        }
        holds
    }
}

fn check_entry(checks: &mut Checks, bundle: &Bundle, entry: &LogEntry, key: Option<&PublicKey>) {
    let envelope = &bundle.envelope;
    let digest = envelope.pae_digest();
    let found = match hashedrekord::parse(&entry.canonicalized_body) {
        Ok(found) => found,
        Err(error) => {
            let detail = format!(
                "the log entry cannot be read: {}",
                clean(&error.to_string())
            );
            return checks.failed(codes::RECORD_ENTRY_MATCHES, detail, HINT_REFETCH);
        }
    };
    let fault = if found.digest != digest {
        Some(format!(
            "the log entry is for other content: expected sha256:{digest}, found sha256:{}",
            found.digest
        ))
    } else if found.signature != envelope.signature {
        Some("the log entry carries another signature than the envelope".into())
    } else if key.is_none_or(|key| found.spki_der != key.spki_der()) {
        Some("the log entry carries another key than the one that signed".into())
    } else {
        None
    };
    match fault {
        None => checks.passed(
            codes::RECORD_ENTRY_MATCHES,
            "the log entry is for this envelope",
        ),
        Some(detail) => checks.failed(codes::RECORD_ENTRY_MATCHES, detail, HINT_REFETCH),
    }
}

fn check_inclusion(checks: &mut Checks, entry: &LogEntry, checkpoint: &Checkpoint) {
    let stated = &entry.proof;
    let root = NodeHash(stated.root_hash);
    let other_tree = if stated.tree_size != checkpoint.size {
        let (expected, found) = (checkpoint.size, stated.tree_size);
        Some(format!(
            "the proof is for another tree: expected {expected} entries, found {found}"
        ))
    } else if root != checkpoint.root {
        let expected = checkpoint.root;
        Some(format!(
            "the proof is for another root: expected {expected}, found {root}"
        ))
    } else {
        None
    };
    if let Some(detail) = other_tree {
        return checks.failed(codes::RECORD_INCLUSION, detail, HINT_REFETCH);
    }
    let leaf = leaf_hash(&entry.canonicalized_body);
    let hashes: Vec<NodeHash> = stated.hashes.iter().map(|hash| NodeHash(*hash)).collect();
    let (index, size) = (entry.log_index, checkpoint.size);
    match proof::check_inclusion(&leaf, index, size, &hashes, &checkpoint.root) {
        Ok(()) => {
            checks.passed(codes::RECORD_INCLUSION, format!("entry {index} of {size}"));
        }
        Err(error) => {
            checks.failed(codes::RECORD_INCLUSION, error.to_string(), HINT_REFETCH);
        }
    }
}
