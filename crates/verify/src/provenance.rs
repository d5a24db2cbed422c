//! From a sealed bundle to provenance that may decide: what the statement claims, against what
//! the trust file allows (SLSA v1.2, "Verifying artifacts": signer, builder, subject, predicate
//! type, build type, external parameters).
//!
//! Deliberately absent: expectations about a product's source, and anything a policy would say.

use alloc::format;
use alloc::string::{String, ToString as _};

use counterseal_attestation::provenance::{self, Provenance, build_type_of};
use counterseal_attestation::statement::{Statement, parse_any};
use counterseal_attestation::{Sha256Digest, UnixSeconds, dsse};
use serde_json::Value;

use crate::checks::Checks;
use crate::codes;
use crate::display::clean;
use crate::seal::{Sealed, Signer};
use crate::verdict::{Artifact, Product};

const HINT_KEY: &str =
    "obtain the builder's key from a source you trust, and add it to the trust file";

/// How far a clock may be behind before a stated time counts as the future.
const CLOCK_SKEW_SECONDS: u64 = 24 * 60 * 60;

/// A bundle that claims to be provenance, with every check about it.
pub(crate) struct Candidate {
    pub(crate) line: usize,
    pub(crate) checks: Checks,
    pub(crate) payload_sha256: Sha256Digest,
    pub(crate) product: Option<Product>,
    /// Whether its failures count even when other provenance decides.
    pub(crate) damaged: bool,
}

impl Candidate {
    /// Of two candidates the one with the higher rank is reported: all good, then about this
    /// artifact, then the one that got further.
    pub(crate) fn rank(&self) -> (bool, bool, usize) {
        (
            self.checks.all_passed(),
            self.checks.has_passed(codes::SUBJECT_DIGEST),
            self.checks.passed_count(),
        )
    }
}

/// The statement in an envelope whose signature holds.
pub(crate) fn read_statement(sealed: &Sealed<'_>) -> Result<Statement<Value>, String> {
    let envelope = &sealed.bundle.envelope;
    if envelope.payload_type != dsse::IN_TOTO_PAYLOAD_TYPE {
        return Err(format!(
            "the payload is of another type: expected {}, found {}",
            dsse::IN_TOTO_PAYLOAD_TYPE,
            clean(&envelope.payload_type)
        ));
    }
    parse_any(&envelope.payload).map_err(|error| clean(&error.to_string()))
}

/// Makes every check on a statement that says it is provenance.
pub(crate) fn examine(
    sealed: &Sealed<'_>,
    statement: Statement<Value>,
    artifact: &Artifact,
    now: UnixSeconds,
) -> Candidate {
    let mut checks = sealed.checks.clone();
    checks.passed(codes::STATEMENT_PARSE, "an in-toto Statement v1");
    checks.passed(codes::PREDICATE_TYPE, provenance::PREDICATE_TYPE);
    check_signer(&mut checks, sealed, &statement.predicate);
    check_subject(&mut checks, &statement, artifact);
    check_build_type(&mut checks, sealed, &statement.predicate);
    let typed = check_parameters(&mut checks, statement);
    if let Some(provenance) = &typed {
        check_time(&mut checks, provenance, now);
    }
    checks.complete(&codes::OF_PROVENANCE);
    let product = typed.and_then(|provenance| describe(sealed, &checks, &provenance));
    Candidate {
        line: sealed.line,
        checks,
        payload_sha256: sealed.payload_sha256(),
        product,
        damaged: sealed.is_damaged(),
    }
}

/// A bundle that no key at hand can be tried on: its statement stays unread.
pub(crate) fn unattributed(sealed: &Sealed<'_>) -> Candidate {
    let mut checks = sealed.checks.clone();
    checks.failed(
        codes::SIGNER_BUILDER_ALLOWED,
        format!(
            "the trust file lists no key {}",
            clean(&sealed.bundle.envelope.keyid)
        ),
        HINT_KEY,
    );
    checks.complete(&codes::OF_PROVENANCE);
    Candidate {
        line: sealed.line,
        checks,
        payload_sha256: sealed.payload_sha256(),
        product: None,
        damaged: false,
    }
}

fn check_signer(checks: &mut Checks, sealed: &Sealed<'_>, predicate: &Value) {
    const CODE: &str = codes::SIGNER_BUILDER_ALLOWED;
    let stated = predicate
        .pointer("/runDetails/builder/id")
        .and_then(Value::as_str);
    match (&sealed.signer, stated) {
        (_, None) => {
            checks.failed(CODE, "the provenance names no builder", "ask the publisher");
        }
        (Signer::Builder(builder), Some(id)) => {
            let shown = clean(id);
            if builder.builder_ids.iter().any(|allowed| allowed == id) {
                checks.passed(CODE, format!("'{}' may sign for {shown}", builder.name));
            } else {
                let detail = format!(
                    "'{}' may not sign for this builder: expected {}, found {shown}",
                    builder.name,
                    builder.builder_ids.join(" or ")
                );
                let hint = "if that builder id is meant, add it to the trust file";
                checks.failed(CODE, detail, hint);
            }
        }
        (Signer::Auditor(auditor), Some(_)) => {
            let detail = format!(
                "'{}' is trusted as an auditor, not as a builder",
                auditor.name
            );
            checks.failed(
                CODE,
                detail,
                "a key has one role: provenance needs a builder's",
            );
        }
        (Signer::Stranger { keyid }, Some(id)) => {
            let detail = format!(
                "key {keyid}, which signed for {}, is not in the trust file",
                clean(id)
            );
            checks.failed(CODE, detail, HINT_KEY);
        }
    }
}

