//! The text form of rules, version 1: `*.rule` files, UTF-8, one statement on a line.
//!
//! ```text
//! # A comment takes a whole line. Empty lines and leading spaces mean nothing.
//! rule CS-2026-0007
//! revision 2
//! severity high
//! title "Dropper that unpacks itself from a note"
//! tag dropper
//! reference https://docs.example/cs-2026-0007
//! condition all
//! bytes at 0 4d 5a
//! bytes e8 ?? ?? ?? ?? 5d 8? ed
//! text nocase "unpack note \"seven\"\x00"
//! sha256 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824
//! domain notes.example
//! end
//! ```
//!
//! | line | times | value |
//! |---|---|---|
//! | `rule` | opens | id: upper-case words of letters and digits joined by `-`, ≤ 64 bytes |
//! | `revision` | 1 | 1 … 4294967295 |
//! | `severity` | 1 | `informational`, `low`, `medium`, `high`, `critical` |
//! | `title` | 1 | string of one line, ≤ 200 bytes |
//! | `tag` | 0–32 | lower-case words joined by `-`, ≤ 40 bytes |
//! | `reference` | 0–32 | `https://…`, ≤ 500 bytes |
//! | `condition` | 0–1 | how the patterns combine: `all` (without the line too) or `any` |
//! | `bytes` | 0–64 with `text` | `[at OFFSET]`, then bytes as two lower-case hex digits or `?` each |
//! | `text` | | `[at OFFSET] [nocase]`, then a string; `nocase` concerns ASCII letters |
//! | `sha256` | any | one or more digests of whole files, 64 lower-case hex digits each; 4096 in all |
//! | `domain` | 0–4096 | lower-case name of two labels or more; covers all names below it |
//! | `end` | closes | |
//!
//! A rule matches contents when its patterns do under its condition, a file when its digest is
//! listed, a name when it or a name above it is listed. Strings know the escapes `\\`, `\"`, `\n`,
//! `\r`, `\t` and `\xHH`. Between `rule` and `end` the order of lines is free. Tabs, carriage
//! returns and other control characters are refused. [`crate::limits`] holds the bounds.
//!
//! Deliberately absent: includes, variables, macros and arithmetic, so that one rule can be read,
//! reviewed and diffed on its own. What needs more than one rule to judge is in [`crate::check()`].

mod draft;
mod line;

use std::fmt;
use std::rc::Rc;

use thiserror::Error;

use crate::limits;
use crate::problem::Problem;
use crate::rule::{Condition, Pattern, Severity, forms};

use draft::Draft;
use line::Line;

/// One fault and where it is. Lines and columns (in characters) count from 1.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{place}: {problem}")]
pub struct SourceError {
    /// Where.
    pub place: Place,
    /// What.
    pub problem: Problem,
}

/// A position in a source file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The name of the file as it was given to [`parse`].
    pub file: Rc<str>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A part of a rule and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed<T> {
    pub(crate) place: Place,
    pub(crate) value: T,
}

/// A rule as its file has it: well-formed, not yet checked against itself and others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRule {
    pub(crate) id: Placed<String>,
    pub(crate) revision: u32,
    pub(crate) severity: Severity,
    pub(crate) title: String,
    pub(crate) tags: Vec<Placed<String>>,
    pub(crate) references: Vec<Placed<String>>,
    pub(crate) condition: Option<Placed<Condition>>,
    pub(crate) patterns: Vec<Placed<Pattern>>,
    pub(crate) sha256: Vec<Placed<[u8; 32]>>,
    pub(crate) domains: Vec<Placed<String>>,
}

