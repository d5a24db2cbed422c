//! A throw-away Ed25519 key for tests, derived from a number.

use counterseal_tlog::note::{BoxedError, NoteSigner, NoteVerifier, VerifierKey};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

/// Signs notes under a name.
pub(crate) struct TestKey {
    key: SigningKey,
    public: VerifierKey,
}

impl TestKey {
    /// The usual key of this name.
    pub(crate) fn new(name: &str) -> Self {
        Self::seeded(name, 7)
    }

    /// Another key for each seed.
    pub(crate) fn seeded(name: &str, seed: u8) -> Self {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let public = VerifierKey::new(name, key.verifying_key().to_bytes()).unwrap();
        Self { key, public }
    }

    /// The public half.
    pub(crate) fn verifier(&self) -> impl NoteVerifier {
        self.public.clone().verifier(|key, message, signature| {
            VerifyingKey::from_bytes(key).is_ok_and(|key| {
                key.verify_strict(message, &Signature::from_bytes(signature))
                    .is_ok()
            })
        })
    }
}

impl NoteSigner for TestKey {
    fn name(&self) -> &str {
        self.public.name()
    }

    fn key_id(&self) -> u32 {
        self.public.key_id()
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, BoxedError> {
        Ok(self.key.sign(text).to_bytes().to_vec())
    }
}
