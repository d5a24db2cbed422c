//! Action results, derived objects, pins.

use std::fs;

use counterseal_store::{Digest, StoreError};

use crate::{Fixture, set_mode};

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
    for refused in [
        store.put_action_result(&key, b"", &[missing]),
        store.put_derived("unpacked", &key.hash, &missing),
        store.pin("name", &[missing]),
    ] {
        assert!(matches!(refused, Err(StoreError::BlobMissing { .. })));
    }
    assert!(store.pins().unwrap().is_empty());
}

#[test]
fn derived_objects_are_kept_apart_by_kind() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let key = Digest::of(b"package").hash;
    let value = store.put_bytes(b"value").unwrap();
    store.put_derived("deb-tree.v1", &key, &value).unwrap();
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
            store.unpin(name),
            Err(StoreError::NameInvalid { .. })
        ));
        assert!(matches!(
            store.derived(name, &key),
            Err(StoreError::NameInvalid { .. })
        ));
    }
}

#[test]
fn a_damaged_record_is_neither_believed_nor_passed_over() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let root = store.put_bytes(b"root").unwrap();
    store.pin("name", &[root]).unwrap();
    let path = store.path().join("pins/name");
    let good = fs::read(&path).unwrap();
    set_mode(&path, 0o644);
    for offset in 0..good.len() {
        let mut bad = good.clone();
        bad[offset] ^= 1;
        fs::write(&path, &bad).unwrap();
        let error = store.pinned("name").unwrap_err();
        assert!(
            matches!(error, StoreError::RecordDamaged { .. }),
            "{offset}"
        );
        fs::write(&path, &good[..offset]).unwrap();
        assert!(store.pinned("name").is_err(), "{offset}");
    }
    fs::write(&path, &good).unwrap();
    assert_eq!(store.pinned("name").unwrap(), Some(vec![root]));
}

#[test]
fn pins_come_and_go() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let root = store.put_bytes(b"root").unwrap();
    store.pin("b", &[root]).unwrap();
    store.pin("a", &[]).unwrap();
    store.pin("b", &[root, root]).unwrap();
    assert_eq!(store.pins().unwrap(), ["a", "b"]);
    assert_eq!(store.pinned("b").unwrap(), Some(vec![root, root]));
    assert!(store.unpin("b").unwrap());
    assert!(!store.unpin("b").unwrap());
    assert_eq!(store.pinned("b").unwrap(), None);
}
