//! Recipes, locks, trust and configuration files that somebody else wrote: refused with exit code
//! 2 and a message that names the place, before anything runs.

use std::fmt::Write as _;
use std::fs;

use crate::harness::{Bench, Probe, Program, Ran};

/// A defect, and what its message must name.
type Case<'a> = (&'a str, String, &'a [&'a str]);

/// A bench with a sound recipe and its lock.
fn locked() -> (Bench, String, String) {
    let bench = Bench::new();
    Probe::default().write(&bench, "probe");
    bench.lock("probe").exits(0);
    let read = |name: &str| fs::read_to_string(bench.path("probe").join(name)).unwrap();
    let (recipe, lock) = (read("assembly.toml"), read("assembly.lock"));
    (bench, recipe, lock)
}

/// Replaces exactly one occurrence.
#[track_caller]
fn with(text: &str, old: &str, new: &str) -> String {
    assert_eq!(text.matches(old).count(), 1, "{old} occurs once in\n{text}");
    text.replace(old, new)
}

#[track_caller]
fn refused(ran: Ran, defect: &str, names: &[&str]) {
    assert_eq!(ran.code(), Some(2), "{defect}\n{}", ran.spoken());
    let ran = ran.is_fit_to_print().says("error: ");
    assert!(!ran.stderr().lines().any(|line| line == "step try"), "{defect}: nothing runs");
    assert!(ran.stderr().len() < 4096, "{defect}: a message, not a flood\n{}", ran.spoken());
    names.iter().fold(ran, |ran, name| ran.says(name));
}

fn cases_of_recipes(sound: &str) -> Vec<Case<'static>> {
    let with = |old: &str, new: &str| with(sound, old, new);
    let mut deep = String::from("format = 1\nproduct = ");
    deep.push_str(&"[".repeat(100_000));
    let mut wide = String::from(sound);
    for number in 0..5000 {
        write!(wide, "\n[[root.file]]\npath = \"f{number}\"\ncontent = \"\"\n").unwrap();
    }
    vec![
        ("unknown key", with("[product]\n", "[product]\nsurprise = 1\n"), &["assembly.toml", "line 4", "surprise"]),
        ("unknown table", format!("{sound}\n[hooks]\n"), &["hooks"]),
        ("key twice", with("version = \"1\"\n", "version = \"1\"\nversion = \"2\"\n"), &["line 6", "duplicate key"]),
        ("table twice", format!("{sound}\n[product]\n"), &["duplicate key"]),
        ("wrong type", with("version = \"1\"", "version = 1"), &["line 5", "string"]),
        ("negative time", with("= 1700000000", "= -1"), &["line 6"]),
        ("other format", with("format = 1", "format = 2"), &["format 2", "reads format 1"]),
        ("not TOML", "{\"format\": 1}".into(), &["assembly.toml"]),
        ("empty", String::new(), &["format"]),
        ("deep nesting", deep, &["assembly.toml"]),
        ("too many files", wide, &["root file", "4096"]),
        ("too large", format!("{sound}#{}", "x".repeat(1 << 20)), &["1048576 bytes"]),
        ("input above the root", with("at = \"/bin/probe\"", "at = \"/../bin/probe\""), &["input path", "../bin/probe"]),
        ("input at the root", with("at = \"/bin/probe\"", "at = \"/\""), &["input path"]),
        ("output above", with("path = \"out\"", "path = \"../../etc/passwd\""), &["output path", "../../etc/passwd"]),
        ("absolute output", with("path = \"out\"", "path = \"/etc/passwd\""), &["output path", "/etc/passwd"]),
        ("output named a path", with("name = \"probe.out\"", "name = \"../out\""), &["output name", "../out"]),
        ("output named hidden", with("name = \"probe.out\"", "name = \".bashrc\""), &["output name", ".bashrc"]),
        ("product named a path", with("name = \"probe\"\nversion", "name = \"a/b\"\nversion"), &["product name", "a/b"]),
        ("location above", with("location = \"probe\"", "location = \"../keys/vendor.key\""), &["../keys/vendor.key"]),
        ("absolute location", with("location = \"probe\"", "location = \"/etc/passwd\""), &["/etc/passwd"]),
        ("link above", format!("{sound}\n[root.links]\n\"../x\" = \"y\"\n"), &["root link path", "../x"]),
        ("file above", format!("{sound}\n[[root.file]]\npath = \"a/../../x\"\ncontent = \"\"\n"), &["root file path"]),
        ("file at a mount point", format!("{sound}\n[[root.file]]\npath = \"proc\"\ncontent = \"\"\n"), &["proc"]),
        ("relative program", with("\"/bin/probe\",", "\"bin/probe\","), &["step try", "bin/probe"]),
        ("own epoch", with("environment = {  }", "environment = { SOURCE_DATE_EPOCH = \"1\" }"), &["SOURCE_DATE_EPOCH"]),
        ("bad variable", with("environment = {  }", "environment = { \"A=B\" = \"1\" }"), &["A=B"]),
        ("step above", with("environment = {  }", "directory = \"/build/../..\""), &["step directory"]),
        ("escape in a name", with("name = \"try\"", "name = \"\\u001b[2J\""), &["step name"]),
        ("escape in a version", with("version = \"1\"", "version = \"\\u001b]0;x\\u0007\""), &["product version"]),
        ("raw escape", with("name = \"try\"", "name = \"\u{1b}[2Jtry\""), &["assembly.toml"]),
        ("raw escape in a key", with("[product]\n", "[product]\n\"\\u001b[2J\" = 1\n"), &["assembly.toml"]),
        ("reversed text", with("name = \"try\"", "name = \"a\u{202e}b\""), &["step name"]),
        ("no limit", format!("{}wall-seconds = 0\n", sound.trim_end_matches('\n').to_owned() + "\n"), &["wall-seconds"]),
        ("limit beyond counting", format!("{}\nmemory-bytes = 9223372036854775807\n", sound.trim_end()), &["memory-bytes"]),
    ]
}

