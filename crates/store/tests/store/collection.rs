//! Garbage collection and checking.

use std::fs;

use counterseal_attestation::UnixSeconds;
use counterseal_store::tree::TreeBuilder;
use counterseal_store::{Digest, Problem, Store, StoreError};

use crate::{Fixture, derive, set_mode};

fn tree(store: &Store, name: &str) -> (Digest, Digest) {
    let content = store.put_bytes(name.as_bytes()).unwrap();
    let mut builder = TreeBuilder::new();
    builder
        .add_file(&format!("deep/{name}"), content, false)
        .unwrap();
    (builder.finish(store).unwrap(), content)
}

#[test]
fn what_a_pin_reaches_stays_and_everything_else_goes() {
    let mut fixture = Fixture::new();
    let store = &fixture.store;
    let key = Digest::of(b"key");
    let (kept, kept_file) = tree(store, "kept");
    let (lost, lost_file) = tree(store, "lost");
    let plain = store.put_bytes(b"pinned file").unwrap();
    store
        .pin("roots", &[kept, plain, Digest::of(b"kept")])
        .unwrap();
    derive(store, "k", &key, &kept);
    derive(store, "l", &key, &lost);
    store.put_action_result(&key, b"result", &[kept]).unwrap();
    drop(store.checkout(&kept, UnixSeconds(0)).unwrap());
    drop(store.checkout(&lost, UnixSeconds(0)).unwrap());

    let report = fixture.store.gc().unwrap();
    assert_eq!(report.kept_blobs_count, 4, "two directories, two files");
    assert_eq!(
        report.removed_blobs_count, 4,
        "two directories, a file, the action's result"
    );
    assert_eq!(
        report.removed_records_count, 2,
        "its result was not pinned; a derived tree"
    );
    assert_eq!(report.removed_checkouts_count, 1);
    assert!(report.removed_bytes > 0 && report.kept_bytes > report.removed_bytes / 4);
    let store = &fixture.store;
    assert!(store.contains_tree(&kept).unwrap());
    assert!(store.contains(&kept_file).unwrap() && store.contains(&plain).unwrap());
    assert!(!store.contains(&lost).unwrap() && !store.contains(&lost_file).unwrap());
    assert_eq!(store.derived("k", &key.hash).unwrap(), Some(kept));
    assert_eq!(store.derived("l", &key.hash).unwrap(), None);
    assert!(store.check().unwrap().is_sound());
    assert_eq!(fixture.store.gc().unwrap().removed_blobs_count, 0);
    store_is_usable(&fixture.store);
}

#[test]
fn a_result_stays_whose_parts_are_pinned() {
    let mut fixture = Fixture::new();
    let store = &fixture.store;
    let (key, output) = (Digest::of(b"key"), store.put_bytes(b"output").unwrap());
    assert_eq!(store.action_result_parts(&key).unwrap(), []);
    store.put_action_result(&key, b"result", &[output]).unwrap();
    let parts = store.action_result_parts(&key).unwrap();
    assert_eq!(parts, [Digest::of(b"result"), output]);
    store.pin("p", &parts).unwrap();
    fixture.store.gc().unwrap();
    let found = fixture.store.action_result(&key).unwrap();
    assert_eq!(found.as_deref(), Some(&b"result"[..]));
    fs::remove_file(fixture.blob_file(&output)).unwrap();
    assert_eq!(fixture.store.action_result_parts(&key).unwrap(), []);
}

#[test]
fn nothing_goes_while_it_is_unknown_what_a_pin_reaches() {
    let mut fixture = Fixture::new();
    let (root, content) = tree(&fixture.store, "x");
    fixture.store.pin("p", &[root]).unwrap();
    // The system's refusal to open it, which is neither absence nor damage; the superuser has no
    // permissions to lack.
    let shard = fixture.blob_file(&root);
    let shard = shard.parent().unwrap();
    let away = fixture.home.path().join("shard");
    fs::rename(shard, &away).unwrap();
    fs::write(shard, "").unwrap();
    let error = fixture.store.gc().unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    fs::remove_file(shard).unwrap();
    fs::rename(&away, shard).unwrap();
    fixture.store.gc().unwrap();
    assert!(fixture.store.contains_tree(&root).unwrap());
    assert!(fixture.store.contains(&content).unwrap());
    assert!(fixture.store.check().unwrap().is_sound());
}

fn store_is_usable(store: &Store) {
    let (again, _) = tree(store, "lost");
    store.checkout(&again, UnixSeconds(0)).unwrap();
}

#[test]
fn an_action_result_stays_if_all_of_it_is_pinned() {
    let mut fixture = Fixture::new();
    let action = Digest::of(b"action");
    let output = fixture.store.put_bytes(b"output").unwrap();
    fixture
        .store
        .put_action_result(&action, b"result", &[output])
        .unwrap();
    fixture
        .store
        .pin("p", &[output, Digest::of(b"result")])
        .unwrap();
    assert_eq!(fixture.store.gc().unwrap().removed_records_count, 0);
    assert_eq!(
        fixture.store.action_result(&action).unwrap().unwrap(),
        b"result"
    );
    fs::remove_file(fixture.store.path().join("pins/p")).unwrap();
    assert_eq!(fixture.store.gc().unwrap().removed_blobs_count, 2);
    assert_eq!(fixture.store.action_result(&action).unwrap(), None);
}

