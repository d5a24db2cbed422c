//! Single blobs and batches of them.

use std::io::{self, Read};

use counterseal_store::{Digest, Store, StoreError};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::{Fixture, mode};

#[test]
fn what_goes_in_comes_out() {
    let fixture = Fixture::new();
    for size in [0, 1, 1000, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_000_000] {
        let bytes: Vec<u8> = (0..size)
            .map(|i: usize| u8::try_from(i % 251).unwrap())
            .collect();
        let digest = fixture.store.put_reader(&bytes[..], size as u64).unwrap();
        assert_eq!(digest, Digest::of(&bytes));
        assert_eq!(fixture.store.put_bytes(&bytes).unwrap(), digest);
        assert_eq!(fixture.store.read_blob(&digest, u64::MAX).unwrap(), bytes);
        assert_eq!(
            fixture
                .store
                .open_blob(&digest)
                .unwrap()
                .metadata()
                .unwrap()
                .len(),
            size as u64
        );
        assert_eq!(mode(&fixture.blob_file(&digest)), 0o444);
    }
    assert_eq!(fixture.incoming_count(), 0);
}

#[test]
fn bytes_that_do_not_match_never_get_in() {
    let fixture = Fixture::new();
    for size in [10, 2_000_000] {
        let bytes = vec![b'a'; size];
        let mut other = bytes.clone();
        other[size / 2] = b'b';
        let expected = Digest::of(&bytes);
        let error = fixture
            .store
            .put_verified(&other[..], &expected)
            .unwrap_err();
        assert!(
            matches!(error, StoreError::DigestMismatch { .. }),
            "{error}"
        );
        let error = fixture
            .store
            .put_verified(&bytes[..size - 1], &expected)
            .unwrap_err();
        assert!(
            matches!(error, StoreError::DigestMismatch { .. }),
            "{error}"
        );
        let longer = [&bytes[..], b"!"].concat();
        let error = fixture
            .store
            .put_verified(&longer[..], &expected)
            .unwrap_err();
        assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
        for wrong in [&other[..], &bytes[..size - 1], &longer] {
            assert!(!fixture.store.contains(&Digest::of(wrong)).unwrap());
        }
        assert!(!fixture.store.contains(&expected).unwrap());
        fixture.store.put_verified(&bytes[..], &expected).unwrap();
        assert!(fixture.store.contains(&expected).unwrap());
    }
    assert_eq!(fixture.incoming_count(), 0);
}

#[test]
fn the_message_names_both_digests() {
    let fixture = Fixture::new();
    let error = fixture
        .store
        .put_verified(&b"abd"[..], &Digest::of(b"abc"))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "data does not match its digest: expected \
         sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad (3 bytes), found \
         sha256:a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9 (3 bytes)"
    );
}

/// Fails after some bytes.
struct Breaking(usize);

impl Read for Breaking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::other("the line went dead"));
        }
        let count = buffer.len().min(self.0);
        self.0 -= count;
        Ok(count)
    }
}

#[test]
fn a_reader_that_breaks_leaves_nothing() {
    let fixture = Fixture::new();
    for size in [10, 3_000_000] {
        let error = fixture
            .store
            .put_reader(Breaking(size), u64::MAX)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read the data to be stored: the line went dead"
        );
    }
    let report = fixture.store.check().unwrap();
    assert_eq!((report.blobs_count, fixture.incoming_count()), (0, 0));
}

#[test]
fn a_bound_of_zero_admits_the_empty_blob_only() {
    let fixture = Fixture::new();
    fixture.store.put_reader(&b""[..], 0).unwrap();
    assert!(matches!(
        fixture.store.put_reader(&b"x"[..], 0),
        Err(StoreError::TooLarge { size_bytes_max: 0 })
    ));
}

