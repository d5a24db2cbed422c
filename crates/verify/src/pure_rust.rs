//! The provider that works everywhere: RustCrypto's `p256` and `ed25519-dalek`. It serves
//! WebAssembly, platforms without a native library, and whoever gives no other.
//! Deliberately absent: any choice; both algorithms are used in their strictest form.

use p256::ecdsa::signature::Verifier;

use crate::provider::{CryptoProvider, SignatureError, p256_point};

/// Signature checks in Rust alone: about 170 µs for P-256 and 30 µs for Ed25519.
#[derive(Clone, Copy, Debug, Default)]
pub struct PureRust;

impl CryptoProvider for PureRust {
    fn verify_p256_sha256(
        &self,
        spki_der: &[u8],
        message: &[u8],
        signature_der: &[u8],
    ) -> Result<(), SignatureError> {
        let point = p256_point(spki_der)?;
        let key =
            p256::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(|_| SignatureError::Key)?;
        let signature = p256::ecdsa::Signature::from_der(signature_der)
            .map_err(|_| SignatureError::Encoding)?;
        key.verify(message, &signature)
            .map_err(|_| SignatureError::Mismatch)
    }

    fn verify_ed25519(
        &self,
        key: &[u8; 32],
        message: &[u8],
        signature: &[u8; 64],
    ) -> Result<(), SignatureError> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(key).map_err(|_| SignatureError::Key)?;
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        key.verify_strict(message, &signature)
            .map_err(|_| SignatureError::Mismatch)
    }
}
