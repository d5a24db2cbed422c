//! Evidence as `assemble` leaves it, with throw-away keys and a record of its own, and the trust
//! in both written down twice: as Sigstore's clients read it and as our verifier does.

use counterseal_attestation::bundle::{Bundle, InclusionProof, LogEntry};
use counterseal_attestation::dsse::IN_TOTO_PAYLOAD_TYPE;
use counterseal_attestation::provenance::BUILD_TYPE;
use counterseal_attestation::{encode_base64, hashedrekord};
use counterseal_record::{Receipt, Record};
use counterseal_signing::{AttestationKey, RecordKey};
use serde_json::json;

use crate::fixture::{BUILDER_ID, attestation_key, provenance_statement, record_key};

const ORIGIN: &str = "zurich.record.example";

/// `SubjectPublicKeyInfo` of Ed25519 up to the key (RFC 8410, section 4).
const ED25519_SPKI_PREFIX: [u8; 12] = [0x30, 42, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 33, 0];

/// A bundle, and the keys that it can be checked with.
pub(crate) struct Evidence {
    pub(crate) builder: AttestationKey,
    pub(crate) record: RecordKey,
    pub(crate) bundle: Bundle,
}

impl Evidence {
    pub(crate) fn new() -> Self {
        Self::among(3, 2)
    }

    /// Evidence whose entry stands in a record with others before and after it.
    pub(crate) fn among(before: u64, after: u64) -> Self {
        let builder = attestation_key();
        let record = record_key(ORIGIN);

        let payload = provenance_statement().to_payload().unwrap();
        let envelope = builder.sign_envelope(IN_TOTO_PAYLOAD_TYPE, &payload);
        let leaf = hashedrekord::leaf(
            &envelope.pae_digest(),
            &envelope.signature,
            builder.spki_der(),
        );
        let directory = tempfile::tempdir().unwrap();
        let log = Record::create(&directory.path().join("record"), &record).unwrap();
        let others =
            |range: std::ops::Range<u64>| -> Vec<[u8; 8]> { range.map(u64::to_be_bytes).collect() };
        log.append(&others(0..before), &record).unwrap();
        let index = log.append(&[&leaf], &record).unwrap()[0].index;
        log.append(&others(before..before + after), &record)
            .unwrap();
        let entry = log_entry(log.receipt(index).unwrap(), leaf, &record);

        let bundle = Bundle {
            entry: Some(entry),
            envelope,
        };
        Self {
            builder,
            record,
            bundle,
        }
    }

    /// Our verifier's `trust.toml` for both keys.
    pub(crate) fn trust(&self) -> String {
        format!(
            "format = 1\n\n\
             [[builder]]\nname = \"builder\"\nkey = \"\"\"\n{}\"\"\"\n\
             builder-ids = [\"{BUILDER_ID}\"]\nbuild-types = [\"{BUILD_TYPE}\"]\n\n\
             [[record]]\nkey = \"{}\"\n",
            self.builder.public_pem().unwrap(),
            self.record.verifier_key(),
        )
    }

    /// Sigstore's `trusted_root.json` for the record's key.
    pub(crate) fn trusted_root(&self) -> String {
        let key = self.record.verifier_key();
        let spki = [&ED25519_SPKI_PREFIX[..], key.public_key()].concat();
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [{
                "baseUrl": format!("https://{}", key.name()),
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": encode_base64(&spki),
                    "keyDetails": "PKIX_ED25519",
                    "validFor": { "start": "2020-01-01T00:00:00Z" },
                },
                "logId": { "keyId": encode_base64(&key.full_key_hash()) },
            }],
        })
        .to_string()
    }
}

/// What `assemble` makes of a receipt.
fn log_entry(receipt: Receipt, leaf: Vec<u8>, key: &RecordKey) -> LogEntry {
    LogEntry {
        log_index: receipt.index,
        log_id: key.verifier_key().full_key_hash(),
        proof: InclusionProof {
            tree_size: receipt.tree_size,
            root_hash: receipt.root.0,
            hashes: receipt.proof.into_iter().map(|hash| hash.0).collect(),
            checkpoint: receipt.checkpoint,
        },
        canonicalized_body: leaf,
    }
}
