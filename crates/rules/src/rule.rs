//! One rule and its parts, as both the text form and the pack mean them.
//!
//! [`Rule`]'s `Display` writes the text form of [`crate::source`], so that what comes out of a pack
//! can be read, compared and compiled again. Deliberately absent: positions in files
//! ([`crate::source::SourceRule`]) and byte offsets in packs ([`crate::layout`]).

use std::fmt;

use crate::limits;
use crate::problem::Problem;

/// How much a match of a rule matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing: test files, inventory.
    Informational,
    /// Unwanted.
    Low,
    /// Suspicious; a person should look.
    Medium,
    /// Malicious.
    High,
    /// Malicious, and spreading or destructive.
    Critical,
}

impl Severity {
    /// All severities, mildest first.
    pub const ALL: [Self; 5] = [
        Self::Informational,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::Critical,
    ];

    /// The word of the text form.
    pub fn word(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The severity that `word` names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.word() == word)
    }
}

/// How the patterns of one rule combine. File digests and domain names each match on their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// Every pattern occurs.
    All,
    /// At least one pattern occurs.
    Any,
}

impl Condition {
    /// The word of the text form.
    pub fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Any => "any",
        }
    }
}

/// How a pattern was written; the bytes it matches are in its value and mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PatternForm {
    /// Hexadecimal with `?` for a half byte that may be anything.
    Bytes,
    /// A quoted string.
    Text,
    /// A quoted string whose ASCII letters match in either case.
    TextAnyCase,
}

/// A run of bytes to find, each under a mask. Invariants are those of [`Pattern::new`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern {
    form: PatternForm,
    offset_bytes: Option<u32>,
    value: Vec<u8>,
    mask: Vec<u8>,
}

impl Pattern {
    /// A pattern that matches where `byte & mask == value` for each byte in turn, anywhere or only
    /// at `offset_bytes`.
    ///
    /// # Errors
    /// When it is empty, longer than [`limits::PATTERN_BYTES_MAX`], open at an end, anchored beyond
    /// [`limits::OFFSET_BYTES_MAX`], or when value and mask could not come from `form`.
    pub fn new(
        form: PatternForm,
        offset_bytes: Option<u32>,
        value: Vec<u8>,
        mask: Vec<u8>,
    ) -> Result<Self, Problem> {
        validate_pattern(form, offset_bytes, &value, &mask)?;
        Ok(Self {
            form,
            offset_bytes,
            value,
            mask,
        })
    }

    /// How it was written.
    pub fn form(&self) -> PatternForm {
        self.form
    }

    /// The only offset at which it matches, or `None` for anywhere.
    pub fn offset_bytes(&self) -> Option<u32> {
        self.offset_bytes
    }

    /// The bytes to find, zero wherever the mask is.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// The bits that count, as long as the value.
    pub fn mask(&self) -> &[u8] {
        &self.mask
    }

    /// How many bytes are given whole (in either case counts as whole).
    pub(crate) fn fixed_bytes(&self) -> usize {
        self.mask
            .iter()
            .filter(|mask| **mask | 0x20 == 0xff)
            .count()
    }
}

/// The mask of one byte of a string that matches in either case.
pub(crate) fn any_case_mask(byte: u8) -> u8 {
    if byte.is_ascii_alphabetic() {
        0xdf
    } else {
        0xff
    }
}

pub(crate) fn validate_pattern(
    form: PatternForm,
    offset_bytes: Option<u32>,
    value: &[u8],
    mask: &[u8],
) -> Result<(), Problem> {
    if value.len() > limits::PATTERN_BYTES_MAX {
        return Err(Problem::PatternTooLong {
            found_bytes: value.len(),
            max_bytes: limits::PATTERN_BYTES_MAX,
        });
    }
    let (Some(first), Some(last)) = (mask.first(), mask.last()) else {
        return Err(Problem::PatternEmpty);
    };
    if *first == 0 || *last == 0 {
        return Err(Problem::PatternOpenEnd);
    }
    let byte_agrees = |value: u8, mask: u8| match form {
        PatternForm::Bytes => matches!(mask, 0xff | 0xf0 | 0x0f | 0x00) && value & !mask == 0,
        PatternForm::Text => mask == 0xff,
        PatternForm::TextAnyCase => mask == any_case_mask(value) && value & !mask == 0,
    };
    let agrees = value.len() == mask.len()
        && value
            .iter()
            .zip(mask)
            .all(|(value, mask)| byte_agrees(*value, *mask))
        && offset_bytes.is_none_or(|offset| offset <= limits::OFFSET_BYTES_MAX);
    if agrees {
        Ok(())
    } else {
        Err(Problem::PatternInconsistent)
    }
}