#[test]
fn recipes() {
    let (bench, sound, _) = locked();
    for (defect, text, names) in cases_of_recipes(&sound) {
        fs::write(bench.path("probe/assembly.toml"), &text).unwrap();
        // What only shows when the root is put together is refused by `assemble` alone.
        if defect != "file at a mount point" {
            refused(bench.lock("probe"), defect, names);
        }
        refused(bench.assemble("probe", &[]), defect, names);
    }
    fs::write(bench.path("probe/assembly.toml"), [b"format = \xff".as_slice()].concat()).unwrap();
    refused(bench.lock("probe"), "not UTF-8", &["assembly.toml", "not UTF-8"]);
    assert_eq!(bench.entries(), 0);
}

#[test]
fn locks() {
    let (bench, _, sound) = locked();
    let with = |old: &str, new: &str| with(&sound, old, new);
    let digest = sound.split_once("sha256 = \"").unwrap().1.split_once('"').unwrap().0.to_owned();
    let item = sound.split_once("[[input.item]]").unwrap().1.to_owned();
    let size = sound.split_once("size = ").unwrap().1.split_once('\n').unwrap().0.to_owned();
    let zero = "0".repeat(64);
    let cases: Vec<Case> = vec![
        ("unknown key", with("kind =", "host = \"mirror.example\"\nkind ="), &["assembly.lock", "host"]),
        ("key twice", with("kind =", "kind = \"file\"\nkind ="), &["assembly.lock", "duplicate key"]),
        ("other format", with("format = 1", "format = 9"), &["format 9"]),
        ("digest in capitals", with(&digest, &digest.to_uppercase()), &["assembly.lock"]),
        ("digest cut short", with(&digest, &digest[1..]), &["assembly.lock"]),
        ("digest of another type", with(&format!("\"{digest}\""), "12"), &["assembly.lock", "line"]),
        ("path above", with("path = \"probe\"", "path = \"../probe\""), &["assembly.lock"]),
        ("absolute path", with("path = \"probe\"", "path = \"/etc/passwd\""), &["assembly.lock"]),
        ("another file", with("path = \"probe\"", "path = \"keys\""), &["assembly.lock"]),
        ("path with an escape", with("path = \"probe\"", "path = \"\\u001b[2J\""), &["assembly.lock"]),
        ("negative size", with(&size, "-1"), &["assembly.lock"]),
        ("size beyond all bounds", with(&size, "9223372036854775807"), &["assembly.lock"]),
        ("item twice", format!("{sound}\n[[input.item]]{item}"), &["assembly.lock", "probe"]),
        ("no item", sound.split_once("[[input.item]]").unwrap().0.to_owned(), &["assembly.lock"]),
        ("another input", with("name = \"probe\"", "name = \"other\""), &["assembly.lock", "`probe` is not pinned"]),
        ("another kind", with("kind = \"file\"", "kind = \"directory\""), &["assembly.lock"]),
        ("no such kind", with("kind = \"file\"", "kind = \"git\""), &["assembly.lock"]),
        ("other bytes", with(&digest, &zero), &["probe", "expected", "found"]),
        ("deep nesting", format!("format = {}", "[".repeat(200_000)), &["assembly.lock"]),
        ("raw escape", format!("{sound}\nx = \"\u{1b}[2J\"\n"), &["assembly.lock"]),
        ("too large", format!("{sound}#{}", "x".repeat(16 << 20)), &["assembly.lock"]),
    ];
    for (defect, text, names) in cases {
        fs::write(bench.path("probe/assembly.lock"), text).unwrap();
        let cold = Bench::assemble_line("probe").replace("--store store", "--store cold");
        refused(bench.run(&cold), defect, names);
        refused(bench.run("fetch probe/assembly.toml --store cold --offline"), defect, names);
    }
    // A size that lies: the byte that is too many is never read, a missing one never invented.
    for lie in ["1", "99999999"] {
        fs::write(bench.path("probe/assembly.lock"), with(&format!("size = {size}"), &format!("size = {lie}"))).unwrap();
        let cold = Bench::assemble_line("probe").replace("--store store", "--store cold");
        refused(bench.run(&cold), "a size that lies", &["probe"]);
    }
    bench.run("store check --store cold").exits(0).says("0 blobs");
    assert_eq!(bench.entries(), 0);
}