#[test]
fn a_batch_is_invisible_until_it_is_committed() {
    let fixture = Fixture::new();
    let old = fixture.store.put_bytes(b"old").unwrap();
    let big = vec![7; 2_000_000];
    let batch = fixture.store.batch().unwrap();
    let digests = [
        batch.put_bytes(b"one").unwrap(),
        batch.put_reader(&b"one"[..], 3).unwrap(),
        batch.put_reader(&big[..], u64::MAX).unwrap(),
        batch.put_reader(&big[..], u64::MAX).unwrap(),
    ];
    assert_eq!(batch.put_bytes(b"old").unwrap(), old);
    for digest in &digests {
        assert!(!fixture.store.contains(digest).unwrap());
    }
    batch.commit().unwrap();
    for digest in &digests {
        fixture.store.read_blob(digest, u64::MAX).unwrap();
    }
    let dropped = fixture.store.batch().unwrap();
    let lost = dropped.put_bytes(b"lost").unwrap();
    drop(dropped);
    assert!(!fixture.store.contains(&lost).unwrap());
    assert_eq!(fixture.store.check().unwrap().blobs_count, 3);
    assert_eq!(fixture.incoming_count(), 0);
}

#[test]
fn threads_and_processes_may_put_the_same_at_once() {
    let fixture = Fixture::new();
    let others: Vec<Store> = (0..4).map(|_| fixture.another()).collect();
    let batch = fixture.store.batch().unwrap();
    std::thread::scope(|scope| {
        for store in &others {
            let batch = &batch;
            scope.spawn(move || {
                let own = store.batch().unwrap();
                for number in 0..100 {
                    let bytes = format!("blob {}", number % 40);
                    match number % 3 {
                        0 => batch.put_bytes(bytes.as_bytes()).unwrap(),
                        1 => own.put_bytes(bytes.as_bytes()).unwrap(),
                        _ => store.put_bytes(bytes.as_bytes()).unwrap(),
                    };
                }
                own.commit().unwrap();
            });
        }
    });
    batch.commit().unwrap();
    let report = fixture.store.check().unwrap();
    assert!(report.is_sound());
    assert_eq!(report.blobs_count, 40);
}

#[test]
fn a_damaged_blob_is_not_handed_out() {
    let fixture = Fixture::new();
    let digest = fixture.store.put_bytes(b"content").unwrap();
    fixture.damage(&digest, b"CONTENT");
    let error = fixture.store.read_blob(&digest, 7).unwrap_err();
    assert!(matches!(error, StoreError::BlobDamaged { .. }), "{error}");
    fixture.damage(&digest, b"short");
    assert!(matches!(
        fixture.store.open_blob(&digest),
        Err(StoreError::BlobDamaged { .. })
    ));
    // It is gone, so storing it again repairs it.
    assert!(!fixture.blob_file(&digest).exists());
    assert!(!fixture.store.contains(&digest).unwrap());
    fixture.store.put_bytes(b"content").unwrap();
    assert_eq!(fixture.store.read_blob(&digest, 7).unwrap(), b"content");
}

#[test]
fn an_absent_blob_is_said_to_be_absent() {
    let fixture = Fixture::new();
    let digest = Digest::of(b"nowhere");
    assert!(matches!(
        fixture.store.open_blob(&digest),
        Err(StoreError::BlobMissing { .. })
    ));
    assert!(matches!(
        fixture.store.read_blob(&digest, 6),
        Err(StoreError::TooLarge { .. })
    ));
    // The right hash with the wrong size is another digest.
    let stored = fixture.store.put_bytes(b"here").unwrap();
    let wrong = Digest {
        size_bytes: 5,
        ..stored
    };
    assert!(!fixture.store.contains(&wrong).unwrap());
    assert!(matches!(
        fixture.store.read_blob(&wrong, 5),
        Err(StoreError::BlobMissing { .. })
    ));
    // Asking for it so does no harm to the blob.
    assert_eq!(fixture.store.read_blob(&stored, 4).unwrap(), b"here");
}