/// Reads one source file; `file` is only used to name places.
///
/// # Errors
/// The first fault of the file.
pub fn parse(file: &str, contents: &[u8]) -> Result<Vec<SourceRule>, SourceError> {
    let file: Rc<str> = file.into();
    let at = |line, column, problem| SourceError {
        place: Place {
            file: Rc::clone(&file),
            line,
            column,
        },
        problem,
    };
    if contents.len() > limits::FILE_BYTES_MAX {
        let (found_bytes, max_bytes) = (contents.len(), limits::FILE_BYTES_MAX);
        return Err(at(
            1,
            1,
            Problem::FileTooLong {
                found_bytes,
                max_bytes,
            },
        ));
    }
    let mut rules = Vec::new();
    let mut open: Option<Draft> = None;
    let mut last_line = 1;
    for (index, bytes) in contents.split(|byte| *byte == b'\n').enumerate() {
        last_line = index + 1;
        if bytes.len() > limits::LINE_BYTES_MAX {
            let (found_bytes, max_bytes) = (bytes.len(), limits::LINE_BYTES_MAX);
            return Err(at(
                last_line,
                1,
                Problem::LineTooLong {
                    found_bytes,
                    max_bytes,
                },
            ));
        }
        let text = str::from_utf8(bytes).map_err(|error| {
            let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            at(last_line, valid.chars().count() + 1, Problem::NotUtf8)
        })?;
        if let Some((index, control)) = text.chars().enumerate().find(|(_, c)| c.is_control()) {
            let problem = Problem::ControlCharacter {
                code: control.into(),
            };
            return Err(at(last_line, index + 1, problem));
        }
        let mut line = Line {
            text,
            at: 0,
            file: &file,
            number: last_line,
        };
        line.skip_spaces();
        if line.rest().is_empty() || line.rest().starts_with('#') {
            continue;
        }
        statement(&mut line, &mut open, &mut rules)?;
    }
    match open {
        None => Ok(rules),
        Some(draft) => Err(at(last_line, 1, Problem::Unclosed { id: draft.id.value })),
    }
}

/// The words that begin a line inside a rule.
const WORDS: [&str; 11] = [
    "revision",
    "severity",
    "title",
    "tag",
    "reference",
    "condition",
    "bytes",
    "text",
    "sha256",
    "domain",
    "end",
];

