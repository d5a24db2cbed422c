//! The embedded programs are static and run where there is nothing else.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use counterseal_static_programs::RULEC;

/// ELF program header types (System V gABI, chapter 5).
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;

/// The types of an ELF file's program headers (64-bit, little endian).
fn program_header_types(elf: &[u8]) -> Vec<u32> {
    assert!(
        elf.starts_with(b"\x7fELF\x02\x01"),
        "not a 64-bit little-endian ELF file"
    );
    let number = |at: usize, length: usize| {
        let mut bytes = [0; 8];
        bytes[..length].copy_from_slice(&elf[at..at + length]);
        usize::try_from(u64::from_le_bytes(bytes)).unwrap()
    };
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    assert!(count > 0);
    (0..count)
        .map(|index| u32::try_from(number(table + index * size, 4)).unwrap())
        .collect()
}

fn is_static(elf: &[u8]) -> bool {
    let types = program_header_types(elf);
    !types.contains(&PT_INTERP) && !types.contains(&PT_DYNAMIC)
}

/// Runs `program` in a folder of its own without any environment.
fn run(program: &[u8], arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("program");
    fs::write(&path, program).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    let attempt = || {
        let mut command = Command::new(&path);
        command
            .args(arguments)
            .env_clear()
            .current_dir(folder.path())
            .output()
    };
    let is_busy = |result: &io::Result<Output>| {
        result
            .as_ref()
            .is_err_and(|error| error.kind() == io::ErrorKind::ExecutableFileBusy)
    };
    // Another test's child may for a moment hold the descriptor that wrote the file.
    (0..10_000)
        .map(|_| attempt())
        .find(|result| !is_busy(result))
        .unwrap()
        .unwrap()
}

#[test]
fn rulec_is_static_and_runs() {
    assert!(is_static(RULEC));
    let output = run(RULEC, &["--version"]);
    assert!(output.status.success());
    assert!(output.stdout.starts_with(b"rulec "));
}

#[test]
fn a_dynamic_program_is_told_apart() {
    // This very test is linked dynamically wherever the target's default is.
    if cfg!(target_feature = "crt-static") {
        println!("skipped: everything is linked statically here");
        return;
    }
    let own = fs::read(Path::new("/proc/self/exe")).unwrap();
    assert!(!is_static(&own));
}

#[test]
fn no_path_of_this_machine_is_inside() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap();
    let needle = workspace.to_str().unwrap().as_bytes();
    assert!(!RULEC.windows(needle.len()).any(|window| window == needle));
}

#[cfg(feature = "probe")]
#[test]
fn probes_are_static() {
    assert!(is_static(counterseal_static_programs::PROBE));
    assert!(is_static(counterseal_static_programs::LEAK_PROBE));
}

#[cfg(feature = "probe")]
#[test]
fn planted_dependences_show_without_a_sandbox() {
    use counterseal_static_programs::PLANTED;

    assert!(is_static(PLANTED));
    let said = |mode: &str| {
        let output = run(PLANTED, &[mode]);
        assert!(output.status.success(), "{mode}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(said("nothing"), said("nothing"));
    for mode in ["random", "hash-order", "process-id"] {
        assert_ne!(said(mode), said(mode), "{mode}");
    }
}
