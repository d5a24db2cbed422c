//! Which signatures count.

use counterseal_attestation::UnixSeconds;
use counterseal_inputs::openpgp::{Keyring, OpenPgpError, Refusal};
use pgp::crypto::hash::HashAlgorithm;
use pgp::ser::Serialize;

use crate::keys::{Flaw, NOW, SIGNED, Signer};

const TEXT: &str = "Origin: Debian\n- dashed\nlast: line\n";

fn check(keyring: &[u8], document: &[u8]) -> Result<String, OpenPgpError> {
    let keyring = Keyring::parse(keyring)?;
    keyring.verify_cleartext(document, UnixSeconds(u64::from(NOW)))
}

/// The single reason for which the only signature does not count.
fn refusal(keyring: &[u8], document: &[u8]) -> Refusal {
    match check(keyring, document) {
        Err(OpenPgpError::NoGoodSignature { reasons }) => {
            assert_eq!(reasons.len(), 1);
            reasons[0].1
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_signed_text_comes_back_without_its_escapes() {
    let signer = Signer::new(1);
    let expected = TEXT.replace('\n', "\r\n");
    let expected = expected.trim_end();
    for document in [signer.sign(TEXT), signer.sign_with_subkey(TEXT)] {
        assert_eq!(
            check(&signer.keyring(), &document).unwrap().trim_end(),
            expected
        );
        assert_eq!(
            check(&signer.armored_keyring(), &document)
                .unwrap()
                .trim_end(),
            expected
        );
    }
}

#[test]
fn no_flipped_byte_changes_what_is_read() {
    let signer = Signer::new(1);
    let keyring = Keyring::parse(&signer.keyring()).unwrap();
    let document = signer.sign(TEXT);
    let now = UnixSeconds(u64::from(NOW));
    let text = keyring.verify_cleartext(&document, now).unwrap();
    let mut refused = 0;
    for index in 0..document.len() {
        let mut changed = document.clone();
        changed[index] ^= 4;
        match keyring.verify_cleartext(&changed, now) {
            // Armor headers and white space at the end of lines are not part of the text.
            Ok(verified) => assert_eq!(verified, text, "byte {index}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > document.len() / 2);
}

#[test]
fn any_certificate_of_the_keyring_will_do() {
    let (first, second) = (Signer::new(1), Signer::new(2));
    let both = [first.keyring(), second.keyring()].concat();
    assert!(check(&both, &second.sign(TEXT)).is_ok());
    assert!(check(&both, &first.sign_with_subkey(TEXT)).is_ok());
    assert_eq!(
        refusal(&both, &Signer::new(3).sign(TEXT)),
        Refusal::UnknownKey
    );
}

#[test]
fn a_changed_text_or_signature_is_wrong() {
    let signer = Signer::new(1);
    let document = String::from_utf8(signer.sign(TEXT)).unwrap();
    let changed = document.replace("Debian", "Debiam");
    assert_eq!(
        refusal(&signer.keyring(), changed.as_bytes()),
        Refusal::Wrong
    );
    let longer = document.replace("last: line", "last: line\nmore: lines");
    assert_eq!(
        refusal(&signer.keyring(), longer.as_bytes()),
        Refusal::Wrong
    );
}

#[test]
fn a_flawed_certificate_does_not_count() {
    let signer = Signer::new(1);
    let life = SIGNED - crate::keys::CREATED;
    let cases = [
        (false, Flaw::EndsAfter(life), Refusal::KeyExpired),
        (true, Flaw::EndsAfter(life), Refusal::KeyExpired),
        (false, Flaw::Revoked, Refusal::KeyRevoked),
        (true, Flaw::Revoked, Refusal::KeyRevoked),
        (false, Flaw::CannotSign, Refusal::KeyUnusable),
        (true, Flaw::SubkeyEndsAfter(life), Refusal::KeyExpired),
        (true, Flaw::SubkeyRevoked, Refusal::KeyRevoked),
        (true, Flaw::SubkeyTaken, Refusal::KeyUnusable),
    ];
    for (index, (by_subkey, flaw, expected)) in cases.into_iter().enumerate() {
        let keyring = signer.certificate(flaw).to_bytes().unwrap();
        let document = if by_subkey {
            signer.sign_with_subkey(TEXT)
        } else {
            signer.sign(TEXT)
        };
        assert_eq!(refusal(&keyring, &document), expected, "case {index}");
    }
    // What is wrong with one key does not stand in the way of the other.
    let keyring = |flaw| signer.certificate(flaw).to_bytes().unwrap();
    assert!(check(&keyring(Flaw::CannotSign), &signer.sign_with_subkey(TEXT)).is_ok());
    assert!(check(&keyring(Flaw::SubkeyRevoked), &signer.sign(TEXT)).is_ok());
    let far = Flaw::EndsAfter(u32::MAX - crate::keys::CREATED);
    assert!(check(&keyring(far), &signer.sign(TEXT)).is_ok());
}

#[test]
fn time_and_digest_of_the_signature_count() {
    let signer = Signer::new(1);
    let (keyring, sha512) = (signer.keyring(), HashAlgorithm::Sha512);
    let expired = signer.sign_at(TEXT, SIGNED, Some(3600), sha512);
    assert_eq!(refusal(&keyring, &expired), Refusal::Expired);
    let future = signer.sign_at(TEXT, NOW + 10 * 24 * 3600, None, sha512);
    assert_eq!(refusal(&keyring, &future), Refusal::FromTheFuture);
    assert!(
        check(
            &keyring,
            &signer.sign_at(TEXT, SIGNED, Some(u32::MAX / 2), sha512)
        )
        .is_ok()
    );
}

#[test]
fn sha1_counts_nowhere() {
    let signer = Signer::rsa(1);
    assert!(check(&signer.keyring(), &signer.sign(TEXT)).is_ok());
    let weak = signer.sign_at(TEXT, SIGNED, None, HashAlgorithm::Sha1);
    assert_eq!(refusal(&signer.keyring(), &weak), Refusal::Unsuitable);
    let keyring = signer.certificate(Flaw::Sha1).to_bytes().unwrap();
    assert_eq!(refusal(&keyring, &signer.sign(TEXT)), Refusal::KeyUnusable);
    assert_eq!(
        refusal(&keyring, &signer.sign_with_subkey(TEXT)),
        Refusal::KeyUnusable
    );
}

#[test]
fn what_is_not_a_signed_text_is_refused() {
    let signer = Signer::new(1);
    let document = String::from_utf8(signer.sign(TEXT)).unwrap();
    let before = format!("Origin: Evil\n{document}");
    let after = format!("{document}\nOrigin: Evil\n");
    let unsigned = document.split("-----BEGIN PGP SIGNATURE").next().unwrap();
    for text in [TEXT, "", before.as_str(), after.as_str(), unsigned] {
        let result = check(&signer.keyring(), text.as_bytes());
        assert!(
            matches!(result, Err(OpenPgpError::NotSigned { .. })),
            "{result:?}"
        );
    }
}

#[test]
fn what_is_not_a_keyring_is_refused() {
    for bytes in [&b""[..], b"no keys", b"\x99\x01", &[0xff; 64]] {
        assert_eq!(
            Keyring::parse(bytes).unwrap_err(),
            OpenPgpError::NoCertificates
        );
    }
    let large = vec![0; counterseal_inputs::openpgp::KEYRING_BYTES_MAX + 1];
    assert!(matches!(
        Keyring::parse(&large),
        Err(OpenPgpError::KeyringTooLarge { .. })
    ));
}
