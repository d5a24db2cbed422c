//! Lock, fetch, archive, and fetch again without a network.

use std::sync::atomic::Ordering;

use counterseal_inputs::{Lock, LockMismatch, LockedKind, fetch, write_archive};

use crate::server::Answer;
use crate::workplace::{Counter, Workplace, packages, source};

#[test]
fn a_closure_is_locked_and_fetched_by_digest() {
    let place = Workplace::new();
    let declared = [packages(&["aa"]), source(None)].concat();
    let lock = place.resolve(&declared).unwrap();
    let purls: Vec<_> = lock.inputs[0]
        .items
        .iter()
        .map(|item| item.purl.as_str())
        .collect();
    assert_eq!(
        purls,
        [
            "pkg:deb/debian/aa@1.0-1?arch=amd64&distro=bookworm",
            "pkg:deb/debian/bb@1:2.0%2Bx-1?arch=amd64&distro=bookworm",
            "pkg:deb/debian/cc@3~rc1?arch=amd64&distro=bookworm",
        ]
    );
    let source = LockedKind::DebianSource {
        suite: "bookworm".to_owned(),
        package: "hello".to_owned(),
        version: "2.10-3".to_owned(),
    };
    assert_eq!(lock.inputs[1].kind, source);

    let text = lock.to_toml();
    assert!(
        !text.contains("127.0.0.1") && !text.contains("http"),
        "{text}"
    );
    assert_eq!(Lock::parse(&text).unwrap(), lock);
    assert_eq!(place.resolve(&declared).unwrap().to_toml(), text);

    let counter = Counter::default();
    let report = fetch(&declared, &lock, &place.sources, &place.store, &counter).unwrap();
    // The .dsc came when the lock was made.
    assert_eq!((report.present_items, report.fetched_items), (1, 4));
    assert_eq!(counter.bytes.load(Ordering::Relaxed), report.fetched_bytes);
    assert_eq!(
        counter.total_bytes.load(Ordering::Relaxed),
        report.fetched_bytes
    );
    assert_eq!(counter.items.load(Ordering::Relaxed), 4);
    for item in lock.inputs.iter().flat_map(|input| &input.items) {
        let bytes = place.store.read_blob(&item.digest(), 1 << 20).unwrap();
        assert_eq!(
            bytes,
            place.archive.file(item.path.as_ref().unwrap().as_str())
        );
    }

    let requests = place.server.requests().len();
    let again = place.fetch(&declared, &lock).unwrap();
    assert_eq!((again.present_items, again.fetched_items), (5, 0));
    assert_eq!(
        place.server.requests().len(),
        requests,
        "what is there is not asked for"
    );
}

