//! The build engineer: keys, a record, a trust file, a lock, an assembly, evidence; and what the
//! program refuses on that way.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::fs::{CWD, FileType, Mode};
use serde_json::json;

use crate::harness::{Bench, PACK, Probe, Program, files_below, remove_directory, rules};

#[test]
fn from_nothing_to_evidence() {
    let bench = Bench::new();
    rules(&bench, "rules");
    bench
        .lock("rules")
        .exits(0)
        .says("wrote rules/assembly.lock: 2 inputs, 2 items");
    let ran = bench.assemble("rules", &[]).exits(0);
    let pack = fs::read(bench.path("out").join(PACK)).unwrap();
    let digest = counterseal_attestation::Sha256Digest::of(&pack);
    assert_eq!(ran.stdout(), format!("sha256:{digest}  out/{PACK}\n"));

    // The product is real: the compiler that made it looks a rule up in it.
    let mut files = fs::read_dir(bench.path("out")).unwrap().count();
    assert_eq!(files, 3, "the pack, its evidence and its trace");
    let statements = bench.statements(&format!("out/{PACK}"));
    let [provenance] = &statements[..] else {
        panic!("one statement: {statements:?}")
    };
    assert_eq!(
        provenance["subject"],
        json!([{"name": PACK, "digest": {"sha256": digest}}])
    );
    let definition = &provenance["predicate"]["buildDefinition"];
    let recipe = fs::read_to_string(bench.path("rules/assembly.toml")).unwrap();
    let lock = fs::read_to_string(bench.path("rules/assembly.lock")).unwrap();
    assert_eq!(
        definition["externalParameters"]["recipe"]["content"],
        json!(recipe)
    );
    assert_eq!(
        definition["externalParameters"]["lock"]["content"],
        json!(lock)
    );
    assert_eq!(
        definition["externalParameters"]["product"]["version"],
        "2026.11.1"
    );
    let isolation = definition["internalParameters"]["isolation"]
        .as_object()
        .unwrap();
    for guarantee in ["network", "read-only-root", "seccomp", "no-capabilities"] {
        assert_eq!(isolation[guarantee]["state"], "enforced", "{guarantee}");
    }
    for guarantee in [
        "timestamp-counter",
        "processor-identity",
        "processor-number",
        "hardware-randomness",
        "counting-threads",
        "signal-timing",
        "kernel-settings",
    ] {
        assert_eq!(isolation[guarantee]["state"], "absent", "{guarantee}");
    }

    // The same again: nothing runs, nothing is signed, nothing is recorded.
    let evidence = fs::read(bench.path("out").join(format!("{PACK}.sigstore.jsonl"))).unwrap();
    assert_eq!(bench.entries(), 1);
    bench
        .assemble("rules", &[])
        .exits(0)
        .says("unchanged")
        .never_says("step compile");
    assert_eq!(bench.entries(), 1);
    let after = fs::read(bench.path("out").join(format!("{PACK}.sigstore.jsonl"))).unwrap();
    assert_eq!(evidence, after);

    // Without the cache the step runs, comes to the same, and there is nothing new to record.
    bench
        .assemble("rules", &["--no-cache"])
        .exits(0)
        .says("step compile")
        .says("unchanged");
    assert_eq!(bench.entries(), 1);
    files = fs::read_dir(bench.path("out")).unwrap().count();
    assert_eq!(files, 3, "nothing is left half done");
    assert!(is_empty(&bench, "home") && is_empty(&bench, "tmp"));
}

fn is_empty(bench: &Bench, folder: &str) -> bool {
    fs::read_dir(bench.path(folder)).unwrap().next().is_none()
}

