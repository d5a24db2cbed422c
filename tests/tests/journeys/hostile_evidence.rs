//! Evidence that somebody else wrote: damaged, oversized, contradictory, or signed by a trusted
//! key and hostile all the same. It is refused with a message, or shown without harm.

use std::fs;

use counterseal_attestation::Sha256Digest;
use counterseal_attestation::json::canonical;
use serde_json::{Value, json};

use crate::harness::{Bench, Probe, Program, append, publish, replace_recipe, sign};

/// A small product with its evidence: the artifact's path, and the one line.
fn assembled() -> (Bench, &'static str, String) {
    let bench = Bench::new();
    Probe::default().write(&bench, "probe");
    bench.lock("probe").exits(0);
    bench.assemble("probe", &[]).exits(0);
    let line = fs::read_to_string(bench.path("out/probe.out.sigstore.jsonl")).unwrap();
    (bench, "out/probe.out", line.trim_end().to_owned())
}

/// Replaces the first occurrence, which there must be.
#[track_caller]
fn with(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "{old} in {text}");
    text.replacen(old, new, 1)
}

/// The line with another value at a JSON pointer; `null` stands for itself.
#[track_caller]
fn set(line: &str, pointer: &str, value: Value) -> String {
    let mut document: Value = serde_json::from_str(line).unwrap();
    *document
        .pointer_mut(pointer)
        .unwrap_or_else(|| panic!("{pointer} in {line}")) = value;
    document.to_string()
}

fn damaged(sound: &str) -> Vec<(&'static str, Vec<u8>)> {
    let entry = "/verificationMaterial/tlogEntries/0";
    let at = |below: &str, value: Value| set(sound, &format!("{entry}{below}"), value);
    let hashes = |count: usize| Value::from(vec!["A".repeat(43) + "="; count]);
    let cases = vec![
        ("key twice", with(sound, "{", "{\"mediaType\":\"x\",")),
        (
            "key twice inside",
            with(
                sound,
                "\"dsseEnvelope\":{",
                "\"dsseEnvelope\":{\"payload\":\"\",",
            ),
        ),
        (
            "key twice, escaped",
            with(sound, "{", "{\"media\\u0054ype\":\"x\","),
        ),
        ("unknown key", with(sound, "{", "{\"surprise\":1,")),
        ("two documents", format!("{sound}{sound}")),
        ("trailing bracket", format!("{sound}]")),
        ("cut short", sound[..sound.len() / 2].to_owned()),
        ("deep nesting", "[".repeat(1 << 20)),
        (
            "deep nesting inside",
            with(
                sound,
                "{",
                &format!("{{\"x\":{}1{},", "[".repeat(99), "]".repeat(99)),
            ),
        ),
        ("an array", format!("[{sound}]")),
        ("a byte order mark", format!("\u{feff}{sound}")),
        ("a number for a text", set(sound, "/mediaType", json!(3))),
        (
            "another media type",
            set(sound, "/mediaType", json!("application/json")),
        ),
        (
            "payload of another type",
            set(sound, "/dsseEnvelope/payload", json!({})),
        ),
        (
            "payload without padding",
            with(sound, "\"payload\":\"", "\"payload\":\"A"),
        ),
        (
            "no signature",
            set(sound, "/dsseEnvelope/signatures", json!([])),
        ),
        (
            "signatures of another type",
            set(sound, "/dsseEnvelope/signatures", json!({})),
        ),
        (
            "two signatures",
            set(
                sound,
                "/dsseEnvelope/signatures",
                json!([{"sig": ""}, {"sig": ""}]),
            ),
        ),
        (
            "empty signature",
            set(sound, "/dsseEnvelope/signatures/0/sig", json!("")),
        ),
        ("null", set(sound, entry, Value::Null)),
        (
            "two entries",
            set(sound, "/verificationMaterial/tlogEntries", json!([{}, {}])),
        ),
        ("index as a number", at("/logIndex", json!(0))),
        ("negative index", at("/logIndex", json!("-1"))),
        ("index with a leading zero", at("/logIndex", json!("00"))),
        (
            "index beyond counting",
            at("/logIndex", json!("18446744073709551616")),
        ),
        (
            "tree beyond counting",
            at("/inclusionProof/treeSize", json!("9223372036854775808")),
        ),
        ("a proof too long", at("/inclusionProof/hashes", hashes(64))),
        (
            "a proof of nothing",
            at("/inclusionProof/hashes", hashes(3)),
        ),
        (
            "a root cut short",
            at("/inclusionProof/rootHash", json!("AAAA")),
        ),
        (
            "a checkpoint of nothing",
            at("/inclusionProof/checkpoint/envelope", json!("")),
        ),
        (
            "a checkpoint without end",
            at(
                "/inclusionProof/checkpoint/envelope",
                json!("a\n".repeat(1 << 16)),
            ),
        ),
        ("a body of nothing", at("/canonicalizedBody", json!(""))),
        (
            "a body of brackets",
            at("/canonicalizedBody", json!("W1tbW1tbW1tb")),
        ),
        (
            "a line too long",
            with(sound, "{", &format!("{{{}", " ".repeat(8 << 20))),
        ),
        ("too many lines", format!("{sound}\n").repeat(1025)),
    ];
    let mut cases: Vec<(&str, Vec<u8>)> = cases
        .into_iter()
        .map(|(name, text)| (name, text.into_bytes()))
        .collect();
    cases.push(("not UTF-8", [sound.as_bytes(), b"\n\xff\xfe"].concat()));
    cases.push((
        "two bytes a character",
        sound.encode_utf16().flat_map(u16::to_le_bytes).collect(),
    ));
    cases.push(("nothing but zeros", vec![0; 65 << 20]));
    cases
}

