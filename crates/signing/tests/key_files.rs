//! Key files on disk: what is written, what is refused, and that both halves work together.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use counterseal_attestation::Sha256Digest;
use counterseal_attestation::dsse;
use counterseal_signing::{AttestationKey, KeyKind, Passphrase, RecordKey, SigningError};
use counterseal_tlog::note::{self, NoteSigner};
use p256::ecdsa::signature::Verifier as _;
use p256::pkcs8::DecodePublicKey as _;

const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
const ORIGIN: &str = "record.test";

struct Place {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("some.key");
    Place {
        _directory: directory,
        path,
    }
}

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.to_owned()).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn names_in(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn attestation_key_round_trips_and_signs() {
    let place = place();
    let public = AttestationKey::create(&place.path, None).unwrap();
    assert_eq!(mode(&place.path), 0o600);
    assert_eq!(
        names_in(place.path.parent().unwrap()),
        ["some.key", "some.key.pub"]
    );
    assert_eq!(fs::read_to_string(&public.path).unwrap(), public.text);

    let key = AttestationKey::load(&place.path, None).unwrap();
    assert_eq!(key.keyid(), Sha256Digest::of(key.spki_der()).to_string());
    assert_eq!(key.public_pem().unwrap(), public.text);

    let envelope = key.sign_envelope(PAYLOAD_TYPE, b"{\"a\":1}");
    let verifier = p256::ecdsa::VerifyingKey::from_public_key_pem(&public.text).unwrap();
    let signature = p256::ecdsa::Signature::from_der(&envelope.signature).unwrap();
    verifier
        .verify(&dsse::pae(PAYLOAD_TYPE, b"{\"a\":1}"), &signature)
        .unwrap();
    assert_eq!(
        envelope,
        key.sign_envelope(PAYLOAD_TYPE, b"{\"a\":1}"),
        "same payload, same bytes"
    );
}

#[test]
fn record_key_remembers_its_origin_and_signs_notes() {
    let place = place();
    let public = RecordKey::create(ORIGIN, &place.path, None).unwrap();
    let key = RecordKey::load(&place.path, None).unwrap();
    assert_eq!(key.name(), ORIGIN);
    assert_eq!(format!("{}\n", key.verifier_key()), public.text);
    assert_eq!(fs::read_to_string(&public.path).unwrap(), public.text);

    let text = "record.test\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
    let signed = note::sign(text, &[&key]).unwrap();
    let verifier = key.verifier_key().clone().verifier(|key, text, signature| {
        let key = ed25519_dalek::VerifyingKey::from_bytes(key).unwrap();
        key.verify_strict(text, &ed25519_dalek::Signature::from_bytes(signature))
            .is_ok()
    });
    assert_eq!(note::open(&signed, &[&verifier]).unwrap().text, text);
}

#[test]
fn encrypted_key_needs_the_right_passphrase() {
    for kind in [KeyKind::Attestation, KeyKind::Record] {
        let place = place();
        let good = passphrase("correct horse");
        match kind {
            KeyKind::Attestation => AttestationKey::create(&place.path, Some(&good)),
            KeyKind::Record => RecordKey::create(ORIGIN, &place.path, Some(&good)),
        }
        .unwrap();
        let text = fs::read_to_string(&place.path).unwrap();
        assert!(text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
        let load = |passphrase: Option<&Passphrase>| match kind {
            KeyKind::Attestation => AttestationKey::load(&place.path, passphrase).err(),
            KeyKind::Record => RecordKey::load(&place.path, passphrase).err(),
        };
        assert!(load(Some(&good)).is_none());
        assert!(matches!(
            load(None),
            Some(SigningError::PassphraseNeeded { .. })
        ));
        let wrong = passphrase("correct hors");
        assert!(matches!(
            load(Some(&wrong)),
            Some(SigningError::PassphraseWrong { .. })
        ));
    }
}

#[test]
fn nothing_is_overwritten() {
    let place = place();
    AttestationKey::create(&place.path, None).unwrap();
    let before = fs::read(&place.path).unwrap();
    let again = RecordKey::create(ORIGIN, &place.path, None);
    assert!(matches!(again, Err(SigningError::Exists { .. })));
    assert_eq!(fs::read(&place.path).unwrap(), before);

    // A public half alone is in the way too, and so is a link that leads nowhere.
    fs::remove_file(&place.path).unwrap();
    let again = AttestationKey::create(&place.path, None);
    assert!(matches!(again, Err(SigningError::Exists { .. })));
    let dangling = place.path.with_file_name("dangling");
    symlink("nowhere", &dangling).unwrap();
    let again = AttestationKey::create(&dangling, None);
    assert!(matches!(again, Err(SigningError::Exists { .. })));
}

#[test]
fn key_file_open_to_others_is_refused() {
    let place = place();
    AttestationKey::create(&place.path, None).unwrap();
    for bits in [0o640, 0o604, 0o620, 0o610, 0o644] {
        fs::set_permissions(&place.path, Permissions::from_mode(bits)).unwrap();
        let error = AttestationKey::load(&place.path, None).unwrap_err();
        assert!(matches!(error, SigningError::Permissions { mode, .. } if mode == bits));
        assert!(error.to_string().contains("open to others"));
    }
    fs::set_permissions(&place.path, Permissions::from_mode(0o400)).unwrap();
    AttestationKey::load(&place.path, None).unwrap();
}

#[test]
fn key_for_another_purpose_is_refused() {
    let attestation = place();
    AttestationKey::create(&attestation.path, None).unwrap();
    let error = RecordKey::load(&attestation.path, None).unwrap_err();
    assert!(matches!(
        error,
        SigningError::WrongKind {
            expected: KeyKind::Record,
            ..
        }
    ));

    let record = place();
    RecordKey::create(ORIGIN, &record.path, None).unwrap();
    let error = AttestationKey::load(&record.path, None).unwrap_err();
    assert!(matches!(
        error,
        SigningError::WrongKind {
            expected: KeyKind::Attestation,
            ..
        }
    ));

    // The origin line alone does not make an attestation key a record key.
    let forged = attestation.path.with_file_name("forged");
    let text = fs::read_to_string(&attestation.path).unwrap();
    fs::write(&forged, format!("record-origin: {ORIGIN}\n{text}")).unwrap();
    fs::set_permissions(&forged, Permissions::from_mode(0o600)).unwrap();
    let error = RecordKey::load(&forged, None).unwrap_err();
    assert!(matches!(error, SigningError::WrongKind { .. }));
}

#[test]
fn edited_origin_is_noticed() {
    let place = place();
    RecordKey::create(ORIGIN, &place.path, None).unwrap();
    let text = fs::read_to_string(&place.path).unwrap();
    fs::write(&place.path, text.replace(ORIGIN, "other.test")).unwrap();
    let error = RecordKey::load(&place.path, None).unwrap_err();
    assert!(
        matches!(error, SigningError::PublicMismatch { .. }),
        "{error}"
    );
}

#[test]
fn public_half_is_read_as_carefully_as_the_private_one() {
    let place = place();
    let public = RecordKey::create(ORIGIN, &place.path, None).unwrap();
    fs::write(&public.path, "\u{1b}[2J").unwrap();
    let error = RecordKey::load(&place.path, None).unwrap_err();
    assert!(error.to_string().ends_with("found '\\u{1b}[2J'"), "{error}");

    // Without a writer, opening this the ordinary way would wait for ever.
    fs::remove_file(&public.path).unwrap();
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
    rustix::fs::mknodat(rustix::fs::CWD, &public.path, kind, mode, 0).unwrap();
    let error = RecordKey::load(&place.path, None).unwrap_err();
    assert!(matches!(error, SigningError::NotAFile { .. }), "{error}");

    fs::remove_file(&public.path).unwrap();
    RecordKey::load(&place.path, None).unwrap();
}

#[test]
fn unusable_files_are_refused_with_the_reason() {
    let place = place();
    let write = |name: &str, content: &[u8]| {
        let path = place.path.with_file_name(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    };
    let cases: [(&str, &[u8], &str); 6] = [
        ("empty", b"", "no PEM block"),
        ("binary", &[0xff; 100], "not UTF-8"),
        (
            "torn",
            b"-----BEGIN PRIVATE KEY-----\nAAAA\n",
            "damaged PEM",
        ),
        (
            "public",
            b"-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n",
            "not a private key",
        ),
        (
            "shape",
            b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
            "damaged PKCS#8",
        ),
        ("endless", &vec![b'a'; 70_000], "too large"),
    ];
    for (name, content, expected) in cases {
        let error = AttestationKey::load(&write(name, content), None).unwrap_err();
        assert!(error.to_string().contains(expected), "{name}: {error}");
    }
    let missing = place.path.with_file_name("missing");
    let error = AttestationKey::load(&missing, None).unwrap_err();
    assert!(matches!(
        error,
        SigningError::Io {
            operation: "read",
            ..
        }
    ));
    let error = AttestationKey::load(place.path.parent().unwrap(), None).unwrap_err();
    assert!(matches!(error, SigningError::NotAFile { .. }), "{error}");
}

#[test]
fn origin_must_be_a_host_name() {
    for origin in [
        "",
        "Zurich.example",
        "https://a.example",
        "a b",
        "a+b",
        "a\nb",
    ] {
        let place = place();
        let error = RecordKey::create(origin, &place.path, None).unwrap_err();
        assert!(matches!(error, SigningError::Origin { .. }));
        assert!(!error.to_string().contains('\n'));
        assert!(
            names_in(place.path.parent().unwrap()).is_empty(),
            "nothing is left behind"
        );
    }
}

#[test]
fn keys_differ_and_are_not_printed() {
    let (first, second) = (place(), place());
    AttestationKey::create(&first.path, None).unwrap();
    AttestationKey::create(&second.path, None).unwrap();
    let first = AttestationKey::load(&first.path, None).unwrap();
    let second = AttestationKey::load(&second.path, None).unwrap();
    assert_ne!(first.keyid(), second.keyid());
    assert_eq!(
        format!("{first:?}"),
        format!("AttestationKey {{ keyid: \"{}\", .. }}", first.keyid())
    );
}
