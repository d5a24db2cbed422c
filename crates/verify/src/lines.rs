//! Evidence as JSON Lines: which line is a bundle, which is clearly something else, and which
//! is damaged (in-toto attestation v1, bundle.md; Sigstore bundle v0.3).
//!
//! Lines of an unknown kind are passed over, as in-toto demands, but a damaged bundle must never
//! look like one of them, or a flipped byte would silence a replay verdict. So a line is passed
//! over only when it is a whole JSON object that shares no member with a bundle, and no white
//! space is tolerated where a flipped byte could become some.
//!
//! Deliberately absent: signatures, and any meaning of what a bundle says.

use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use counterseal_attestation::bundle::{Bundle, FILE_BYTES_MAX, LINE_BYTES_MAX, LINES_MAX};
use counterseal_attestation::json::{self, Limits};

use crate::display::clean;

/// Nesting that a line of another kind may have; anything deeper counts as damaged.
const OTHER_DEPTH_MAX: usize = 64;
/// Members of a bundle's outermost object.
const BUNDLE_MEMBERS: [&str; 4] = [
    "mediaType",
    "verificationMaterial",
    "dsseEnvelope",
    "messageSignature",
];
/// Words that only evidence contains; two, far apart, so that no single flip removes both.
const MARKS: [&str; 2] = ["dsseEnvelope", "verificationMaterial"];

/// One line that is not blank.
pub(crate) struct Line {
    /// Counted from 1, blank lines included.
    pub(crate) number: usize,
    pub(crate) content: Content,
}

pub(crate) enum Content {
    Bundle(Box<Bundle>),
    /// A whole JSON object of another kind; why it is passed over.
    Other(String),
    /// Neither; what is wrong with it.
    Damaged(String),
}

/// Why the whole file cannot be used as evidence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    #[error(
        "the evidence is too large: at most {FILE_BYTES_MAX} bytes are read, found {found_bytes}"
    )]
    FileTooLarge { found_bytes: usize },
    #[error("the evidence is too long: at most {LINES_MAX} lines are read")]
    TooManyLines,
    #[error("no line of the evidence is a Sigstore bundle")]
    NotEvidence,
}

/// Reads all lines. An empty list is an empty file.
pub(crate) fn read(file: &[u8]) -> Result<Vec<Line>, Unusable> {
    if file.len() > FILE_BYTES_MAX {
        return Err(Unusable::FileTooLarge {
            found_bytes: file.len(),
        });
    }
    let mut lines = Vec::new();
    let mut rest = file;
    let mut number = 0;
    while !rest.is_empty() {
        number += 1;
        let text;
        (text, rest) = next_line(rest);
        if text.is_empty() {
            continue;
        }
        if lines.len() == LINES_MAX {
            return Err(Unusable::TooManyLines);
        }
        lines.push(Line {
            number,
            content: read_line(text),
        });
    }
    let all_damaged = lines
        .iter()
        .all(|line| matches!(line.content, Content::Damaged(_)));
    if !lines.is_empty() && all_damaged && !MARKS.iter().any(|mark| contains(file, mark)) {
        return Err(Unusable::NotEvidence);
    }
    Ok(lines)
}

/// The text up to the next line feed, without it and without a carriage return before it, and
/// what follows. A carriage return is part of a line ending only where a line feed follows.
fn next_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == b'\n') {
        None => (bytes, &[]),
        Some(at) => {
            let text = &bytes[..at];
            (text.strip_suffix(b"\r").unwrap_or(text), &bytes[at + 1..])
        }
    }
}

fn read_line(text: &[u8]) -> Content {
    if text.len() > LINE_BYTES_MAX {
        return Content::Damaged(alloc::format!(
            "the line is too long: at most {LINE_BYTES_MAX} bytes are read, found {}",
            text.len()
        ));
    }
    if !(text.starts_with(b"{") && text.ends_with(b"}")) {
        return Content::Damaged("the line is not one JSON object from brace to brace".into());
    }
    match Bundle::parse(text) {
        Ok(bundle) => Content::Bundle(Box::new(bundle)),
        Err(error) => match other_kind(text) {
            Some(reason) => Content::Other(reason),
            None => Content::Damaged(clean(&error.to_string())),
        },
    }
}

/// Why a line may be passed over, if it may.
fn other_kind(text: &[u8]) -> Option<String> {
    let limits = Limits {
        bytes_max: LINE_BYTES_MAX,
        depth_max: OTHER_DEPTH_MAX,
    };
    let value = json::parse_value(text, limits).ok()?;
    let object = value.as_object()?;
    if BUNDLE_MEMBERS
        .iter()
        .any(|member| object.contains_key(*member))
    {
        return None;
    }
    Some("not a Sigstore bundle: another kind of JSON object".into())
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn kinds(file: &[u8]) -> Vec<(usize, &'static str)> {
        read(file)
            .unwrap()
            .into_iter()
            .map(|line| {
                let kind = match line.content {
                    Content::Bundle(_) => "bundle",
                    Content::Other(_) => "other",
                    Content::Damaged(_) => "damaged",
                };
                (line.number, kind)
            })
            .collect()
    }

    #[test]
    fn blank_lines_and_line_endings() {
        assert!(kinds(b"").is_empty());
        assert!(kinds(b"\n\r\n\n").is_empty());
        assert_eq!(kinds(b"{}\n\n{}"), [(1, "other"), (3, "other")]);
        assert_eq!(kinds(b"{}\r\n{}\r\n"), [(1, "other"), (2, "other")]);
    }

    #[test]
    fn only_whole_foreign_objects_are_passed_over() {
        let file =
            b"{\"payload\":\"\"}\n{\"mediaType\":\"x\"}\n{}\r\n{} \n[]\n{\"a\":1,\"a\":2}\n{}\r";
        let kinds = kinds(file);
        let expected = [
            "other", "damaged", "other", "damaged", "damaged", "damaged", "damaged",
        ];
        assert_eq!(
            kinds.iter().map(|(_, kind)| *kind).collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn what_is_no_evidence_at_all_is_unusable() {
        for bytes in [&b"\x89PNG\r\n\x1a\n"[..], b"hello\n", b" \n", b"\xff"] {
            assert_eq!(read(bytes).err(), Some(Unusable::NotEvidence));
        }
        assert!(read(b"hello dsseEnvelope").is_ok());
    }

    #[test]
    fn bounds() {
        let many = b"{}\n".repeat(LINES_MAX);
        assert_eq!(read(&many).unwrap().len(), LINES_MAX);
        let more = b"{}\n".repeat(LINES_MAX + 1);
        assert_eq!(read(&more).err(), Some(Unusable::TooManyLines));
        let large = vec![b'\n'; FILE_BYTES_MAX + 1];
        assert!(matches!(read(&large), Err(Unusable::FileTooLarge { .. })));
        let mut deep = b"{\"a\":".to_vec();
        deep.extend(b"[".repeat(10_000));
        deep.extend(b"]".repeat(10_000));
        deep.extend(b"}\n{}");
        assert_eq!(kinds(&deep), [(1, "damaged"), (2, "other")]);
    }
}
