//! What outputs depend on: programs with one planted dependence each come out the same wherever
//! they are assembled, and `assemble --vary` names what each depends on.

use std::fmt::Write as _;
use std::fs;

use counterseal_static_programs::PLANTED;
use serde_json::{Value, json};

use crate::harness::{Bench, Program, Ran};

/// Modes of the program and the sets of switches that `--vary` has to name, each enough by itself.
const PLANTS: [(&str, &[&[&str]]); 26] = [
    // First, so that nothing before it moves the heap.
    ("address", &[&["addresses"]]),
    ("nothing", &[]),
    ("time", &[&["clock"]]),
    ("written-time", &[&["clock"]]),
    ("month", &[&["clock"]]),
    // The recipe's epoch states the year, so it stays unless somebody asks; see below.
    ("year", &[]),
    ("process-id", &[&["process-ids"]]),
    ("directory-order", &[&["directory-order"]]),
    ("inode", &[&["inodes"]]),
    ("host-name", &[&["host-name"]]),
    ("kernel", &[&["kernel"]]),
    ("memory", &[&["memory"]]),
    ("user", &[&["user"]]),
    ("file-mask", &[&["umask"]]),
    ("language", &[&["locale"]]),
    ("time-zone", &[&["time-zone"]]),
    ("home", &[&["home"]]),
    ("search-path", &[&["search-path"]]),
    ("environment", &[&["environment"]]),
    ("working-directory", &[&["build-path"]]),
    ("random", &[&["seed"]]),
    ("hash-order", &[&["seed"]]),
    ("processors", &[&["processors"]]),
    ("parallel-order", &[&["processors"]]),
    ("temporary-name", &[&["clock"], &["process-ids"]]),
    ("local-time", &[&["locale", "time-zone"]]),
];

/// A product of these programs: one output for each.
fn plant(bench: &Bench, modes: &[&str], host: &str) {
    let folder = bench.path("planted");
    fs::create_dir_all(folder.join("tree")).unwrap();
    fs::write(folder.join("planted"), PLANTED).unwrap();
    for name in ["b", "c", "a", "d"] {
        fs::write(folder.join("tree").join(name), name).unwrap();
    }
    let mut recipe = String::from(
        r#"format = 1
[product]
name = "planted"
version = "1"
source-date-epoch = 1700000000
[[input]]
name = "planted"
kind = "file"
location = "planted"
at = "/bin/planted"
executable = true
[[input]]
name = "tree"
kind = "directory"
location = "tree"
at = "/in/tree"
"#,
    );
    writeln!(recipe, "[[step]]\nname = \"run\"").unwrap();
    writeln!(
        recipe,
        "argv = [\"/bin/planted\", \"{}\"]",
        modes.join("\", \"")
    )
    .unwrap();
    for mode in modes {
        write!(
            recipe,
            r#"[[output]]
name = "{mode}"
path = "{mode}.out"
kind = "file"
media-type = "text/plain"
"#
        )
        .unwrap();
    }
    write!(recipe, "[host]\n{host}\n").unwrap();
    fs::write(folder.join("assembly.toml"), recipe).unwrap();
    bench.lock("planted").exits(0);
}

fn modes() -> Vec<&'static str> {
    PLANTS.iter().map(|(mode, _)| *mode).collect()
}

fn line_of(bench: &Bench, mode: &str) -> String {
    fs::read_to_string(bench.path("out").join(mode)).unwrap()
}

