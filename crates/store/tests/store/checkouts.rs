//! Trees as files on disk.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use counterseal_attestation::UnixSeconds;
use counterseal_store::tree::TreeBuilder;
use counterseal_store::{Digest, StoreError, remove_tree};

use crate::{Fixture, mode, set_mode};

fn example(fixture: &Fixture) -> Digest {
    let big = vec![5; 3_000_000];
    let mut builder = TreeBuilder::new();
    for (path, content, executable) in [
        ("usr/bin/tool", &b"#!"[..], true),
        ("usr/share/big", &big, false),
        ("usr/share/same", &big, false),
        ("readme", b"", false),
    ] {
        let digest = fixture.store.put_bytes(content).unwrap();
        builder.add_file(path, digest, executable).unwrap();
    }
    builder.add_symlink("bin", "usr/bin").unwrap();
    builder.add_symlink("lib64", "/usr/lib64").unwrap();
    builder.add_dir("tmp").unwrap();
    builder.finish(&fixture.store).unwrap()
}

#[test]
fn a_checkout_has_the_modes_and_times_asked_for() {
    let fixture = Fixture::new();
    let tree = example(&fixture);
    let checkout = fixture
        .store
        .checkout(&tree, UnixSeconds(1_234_567))
        .unwrap();
    for (path, expected) in [
        ("", 0o555),
        ("usr", 0o555),
        ("usr/bin/tool", 0o555),
        ("usr/share/big", 0o444),
        ("usr/share/same", 0o444),
        ("readme", 0o444),
        ("tmp", 0o555),
        ("bin", 0o777),
        ("lib64", 0o777),
    ] {
        let path = checkout.path().join(path);
        let metadata = fs::symlink_metadata(&path).unwrap();
        assert_eq!(mode(&path), expected, "{}", path.display());
        assert_eq!(
            (metadata.mtime(), metadata.mtime_nsec()),
            (1_234_567, 0),
            "{}",
            path.display()
        );
    }
    assert_eq!(
        fs::read(checkout.path().join("usr/share/big")).unwrap(),
        vec![5; 3_000_000]
    );
    assert_eq!(
        fs::read_link(checkout.path().join("lib64")).unwrap(),
        Path::new("/usr/lib64")
    );
    assert_eq!(fixture.incoming_count(), 0);
}

#[test]
fn no_file_shares_an_inode_with_a_blob_or_another_file() {
    let fixture = Fixture::new();
    let tree = example(&fixture);
    let checkout = fixture.store.checkout(&tree, UnixSeconds(0)).unwrap();
    let tool = checkout.path().join("usr/bin/tool");
    for path in [&tool, &checkout.path().join("usr/share/same")] {
        assert_eq!(fs::metadata(path).unwrap().nlink(), 1);
    }
    let digest = Digest::of(b"#!");
    set_mode(&tool, 0o755);
    fs::write(&tool, "poison").unwrap();
    assert_eq!(fixture.store.read_blob(&digest, 2).unwrap(), b"#!");
    assert!(fixture.store.check().unwrap().is_sound());
}

#[test]
fn the_same_checkout_is_made_once() {
    let fixture = Fixture::new();
    let tree = example(&fixture);
    let first = fixture.store.checkout(&tree, UnixSeconds(0)).unwrap();
    let inode = fs::metadata(first.path()).unwrap().ino();
    let second = fixture.another().checkout(&tree, UnixSeconds(0)).unwrap();
    assert_eq!(fs::metadata(second.path()).unwrap().ino(), inode);
    assert_ne!(
        fixture
            .store
            .checkout(&tree, UnixSeconds(1))
            .unwrap()
            .path(),
        first.path()
    );
}

#[test]
fn many_at_once_get_one_whole_checkout() {
    let fixture = Fixture::new();
    let tree = example(&fixture);
    let inodes: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let store = fixture.another();
                    let checkout = store.checkout(&tree, UnixSeconds(9)).unwrap();
                    assert_eq!(
                        fs::read(checkout.path().join("usr/bin/tool")).unwrap(),
                        b"#!"
                    );
                    fs::metadata(checkout.path()).unwrap().ino()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(inodes.iter().all(|inode| *inode == inodes[0]));
    assert_eq!(fixture.incoming_count(), 0);
}

#[test]
fn damaged_and_missing_blobs_make_no_checkout() {
    let fixture = Fixture::new();
    let tree = example(&fixture);
    let big = Digest::of(&vec![5; 3_000_000]);
    let mut bytes = vec![5; 3_000_000];
    bytes[2_999_999] = 6;
    for (digest, damaged) in [(Digest::of(b"#!"), b"!#".to_vec()), (big, bytes)] {
        let good = fs::read(fixture.blob_file(&digest)).unwrap();
        fixture.damage(&digest, &damaged);
        let error = fixture.store.checkout(&tree, UnixSeconds(0)).unwrap_err();
        assert!(matches!(error, StoreError::BlobDamaged { .. }), "{error}");
        fs::remove_file(fixture.blob_file(&digest)).unwrap();
        let error = fixture.store.checkout(&tree, UnixSeconds(0)).unwrap_err();
        assert!(matches!(error, StoreError::BlobMissing { .. }), "{error}");
        fs::write(fixture.blob_file(&digest), good).unwrap();
        assert_eq!(fixture.incoming_count(), 0);
    }
    fixture.store.checkout(&tree, UnixSeconds(0)).unwrap();
}

#[test]
fn checkouts_of_an_earlier_boot_are_not_believed_and_collected() {
    let mut fixture = Fixture::new();
    let tree = example(&fixture);
    fixture.store.pin("tree", &[tree]).unwrap();
    let checkout = fixture.store.checkout(&tree, UnixSeconds(0)).unwrap();
    let now = checkout
        .path()
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .to_path_buf();
    drop(checkout);
    let earlier = now.with_file_name("00000000-0000-0000-0000-000000000000");
    fs::rename(&now, &earlier).unwrap();
    let checkout = fixture.store.checkout(&tree, UnixSeconds(0)).unwrap();
    assert!(checkout.path().starts_with(&now) && earlier.exists());
    drop(checkout);
    assert_eq!(fixture.store.gc().unwrap().removed_checkouts_count, 1);
    assert!(now.exists() && !earlier.exists());
}

#[test]
fn removing_follows_no_links() {
    let home = tempfile::tempdir().unwrap();
    let precious = home.path().join("precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("file"), "").unwrap();
    let doomed = home.path().join("doomed");
    fs::create_dir_all(doomed.join("a/b")).unwrap();
    std::os::unix::fs::symlink(&precious, doomed.join("a/link")).unwrap();
    for path in ["a/b", "a", ""] {
        set_mode(&doomed.join(path), 0o000);
    }
    remove_tree(&doomed).unwrap();
    assert!(!doomed.exists() && precious.join("file").exists());
    remove_tree(&doomed).unwrap();
}
