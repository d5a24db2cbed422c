//! Mirrors that give something else than what the lock says. Nothing of it may be stored.

use std::time::Duration;

use counterseal_inputs::{InputsError, TransferError};

use crate::server::Answer;
use crate::workplace::{Workplace, packages};

const PATH: &str = "/debian/pool/main/cc_3~rc1_amd64.deb";

/// Locks `cc`, makes its file answer otherwise, and returns why fetching it fails.
fn fetch_with(edit: impl Fn(&[u8], &mut Workplace) -> Answer) -> TransferError {
    let mut place = Workplace::new();
    let lock = place.resolve(&packages(&["cc"])).unwrap();
    let bytes = place
        .archive
        .file(PATH.strip_prefix("/debian/").unwrap())
        .to_vec();
    let answer = edit(&bytes, &mut place);
    place.server.answer(PATH, answer);
    let error = place.fetch(&packages(&["cc"]), &lock).unwrap_err();
    assert_eq!(place.blobs(), 0, "nothing may be stored: {error}");
    match error {
        InputsError::Transfer(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn wrong_bytes_of_the_right_length() {
    let error = fetch_with(|bytes, _| {
        let mut bytes = bytes.to_vec();
        bytes[0] ^= 1;
        Answer::Bytes(bytes)
    });
    assert!(matches!(error, TransferError::Mismatch { .. }), "{error}");
    assert!(error.to_string().contains("expected sha256:"), "{error}");
}

#[test]
fn one_byte_too_many() {
    let error = fetch_with(|bytes, _| Answer::Bytes([bytes, b"x"].concat()));
    assert!(matches!(error, TransferError::TooLong { .. }), "{error}");
}

#[test]
fn one_byte_too_few() {
    let error = fetch_with(|bytes, _| Answer::Bytes(bytes[1..].to_vec()));
    assert!(matches!(error, TransferError::TooShort { .. }), "{error}");
}

#[test]
fn a_body_without_end() {
    let error = fetch_with(|_, _| Answer::Endless);
    assert!(matches!(error, TransferError::TooLong { .. }), "{error}");
}

#[test]
fn a_body_cut_short() {
    let error = fetch_with(|bytes, _| Answer::Cut {
        bytes: bytes.to_vec(),
        sent: 100,
    });
    assert!(
        matches!(error, TransferError::Interrupted { .. }),
        "{error}"
    );
}

#[test]
fn a_server_that_falls_silent() {
    let error = fetch_with(|bytes, place| {
        place.sources.limits.idle_timeout = Duration::from_millis(500);
        Answer::Stall(bytes.to_vec())
    });
    assert!(
        matches!(error, TransferError::Interrupted { .. }),
        "{error}"
    );
}

#[test]
fn a_redirect_in_a_circle() {
    let error = fetch_with(|_, place| Answer::Redirect(place.server.url(PATH)));
    assert!(matches!(error, TransferError::Redirects { .. }), "{error}");
}

#[test]
fn a_redirect_to_another_scheme() {
    let error = fetch_with(|_, _| Answer::Redirect("file:///etc/passwd".to_owned()));
    assert!(
        matches!(error, TransferError::Status { status: 302, .. }),
        "{error}"
    );
}

#[test]
fn a_file_that_the_mirror_dropped() {
    let error = fetch_with(|_, _| Answer::Status(404));
    assert!(
        matches!(error, TransferError::NotFound { status: 404, .. }),
        "{error}"
    );
    let hint = InputsError::from(error).hint().unwrap();
    assert!(
        hint.contains("superseded") && hint.contains("archive"),
        "{hint}"
    );
}

#[test]
fn a_server_that_is_broken() {
    let error = fetch_with(|_, _| Answer::Status(500));
    assert!(
        matches!(error, TransferError::Status { status: 500, .. }),
        "{error}"
    );
}

#[test]
fn a_good_redirect_is_followed() {
    let place = Workplace::new();
    let declared = packages(&["cc"]);
    let lock = place.resolve(&declared).unwrap();
    let bytes = place
        .archive
        .file(PATH.strip_prefix("/debian/").unwrap())
        .to_vec();
    place.server.answer("/elsewhere", Answer::Bytes(bytes));
    place
        .server
        .answer(PATH, Answer::Redirect("/elsewhere".to_owned()));
    assert_eq!(place.fetch(&declared, &lock).unwrap().fetched_items, 1);
}

#[test]
fn what_arrived_before_a_failure_stays() {
    let mut place = Workplace::new();
    place.sources.limits.parallel = 1;
    let declared = packages(&["aa"]);
    let lock = place.resolve(&declared).unwrap();
    let bytes = place
        .archive
        .file(PATH.strip_prefix("/debian/").unwrap())
        .to_vec();
    place.server.answer(PATH, Answer::Status(404));
    assert!(place.fetch(&declared, &lock).is_err());
    let arrived = u64::try_from(place.blobs()).unwrap();
    place.server.answer(PATH, Answer::Bytes(bytes));
    let report = place.fetch(&declared, &lock).unwrap();
    assert_eq!(
        (report.present_items, report.fetched_items),
        (arrived, 3 - arrived)
    );
}
