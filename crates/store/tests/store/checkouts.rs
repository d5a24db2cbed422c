//! Trees as files on disk.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use counterseal_attestation::UnixSeconds;
use counterseal_store::tree::TreeBuilder;
use counterseal_store::{Digest, Problem, Store, StoreError};

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
    let problems = fixture.store.check().unwrap().problems;
    assert!(matches!(&problems[..], [Problem::CheckoutDamaged { .. }]));
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
        assert!(!fixture.blob_file(&digest).exists(), "taken away");
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

/// Where a deviation is found, and what makes it, given a checkout's root.
type Deviation = (&'static str, fn(&Path));

/// Each of these makes a checkout differ from its tree in one point.
fn deviations() -> Vec<Deviation> {
    fn with_writable(path: &Path, change: impl FnOnce()) {
        // Times and modes are restored, so that only the change itself can be noticed.
        let metadata = fs::metadata(path).unwrap();
        set_mode(path, 0o755);
        change();
        let file = fs::File::open(path).unwrap();
        file.set_modified(metadata.modified().unwrap()).unwrap();
        fs::set_permissions(path, metadata.permissions()).unwrap();
    }
    vec![
        ("usr/bin/tool", |root| {
            let path = root.join("usr/bin/tool");
            with_writable(&path, || fs::write(&path, "!#").unwrap());
        }),
        ("usr/share/big", |root| {
            let path = root.join("usr/share/big");
            let mut bytes = vec![5; 3_000_000];
            bytes[2_999_999] = 6;
            with_writable(&path, || fs::write(&path, bytes).unwrap());
        }),
        ("usr/share/same", |root| {
            let path = root.join("usr/share/same");
            with_writable(&path, || fs::write(&path, "shorter").unwrap());
        }),
        ("readme", |root| set_mode(&root.join("readme"), 0o644)),
        ("usr/bin/tool", |root| {
            set_mode(&root.join("usr/bin/tool"), 0o444);
        }),
        ("usr/share", |root| set_mode(&root.join("usr/share"), 0o755)),
        ("", |root| set_mode(root, 0o755)),
        ("usr/bin/tool", |root| {
            let file = fs::File::open(root.join("usr/bin/tool")).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH)
                .unwrap();
        }),
        ("tmp", |root| {
            let path = root.join("tmp");
            with_writable(&path, || fs::write(path.join("added"), "").unwrap());
        }),
        ("", |root| {
            with_writable(root, || fs::remove_file(root.join("readme")).unwrap());
        }),
        ("tmp", |root| {
            with_writable(root, || {
                fs::remove_dir(root.join("tmp")).unwrap();
                symlink("usr", root.join("tmp")).unwrap();
            });
        }),
        ("readme", |root| {
            with_writable(root, || {
                fs::rename(root.join("readme"), root.join("README")).unwrap();
            });
        }),
        ("bin", |root| {
            with_writable(root, || {
                fs::remove_file(root.join("bin")).unwrap();
                symlink("usr/lib", root.join("bin")).unwrap();
                let times = rustix::fs::Timestamps {
                    last_access: rustix::fs::Timespec {
                        tv_sec: 7,
                        tv_nsec: 0,
                    },
                    last_modification: rustix::fs::Timespec {
                        tv_sec: 7,
                        tv_nsec: 0,
                    },
                };
                let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
                rustix::fs::utimensat(rustix::fs::CWD, root.join("bin"), &times, flags).unwrap();
            });
        }),
        ("usr/bin/tool", |root| {
            // The same bytes, but elsewhere.
            let path = root.join("usr/bin/tool");
            let parent = root.join("usr/bin");
            with_writable(&parent, || {
                fs::remove_file(&path).unwrap();
                symlink("/bin/true", &path).unwrap();
            });
        }),
        ("usr/share/big", |root| {
            let path = root.join("usr/share/big");
            fs::hard_link(path, root.join("../alias")).unwrap();
        }),
    ]
}

