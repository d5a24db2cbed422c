//! The forms of single values: ids, titles, tags, references, domain names, digests, strings.
//!
//! The parser and the reader of packs share them. Deliberately absent: what a value means.

use std::fmt;

use crate::limits;

pub(crate) fn parse_sha256(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != digest.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
        *byte = hex_digit(*high)? << 4 | hex_digit(*low)?;
    }
    Some(digest)
}

/// The value of one lower-case hexadecimal digit.
pub(crate) fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Upper-case words of letters and digits, joined by single hyphens, a letter first.
pub(crate) fn is_rule_id(text: &str) -> bool {
    text.len() <= limits::ID_BYTES_MAX
        && text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.split('-').all(|word| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        })
}

pub(crate) fn is_title(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= limits::TITLE_BYTES_MAX
        && text.trim() == text
        && !text.chars().any(char::is_control)
}

/// Lower-case words of letters and digits, joined by single hyphens.
pub(crate) fn is_tag(text: &str) -> bool {
    text.len() <= limits::TAG_BYTES_MAX
        && text.split('-').all(|word| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
}

pub(crate) fn is_reference(text: &str) -> bool {
    text.len() <= limits::REFERENCE_BYTES_MAX
        && text.strip_prefix("https://").is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic())
        })
}

/// Two labels or more in lower case (RFC 1035 section 2.3.1, digits first allowed as in RFC 1123
/// section 2.1); the last is not a number, so that an IPv4 address is none. Other scripts stand in
/// their `xn--` form.
pub(crate) fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    text.len() <= limits::DOMAIN_BYTES_MAX
        && text.split('.').all(is_label)
        && text
            .rsplit_once('.')
            .is_some_and(|(_, last)| last.bytes().any(|byte| !byte.is_ascii_digit()))
}

/// Letters, digits and `. + ~ -`, as Debian's versions without epoch.
pub(crate) fn is_version(text: &str) -> bool {
    (1..=limits::VERSION_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".+~-".contains(&byte))
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

/// Bytes as a string of the text form.
pub(crate) struct Quoted<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("\"")?;
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    '"' => out.write_str("\\\"")?,
                    '\\' => out.write_str("\\\\")?,
                    '\n' => out.write_str("\\n")?,
                    '\r' => out.write_str("\\r")?,
                    '\t' => out.write_str("\\t")?,
                    other if other.is_control() => {
                        let mut bytes = [0; 4];
                        for byte in other.encode_utf8(&mut bytes).bytes() {
                            write!(out, "\\x{byte:02x}")?;
                        }
                    }
                    other => write!(out, "{other}")?,
                }
            }
            for byte in chunk.invalid() {
                write!(out, "\\x{byte:02x}")?;
            }
        }
        out.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_form() {
        let check = |test: fn(&str) -> bool, good: &[&str], bad: &[&str]| {
            for text in good {
                assert!(test(text), "refused: {text}");
            }
            for text in bad {
                assert!(!test(text), "accepted: {text}");
            }
        };
        let long_label = format!("{}.example", "a".repeat(64));
        check(
            is_rule_id,
            &["CS-2026-0001", "A"],
            &["", "cs-1", "CS--1", "CS-", "-CS", "1-CS", "Ä"],
        );
        check(is_tag, &["test-file", "pe32"], &["", "Test", "a--b", "a b"]);
        check(
            is_reference,
            &["https://a.example/b?c#d"],
            &["http://a", "https://", "https://a b"],
        );
        check(
            is_domain,
            &["a.example", "xn--bcher-kva.example", "3.a.example"],
            &[
                "example",
                "a..example",
                "-a.example",
                "A.example",
                "192.0.2.1",
                ".a",
                &long_label,
            ],
        );
        check(
            is_version,
            &["2026.11.1", "1~rc1+b2-3"],
            &["", "1 2", "1/2", "1:2"],
        );
    }

    #[test]
    fn hexadecimal_is_lower_case_and_whole() {
        assert_eq!(parse_sha256(&"0f".repeat(32)), Some([15; 32]));
        assert_eq!(parse_sha256(&"0F".repeat(32)), None);
        assert_eq!(parse_sha256(&"0f".repeat(31)), None);
        assert_eq!(parse_sha256(&format!("{}0", "0f".repeat(31))), None);
    }
}
