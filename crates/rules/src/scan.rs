//! Scanning: which rules match the contents of a buffer.
//!
//! Each pattern that may start anywhere is filed under the values of its most telling byte; one
//! pass over the buffer compares only the patterns filed under the byte at hand. Anchored patterns
//! are compared once. Cost: buffer length × patterns that share a byte value, at worst × their
//! length.
//!
//! Deliberately absent: streaming, files, unpacking, and the automaton that a scanner in a product
//! would use; this is the reference that says what a match is.

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::limits;
use crate::pack::{Pack, PatternView, RuleView};
use crate::rule::{Condition, Indicator};

/// Why a buffer was not scanned.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ScanError {
    /// Longer than [`limits::SCAN_BYTES_MAX`].
    #[error("contents are too long to scan: at most {max_bytes} bytes, found {found_bytes}")]
    TooLong {
        /// Its length.
        found_bytes: usize,
        /// The bound.
        max_bytes: usize,
    },
}

/// One rule that matches.
#[derive(Debug, Clone, Copy)]
pub struct Hit<'a> {
    /// The rule.
    pub rule: RuleView<'a>,
    /// Where the first of its patterns that were found begins, in bytes; `None` when the digest of
    /// the whole buffer is listed.
    pub offset_bytes: Option<usize>,
}

/// A pack prepared for scanning; worth keeping for many buffers.
#[derive(Debug)]
pub struct Scanner<'a> {
    pack: Pack<'a>,
    patterns: Vec<Filed<'a>>,
    anchored: Vec<usize>,
    by_byte: Vec<Vec<usize>>, // 256 lists of indices into `patterns`
    rules: Vec<(RuleView<'a>, std::ops::Range<usize>)>,
}

#[derive(Debug)]
struct Filed<'a> {
    view: PatternView<'a>,
    telling: usize, // index of the byte under whose values it is filed
}

impl<'a> Scanner<'a> {
    /// Files all patterns of `pack`.
    pub fn new(pack: &Pack<'a>) -> Self {
        let mut scanner = Self {
            pack: *pack,
            patterns: Vec::new(),
            anchored: Vec::new(),
            by_byte: vec![Vec::new(); 256],
            rules: Vec::new(),
        };
        for rule in pack.rules() {
            let first = scanner.patterns.len();
            for view in rule.patterns() {
                scanner.file(view);
            }
            if scanner.patterns.len() > first {
                scanner.rules.push((rule, first..scanner.patterns.len()));
            }
        }
        scanner
    }

    fn file(&mut self, view: PatternView<'a>) {
        let index = self.patterns.len();
        let bits = |at: &usize| view.mask[*at].count_ones();
        let telling = (0..view.mask.len()).rev().max_by_key(bits).unwrap_or(0);
        self.patterns.push(Filed { view, telling });
        if view.offset_bytes.is_some() {
            self.anchored.push(index);
            return;
        }
        for byte in 0..=u8::MAX {
            if byte & view.mask[telling] == view.value[telling] {
                self.by_byte[usize::from(byte)].push(index);
            }
        }
    }

    /// All rules that match `buffer` as the contents of a whole file, sorted by id.
    ///
    /// # Errors
    /// When `buffer` is longer than [`limits::SCAN_BYTES_MAX`].
    pub fn scan(&self, buffer: &[u8]) -> Result<Vec<Hit<'a>>, ScanError> {
        if buffer.len() > limits::SCAN_BYTES_MAX {
            let (found_bytes, max_bytes) = (buffer.len(), limits::SCAN_BYTES_MAX);
            return Err(ScanError::TooLong {
                found_bytes,
                max_bytes,
            });
        }
        let found = self.find(buffer);
        let mut hits: Vec<Hit<'a>> = Vec::new();
        for (rule, patterns) in &self.rules {
            let places = &found[patterns.clone()];
            let matches = match rule.condition() {
                Condition::All => places.iter().all(Option::is_some),
                Condition::Any => places.iter().any(Option::is_some),
            };
            if matches {
                let offset_bytes = places.iter().flatten().min().copied();
                hits.push(Hit {
                    rule: *rule,
                    offset_bytes,
                });
            }
        }
        let digest = Indicator::Sha256(Sha256::digest(buffer).into());
        for rule in self.pack.lookup(&digest) {
            match hits.binary_search_by_key(&rule.number(), |hit| hit.rule.number()) {
                Ok(at) => hits[at].offset_bytes = None,
                Err(at) => hits.insert(
                    at,
                    Hit {
                        rule,
                        offset_bytes: None,
                    },
                ),
            }
        }
        Ok(hits)
    }

    /// The first place of each pattern.
    fn find(&self, buffer: &[u8]) -> Vec<Option<usize>> {
        let mut found = vec![None; self.patterns.len()];
        for index in &self.anchored {
            let view = self.patterns[*index].view;
            let offset = view
                .offset_bytes
                .and_then(|offset| usize::try_from(offset).ok());
            found[*index] = offset.filter(|offset| occurs_at(view, buffer, *offset));
        }
        for (at, byte) in buffer.iter().enumerate() {
            for index in &self.by_byte[usize::from(*byte)] {
                let Filed { view, telling } = &self.patterns[*index];
                if found[*index].is_none() {
                    let start = at.checked_sub(*telling);
                    found[*index] = start.filter(|start| occurs_at(*view, buffer, *start));
                }
            }
        }
        found
    }
}

fn occurs_at(view: PatternView<'_>, buffer: &[u8], start: usize) -> bool {
    let Some(window) = buffer.get(start..start.saturating_add(view.value.len())) else {
        return false;
    };
    let agrees = |((byte, value), mask): ((&u8, &u8), &u8)| byte & mask == *value;
    window.iter().zip(view.value).zip(view.mask).all(agrees)
}
