//! A rule that has been opened and not yet closed: what each of its lines adds, and which may not be
//! missing at the end.
//!
//! Deliberately absent: how a line is taken apart ([`super::line`]).

use super::line::{Line, number};
use super::{Placed, SourceError, SourceRule};
use crate::problem::Problem;
use crate::rule::{Condition, Pattern, Severity, forms};

/// A rule between its `rule` and its `end`.
pub(super) struct Draft {
    pub(super) id: Placed<String>,
    revision: Option<u32>,
    severity: Option<Severity>,
    title: Option<String>,
    condition: Option<Placed<Condition>>,
    tags: Vec<Placed<String>>,
    references: Vec<Placed<String>>,
    patterns: Vec<Placed<Pattern>>,
    sha256: Vec<Placed<[u8; 32]>>,
    domains: Vec<Placed<String>>,
}

impl Draft {
    pub(super) fn new(id: Placed<String>) -> Self {
        Self {
            id,
            revision: None,
            severity: None,
            title: None,
            condition: None,
            tags: Vec::new(),
            references: Vec::new(),
            patterns: Vec::new(),
            sha256: Vec::new(),
            domains: Vec::new(),
        }
    }

    pub(super) fn line(
        &mut self,
        word: &'static str,
        start: usize,
        line: &mut Line<'_>,
    ) -> Result<(), SourceError> {
        let once = |line: &Line<'_>, taken: bool| {
            if taken {
                Err(line.error(start, Problem::Repeated { word }))
            } else {
                Ok(())
            }
        };
        let owned = |test: fn(&str) -> bool| move |text: &str| test(text).then(|| text.to_owned());
        match word {
            "revision" => {
                once(line, self.revision.is_some())?;
                let number = line.value(word, "revision from 1 to 4294967295", |text| {
                    number(text).filter(|revision| *revision > 0)
                })?;
                self.revision = Some(number.value);
            }
            "severity" => {
                once(line, self.severity.is_some())?;
                let expected = "severity (informational, low, medium, high, critical)";
                self.severity = Some(line.value(word, expected, Severity::from_word)?.value);
            }
            "title" => {
                once(line, self.title.is_some())?;
                let string = line.string(word)?;
                let title = String::from_utf8_lossy(&string.value).into_owned();
                if title.as_bytes() != string.value || !forms::is_title(&title) {
                    let expected = "title: 1 to 200 bytes, no spaces at its ends, no controls";
                    let found = title.escape_default().to_string();
                    let problem = Problem::Malformed { expected, found };
                    return Err(SourceError {
                        place: string.place,
                        problem,
                    });
                }
                self.title = Some(title);
            }
            "condition" => {
                once(line, self.condition.is_some())?;
                let condition = |text: &str| match text {
                    "all" => Some(Condition::All),
                    "any" => Some(Condition::Any),
                    _ => None,
                };
                self.condition = Some(line.value(word, "condition (all, any)", condition)?);
            }
            "tag" => self
                .tags
                .push(line.value(word, "tag", owned(forms::is_tag))?),
            "reference" => {
                let expected = "reference (https://…)";
                self.references
                    .push(line.value(word, expected, owned(forms::is_reference))?);
            }
            "domain" => {
                let expected = "domain name in lower case";
                self.domains
                    .push(line.value(word, expected, owned(forms::is_domain))?);
            }
            "sha256" => loop {
                let expected = "SHA-256 in 64 lower-case hexadecimal digits";
                self.sha256
                    .push(line.value(word, expected, forms::parse_sha256)?);
                line.skip_spaces();
                if line.rest().is_empty() {
                    break;
                }
            },
            _ => {
                let pattern = if word == "bytes" {
                    line.bytes()?
                } else {
                    line.quoted_text()?
                };
                let place = line.place(start);
                self.patterns.push(Placed {
                    place,
                    value: pattern,
                });
            }
        }
        Ok(())
    }

    pub(super) fn close(self) -> Result<SourceRule, Problem> {
        let missing = |word| Problem::Missing {
            id: self.id.value.clone(),
            word,
        };
        Ok(SourceRule {
            revision: self.revision.ok_or_else(|| missing("revision"))?,
            severity: self.severity.ok_or_else(|| missing("severity"))?,
            title: self.title.ok_or_else(|| missing("title"))?,
            id: self.id,
            tags: self.tags,
            references: self.references,
            condition: self.condition,
            patterns: self.patterns,
            sha256: self.sha256,
            domains: self.domains,
        })
    }
}