/// Defects that only a comparison with something else brings out.
const CONTRADICTORY: [&str; 5] = [
    "a proof of nothing",
    "a checkpoint of nothing",
    "a body of nothing",
    "a body of brackets",
    "empty signature",
];

#[test]
fn damaged_evidence_is_refused_by_everyone() {
    let (bench, file, sound) = assembled();
    let entries = bench.entries();
    for (defect, bytes) in damaged(&sound) {
        fs::write(bench.path("x.sigstore.jsonl"), &bytes).unwrap();
        // What stands beside a sound line harms as much as what stands alone.
        let beside = [sound.as_bytes(), b"\n", &bytes[..]].concat();
        fs::write(bench.path("beside"), &beside).unwrap();
        for evidence in ["x.sigstore.jsonl", "beside"] {
            let more = ["--evidence", evidence];
            let ran = bench
                .verify(Program::CountersealVerify, &[file], &more)
                .speaks_plainly();
            assert!(
                matches!(ran.code(), Some(1 | 2)),
                "{defect} {evidence}\n{}",
                ran.spoken()
            );
        }
        let refuse = |line: &str| {
            let ran = bench.run(line).speaks_plainly();
            // What only contradicts the record can be read, and is.
            let is_readable = CONTRADICTORY.contains(&defect);
            assert!(
                ran.code() == Some(2) || is_readable,
                "{defect}: {line}\n{}",
                ran.spoken()
            );
            assert!(
                ran.stderr().len() < 4096,
                "{defect}: a message, not a flood"
            );
        };
        refuse("show x.sigstore.jsonl");
        refuse("replay x.sigstore.jsonl --store store --offline");
        refuse(
            "record add record x.sigstore.jsonl --public-key keys/vendor.key.pub \
             --key keys/record.key",
        );
    }
    assert_eq!(bench.entries(), entries);
}

/// Signs a payload as the vendor, records it, and puts it beside the artifact.
fn signed(bench: &Bench, payload: &[u8]) {
    let bundle = sign(bench, "keys/vendor.key", payload);
    fs::write(
        bench.path("out/probe.out.sigstore.jsonl"),
        format!("{}\n", bundle.to_line()),
    )
    .unwrap();
    let add = "record add record out/probe.out.sigstore.jsonl \
               --public-key keys/vendor.key.pub --key keys/record.key";
    bench.run(add).exits(0);
}

#[test]
fn a_trusted_signature_excuses_no_malformed_statement() {
    let (bench, file, _) = assembled();
    let sound = String::from_utf8(canonical(&bench.statements(file)[0]).unwrap()).unwrap();
    for (defect, payload) in [
        ("nothing", String::new()),
        ("key twice", with(&sound, "{", "{\"_type\":\"x\",")),
        (
            "key twice, deep inside",
            with(&sound, "\"sha256\":", "\"sha256\":\"\",\"sha256\":"),
        ),
        (
            "deep nesting",
            with(
                &sound,
                "{",
                &format!("{{\"x\":{}{},", "[".repeat(99), "]".repeat(99)),
            ),
        ),
        ("deepest nesting", "{\"a\":".repeat(500_000)),
        (
            "too large",
            with(
                &sound,
                "{",
                &format!("{{\"x\":\"{}\",", "x".repeat(4 << 20)),
            ),
        ),
        (
            "subjects of another type",
            with(&sound, "\"subject\":[", "\"subject\":[[],"),
        ),
        (
            "unknown parameter",
            with(
                &sound,
                "\"externalParameters\":{",
                "\"externalParameters\":{\"x\":1,",
            ),
        ),
        (
            "another statement",
            with(
                &sound,
                "in-toto.io/Statement/v1",
                "in-toto.io/Statement/v0.1",
            ),
        ),
    ] {
        signed(&bench, payload.as_bytes());
        for verifier in [Program::Counterseal, Program::CountersealVerify] {
            let ran = bench.verify(verifier, &[file], &[]).speaks_plainly();
            assert!(
                matches!(ran.code(), Some(1..=3)),
                "{defect}\n{}",
                ran.spoken()
            );
        }
        bench
            .run(&format!("replay {file} --store store --offline"))
            .exits(2)
            .speaks_plainly();
    }
}

