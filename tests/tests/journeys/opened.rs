//! What was really read: the runtime trace beside the evidence, and what `show --inputs` makes of
//! it.

use std::fs;

use counterseal_attestation::Sha256Digest;
use serde_json::{Value, json};

use crate::harness::{Bench, PACK, Probe, rules, with};

/// The trace beside an artifact, after a look whether the provenance names it.
fn trace(bench: &Bench, artifact: &str) -> Value {
    let bytes = fs::read(bench.path(&format!("{artifact}.runtime-trace.json"))).unwrap();
    let provenance = &bench.statements(artifact)[0];
    let byproducts = provenance["predicate"]["runDetails"]["byproducts"].as_array();
    let named = byproducts
        .unwrap()
        .iter()
        .find(|one| one["name"] == "runtime-trace")
        .unwrap();
    let digest = Sha256Digest::of(&bytes).to_string();
    assert_eq!(named["digest"]["sha256"], json!(digest));
    let trace: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(trace["subject"], provenance["subject"]);
    assert_eq!(
        trace["predicateType"],
        "https://in-toto.io/attestation/runtime-trace/v0.1"
    );
    trace
}

fn files(trace: &Value) -> Vec<&str> {
    let files = trace["predicate"]["monitorLog"]["fileAccess"].as_array();
    let names = files.unwrap().iter().map(|file| &file["name"]);
    names.map(|name| name.as_str().unwrap()).collect()
}

#[test]
fn everything_that_a_compiler_reads_is_in_its_trace() {
    let bench = Bench::new();
    rules(&bench, "rules");
    bench.lock("rules").exits(0);
    bench.assemble("rules", &[]).exits(0);
    let artifact = format!("out/{PACK}");
    let trace_file = bench.path(&format!("{artifact}.runtime-trace.json"));
    let trace = trace(&bench, &artifact);
    assert_eq!(
        files(&trace),
        [
            "bin/rulec",
            "in/rules/droppers.rule",
            "in/rules/network/command-and-control.rule",
            "in/rules/network/phishing.rule",
            "in/rules/persistence.rule",
            "in/rules/ransomware.rule",
            "in/rules/test-files.rule",
        ]
    );
    let rule = fs::read(bench.path("rules/rules/droppers.rule")).unwrap();
    assert_eq!(
        trace["predicate"]["monitorLog"]["fileAccess"][1]["digest"]["sha256"],
        json!(Sha256Digest::of(&rule).to_string())
    );
    let shown = bench.run(&format!("show {artifact} --inputs")).exits(0);
    assert_eq!(
        shown.stdout(),
        "opened         6 of     6 files,   0 links  pkg:generic/rules\n\
         opened         1 of     1 files,   0 links  pkg:generic/rulec\n"
    );
    shown.says("inputs: 2 declared, 2 opened, 0 never touched");

    // The same again, from the cache and without it: the same trace, so nothing is signed anew.
    let before = fs::read(&trace_file).unwrap();
    fs::remove_file(&trace_file).unwrap();
    bench.assemble("rules", &[]).exits(0).says("unchanged");
    assert_eq!(fs::read(&trace_file).unwrap(), before);
    bench
        .assemble("rules", &["--no-cache"])
        .exits(0)
        .says("unchanged");
    assert_eq!(fs::read(&trace_file).unwrap(), before);
    bench.run("store gc --store store").exits(0);
    fs::remove_file(&trace_file).unwrap();
    bench.assemble("rules", &[]).exits(0).says("unchanged");
    assert_eq!(fs::read(&trace_file).unwrap(), before);
}

#[test]
fn what_was_never_touched_is_listed_last() {
    let bench = Bench::new();
    let product = Probe {
        words: "symlink /in/deep /build/link then read /build/link/../deep/x/y \
            then read /in/again then list /in then stat /in/untouched then write-text /build/out done",
        ..Probe::default()
    };
    product.write(&bench, "probe");
    let folder = bench.path("probe");
    fs::create_dir_all(folder.join("deep/x")).unwrap();
    for (path, content) in [("deep/x/y", "1"), ("deep/x/z", "2"), ("untouched", "3")] {
        fs::write(folder.join(path), content).unwrap();
    }
    let more = r#"
[[input]]
name = "untouched"
kind = "file"
location = "untouched"
at = "/in/untouched"

[[input]]
name = "deep"
kind = "directory"
location = "deep"
at = "/in/deep"

[[root.file]]
path = "in/once"
content = "a file of the recipe's own"

[root.links]
"in/again" = "once"

[[step]]"#;
    let recipe = with(&product.recipe(), "\n[[step]]", more);
    fs::write(folder.join("assembly.toml"), recipe).unwrap();
    bench.lock("probe").exits(0);
    bench.assemble("probe", &[]).exits(0);
    let trace = trace(&bench, "out/probe.out");
    assert_eq!(files(&trace), ["bin/probe", "in/deep/x/y", "in/once"]);

    let shown = bench.run("show out/probe.out --inputs").exits(0);
    assert_eq!(
        shown.stdout(),
        "opened         1 of     1 files,   1 links  assembly.toml\n\
         opened         1 of     1 files,   0 links  pkg:generic/probe\n\
         opened         1 of     2 files,   0 links  pkg:generic/deep\n\
         untouched      0 of     1 files,   0 links  pkg:generic/untouched\n"
    );
    let document = bench.run("show out/probe.out --inputs --json").exits(0);
    let document = document.json();
    assert_eq!(document["declared"], 4);
    assert_eq!(document["neverTouched"], 1);
    assert_eq!(document["files"][1]["name"], "in/deep/x/y");
}

#[test]
fn another_trace_is_not_shown() {
    let bench = Bench::new();
    Probe::default().write(&bench, "probe");
    bench.lock("probe").exits(0);
    bench.assemble("probe", &[]).exits(0);
    let path = bench.path("out/probe.out.runtime-trace.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, with(&text, "\"filesOpened\":1", "\"filesOpened\":0")).unwrap();
    let ran = bench.run("show out/probe.out --inputs").exits(1);
    ran.speaks_plainly()
        .says("is not the trace that the provenance names");
    fs::remove_file(&path).unwrap();
    bench
        .run("show out/probe.out --inputs")
        .exits(3)
        .speaks_plainly()
        .says("there is no runtime trace at out/probe.out.runtime-trace.json");
    // A customer needs no trace.
    bench
        .verify(
            crate::harness::Program::CountersealVerify,
            &["out/probe.out"],
            &[],
        )
        .exits(0);
}