#[test]
fn only_a_store_is_opened_and_only_an_empty_place_made_one() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("dir");
    assert!(matches!(
        Store::open(&dir),
        Err(StoreError::NotAStore { .. })
    ));
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("thesis.tex"), "").unwrap();
    assert!(matches!(
        Store::open(&dir),
        Err(StoreError::NotAStore { .. })
    ));
    assert!(matches!(
        Store::create(&dir),
        Err(StoreError::NotAStore { .. })
    ));
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);

    // A creation that was interrupted is completed.
    let dir = home.path().join("interrupted");
    std::fs::create_dir_all(dir.join("blobs/00")).unwrap();
    std::fs::create_dir(dir.join("incoming")).unwrap();
    std::fs::write(dir.join("incoming/format"), "counter").unwrap();
    let digest = Store::create(&dir).unwrap().put_bytes(b"x").unwrap();
    assert!(Store::create(&dir).unwrap().contains(&digest).unwrap());

    let endless = "x".repeat(1000);
    for (format, found) in [
        (&b"counterseal store 9\n"[..], "counterseal store 9"),
        (b"counterseal store 1\nand more", "counterseal store 1"),
        (b"\xff", "\u{fffd}"),
        (b"", ""),
        (endless.as_bytes(), &endless[..80]),
    ] {
        std::fs::write(dir.join("format"), format).unwrap();
        let error = Store::open(&dir).unwrap_err();
        assert!(matches!(error, StoreError::FormatUnknown { .. }), "{error}");
        let found = format!("expected counterseal store 1, found {found}");
        assert!(error.to_string().ends_with(&found), "{error}");
    }
}

#[test]
fn many_may_create_the_same_store_at_once() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("store");
    std::thread::scope(|scope| {
        for number in 0..4 {
            let dir = &dir;
            scope.spawn(move || Store::create(dir).unwrap().put_bytes(&[number]).unwrap());
        }
    });
    assert_eq!(Store::open(&dir).unwrap().check().unwrap().blobs_count, 4);
}

