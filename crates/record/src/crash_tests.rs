//! The appender, stopped at every step, in every way.
//!
//! For each step of a batch: the process dies there, and either the disk stays
//! as it is or the power goes too and takes any part of what was not synced;
//! or the step fails and the process goes on. Afterwards the record must be
//! sound, hold what was acknowledged, and take the batch again without losing
//! or doubling an entry.

use std::sync::Arc;

use crate::reader::Reader;
use crate::storage::Storage as _;
use crate::storage::memory::{Fault, Memory};
use crate::test_key::TestKey;
use crate::{CheckFailure, CheckReport, Record, RecordError, check, layout, silently};

/// Power cuts with different losses for each step.
const POWER_CUTS: u64 = 4;

/// A batch that begins in one bundle and ends in the next.
const BEFORE: u32 = 250;
const AFTER: u32 = 259;

fn entry(number: u32) -> Vec<u8> {
    format!("entry number {number}").into_bytes()
}

fn entries(range: std::ops::Range<u32>) -> Vec<Vec<u8>> {
    range.map(entry).collect()
}

fn open(disk: &Memory) -> Result<Record, RecordError> {
    Record::open_on(Arc::new(disk.fork()))
}

fn sound(disk: &Memory, key: &TestKey) -> Result<CheckReport, CheckFailure> {
    check::check(disk, &key.verifier(), silently)
}

/// A record with `count` entries, recorded in two batches.
fn recorded(key: &TestKey, count: u32) -> Memory {
    let disk = Memory::new();
    let record = Record::create_on(Arc::new(disk.clone()), key).unwrap();
    record.append(&entries(0..count / 2), key).unwrap();
    record.append(&entries(count / 2..count), key).unwrap();
    disk
}

/// What must hold after any crash while `BEFORE..AFTER` was being recorded.
fn survives(disk: &Memory, key: &TestKey, what: &str) {
    let report = sound(disk, key).unwrap_or_else(|failure| panic!("{what}: {failure}"));
    let size = report.checkpoint.size;
    assert!(
        size == u64::from(BEFORE) || size == u64::from(AFTER),
        "{what}: size {size}"
    );

    let disk = disk.fork();
    let record = Record::open_on(Arc::new(disk.clone())).unwrap();
    // Another batch than the one that was interrupted, overlapping it.
    let wanted = entries(BEFORE - 3..AFTER + 4);
    let receipts = record
        .append(&wanted, key)
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    let indices: Vec<u64> = receipts.iter().map(|receipt| receipt.index).collect();
    assert_eq!(
        indices,
        (u64::from(BEFORE) - 3..u64::from(AFTER) + 4).collect::<Vec<_>>(),
        "{what}"
    );
    for number in 0..AFTER + 4 {
        assert_eq!(
            record.entry(number.into()).unwrap(),
            entry(number),
            "{what}"
        );
    }
    let report = sound(&disk, key).unwrap_or_else(|failure| panic!("{what}: {failure}"));
    assert_eq!(report.checkpoint.size, u64::from(AFTER) + 4, "{what}");
}

/// A small generator, so that a failure can be repeated.
fn coin(seed: u64) -> impl FnMut() -> bool {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state & 1 == 1
    }
}

#[test]
fn death_at_any_step_loses_and_doubles_nothing() {
    let key = TestKey::new("crash.record.example");
    let base = recorded(&key, BEFORE);
    let batch = entries(BEFORE..AFTER);
    let mut step = 0;
    loop {
        let disk = base.fork();
        disk.fail_at(step, Fault::Death);
        let record = Record::open_on(Arc::new(disk.clone())).unwrap();
        let result = record.append(&batch, &key);
        let finished = disk.steps() <= step;

        survives(&disk.fork(), &key, &format!("killed at step {step}"));
        for seed in 0..POWER_CUTS {
            let mut coin = coin(seed);
            // The first two lose nothing and everything.
            let keeps = || seed == 0 || (seed > 1 && coin());
            let after = disk.after_power_cut(keeps);
            let what = format!("power cut {seed} at step {step}");
            survives(&after, &key, &what);
            if result.is_ok() {
                let size = sound(&after, &key).unwrap().checkpoint.size;
                assert_eq!(size, u64::from(AFTER), "{what}: acknowledged, then lost");
            }
        }
        if finished {
            assert!(result.is_ok());
            break;
        }
        step += 1;
    }
    assert!(step > 25, "the batch took only {step} steps");
}

