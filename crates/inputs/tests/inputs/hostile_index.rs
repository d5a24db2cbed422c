//! Mirrors whose index is not authentic, not the one asked for, or not what it lists.

use counterseal_inputs::openpgp::OpenPgpError;
use counterseal_inputs::packages::IndexError;
use counterseal_inputs::release::ReleaseError;
use counterseal_inputs::{DebianSettings, InputsError, Sources};

use crate::keys::Signer;
use crate::mini_archive::MiniArchive;
use crate::server::Answer;
use crate::workplace::{Workplace, packages, source};

/// Why the only mirror did not help.
fn reason(error: InputsError) -> InputsError {
    match error {
        InputsError::Nowhere { mut failures, .. } => {
            assert_eq!(failures.len(), 1);
            *failures.remove(0).error
        }
        other => other,
    }
}

/// Publishes the usual archive with an `InRelease` made by `sign`, and returns why it is refused.
fn refused(sign: impl Fn(String, &Signer) -> Vec<u8>) -> InputsError {
    let place = Workplace::new();
    place
        .archive
        .publish_edited(&place.server, |release| sign(release, &place.signer));
    let error = reason(place.resolve(&packages(&["aa"])).unwrap_err());
    assert_eq!(place.blobs(), 0);
    error
}

#[test]
fn an_unsigned_index() {
    let error = refused(|release, _| release.into_bytes());
    assert!(
        matches!(
            error,
            InputsError::NotAuthentic {
                source: OpenPgpError::NotSigned { .. },
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn an_index_signed_by_another_key() {
    let error = refused(|release, _| Signer::new(99).sign(&release));
    assert!(
        error
            .to_string()
            .contains("the keyring does not have this key"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("keyring"));
}

#[test]
fn an_index_changed_after_signing() {
    let error = refused(|release, signer| {
        let document = String::from_utf8(signer.sign(&release)).unwrap();
        document
            .replace("Suite: oldstable", "Suite: bookworm!")
            .into_bytes()
    });
    assert!(
        error.to_string().contains("does not fit the text"),
        "{error}"
    );
}

#[test]
fn an_index_of_another_suite_origin_or_time() {
    let error = refused(|release, signer| signer.sign(&release.replace("bookworm", "trixie")));
    assert!(
        matches!(
            error,
            InputsError::Release {
                source: ReleaseError::Suite { .. },
                ..
            }
        ),
        "{error}"
    );
    let error = refused(|release, signer| signer.sign(&release.replace("Debian", "Other")));
    assert!(error.to_string().contains("not from Debian"), "{error}");
    let error = refused(|release, signer| {
        signer.sign(&format!(
            "Valid-Until: Sun, 15 Jun 2025 16:00:00 UTC\n{release}"
        ))
    });
    assert!(
        error
            .to_string()
            .contains("valid until 2025-06-15T16:00:00Z"),
        "{error}"
    );
}

#[test]
fn an_index_file_that_is_not_the_listed_one() {
    let place = Workplace::new();
    let path = place.archive.packages_path();
    let resolve = || reason(place.resolve(&packages(&["aa"])).unwrap_err());

    place.server.answer(&path, Answer::Endless);
    let error = resolve();
    assert!(
        error.to_string().contains("more than the expected"),
        "{error}"
    );

    place
        .server
        .answer(&path, Answer::Bytes(b"Package: aa\n".to_vec()));
    let error = resolve();
    assert!(
        matches!(
            error,
            InputsError::Index {
                source: IndexError::Mismatch { .. },
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_compressed_index_that_grows_beyond_what_is_listed() {
    let place = Workplace::new();
    // The uncompressed size is listed too; a smaller claim must stop the unpacking.
    place.archive.publish_edited(&place.server, |release| {
        let edit = |line: &str| {
            if line.ends_with(" main/binary-amd64/Packages") {
                let digest = line.split_whitespace().next().unwrap();
                format!(" {digest} 10 main/binary-amd64/Packages")
            } else {
                line.to_owned()
            }
        };
        let edited: Vec<String> = release.lines().map(edit).collect();
        place.signer.sign(&edited.join("\n"))
    });
    let error = reason(place.resolve(&packages(&["aa"])).unwrap_err());
    assert!(
        error.to_string().contains("it has more than 10 bytes"),
        "{error}"
    );
}

#[test]
fn dependencies_that_cannot_be_met_say_who_needs_what() {
    let mut archive = MiniArchive::default();
    archive
        .package("aa", "1", "Depends: nowhere (>= 2)")
        .package("bb", "1", "Depends: bb, cc");
    archive.package("cc", "1", "Depends: bb");
    let place = Workplace::with(archive);
    place.archive.publish(&place.server, &place.signer);
    let error = place.resolve(&packages(&["aa"])).unwrap_err().to_string();
    assert_eq!(
        error,
        "aa needs nowhere (>= 2), which nothing in the suite provides"
    );
    assert_eq!(
        place.resolve(&packages(&["bb"])).unwrap().inputs[0]
            .items
            .len(),
        2
    );
    let error = place.resolve(&packages(&["zz"])).unwrap_err().to_string();
    assert_eq!(error, "the suite has no package zz");
    let error = place.resolve(&source(None)).unwrap_err().to_string();
    assert_eq!(error, "the suite bookworm has no source package hello");
}

#[test]
fn a_dsc_that_disagrees_with_the_signed_index() {
    let mut archive = MiniArchive::default();
    archive.source("hello", "1", |dsc| {
        dsc.replace("hello_1.tar.xz", "hullo_1.tar.xz")
    });
    let place = Workplace::with(archive);
    place.archive.publish(&place.server, &place.signer);
    let error = place.resolve(&source(None)).unwrap_err().to_string();
    assert!(
        error.contains("disagree about the file hello_1.tar.xz"),
        "{error}"
    );
}

#[test]
fn an_index_with_a_repeated_field() {
    let mut archive = MiniArchive::default();
    archive.package("aa", "1", "Depends: bb\nDepends: cc");
    let place = Workplace::with(archive);
    place.archive.publish(&place.server, &place.signer);
    let error = place.resolve(&packages(&["aa"])).unwrap_err().to_string();
    assert!(error.contains("repeats the field `Depends`"), "{error}");
}

#[test]
fn no_mirror_no_keyring_nobody_there() {
    let mut place = Workplace::new();
    let (mirror, directory) = (
        place.server.url("/debian"),
        place.directory.path().to_owned(),
    );
    let mut resolve = |sources: Sources| {
        let limits = place.sources.limits;
        place.sources = sources;
        place.sources.limits = limits;
        place.resolve(&packages(&["aa"])).unwrap_err()
    };
    let none = DebianSettings::default();
    let error = resolve(Sources::gather(&none, &none, None).unwrap());
    assert_eq!(
        error.to_string(),
        "no Debian mirror is configured for the suite bookworm"
    );
    assert!(error.is_mirror_unavailable());

    let flags = DebianSettings {
        mirrors: vec![mirror],
        keyring: Some(directory.join("missing.gpg")),
    };
    let error = resolve(Sources::gather(&flags, &none, None).unwrap());
    assert!(
        error.to_string().contains("missing.gpg cannot be used"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("debian-archive-keyring"));
    assert!(!error.is_mirror_unavailable());

    // Nobody listens on port 1, and no other test is given it.
    let flags = DebianSettings {
        mirrors: vec!["http://127.0.0.1:1/debian".to_owned()],
        keyring: Some(directory.join("keyring.gpg")),
    };
    let error = resolve(Sources::gather(&flags, &none, None).unwrap());
    assert!(error.to_string().contains("no connection to"), "{error}");
    assert!(error.is_mirror_unavailable());
}
