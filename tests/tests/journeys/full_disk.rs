//! A full disk under the store, the record, the output directory or the temporary directory: a
//! message that says so, nothing lost, and everything goes on once there is space.
//!
//! Needs a small file system of its own, hence a mount namespace: the test runs itself again inside
//! of one. Where that is not allowed it says so.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Bench, PACK, Probe, Program, Ran, publish, remove_directory, rules};

const DISK: &str = "COUNTERSEAL_TEST_FULL_DISK";
/// Mounts a small disk at the first argument and runs the rest.
const MOUNT: &str = "mount -t tmpfs -o size=8m,mode=0777 none \"$0\" && exec \"$@\"";
/// How much is left free, in bytes: from nothing to nearly enough, so that every stage is hit.
const FREE_BYTES: [u64; 7] = [0, 4096, 16_384, 65_536, 262_144, 1 << 20, 2 << 20];

#[test]
fn a_full_disk_loses_nothing() {
    if let Some(disk) = std::env::var_os(DISK) {
        let disk = PathBuf::from(disk);
        for journey in [
            under_the_store,
            under_the_record,
            under_output_and_temporary_files,
        ] {
            let bench = Bench::new();
            symlink(&disk, bench.path("disk")).unwrap();
            journey(&bench);
            for entry in fs::read_dir(&disk).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    remove_directory(&path);
                } else {
                    fs::remove_file(path).unwrap();
                }
            }
        }
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let disk = home.path().to_str().unwrap();
    let own = fs::metadata("/proc/self").unwrap();
    let (user, group) = (
        format!("--map-user={}", own.uid()),
        format!("--map-group={}", own.gid()),
    );
    // Root may mount; others may in a user namespace, and leave root's part there behind.
    let (outer, inner): (&[&str], &[&str]) = match own.uid() {
        0 => (&["--mount"], &[]),
        _ => (
            &["--user", "--map-root-user", "--mount"],
            &["unshare", "--user", &user, &group],
        ),
    };
    let inside = |words: &[&str]| {
        let mut command = Command::new("unshare");
        command
            .args(outer)
            .args(["--propagation", "private", "sh", "-c", MOUNT, disk]);
        command.args(inner).args(words);
        command
    };
    if !inside(&["true"])
        .output()
        .is_ok_and(|output| output.status.success())
    {
        println!("skipped: no mount namespace with a tmpfs to be had here");
        return;
    }
    let test = std::env::current_exe().unwrap();
    let name = "full_disk::a_full_disk_loses_nothing";
    let mut command = inside(&[test.to_str().unwrap(), "--exact", name, "--nocapture"]);
    command.env(DISK, disk);
    Ran::of(command).exits(0).says("1 passed");
}

/// Fills the disk but for some bytes.
fn fill(bench: &Bench, free_bytes: u64) {
    let free = rustix::fs::statvfs(bench.path("disk")).unwrap();
    let available = free.f_bavail * free.f_frsize;
    let filler = vec![b'x'; usize::try_from(available.saturating_sub(free_bytes)).unwrap()];
    fs::write(bench.path("disk/filler"), filler).unwrap();
}

fn empty(bench: &Bench) {
    fs::remove_file(bench.path("disk/filler")).unwrap();
}

/// A run on a full disk: it fails and says why, or there was just enough space.
#[track_caller]
fn strained(bench: &Bench, line: &str) -> bool {
    let ran = bench.run(line).speaks_plainly();
    if ran.code() == Some(0) {
        return true;
    }
    let said = ran.stderr().to_lowercase();
    assert!(said.contains("no space"), "{line}\n{}", ran.spoken());
    assert!(
        matches!(ran.code(), Some(1 | 2)),
        "{line}\n{}",
        ran.spoken()
    );
    false
}

fn under_the_store(bench: &Bench) {
    rules(bench, "rules");
    let lock = "lock rules/assembly.toml --store disk/store --offline";
    let assemble = Bench::assemble_line("rules").replace("--store store", "--store disk/store");
    let mut failures = 0;
    for free_bytes in FREE_BYTES {
        fill(bench, free_bytes);
        failures += u32::from(!strained(bench, lock));
        empty(bench);
    }
    bench.run(lock).exits(0);
    for free_bytes in FREE_BYTES {
        fill(bench, free_bytes);
        failures += u32::from(!strained(bench, &format!("{assemble} --no-cache")));
        empty(bench);
        bench
            .run("store check --store disk/store")
            .exits(0)
            .says(" 0 problems");
    }
    assert!(
        failures >= 6,
        "the disk was never full: {failures} failures"
    );
    bench.run(&assemble).exits(0);
    bench
        .verify(Program::CountersealVerify, &[&format!("out/{PACK}")], &[])
        .exits(0);
    assert!(bench.entries() >= 1);
}

