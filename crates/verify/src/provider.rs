//! The only door through which the verifier reaches cryptography, and the one key encoding
//! both providers must agree on. RFC 5480 (P-256 `SubjectPublicKeyInfo`), RFC 3279
//! (ECDSA signatures in DER), RFC 8032 (Ed25519).
//! Deliberately absent: signing, hashing (SHA-256 comes with the formats), other algorithms.

/// Checks signatures. Implementations hold no state that changes their answers.
///
/// Two exist: [`PureRust`](crate::pure_rust::PureRust) here, and a native one in the command
/// line. They must agree on every input; both run the same published vectors in their tests.
pub trait CryptoProvider: Sync {
    /// Checks an ECDSA P-256 signature over the SHA-256 of `message`.
    ///
    /// `spki_der` is a public key in the one encoding [`p256_point`] takes, `signature_der` an
    /// `ECDSA-Sig-Value` in DER; any other encoding of either is refused.
    ///
    /// # Errors
    ///
    /// [`SignatureError`] says whether the key, the encoding or the value is at fault.
    fn verify_p256_sha256(
        &self,
        spki_der: &[u8],
        message: &[u8],
        signature_der: &[u8],
    ) -> Result<(), SignatureError>;

    /// Checks an Ed25519 signature strictly: canonical encodings, no key and no nonce point of
    /// small order, no batch equation.
    ///
    /// # Errors
    ///
    /// [`SignatureError`] says whether the key or the value is at fault.
    fn verify_ed25519(
        &self,
        key: &[u8; 32],
        message: &[u8],
        signature: &[u8; 64],
    ) -> Result<(), SignatureError>;
}

/// Why a signature was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The bytes are not a public key of the algorithm in its one accepted encoding.
    #[error("the public key is not a valid key in the accepted encoding")]
    Key,
    /// The signature is not in the accepted encoding.
    #[error("the signature is not in the accepted encoding")]
    Encoding,
    /// Key and signature are well formed, but do not belong to this message.
    #[error("the signature does not belong to this message and key")]
    Mismatch,
}

/// `SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING, 66 bytes, 0 unused }`:
/// everything that precedes the point.
const P256_SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Length of an uncompressed point in SEC 1 form: 0x04, x, y.
pub const P256_POINT_BYTES: usize = 65;
const UNCOMPRESSED: u8 = 0x04;

/// The uncompressed point inside a DER `SubjectPublicKeyInfo` for P-256.
///
/// DER has one encoding for a named curve and an uncompressed point: 91 bytes of which 26
/// are fixed. Comparing them is the whole parser. That the point lies on the curve is for
/// the provider to check.
///
/// # Errors
///
/// [`SignatureError::Key`] for anything else: compressed points, explicit curve parameters,
/// other curves, trailing bytes.
pub fn p256_point(spki_der: &[u8]) -> Result<&[u8; P256_POINT_BYTES], SignatureError> {
    let point: &[u8; P256_POINT_BYTES] = spki_der
        .strip_prefix(&P256_SPKI_PREFIX)
        .and_then(|point| point.try_into().ok())
        .ok_or(SignatureError::Key)?;
    if point[0] == UNCOMPRESSED {
        Ok(point)
    } else {
        Err(SignatureError::Key)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn spki(first_byte: u8) -> Vec<u8> {
        let mut der = P256_SPKI_PREFIX.to_vec();
        der.push(first_byte);
        der.extend([7; 64]);
        der
    }

    #[test]
    fn one_encoding_is_taken() {
        assert_eq!(p256_point(&spki(4)).unwrap()[0], 4);
        let mut long = spki(4);
        long.push(0);
        let short = &spki(4)[..90];
        for bad in [long.as_slice(), short, &spki(2), &spki(6), &[]] {
            assert_eq!(p256_point(bad), Err(SignatureError::Key));
        }
        for index in 0..P256_SPKI_PREFIX.len() {
            let mut altered = spki(4);
            altered[index] ^= 1;
            assert!(p256_point(&altered).is_err(), "byte {index}");
        }
    }
}
