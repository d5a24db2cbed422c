//! Encodings: one spelling for everything, and nothing read twice with different results.

use counterseal_verify::codes;

use crate::fixture::{World, evidence};
use crate::{assert_failed_by, judge};

/// Alters the text of an otherwise good bundle.
#[track_caller]
fn check_altered(from: &str, to: &str) {
    let world = World::new();
    let line = world.provenance().to_line();
    assert!(line.contains(from), "the fixture has no {from}");
    let altered = line.replacen(from, to, 1);
    assert_failed_by(&judge(&world, altered.as_bytes()), &["envelope.parse"]);
}

// CVE-2022-35930: a second signature that nobody looked at.
#[test]
fn two_signatures() {
    let line = World::new().provenance().to_line();
    let start = line.find("\"signatures\":[").unwrap() + "\"signatures\":[".len();
    let end = start + line[start..].find(']').unwrap();
    let signature = &line[start..end];
    let world = World::new();
    let doubled = line.replacen(signature, &format!("{signature},{signature}"), 1);
    assert_failed_by(&judge(&world, doubled.as_bytes()), &["envelope.parse"]);
    let none = line.replacen(signature, "", 1);
    assert_failed_by(&judge(&world, none.as_bytes()), &["envelope.parse"]);
}

#[test]
fn duplicate_json_key_in_the_bundle() {
    check_altered("{\"", "{\"dsseEnvelope\":{},\"");
}

#[test]
fn duplicate_json_key_deep_inside() {
    check_altered("\"keyid\":", "\"keyid\":\"x\",\"keyid\":");
}

#[test]
fn member_in_another_case() {
    check_altered("\"payloadType\"", "\"payloadtype\"");
}

#[test]
fn unknown_member() {
    check_altered("\"payloadType\"", "\"surprise\":1,\"payloadType\"");
}

#[test]
fn unknown_bundle_version() {
    check_altered("bundle.v0.3+json", "bundle.v0.4+json");
}

#[test]
fn other_entry_kind() {
    check_altered("\"hashedrekord\"", "\"intoto\"");
}

#[test]
fn integrated_time_that_nothing_proves() {
    check_altered("\"integratedTime\":\"0\"", "\"integratedTime\":\"1\"");
}

#[test]
fn integer_with_a_leading_zero() {
    check_altered("\"logIndex\":\"5\"", "\"logIndex\":\"05\"");
}

#[test]
fn integer_as_a_number() {
    check_altered("\"treeSize\":\"7\"", "\"treeSize\":7");
}

#[test]
fn text_after_the_object() {
    let world = World::new();
    for extra in ["x", " ", "\t", "{}", "\r", "\u{feff}"] {
        let file = format!("{}{extra}", world.provenance().to_line());
        assert_failed_by(&judge(&world, file.as_bytes()), &["envelope.parse"]);
    }
}

#[test]
fn byte_order_mark() {
    let world = World::new();
    let file = format!("\u{feff}{}", world.provenance().to_line());
    assert_failed_by(&judge(&world, file.as_bytes()), &["envelope.parse"]);
}

/// base64url, missing padding, trailing bits: the same bytes under another spelling.
#[test]
fn base64_in_another_spelling() {
    let world = World::new();
    let bundle = world.provenance();
    let line = bundle.to_line();
    let root = counterseal_attestation::encode_base64(&bundle.entry.unwrap().proof.root_hash);
    let spelled = format!("\"rootHash\":\"{root}\"");
    assert!(line.contains(&spelled) && root.ends_with('='));
    let unpadded = root.trim_end_matches('=');
    let last = unpadded.chars().next_back().unwrap();
    // 32 bytes leave two unused bits in the last digit: set one of them.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let next = alphabet.as_bytes()[alphabet.find(last).unwrap() + 1] as char;
    let with_bits = format!("{}{next}=", &unpadded[..unpadded.len() - 1]);
    let spaced = format!("{} {}", &root[..4], &root[4..]);
    for other in [unpadded, &with_bits, &spaced] {
        let altered = line.replacen(&spelled, &format!("\"rootHash\":\"{other}\""), 1);
        assert_failed_by(&judge(&world, altered.as_bytes()), &["envelope.parse"]);
    }
}

// Terminal escapes in what is shown to people.
#[test]
fn terminal_escapes_do_not_reach_the_verdict() {
    let world = World::new();
    let mut statement = crate::fixture::provenance_statement();
    let product = &mut statement
        .predicate
        .build_definition
        .external_parameters
        .product;
    product.name = "hello\u{1b}]0;owned\u{7}\u{202e}".into();
    statement.predicate.run_details.builder.id = "https://x\u{1b}[2J".into();
    statement.subject[0].name = "a\nverified b".into();
    let bundle = world.recorded(&world.builder, &statement.to_payload().unwrap());
    let verdict = judge(&world, &evidence(&[&bundle]));
    assert_failed_by(&verdict, &[codes::SIGNER_BUILDER_ALLOWED]);
    let product = verdict.product.as_ref().unwrap();
    let shown = verdict.checks.iter().map(|check| check.detail.as_str());
    for text in shown.chain([product.name.as_str(), product.builder_id.as_str()]) {
        assert!(
            !text.chars().any(|c| c.is_control() || c == '\u{202e}'),
            "{text:?}"
        );
    }
}
