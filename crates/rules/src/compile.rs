//! The compiler: [`RuleSet`] + [`Stamp`] → the bytes of one pack, as [`crate::layout`] has it.
//!
//! Pure and deterministic: equal rules and stamps give equal bytes on every machine. Deliberately
//! absent: checks on rules (a [`RuleSet`] is checked) and reading the clock.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::check::RuleSet;
use crate::layout::{self, Header, PatternRecord, RECORD_BYTES, RuleRecord, SECTIONS, Span};
use crate::limits;
use crate::rule::{Rule, forms};

/// What a pack says about itself besides its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    product_version: String,
    build_epoch: u64,
}

impl Stamp {
    /// `build_epoch` is in Unix seconds; take it from `SOURCE_DATE_EPOCH`, never from a clock.
    ///
    /// # Errors
    /// When the version is empty, longer than [`limits::VERSION_BYTES_MAX`] or holds anything but
    /// ASCII letters, digits and `. + ~ -`.
    pub fn new(product_version: &str, build_epoch: u64) -> Result<Self, CompileError> {
        if !forms::is_version(product_version) {
            return Err(CompileError::ProductVersion {
                found: product_version.to_owned(),
            });
        }
        Ok(Self {
            product_version: product_version.to_owned(),
            build_epoch,
        })
    }
}

/// Why there is no pack.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The product version does not have the form that [`Stamp::new`] asks for.
    #[error(
        "`{found}` is not a product version: expected 1 to 64 letters, digits and the characters \
         . + ~ -"
    )]
    ProductVersion {
        /// The version.
        found: String,
    },
    /// The pack would be larger than [`limits::PACK_BYTES_MAX`].
    #[error("pack is too large: at most {max_bytes} bytes, needs {needed_bytes}")]
    TooLarge {
        /// Bytes needed.
        needed_bytes: usize,
        /// The bound.
        max_bytes: usize,
    },
}

/// Compiles a pack.
///
/// # Errors
/// When the pack would be larger than [`limits::PACK_BYTES_MAX`].
pub fn compile(rules: &RuleSet, stamp: &Stamp) -> Result<Vec<u8>, CompileError> {
    let rules = rules.rules();
    // Offsets are 32 bits wide; the largest section is checked before any is computed.
    let upper_bound = rules.iter().map(bytes_at_most).sum::<usize>() + 2 * layout::SECTIONS_AT;
    if upper_bound > limits::PACK_BYTES_MAX {
        let (needed_bytes, max_bytes) = (upper_bound, limits::PACK_BYTES_MAX);
        return Err(CompileError::TooLarge {
            needed_bytes,
            max_bytes,
        });
    }
    let strings = Strings::collect(rules, stamp);
    let mut sections = Sections::default();
    for (number, rule) in rules.iter().enumerate() {
        sections.add(rule, position(number), &strings);
    }
    let version = strings.span(&stamp.product_version);
    let sections: [Vec<u8>; SECTIONS] = [
        strings.bytes,
        sections.rules,
        sections.labels,
        sections.patterns,
        sections.pattern_bytes,
        indexed(sections.sha256),
        indexed(sections.domains),
    ];
    Ok(assemble(&sections, stamp, version))
}

fn assemble(sections: &[Vec<u8>; SECTIONS], stamp: &Stamp, version: Span) -> Vec<u8> {
    let mut directory = Vec::new();
    let mut end = layout::SECTIONS_AT;
    for (index, section) in sections.iter().enumerate() {
        let start = layout::aligned(end);
        end = start + section.len();
        directory.extend((position(index) + 1).to_le_bytes());
        directory.extend(position(RECORD_BYTES[index]).to_le_bytes());
        directory.extend((start as u64).to_le_bytes());
        directory.extend((section.len() as u64).to_le_bytes());
        directory.extend(((section.len() / RECORD_BYTES[index]) as u64).to_le_bytes());
        directory.extend(Sha256::digest(section));
    }
    let header = Header {
        build_epoch: stamp.build_epoch,
        pack_bytes: end as u64,
        version,
    };
    let mut pack = header.encode();
    pack.extend(directory);
    let digest = Sha256::digest(&pack);
    pack.extend(digest);
    for section in sections {
        pack.resize(layout::aligned(pack.len()), 0);
        pack.extend(section);
    }
    pack
}

