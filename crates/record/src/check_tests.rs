//! The integrity check against damage of every kind.

use std::sync::Arc;

use crate::storage::Storage as _;
use crate::storage::memory::Memory;
use crate::test_key::TestKey;
use crate::{CheckFailure, CheckReport, Record, check, layout, silently};

const ORIGIN: &str = "check.record.example";

fn entry(number: u32) -> Vec<u8> {
    format!("{number}").into_bytes()
}

/// A record that grew in batches that end at these sizes.
fn recorded(key: &TestKey, sizes: &[u32]) -> Memory {
    let disk = Memory::new();
    let record = Record::create_on(Arc::new(disk.clone()), key).unwrap();
    let mut begin = 0;
    for end in sizes {
        let batch: Vec<_> = (begin..*end).map(entry).collect();
        record.append(&batch, key).unwrap();
        begin = *end;
    }
    disk
}

fn run(disk: &Memory, key: &TestKey) -> Result<CheckReport, CheckFailure> {
    check::check(disk, &key.verifier(), silently)
}

fn published(disk: &Memory) -> Vec<String> {
    let mut files = disk.files();
    files.retain(|name| !name.starts_with(layout::STATE));
    files
}

#[test]
fn a_sound_record_is_counted() {
    let key = TestKey::new(ORIGIN);
    let report = run(&recorded(&key, &[3, 5, 258]), &key).unwrap();
    assert_eq!(report.checkpoint.size, 258);
    assert_eq!((report.tiles, report.bundles), (3, 2));
    assert_eq!(report.earlier_partials, 0);
    assert!(report.unpublished.is_empty());

    let report = run(&recorded(&key, &[3, 5]), &key).unwrap();
    assert_eq!(report.earlier_partials, 2);

    assert_eq!(run(&recorded(&key, &[]), &key).unwrap().checkpoint.size, 0);
}

#[test]
fn every_flipped_byte_of_a_small_record_is_found() {
    let key = TestKey::new(ORIGIN);
    let disk = recorded(&key, &[1, 3, 6]);
    assert_eq!(published(&disk).len(), 7);
    every_damage_is_found(&disk, &key, 1);
}

#[test]
fn flipped_bytes_on_two_levels_of_tiles_are_found() {
    let key = TestKey::new(ORIGIN);
    let disk = recorded(&key, &[257, 258, 260]);
    assert_eq!(published(&disk).len(), 10);
    every_damage_is_found(&disk, &key, 11);
}

/// Flips a bit in every byte of every file, or in one of each `stride`.
fn every_damage_is_found(disk: &Memory, key: &TestKey, stride: usize) {
    for name in published(disk) {
        let sound = disk.read(&name, usize::MAX).unwrap();
        for position in (0..sound.len()).step_by(stride) {
            let mut damaged = sound.clone();
            // Another bit in each byte, so that all of them have their turn.
            damaged[position] ^= 1 << (position % 8);
            disk.overwrite(&name, &damaged);
            assert!(run(disk, key).is_err(), "{name}: byte {position} passed");
        }
        for (what, damaged) in [
            ("a byte more", [&sound[..], b"x"].concat()),
            ("a byte less", sound[..sound.len() - 1].to_vec()),
            ("nothing", Vec::new()),
        ] {
            disk.overwrite(&name, &damaged);
            assert!(run(disk, key).is_err(), "{name}: {what} passed");
        }
        disk.overwrite(&name, &sound);
    }
    run(disk, key).unwrap();
}

#[test]
fn every_missing_file_is_found() {
    let key = TestKey::new(ORIGIN);
    let disk = recorded(&key, &[258]);
    for name in published(&disk) {
        let damaged = disk.fork();
        damaged.erase(&name);
        match run(&damaged, &key) {
            Err(CheckFailure::Missing { path }) => assert_eq!(path, disk.display(&name)),
            other => panic!("{name}: {other:?}"),
        }
    }
    disk.erase(layout::LOCK);
    assert!(matches!(
        run(&disk, &key),
        Err(CheckFailure::Missing { .. })
    ));
}

#[test]
fn every_stray_file_is_found() {
    let key = TestKey::new(ORIGIN);
    let disk = recorded(&key, &[258]);
    for name in [
        "tile/README",
        "tile/0/0",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/001.p/02",
        "tile/8/000",
        "tile/00/000",
        "tile/entries/x000/000",
        "tile/entries/001.p/2.tmp",
        "tile/0/000/001",
    ] {
        let stray = disk.fork();
        let mut directories: Vec<&str> = layout::ancestors(name).collect();
        directories.pop();
        for directory in directories.into_iter().rev() {
            // A file in the place of a directory is replaced by one.
            if stray.list(directory).is_err() {
                stray.erase(directory);
                stray.create_directory(directory).unwrap();
            }
        }
        stray.overwrite(name, b"stray");
        let result = run(&stray, &key);
        assert!(
            matches!(
                result,
                Err(CheckFailure::Stray { .. } | CheckFailure::Unreadable { .. })
            ),
            "{name}: {result:?}"
        );
    }
}

#[test]
fn what_lies_beyond_the_checkpoint_is_listed_not_judged() {
    let key = TestKey::new(ORIGIN);
    let disk = recorded(&key, &[258]);
    let beyond = [
        "tile/0/001",
        "tile/0/001.p/3",
        "tile/entries/001.p/9",
        ".state/staging/0",
    ];
    for name in beyond {
        disk.overwrite(name, b"anything");
    }
    let mut found = run(&disk, &key).unwrap().unpublished;
    found.sort();
    let mut expected: Vec<_> = beyond.iter().map(|name| disk.display(name)).collect();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_copy_without_the_state_of_the_appender_can_be_checked() {
    let key = TestKey::new(ORIGIN);
    let disk = recorded(&key, &[258]);
    disk.erase(layout::STATE);
    run(&disk, &key).unwrap();
}

#[test]
fn the_first_damage_is_named() {
    let key = TestKey::new(ORIGIN);
    let disk = recorded(&key, &[258]);

    let bundle = "tile/entries/000";
    let mut bytes = disk.read(bundle, usize::MAX).unwrap();
    // Entries 0 to 9 take three bytes each, the third is the digit.
    bytes[3 * 4 + 2] ^= 1;
    let damaged = disk.fork();
    damaged.overwrite(bundle, &bytes);
    match run(&damaged, &key) {
        Err(CheckFailure::Entry {
            index,
            bundle: path,
            ..
        }) => {
            assert_eq!((index, path), (4, disk.display(bundle)));
        }
        other => panic!("{other:?}"),
    }

    let mut bytes = disk.read("tile/1/000.p/1", usize::MAX).unwrap();
    bytes[0] ^= 1;
    let damaged = disk.fork();
    damaged.overwrite("tile/1/000.p/1", &bytes);
    match run(&damaged, &key) {
        Err(CheckFailure::Hash {
            path, position: 0, ..
        }) => {
            assert_eq!(path, disk.display("tile/1/000.p/1"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_checkpoint_of_another_record_or_key_does_not_pass() {
    let key = TestKey::new(ORIGIN);
    let disk = recorded(&key, &[3]);
    for other in [
        TestKey::seeded(ORIGIN, 9),
        TestKey::new("other.record.example"),
    ] {
        assert!(matches!(run(&disk, &other), Err(CheckFailure::Note { .. })));
    }

    // The key signs for somebody else's tree.
    let other = recorded(&key, &[4]);
    let foreign = other.read(layout::CHECKPOINT, usize::MAX).unwrap();
    disk.overwrite(layout::CHECKPOINT, &foreign);
    assert!(run(&disk, &key).is_err());
}