#[test]
fn an_archive_replaces_every_mirror() {
    let place = Workplace::new();
    let declared = [packages(&["aa"]), source(Some("2.10-3"))].concat();
    let lock = place.resolve(&declared).unwrap();
    place.fetch(&declared, &lock).unwrap();
    let archive = place.directory.path().join("archive");
    let report = write_archive(&lock, &place.store, &archive).unwrap();
    assert_eq!((report.items, report.written_items), (5, 5));
    let again = write_archive(&lock, &place.store, &archive).unwrap();
    assert_eq!((again.items, again.written_items), (5, 0));
    assert_eq!(
        std::fs::read_dir(archive.join("sha256")).unwrap().count(),
        5
    );

    let mut place = place.with_empty_store();
    place.sources.is_offline = true;
    let error = place.fetch(&declared, &lock).unwrap_err();
    assert!(
        error.to_string().contains("network must not be used"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("--input-archive"));
    place.sources.archives = vec![place.directory.path().join("empty"), archive];
    let requests = place.server.requests().len();
    assert_eq!(place.fetch(&declared, &lock).unwrap().fetched_items, 5);
    assert_eq!(place.server.requests().len(), requests);
}

#[test]
fn a_damaged_archive_is_passed_over_and_never_stored() {
    let place = Workplace::new();
    let declared = packages(&["cc"]);
    let lock = place.resolve(&declared).unwrap();
    place.fetch(&declared, &lock).unwrap();
    let archive = place.directory.path().join("archive");
    write_archive(&lock, &place.store, &archive).unwrap();
    let blob = archive
        .join("sha256")
        .join(lock.inputs[0].items[0].sha256.to_string());
    let mut bytes = std::fs::read(&blob).unwrap();
    bytes[10] ^= 1;
    std::fs::write(&blob, &bytes).unwrap();

    let mut place = place.with_empty_store();
    place.sources.archives = vec![archive.clone()];
    place.sources.is_offline = true;
    let error = place.fetch(&declared, &lock).unwrap_err().to_string();
    assert!(
        error.contains("does not match: expected sha256:"),
        "{error}"
    );
    assert_eq!(place.blobs(), 0);
    place.sources.is_offline = false;
    assert_eq!(place.fetch(&declared, &lock).unwrap().fetched_items, 1);
    // Writing the archive again mends it.
    assert_eq!(
        write_archive(&lock, &place.store, &archive)
            .unwrap()
            .written_items,
        1
    );
}

#[test]
fn without_a_mirror_the_error_says_so() {
    let mut place = Workplace::new();
    let declared = packages(&["cc"]);
    let lock = place.resolve(&declared).unwrap();
    let none = counterseal_inputs::DebianSettings::default();
    place.sources = counterseal_inputs::Sources::gather(&none, &none, None).unwrap();
    let error = place.fetch(&declared, &lock).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no Debian mirror is configured for the suite bookworm"
    );
    assert!(error.is_mirror_unavailable());
}

#[test]
fn a_lock_of_another_recipe_is_refused() {
    let place = Workplace::new();
    let lock = place.resolve(&packages(&["cc"])).unwrap();
    let cases = [
        (packages(&["cc", "dd"]), "packages"),
        ([packages(&["cc"]), source(None)].concat(), "not pinned"),
        (vec![], "does not declare"),
        (vec![("root".to_owned(), source(None).remove(0).1)], "kind"),
    ];
    for (declared, expected) in cases {
        let error = place.fetch(&declared, &lock).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(
            error.hint(),
            Some("run `counterseal lock` to pin the inputs again")
        );
    }
    let lock = place.resolve(&source(None)).unwrap();
    assert_eq!(lock.check_against(&source(None)), Ok(()));
    let changed = LockMismatch::Changed {
        name: "source".to_owned(),
        key: "version",
    };
    assert_eq!(lock.check_against(&source(Some("9"))), Err(changed));
}

#[test]
fn a_second_mirror_helps_where_the_first_fails() {
    let mut place = Workplace::new();
    let flags = counterseal_inputs::DebianSettings {
        mirrors: vec![place.server.url("/gone"), place.server.url("/debian")],
        keyring: Some(place.directory.path().join("keyring.gpg")),
    };
    let mut sources = counterseal_inputs::Sources::gather(&flags, &flags, None).unwrap();
    sources.limits = place.sources.limits;
    place.sources = sources;
    let declared = packages(&["aa"]);
    let lock = place.resolve(&declared).unwrap();
    assert_eq!(place.fetch(&declared, &lock).unwrap().fetched_items, 3);
    assert!(
        place
            .server
            .requests()
            .iter()
            .any(|path| path.starts_with("/gone/dists/"))
    );
}

#[test]
fn a_transfer_that_breaks_starts_again_from_zero() {
    let place = Workplace::new();
    let declared = packages(&["cc"]);
    let lock = place.resolve(&declared).unwrap();
    let path = "pool/main/cc_3~rc1_amd64.deb";
    let bytes = place.archive.file(path).to_vec();
    let answers = vec![
        Answer::Cut {
            bytes: bytes.clone(),
            sent: 5000,
        },
        Answer::Status(503),
        Answer::Bytes(bytes),
    ];
    place
        .server
        .answer(&format!("/debian/{path}"), Answer::Sequence(answers));
    let counter = Counter::default();
    let report = fetch(&declared, &lock, &place.sources, &place.store, &counter).unwrap();
    assert_eq!(report.fetched_items, 1);
    assert_eq!(counter.bytes.load(Ordering::Relaxed), report.fetched_bytes);
}