#[test]
fn planted_dependences_do_not_show_and_are_named() {
    let bench = Bench::new();
    plant(&bench, &modes(), "");
    let words = ["--vary", "--json", "--archive-inputs", "inputs"];
    let report = bench.assemble("planted", &words).exits(1).json();
    assert_eq!(report["variation"]["identical"], false);
    let found = report["variation"]["outputs"].as_array().unwrap();

    let mut named = 0;
    let mut missed = Vec::new();
    for ((mode, expected), found) in PLANTS.iter().zip(found) {
        assert_eq!(found["name"], *mode);
        let mut causes: Vec<Value> = found["causes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|cause| cause["switches"].clone())
            .collect();
        causes.sort_by_key(Value::to_string);
        if Value::from(causes) == json!(expected) {
            // The controls depend on nothing that is varied, and nothing was named.
            named += usize::from(!expected.is_empty());
        } else {
            missed.push(format!("{mode}: {}", found["causes"]));
        }
    }
    let planted = PLANTS.iter().filter(|(_, expected)| !expected.is_empty());
    let planted = planted.count();
    println!("planted dependences: {named} of {planted} named");
    assert_eq!(missed, Vec::<String>::new(), "named wrongly");
    assert_eq!((named, found.len()), (planted, PLANTS.len()));

    // One record entry: nothing of the varied builds was signed or recorded.
    assert_eq!(bench.entries(), 1);
    // An auditor comes to the same bytes, all of them, and so does a builder elsewhere.
    bench
        .replay("out/nothing", "auditor", &["--input-archive", "inputs"])
        .exits(0);
    let other = Bench::new();
    plant(&other, &modes(), "");
    let mut command = other.command(Program::Counterseal);
    command
        .args(Bench::assemble_line("planted").split_whitespace())
        .envs([("LC_ALL", "tr_TR.UTF-8"), ("TZ", "Asia/Tokyo"), ("X", "y")]);
    Ran::of(command).exits(0);
    let differing: Vec<&str> = modes()
        .into_iter()
        .filter(|mode| line_of(&bench, mode) != line_of(&other, mode))
        .collect();
    let (same, all) = (PLANTS.len() - differing.len(), PLANTS.len());
    println!("planted programs: {same} of {all} the same elsewhere");
    assert_eq!(differing, Vec::<&str>::new());
}

#[test]
fn only_what_is_asked_for_is_varied() {
    let bench = Bench::new();
    plant(&bench, &["time", "kernel"], "");
    let ran = bench.assemble("planted", &["--vary=seed,kernel"]).exits(1);
    let spoken = ran.stdout();
    assert!(spoken.contains("identical  time\n"), "{spoken}");
    assert!(spoken.contains("differs    kernel  kernel\n"), "{spoken}");
    bench
        .assemble("planted", &["--vary=seed,locale"])
        .exits(0)
        .says("varied build 1: seed, locale")
        .never_says("varied build 2");
    bench
        .assemble("planted", &["--vary=clok"])
        .exits(2)
        .says("no switch is called clok");
}

#[test]
fn the_year_is_the_recipe_s_unless_it_is_named() {
    let bench = Bench::new();
    plant(&bench, &["year", "month", "time"], "");
    bench
        .assemble("planted", &["--vary"])
        .exits(1)
        .says("identical  year\n")
        .says("differs    month  clock\n")
        .says("differs    time  clock\n");
    // The epoch is 14 November 2023.
    assert_eq!(line_of(&bench, "year"), "2023\n");
    bench
        .assemble("planted", &["--vary=clock,year"])
        .exits(1)
        .says("differs    year  year\n")
        .says("differs    month  clock\n")
        .says("differs    time  clock; or year\n");
    bench
        .assemble("planted", &["--vary=year"])
        .exits(1)
        .says("differs    year  year\n")
        .says("identical  month\n")
        .says("differs    time  year\n");
}

#[test]
fn what_differs_unvaried_and_what_fails_is_said() {
    let bench = Bench::new();
    // Real randomness: the recipe's wish, and no switch's doing.
    plant(&bench, &["random", "nothing"], "randomness = \"real\"");
    let ran = bench.assemble("planted", &["--vary"]).exits(1);
    ran.says("differs    random  nothing varied")
        .says("identical  nothing");
    let isolation = &bench.statements("out/random")[0]["predicate"]["buildDefinition"];
    let isolation = &isolation["internalParameters"]["isolation"];
    assert_eq!(isolation["randomness"]["state"], "absent");

    // A step that works in one time zone only.
    plant(&bench, &["only-in-utc"], "");
    bench
        .assemble("planted", &["--vary"])
        .exits(1)
        .says("differs    only-in-utc  time-zone (there is none: step run ended with");
}

#[test]
fn a_guarantee_that_a_recipe_asks_for_is_kept() {
    let bench = Bench::new();
    plant(&bench, &["nothing"], "timestamp-counter = \"virtual\"");
    bench.assemble("planted", &["--vary"]).exits(0);
    let definition = &bench.statements("out/nothing")[0]["predicate"]["buildDefinition"];
    let isolation = &definition["internalParameters"]["isolation"];
    assert_eq!(isolation["timestamp-counter"]["state"], "enforced");
}

#[test]
fn the_recipe_describes_the_machine() {
    let bench = Bench::new();
    let modes = ["processors", "memory", "kernel", "random"];
    let assemble = |host: &str| {
        plant(&bench, &modes, host);
        bench.assemble("planted", &[]).exits(0);
        modes.map(|mode| line_of(&bench, mode))
    };
    let standard = assemble("");
    assert_eq!(
        standard[..3],
        ["1\n", "MemTotal:        8388608 kB\n", "6.1.0\n"]
    );
    let stated =
        assemble("processors = 5\nmemory-bytes = 1073741824\nkernel-release = \"5.10.0-stated\"");
    assert_eq!(
        stated[..3],
        ["5\n", "MemTotal:        1048576 kB\n", "5.10.0-stated\n"]
    );
    assert_ne!(stated[3], standard[3], "another action has another seed");
    assert_eq!(assemble(""), standard);
    plant(&bench, &modes, "randomness = \"real\"");
    let real = [(); 2].map(|()| {
        bench.assemble("planted", &["--no-cache"]).exits(0);
        line_of(&bench, "random")
    });
    assert_ne!(real[0], real[1]);
}
