//! The reader: bytes from anywhere → a [`Pack`] that answers by id and by indicator.
//!
//! [`Pack::parse`] checks [`crate::layout`] once: digests, bounds, order, forms; only that the
//! string section is sorted and free of repetition is not looked at. Afterwards nothing is copied;
//! a lookup by id or indicator is a binary search over the bytes, at most 1 + log₂ n comparisons
//! (for a domain name, times its labels).
//!
//! Deliberately absent: trust. A digest inside a pack shows damage, not origin; the origin is shown
//! by the attestation over the whole pack, checked before the pack gets here.

use std::ops::Range;

use thiserror::Error;

use crate::layout::{self, PatternRecord, RuleRecord, Span};
use crate::limits;
use crate::rule::{Indicator, forms, pattern};

mod envelope;
mod view;

pub(crate) use view::PatternView;
pub use view::RuleView;

/// Why bytes are not a pack.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PackError {
    /// Longer than [`limits::PACK_BYTES_MAX`].
    #[error("pack is too long: at most {max_bytes} bytes, found {found_bytes}")]
    TooLong {
        /// Its length.
        found_bytes: usize,
        /// The bound.
        max_bytes: usize,
    },
    /// Shorter than the fixed part, or than the header says.
    #[error("pack is cut short or extended: expected {expected_bytes} bytes, found {found_bytes}")]
    Length {
        /// The length that the header says, or that of the fixed part.
        expected_bytes: u64,
        /// Its length.
        found_bytes: usize,
    },
    /// The first bytes are not [`layout::MAGIC`].
    #[error("not a rule pack: the first 8 bytes are not its mark")]
    Magic,
    /// A format version that this reader does not know.
    #[error("pack has format {found}, this program reads format {expected}")]
    Format {
        /// The version of this reader.
        expected: u32,
        /// The version of the pack.
        found: u32,
    },
    /// The header digest is not that of header and directory.
    #[error("pack is damaged: its header does not have the digest that follows it")]
    HeaderDigest,
    /// A section digest is not that of the section.
    #[error("pack is damaged: section `{section}` does not have the digest in the directory")]
    SectionDigest {
        /// The section's name.
        section: &'static str,
    },
    /// The digests hold, and yet the pack was not written by a correct compiler.
    #[error("pack is malformed: {what} (section `{section}`, record {record})")]
    Malformed {
        /// `header`, or the section's name.
        section: &'static str,
        /// The record, from 0; 0 for the section as a whole.
        record: usize,
        /// What is wrong.
        what: &'static str,
    },
}

/// A rule pack, fully checked, borrowing its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Pack<'a> {
    build_epoch: u64,
    product_version: &'a str,
    strings: &'a str,
    rules: &'a [[u8; layout::RULE_RECORD_BYTES]],
    labels: &'a [[u8; layout::LABEL_RECORD_BYTES]],
    patterns: &'a [[u8; layout::PATTERN_RECORD_BYTES]],
    pattern_bytes: &'a [u8],
    sha256: &'a [[u8; layout::SHA256_RECORD_BYTES]],
    domains: &'a [[u8; layout::DOMAIN_RECORD_BYTES]],
}

