//! Evidence that somebody else wrote: damaged, oversized, contradictory, or signed by a trusted
//! key and hostile all the same. It is refused with a message, or shown without harm.

use std::fs;

use counterseal_attestation::Sha256Digest;
use counterseal_attestation::json::canonical;
use serde_json::{Value, json};

use crate::harness::{Bench, Probe, Program, append, defects, publish, replace_recipe, sign};

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
fn first(text: &str, old: &str, new: &str) -> String {
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

/// The first occurrence of a text replaced, in the line of a bundle.
const TEXT_CHANGES: &str = r#"
key twice                  | {                  | {"mediaType":"x",                | damaged
key twice inside           | "dsseEnvelope":{   | "dsseEnvelope":{"payload":"",    | damaged
key twice, escaped         | {                  | {"media\u0054ype":"x",           | damaged
unknown key                | {                  | {"surprise":1,                   | damaged
an array                   | {                  | [{                               | damaged
payload without padding    | "payload":"        | "payload":"A                     | damaged
"#;

/// A value replaced at a JSON pointer, where `ENTRY` is the only log entry. What is contradictory
/// shows only when it is compared with something else.
const VALUE_CHANGES: &str = r#"
a number for a text        | /mediaType                                | 3                        | damaged
another media type         | /mediaType                                | "application/json"       | damaged
payload of another type    | /dsseEnvelope/payload                     | {}                       | damaged
no signature               | /dsseEnvelope/signatures                  | []                       | damaged
signatures of another type | /dsseEnvelope/signatures                  | {}                       | damaged
two signatures             | /dsseEnvelope/signatures                  | [{"sig":""},{"sig":""}]  | damaged
empty signature            | /dsseEnvelope/signatures/0/sig            | ""                       | contradictory
null                       | ENTRY                                     | null                     | damaged
two entries                | /verificationMaterial/tlogEntries         | [{}, {}]                 | damaged
index as a number          | ENTRY/logIndex                            | 0                        | damaged
negative index             | ENTRY/logIndex                            | "-1"                     | damaged
index with a leading zero  | ENTRY/logIndex                            | "00"                     | damaged
index beyond counting      | ENTRY/logIndex                            | "18446744073709551616"   | damaged
tree beyond counting       | ENTRY/inclusionProof/treeSize             | "9223372036854775808"    | damaged
hashes cut short           | ENTRY/inclusionProof/hashes               | ["AAAA"]                 | damaged
root cut short             | ENTRY/inclusionProof/rootHash             | "AAAA"                   | damaged
a checkpoint of nothing    | ENTRY/inclusionProof/checkpoint/envelope  | ""                       | contradictory
a body of nothing          | ENTRY/canonicalizedBody                   | ""                       | contradictory
a body of brackets         | ENTRY/canonicalizedBody                   | "W1tbW1tbW1tb"           | contradictory
"#;

const ENTRY: &str = "/verificationMaterial/tlogEntries/0";

/// Name, bytes, and whether the defect shows only in a comparison.
fn damaged(sound: &str) -> Vec<(&'static str, Vec<u8>, bool)> {
    let mut cases = Vec::new();
    let mut add =
        |name, text: String, is_readable| cases.push((name, text.into_bytes(), is_readable));
    for defect in defects(TEXT_CHANGES) {
        add(defect.name, first(sound, &defect.old, &defect.new), false);
    }
    for defect in defects(VALUE_CHANGES) {
        let pointer = defect.old.replace("ENTRY", ENTRY);
        let value = serde_json::from_str(&defect.new).unwrap();
        let is_readable = defect.named == ["contradictory"];
        add(defect.name, set(sound, &pointer, value), is_readable);
    }
    let at =
        |below: &str, value: Value| set(sound, &format!("{ENTRY}/inclusionProof{below}"), value);
    let hashes = |count: usize| Value::from(vec!["A".repeat(43) + "="; count]);
    let nested = format!("{{\"x\":{}1{},", "[".repeat(99), "]".repeat(99));
    add("a proof too long", at("/hashes", hashes(64)), false);
    add("a proof of nothing", at("/hashes", hashes(3)), true);
    add(
        "a checkpoint without end",
        at("/checkpoint/envelope", json!("a\n".repeat(1 << 16))),
        false,
    );
    add("two documents", format!("{sound}{sound}"), false);
    add("trailing bracket", format!("{sound}]"), false);
    add("cut short", sound[..sound.len() / 2].to_owned(), false);
    add("deep nesting", "[".repeat(1 << 20), false);
    add("deep nesting inside", first(sound, "{", &nested), false);
    add("a byte order mark", format!("\u{feff}{sound}"), false);
    add(
        "a line too long",
        first(sound, "{", &format!("{{{}", " ".repeat(8 << 20))),
        false,
    );
    add("too many lines", format!("{sound}\n").repeat(1025), false);
    let utf16 = sound.encode_utf16().flat_map(u16::to_le_bytes).collect();
    cases.push(("two bytes a character", utf16, false));
    cases.push((
        "not UTF-8",
        [sound.as_bytes(), b"\n\xff\xfe"].concat(),
        false,
    ));
    cases.push(("nothing but zeros", vec![0; 65 << 20], false));
    cases
}

#[test]
fn damaged_evidence_is_refused_by_everyone() {
    let (bench, file, sound) = assembled();
    let entries = bench.entries();
    for (defect, bytes, is_readable) in damaged(&sound) {
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
            // What only contradicts something else can be read, and is.
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
        ("key twice", first(&sound, "{", "{\"_type\":\"x\",")),
        (
            "key twice, deep inside",
            first(&sound, "\"sha256\":", "\"sha256\":\"\",\"sha256\":"),
        ),
        (
            "deep nesting",
            first(
                &sound,
                "{",
                &format!("{{\"x\":{}{},", "[".repeat(99), "]".repeat(99)),
            ),
        ),
        ("deepest nesting", "{\"a\":".repeat(500_000)),
        (
            "too large",
            first(
                &sound,
                "{",
                &format!("{{\"x\":\"{}\",", "x".repeat(4 << 20)),
            ),
        ),
        (
            "subjects of another type",
            first(&sound, "\"subject\":[", "\"subject\":[[],"),
        ),
        (
            "unknown parameter",
            first(
                &sound,
                "\"externalParameters\":{",
                "\"externalParameters\":{\"x\":1,",
            ),
        ),
        (
            "another statement",
            first(
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
        replace_recipe(&mut statement, |recipe| first(recipe, old, new));
        signed(&bench, &canonical(&statement).unwrap());
        let line = format!("replay {file} --store store --offline --output again");
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