#[test]
fn nothing_is_collected_under_somebody_elses_feet() {
    let mut fixture = Fixture::new();
    let (root, _) = tree(&fixture.store, "x");
    let other = fixture.another();
    assert!(matches!(fixture.store.gc(), Err(StoreError::InUse { .. })));
    let checkout = other.checkout(&root, UnixSeconds(0)).unwrap();
    drop(other);
    assert!(
        matches!(fixture.store.gc(), Err(StoreError::InUse { .. })),
        "its checkout lives"
    );
    drop(checkout);
    let own = fixture.store.checkout(&root, UnixSeconds(0)).unwrap();
    assert!(matches!(fixture.store.gc(), Err(StoreError::InUse { .. })));
    drop(own);
    assert_eq!(fixture.store.gc().unwrap().removed_blobs_count, 3);
    // And the failed attempts have kept the shared lock: others still cannot collect.
    assert!(matches!(
        fixture.another().gc(),
        Err(StoreError::InUse { .. })
    ));
}

#[test]
fn a_pin_that_cannot_be_read_stops_the_collection() {
    let mut fixture = Fixture::new();
    let (root, _) = tree(&fixture.store, "x");
    fixture.store.pin("p", &[root]).unwrap();
    let path = fixture.store.path().join("pins/p");
    set_mode(&path, 0o644);
    fs::write(&path, "garbage").unwrap();
    assert!(matches!(
        fixture.store.gc(),
        Err(StoreError::RecordDamaged { .. })
    ));
    assert!(fixture.store.contains_tree(&root).unwrap());
}

#[test]
fn unfinished_and_foreign_things_are_collected() {
    let mut fixture = Fixture::new();
    let kept = fixture.store.put_bytes(b"kept").unwrap();
    fixture.store.pin("p", &[kept]).unwrap();
    let root = fixture.store.path();
    fs::write(root.join("incoming/blob-x"), "half").unwrap();
    // Also a proper name in a wrong place, and files where directories belong.
    let misplaced = format!("blobs/{}", kept.hash);
    for stray in [
        "blobs/00/not-a-hash",
        &misplaced,
        "derived/x",
        "checkouts/x",
    ] {
        fs::write(root.join(stray), "?").unwrap();
    }
    let report = fixture.store.gc().unwrap();
    assert_eq!(
        (report.removed_unfinished_count, report.removed_blobs_count),
        (1, 2)
    );
    assert_eq!(
        (report.removed_records_count, report.kept_blobs_count),
        (1, 1)
    );
    assert!(!fixture.store.path().join("checkouts/x").exists());
    assert!(fixture.store.check().unwrap().is_sound());
}

#[test]
fn a_check_finds_each_kind_of_damage() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let (root, content) = tree(store, "x");
    store.pin("p", &[root]).unwrap();
    derive(store, "d", &root, &root);
    let report = store.check().unwrap();
    assert!(report.is_sound());
    assert_eq!((report.blobs_count, report.records_count), (3, 2));
    assert!(report.blobs_bytes > 100);

    let first = |store: &Store| store.check().unwrap().problems.into_iter().next();
    fixture.damage(&content, b"y");
    assert!(
        matches!(first(store), Some(Problem::BlobDamaged { found, .. }) if found == Digest::of(b"y"))
    );
    fs::remove_file(fixture.blob_file(&content)).unwrap();
    let problems = store.check().unwrap().problems;
    assert_eq!(problems.len(), 2, "both records lead there");
    assert!(
        problems
            .iter()
            .all(|p| matches!(p, Problem::Dangling { missing, .. } if *missing == content))
    );
    store.put_bytes(b"x").unwrap();
    assert_eq!(first(store), None);

    set_mode(&fixture.blob_file(&content), 0o644);
    assert!(matches!(
        first(store),
        Some(Problem::BlobWritable { mode: 0o644, .. })
    ));
    set_mode(&fixture.blob_file(&content), 0o444);
    for foreign in ["blobs/00/readme", "blobs/ff", "blobs/readme"] {
        let name = content.hash.to_string();
        let path = store.path().join(foreign);
        // Also a proper name in the wrong place.
        let path = if path.is_dir() { path.join(name) } else { path };
        fs::write(&path, "x").unwrap();
        assert!(
            matches!(first(store), Some(Problem::Foreign { .. })),
            "{foreign}"
        );
        fs::remove_file(path).unwrap();
    }
    let path = store.path().join("pins/p");
    set_mode(&path, 0o644);
    fs::write(&path, "").unwrap();
    fs::write(store.path().join("derived/x"), "").unwrap();
    let problems = store.check().unwrap().problems;
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        ["derived/x: damaged record", "pins/p: damaged record"]
    );
}

#[test]
fn a_check_finds_whatever_a_derived_tree_has_lost() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let (root, content) = tree(store, "x");
    derive(store, "d", &Digest::of(b"package"), &root);
    let below = store.directory(&root).unwrap().directories[0].digest;
    for digest in [root, below, content] {
        let path = fixture.blob_file(&digest);
        let good = fs::read(&path).unwrap();
        let mut flipped = good.clone();
        flipped[0] ^= 1;
        fixture.damage(&digest, &flipped);
        let problems = store.check().unwrap().problems;
        assert!(
            matches!(&problems[..], [Problem::BlobDamaged { found, .. }]
                if *found == Digest::of(&flipped)),
            "{problems:?}"
        );
        fs::remove_file(&path).unwrap();
        let problems = store.check().unwrap().problems;
        assert!(
            matches!(&problems[..], [Problem::Dangling { missing, path }]
                if *missing == digest && path.starts_with("derived/d")),
            "{problems:?}"
        );
        store.put_bytes(&good).unwrap();
    }
    assert!(store.check().unwrap().is_sound());
}
