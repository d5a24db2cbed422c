//! Action results, derived objects, pins.

use std::fs;
use std::path::Path;

use counterseal_store::{Digest, StoreError};

use crate::{Fixture, derive};

#[test]
fn an_action_result_comes_back_until_something_of_it_is_gone() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let action = Digest::of(b"action");
    let output = store.put_bytes(b"output").unwrap();
    assert_eq!(store.action_result(&action).unwrap(), None);
    store
        .put_action_result(&action, b"result", &[output])
        .unwrap();
    assert_eq!(store.action_result(&action).unwrap().unwrap(), b"result");
    store
        .put_action_result(&action, b"newer", &[output])
        .unwrap();
    assert_eq!(
        fixture.another().action_result(&action).unwrap().unwrap(),
        b"newer"
    );
    // Another size makes another action.
    assert_eq!(
        store
            .action_result(&Digest {
                size_bytes: 7,
                ..action
            })
            .unwrap(),
        None
    );
    fs::remove_file(fixture.blob_file(&output)).unwrap();
    assert_eq!(store.action_result(&action).unwrap(), None);
}

#[test]
fn a_record_must_not_name_what_is_not_there() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let missing = Digest::of(b"missing");
    let key = Digest::of(b"key");
    let batch = store.batch().unwrap();
    for refused in [
        store.put_action_result(&key, b"", &[missing]),
        batch.put_derived("unpacked", &key.hash, &missing),
        store.pin("name", &[missing]),
    ] {
        assert!(matches!(refused, Err(StoreError::BlobMissing { .. })));
    }
    batch.commit().unwrap();
    assert_eq!(store.check().unwrap().records_count, 0);
}

#[test]
fn derived_objects_are_kept_apart_by_kind() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let source = Digest::of(b"package");
    let key = source.hash;
    let value = store.put_bytes(b"value").unwrap();
    derive(store, "deb-tree.v1", &source, &value);
    assert_eq!(store.derived("deb-tree.v1", &key).unwrap(), Some(value));
    assert_eq!(store.derived("deb-tree.v2", &key).unwrap(), None);

    let batch = store.batch().unwrap();
    let later = batch.put_bytes(b"later").unwrap();
    batch.put_derived("deb-tree.v2", &key, &later).unwrap();
    assert_eq!(store.derived("deb-tree.v2", &key).unwrap(), None);
    batch.commit().unwrap();
    assert_eq!(store.derived("deb-tree.v2", &key).unwrap(), Some(later));
    fs::remove_file(fixture.blob_file(&later)).unwrap();
    assert_eq!(store.derived("deb-tree.v2", &key).unwrap(), None);
}

#[test]
fn names_that_could_be_paths_are_refused() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let value = store.put_bytes(b"value").unwrap();
    let key = Digest::of(b"key").hash;
    let long = "n".repeat(201);
    for name in [
        "", ".", "..", "a/b", "/etc", ".hidden", "a\0", "ü", "a b", &long,
    ] {
        assert!(
            matches!(store.pin(name, &[]), Err(StoreError::NameInvalid { .. })),
            "{name}"
        );
        assert!(matches!(
            store.batch().unwrap().put_derived(name, &key, &value),
            Err(StoreError::NameInvalid { .. })
        ));
        assert!(matches!(
            store.derived(name, &key),
            Err(StoreError::NameInvalid { .. })
        ));
    }
}

/// Calls `attempt` with every way to damage one byte of a record, or to cut it short.
fn each_damage(path: &Path, attempt: impl Fn(usize)) {
    let good = fs::read(path).unwrap();
    for offset in 0..good.len() {
        let mut flipped = good.clone();
        flipped[offset] ^= 1;
        for bad in [&flipped[..], &good[..offset]] {
            let _ = fs::remove_file(path);
            fs::write(path, bad).unwrap();
            attempt(offset);
        }
    }
    let _ = fs::remove_file(path);
    fs::write(path, good).unwrap();
}

#[test]
fn a_damaged_record_of_a_cache_is_an_error_once() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let key = Digest::of(b"key");
    let value = store.put_bytes(b"value").unwrap();
    derive(store, "kind", &key, &value);
    let derived = format!("derived/kind/{}", key.hash);
    each_damage(&store.path().join(derived), |offset| {
        let error = store.derived("kind", &key.hash).unwrap_err();
        assert!(
            matches!(error, StoreError::RecordDamaged { .. }),
            "{offset}"
        );
        assert_eq!(store.derived("kind", &key.hash).unwrap(), None, "{offset}");
    });
    assert_eq!(store.derived("kind", &key.hash).unwrap(), Some(value));

    store.put_action_result(&key, b"result", &[value]).unwrap();
    let action = format!("actions/{}-{}", key.hash, key.size_bytes);
    each_damage(&store.path().join(action), |offset| {
        assert!(store.action_result(&key).is_err(), "{offset}");
        assert_eq!(store.action_result(&key).unwrap(), None, "{offset}");
    });
    assert_eq!(store.action_result(&key).unwrap().unwrap(), b"result");
}