#[test]
fn nothing_signed_can_drive_the_terminal() {
    const BAIT: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}";
    let (bench, file, _) = assembled();
    let sound = bench.statements(file).remove(0);
    for pointer in [
        "/predicate/buildDefinition/externalParameters/product/name",
        "/predicate/buildDefinition/externalParameters/product/version",
        "/predicate/buildDefinition/externalParameters/recipe/name",
        "/predicate/buildDefinition/resolvedDependencies/2/uri",
        "/predicate/buildDefinition/resolvedDependencies/2/name",
        "/predicate/buildDefinition/internalParameters/steps/0/name",
        "/predicate/runDetails/builder/id",
        "/predicate/runDetails/metadata/invocationId",
        "/predicate/runDetails/metadata/finishedOn",
        "/predicate/buildDefinition/buildType",
        "/predicateType",
        "/subject/0/name",
    ] {
        let mut statement = sound.clone();
        *statement
            .pointer_mut(pointer)
            .unwrap_or_else(|| panic!("{pointer}")) = json!(BAIT);
        signed(&bench, &canonical(&statement).unwrap());
        for words in [&[][..], &["--verbose"]] {
            bench
                .verify(Program::CountersealVerify, &[file], words)
                .speaks_plainly();
            bench
                .verify(Program::Counterseal, &[file], words)
                .speaks_plainly();
        }
        bench.run(&format!("show {file}")).speaks_plainly();
        bench
            .run(&format!("replay {file} --store store --offline"))
            .speaks_plainly();
    }
    // An auditor's reason is free text.
    publish(&bench, "out/probe.out.sigstore.jsonl", &sound);
    bench.replay(file, "store", &[]).exits(0);
    let mut verdict = bench.statements(file).remove(1);
    verdict["predicate"]["verdict"] = json!("could-not-rebuild");
    verdict["predicate"]["reason"] = json!(format!("{BAIT} {}", "long ".repeat(10_000)));
    verdict["predicate"]["rebuilt"] = json!([]);
    append(
        &bench,
        "out/probe.out.sigstore.jsonl",
        "keys/auditor.key",
        &verdict,
    );
    let ran = bench
        .verify(Program::CountersealVerify, &[file], &[])
        .exits(0)
        .speaks_plainly();
    assert!(
        ran.says("could not rebuild it").stderr().len() < 20_000,
        "a message, not a flood"
    );
    bench.run(&format!("show {file}")).exits(0).speaks_plainly();
}

#[test]
fn names_in_evidence_lead_nowhere() {
    let (bench, file, _) = assembled();
    let sound = bench.statements(file).remove(0);
    for name in ["../escape", "/tmp/escape", "a/../../escape", "..", ""] {
        let mut statement = sound.clone();
        statement["subject"][0]["name"] = json!(name);
        statement["subject"][0]["digest"]["sha256"] = json!(Sha256Digest::of(b"other"));
        signed(&bench, &canonical(&statement).unwrap());
        let line = format!("replay {file} --store store --offline --output rebuilt");
        let code = bench.run(&line).speaks_plainly().code();
        assert!(matches!(code, Some(1 | 2)), "{name}: {code:?}");
    }
    // A recipe inside of evidence is as strictly read as one on disk.
    for (old, new) in [
        ("name = \"probe.out\"", "name = \"../escape\""),
        ("path = \"out\"", "path = \"../../escape\""),
        ("at = \"/bin/probe\"", "at = \"/../escape\""),
    ] {
        let mut statement = sound.clone();
        replace_recipe(&mut statement, |recipe| with(recipe, old, new));
        signed(&bench, &canonical(&statement).unwrap());
        let line = format!("replay {file} --store store --offline --output rebuilt");
        bench
            .run(&line)
            .exits(3)
            .speaks_plainly()
            .says("could-not-rebuild");
    }
    let mut escaped = bench.directory().parent().unwrap().join("escape").exists();
    escaped |= bench.path("escape").exists() || bench.path("out/escape").exists();
    assert!(!escaped && !std::path::Path::new("/tmp/escape").exists());
}
