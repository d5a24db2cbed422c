//! Recipes that somebody else wrote: refused with exit code 2 and a message that names the place,
//! before anything runs.

use std::fmt::Write as _;
use std::fs;

use crate::harness::{Bench, Probe, defects, refused, with};

/// One change each of a sound recipe.
const CHANGES: &str = r#"
unknown key            | [product]\n             | [product]\nsurprise = 1\n              | assembly.toml & line 4 & surprise
key twice              | version = "1"\n         | version = "1"\nversion = "2"\n          | line 6 & duplicate key
table twice            | [limits]                | [product]                               | duplicate key
unknown table          | [limits]                | [hooks]                                 | hooks
wrong type             | version = "1"           | version = 1                             | line 5 & string
negative time          | = 1700000000            | = -1                                    | line 6
other format           | format = 1              | format = 2                              | format 2 & reads format 1
input above the root   | at = "/bin/probe"       | at = "/../bin/probe"                    | input path & ../bin/probe
input at the root      | at = "/bin/probe"       | at = "/"                                | the key `at` names the root itself
input at the sandbox's | at = "/bin/probe"       | at = "/proc/probe"                      | /proc/probe & the sandbox's own
output above           | path = "out"            | path = "../../etc/passwd"               | output path & ../../etc/passwd
absolute output        | path = "out"            | path = "/etc/passwd"                    | output path & /etc/passwd
output named a path    | name = "probe.out"      | name = "../out"                         | output name & ../out
output named hidden    | name = "probe.out"      | name = ".bashrc"                        | output name & .bashrc
product named a path   | name = "probe"\nversion | name = "a/b"\nversion                   | product name & a/b
location above         | location = "probe"      | location = "../keys/vendor.key"         | ../keys/vendor.key
absolute location      | location = "probe"      | location = "/etc/passwd"                | /etc/passwd
link above             | [limits]                | [root.links]\n"../x" = "y"              | root link path & ../x
file above             | [limits]                | [[root.file]]\npath = "a/../../x"\ncontent = "" | root file path
relative program       | "/bin/probe",           | "bin/probe",                            | step try & bin/probe
no program             | argv = [                | argv = []\nrest = [                     | rest
own epoch              | environment = {  }      | environment = { SOURCE_DATE_EPOCH = "1" } | SOURCE_DATE_EPOCH
own locale             | environment = {  }      | environment = { LC_ALL = "C" }          | step try & LC_ALL & script
own time zone          | environment = {  }      | environment = { TZ = "Asia/Tokyo" }     | step try & TZ
bad variable           | environment = {  }      | environment = { "A=B" = "1" }           | A=B
step above             | environment = {  }      | directory = "/build/../.."              | step directory
escape in a name       | name = "try"            | name = "\u001b[2J"                      | step name
escape in a version    | version = "1"           | version = "\u001b]0;x\u0007"            | product version
raw escape             | name = "try"            | name = "\e[2Jtry"                       | assembly.toml & line
escape in a key        | [product]\n             | [product]\n"\u001b[2J" = 1\n            | assembly.toml & line
reversed text          | name = "try"            | name = "a\<b"                           | step name
no limit               | [limits]                | [limits]\nwall-seconds = 0              | wall-seconds
no page of scratch     | [limits]                | [limits]\nscratch-bytes = 1              | scratch-bytes & at least 4096
limit beyond counting  | [limits]                | [limits]\nmemory-bytes = 9223372036854775807 | memory-bytes
"#;

/// A bench with a sound recipe, its text, and its lock.
fn locked() -> (Bench, String) {
    let bench = Bench::new();
    Probe::default().write(&bench, "probe");
    bench.lock("probe").exits(0);
    let recipe = fs::read_to_string(bench.path("probe/assembly.toml")).unwrap();
    (bench, recipe)
}

#[track_caller]
fn refused_by_both(bench: &Bench, text: impl AsRef<[u8]>, defect: &str, named: &[&str]) {
    fs::write(bench.path("probe/assembly.toml"), text).unwrap();
    refused(bench.lock("probe"), defect, named);
    refused(bench.assemble("probe", &[]), defect, named);
}

#[test]
fn one_change_each() {
    let (bench, sound) = locked();
    for defect in defects(CHANGES) {
        refused_by_both(&bench, defect.applied(&sound), defect.name, &defect.named);
    }
    assert_eq!(bench.entries(), 0);
}

#[test]
fn bounds_and_encodings() {
    let (bench, sound) = locked();
    let deep = format!("format = 1\nproduct = {}", "[".repeat(100_000));
    let mut wide = sound.clone();
    for number in 0..5000 {
        write!(
            wide,
            "\n[[root.file]]\npath = \"f{number}\"\ncontent = \"\"\n"
        )
        .unwrap();
    }
    let large = format!("{sound}#{}", "x".repeat(1 << 20));
    refused_by_both(&bench, "", "empty", &["assembly.toml", "format"]);
    refused_by_both(
        &bench,
        "{\"format\": 1}",
        "not TOML",
        &["assembly.toml", "line 1"],
    );
    refused_by_both(&bench, deep, "deep nesting", &["assembly.toml", "line 2"]);
    refused_by_both(&bench, wide, "too many files", &["root file", "4096"]);
    refused_by_both(
        &bench,
        large,
        "too large",
        &["assembly.toml", "1048576 bytes"],
    );
    refused_by_both(
        &bench,
        b"format = \xff",
        "not UTF-8",
        &["assembly.toml", "not UTF-8"],
    );
    let utf16: Vec<u8> = sound.encode_utf16().flat_map(u16::to_le_bytes).collect();
    refused_by_both(&bench, utf16, "two bytes a character", &["assembly.toml"]);
    fs::remove_file(bench.path("probe/assembly.toml")).unwrap();
    fs::create_dir(bench.path("probe/assembly.toml")).unwrap();
    refused(bench.lock("probe"), "a directory", &["assembly.toml"]);
}

/// What is too long to be used is too long to be read: its beginning and the bound are said.
#[test]
fn names_that_are_too_long() {
    let (bench, sound) = locked();
    let long = "n".repeat(240);
    for (what, old, bound) in [
        ("product", "name = \"probe\"\nversion", "at most 200"),
        ("input", "name = \"probe\"\nkind", "at most 64"),
        ("step", "name = \"try\"", "at most 200"),
        ("output", "name = \"probe.out\"", "at most 200"),
    ] {
        let (begin, end) = old.rsplit_once('"').unwrap();
        let (key, _) = begin.split_once('"').unwrap();
        let recipe = with(&sound, old, &format!("{key}\"{long}\"{end}"));
        refused_by_both(
            &bench,
            &recipe,
            what,
            &[&format!("{what} name `nnn"), bound],
        );
        bench.lock("probe").exits(2).never_says(&long[..100]);
    }
}

#[test]
fn roots_that_cannot_be() {
    let (bench, sound) = locked();
    let lock = fs::read(bench.path("probe/assembly.lock")).unwrap();
    for (path, name) in [
        ("proc", "proc"),
        ("bin/probe", "bin/probe"),
        ("bin/probe/x", "bin/probe"),
    ] {
        let file = format!("[[root.file]]\npath = \"{path}\"\ncontent = \"\"\n[limits]");
        refused_by_both(&bench, with(&sound, "[limits]", &file), path, &[name]);
    }
    // Inputs of every kind whose place the recipe says.
    fs::create_dir_all(bench.path("probe/tree/bin")).unwrap();
    fs::write(bench.path("probe/tree/bin/probe"), "another").unwrap();
    for (kind, location, at, name) in [
        ("file", "tree/bin/probe", "/bin/probe", "bin/probe"),
        ("file", "tree/bin/probe", "/bin/probe/x", "bin/probe"),
        ("directory", "tree", "/bin/probe", "bin/probe"),
        ("directory", "tree/bin", "/bin", "bin/probe"),
    ] {
        let second = format!(
            "[[input]]\nname = \"second\"\nkind = \"{kind}\"\nlocation = \"{location}\"\n\
             at = \"{at}\"\n[limits]"
        );
        let recipe = with(&sound, "[limits]", &second);
        fs::write(bench.path("probe/assembly.toml"), recipe).unwrap();
        let named = [
            "input probe and input second",
            "two different entries at",
            name,
        ];
        refused(bench.lock("probe"), &format!("{kind} at {at}"), &named);
    }
    let after = fs::read(bench.path("probe/assembly.lock")).unwrap();
    assert_eq!(after, lock, "nothing is pinned that cannot be");
    assert_eq!(bench.entries(), 0);
}

#[test]
fn locations_that_lead_elsewhere() {
    use std::os::unix::fs::symlink;

    let (bench, sound) = locked();
    let write = |location: &str| {
        let text = with(
            &sound,
            "location = \"probe\"",
            &format!("location = \"{location}\""),
        );
        fs::write(bench.path("probe/assembly.toml"), text).unwrap();
    };
    // A link to the builder's own files, alone or on the way.
    symlink("../keys/vendor.key", bench.path("probe/link")).unwrap();
    write("link");
    refused(
        bench.lock("probe"),
        "link",
        &["link leads out of the recipe's directory"],
    );
    symlink("../keys", bench.path("probe/folder")).unwrap();
    write("folder/vendor.key");
    refused(
        bench.lock("probe"),
        "folder",
        &["folder/vendor.key leads out"],
    );
    // The link comes after the lock was made.
    let cold = Bench::assemble_line("probe").replace("--store store", "--store cold");
    fs::write(bench.path("probe/file"), "content").unwrap();
    write("file");
    bench.lock("probe").exits(0);
    fs::remove_file(bench.path("probe/file")).unwrap();
    symlink("../keys/vendor.key", bench.path("probe/file")).unwrap();
    refused(bench.run(&cold), "a link later", &["file leads out"]);
    // Inside the recipe's directory a link is as good as what it leads to.
    symlink("probe", bench.path("probe/inside")).unwrap();
    write("inside");
    bench.lock("probe").exits(0);
    bench.assemble("probe", &[]).exits(0);
    // Neither file, nor directory, nor link.
    fs::create_dir(bench.path("probe/tree")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(bench.path("probe/tree/s")).unwrap();
    write("tree/s");
    refused(bench.lock("probe"), "socket", &["tree/s"]);
    write("tree");
    refused(bench.lock("probe"), "directory as a file", &["tree"]);
    let directory = with(&sound, "executable = true\n", "");
    let directory = with(
        &directory,
        "kind = \"file\"\nlocation = \"probe\"",
        "kind = \"directory\"\nlocation = \"tree\"",
    );
    fs::write(bench.path("probe/assembly.toml"), directory).unwrap();
    refused(bench.lock("probe"), "socket in a directory", &["s"]);
}