#[test]
fn what_is_in_the_store_need_not_be_written_again() {
    let bench = Bench::new();
    rules(&bench, "rules");
    bench.lock("rules").exits(0);
    bench.assemble("rules", &[]).exits(0);
    // Somebody spoils the artifact: assembling again puts it right from the store.
    fs::write(bench.path("out").join(PACK), "spoilt").unwrap();
    bench
        .assemble("rules", &[])
        .exits(0)
        .says("result taken from the store");
    bench
        .verify(Program::Counterseal, &[&format!("out/{PACK}")], &[])
        .exits(0);
    // Somebody puts a pipe in its place, which nobody ever writes to.
    let pack = bench.path("out").join(PACK);
    fs::remove_file(&pack).unwrap();
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(CWD, &pack, FileType::Fifo, mode, 0).unwrap();
    bench.assemble("rules", &[]).exits(0);
    assert!(fs::metadata(&pack).unwrap().is_file());
    // Its evidence is lost: the product is signed and recorded anew.
    fs::remove_file(bench.path("out").join(format!("{PACK}.sigstore.jsonl"))).unwrap();
    bench.assemble("rules", &[]).exits(0);
    bench
        .verify(Program::Counterseal, &[&format!("out/{PACK}")], &[])
        .exits(0);
    assert_eq!(bench.entries(), 2);
    // What is pinned survives the collection of the store.
    bench.run("store gc --store store").exits(0);
    bench.run("store check --store store").exits(0);
    bench
        .assemble("rules", &[])
        .exits(0)
        .says("result taken from the store")
        .says("unchanged");
}

#[test]
fn two_recipes_of_one_version_keep_what_each_needs() {
    let bench = Bench::new();
    let folders = ["small", "large"];
    let write = |folder: &str, word: &str| {
        let words = format!("write-text /build/out {folder}-{word}");
        Probe {
            words: &words,
            ..Probe::default()
        }
        .write(&bench, folder);
        bench.lock(folder).exits(0);
    };
    for folder in folders {
        write(folder, "one");
        bench.assemble(folder, &[]).exits(0);
    }
    let collect = || bench.run("store gc --store store").exits(0);
    collect();
    for folder in folders {
        let ran = bench.assemble(folder, &[]).exits(0);
        ran.says("result taken from the store");
    }
    // An edited recipe is the same one: what it made before goes.
    write("small", "two");
    bench.assemble("small", &[]).exits(0);
    collect();
    assert_eq!(fs::read_dir(bench.path("store/pins")).unwrap().count(), 2);
    write("small", "one");
    let ran = bench.assemble("small", &[]).exits(0);
    ran.never_says("result taken from the store");
}

/// The evidence, with one byte of its signature changed.
fn with_damaged_signature(evidence: &str) -> String {
    let mut bundle: serde_json::Value = serde_json::from_str(evidence).unwrap();
    let signature = &mut bundle["dsseEnvelope"]["signatures"][0]["sig"];
    let text = signature.as_str().unwrap();
    let last = text.trim_end_matches('=').len() - 3;
    let other = if text.as_bytes()[last] == b'A' {
        "B"
    } else {
        "A"
    };
    *signature = json!(format!("{}{other}{}", &text[..last], &text[last + 1..]));
    format!("{bundle}\n")
}

#[test]
fn evidence_that_does_not_verify_is_not_up_to_date() {
    let bench = Bench::new();
    rules(&bench, "rules");
    bench.lock("rules").exits(0);
    bench.assemble("rules", &[]).exits(0);
    let path = bench.path("out").join(format!("{PACK}.sigstore.jsonl"));
    let sound = fs::read_to_string(&path).unwrap();
    fs::write(&path, with_damaged_signature(&sound)).unwrap();
    let artifact = format!("out/{PACK}");
    let verify = || bench.verify(Program::Counterseal, &[&artifact], &[]);
    verify().exits(1);
    bench
        .assemble("rules", &[])
        .exits(0)
        .never_says("unchanged");
    verify().exits(0);

    // The same of an envelope that waits for being recorded: recording takes whatever it is given.
    let mut bundle: serde_json::Value =
        serde_json::from_str(&with_damaged_signature(&sound)).unwrap();
    let material = bundle["verificationMaterial"].as_object_mut().unwrap();
    material.remove("tlogEntries");
    let waiting = fs::read_dir(bench.path("store/pins")).unwrap();
    let name = waiting.map(|entry| entry.unwrap().file_name()).next();
    // A pin's name goes on with which recipe it is.
    let name = name.unwrap().into_string().unwrap();
    let name = format!(".{}.pending", name.rsplit_once('-').unwrap().0);
    fs::write(bench.path("out").join(name), format!("{bundle}\n")).unwrap();
    fs::remove_file(&path).unwrap();
    bench.assemble("rules", &[]).exits(0);
    verify().exits(0);
    assert_eq!(fs::read_dir(bench.path("out")).unwrap().count(), 3);
}