#[test]
fn a_receipt_found_after_a_death_is_durable() {
    let key = TestKey::new("crash.record.example");
    let base = recorded(&key, BEFORE);
    let batch = entries(BEFORE..AFTER);
    let total = {
        let disk = base.fork();
        disk.fail_at(usize::MAX, Fault::Death);
        open_shared(&disk).append(&batch, &key).unwrap();
        disk.steps()
    };
    for step in 0..total {
        let disk = base.fork();
        disk.fail_at(step, Fault::Death);
        let _ = open_shared(&disk).append(&batch, &key);
        // Another process finds what the dead one left, and tells somebody.
        disk.fail_at(usize::MAX, Fault::Death);
        let record = open_shared(&disk);
        let told = record.checkpoint().unwrap();
        record.receipt(0).unwrap();
        let after = disk.after_power_cut(|| false);
        let left = open(&after).unwrap().checkpoint().unwrap();
        assert_eq!(
            told, left,
            "step {step}: a checkpoint that was shown is gone"
        );
    }
}

#[test]
fn a_full_disk_is_reported_and_loses_nothing() {
    fails_once(Fault::DiskFull, |error, step| {
        assert!(
            matches!(error, RecordError::StorageFull { .. }),
            "step {step}: {error}"
        );
    });
}

#[test]
fn an_input_output_error_is_reported_and_loses_nothing() {
    fails_once(Fault::Failure, |error, step| {
        assert!(
            matches!(error, RecordError::Storage { .. }),
            "step {step}: {error}"
        );
    });
}

fn fails_once(fault: Fault, expect: impl Fn(&RecordError, usize)) {
    let key = TestKey::new("crash.record.example");
    let base = recorded(&key, BEFORE);
    let batch = entries(BEFORE..AFTER);
    let mut failures = 0;
    for step in 0.. {
        let disk = base.fork();
        disk.fail_at(step, fault);
        let record = open_shared(&disk);
        match record.append(&batch, &key) {
            Err(error) => {
                failures += 1;
                expect(&error, step);
            }
            Ok(_) if disk.steps() <= step => break,
            // Tidying up failed, which nobody needs to know.
            Ok(_) => {}
        }
        survives(&disk, &key, &format!("failure at step {step}"));
        // The same process goes on, too.
        let receipts = record.append(&batch, &key).unwrap();
        assert_eq!(receipts[0].index, u64::from(BEFORE), "step {step}");
        assert_eq!(receipts.len(), batch.len());
        assert_eq!(
            sound(&disk, &key).unwrap().checkpoint.size,
            u64::from(AFTER)
        );
    }
    assert!(failures > 25, "only {failures} steps could fail");
}

#[test]
fn an_interrupted_creation_can_be_repeated() {
    let key = TestKey::new("crash.record.example");
    for step in 0.. {
        let disk = Memory::new();
        disk.fail_at(step, Fault::Death);
        let created = Record::create_on(Arc::new(disk.clone()), &key);
        for seed in 0..POWER_CUTS {
            let mut coin = coin(seed);
            let after = disk.after_power_cut(|| seed == 0 || (seed > 1 && coin()));
            match Record::open_on(Arc::new(after.clone())) {
                Ok(_) => {}
                Err(RecordError::Missing { .. }) if created.is_err() => {
                    Record::create_on(Arc::new(after.clone()), &key).unwrap();
                }
                Err(error) => panic!("step {step}: {error}"),
            }
            assert_eq!(sound(&after, &key).unwrap().checkpoint.size, 0);
        }
        if created.is_ok() && disk.steps() <= step {
            break;
        }
    }
}

#[test]
fn missing_state_is_not_made_anew() {
    let key = TestKey::new("crash.record.example");
    let base = recorded(&key, 300);
    let needed = [
        layout::CHECKPOINT,
        layout::LOCK,
        layout::STAGING,
        layout::TILES,
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
        "tile/entries/001.p/44",
    ];
    for name in needed {
        let disk = base.fork();
        disk.erase(name);
        let result = Record::open_on(Arc::new(disk.clone()))
            .and_then(|record| record.append(&[b"new".to_vec()], &key));
        match result {
            Err(RecordError::Missing { path }) => {
                assert!(
                    disk.display(name).starts_with(&path) || path.starts_with(disk.display(name))
                );
            }
            other => panic!("{name}: {other:?}"),
        }
        assert!(
            disk.list(name).is_err() && disk.read(name, usize::MAX).is_err(),
            "{name}"
        );
    }
}

#[test]
fn nothing_is_signed_on_top_of_damage() {
    let key = TestKey::new("crash.record.example");
    let base = recorded(&key, 300);
    for name in [
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
        "tile/entries/001.p/44",
    ] {
        let disk = base.fork();
        let mut bytes = disk.read(name, usize::MAX).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        disk.overwrite(name, &bytes);
        let before = disk.read(layout::CHECKPOINT, usize::MAX).unwrap();
        let record = Record::open_on(Arc::new(disk.clone())).unwrap();
        let error = record.append(&[b"new".to_vec()], &key).unwrap_err();
        let is_damage = matches!(
            error,
            RecordError::Root { .. } | RecordError::Edge { .. } | RecordError::Contradiction { .. }
        );
        assert!(is_damage, "{name}: {error}");
        assert_eq!(disk.read(layout::CHECKPOINT, usize::MAX).unwrap(), before);
    }
}

