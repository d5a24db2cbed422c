//! The name of a blob: SHA-256 and size, as the Remote Execution API v2 message `Digest` has it.
//!
//! In text a digest is `HASH/SIZE` (64 lower-case hexadecimal digits, a slash, a decimal number
//! without leading zeros), the form that the API uses inside its resource names. Absent on
//! purpose: other hash functions.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use counterseal_attestation::Sha256Digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// Names a blob by its SHA-256 and its size in bytes (REAPI v2, message `Digest`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    /// SHA-256 over the blob.
    pub hash: Sha256Digest,
    /// Size of the blob in bytes, at most [`Digest::SIZE_BYTES_MAX`] on the wire.
    pub size_bytes: u64,
}

impl Digest {
    /// The largest size that the protocol's signed 64-bit field can carry.
    pub const SIZE_BYTES_MAX: u64 = i64::MAX as u64;

    /// The digest of `data`.
    pub fn of(data: &[u8]) -> Self {
        Self {
            hash: Sha256Digest::of(data),
            size_bytes: data.len() as u64,
        }
    }

    /// The digest of everything that `reader` yields, read once in pieces of 128 KiB.
    ///
    /// # Errors
    /// Whatever the reader reports.
    pub fn of_reader(mut reader: impl Read) -> io::Result<Self> {
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; 128 * 1024];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(count) => hasher.update(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Counts and hashes at once.
pub(crate) struct Hasher {
    sha256: Sha256,
    size_bytes: u64,
}

impl Hasher {
    pub(crate) fn new() -> Self {
        Self {
            sha256: Sha256::new(),
            size_bytes: 0,
        }
    }

    pub(crate) fn update(&mut self, piece: &[u8]) {
        self.sha256.update(piece);
        self.size_bytes += piece.len() as u64;
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(crate) fn finish(self) -> Digest {
        let hash: [u8; 32] = self.sha256.finalize().into();
        Digest {
            hash: Sha256Digest::from_bytes(hash),
            size_bytes: self.size_bytes,
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.hash, self.size_bytes)
    }
}

/// The text is not of the form `HASH/SIZE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a digest: expected 64 lower-case hexadecimal digits, a slash and a size in bytes")]
pub struct ParseDigestError;

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (hash, size) = text.split_once('/').ok_or(ParseDigestError)?;
        let hash = hash.parse::<Sha256Digest>().map_err(|_| ParseDigestError)?;
        let plain = !size.is_empty()
            && size.bytes().all(|byte| byte.is_ascii_digit())
            && (size == "0" || !size.starts_with('0'));
        let size_bytes = size.parse::<u64>().map_err(|_| ParseDigestError)?;
        if !plain || size_bytes > Self::SIZE_BYTES_MAX {
            return Err(ParseDigestError);
        }
        Ok(Self { hash, size_bytes })
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips() {
        let digest = Digest::of(b"abc");
        assert_eq!(
            digest.to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad/3"
        );
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(Digest::of_reader(&b"abc"[..]).unwrap(), digest);
    }

    #[test]
    fn only_one_spelling_is_accepted() {
        let hash = Digest::of(b"").hash;
        for size in ["", "+1", "01", "-1", " 1", "9223372036854775808", "1/"] {
            assert_eq!(
                format!("{hash}/{size}").parse::<Digest>(),
                Err(ParseDigestError)
            );
        }
        let upper = hash.to_string().to_uppercase();
        assert!(format!("{upper}/0").parse::<Digest>().is_err());
        assert!(hash.to_string().parse::<Digest>().is_err());
    }
}
