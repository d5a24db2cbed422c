//! The program needs nothing of the machine but its kernel, and does what the library does.

use std::fs;

use counterseal_launcher::{Kind, Launched, launch};
use counterseal_static_programs::LAUNCH;

use crate::stage::{Stage, start};

/// ELF program header types (System V gABI, chapter 5).
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;

#[test]
fn it_is_static() {
    assert!(LAUNCH.starts_with(b"\x7fELF\x02\x01"));
    let number = |at: usize, length: usize| {
        let mut bytes = [0; 8];
        bytes[..length].copy_from_slice(&LAUNCH[at..at + length]);
        usize::try_from(u64::from_le_bytes(bytes)).unwrap()
    };
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    let kinds: Vec<u32> = (0..count)
        .map(|index| u32::try_from(number(table + index * size, 4)).unwrap())
        .collect();
    assert!(!kinds.is_empty());
    assert!(
        !kinds.contains(&PT_INTERP) && !kinds.contains(&PT_DYNAMIC),
        "{kinds:?}"
    );
}

#[test]
fn it_says_what_it_is() {
    let stage = Stage::new("print x");
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(stage.path("counterseal-launch"));
        start(command.args(arguments).env_clear())
    };
    let version = run(&["--version"]);
    assert!(version.status.success() && version.stdout.starts_with(b"counterseal-launch "));
    assert!(run(&["--help"]).stdout.starts_with(b"usage: "));
    assert_eq!(run(&[]).status.code(), Some(120));
    assert_eq!(run(&["a", "b"]).status.code(), Some(120));
}

/// Steps that leave all that an output can be, and tell of the clock and of chance.
fn action() -> Stage {
    Stage::new(
        "now then mkdir /build/tree then mkdir /build/tree/empty then mkdir /build/tree/d then \
         write-text /build/tree/d/file first then chmod 0711 /build/tree/d/file then \
         symlink ../d/file /build/tree/empty/link",
    )
    .step(
        "second",
        "now then stat /build/tree/d/file then list-as-given /inputs then print-error x \
         then write-text /tmp/plain second then hardlink /tmp/plain /tmp/again",
    )
    .output("build/tree", Kind::Tree, "tree")
    .output("build/tree", Kind::TarZst, "packed/tree.tar.zst")
    .output("tmp/plain", Kind::File, "packed/plain")
    .output("build/tree/d/file", Kind::File, "program")
}

#[test]
fn library_and_program_do_the_same() {
    let stage = action();
    let output = stage.ends(0);
    let made = stage.made();
    for (path, mode) in [
        ("outputs/tree/d/file", 0o100_755),
        ("outputs/tree/empty", 0o040_755),
        ("outputs/tree/empty/link", 0o120_777),
        ("outputs/packed/plain", 0o100_644),
        ("outputs/program", 0o100_755),
    ] {
        assert_eq!(made[path].0, mode, "{path}");
    }
    assert_eq!(made["outputs/packed/plain"].1, b"second\n");
    assert_eq!(made["outputs/tree/empty/link"].1, b"../d/file");
    assert!(
        made["outputs/packed/tree.tar.zst"]
            .1
            .starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
    );
    let shown = String::from_utf8(output.stdout.clone()).unwrap();
    let times: Vec<u64> = shown.lines().filter_map(|line| line.parse().ok()).collect();
    assert!(
        times.len() == 2 && times[0] < times[1],
        "the clock goes on: {shown}"
    );
    assert_eq!(output.stderr, b"x\n");
    let result = stage.result();
    assert_eq!(result["outcome"], "success");
    assert_eq!(result["steps"][1]["exit"]["code"], 0);
    assert_eq!(
        result["steps"][0]["isolation"]["network"]["state"],
        "enforced"
    );
    let opened = result["steps"][1]["opened"].as_array().unwrap();
    assert!(opened.iter().any(|path| path == "/probe"), "{opened:?}");

    stage.forget();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let ended = launch(&stage.path("action.json"), &mut stdout, &mut stderr).unwrap();
    assert_eq!(ended, Launched::Success);
    assert_eq!((stdout, stderr), (output.stdout, output.stderr));
    assert_eq!(stage.made(), made);
}

#[test]
fn an_empty_output_directory_is_as_good_as_none() {
    let mut stage = action();
    stage.description.output_directory = "made/by/the/engine".to_owned();
    fs::create_dir_all(stage.path("made/by/the/engine")).unwrap();
    stage.ends(0);
    assert!(stage.path("made/by/the/engine/outputs/program").exists());
}
