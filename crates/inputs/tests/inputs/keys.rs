//! Throw-away OpenPGP keys, with certificates good and bad.

use pgp::composed::{
    ArmorOptions, CleartextSignedMessage, KeyType, SecretKeyParamsBuilder, SignedKeyDetails,
    SignedPublicKey, SignedPublicSubKey, SignedSecretKey, SubkeyParamsBuilder,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{KeyFlags, SignatureConfig, SignatureType, Subpacket, SubpacketData, UserId};
use pgp::ser::Serialize;
use pgp::types::{Duration, KeyDetails, Password, SignedUser, SigningKey, Tag, Timestamp};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// When every key is made.
pub(crate) const CREATED: u32 = 1_700_000_000;
/// When documents are signed: 2025-06-15T15:06:40Z.
pub(crate) const SIGNED: u32 = 1_750_000_000;
/// When tests take place.
pub(crate) const NOW: u32 = 1_760_000_000;

/// What is wrong with a certificate, if anything.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    /// It ends so many seconds after its making.
    EndsAfter(u32),
    /// The owner has revoked it.
    Revoked,
    /// The primary key is not meant for signing.
    CannotSign,
    /// Its own signatures are over SHA-1.
    Sha1,
    /// The subkey ends so many seconds after its making.
    SubkeyEndsAfter(u32),
    /// The owner has revoked the subkey.
    SubkeyRevoked,
    /// The subkey never agreed to belong to the certificate.
    SubkeyTaken,
}

/// A primary key and one signing subkey.
pub(crate) struct Signer {
    secret: SignedSecretKey,
}

fn password() -> Password {
    Password::empty()
}

fn regular(data: SubpacketData) -> Subpacket {
    Subpacket::regular(data).unwrap()
}

fn config<K: KeyDetails>(
    key: &K,
    kind: SignatureType,
    hash: HashAlgorithm,
    at: u32,
    extra: Vec<SubpacketData>,
) -> SignatureConfig {
    let mut config = SignatureConfig::v4(kind, key.algorithm(), hash);
    config.hashed_subpackets = vec![
        regular(SubpacketData::SignatureCreationTime(Timestamp::from_secs(
            at,
        ))),
        regular(SubpacketData::IssuerFingerprint(key.fingerprint())),
    ];
    config
        .hashed_subpackets
        .extend(extra.into_iter().map(regular));
    config
}

fn flags_and_end(can_sign: bool, ends_after: Option<u32>) -> Vec<SubpacketData> {
    let mut flags = KeyFlags::default();
    flags.set_certify(true);
    flags.set_sign(can_sign);
    let mut data = vec![SubpacketData::KeyFlags(flags)];
    data.extend(ends_after.map(|s| SubpacketData::KeyExpirationTime(Duration::from_secs(s))));
    data
}

impl Signer {
    pub(crate) fn new(seed: u64) -> Self {
        Self::of_type(KeyType::Ed25519Legacy, seed)
    }

    /// With a primary key of the only type that can still be made to sign SHA-1. Slow to make.
    pub(crate) fn rsa(seed: u64) -> Self {
        Self::of_type(KeyType::Rsa(2048), seed)
    }

    fn of_type(primary: KeyType, seed: u64) -> Self {
        let subkey = SubkeyParamsBuilder::default()
            .key_type(KeyType::Ed25519Legacy)
            .can_sign(true)
            .created_at(Timestamp::from_secs(CREATED))
            .build()
            .unwrap();
        let secret = SecretKeyParamsBuilder::default()
            .key_type(primary)
            .can_certify(true)
            .can_sign(true)
            .created_at(Timestamp::from_secs(CREATED))
            .primary_user_id("Archive <archive@example.org>".into())
            .subkey(subkey)
            .build()
            .unwrap()
            .generate(StdRng::seed_from_u64(seed))
            .unwrap();
        Self { secret }
    }