fn check_subject(checks: &mut Checks, statement: &Statement<Value>, artifact: &Artifact) {
    let subjects = &statement.subject;
    let found = subjects
        .iter()
        .find(|subject| subject.digest.sha256() == Some(artifact.sha256));
    let Some(subject) = found else {
        let stated = subjects
            .iter()
            .find(|subject| Some(&subject.name) == artifact.name.as_ref())
            .or_else(|| subjects.first().filter(|_| subjects.len() == 1))
            .and_then(|subject| subject.digest.sha256());
        let detail = match stated {
            Some(expected) => format!(
                "artifact digest does not match: expected sha256:{expected}, found sha256:{}",
                artifact.sha256
            ),
            None => format!(
                "none of the {} subjects has the artifact's digest sha256:{}",
                subjects.len(),
                artifact.sha256
            ),
        };
        let hint = "this file is not what was assembled: do not install it, fetch it again";
        return checks.failed(codes::SUBJECT_DIGEST, detail, hint);
    };
    let renamed = match &artifact.name {
        Some(name) if !subject.name.is_empty() && *name != subject.name => {
            format!(", where it is called {}", clean(&subject.name))
        }
        _ => String::new(),
    };
    let detail = format!("sha256:{} is in the statement{renamed}", artifact.sha256);
    checks.passed(codes::SUBJECT_DIGEST, detail);
}

fn check_build_type(checks: &mut Checks, sealed: &Sealed<'_>, predicate: &Value) {
    const CODE: &str = codes::BUILD_TYPE;
    let Some(stated) = build_type_of(predicate) else {
        return checks.failed(
            CODE,
            "the provenance names no build type",
            "ask the publisher",
        );
    };
    match &sealed.signer {
        Signer::Builder(builder) if builder.build_types.iter().any(|known| known == stated) => {
            checks.passed(CODE, clean(stated));
        }
        Signer::Builder(builder) => {
            let detail = format!(
                "'{}' may not use this build type: expected {}, found {}",
                builder.name,
                builder.build_types.join(" or "),
                clean(stated)
            );
            checks.failed(
                CODE,
                detail,
                "if that build type is meant, add it to the trust file",
            );
        }
        _ => checks.not_checked(CODE, "the signer is no trusted builder", None),
    }
}

fn check_parameters(checks: &mut Checks, statement: Statement<Value>) -> Option<Provenance> {
    const CODE: &str = codes::PARAMETERS_KNOWN;
    match statement.typed::<Provenance>() {
        Ok(statement) => {
            checks.passed(
                CODE,
                "every external parameter is one the build type defines",
            );
            Some(statement.predicate)
        }
        Err(error) => {
            let reason = clean(&error.to_string());
            let detail = format!("the parameters are not understood: {reason}");
            let hint = "what is not understood might change what is built; a newer verifier may \
                        know it";
            checks.failed(CODE, detail, hint);
            None
        }
    }
}

fn check_time(checks: &mut Checks, provenance: &Provenance, now: UnixSeconds) {
    const CODE: &str = codes::BUILD_TIME;
    let metadata = &provenance.run_details.metadata;
    let (started, finished) = (metadata.started_on, metadata.finished_on);
    if finished < started {
        let detail = format!("the build ended at {finished}, before it began at {started}");
        checks.failed(CODE, detail, "ask the publisher");
    } else if finished.0 > now.0.saturating_add(CLOCK_SKEW_SECONDS) {
        let detail = format!("the build ended at {finished}, but it is only {now} here");
        checks.not_checked(
            CODE,
            detail,
            Some("check this machine's clock, then verify again"),
        );
    } else {
        checks.passed(CODE, format!("the builder states {started} to {finished}"));
    }
}

/// What may be told about the product: only what a trusted builder has signed.
fn describe(sealed: &Sealed<'_>, checks: &Checks, provenance: &Provenance) -> Option<Product> {
    let Signer::Builder(builder) = &sealed.signer else {
        return None;
    };
    if !checks.has_passed(codes::SIGNATURE_VALID) {
        return None;
    }
    let definition = &provenance.build_definition;
    let product = &definition.external_parameters.product;
    Some(Product {
        name: clean(&product.name),
        version: clean(&product.version),
        builder: builder.name.clone(),
        builder_id: clean(&provenance.run_details.builder.id),
        finished_on: provenance.run_details.metadata.finished_on.to_rfc3339(),
        // Recipe and lock are listed, too, and have no place of origin.
        inputs: definition
            .resolved_dependencies
            .iter()
            .filter(|dependency| dependency.uri.is_some())
            .count(),
        provenance_sha256: sealed.payload_sha256(),
        record: sealed
            .checkpoint
            .as_ref()
            .map(|checkpoint| clean(&checkpoint.origin)),
        log_index: sealed.bundle.entry.as_ref().map(|entry| entry.log_index),
        line: sealed.line,
    })
}
