//! How the values of an action are written in JSON where Rust's own form would not do: numbers
//! beyond 2^53, which readers of JSON round, as hexadecimal digits; durations as whole seconds; an
//! order of directories as one word.
//!
//! Absent on purpose: which document they stand in; that is the crate `launcher`'s.

use serde::de::{Deserialize, Deserializer};
use serde::ser::Serializer;

use crate::host::DirectoryOrder;

const SHUFFLED: &str = "shuffled:";

/// 32 bytes as 64 lower-case hexadecimal digits.
pub(crate) mod seed {
    use counterseal_attestation::Sha256Digest;

    use super::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(seed: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&Sha256Digest::from_bytes(*seed))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        // The same digits under the same rules; it need not be anything's digest.
        Sha256Digest::deserialize(from).map(|digits| *digits.as_bytes())
    }
}

/// A number of 64 bits as 16 lower-case hexadecimal digits.
pub(crate) mod number {
    use super::{Deserialize, Deserializer, Serializer, parse};
    use serde::de::Error as _;

    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde's `with` passes references"
    )]
    pub(crate) fn serialize<S: Serializer>(number: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{number:016x}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        let digits = String::deserialize(from)?;
        parse(&digits).ok_or_else(|| D::Error::custom("expected 16 lower-case hexadecimal digits"))
    }
}

/// A duration as a number of seconds.
pub(crate) mod whole_seconds {
    use std::time::Duration;

    use super::{Deserialize, Deserializer, Serializer};
    use serde::ser::Error as _;

    pub(crate) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        if time.subsec_nanos() != 0 {
            return Err(S::Error::custom("a wall time is written in whole seconds"));
        }
        to.serialize_u64(time.as_secs())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_secs)
    }
}

fn parse(digits: &str) -> Option<u64> {
    let number = u64::from_str_radix(digits, 16).ok()?;
    // One spelling for each number.
    (format!("{number:016x}") == digits).then_some(number)
}

impl From<DirectoryOrder> for String {
    fn from(order: DirectoryOrder) -> Self {
        match order {
            DirectoryOrder::Sorted => "sorted".to_owned(),
            DirectoryOrder::Reversed => "reversed".to_owned(),
            DirectoryOrder::Shuffled(salt) => format!("{SHUFFLED}{salt:016x}"),
        }
    }
}

impl TryFrom<String> for DirectoryOrder {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "sorted" => return Ok(Self::Sorted),
            "reversed" => return Ok(Self::Reversed),
            _ => {}
        }
        let digits = text.strip_prefix(SHUFFLED).and_then(parse);
        digits
            .map(Self::Shuffled)
            .ok_or("expected sorted, reversed, or shuffled: and 16 lower-case hexadecimal digits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_have_one_spelling() {
        for order in [
            DirectoryOrder::Sorted,
            DirectoryOrder::Reversed,
            DirectoryOrder::Shuffled(u64::MAX),
        ] {
            assert_eq!(DirectoryOrder::try_from(String::from(order)), Ok(order));
        }
        for text in [
            "",
            "Sorted",
            "shuffled:",
            "shuffled:1",
            "shuffled:000000000000000A",
        ] {
            assert!(DirectoryOrder::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
