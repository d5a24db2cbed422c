//! Locks, trust files and configuration files that somebody else wrote: refused with exit code 2
//! and a message that names the place.

use std::fs;

use crate::harness::{Bench, Probe, Program, defects, refused, with};

/// One change each of a sound lock; `DIGEST` and `SIZE` stand for the pinned ones.
const LOCK_CHANGES: &str = r#"
unknown key            | kind =           | host = "mirror.example"\nkind = | host
key twice              | kind =           | kind = "file"\nkind =     | duplicate key
other format           | format = 1       | format = 9                | format 9
digest in capitals     | DIGEST           | ABCDEF                    | line
digest cut short       | DIGEST           | abcdef                    | line
digest of another type | "DIGEST"         | 12                        | line
path above             | path = "probe"   | path = "../probe"         | probe
absolute path          | path = "probe"   | path = "/etc/passwd"      | probe
another file           | path = "probe"   | path = "keys"             | probe
path with an escape    | path = "probe"   | path = "\u001b[2J"        | probe
negative size          | size = SIZE      | size = -1                 | line
size beyond all bounds | size = SIZE      | size = 9223372036854775807 | probe
another input          | name = "probe"   | name = "other"            | probe
another kind           | kind = "file"    | kind = "directory"        | probe
no such kind           | kind = "file"    | kind = "git"              | probe
host for a package     | pkg:generic/probe | https://mirror.example/probe | probe
raw escape             | format = 1       | format = 1\nx = "\e[2J"   | line
"#;

/// A bench with a sound recipe and the text of its lock.
fn locked() -> (Bench, String) {
    let bench = Bench::new();
    Probe::default().write(&bench, "probe");
    bench.lock("probe").exits(0);
    let lock = fs::read_to_string(bench.path("probe/assembly.lock")).unwrap();
    (bench, lock)
}

/// What stands between two texts.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).expect("the text before is there");
    rest.split_once(after).expect("the text after is there").0
}

/// `assemble` and `fetch` with a store that holds nothing yet refuse a lock.
#[track_caller]
fn lock_refused(bench: &Bench, text: &str, defect: &str, named: &[&str]) {
    fs::write(bench.path("probe/assembly.lock"), text).unwrap();
    let cold = Bench::assemble_line("probe").replace("--store store", "--store cold");
    refused(bench.run(&cold), defect, named);
    refused(
        bench.run("fetch probe/assembly.toml --store cold --offline"),
        defect,
        named,
    );
}

#[test]
fn locks() {
    let (bench, sound) = locked();
    let digest = between(&sound, "sha256 = \"", "\"");
    let size = between(&sound, "size = ", "\n");
    let item = sound.split_once("[[input.item]]").unwrap();
    for mut defect in defects(LOCK_CHANGES) {
        defect.old = defect.old.replace("DIGEST", digest).replace("SIZE", size);
        defect.named.push("assembly.lock");
        lock_refused(&bench, &defect.applied(&sound), defect.name, &defect.named);
    }
    let at = ["assembly.lock"];
    let twice = format!("{sound}\n[[input.item]]{}", item.1);
    lock_refused(&bench, &twice, "item twice", &["assembly.lock", "probe"]);
    lock_refused(&bench, item.0, "no item", &["assembly.lock", "probe"]);
    lock_refused(&bench, "", "empty", &at);
    lock_refused(
        &bench,
        &format!("format = {}", "[".repeat(200_000)),
        "deep nesting",
        &at,
    );
    lock_refused(
        &bench,
        &format!("{sound}#{}", "x".repeat(16 << 20)),
        "too large",
        &at,
    );
    assert!(
        !bench.path("cold").exists(),
        "nobody got as far as the store"
    );
    assert_eq!(bench.entries(), 0);
}

#[test]
fn locks_that_lie() {
    let (bench, sound) = locked();
    let digest = between(&sound, "sha256 = \"", "\"");
    let size = between(&sound, "size = ", "\n");
    let other = with(&sound, digest, &"0".repeat(64));
    lock_refused(
        &bench,
        &other,
        "other bytes",
        &["probe", "expected", "found"],
    );
    // A byte that is too many is never read, a missing one never invented.
    for lie in ["1", "99999999"] {
        let text = with(&sound, &format!("size = {size}"), &format!("size = {lie}"));
        lock_refused(&bench, &text, "a size that lies", &["probe"]);
    }
    bench
        .run("store check --store cold")
        .exits(0)
        .says("0 blobs");
    assert_eq!(bench.entries(), 0);
}

#[test]
fn trust_files() {
    let (bench, _) = locked();
    bench.assemble("probe", &[]).exits(0);
    let sound = fs::read_to_string(bench.path("trust.toml")).unwrap();
    let large = format!("{sound}#{}", "x".repeat(1 << 20));
    for (defect, text, named) in [
        ("empty", String::new(), "format"),
        (
            "unknown key",
            format!("trust-everyone = true\n{sound}"),
            "trust-everyone",
        ),
        ("key twice", format!("format = 1\n{sound}"), "duplicate key"),
        (
            "raw escape",
            format!("x = \"\u{1b}[2J\"\n{sound}"),
            "trust.toml",
        ),
        (
            "other format",
            with(&sound, "format = 1", "format = 2"),
            "format",
        ),
        (
            "no key",
            sound.replace("BEGIN PUBLIC KEY", "BEGIN CERTIFICATE"),
            "key",
        ),
        ("deep nesting", "[".repeat(1 << 19), "trust.toml"),
        ("too large", large, "too large"),
    ] {
        fs::write(bench.path("trust.toml"), text).unwrap();
        for verifier in [Program::Counterseal, Program::CountersealVerify] {
            let ran = bench.verify(verifier, &["out/probe.out"], &[]);
            refused(ran, defect, &["trust.toml", named]);
        }
    }
}

#[test]
fn configuration_files() {
    let (bench, _) = locked();
    let directory = bench.path("home/.config/counterseal");
    fs::create_dir_all(&directory).unwrap();
    for (defect, text, named) in [
        ("unknown key", "trust = \"x\"\n", "trust"),
        ("wrong type", "store = 1\n", "store"),
        ("raw escape", "store = \"\u{1b}[2J\"\n", "line 1"),
    ] {
        fs::write(directory.join("config.toml"), text).unwrap();
        refused(bench.lock("probe"), defect, &["config.toml", named]);
    }
    // What it may say, it says for every verb.
    let store = bench.path("elsewhere");
    let text = format!("store = {}\n", toml::Value::from(store.to_str().unwrap()));
    fs::write(directory.join("config.toml"), text).unwrap();
    bench.run("lock probe/assembly.toml --offline").exits(0);
    assert!(store.is_dir());
    bench.run("store check").exits(0);
}
