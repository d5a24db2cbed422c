//! The stable names of all checks. They stand in JSON, in documents and in test names; a code
//! is never reused for something else. Deliberately absent: texts for people.

/// There is evidence, and provenance in it.
pub const EVIDENCE_PRESENT: &str = "evidence.present";
/// The evidence is JSON Lines of a readable size.
pub const EVIDENCE_READABLE: &str = "evidence.readable";
/// The trust file has not expired.
pub const TRUST_FRESH: &str = "trust.fresh";
/// The line is a Sigstore bundle v0.3 with exactly one DSSE signature.
pub const ENVELOPE_PARSE: &str = "envelope.parse";
/// Hint and keyid are the digest of the key that signed.
pub const ENVELOPE_KEYID: &str = "envelope.keyid";
/// The signature over the envelope holds.
pub const SIGNATURE_VALID: &str = "signature.valid";
/// The payload is an in-toto Statement v1.
pub const STATEMENT_PARSE: &str = "statement.parse";
/// The predicate is SLSA provenance v1.
pub const PREDICATE_TYPE: &str = "predicate.type";
/// A trusted builder signed, for a builder id that is its own.
pub const SIGNER_BUILDER_ALLOWED: &str = "signer.builder-allowed";
/// The artifact's SHA-256 is among the subjects.
pub const SUBJECT_DIGEST: &str = "subject.digest";
/// The signer may use this build type.
pub const BUILD_TYPE: &str = "build.type";
/// Every external parameter is one that the build type defines.
pub const PARAMETERS_KNOWN: &str = "parameters.known";
/// The build's stated times are in order and not in the future.
pub const BUILD_TIME: &str = "build.time";
/// The log entry is the one that belongs to this envelope.
pub const RECORD_ENTRY_MATCHES: &str = "record.entry-matches";
/// The inclusion proof leads from the entry to the checkpoint's root.
pub const RECORD_INCLUSION: &str = "record.inclusion";
/// The checkpoint is signed by the record's key.
pub const RECORD_CHECKPOINT_SIGNATURE: &str = "record.checkpoint-signature";
/// The checkpoint belongs to a trusted record, and the entry says the same.
pub const RECORD_ORIGIN: &str = "record.origin";
/// No two signed checkpoints in the evidence contradict each other.
pub const RECORD_CONSISTENT: &str = "record.consistent";
/// As many auditors reproduced the artifact as the trust file demands.
pub const REPLAY_QUORUM: &str = "replay.quorum";
/// Auditors reproduced the artifact, and none found a difference.
pub const REPLAY_VERDICT: &str = "replay.verdict";

/// Every code, in the order in which checks are listed.
pub const ALL: [&str; 20] = [
    EVIDENCE_PRESENT,
    EVIDENCE_READABLE,
    TRUST_FRESH,
    ENVELOPE_PARSE,
    ENVELOPE_KEYID,
    SIGNATURE_VALID,
    STATEMENT_PARSE,
    PREDICATE_TYPE,
    SIGNER_BUILDER_ALLOWED,
    SUBJECT_DIGEST,
    BUILD_TYPE,
    PARAMETERS_KNOWN,
    BUILD_TIME,
    RECORD_ENTRY_MATCHES,
    RECORD_INCLUSION,
    RECORD_CHECKPOINT_SIGNATURE,
    RECORD_ORIGIN,
    RECORD_CONSISTENT,
    REPLAY_QUORUM,
    REPLAY_VERDICT,
];

/// The checks made on the line that holds the deciding provenance.
pub(crate) const OF_PROVENANCE: [&str; 14] = [
    ENVELOPE_PARSE,
    ENVELOPE_KEYID,
    SIGNATURE_VALID,
    STATEMENT_PARSE,
    PREDICATE_TYPE,
    SIGNER_BUILDER_ALLOWED,
    SUBJECT_DIGEST,
    BUILD_TYPE,
    PARAMETERS_KNOWN,
    BUILD_TIME,
    RECORD_ENTRY_MATCHES,
    RECORD_INCLUSION,
    RECORD_CHECKPOINT_SIGNATURE,
    RECORD_ORIGIN,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_in_the_table_of_the_crate_documentation_in_order() {
        let document = include_str!("lib.rs");
        let mut rest = document;
        for code in ALL {
            let row = alloc::format!("//! | `{code}` |");
            let at = rest
                .find(&row)
                .unwrap_or_else(|| panic!("no row in order for {code}"));
            rest = &rest[at + row.len()..];
        }
        assert!(
            !rest.contains("//! | `"),
            "a row for a code that does not exist"
        );
    }

    #[test]
    fn codes_of_a_provenance_line_are_a_run_of_all() {
        let start = ALL
            .iter()
            .position(|code| *code == OF_PROVENANCE[0])
            .unwrap();
        assert_eq!(ALL[start..start + OF_PROVENANCE.len()], OF_PROVENANCE);
    }
}