#[test]
fn an_artifact_is_as_executable_as_it_was_made() {
    let bench = Bench::new();
    let product = Probe {
        words: "write-text /build/out done then chmod 755 /build/out",
        ..Probe::default()
    };
    product.write(&bench, "probe");
    bench.lock("probe").exits(0);
    let mode = |path: &str| fs::metadata(bench.path(path)).unwrap().permissions().mode() & 0o777;
    bench.assemble("probe", &[]).exits(0);
    assert_eq!(mode("out/probe.out"), 0o755);
    fs::set_permissions(
        bench.path("out/probe.out"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    bench.assemble("probe", &[]).exits(0);
    assert_eq!(mode("out/probe.out"), 0o755);
    let words = ["-o", "again", "--input-archive", "inputs"];
    bench
        .assemble("probe", &["--archive-inputs", "inputs"])
        .exits(0);
    bench.replay("out/probe.out", "auditors", &words).exits(0);
    assert_eq!(mode("again/probe.out"), 0o755);
}

/// The longest names that a recipe may have.
#[test]
fn a_long_name_and_version_are_no_hindrance() {
    let bench = Bench::new();
    let long = "9".repeat(200);
    let product = Probe {
        version: &long,
        ..Probe::default()
    };
    product.write(&bench, "probe");
    let recipe = fs::read_to_string(bench.path("probe/assembly.toml")).unwrap();
    let recipe = recipe.replacen("name = \"probe\"", &format!("name = \"{long}\""), 1);
    let recipe = recipe.replace("probe.out", &"o".repeat(200));
    fs::write(bench.path("probe/assembly.toml"), recipe).unwrap();
    bench.lock("probe").exits(0);
    bench.assemble("probe", &[]).exits(0);
}

/// The steps begin in it before it is read; what they make of it is thrown away.
#[test]
fn a_root_that_was_changed_on_disk_makes_no_artifact() {
    let bench = Bench::new();
    rules(&bench, "rules");
    bench.lock("rules").exits(0);
    bench.assemble("rules", &[]).exits(0);
    let pack = bench.path("out").join(PACK);
    let made = fs::read(&pack).unwrap();
    let rule = files_below(&bench.path("store/checkouts"))
        .into_iter()
        .find(|path| path.ends_with("droppers.rule"))
        .unwrap();
    let metadata = fs::metadata(&rule).unwrap();
    let sound = fs::read_to_string(&rule).unwrap();
    // One is compiled into another pack, with the other the compiler fails.
    for (old, new) in [("title \"Dropper", "title \"Dripper"), ("rule ", "rulf ")] {
        fs::set_permissions(&rule, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&rule, sound.replace(old, new)).unwrap();
        let file = fs::File::open(&rule).unwrap();
        file.set_modified(metadata.modified().unwrap()).unwrap();
        fs::set_permissions(&rule, metadata.permissions()).unwrap();
        fs::remove_file(&pack).unwrap();
        bench.assemble("rules", &["--no-cache"]).exits(0);
        assert_eq!(fs::read(&pack).unwrap(), made);
        assert_eq!(fs::read_to_string(&rule).unwrap(), sound);
    }
    bench.run("store check --store store").exits(0);
}

#[test]
fn the_json_report_names_what_was_made() {
    let bench = Bench::new();
    rules(&bench, "rules");
    bench.lock("rules").exits(0);
    let report = bench
        .assemble("rules", &["--json", "--quiet"])
        .exits(0)
        .json();
    assert_eq!(report["format"], 1);
    assert_eq!(report["cached"], false);
    assert_eq!(report["outputs"][0]["name"], PACK);
    assert_eq!(
        report["outputs"][0]["evidence"],
        format!("out/{PACK}.sigstore.jsonl")
    );
}

#[test]
fn the_input_archive_holds_every_pinned_byte() {
    let bench = Bench::new();
    rules(&bench, "rules");
    bench.lock("rules").exits(0);
    bench
        .assemble("rules", &["--archive-inputs", "inputs"])
        .exits(0)
        .says("input archive inputs");
    let names = files_below(&bench.path("inputs"));
    for name in &names {
        let bytes = fs::read(name).unwrap();
        let digest = counterseal_attestation::Sha256Digest::of(&bytes).to_string();
        assert_eq!(name.file_name().unwrap().to_str(), Some(&*digest));
    }
    // Six rule files in two directories below one, and the compiler.
    assert!(names.len() >= 8, "{names:?}");
    // A pipe in the place of a blob is not waited for.
    let sound = fs::read(&names[0]).unwrap();
    fs::remove_file(&names[0]).unwrap();
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(CWD, &names[0], FileType::Fifo, mode, 0).unwrap();
    // What a killed run left unfinished goes.
    let unfinished = bench.path("inputs/sha256/.counterseal-killed");
    fs::write(&unfinished, "half of a blob").unwrap();
    bench
        .assemble("rules", &["--archive-inputs", "inputs"])
        .exits(0);
    assert!(fs::metadata(&names[0]).unwrap().is_file());
    assert_eq!(fs::read(&names[0]).unwrap(), sound);
    assert_eq!(files_below(&bench.path("inputs")), names);
    // The archive serves an assembly whose sources are gone.
    remove_directory(&bench.path("rules/rules"));
    remove_directory(&bench.path("store"));
    bench
        .assemble("rules", &["--input-archive", "inputs"])
        .exits(0);
}

#[test]
fn nothing_runs_unpinned_or_beside_its_lock() {
    let bench = Bench::new();
    rules(&bench, "rules");
    let said = "rules/assembly.lock does not exist: the inputs are not pinned";
    bench
        .assemble("rules", &[])
        .exits(2)
        .says(said)
        .says("hint: pin them with: counterseal lock");

    bench.lock("rules").exits(0);
    // The recipe asks for something else than what was pinned.
    let recipe = fs::read_to_string(bench.path("rules/assembly.toml")).unwrap();
    let other = recipe.replace("name = \"rulec\"", "name = \"compiler\"");
    fs::write(bench.path("rules/assembly.toml"), other).unwrap();
    let ran = bench.assemble("rules", &[]).exits(2).speaks_plainly();
    ran.says("rules/assembly.lock: ")
        .says("compiler")
        .says("hint: pin the inputs again");
    fs::write(bench.path("rules/assembly.toml"), recipe).unwrap();

    // What stands beside the recipe is no longer what was pinned.
    let changed = bench.path("rules/rules/ransomware.rule");
    let rule = fs::read_to_string(&changed).unwrap();
    fs::write(&changed, format!("{rule}# a comment\n")).unwrap();
    let cold = Bench::assemble_line("rules").replace("--store store", "--store cold");
    bench.run(&cold).exits(2).says("rules").speaks_plainly();
    fs::write(&changed, rule).unwrap();
    fs::write(bench.path("rules/rulec"), "another program").unwrap();
    let ran = bench.run(&cold).exits(2).speaks_plainly();
    ran.says("rulec").says("expected").says("found");
    assert!(!bench.path("out").join(PACK).exists());
    assert_eq!(bench.entries(), 0);
}

#[test]
fn what_is_missing_is_said_before_anything_runs() {
    let bench = Bench::new();
    rules(&bench, "rules");
    bench.lock("rules").exits(0);
    let run = |line: &str| {
        bench
            .run(line)
            .exits(2)
            .speaks_plainly()
            .never_says("step compile")
    };
    let assemble = "assemble rules/assembly.toml --store store --output out";
    run(assemble).says("no signing key is given").says("--key");
    let line = format!("{assemble} --key keys/none.key");
    run(&line)
        .says("keys/none.key cannot be used as a key")
        .says("counterseal keys new");
    let line = format!("{assemble} --key keys/vendor.key");
    run(&line).says("no record is given").says("--record");
    let line = format!("{line} --record nothing --record-key keys/record.key");
    run(&line).says("nothing").says("counterseal record init");
    assert!(!bench.path("out").exists());
}

#[test]
fn keys_are_the_owners_alone_and_never_overwritten() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let bench = Bench::new();
    let key = bench.path("keys/vendor.key");
    assert_eq!(fs::metadata(&key).unwrap().mode() & 0o777, 0o600);
    bench
        .run("keys new attestation keys/vendor.key")
        .exits(2)
        .says("keys/vendor.key");
    let shown = bench.run("keys show keys/vendor.key").exits(0);
    assert_eq!(
        shown.stdout(),
        fs::read_to_string(bench.path("keys/vendor.key.pub")).unwrap()
    );

    rules(&bench, "rules");
    bench.lock("rules").exits(0);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    bench
        .assemble("rules", &[])
        .exits(2)
        .says("keys/vendor.key")
        .says("hint: chmod 600");
    assert_eq!(bench.entries(), 0);
}

#[test]
fn a_passphrase_opens_the_key_and_never_reaches_the_build() {
    const PASSPHRASE: &str = "correct horse battery staple";
    let bench = Bench::new();
    let product = Probe {
        words: "surroundings then write-text /build/out done",
        ..Probe::default()
    };
    product.write(&bench, "probe");
    bench.lock("probe").exits(0);
    let run = |line: &str, passphrase: Option<&str>| {
        let mut command = bench.command(Program::Counterseal);
        command
            .args(line.split_whitespace())
            .stdin(std::process::Stdio::null());
        command.envs(passphrase.map(|text| ("COUNTERSEAL_PASSPHRASE", text)));
        crate::harness::Ran::of(command)
    };
    run(
        "keys new attestation keys/locked.key --passphrase",
        Some(PASSPHRASE),
    )
    .exits(0);
    let key = fs::read_to_string(bench.path("keys/locked.key")).unwrap();
    assert!(key.contains("ENCRYPTED"), "the key is encrypted");

    let line = Bench::assemble_line("probe").replace("keys/vendor.key", "keys/locked.key");
    run(&line, None)
        .exits(2)
        .says("a passphrase is needed")
        .says("COUNTERSEAL_PASSPHRASE");
    run(&line, Some("wrong"))
        .exits(2)
        .speaks_plainly()
        .never_says("wrong");
    run(&line, Some(PASSPHRASE)).exits(0).never_says(PASSPHRASE);

    // The step printed its environment and all it could see; its log is in the store.
    let store = counterseal_store::Store::open(&bench.path("store")).unwrap();
    let log = &bench.statements("out/probe.out")[0]["predicate"]["runDetails"]["byproducts"];
    let log = log
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"] == "try.stdout")
        .unwrap();
    let hash: counterseal_attestation::Sha256Digest =
        log["digest"]["sha256"].as_str().unwrap().parse().unwrap();
    let files = files_below(&bench.path("store"));
    let sizes = files
        .iter()
        .filter(|path| path.to_string_lossy().contains(&hash.to_string()[2..]));
    let size_bytes = sizes
        .map(|path| fs::metadata(path).unwrap().len())
        .next()
        .unwrap();
    let digest = counterseal_store::Digest { hash, size_bytes };
    let seen = String::from_utf8(store.read_blob(&digest, 1 << 20).unwrap()).unwrap();
    assert!(seen.contains("SOURCE_DATE_EPOCH=1700000000"), "{seen}");
    assert!(
        !seen.contains(PASSPHRASE) && !seen.contains("COUNTERSEAL"),
        "{seen}"
    );
    assert!(
        !seen.contains(bench.directory().to_str().unwrap()),
        "{seen}"
    );
}

#[test]
fn the_demonstration_ends_as_the_command_that_failed() {
    let bench = Bench::bare();
    fs::write(bench.path("broken.toml"), "surprise = 1\n").unwrap();
    let ran = bench.run("demo --offline --config broken.toml").exits(2);
    ran.says("== Pin the inputs")
        .says("ended with exit status: 2");
    bench
        .run("doctor --config broken.toml")
        .exits(2)
        .says("surprise");
    let quiet = bench.run("demo --offline --config broken.toml --directory other --quiet");
    quiet.exits(2).never_says("== ");
}