fn statement(
    line: &mut Line<'_>,
    open: &mut Option<Draft>,
    rules: &mut Vec<SourceRule>,
) -> Result<(), SourceError> {
    let start = line.at;
    let word = line.word();
    if word == "rule" {
        if let Some(draft) = open {
            return Err(line.error(
                start,
                Problem::Unclosed {
                    id: draft.id.value.clone(),
                },
            ));
        }
        let id = line.value("rule", "rule id", |text| {
            forms::is_rule_id(text).then(|| text.to_owned())
        })?;
        *open = Some(Draft::new(id));
        return line.finish();
    }
    let Some(word) = WORDS.into_iter().find(|known| *known == word) else {
        return Err(line.error(
            start,
            Problem::UnknownWord {
                found: word.to_owned(),
            },
        ));
    };
    let Some(draft) = open else {
        return Err(line.error(start, Problem::OutsideRule { word }));
    };
    if word != "end" {
        draft.line(word, start, line)?;
        return line.finish();
    }
    line.finish()?;
    if let Some(draft) = open.take() {
        rules.push(
            draft
                .close()
                .map_err(|problem| line.error(start, problem))?,
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "rule A-1\nrevision 1\nseverity low\ntitle \"t\"\ndomain a.example\nend\n";

    /// Parses a rule with `line` in it; the rule's own lines come first.
    fn with(line: &str) -> Result<SourceRule, SourceError> {
        let text = GOOD.replace("end\n", &format!("{line}\nend\n"));
        Ok(parse("f.rule", text.as_bytes())?.remove(0))
    }

    fn refusal(contents: &[u8]) -> String {
        parse("f.rule", contents).unwrap_err().to_string()
    }

    #[test]
    fn every_line_is_read() {
        let rule = with(
            "  tag x-1\n\n# comment\nreference https://a.example/\ncondition any\n\
             bytes at 7 4d 5? ?a ff\ntext nocase \"aZ-\\x00\\\"\\\\\\n\"\n\
             sha256 0000000000000000000000000000000000000000000000000000000000000001 \
             0000000000000000000000000000000000000000000000000000000000000002",
        )
        .unwrap();
        assert_eq!((rule.id.value.as_str(), rule.revision), ("A-1", 1));
        assert_eq!(rule.tags[0].place.to_string(), "f.rule:6:7");
        let [bytes, text] = &rule.patterns[..] else {
            panic!("two patterns expected")
        };
        assert_eq!(bytes.value.value(), [0x4d, 0x50, 0x0a, 0xff]);
        assert_eq!(bytes.value.mask(), [0xff, 0xf0, 0x0f, 0xff]);
        assert_eq!(bytes.value.offset_bytes(), Some(7));
        assert_eq!(text.value.value(), b"AZ-\0\"\\\n");
        assert_eq!(
            text.value.mask(),
            [0xdf, 0xdf, 0xff, 0xff, 0xff, 0xff, 0xff]
        );
        assert_eq!(rule.sha256.len(), 2);
    }

    #[test]
    fn a_fault_is_named_with_its_place() {
        for (line, expected) in [
            ("colour red", "6:1: unknown word `colour`"),
            ("Tag x", "6:1: unknown word `Tag`"),
            ("rule B-1", "6:1: rule A-1 is not closed"),
            ("revision 2", "6:1: second `revision` line"),
            ("  title \"u\"", "6:3: second `title` line"),
            ("tag", "6:4: `tag` needs a value"),
            ("tag a b", "6:7: unexpected text after the value: `b`"),
            ("tag Ä", "6:5: `Ä` is not a tag"),
            ("condition some", "6:11: `some` is not a condition"),
            ("reference http://a", "6:11: `http://a` is not a reference"),
            (
                "domain Example.com",
                "6:8: `Example.com` is not a domain name",
            ),
            ("sha256 00", "6:8: `00` is not a SHA-256"),
            ("bytes", "6:6: pattern is empty"),
            ("bytes 4D", "6:7: `4D` is not a byte"),
            ("bytes 4d ?? 5", "6:13: `5` is not a byte"),
            ("bytes 4d ??", "6:7: pattern begins or ends with `??`"),
            ("bytes at 01 4d", "6:10: `01` is not a number of bytes"),
            (
                "bytes at 99999999 4d",
                "6:10: `99999999` is not a number of bytes",
            ),
            ("text x", "6:6: expected a string in double quotes"),
            ("text \"x", "6:6: string is not closed"),
            ("text \"ä\\q\"", "6:8: unknown escape"),
            ("text \"\\x4G\"", "6:7: unknown escape"),
            ("text \"\"", "6:6: pattern is empty"),
            ("text \"x\" \"y\"", "6:10: unexpected text"),
            ("tag\ta", "6:4: control character U+0009"),
            ("tag a\r", "6:6: control character U+000D"),
        ] {
            let found = with(line).unwrap_err().to_string();
            assert!(
                found.starts_with(&format!("f.rule:{expected}")),
                "{line}: {found}"
            );
        }
    }

    #[test]
    fn a_file_is_refused_as_a_whole() {
        let long_line = [b"#".as_slice(), &[b'x'; limits::LINE_BYTES_MAX]].concat();
        for (contents, expected) in [
            (
                b"severity low".as_slice(),
                "f.rule:1:1: `severity` outside a rule",
            ),
            (b"\nend", "f.rule:2:1: `end` outside a rule"),
            (b"rule A\nrevision 1\n", "f.rule:3:1: rule A is not closed"),
            (
                b"rule A\nrevision 1\nend",
                "f.rule:3:1: rule A has no `severity` line",
            ),
            (b"# \xc3\xa4 \xff", "f.rule:1:5: invalid UTF-8"),
            (b"\xef\xbb\xbfrule A", "f.rule:1:1: unknown word"),
            (
                &long_line,
                "f.rule:1:1: line is too long: at most 8192 bytes, found 8193",
            ),
        ] {
            assert!(
                refusal(contents).starts_with(expected),
                "{}",
                refusal(contents)
            );
        }
        let large = vec![b'\n'; limits::FILE_BYTES_MAX + 1];
        assert!(refusal(&large).contains("file is too long"));
        assert_eq!(parse("f.rule", b"\n# nothing\n"), Ok(Vec::new()));
    }

    #[test]
    fn titles_are_one_plain_line() {
        let titled = |title: &str| parse("f", GOOD.replace("\"t\"", title).as_bytes());
        assert!(titled("\"Grüße\"").is_ok());
        for title in [
            "\"\"",
            "\" t\"",
            "\"a\\n\"",
            "\"\\xff\"",
            &format!("\"{}\"", "x".repeat(201)),
        ] {
            assert!(titled(title).is_err(), "{title}");
        }
    }
}
