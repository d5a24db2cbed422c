//! Debian version numbers and their order (Debian Policy 5.6.12).
//!
//! `[epoch:]upstream[-revision]`; the parts compare one after the other, letters before other
//! characters, and `~` before everything, even the end.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A version; equal means equal in order, so `1.0` equals `0:1.0-0`.
#[derive(Debug, Clone)]
pub struct DebianVersion(String);

impl DebianVersion {
    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text without the epoch, as file names have it.
    pub fn without_epoch(&self) -> &str {
        split(&self.0).1
    }
}

/// Why a text is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a Debian version")]
pub struct VersionError {
    /// What was written, cut to 200 characters.
    pub found: String,
}

impl FromStr for DebianVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let is_epoch_valid = match text.split_once(':') {
            Some((epoch, _)) => epoch.parse::<u32>().is_ok(),
            None => true,
        };
        let (_, rest) = split(text);
        if crate::names::is_version(text) && is_epoch_valid && !rest.is_empty() {
            Ok(Self(text.to_owned()))
        } else {
            Err(VersionError {
                found: text.chars().take(200).collect(),
            })
        }
    }
}

impl fmt::Display for DebianVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Ord for DebianVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0)
    }
}

impl PartialOrd for DebianVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for DebianVersion {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for DebianVersion {}

/// Epoch and the rest.
fn split(text: &str) -> (u32, &str) {
    match text.split_once(':') {
        Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
        None => (0, text),
    }
}

/// Compares two version texts; anything is accepted, well-formed or not.
pub fn compare(left: &str, right: &str) -> Ordering {
    let (left_epoch, left) = split(left);
    let (right_epoch, right) = split(right);
    let (left_upstream, left_revision) = left.rsplit_once('-').unwrap_or((left, ""));
    let (right_upstream, right_revision) = right.rsplit_once('-').unwrap_or((right, ""));
    left_epoch
        .cmp(&right_epoch)
        .then_with(|| compare_part(left_upstream.as_bytes(), right_upstream.as_bytes()))
        .then_with(|| compare_part(left_revision.as_bytes(), right_revision.as_bytes()))
}

/// Alternates between a stretch without digits and a number, until one decides.
fn compare_part(mut left: &[u8], mut right: &[u8]) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        let left_text = take(&mut left, |b| !b.is_ascii_digit());
        let right_text = take(&mut right, |b| !b.is_ascii_digit());
        for index in 0..left_text.len().max(right_text.len()) {
            let order = weight(left_text.get(index)).cmp(&weight(right_text.get(index)));
            if order.is_ne() {
                return order;
            }
        }
        let left_number = without_zeros(take(&mut left, u8::is_ascii_digit));
        let right_number = without_zeros(take(&mut right, u8::is_ascii_digit));
        // Without leading zeros the longer number is the larger one; this never overflows.
        let order = left_number
            .len()
            .cmp(&right_number.len())
            .then_with(|| left_number.cmp(right_number));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

fn take<'a>(rest: &mut &'a [u8], belongs: impl Fn(&u8) -> bool) -> &'a [u8] {
    let end = rest
        .iter()
        .position(|byte| !belongs(byte))
        .unwrap_or(rest.len());
    let (head, tail) = rest.split_at(end);
    *rest = tail;
    head
}

fn without_zeros(digits: &[u8]) -> &[u8] {
    let start = digits
        .iter()
        .position(|byte| *byte != b'0')
        .unwrap_or(digits.len());
    &digits[start..]
}

/// `~` before the end, the end before letters, letters before the rest.
fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_follows_policy() {
        let cases = [
            ("1.0", Ordering::Equal, "1.0"),
            ("1.0", Ordering::Equal, "0:1.0"),
            ("1.0", Ordering::Equal, "1.0-0"),
            ("1.0", Ordering::Equal, "1.00"),
            ("1.0", Ordering::Less, "1.1"),
            ("1.9", Ordering::Less, "1.10"),
            ("1:0.1", Ordering::Greater, "9.9"),
            ("1.0~rc1", Ordering::Less, "1.0"),
            ("1.0~~", Ordering::Less, "1.0~"),
            ("1.0~~a", Ordering::Less, "1.0~"),
            ("1.0~", Ordering::Less, "1.0"),
            ("1.0", Ordering::Less, "1.0a"),
            ("1.0a", Ordering::Less, "1.0+"),
            ("1.0-1", Ordering::Less, "1.0-2"),
            ("1.0-1", Ordering::Less, "1.0-1+b1"),
            ("1.0-1", Ordering::Less, "1.0-1.1"),
            ("1.0-1~bpo12+1", Ordering::Less, "1.0-1"),
            ("2.10-3", Ordering::Less, "2.10-3+deb12u1"),
            ("1.2.3-4", Ordering::Less, "1.2.3-4ubuntu1"),
            ("1.0-a-1", Ordering::Greater, "1.0-1"),
            ("5.2.15-2+b7", Ordering::Greater, "5.2.15-2"),
            (
                "99999999999999999999",
                Ordering::Less,
                "100000000000000000000",
            ),
            ("00000000000000000000000001", Ordering::Equal, "1"),
            ("a", Ordering::Less, "b"),
            ("7.6p2-4", Ordering::Greater, "7.6-0"),
            ("1.0.3-3", Ordering::Greater, "1.0-1"),
            ("1.2.2-2", Ordering::Greater, "1.2-2.2"),
            ("0-pre", Ordering::Equal, "0-pre"),
            ("0-pre", Ordering::Less, "0-pree"),
            ("1.1.6r2-2", Ordering::Greater, "1.1.6r-1"),
            ("2.6b-2", Ordering::Less, "2.6b2-1"),
            ("98.1p5-1", Ordering::Less, "98.1-pre2-b6-2"),
        ];
        for (left, expected, right) in cases {
            assert_eq!(compare(left, right), expected, "{left} {right}");
            assert_eq!(compare(right, left), expected.reverse(), "{right} {left}");
        }
    }

    #[test]
    fn malformed_versions_are_refused() {
        for text in ["", ":1", "a:1", "1 2", "1/2", "5:", "99999999999:1", "none"] {
            assert!(text.parse::<DebianVersion>().is_err(), "{text}");
        }
        let version: DebianVersion = "2:1.0-1".parse().unwrap();
        assert_eq!(version.without_epoch(), "1.0-1");
    }
}
