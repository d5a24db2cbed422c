//! Base64 as RFC 4648 section 4 has it: standard alphabet, padded, no unused bits set, no white
//! space. Exactly one text stands for each byte string.
//!
//! Deliberately absent: the URL alphabet and unpadded text. Protobuf's JSON mapping lets a reader
//! accept them; here they are refused, because a second spelling of signed bytes is a way around
//! comparisons.

use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Why a text is not base64 in its one accepted spelling.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Base64Error {
    /// A character outside the standard alphabet, or padding in the wrong place.
    #[error("not standard base64: unexpected byte 0x{byte:02x} at offset {offset}")]
    Byte {
        /// Position in the text, in bytes.
        offset: usize,
        /// The byte found there.
        byte: u8,
    },
    /// The last character carries bits that belong to no byte.
    #[error("not canonical base64: unused bits are set at offset {offset}")]
    TrailingBits {
        /// Position in the text, in bytes.
        offset: usize,
    },
    /// The padding is missing, or the text ends in the middle of a group of four.
    #[error("not standard base64: the padding is missing or wrong")]
    Padding,
}

/// Encodes bytes.
pub fn encode_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Decodes a text.
///
/// # Errors
/// Refuses every spelling other than the one [`encode_base64`] writes.
pub(crate) fn decode_base64(text: &str) -> Result<Vec<u8>, Base64Error> {
    STANDARD.decode(text).map_err(|error| match error {
        base64::DecodeError::InvalidByte(offset, byte) => Base64Error::Byte { offset, byte },
        base64::DecodeError::InvalidLastSymbol(offset, _) => Base64Error::TrailingBits { offset },
        base64::DecodeError::InvalidLength(_) | base64::DecodeError::InvalidPadding => {
            Base64Error::Padding
        }
    })
}

/// `#[serde(with = "base64_text::optional")]` for optional byte fields (reading needs `default`,
/// writing `skip_serializing_if`).
pub(crate) mod optional {
    use super::{String, Vec, decode_base64, encode_base64};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    #[allow(
        clippy::ref_option,
        reason = "serde's `with` hands over a reference to the field"
    )]
    pub(crate) fn serialize<S: Serializer>(
        bytes: &Option<Vec<u8>>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => out.serialize_some(&encode_base64(bytes)),
            None => out.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        input: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        let text = String::deserialize(input)?;
        decode_base64(&text).map(Some).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_spelling_is_read() {
        assert_eq!(
            decode_base64("-_8="),
            Err(Base64Error::Byte {
                offset: 0,
                byte: b'-'
            })
        );
        assert_eq!(decode_base64("+/8"), Err(Base64Error::Padding));
        assert_eq!(
            decode_base64("+/9="),
            Err(Base64Error::TrailingBits { offset: 2 })
        );
        assert!(decode_base64("+/8=\n").is_err());
        assert!(decode_base64(" +/8=").is_err());
        assert!(decode_base64("+/8==").is_err());
        assert!(decode_base64("=").is_err());
        assert_eq!(decode_base64("+/8=").as_deref(), Ok(&[0xfb, 0xff][..]));
        assert_eq!(decode_base64("").as_deref(), Ok(&[][..]));
    }
}
