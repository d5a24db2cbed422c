//! Provenance of the assembly build type: closed where it decides what is built, open elsewhere.

use counterseal_attestation::provenance::{BUILD_TYPE, EmbeddedFile, Provenance, build_type_of};
use counterseal_attestation::statement::{Statement, parse_any};
use serde_json::{Value, json};

use crate::samples::{digest, provenance_statement, spoilt};

const EXTERNAL: &str = "/predicate/buildDefinition/externalParameters";
const INTERNAL: &str = "/predicate/buildDefinition/internalParameters";
const RUN: &str = "/predicate/runDetails";

fn parse(payload: &[u8]) -> Result<Statement<Provenance>, String> {
    Statement::parse(payload).map_err(|error| error.to_string())
}

#[test]
fn json_names_are_those_of_slsa() {
    let payload = provenance_statement().to_payload().unwrap();
    let value: Value = serde_json::from_slice(&payload).unwrap();
    for pointer in [
        "/predicate/buildDefinition/buildType",
        "/predicate/buildDefinition/externalParameters/recipe/sha256",
        "/predicate/buildDefinition/internalParameters/sourceDateEpoch",
        "/predicate/buildDefinition/internalParameters/limits/processesMax",
        "/predicate/buildDefinition/internalParameters/isolation/memory-limit/state",
        "/predicate/buildDefinition/internalParameters/steps/0/actionDigest",
        "/predicate/buildDefinition/resolvedDependencies/0/digest/sha256",
        "/predicate/runDetails/builder/version/counterseal",
        "/predicate/runDetails/metadata/invocationId",
        "/predicate/runDetails/byproducts/0/mediaType",
    ] {
        assert!(value.pointer(pointer).is_some(), "{pointer}");
    }
    assert_eq!(
        value.pointer("/predicate/runDetails/metadata/startedOn"),
        Some(&json!("2026-11-23T12:00:00Z"))
    );
    assert_eq!(
        value.pointer("/predicateType"),
        Some(&json!("https://slsa.dev/provenance/v1"))
    );
}

#[test]
fn whatever_might_change_the_build_is_refused_if_unknown() {
    let good = provenance_statement().to_payload().unwrap();
    for object in [
        EXTERNAL.into(),
        format!("{EXTERNAL}/product"),
        format!("{EXTERNAL}/recipe"),
    ] {
        let bad = spoilt(&good, &format!("{object}/extra"), Some(json!("x")));
        let error = parse(&bad).unwrap_err();
        assert!(
            error.contains("has the unknown field extra"),
            "{object}: {error}"
        );
    }
    for object in [
        "/predicate",
        "/predicate/buildDefinition",
        INTERNAL,
        "/predicate/buildDefinition/internalParameters/limits",
        "/predicate/buildDefinition/resolvedDependencies/0",
        RUN,
        "/predicate/runDetails/builder",
        "/predicate/runDetails/metadata",
    ] {
        let wider = spoilt(&good, &format!("{object}/extra"), Some(json!("x")));
        assert_eq!(parse(&wider), Ok(provenance_statement()), "{object}");
    }
}