    pub(crate) fn certificate(&self, flaw: Flaw) -> SignedPublicKey {
        let ends_after = if let Flaw::EndsAfter(s) = flaw {
            Some(s)
        } else {
            None
        };
        let subkey_ends_after = if let Flaw::SubkeyEndsAfter(s) = flaw {
            Some(s)
        } else {
            None
        };
        let key = &self.secret.primary_key;
        let public = key.public_key().clone();
        let hash = if flaw == Flaw::Sha1 {
            HashAlgorithm::Sha1
        } else {
            HashAlgorithm::Sha256
        };
        let id = UserId::from_str(pgp::types::PacketHeaderVersion::New, "Archive").unwrap();
        let data = flags_and_end(flaw != Flaw::CannotSign, ends_after);
        let binding = config(key, SignatureType::CertPositive, hash, CREATED, data)
            .sign_certification(key, &public, &password(), Tag::UserId, &id)
            .unwrap();
        let mut revocations = Vec::new();
        if flaw == Flaw::Revoked {
            let config = config(key, SignatureType::KeyRevocation, hash, CREATED + 1, vec![]);
            revocations.push(config.sign_key(key, &password(), &public).unwrap());
        }

        let secret_subkey = &self.secret.secret_subkeys[0].key;
        let subkey = secret_subkey.public_key().clone();
        let mut data = flags_and_end(true, subkey_ends_after);
        if flaw != Flaw::SubkeyTaken {
            let back = config(
                secret_subkey,
                SignatureType::KeyBinding,
                HashAlgorithm::Sha256,
                CREATED,
                vec![],
            )
            .sign_primary_key_binding(secret_subkey, &subkey, &password(), &public)
            .unwrap();
            data.push(SubpacketData::EmbeddedSignature(Box::new(back)));
        }
        let bind = |kind, data| {
            config(key, kind, hash, CREATED, data)
                .sign_subkey_binding(key, &public, &password(), &subkey)
                .unwrap()
        };
        let mut bindings = vec![bind(SignatureType::SubkeyBinding, data)];
        if flaw == Flaw::SubkeyRevoked {
            bindings.push(bind(SignatureType::SubkeyRevocation, vec![]));
        }
        let users = vec![SignedUser::new(id, vec![binding])];
        let details = SignedKeyDetails::new(revocations, vec![], users, vec![]);
        let subkeys = vec![SignedPublicSubKey::new(subkey.clone(), bindings)];
        SignedPublicKey::new(public, details, subkeys)
    }

    /// A binary keyring with this certificate.
    pub(crate) fn keyring(&self) -> Vec<u8> {
        self.certificate(Flaw::None).to_bytes().unwrap()
    }

    pub(crate) fn armored_keyring(&self) -> Vec<u8> {
        let certificate = self.certificate(Flaw::None);
        certificate
            .to_armored_bytes(ArmorOptions::default())
            .unwrap()
    }

    /// `text` in the cleartext framework, signed by the primary key at [`SIGNED`].
    pub(crate) fn sign(&self, text: &str) -> Vec<u8> {
        sign(
            text,
            &self.secret.primary_key,
            SIGNED,
            None,
            HashAlgorithm::Sha512,
        )
    }

    /// Signed by the subkey.
    pub(crate) fn sign_with_subkey(&self, text: &str) -> Vec<u8> {
        let key = &self.secret.secret_subkeys[0].key;
        sign(text, key, SIGNED, None, HashAlgorithm::Sha512)
    }

    /// Signed by the primary key at a time, for a time, with a digest.
    pub(crate) fn sign_at(
        &self,
        text: &str,
        at: u32,
        valid_for: Option<u32>,
        hash: HashAlgorithm,
    ) -> Vec<u8> {
        sign(text, &self.secret.primary_key, at, valid_for, hash)
    }
}

fn sign<K: SigningKey + KeyDetails>(
    text: &str,
    key: &K,
    at: u32,
    valid_for: Option<u32>,
    hash: HashAlgorithm,
) -> Vec<u8> {
    let end = valid_for.map(|s| SubpacketData::SignatureExpirationTime(Duration::from_secs(s)));
    let config = config(
        key,
        SignatureType::Text,
        hash,
        at,
        end.into_iter().collect(),
    );
    let message = CleartextSignedMessage::new(text, config, key, &password()).unwrap();
    message.to_armored_bytes(ArmorOptions::default()).unwrap()
}
