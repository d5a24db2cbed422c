//! Debian control data: paragraphs of `Field: value` lines (Debian Policy 5.1, deb822(5)).
//!
//! Reading borrows from the text and is bounded. Field names compare without regard to case; a
//! field given twice in one paragraph is refused, because two readers could believe two values.
//! Deliberately absent: what any field means.

/// Most fields in one paragraph.
pub const FIELDS_MAX: usize = 256;
/// Longest field value, continuation lines included, in bytes.
pub const VALUE_BYTES_MAX: usize = 16 << 20;

/// One paragraph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paragraph<'a> {
    fields: Vec<(&'a str, &'a str)>,
}

impl<'a> Paragraph<'a> {
    /// The value of a field, trimmed; continuation lines follow as they stand in the text.
    pub fn field(&self, name: &str) -> Option<&'a str> {
        self.fields
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| *value)
    }

    /// The lines of a field's value, each trimmed, empty ones left out.
    pub fn lines(&self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.field(name)
            .unwrap_or("")
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
    }
}

/// Why a text is not control data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Deb822Error {
    /// A line without a colon, or with an unusable field name.
    #[error("line {line} is not a field")]
    NotAField {
        /// One-based line number.
        line: usize,
    },
    /// A continuation line with nothing to continue.
    #[error("line {line} continues nothing")]
    Orphan {
        /// One-based line number.
        line: usize,
    },
    /// The same field twice in one paragraph.
    #[error("line {line} repeats the field `{field}`")]
    Repeated {
        /// One-based line number.
        line: usize,
        /// The field's name.
        field: String,
    },
    /// More than [`FIELDS_MAX`] fields in one paragraph, or a value over [`VALUE_BYTES_MAX`].
    #[error("the paragraph at line {line} is too large")]
    TooLarge {
        /// One-based line number.
        line: usize,
    },
    /// Not the expected number of paragraphs.
    #[error("expected exactly one paragraph, found {found}")]
    ParagraphCount {
        /// How many.
        found: usize,
    },
}

/// Reads paragraph after paragraph; lines starting with `#` are comments.
pub fn paragraphs(text: &str) -> Paragraphs<'_> {
    Paragraphs {
        text,
        position: 0,
        line: 0,
    }
}

/// Reads a text that is one paragraph.
///
/// # Errors
/// What [`Paragraphs`] refuses, and any other number of paragraphs.
pub fn single(text: &str) -> Result<Paragraph<'_>, Deb822Error> {
    let mut all = paragraphs(text);
    let Some(first) = all.next() else {
        return Err(Deb822Error::ParagraphCount { found: 0 });
    };
    let first = first?;
    match all.next() {
        None => Ok(first),
        Some(Err(error)) => Err(error),
        Some(Ok(_)) => Err(Deb822Error::ParagraphCount { found: 2 }),
    }
}

/// The iterator behind [`paragraphs`]; stops after the first error.
#[derive(Debug)]
pub struct Paragraphs<'a> {
    text: &'a str,
    position: usize,
    line: usize,
}

impl<'a> Paragraphs<'a> {
    /// The next line with its start offset, without its line end.
    fn next_line(&mut self) -> Option<(usize, &'a str)> {
        let start = self.position;
        let rest = &self.text[start..];
        if rest.is_empty() {
            return None;
        }
        self.line += 1;
        let end = rest.find('\n');
        let line = &rest[..end.unwrap_or(rest.len())];
        self.position = end.map_or(self.text.len(), |end| start + end + 1);
        Some((start, line.strip_suffix('\r').unwrap_or(line)))
    }

    fn read(&mut self) -> Result<Option<Paragraph<'a>>, Deb822Error> {
        let mut fields: Vec<(&'a str, &'a str)> = Vec::new();
        // Start and end offset of the value of the last field.
        let mut value = 0..0;
        while let Some((start, line)) = self.next_line() {
            if line.starts_with('#') {
                continue;
            }
            if line.trim().is_empty() {
                if fields.is_empty() {
                    continue;
                }
                break;
            }
            if line.starts_with([' ', '\t']) {
                let Some(last) = fields.last_mut() else {
                    return Err(Deb822Error::Orphan { line: self.line });
                };
                value.end = start + line.len();
                if value.len() > VALUE_BYTES_MAX {
                    return Err(Deb822Error::TooLarge { line: self.line });
                }
                last.1 = self.text[value.clone()].trim();
                continue;
            }
            let name = match line.split_once(':') {
                Some((name, _)) if is_field_name(name) => name,
                _ => return Err(Deb822Error::NotAField { line: self.line }),
            };
            if fields.iter().any(|(key, _)| key.eq_ignore_ascii_case(name)) {
                return Err(Deb822Error::Repeated {
                    line: self.line,
                    field: name.to_owned(),
                });
            }
            value = start + name.len() + 1..start + line.len();
            if fields.len() == FIELDS_MAX || value.len() > VALUE_BYTES_MAX {
                return Err(Deb822Error::TooLarge { line: self.line });
            }
            fields.push((name, self.text[value.clone()].trim()));
        }
        Ok((!fields.is_empty()).then_some(Paragraph { fields }))
    }
}

impl<'a> Iterator for Paragraphs<'a> {
    type Item = Result<Paragraph<'a>, Deb822Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = self.read();
        if result.is_err() {
            self.position = self.text.len();
        }
        result.transpose()
    }
}

/// Policy 5.1: printable ASCII without space and colon, not starting with `#` or `-`.
fn is_field_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_graphic())
        && !name.starts_with(['#', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_fields_and_continuations() {
        let text =
            "# note\n\nPackage: a\nDescription: one\n two\n .\nEmpty:\n\n\nPackage: b\r\nX: y";
        let all: Vec<_> = paragraphs(text).collect::<Result<_, _>>().unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].field("package"), Some("a"));
        assert_eq!(all[0].field("Description"), Some("one\n two\n ."));
        assert_eq!(all[0].field("Empty"), Some(""));
        assert_eq!(
            all[0].lines("Description").collect::<Vec<_>>(),
            ["one", "two", "."]
        );
        assert_eq!(all[1].field("Package"), Some("b"));
        assert_eq!(all[1].field("X"), Some("y"));
        assert_eq!(all[1].field("Z"), None);
    }

    #[test]
    fn hostile_texts_are_refused() {
        let many = (0..300)
            .map(|i| format!("F{i}: x"))
            .collect::<Vec<_>>()
            .join("\n");
        let cases = [
            ("no colon here", Deb822Error::NotAField { line: 1 }),
            (": value", Deb822Error::NotAField { line: 1 }),
            ("-a: value", Deb822Error::NotAField { line: 1 }),
            ("a b: value", Deb822Error::NotAField { line: 1 }),
            (" lost", Deb822Error::Orphan { line: 1 }),
            (
                "A: 1\nB: 2\na: 3",
                Deb822Error::Repeated {
                    line: 3,
                    field: "a".to_owned(),
                },
            ),
            (&many, Deb822Error::TooLarge { line: 257 }),
        ];
        for (text, expected) in cases {
            let mut all = paragraphs(text);
            assert_eq!(all.next(), Some(Err(expected)));
            assert_eq!(all.next(), None);
        }
    }

    #[test]
    fn a_single_paragraph_is_exactly_one() {
        assert!(single("A: 1\n").is_ok());
        assert_eq!(single("\n"), Err(Deb822Error::ParagraphCount { found: 0 }));
        assert_eq!(
            single("A: 1\n\nA: 2"),
            Err(Deb822Error::ParagraphCount { found: 2 })
        );
    }
}