#[test]
fn spoilt_provenance_is_refused() {
    let good = provenance_statement().to_payload().unwrap();
    let at = |base: &str, rest: &str| format!("{base}{rest}");
    let build_type = "/predicate/buildDefinition/buildType";
    for (defect, pointer, new, message) in [
        (
            "another build type",
            build_type.into(),
            Some(json!("https://example.com/make/v1")),
            "expected https://counterseal.dev/attestations/assembly/v1",
        ),
        (
            "no build type",
            build_type.into(),
            None,
            "lacks the field buildType",
        ),
        (
            "no recipe",
            at(EXTERNAL, "/recipe"),
            None,
            "lacks the field recipe",
        ),
        (
            "no lock",
            at(EXTERNAL, "/lock"),
            None,
            "lacks the field lock",
        ),
        (
            "a recipe under another digest",
            at(EXTERNAL, "/recipe/content"),
            Some(json!("format = 2\n")),
            "embedded file digest does not match: expected sha256:",
        ),
        (
            "a recipe that escapes",
            at(EXTERNAL, "/recipe/name"),
            Some(json!("../assembly.toml")),
            "is not a plain file name: ../assembly.toml",
        ),
        (
            "product as an array",
            at(EXTERNAL, "/product"),
            Some(json!(["rules", "1"])),
            "$.buildDefinition.externalParameters.product is not acceptable: invalid type: array",
        ),
        (
            "an unknown isolation state",
            at(INTERNAL, "/isolation/network/state"),
            Some(json!("ENFORCED")),
            "unknown variant `ENFORCED`",
        ),
        (
            "isolation state in another shape",
            at(INTERNAL, "/isolation/network/state"),
            Some(json!({"enforced": null})),
            "isolation.network.state",
        ),
        (
            "a limit with a fraction",
            at(INTERNAL, "/limits/wallSeconds"),
            Some(json!(1.5)),
            "limits.wallSeconds is not acceptable",
        ),
        (
            "an epoch as text",
            at(INTERNAL, "/sourceDateEpoch"),
            Some(json!("2026-01-01T00:00:00Z")),
            "sourceDateEpoch is not acceptable",
        ),
        (
            "an upper-case action digest",
            at(INTERNAL, "/steps/0/actionDigest"),
            Some(json!("A".repeat(64))),
            "steps[0].actionDigest is not acceptable: digest is not lower-case",
        ),
        (
            "no isolation manifest",
            at(INTERNAL, "/isolation"),
            None,
            "lacks the field isolation",
        ),
        (
            "no builder",
            at(RUN, "/builder"),
            None,
            "lacks the field builder",
        ),
        (
            "a time with an offset",
            at(RUN, "/metadata/startedOn"),
            Some(json!("2026-11-23T12:00:00+00:00")),
            "startedOn is not acceptable: time is not of the form",
        ),
    ] {
        let error = parse(&spoilt(&good, &pointer, new)).expect_err(defect);
        assert!(error.contains(message), "{defect}: {error}");
    }
}

#[test]
fn the_build_type_can_be_asked_for_before_the_parameters_are_understood() {
    let good = provenance_statement().to_payload().unwrap();
    let any = parse_any(&good).unwrap();
    assert_eq!(build_type_of(&any.predicate), Some(BUILD_TYPE));
    assert_eq!(
        build_type_of(&json!({"buildDefinition": {"buildType": 1}})),
        None
    );
    assert_eq!(build_type_of(&json!([])), None);
}

#[test]
fn embedded_files_have_plain_names() {
    let file = EmbeddedFile::new("assembly.toml", "text").unwrap();
    assert_eq!((file.name(), file.content()), ("assembly.toml", "text"));
    assert_eq!(file.sha256(), digest("text"));
    let long = "n".repeat(256);
    for name in [
        "",
        ".",
        "..",
        "a/b",
        "/a",
        "a\\b",
        "a\0",
        "a\nb",
        "\u{1b}[0m",
        &long,
    ] {
        assert!(EmbeddedFile::new(name, "").is_err(), "{name:?}");
    }
    assert!(EmbeddedFile::new(&long[1..], "").is_ok());
    assert!(EmbeddedFile::new("...", "").is_ok());
}

#[test]
fn messages_do_not_carry_terminal_escapes() {
    let good = provenance_statement().to_payload().unwrap();
    for (pointer, new) in [
        ("/_type", json!("\u{1b}[2J")),
        ("/predicateType", json!("\u{1b}[2J")),
        ("/predicate/buildDefinition/buildType", json!("\u{1b}[2J")),
        (
            "/predicate/buildDefinition/externalParameters/recipe/name",
            json!("\u{1b}[2J"),
        ),
        (
            "/predicate/buildDefinition/externalParameters/\u{1b}[2J",
            json!(0),
        ),
        (
            "/predicate/buildDefinition/internalParameters/sourceDateEpoch",
            json!("\u{1b}[2J"),
        ),
        (
            "/predicate/buildDefinition/internalParameters/isolation/network/state",
            json!("\u{1b}"),
        ),
        (
            "/predicate/buildDefinition/internalParameters/isolation/\u{1b}",
            json!(0),
        ),
    ] {
        let error = parse(&spoilt(&good, pointer, Some(new))).unwrap_err();
        assert!(!error.chars().any(char::is_control), "{pointer}: {error:?}");
    }
}