/// One detection rule. Lists are sorted and hold nothing twice, except in rules made by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name for ever: upper-case words of letters and digits joined by hyphens.
    pub id: String,
    /// Counts the changes of this rule, from 1.
    pub revision: u32,
    /// How much a match matters.
    pub severity: Severity,
    /// One line for people.
    pub title: String,
    /// Lower-case words to group rules by.
    pub tags: Vec<String>,
    /// `https` addresses with background.
    pub references: Vec<String>,
    /// How `patterns` combine; [`Condition::All`] when there are none.
    pub condition: Condition,
    /// What to find in contents.
    pub patterns: Vec<Pattern>,
    /// SHA-256 of whole files that match.
    pub sha256: Vec<[u8; 32]>,
    /// Domain names that match, each with every name below it.
    pub domains: Vec<String>,
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "rule {}", self.id)?;
        writeln!(out, "revision {}", self.revision)?;
        writeln!(out, "severity {}", self.severity.word())?;
        writeln!(out, "title {}", Quoted(self.title.as_bytes()))?;
        for tag in &self.tags {
            writeln!(out, "tag {tag}")?;
        }
        for reference in &self.references {
            writeln!(out, "reference {reference}")?;
        }
        if !self.patterns.is_empty() {
            writeln!(out, "condition {}", self.condition.word())?;
        }
        for pattern in &self.patterns {
            writeln!(out, "{pattern}")?;
        }
        for digest in &self.sha256 {
            writeln!(out, "sha256 {}", Hex(digest))?;
        }
        for domain in &self.domains {
            writeln!(out, "domain {domain}")?;
        }
        writeln!(out, "end")
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.form == PatternForm::Bytes {
            "bytes"
        } else {
            "text"
        })?;
        if let Some(offset) = self.offset_bytes {
            write!(out, " at {offset}")?;
        }
        match self.form {
            PatternForm::Text => write!(out, " {}", Quoted(&self.value)),
            PatternForm::TextAnyCase => write!(out, " nocase {}", Quoted(&self.value)),
            PatternForm::Bytes => {
                for (value, mask) in self.value.iter().zip(&self.mask) {
                    match mask {
                        0xff => write!(out, " {value:02x}")?,
                        0xf0 => write!(out, " {:x}?", value >> 4)?,
                        0x0f => write!(out, " ?{value:x}")?,
                        _ => out.write_str(" ??")?,
                    }
                }
                Ok(())
            }
        }
    }
}

/// Something observed that can be looked up exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Indicator {
    /// The SHA-256 of a whole file.
    Sha256([u8; 32]),
    /// A domain name in lower case; names above it are looked up too.
    Domain(String),
}

impl Indicator {
    /// Reads 64 lower-case hexadecimal digits as a digest, anything else as a domain name.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if let Some(digest) = parse_sha256(text) {
            return Ok(Self::Sha256(digest));
        }
        if is_domain(text) {
            return Ok(Self::Domain(text.to_owned()));
        }
        Err(Problem::Malformed {
            expected: "SHA-256 in lower-case hexadecimal or a lower-case domain name",
            found: text.to_owned(),
        })
    }
}

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

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

/// Bytes as a string of the text form.
struct Quoted<'a>(&'a [u8]);

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

    #[test]
    fn patterns_agree_with_their_form() {
        let new = |form, value: &[u8], mask: &[u8]| {
            Pattern::new(form, None, value.to_vec(), mask.to_vec())
        };
        assert!(new(PatternForm::Bytes, &[0x40, 0, 1], &[0xf0, 0, 0xff]).is_ok());
        assert_eq!(
            new(PatternForm::Bytes, &[], &[]),
            Err(Problem::PatternEmpty)
        );
        assert_eq!(
            new(PatternForm::Bytes, &[0, 1], &[0, 255]),
            Err(Problem::PatternOpenEnd)
        );
        assert_eq!(
            new(PatternForm::Bytes, &[0x41], &[0xf0]),
            Err(Problem::PatternInconsistent)
        );
        assert_eq!(
            new(PatternForm::Bytes, &[1], &[0xff; 2]),
            Err(Problem::PatternInconsistent)
        );
        assert_eq!(
            new(PatternForm::Text, b"A", &[0xdf]),
            Err(Problem::PatternInconsistent)
        );
        assert!(new(PatternForm::TextAnyCase, b"A-", &[0xdf, 0xff]).is_ok());
        assert_eq!(
            new(PatternForm::TextAnyCase, b"a", &[0xdf]),
            Err(Problem::PatternInconsistent)
        );
    }
}