#[test]
fn locations_that_lead_elsewhere() {
    let (bench, sound, _) = locked();
    // A link beside the recipe that leads out of its directory.
    std::os::unix::fs::symlink("../keys/vendor.key", bench.path("probe/link")).unwrap();
    let text = with(&sound, "location = \"probe\"", "location = \"link\"");
    fs::write(bench.path("probe/assembly.toml"), text).unwrap();
    refused(bench.lock("probe"), "link", &["link"]);
    // A directory on the way that is a link.
    std::os::unix::fs::symlink("../keys", bench.path("probe/folder")).unwrap();
    let text = with(&sound, "location = \"probe\"", "location = \"folder/vendor.key\"");
    fs::write(bench.path("probe/assembly.toml"), text).unwrap();
    refused(bench.lock("probe"), "folder", &["folder/vendor.key"]);
    // A directory with something in it that is neither file, directory nor link.
    fs::create_dir(bench.path("probe/tree")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(bench.path("probe/tree/s")).unwrap();
    let text = sound.replace("kind = \"file\"\nlocation = \"probe\"", "kind = \"directory\"\nlocation = \"tree\"");
    let text = with(&text, "executable = true\n", "");
    fs::write(bench.path("probe/assembly.toml"), text).unwrap();
    refused(bench.lock("probe"), "socket", &["s"]);
}

#[test]
fn trust_files() {
    let (bench, _, _) = locked();
    bench.assemble("probe", &[]).exits(0);
    let sound = fs::read_to_string(bench.path("trust.toml")).unwrap();
    let cases: Vec<Case> = vec![
        ("empty", String::new(), &["trust.toml"]),
        ("unknown key", format!("trust-everyone = true\n{sound}"), &["trust.toml", "trust-everyone"]),
        ("key twice", format!("format = 1\n{sound}"), &["trust.toml", "duplicate key"]),
        ("raw escape", format!("x = \"\u{1b}[2J\"\n{sound}"), &["trust.toml"]),
        ("other format", with(&sound, "format = 1", "format = 2"), &["trust.toml", "format"]),
        ("no key in it", sound.replace("BEGIN PUBLIC KEY", "BEGIN CERTIFICATE"), &["trust.toml"]),
        ("deep nesting", "[".repeat(1 << 19), &["trust.toml"]),
        ("too large", format!("{sound}#{}", "x".repeat(1 << 20)), &["trust.toml", "too large"]),
    ];
    for (defect, text, names) in cases {
        fs::write(bench.path("trust.toml"), text).unwrap();
        for verifier in [Program::Counterseal, Program::CountersealVerify] {
            refused(bench.verify(verifier, &["out/probe.out"], &[]), defect, names);
        }
    }
}

#[test]
fn configuration_files() {
    let (bench, _, _) = locked();
    let directory = bench.path("home/.config/counterseal");
    fs::create_dir_all(&directory).unwrap();
    for (defect, text, name) in [
        ("unknown key", "trust = \"x\"\n", "trust"),
        ("wrong type", "store = 1\n", "store"),
        ("raw escape", "store = \"\u{1b}[2J\"\n", "config.toml"),
    ] {
        fs::write(directory.join("config.toml"), text).unwrap();
        refused(bench.lock("probe"), defect, &["config.toml", name]);
    }
    // What it may say, it says for every verb.
    let store = bench.path("elsewhere");
    fs::write(directory.join("config.toml"), format!("store = {:?}\n", store.to_str().unwrap())).unwrap();
    bench.run("lock probe/assembly.toml --offline").exits(0);
    assert!(store.is_dir());
    bench.run("store check").exits(0);
}