impl<'a> Pack<'a> {
    /// Checks `bytes` and makes them readable. Cost: one SHA-256 over all of them and one pass over
    /// the records; no allocation grows with the pack.
    ///
    /// What only [`crate::check()`] asks of rules (strength of patterns, nothing twice) is not asked
    /// again: it decides about the worth of a pack, not about its form.
    ///
    /// # Errors
    /// A [`PackError`] about a length, a digest, or the first record out of form, bounds or order.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PackError> {
        let header = envelope::header(bytes)?;
        let sections = envelope::sections(bytes)?;
        let [
            strings,
            rules,
            labels,
            patterns,
            pattern_bytes,
            sha256,
            domains,
        ] = sections;
        let strings = str::from_utf8(strings).map_err(|_| malformed(0, 0, "not UTF-8"))?;
        let version = strings.get(layout::Span::decode(header, 32).range());
        let product_version =
            version
                .filter(|text| forms::is_version(text))
                .ok_or(PackError::Malformed {
                    section: "header",
                    record: 0,
                    what: "bad product version",
                })?;
        let pack = Self {
            build_epoch: layout::u64_at(header, 16),
            product_version,
            strings,
            rules: rules.as_chunks().0,
            labels: labels.as_chunks().0,
            patterns: patterns.as_chunks().0,
            pattern_bytes,
            sha256: sha256.as_chunks().0,
            domains: domains.as_chunks().0,
        };
        pack.check_rules()?;
        pack.check_patterns()?;
        pack.check_indices()?;
        Ok(pack)
    }

    /// The version of the product that this pack is.
    pub fn product_version(&self) -> &'a str {
        self.product_version
    }

    /// The build's `SOURCE_DATE_EPOCH`, in Unix seconds.
    pub fn build_epoch(&self) -> u64 {
        self.build_epoch
    }

    /// All rules, sorted by id.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = RuleView<'a>> + use<'a> {
        let pack = *self;
        (0..self.rules.len()).map(move |number| RuleView { pack, number })
    }

    /// The rule called `id`.
    pub fn rule(&self, id: &str) -> Option<RuleView<'a>> {
        let number = self
            .rules
            .binary_search_by(|record| self.text(record, 0).cmp(id))
            .ok()?;
        Some(RuleView {
            pack: *self,
            number,
        })
    }

    /// The rules that list `indicator`: for a digest at most one, for a domain name one for the
    /// name and each name above it at most, the longest name first.
    pub fn lookup(&self, indicator: &Indicator) -> Vec<RuleView<'a>> {
        match indicator {
            Indicator::Sha256(digest) => {
                let found = self
                    .sha256
                    .binary_search_by(|record| record[..32].cmp(digest));
                let record = found.ok().map(|at| layout::u32_at(&self.sha256[at], 32));
                record.map(|rule| self.view(rule)).into_iter().collect()
            }
            Indicator::Domain(name) => {
                let mut names = Some(name.as_str());
                let mut found = Vec::new();
                while let Some(name) = names {
                    let at = self
                        .domains
                        .binary_search_by(|record| self.text(record, 0).cmp(name));
                    found.extend(
                        at.ok()
                            .map(|at| self.view(layout::u32_at(&self.domains[at], 8))),
                    );
                    names = name.split_once('.').map(|(_, above)| above);
                }
                found
            }
        }
    }

    fn view(&self, rule: u32) -> RuleView<'a> {
        // `check_indices` saw that the number is one of a rule, so the conversion cannot fail.
        RuleView {
            pack: *self,
            number: usize::try_from(rule).unwrap_or(usize::MAX),
        }
    }

    /// The string that the reference at `at` of `record` means; `parse` saw that it is one.
    fn text<const N: usize>(&self, record: &[u8; N], at: usize) -> &'a str {
        self.strings
            .get(Span::decode(record, at).range())
            .unwrap_or_default()
    }

    fn check_rules(&self) -> Result<(), PackError> {
        let (mut labels, mut patterns) = (0, 0);
        let mut previous = "";
        if self.rules.len() > limits::RULES_MAX {
            return Err(malformed(1, 0, "too many rules"));
        }
        for (number, record) in self.rules.iter().enumerate() {
            let wrong = |what| malformed(1, number, what);
            let rule = RuleRecord::decode(record).ok_or_else(|| wrong("unknown code"))?;
            let text = |span: Span| self.strings.get(span.range());
            let id = text(rule.id).filter(|id| forms::is_rule_id(id));
            let id = id.ok_or_else(|| wrong("bad rule id"))?;
            if id <= previous {
                return Err(wrong("rules are not sorted by id"));
            }
            previous = id;
            if !text(rule.title).is_some_and(forms::is_title) {
                return Err(wrong("bad title"));
            }
            if rule.revision == 0 {
                return Err(wrong("bad revision"));
            }
            let (tags, references) = (rule.tags.range(), rule.references.range());
            if tags.start != labels || references.start != tags.end {
                return Err(wrong("labels do not follow one another"));
            }
            labels = references.end;
            if tags.len() > limits::LABELS_MAX || references.len() > limits::LABELS_MAX {
                return Err(wrong("too many labels"));
            }
            self.check_labels(tags, forms::is_tag)
                .ok_or_else(|| wrong("bad tags"))?;
            let references = self.check_labels(references, forms::is_reference);
            references.ok_or_else(|| wrong("bad references"))?;
            let own = rule.patterns.range();
            if own.start != patterns || own.len() > limits::PATTERNS_MAX {
                return Err(wrong("patterns do not follow one another"));
            }
            patterns = own.end;
        }
        if labels != self.labels.len() || patterns != self.patterns.len() {
            return Err(malformed(1, 0, "labels or patterns without a rule"));
        }
        Ok(())
    }

    /// `None` unless all labels exist, have the right form and are sorted.
    fn check_labels(&self, range: Range<usize>, test: fn(&str) -> bool) -> Option<()> {
        let mut previous = "";
        for record in self.labels.get(range)? {
            let label = self.strings.get(Span::decode(record, 0).range())?;
            if !test(label) || label <= previous {
                return None;
            }
            previous = label;
        }
        Some(())
    }

    fn check_patterns(&self) -> Result<(), PackError> {
        let mut end = 0;
        for (number, record) in self.patterns.iter().enumerate() {
            let wrong = |what| malformed(3, number, what);
            let pattern = PatternRecord::decode(record).ok_or_else(|| wrong("unknown code"))?;
            if pattern.value.range().start != end {
                return Err(wrong("pattern bytes do not follow one another"));
            }
            let view = self
                .pattern(pattern)
                .ok_or_else(|| wrong("pattern bytes missing"))?;
            pattern::validate_pattern(view.form, view.offset_bytes, view.value, view.mask)
                .map_err(|_| wrong("bad pattern"))?;
            end = pattern.value.range().end.saturating_add(view.mask.len());
        }
        if end == self.pattern_bytes.len() {
            Ok(())
        } else {
            Err(malformed(4, 0, "bytes without a pattern"))
        }
    }

    fn check_indices(&self) -> Result<(), PackError> {
        let is_rule = |rule: u32| usize::try_from(rule).is_ok_and(|rule| rule < self.rules.len());
        let mut previous: Option<&[u8]> = None;
        for (number, record) in self.sha256.iter().enumerate() {
            let digest = &record[..32];
            if previous.is_some_and(|previous| digest <= previous) {
                return Err(malformed(5, number, "digests are not sorted"));
            }
            previous = Some(digest);
            if !is_rule(layout::u32_at(record, 32)) {
                return Err(malformed(5, number, "no such rule"));
            }
        }
        let mut previous = "";
        for (number, record) in self.domains.iter().enumerate() {
            let wrong = |what| malformed(6, number, what);
            let name = self.strings.get(Span::decode(record, 0).range());
            let name = name.filter(|name| forms::is_domain(name));
            let name = name.ok_or_else(|| wrong("bad domain name"))?;
            if name <= previous {
                return Err(wrong("domain names are not sorted"));
            }
            previous = name;
            if !is_rule(layout::u32_at(record, 8)) {
                return Err(wrong("no such rule"));
            }
        }
        Ok(())
    }

    fn pattern(&self, record: PatternRecord) -> Option<PatternView<'a>> {
        let range = record.value.range();
        let value = self.pattern_bytes.get(range.clone())?;
        let mask = self
            .pattern_bytes
            .get(range.end..range.end.checked_add(range.len())?)?;
        let PatternRecord {
            offset_bytes, form, ..
        } = record;
        Some(PatternView {
            form,
            offset_bytes,
            value,
            mask,
        })
    }
}

fn malformed(section: usize, record: usize, what: &'static str) -> PackError {
    PackError::Malformed {
        section: layout::SECTION_NAMES[section],
        record,
        what,
    }
}
