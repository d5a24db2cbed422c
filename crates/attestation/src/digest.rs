//! SHA-256 digests (FIPS 180-4) with one textual form: 64 lower-case hexadecimal digits.
//!
//! Deliberately absent: every other algorithm. A digest of another kind can stand in a
//! [`crate::statement::DigestSet`], but nothing is identified by it.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256Digest([u8; 32]);

impl Sha256Digest {
    /// Takes 32 bytes that already are a digest.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Hashes `data`.
    pub fn of(data: &[u8]) -> Self {
        Self(Sha256::digest(data).into())
    }
}

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// The text has another length.
    #[error("digest has the wrong length: expected {expected} hexadecimal digits, found {found}")]
    Length {
        /// The length asked for, in bytes.
        expected: usize,
        /// The length found, in bytes.
        found: usize,
    },
    /// A character other than 0-9 and a-f; upper-case digits are refused too.
    #[error(
        "digest is not lower-case hexadecimal: unexpected byte 0x{byte:02x} at offset {offset}"
    )]
    Character {
        /// Position in the text, in bytes.
        offset: usize,
        /// The byte found there.
        byte: u8,
    },
}

impl FromStr for Sha256Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        check_lower_hex(text, 64)?;
        let mut bytes = [0u8; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = nibble(pair[0]) << 4 | nibble(pair[1]);
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "sha256:{self}")
    }
}

impl Serialize for Sha256Digest {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256Digest {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        String::deserialize(input)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// Checks that `text` is exactly `length` lower-case hexadecimal digits.
pub(crate) fn check_lower_hex(text: &str, length: usize) -> Result<(), DigestError> {
    if text.len() != length {
        return Err(DigestError::Length {
            expected: length,
            found: text.len(),
        });
    }
    match text
        .bytes()
        .position(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    {
        None => Ok(()),
        Some(offset) => Err(DigestError::Character {
            offset,
            byte: text.as_bytes()[offset],
        }),
    }
}

/// The value of a digit that [`check_lower_hex`] has let through.
const fn nibble(digit: u8) -> u8 {
    if digit <= b'9' {
        digit - b'0'
    } else {
        digit - b'a' + 10
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn text_round_trips() {
        assert_eq!(Sha256Digest::of(b"").to_string(), EMPTY);
        assert_eq!(EMPTY.parse(), Ok(Sha256Digest::of(b"")));
    }

    #[test]
    fn other_spellings_are_refused() {
        let upper = EMPTY.to_uppercase();
        assert_eq!(
            upper.parse::<Sha256Digest>(),
            Err(DigestError::Character {
                offset: 0,
                byte: b'E'
            })
        );
        assert_eq!(
            EMPTY[..62].parse::<Sha256Digest>(),
            Err(DigestError::Length {
                expected: 64,
                found: 62
            })
        );
        assert!("".parse::<Sha256Digest>().is_err());
        assert!(
            alloc::format!("0x{}", &EMPTY[2..])
                .parse::<Sha256Digest>()
                .is_err()
        );
        assert!(
            alloc::format!(" {}", &EMPTY[1..])
                .parse::<Sha256Digest>()
                .is_err()
        );
        // 64 bytes, but not 64 characters.
        assert!(
            alloc::format!("é{}", &EMPTY[2..])
                .parse::<Sha256Digest>()
                .is_err()
        );
    }
}
