//! The checker: what a set of well-formed rules must satisfy before it can be compiled.
//!
//! [`check`] turns [`SourceRule`]s into a [`RuleSet`] or reports every finding, in the order of
//! places. There are no warnings: a finding that may stay is a finding nobody reads.
//!
//! Rules about single values (forms, lengths) are the parser's; this file holds those about a whole
//! rule (something to match, no weak patterns, nothing twice) and about the database (ids, digests
//! and domain names belong to one rule each; no two rules match contents for the same reason).

use std::collections::BTreeMap;

use crate::limits;
use crate::problem::Problem;
use crate::rule::{Condition, Pattern, Rule};
use crate::source::{Place, Placed, SourceError, SourceRule};

/// Checked rules, sorted by id: all that [`crate::compile()`] accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSet {
    rules: Vec<Rule>,
}

impl RuleSet {
    /// The rules, sorted by id; each one's lists are sorted as well.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

/// Checks all rules of one database against themselves and each other.
///
/// # Errors
/// Every finding, sorted by place.
pub fn check(sources: Vec<SourceRule>) -> Result<RuleSet, Vec<SourceError>> {
    let mut findings = Findings::default();
    check_count(&sources, &mut findings);
    for source in &sources {
        check_rule(source, &mut findings);
    }
    check_database(&sources, &mut findings);
    if findings.0.is_empty() {
        let mut rules: Vec<Rule> = sources.into_iter().map(rule_of).collect();
        rules.sort_by(|left, right| left.id.cmp(&right.id));
        return Ok(RuleSet { rules });
    }
    findings
        .0
        .sort_by(|left, right| left.place.cmp(&right.place));
    Err(findings.0)
}

#[derive(Default)]
struct Findings(Vec<SourceError>);

impl Findings {
    fn add(&mut self, place: &Place, problem: Problem) {
        self.0.push(SourceError {
            place: place.clone(),
            problem,
        });
    }

    fn bound(&mut self, place: &Place, what: &'static str, found: usize, max: usize) {
        if found > max {
            self.add(place, Problem::TooMany { what, found, max });
        }
    }

    /// Reports each value that was seen before.
    fn duplicates<'a, T: Ord + 'a>(
        &mut self,
        kind: &'static str,
        values: impl IntoIterator<Item = &'a Placed<T>>,
    ) {
        let mut seen = BTreeMap::new();
        for Placed { place, value } in values {
            if let Some(first) = seen.get(value) {
                let first: &&Place = first;
                self.add(
                    place,
                    Problem::Duplicate {
                        kind,
                        first: first.to_string(),
                    },
                );
            } else {
                seen.insert(value, place);
            }
        }
    }
}

fn check_count(sources: &[SourceRule], findings: &mut Findings) {
    if let Some(extra) = sources.get(limits::RULES_MAX) {
        findings.bound(&extra.id.place, "rules", sources.len(), limits::RULES_MAX);
    }
}

fn check_rule(source: &SourceRule, findings: &mut Findings) {
    let place = &source.id.place;
    let id = || source.id.value.clone();
    findings.bound(place, "tags", source.tags.len(), limits::LABELS_MAX);
    findings.bound(
        place,
        "references",
        source.references.len(),
        limits::LABELS_MAX,
    );
    findings.bound(
        place,
        "patterns",
        source.patterns.len(),
        limits::PATTERNS_MAX,
    );
    findings.bound(
        place,
        "file digests",
        source.sha256.len(),
        limits::INDICATORS_MAX,
    );
    findings.bound(
        place,
        "domain names",
        source.domains.len(),
        limits::INDICATORS_MAX,
    );
    findings.duplicates("tag", &source.tags);
    findings.duplicates("reference", &source.references);
    findings.duplicates("pattern", &source.patterns);
    if source.patterns.is_empty() && source.sha256.is_empty() && source.domains.is_empty() {
        findings.add(place, Problem::NoMatcher { id: id() });
    }
    match &source.condition {
        Some(condition) if source.patterns.is_empty() => {
            findings.add(
                &condition.place,
                Problem::ConditionWithoutPattern { id: id() },
            );
        }
        Some(Placed {
            value: Condition::Any,
            ..
        }) => {
            for pattern in &source.patterns {
                check_strength(pattern, findings);
            }
        }
        // When all must occur it is enough that the strongest of them means something.
        _ => {
            if let Some(strongest) = source.patterns.iter().max_by_key(|p| p.value.fixed_bytes()) {
                check_strength(strongest, findings);
            }
        }
    }
}

fn check_strength(pattern: &Placed<Pattern>, findings: &mut Findings) {
    let (found, min) = (pattern.value.fixed_bytes(), limits::PATTERN_FIXED_BYTES_MIN);
    if found < min {
        findings.add(&pattern.place, Problem::PatternTooWeak { found, min });
    }
}

fn check_database(sources: &[SourceRule], findings: &mut Findings) {
    findings.duplicates("sha256", sources.iter().flat_map(|source| &source.sha256));
    findings.duplicates("domain", sources.iter().flat_map(|source| &source.domains));
    let mut ids: BTreeMap<&str, &Place> = BTreeMap::new();
    let mut reasons: BTreeMap<(Condition, Vec<&Pattern>), &str> = BTreeMap::new();
    for source in sources {
        let Placed { place, value: id } = &source.id;
        if let Some(first) = ids.get(id.as_str()) {
            let (id, first) = (id.clone(), first.to_string());
            findings.add(place, Problem::DuplicateId { id, first });
            continue;
        }
        ids.insert(id, place);
        if source.patterns.is_empty() {
            continue;
        }
        let mut patterns: Vec<&Pattern> = source.patterns.iter().map(|p| &p.value).collect();
        patterns.sort();
        // One pattern alone means the same under either condition.
        let condition = if patterns.len() == 1 {
            Condition::All
        } else {
            condition_of(source)
        };
        if let Some(other) = reasons.get(&(condition, patterns.clone())) {
            let (id, other) = (id.clone(), (*other).to_owned());
            findings.add(place, Problem::SamePatterns { id, other });
        } else {
            reasons.insert((condition, patterns), id);
        }
    }
}

fn condition_of(source: &SourceRule) -> Condition {
    source
        .condition
        .as_ref()
        .map_or(Condition::All, |condition| condition.value)
}

fn rule_of(source: SourceRule) -> Rule {
    fn sorted<T: Ord>(placed: Vec<Placed<T>>) -> Vec<T> {
        let mut values: Vec<T> = placed.into_iter().map(|placed| placed.value).collect();
        values.sort();
        values
    }
    Rule {
        condition: condition_of(&source),
        id: source.id.value,
        revision: source.revision,
        severity: source.severity,
        title: source.title,
        tags: sorted(source.tags),
        references: sorted(source.references),
        patterns: sorted(source.patterns),
        sha256: sorted(source.sha256),
        domains: sorted(source.domains),
    }
}