/// Never less than what `rule` adds to a pack.
fn bytes_at_most(rule: &Rule) -> usize {
    let labels = rule
        .tags
        .iter()
        .chain(&rule.references)
        .map(|label| label.len() + 8);
    let patterns = rule
        .patterns
        .iter()
        .map(|p| 2 * p.value().len() + layout::PATTERN_RECORD_BYTES);
    let domains = rule
        .domains
        .iter()
        .map(|name| name.len() + layout::DOMAIN_RECORD_BYTES);
    layout::RULE_RECORD_BYTES
        + rule.id.len()
        + rule.title.len()
        + labels.chain(patterns).chain(domains).sum::<usize>()
        + rule.sha256.len() * layout::SHA256_RECORD_BYTES
}

/// A position or count within a pack as its 32-bit field.
fn position(value: usize) -> u32 {
    // `compile` has refused what could exceed PACK_BYTES_MAX, which is less than 2^32.
    u32::try_from(value).expect("positions lie within PACK_BYTES_MAX")
}

/// Every string of the database once, in byte order.
struct Strings<'a> {
    bytes: Vec<u8>,
    spans: BTreeMap<&'a str, Span>,
}

impl<'a> Strings<'a> {
    fn collect(rules: &'a [Rule], stamp: &'a Stamp) -> Self {
        let mut texts = BTreeSet::from([stamp.product_version.as_str()]);
        for rule in rules {
            texts.extend([rule.id.as_str(), rule.title.as_str()]);
            let lists = rule
                .tags
                .iter()
                .chain(&rule.references)
                .chain(&rule.domains);
            texts.extend(lists.map(String::as_str));
        }
        let mut bytes = Vec::new();
        let mut spans = BTreeMap::new();
        for text in texts {
            spans.insert(
                text,
                Span {
                    first: position(bytes.len()),
                    count: position(text.len()),
                },
            );
            bytes.extend(text.as_bytes());
        }
        Self { bytes, spans }
    }

    fn span(&self, text: &str) -> Span {
        self.spans[text] // `collect` saw every string of the same rules
    }
}

#[derive(Default)]
struct Sections {
    rules: Vec<u8>,
    labels: Vec<u8>,
    patterns: Vec<u8>,
    pattern_bytes: Vec<u8>,
    sha256: BTreeMap<[u8; 32], [u8; layout::SHA256_RECORD_BYTES]>,
    domains: BTreeMap<String, [u8; layout::DOMAIN_RECORD_BYTES]>,
}

impl Sections {
    fn add(&mut self, rule: &Rule, number: u32, strings: &Strings<'_>) {
        let tags = self.add_labels(&rule.tags, strings);
        let references = self.add_labels(&rule.references, strings);
        let patterns = Span {
            first: position(self.patterns.len() / layout::PATTERN_RECORD_BYTES),
            count: position(rule.patterns.len()),
        };
        for pattern in &rule.patterns {
            let value = Span {
                first: position(self.pattern_bytes.len()),
                count: position(pattern.value().len()),
            };
            self.pattern_bytes.extend(pattern.value());
            self.pattern_bytes.extend(pattern.mask());
            let (offset_bytes, form) = (pattern.offset_bytes(), pattern.form());
            self.patterns.extend(
                PatternRecord {
                    value,
                    offset_bytes,
                    form,
                }
                .encode(),
            );
        }
        for digest in &rule.sha256 {
            self.sha256
                .insert(*digest, layout::sha256_record(digest, number));
        }
        for name in &rule.domains {
            let record = layout::domain_record(strings.span(name), number);
            self.domains.insert(name.clone(), record);
        }
        let record = RuleRecord {
            id: strings.span(&rule.id),
            title: strings.span(&rule.title),
            revision: rule.revision,
            severity: rule.severity,
            condition: rule.condition,
            tags,
            references,
            patterns,
        };
        self.rules.extend(record.encode());
    }

    fn add_labels(&mut self, labels: &[String], strings: &Strings<'_>) -> Span {
        let first = position(self.labels.len() / layout::LABEL_RECORD_BYTES);
        for label in labels {
            self.labels.extend(strings.span(label).encode());
        }
        Span {
            first,
            count: position(labels.len()),
        }
    }
}

/// The records of an index in the order of its keys.
fn indexed<K, const N: usize>(records: BTreeMap<K, [u8; N]>) -> Vec<u8> {
    records.into_values().flatten().collect()
}
