//! JSON (RFC 8259), read strictly and written canonically (RFC 8785).
//!
//! Reading refuses what lets two readers understand one text differently: duplicate keys at any
//! depth, data after the value, a byte order mark, invalid UTF-8; and what costs more than it may:
//! texts above a size, values nested too deep. A structure is read only from an object (serde
//! alone would also take an array), and `null` is not a spelling of "absent".
//!
//! Deliberately absent: floating-point numbers on the writing side. No format here needs them, and
//! their canonical text is where implementations of RFC 8785 disagree.

use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::shown::shown;

mod canonical;
mod strict;
mod typed;

/// What a text may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Length of the text, in bytes.
    pub bytes_max: usize,
    /// How many objects and arrays may stand inside one another: 0 admits only a scalar, 1 an
    /// object of scalars. Values above [`DEPTH_CEILING`] mean [`DEPTH_CEILING`].
    pub depth_max: usize,
}

/// No value is read or written deeper than this, whatever the [`Limits`] say.
pub const DEPTH_CEILING: usize = 120;

/// The largest integer that RFC 8785 writes exactly: 2^53 - 1.
pub const INTEGER_MAX: u64 = (1 << 53) - 1;

/// Reads one value. Costs one pass over the text and one over the value.
///
/// # Errors
/// Every variant of [`JsonError`] but the two of [`canonical`].
pub fn parse<T: DeserializeOwned>(bytes: &[u8], limits: Limits) -> Result<T, JsonError> {
    from_value(parse_value(bytes, limits)?)
}

/// Reads one value without giving it a type.
///
/// # Errors
/// As [`parse`], without those about fields.
pub fn parse_value(bytes: &[u8], limits: Limits) -> Result<Value, JsonError> {
    strict::parse_value(bytes, limits)
}

/// Gives a value a type, as strictly as [`parse`] does.
///
/// # Errors
/// [`JsonError::MissingField`], [`JsonError::UnknownField`], [`JsonError::UnexpectedValue`].
pub(crate) fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, JsonError> {
    typed::from_value(value)
}

/// Writes a value in the canonical form of RFC 8785: no white space, keys sorted by UTF-16 code
/// units, shortest escapes. Equal values give equal bytes.
///
/// # Errors
/// [`JsonError::NotCanonical`] for a number that is no integer within ±(2^53 - 1),
/// [`JsonError::NotSerialisable`] if the type itself refuses, [`JsonError::TooDeep`].
pub fn canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, JsonError> {
    canonical::to_bytes(value)
}

/// Why a text was refused or a value could not be written.
///
/// `path` leads to the place: `$` is the whole, `$.subject[0].name` a member.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The text is longer than allowed.
    #[error("json text is too large: at most {bytes_max} bytes are read, found {found_bytes}")]
    TooLarge {
        /// The limit, in bytes.
        bytes_max: usize,
        /// The length found, in bytes.
        found_bytes: usize,
    },
    /// Objects and arrays stand too deep inside one another.
    #[error("json is nested too deep: at most {depth_max} levels are read, {path} is deeper")]
    TooDeep {
        /// The limit, in levels.
        depth_max: usize,
        /// Where the first level too many begins.
        path: String,
    },
    /// One object has a key twice.
    #[error("json object {path} has the key {key} twice")]
    DuplicateKey {
        /// The object.
        path: String,
        /// The key, made printable.
        key: String,
    },
    /// The text is not UTF-8.
    #[error("json text is not valid utf-8 at byte {offset}")]
    NotUtf8 {
        /// Position of the first wrong byte.
        offset: usize,
    },
    /// The text begins with a byte order mark.
    #[error("json text begins with a byte order mark")]
    ByteOrderMark,
    /// The text breaks the grammar.
    #[error("json syntax error at line {line}, column {column}: {reason}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in bytes.
        column: usize,
        /// What the reader expected.
        reason: String,
    },
    /// Something other than white space follows the value.
    #[error("json value is followed by more data at line {line}, column {column}")]
    TrailingData {
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in bytes.
        column: usize,
    },
    /// A required field is absent.
    #[error("json object {path} lacks the field {field}")]
    MissingField {
        /// The object.
        path: String,
        /// The field.
        field: String,
    },
    /// A field that the format does not have.
    #[error("json object {path} has the unknown field {field}")]
    UnknownField {
        /// The object.
        path: String,
        /// The field, made printable.
        field: String,
    },
    /// A value of the wrong type, or outside what the format allows.
    #[error("json value {path} is not acceptable: {reason}")]
    UnexpectedValue {
        /// The value.
        path: String,
        /// What was found and what is wanted.
        reason: String,
    },
    /// A number without a canonical text here.
    #[error(
        "json value {path} has no canonical form: {number} is not an integer within ±(2^53 - 1)"
    )]
    NotCanonical {
        /// The value.
        path: String,
        /// The number as it stands.
        number: String,
    },
    /// The type refuses to be written.
    #[error("value cannot be written as json: {reason}")]
    NotSerialisable {
        /// What the type said.
        reason: String,
    },
}

/// One step of a path, collected from the inside out while an error travels up.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// Renders steps that were collected from the inside out.
fn render_path(inside_out: &[Step]) -> String {
    use core::fmt::Write as _;
    let mut path = String::from("$");
    for step in inside_out.iter().rev() {
        // Writing to a String does not fail.
        let _ = match step {
            Step::Key(key) => write!(path, ".{}", shown(key)),
            Step::Index(index) => write!(path, "[{index}]"),
        };
    }
    path
}

#[cfg(test)]
mod tests;
