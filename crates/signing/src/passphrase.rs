//! A passphrase that is wiped from memory when it is dropped and never printed.
//! Deliberately absent: a judgement of its strength, and asking for it.

use std::fmt;

use zeroize::Zeroizing;

use crate::SigningError;

/// What an encrypted key file is opened with: any text but the empty one.
#[derive(PartialEq, Eq)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes the text as it is: no trimming, no Unicode normalisation.
    ///
    /// # Errors
    ///
    /// [`SigningError::EmptyPassphrase`]: an empty passphrase protects nothing, yet the file
    /// would claim to be encrypted.
    pub fn new(text: String) -> Result<Self, SigningError> {
        let text = Zeroizing::new(text);
        if text.is_empty() {
            return Err(SigningError::EmptyPassphrase);
        }
        Ok(Self(text))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_is_refused_and_debug_shows_nothing() {
        assert!(matches!(
            Passphrase::new(String::new()),
            Err(SigningError::EmptyPassphrase)
        ));
        let shown = format!("{:?}", Passphrase::new("correct horse".into()).unwrap());
        assert!(!shown.contains("horse"));
    }
}