#[test]
fn a_checkout_that_deviates_is_found_by_a_check_and_made_anew() {
    let fixture = Fixture::new();
    let tree = example(&fixture);
    for (index, (place, deviate)) in deviations().into_iter().enumerate() {
        let checkout = fixture.store.checkout(&tree, UnixSeconds(7)).unwrap();
        let report = fixture.store.check().unwrap();
        assert!(report.is_sound(), "{:?}", report.problems);
        assert_eq!(report.checkouts_count, 1);
        deviate(checkout.path());
        let inode = fs::metadata(checkout.path()).unwrap().ino();
        drop(checkout);

        let problems = fixture.store.check().unwrap().problems;
        assert!(
            matches!(&problems[..], [Problem::CheckoutDamaged { path, below, .. }]
                if below == place && path.starts_with("checkouts") && path.ends_with("tree")),
            "{index} {place}: {problems:?}"
        );
        let checkout = fixture.another().checkout(&tree, UnixSeconds(7)).unwrap();
        assert_ne!(fs::metadata(checkout.path()).unwrap().ino(), inode);
        assert!(fixture.store.check().unwrap().is_sound(), "{index} {place}");
        assert_eq!(
            fs::read(checkout.path().join("usr/bin/tool")).unwrap(),
            b"#!"
        );
        assert_eq!(fixture.incoming_count(), index + 1, "only set aside");
    }
    let Fixture { store, home } = fixture;
    drop(store);
    let store = Store::open(&home.path().join("store")).unwrap();
    let incoming = store.path().join("incoming");
    assert_eq!(fs::read_dir(incoming).unwrap().count(), 0);
}

#[test]
fn a_checkout_that_is_used_before_it_is_read_is_found_out() {
    let fixture = Fixture::new();
    let tree = example(&fixture);
    let unread = || {
        fixture
            .store
            .checkout_unread(&tree, UnixSeconds(7))
            .unwrap()
    };
    assert!(unread().is_its_tree(), "just made");
    for (index, (place, deviate)) in deviations().into_iter().enumerate() {
        let used = unread();
        assert!(used.is_its_tree());
        deviate(used.path());
        assert!(!unread().is_its_tree(), "{index} {place}");
        let anew = fixture.store.checkout(&tree, UnixSeconds(7)).unwrap();
        assert_eq!(anew.path(), used.path());
        assert!(!used.is_its_tree(), "another one in the same place");
        assert!(unread().is_its_tree());
    }
}

#[test]
fn a_checkout_is_not_made_anew_from_damaged_blobs() {
    let fixture = Fixture::new();
    let tree = example(&fixture);
    let checkout = fixture.store.checkout(&tree, UnixSeconds(7)).unwrap();
    set_mode(&checkout.path().join("readme"), 0o644);
    fixture.damage(&Digest::of(b"#!"), b"!#");
    let error = fixture.store.checkout(&tree, UnixSeconds(7)).unwrap_err();
    assert!(matches!(error, StoreError::BlobDamaged { .. }), "{error}");
    fixture.store.put_bytes(b"#!").unwrap();
    fixture.store.checkout(&tree, UnixSeconds(7)).unwrap();
}

#[test]
fn a_damaged_tree_object_is_noticed_even_if_the_checkout_is_there() {
    let fixture = Fixture::new();
    let tree = example(&fixture);
    let _checkout = fixture.store.checkout(&tree, UnixSeconds(7)).unwrap();
    let mut bytes = fixture.store.read_blob(&tree, 10_000).unwrap();
    bytes[5] ^= 1;
    fixture.damage(&tree, &bytes);
    let problems = fixture.store.check().unwrap().problems;
    assert_eq!(problems.len(), 2, "the blob and the checkout");
    assert!(fixture.blob_file(&tree).exists(), "a check changes nothing");
    let error = fixture.store.checkout(&tree, UnixSeconds(7)).unwrap_err();
    assert!(matches!(error, StoreError::BlobDamaged { .. }), "{error}");
    assert_eq!(example(&fixture), tree);
    fixture.store.checkout(&tree, UnixSeconds(7)).unwrap();
}

#[test]
fn strangers_among_the_checkouts_are_reported() {
    let fixture = Fixture::new();
    let tree = example(&fixture);
    let checkout = fixture.store.checkout(&tree, UnixSeconds(7)).unwrap();
    let home = checkout.path().parent().unwrap().parent().unwrap();
    fs::write(home.join("notes"), "").unwrap();
    let problems = fixture.store.check().unwrap().problems;
    assert!(
        matches!(&problems[..], [Problem::Foreign { path }] if path.ends_with("notes")),
        "{problems:?}"
    );
}