fn under_the_record(bench: &Bench) {
    bench
        .run("record init disk/record --key keys/record.key")
        .exits(0);
    let check = || {
        let ran = bench
            .run("record check disk/record --public-key keys/record.key.pub")
            .exits(0);
        ran.stdout()
            .split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    Probe::default().write(bench, "probe");
    bench.lock("probe").exits(0);
    let assemble = Bench::assemble_line("probe").replace("--record record", "--record disk/record");
    bench.run(&assemble).exits(0);
    let statement = bench.statements("out/probe.out").remove(0);
    let mut entries = check();
    let mut failures = 0;
    for (round, free_bytes) in FREE_BYTES.into_iter().enumerate() {
        let version = round.to_string();
        Probe {
            version: &version,
            ..Probe::default()
        }
        .write(bench, "probe");
        fill(bench, free_bytes);
        failures += u32::from(!strained(bench, &assemble));
        let full = check();
        assert!((entries..=entries + 1).contains(&full));
        empty(bench);
        bench.run(&assemble).exits(0);
        entries += 1;
        assert_eq!(check(), entries, "neither lost nor doubled");
        bench
            .verify(Program::CountersealVerify, &["out/probe.out"], &[])
            .exits(0);
    }
    // The same for evidence that is brought to the record.
    let mut statement = statement;
    statement["predicate"]["runDetails"]["metadata"]["invocationId"] = "another".into();
    publish(bench, "elsewhere.sigstore.jsonl", &statement);
    let text = fs::read_to_string(bench.path("elsewhere.sigstore.jsonl")).unwrap();
    let mut bundle =
        counterseal_attestation::bundle::Bundle::parse(text.trim().as_bytes()).unwrap();
    bundle.entry = None;
    let bare = format!("{}\n", bundle.to_line());
    fs::write(bench.path("bare.sigstore.jsonl"), &bare).unwrap();
    let add = "record add disk/record bare.sigstore.jsonl --public-key keys/vendor.key.pub \
               --key keys/record.key";
    fill(bench, 0);
    assert!(!strained(bench, add));
    assert_eq!(
        fs::read_to_string(bench.path("bare.sigstore.jsonl")).unwrap(),
        bare
    );
    failures += 1;
    empty(bench);
    bench.run(add).exits(0);
    assert_eq!(check(), entries + 1);
    assert!(failures >= 2, "the disk was never full");
}

fn under_output_and_temporary_files(bench: &Bench) {
    Probe {
        words: "write /build/out 300000",
        ..Probe::default()
    }
    .write(bench, "probe");
    bench.lock("probe").exits(0);
    let assemble = Bench::assemble_line("probe").replace("--output out", "--output disk/out");
    let mut failures = 0;
    for (round, free_bytes) in FREE_BYTES.into_iter().enumerate() {
        let words = format!("write /build/out {}", 300_000 + round);
        Probe {
            words: &words,
            ..Probe::default()
        }
        .write(bench, "probe");
        fill(bench, free_bytes);
        failures += u32::from(!strained(bench, &assemble));
        // What is there is whole: an artifact never stands beside evidence about another one
        // that verifies.
        empty(bench);
        bench.run(&assemble).exits(0);
        assert_eq!(
            bench.entries(),
            1 + round as u64,
            "neither lost nor doubled"
        );
        bench
            .verify(Program::CountersealVerify, &["disk/out/probe.out"], &[])
            .exits(0);
        assert_eq!(
            names(&bench.path("disk/out")),
            [
                "probe.out",
                "probe.out.runtime-trace.json",
                "probe.out.sigstore.jsonl"
            ]
        );
    }
    assert!(
        failures >= 3,
        "the disk was never full: {failures} failures"
    );

    fill(bench, 0);
    let line = Bench::assemble_line("probe");
    let mut command = bench.command(Program::Counterseal);
    command
        .args(line.split_whitespace())
        .arg("--no-cache")
        .env("TMPDIR", bench.path("disk"));
    let ran = Ran::of(command).speaks_plainly();
    let said = ran.stderr().to_lowercase();
    assert!(
        ran.code() == Some(0) || said.contains("no space"),
        "{}",
        ran.spoken()
    );
    empty(bench);
    bench
        .run("store check --store store")
        .exits(0)
        .says(" 0 problems");
    bench.run(&line).exits(0);
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
