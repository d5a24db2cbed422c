//! One line of the text form, read from left to right: words, values, patterns, strings.
//!
//! Deliberately absent: what a line means within its rule ([`super`]).

use std::rc::Rc;

use super::{Place, Placed, SourceError};
use crate::limits;
use crate::problem::Problem;
use crate::rule::{Pattern, PatternForm, forms, pattern};

/// A line without control characters, read from left to right; `at` is a byte index on a
/// character boundary.
pub(super) struct Line<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    pub(super) file: &'a Rc<str>,
    pub(super) number: usize,
}

impl<'a> Line<'a> {
    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn place(&self, at: usize) -> Place {
        let column = self.text[..at].chars().count() + 1;
        Place {
            file: Rc::clone(self.file),
            line: self.number,
            column,
        }
    }

    pub(super) fn error(&self, at: usize, problem: Problem) -> SourceError {
        SourceError {
            place: self.place(at),
            problem,
        }
    }

    pub(super) fn skip_spaces(&mut self) {
        self.at = self.text.len() - self.rest().trim_start_matches(' ').len();
    }

    /// The characters up to the next space or the end.
    pub(super) fn word(&mut self) -> &'a str {
        self.skip_spaces();
        let rest = self.rest();
        let word = &rest[..rest.find(' ').unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    /// Takes the next word if it is `keyword`.
    pub(super) fn accept(&mut self, keyword: &str) -> bool {
        let start = self.at;
        let accepted = self.word() == keyword;
        if !accepted {
            self.at = start;
        }
        accepted
    }

    pub(super) fn value<T>(
        &mut self,
        line_word: &'static str,
        expected: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Placed<T>, SourceError> {
        self.skip_spaces();
        let start = self.at;
        let word = self.word();
        if word.is_empty() {
            return Err(self.error(start, Problem::ValueMissing { word: line_word }));
        }
        let Some(value) = read(word) else {
            let found = word.to_owned();
            return Err(self.error(start, Problem::Malformed { expected, found }));
        };
        Ok(Placed {
            place: self.place(start),
            value,
        })
    }

    pub(super) fn finish(&mut self) -> Result<(), SourceError> {
        self.skip_spaces();
        if self.rest().is_empty() {
            return Ok(());
        }
        Err(self.error(
            self.at,
            Problem::TrailingText {
                found: self.rest().to_owned(),
            },
        ))
    }

    pub(super) fn offset(&mut self) -> Result<Option<u32>, SourceError> {
        if !self.accept("at") {
            return Ok(None);
        }
        let offset = self.value("at", "number of bytes from 0 to 16777216", |text| {
            number(text).filter(|offset| *offset <= limits::OFFSET_BYTES_MAX)
        })?;
        Ok(Some(offset.value))
    }

    pub(super) fn bytes(&mut self) -> Result<Pattern, SourceError> {
        let offset = self.offset()?;
        let (mut value, mut mask) = (Vec::new(), Vec::new());
        self.skip_spaces();
        let start = self.at;
        while !self.rest().is_empty() {
            let expected = "byte as two lower-case hexadecimal digits or `?`";
            let byte = self.value("bytes", expected, masked_byte)?;
            value.push(byte.value.0);
            mask.push(byte.value.1);
            self.skip_spaces();
        }
        Pattern::new(PatternForm::Bytes, offset, value, mask)
            .map_err(|problem| self.error(start, problem))
    }

    pub(super) fn quoted_text(&mut self) -> Result<Pattern, SourceError> {
        let offset = self.offset()?;
        let any_case = self.accept("nocase");
        let string = self.string("text")?;
        let form = if any_case {
            PatternForm::TextAnyCase
        } else {
            PatternForm::Text
        };
        let mask_of = |byte: &u8| {
            if any_case {
                pattern::any_case_mask(*byte)
            } else {
                0xff
            }
        };
        let mask: Vec<u8> = string.value.iter().map(mask_of).collect();
        let value = string
            .value
            .iter()
            .zip(&mask)
            .map(|(byte, mask)| byte & mask)
            .collect();
        Pattern::new(form, offset, value, mask).map_err(|problem| SourceError {
            place: string.place,
            problem,
        })
    }

    /// A string in double quotes, as the bytes it stands for.
    pub(super) fn string(
        &mut self,
        line_word: &'static str,
    ) -> Result<Placed<Vec<u8>>, SourceError> {
        self.skip_spaces();
        let start = self.at;
        if self.rest().is_empty() {
            return Err(self.error(start, Problem::ValueMissing { word: line_word }));
        }
        if !self.rest().starts_with('"') {
            return Err(self.error(start, Problem::StringExpected));
        }
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            let rest = self.rest();
            let Some(special) = rest.find(['"', '\\']) else {
                return Err(self.error(start, Problem::StringUnclosed));
            };
            bytes.extend_from_slice(&rest.as_bytes()[..special]);
            self.at += special;
            let rest = self.rest();
            if rest.starts_with('"') {
                self.at += 1;
                return Ok(Placed {
                    place: self.place(start),
                    value: bytes,
                });
            }
            let Some((byte, length)) = escape(rest.as_bytes()) else {
                return Err(self.error(self.at, Problem::UnknownEscape));
            };
            bytes.push(byte);
            self.at += length;
        }
    }
}

/// The byte that an escape stands for, and the escape's length.
fn escape(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [b'\\', b'x', high, low, ..] => {
            Some((forms::hex_digit(*high)? << 4 | forms::hex_digit(*low)?, 4))
        }
        [b'\\', b'\\', ..] => Some((b'\\', 2)),
        [b'\\', b'"', ..] => Some((b'"', 2)),
        [b'\\', b'n', ..] => Some((b'\n', 2)),
        [b'\\', b'r', ..] => Some((b'\r', 2)),
        [b'\\', b't', ..] => Some((b'\t', 2)),
        _ => None,
    }
}

/// Value and mask of a byte such as `4d`, `4?`, `?d` or `??`.
fn masked_byte(text: &str) -> Option<(u8, u8)> {
    let half = |digit: u8| match digit {
        b'?' => Some((0, 0)),
        digit => Some((forms::hex_digit(digit)?, 0x0f)),
    };
    let &[high, low] = text.as_bytes() else {
        return None;
    };
    let (high, low) = (half(high)?, half(low)?);
    Some((high.0 << 4 | low.0, high.1 << 4 | low.1))
}

/// A decimal number without sign or leading zero.
pub(super) fn number(text: &str) -> Option<u32> {
    let canonical =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| canonical)
}