#[test]
fn a_restored_backup_is_noticed_by_a_process_that_saw_more() {
    let key = TestKey::new("crash.record.example");
    let disk = recorded(&key, 10);
    let backup = disk.read(layout::CHECKPOINT, usize::MAX).unwrap();
    let record = Record::open_on(Arc::new(disk.clone())).unwrap();
    record.append(&entries(10..12), &key).unwrap();

    disk.overwrite(layout::CHECKPOINT, &backup);
    let error = record.append(&entries(12..13), &key).unwrap_err();
    assert!(
        matches!(
            error,
            RecordError::WentBack {
                known_size: 12,
                found_size: 10
            }
        ),
        "{error}"
    );

    // Somebody else continues the backup differently, to the same size.
    let other = Record::open_on(Arc::new(disk.clone())).unwrap();
    other.append(&entries(100..102), &key).unwrap();
    let error = record.append(&entries(12..13), &key).unwrap_err();
    assert!(
        matches!(error, RecordError::Forked { size: 12, .. }),
        "{error}"
    );
}

#[test]
fn readers_survive_the_disappearance_of_partial_tiles() {
    let key = TestKey::new("crash.record.example");
    let disk = recorded(&key, 200);
    let record = Record::open_on(Arc::new(disk.clone())).unwrap();
    let earlier = record.checkpoint().unwrap();
    record.append(&entries(200..300), &key).unwrap();
    assert!(!disk.files().iter().any(|name| name.contains("/0/000.p/")));

    let reader = Reader::new(&disk, &earlier);
    let receipt = reader.receipt(7, &reader.entry(7).unwrap()).unwrap();
    assert_eq!(receipt.tree_size, 200);
}

#[test]
fn only_the_key_of_the_record_signs() {
    let key = TestKey::new("one.record.example");
    let disk = recorded(&key, 4);
    let record = Record::open_on(Arc::new(disk.clone())).unwrap();
    let before = disk.read(layout::CHECKPOINT, usize::MAX).unwrap();

    let stranger = TestKey::new("two.record.example");
    let error = record.append(&entries(4..5), &stranger).unwrap_err();
    assert!(matches!(error, RecordError::SignerName { .. }), "{error}");

    let impostor = TestKey::seeded("one.record.example", 9);
    let error = record.append(&entries(4..5), &impostor).unwrap_err();
    assert!(matches!(error, RecordError::SignerKey { .. }), "{error}");

    assert_eq!(disk.read(layout::CHECKPOINT, usize::MAX).unwrap(), before);
}

/// Somebody who can write to the record but has no key puts another history under its signature line:
/// whoever extends it would sign for that.
#[test]
fn what_the_key_did_not_sign_is_not_extended() {
    let key = TestKey::new("one.record.example");
    let disk = recorded(&key, 4);
    let sound = disk.read(layout::CHECKPOINT, usize::MAX).unwrap();
    let stranger = TestKey::seeded("one.record.example", 9);
    let other = recorded(&stranger, 5).read(layout::CHECKPOINT, usize::MAX);
    let other = String::from_utf8(other.unwrap()).unwrap();
    let (text, _) = other.split_once("\n\n").unwrap();
    let own = String::from_utf8(sound.clone()).unwrap();
    let (_, signature) = own.split_once("\n\n").unwrap();
    disk.overwrite(
        layout::CHECKPOINT,
        format!("{text}\n\n{signature}").as_bytes(),
    );
    let forged = disk.read(layout::CHECKPOINT, usize::MAX).unwrap();
    let record = open_shared(&disk);
    // Also for an entry that is there.
    for batch in [entries(4..5), entries(0..1)] {
        let error = record.append(&batch, &key).unwrap_err();
        assert!(
            matches!(error, RecordError::SignerSignature { .. }),
            "{error}"
        );
    }
    assert_eq!(disk.read(layout::CHECKPOINT, usize::MAX).unwrap(), forged);
    disk.overwrite(layout::CHECKPOINT, &sound);
    open_shared(&disk).append(&entries(4..5), &key).unwrap();
}

#[test]
fn a_tile_with_something_behind_it_is_not_built_upon() {
    let key = TestKey::new("one.record.example");
    for (count, tile) in [(4, "tile/0/000.p/4"), (256, "tile/0/000")] {
        let disk = recorded(&key, count);
        let mut bytes = disk.read(tile, usize::MAX).unwrap();
        bytes.push(b'\n');
        disk.overwrite(tile, &bytes);
        let error = open_shared(&disk)
            .append(&entries(count..count + 1), &key)
            .unwrap_err();
        assert!(error.to_string().contains(tile), "{error}");
    }
}

fn open_shared(disk: &Memory) -> Record {
    Record::open_on(Arc::new(disk.clone())).unwrap()
}
