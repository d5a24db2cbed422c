//! A pattern: a run of bytes under a mask, anywhere or at one offset.
//!
//! All three ways to write one come down to value and mask; how it was written is kept, so that it
//! can be shown as it was. Deliberately absent: finding it in contents ([`crate::scan`]).

use std::fmt;

use super::forms::Quoted;
use crate::limits;
use crate::problem::Problem;

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

#[cfg(test)]
mod tests {
    use super::*;

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
