//! A record whose files somebody else wrote: `check` says what is wrong with it, and nothing is
//! ever added on top of it.

use std::fs;
use std::path::PathBuf;

use crate::harness::{Bench, Probe, Ran};

/// A record with two entries, and a product whose assembly would add a third.
fn recorded() -> Bench {
    let bench = Bench::new();
    for version in ["1", "2"] {
        Probe {
            version,
            ..Probe::default()
        }
        .write(&bench, "probe");
        bench.lock("probe").exits(0);
        bench.assemble("probe", &[]).exits(0);
    }
    assert_eq!(bench.entries(), 2);
    Probe {
        version: "3",
        ..Probe::default()
    }
    .write(&bench, "probe");
    bench.lock("probe").exits(0);
    bench
}

/// The record must be found wanting.
#[track_caller]
fn found_wanting(bench: &Bench, defect: &str) -> Ran {
    let ran = bench.run("record check record --public-key keys/record.key.pub");
    assert_eq!(ran.code(), Some(1), "{defect}\n{}", ran.spoken());
    let ran = ran.speaks_plainly();
    assert!(
        ran.stderr().len() < 4096,
        "{defect}: a message, not a flood"
    );
    ran
}

#[test]
fn checkpoints() {
    let bench = recorded();
    let path = bench.path("record/checkpoint");
    let sound = fs::read_to_string(&path).unwrap();
    let [origin, size, root, rest] = sound.splitn(4, '\n').collect::<Vec<_>>()[..] else {
        panic!("{sound}");
    };
    for (defect, bytes) in [
        ("empty", Vec::new()),
        ("zeros", vec![0; 4096]),
        ("not UTF-8", b"\xff\xfe\n".to_vec()),
        ("without end", vec![b'x'; 80 << 20]),
        (
            "another size",
            format!("{origin}\n3\n{root}\n{rest}").into(),
        ),
        ("size 0", format!("{origin}\n0\n{root}\n{rest}").into()),
        (
            "size beyond counting",
            format!("{origin}\n18446744073709551616\n{root}\n{rest}").into(),
        ),
        (
            "size of all there could be",
            format!("{origin}\n{}\n{root}\n{rest}", u64::MAX).into(),
        ),
        (
            "size with a sign",
            format!("{origin}\n+{size}\n{root}\n{rest}").into(),
        ),
        (
            "another root",
            format!("{origin}\n{size}\n{}=\n{rest}", "A".repeat(43)).into(),
        ),
        (
            "a root cut short",
            format!("{origin}\n{size}\nAAAA\n{rest}").into(),
        ),
        (
            "another origin",
            format!("other.example\n{size}\n{root}\n{rest}").into(),
        ),
        (
            "an escape for an origin",
            format!("\u{1b}[2J\n{size}\n{root}\n{rest}").into(),
        ),
        (
            "no signature",
            format!("{origin}\n{size}\n{root}\n\n").into(),
        ),
        ("windows' line ends", sound.replace('\n', "\r\n").into()),
        ("twice", format!("{sound}{sound}").into()),
    ] {
        fs::write(&path, &bytes).unwrap();
        found_wanting(&bench, defect);
        // Appending does not check the signature (the signing key alone cannot), everything else.
        let ran = bench.assemble("probe", &[]).speaks_plainly();
        assert!(
            matches!(ran.code(), Some(1 | 2)),
            "{defect}\n{}",
            ran.spoken()
        );
        assert_eq!(
            fs::read(&path).unwrap(),
            bytes,
            "{defect}: left as it was found"
        );
    }
    fs::write(&path, &sound).unwrap();
    bench.assemble("probe", &[]).exits(0);
    assert_eq!(bench.entries(), 3);
}

#[test]
fn tiles_and_entries() {
    let bench = recorded();
    let hashes = bench.path("record/tile/0/000.p/2");
    let entries = bench.path("record/tile/entries/000.p/2");
    let spoil = |path: &PathBuf, defect: &str, bytes: Vec<u8>| {
        let sound = fs::read(path).unwrap();
        assert_ne!(sound, bytes, "{defect}");
        fs::write(path, &bytes).unwrap();
        found_wanting(&bench, defect).says("000.p/2");
        let ran = bench.assemble("probe", &[]).speaks_plainly();
        assert!(
            matches!(ran.code(), Some(1 | 2)),
            "{defect}\n{}",
            ran.spoken()
        );
        fs::write(path, sound).unwrap();
    };
    for (defect, bytes) in [
        ("empty", Vec::new()),
        ("half a hash", vec![7; 48]),
        ("other hashes", vec![7; 64]),
        ("too many hashes", vec![7; 96]),
        ("without end", vec![7; 80 << 20]),
    ] {
        spoil(&hashes, defect, bytes);
    }
    let sound = fs::read(&entries).unwrap();
    for (defect, bytes) in [
        ("no entries", Vec::new()),
        ("half a length", vec![0]),
        ("a length beyond the end", vec![0xff, 0xff, b'x']),
        ("one entry too many", [&sound[..], &[0, 0]].concat()),
        ("one entry too few", {
            let first = usize::from(u16::from_be_bytes([sound[0], sound[1]])) + 2;
            sound[..first].to_vec()
        }),
        ("entries without end", vec![0; 80 << 20]),
    ] {
        spoil(&entries, defect, bytes);
    }
    // A directory where a tile should be, and a link to somewhere else.
    for path in [&hashes, &entries] {
        let sound = fs::read(path).unwrap();
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
        let ran = bench.run("record check record --public-key keys/record.key.pub");
        assert_ne!(ran.speaks_plainly().code(), Some(0));
        fs::remove_dir(path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", path).unwrap();
        let ran = bench.run("record check record --public-key keys/record.key.pub");
        assert_ne!(ran.speaks_plainly().code(), Some(0));
        fs::remove_file(path).unwrap();
        fs::write(path, sound).unwrap();
    }
    bench.assemble("probe", &[]).exits(0);
    assert_eq!(bench.entries(), 3);
}
