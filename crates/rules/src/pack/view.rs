//! One rule within a pack, read where it lies.
//!
//! Deliberately absent: checks. [`Pack::parse`] has made them all.

use super::Pack;
use crate::layout::{self, PatternRecord, RuleRecord, Span};
use crate::rule::{Condition, Pattern, PatternForm, Rule, Severity};

/// A pattern within a pack.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PatternView<'a> {
    pub(crate) form: PatternForm,
    pub(crate) offset_bytes: Option<u32>,
    pub(crate) value: &'a [u8],
    pub(crate) mask: &'a [u8],
}

/// A rule within a pack.
#[derive(Debug, Clone, Copy)]
pub struct RuleView<'a> {
    pub(super) pack: Pack<'a>,
    pub(super) number: usize, // of a record: `Pack` makes no other
}

impl<'a> RuleView<'a> {
    fn record(&self) -> RuleRecord {
        let record = &self.pack.rules[self.number];
        RuleRecord::decode(record).expect("Pack::parse decoded every rule record")
    }

    /// Its place in the order of ids.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Its name for ever.
    pub fn id(&self) -> &'a str {
        self.pack.text(&self.pack.rules[self.number], 0)
    }

    /// One line for people.
    pub fn title(&self) -> &'a str {
        self.pack.text(&self.pack.rules[self.number], 8)
    }

    /// Counts the changes of this rule, from 1.
    pub fn revision(&self) -> u32 {
        self.record().revision
    }

    /// How much a match matters.
    pub fn severity(&self) -> Severity {
        self.record().severity
    }

    /// How its patterns combine.
    pub fn condition(&self) -> Condition {
        self.record().condition
    }

    pub(crate) fn patterns(&self) -> impl Iterator<Item = PatternView<'a>> + use<'a> {
        let pack = self.pack;
        // `Pack::parse` saw that the range and each record in it are good.
        let records = pack
            .patterns
            .get(self.record().patterns.range())
            .unwrap_or_default();
        records
            .iter()
            .filter_map(move |record| pack.pattern(PatternRecord::decode(record)?))
    }

    /// The whole rule, owned. Cost: one pass over both indices, which do not lead from rules to
    /// indicators.
    pub fn to_rule(&self) -> Rule {
        let (pack, record) = (self.pack, self.record());
        let labels = |span: Span| {
            let records = pack.labels.get(span.range()).unwrap_or_default();
            records
                .iter()
                .map(|record| pack.text(record, 0).to_owned())
                .collect()
        };
        let is_own = |rule: u32| usize::try_from(rule).is_ok_and(|rule| rule == self.number);
        let own_digests = pack
            .sha256
            .iter()
            .filter(|record| is_own(layout::u32_at(record, 32)));
        let own_domains = pack
            .domains
            .iter()
            .filter(|record| is_own(layout::u32_at(record, 8)));
        let owned = |view: PatternView<'_>| {
            let (value, mask) = (view.value.to_vec(), view.mask.to_vec());
            Pattern::new(view.form, view.offset_bytes, value, mask).ok()
        };
        Rule {
            id: self.id().to_owned(),
            revision: record.revision,
            severity: record.severity,
            title: self.title().to_owned(),
            tags: labels(record.tags),
            references: labels(record.references),
            condition: record.condition,
            patterns: self.patterns().filter_map(owned).collect(),
            sha256: own_digests
                .filter_map(|record| record.first_chunk().copied())
                .collect(),
            domains: own_domains
                .map(|record| pack.text(record, 0).to_owned())
                .collect(),
        }
    }
}
