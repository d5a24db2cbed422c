//! What can be wrong with a rule source, as data: found by the parser or by the checker.
//!
//! A [`Problem`] says what, [`crate::source::SourceError`] says where. Deliberately absent: damage
//! of a compiled pack, which is [`crate::PackError`].

use thiserror::Error;

/// One fault of a rule source.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file is longer than [`crate::limits::FILE_BYTES_MAX`].
    #[error("file is too long: at most {max_bytes} bytes, found {found_bytes}")]
    FileTooLong {
        /// Its length.
        found_bytes: usize,
        /// The bound.
        max_bytes: usize,
    },
    /// A line is longer than [`crate::limits::LINE_BYTES_MAX`].
    #[error("line is too long: at most {max_bytes} bytes, found {found_bytes}")]
    LineTooLong {
        /// Its length.
        found_bytes: usize,
        /// The bound.
        max_bytes: usize,
    },
    /// The file is not UTF-8.
    #[error("invalid UTF-8")]
    NotUtf8,
    /// A control character (a tab or a carriage return, for instance) stands in the text.
    #[error("control character U+{code:04X}: only spaces and line feeds separate words")]
    ControlCharacter {
        /// Its code point.
        code: u32,
    },
    /// The first word of a line is not one of the language.
    #[error(
        "unknown word `{found}`: expected rule, revision, severity, title, tag, reference, \
         condition, bytes, text, sha256, domain or end"
    )]
    UnknownWord {
        /// The word.
        found: String,
    },
    /// A line that belongs into a rule stands outside.
    #[error("`{word}` outside a rule: a rule begins with `rule ID`")]
    OutsideRule {
        /// The line's first word.
        word: &'static str,
    },
    /// A rule begins, or the file ends, inside a rule.
    #[error("rule {id} is not closed: expected `end`")]
    Unclosed {
        /// The open rule.
        id: String,
    },
    /// A rule closes without a line that it must have.
    #[error("rule {id} has no `{word}` line")]
    Missing {
        /// The rule.
        id: String,
        /// The line's first word.
        word: &'static str,
    },
    /// A line that a rule has once stands there again.
    #[error("second `{word}` line in this rule")]
    Repeated {
        /// The line's first word.
        word: &'static str,
    },
    /// Nothing follows the first word.
    #[error("`{word}` needs a value")]
    ValueMissing {
        /// The line's first word.
        word: &'static str,
    },
    /// Something follows the value.
    #[error("unexpected text after the value: `{found}`")]
    TrailingText {
        /// The text.
        found: String,
    },
    /// A value does not have the form of its line.
    #[error("`{found}` is not a {expected}")]
    Malformed {
        /// The form that belongs here.
        expected: &'static str,
        /// The value.
        found: String,
    },
    /// A quoted string does not begin with a quotation mark.
    #[error("expected a string in double quotes")]
    StringExpected,
    /// A quoted string does not end on its line.
    #[error("string is not closed")]
    StringUnclosed,
    /// A backslash is followed by something unknown.
    #[error("unknown escape in string: expected \\\\, \\\", \\n, \\r, \\t or \\xHH")]
    UnknownEscape,
    /// A pattern holds no byte.
    #[error("pattern is empty")]
    PatternEmpty,
    /// A pattern is longer than [`crate::limits::PATTERN_BYTES_MAX`].
    #[error("pattern is too long: at most {max_bytes} bytes, found {found_bytes}")]
    PatternTooLong {
        /// Its length.
        found_bytes: usize,
        /// The bound.
        max_bytes: usize,
    },
    /// A pattern begins or ends with a byte of which nothing is given.
    #[error("pattern begins or ends with `??`: leave the wildcard out")]
    PatternOpenEnd,
    /// Value, mask and form of a pattern do not agree (only a damaged or hostile pack has this).
    #[error("pattern's value and mask do not agree with its form")]
    PatternInconsistent,
    /// A pattern could match almost anything.
    #[error("pattern is too weak to match alone: at least {min} whole bytes, found {found}")]
    PatternTooWeak {
        /// Whole bytes given.
        found: usize,
        /// The bound.
        min: usize,
    },
    /// Two rules have one id.
    #[error("rule id {id} is taken: first used at {first}")]
    DuplicateId {
        /// The id.
        id: String,
        /// `file:line:column` of the first use.
        first: String,
    },
    /// A rule matches nothing.
    #[error("rule {id} has no matcher: expected a bytes, text, sha256 or domain line")]
    NoMatcher {
        /// The rule.
        id: String,
    },
    /// A `condition` line has no patterns to combine.
    #[error("`condition` in rule {id}, which has no bytes or text line")]
    ConditionWithoutPattern {
        /// The rule.
        id: String,
    },
    /// The same tag, reference or matcher stands in the database before.
    #[error("the same {kind} stands at {first}")]
    Duplicate {
        /// `tag`, `reference`, `pattern`, `sha256` or `domain`.
        kind: &'static str,
        /// `file:line:column` of the first.
        first: String,
    },
    /// Two rules match the same contents for the same reason.
    #[error("rule {id} has the same patterns and condition as rule {other}")]
    SamePatterns {
        /// The later rule.
        id: String,
        /// The earlier rule.
        other: String,
    },
    /// More of something than the bound allows.
    #[error("too many {what}: at most {max}, found {found}")]
    TooMany {
        /// What is counted.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// The bound.
        max: usize,
    },
}
