//! A full disk: a clear error, and nothing lost or half-stored.
//!
//! Needs a file system of its own, hence a user namespace: the test runs itself again inside of
//! one. Where that is not allowed it says so.

use std::path::{Path, PathBuf};
use std::process::Command;

use counterseal_attestation::UnixSeconds;
use counterseal_store::tree::TreeBuilder;
use counterseal_store::{Digest, Store, StoreError};

const DIRECTORY: &str = "COUNTERSEAL_TEST_FULL_DISK";

#[test]
fn a_full_disk_loses_nothing() {
    if let Some(dir) = std::env::var_os(DIRECTORY) {
        return fill(&PathBuf::from(dir));
    }
    let home = tempfile::tempdir().unwrap();
    let inside = "mount -t tmpfs -o size=4m none \"$0\" && exec \"$@\"";
    let unshare = |script: &[&str]| {
        let mut command = Command::new("unshare");
        command
            .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
            .args(script);
        command
    };
    let dir = home.path().to_str().unwrap();
    let possible = unshare(&[inside, dir, "true"]).output();
    if !possible.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no user namespace with a tmpfs to be had here");
        return;
    }
    let program = std::env::current_exe().unwrap();
    let output = unshare(&[inside, dir])
        .arg(program)
        .args(["--exact", "full_disk::a_full_disk_loses_nothing"])
        .env(DIRECTORY, dir)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

fn fill(dir: &Path) {
    let dir = dir.join("store");
    let store = Store::create(&dir).unwrap();
    let first = store.put_bytes(b"before").unwrap();
    let blob = |number: usize| vec![u8::try_from(number % 256).unwrap(); 300_000 + number];
    let mut stored = vec![first];
    let error = (0..100)
        .find_map(|number| match store.put_bytes(&blob(number)) {
            Ok(digest) => {
                stored.push(digest);
                None
            }
            Err(error) => Some(error),
        })
        .unwrap();
    assert!(matches!(error, StoreError::StorageFull { .. }), "{error}");
    let message = error.to_string();
    assert!(
        message.starts_with("no space left on the file system that holds /"),
        "{message}"
    );

    let full = |result: Result<(), StoreError>| {
        assert!(
            matches!(result, Err(StoreError::StorageFull { .. })),
            "{result:?}"
        );
    };
    let large = vec![1; 2_000_000];
    full(store.put_reader(&large[..], u64::MAX).map(drop));
    full(store.put_verified(&large[..], &Digest::of(&large)));
    let batch = store.batch().unwrap();
    full(batch.put_bytes(&large).map(drop));
    drop(batch);
    let mut builder = TreeBuilder::new();
    for (number, digest) in stored.iter().enumerate() {
        builder
            .add_file(&format!("f{number}"), *digest, false)
            .unwrap();
    }
    // A few kilobytes may still fit; the files certainly do not.
    if let Ok(tree) = builder.finish(&store) {
        full(store.checkout(&tree, UnixSeconds(0)).map(drop));
    }
    assert_eq!(std::fs::read_dir(dir.join("incoming")).unwrap().count(), 0);

    let report = store.check().unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
    for digest in &stored {
        store.read_blob(digest, u64::MAX).unwrap();
    }
    drop(store);
    let mut store = Store::open(&dir).unwrap();
    store.gc().unwrap();
    store.put_bytes(&large).unwrap();
}