#[test]
fn what_a_killed_process_left_is_swept_by_the_first_to_come_alone() {
    let fixture = Fixture::new();
    let incoming = fixture.store.path().join("incoming");
    std::fs::create_dir_all(incoming.join("batch-x/sub")).unwrap();
    std::fs::write(incoming.join("blob-y"), "half").unwrap();
    drop(fixture.another());
    assert_eq!(fixture.incoming_count(), 2, "somebody else has it open");
    let Fixture { store, home } = fixture;
    drop(store);
    let store = Store::open(&home.path().join("store")).unwrap();
    assert_eq!(
        std::fs::read_dir(store.path().join("incoming"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn any_mixture_of_ways_in_gives_the_same_store() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let blob = (proptest::collection::vec(any::<u8>(), 0..64), 0u8..4);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(16));
    let result = runner.run(&proptest::collection::vec(blob, 0..12), |blobs| {
        let batch = store.batch().unwrap();
        for (bytes, way) in &blobs {
            let digest = Digest::of(bytes);
            match way {
                0 => assert_eq!(store.put_bytes(bytes).unwrap(), digest),
                1 => assert_eq!(store.put_reader(&bytes[..], 64).unwrap(), digest),
                2 => store.put_verified(&bytes[..], &digest).unwrap(),
                _ => assert_eq!(batch.put_reader(&bytes[..], 64).unwrap(), digest),
            }
        }
        batch.commit().unwrap();
        for (bytes, _) in &blobs {
            prop_assert_eq!(&store.read_blob(&Digest::of(bytes), 64).unwrap(), bytes);
        }
        Ok(())
    });
    result.unwrap();
    assert!(store.check().unwrap().is_sound());
}

/// A way to read a blob whole.
type Reading = fn(&Store, &Digest) -> Result<Vec<u8>, StoreError>;

const READINGS: [Reading; 3] = [
    |store, digest| store.read_blob(digest, u64::MAX),
    |store, digest| {
        let mut bytes = Vec::new();
        store.copy_blob(digest, &mut bytes).map(|()| bytes)
    },
    |store, digest| {
        let mut bytes = Vec::new();
        let mut file = store.open_blob(digest)?;
        file.read_to_end(&mut bytes).unwrap();
        Ok(bytes)
    },
];

#[test]
fn every_way_out_finds_damage_and_takes_the_blob_away() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    for size in [7, 2_000_000] {
        let bytes = vec![b'a'; size];
        let mut flipped = bytes.clone();
        flipped[size - 1] ^= 1;
        let digest = store.put_bytes(&bytes).unwrap();
        for read in READINGS {
            for damage in [&flipped[..], &bytes[1..], b""] {
                assert_eq!(read(store, &digest).unwrap(), bytes);
                fixture.damage(&digest, damage);
                let error = read(store, &digest).unwrap_err();
                assert!(matches!(error, StoreError::BlobDamaged { .. }), "{error}");
                let error = read(store, &digest).unwrap_err();
                assert!(matches!(error, StoreError::BlobMissing { .. }), "{error}");
                assert!(!store.contains(&digest).unwrap());
                store.put_verified(&bytes[..], &digest).unwrap();
            }
            // What is no file is neither waited for nor read.
            for kind in 0.. {
                if !fixture.replace(&digest, kind) {
                    break;
                }
                let error = read(store, &digest).unwrap_err();
                assert!(matches!(error, StoreError::BlobDamaged { .. }), "{error}");
                let error = read(store, &digest).unwrap_err();
                assert!(matches!(error, StoreError::BlobMissing { .. }), "{error}");
                store.put_verified(&bytes[..], &digest).unwrap();
            }
        }
    }
    assert_eq!(fixture.incoming_count(), 0);
    assert!(store.check().unwrap().is_sound());
}

#[test]
fn every_way_in_replaces_what_is_damaged() {
    /// A way to store bytes.
    type Storing = fn(&Store, &[u8]);
    let ways: [Storing; 5] = [
        |store, bytes| assert!(store.put_bytes(bytes).is_ok()),
        |store, bytes| assert!(store.put_reader(bytes, u64::MAX).is_ok()),
        |store, bytes| store.put_verified(bytes, &Digest::of(bytes)).unwrap(),
        |store, bytes| {
            let batch = store.batch().unwrap();
            batch.put_bytes(bytes).unwrap();
            batch.commit().unwrap();
        },
        |store, bytes| {
            let batch = store.batch().unwrap();
            batch.put_reader(bytes, u64::MAX).unwrap();
            batch.put_reader(bytes, u64::MAX).unwrap();
            batch.commit().unwrap();
        },
    ];
    let fixture = Fixture::new();
    for size in [7, 2_000_000] {
        let bytes = vec![b'a'; size];
        let mut flipped = bytes.clone();
        flipped[size / 2] ^= 1;
        let digest = fixture.store.put_bytes(&bytes).unwrap();
        for put in ways {
            for damage in [&flipped[..], &bytes[1..]] {
                fixture.damage(&digest, damage);
                put(&fixture.store, &bytes);
                assert_eq!(fixture.store.read_blob(&digest, u64::MAX).unwrap(), bytes);
            }
            for kind in 0.. {
                if !fixture.replace(&digest, kind) {
                    break;
                }
                put(&fixture.store, &bytes);
                assert_eq!(fixture.store.read_blob(&digest, u64::MAX).unwrap(), bytes);
            }
        }
    }
    assert_eq!(fixture.incoming_count(), 0);
}

#[test]
fn a_writer_that_breaks_is_told_from_a_damaged_blob() {
    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let fixture = Fixture::new();
    let digest = fixture.store.put_bytes(b"content").unwrap();
    let error = fixture.store.copy_blob(&digest, &mut Full).unwrap_err();
    assert!(matches!(error, StoreError::Output { .. }), "{error}");
    fixture.store.read_blob(&digest, 7).unwrap();
}
