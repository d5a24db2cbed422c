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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::parse;

    /// Rules with the given ids and lines, one after the other, checked as one database.
    fn findings(rules: &[(&str, &str)]) -> Vec<String> {
        let rules: Vec<String> = rules
            .iter()
            .map(|(id, lines)| {
                format!("rule {id}\nrevision 1\nseverity low\ntitle \"t\"\n{lines}\nend\n")
            })
            .collect();
        let text = rules.concat();
        let findings = check(parse("f", text.as_bytes()).unwrap())
            .err()
            .unwrap_or_default();
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_rule_must_say_something_once() {
        for (lines, expected) in [
            ("tag a", "f:1:6: rule A has no matcher"),
            (
                "domain a.example\ncondition any",
                "f:6:11: `condition` in rule A, which has no",
            ),
            (
                "text \"abc\"",
                "f:5:1: pattern is too weak to match alone: at least 4 whole bytes",
            ),
            ("bytes 4d ?? 5a 00 0?", "f:5:1: pattern is too weak"),
            (
                "condition any\ntext \"abcd\"\ntext \"ab\"",
                "f:7:1: pattern is too weak",
            ),
            (
                "text \"abcd\"\ntext \"abcd\"",
                "f:6:1: the same pattern stands at f:5:1",
            ),
            (
                "text nocase \"abcd\"\ntext nocase \"ABCD\"",
                "f:6:1: the same pattern",
            ),
            (
                "domain a.example\ndomain a.example",
                "f:6:8: the same domain stands at f:5:8",
            ),
            (
                "domain a.example\ntag a\ntag a",
                "f:7:5: the same tag stands at f:6:5",
            ),
        ] {
            let found = findings(&[("A", lines)]);
            assert_eq!(found.len(), 1, "{lines}: {found:?}");
            assert!(found[0].starts_with(expected), "{lines}: {}", found[0]);
        }
        let many: Vec<String> = (0..=limits::PATTERNS_MAX)
            .map(|n| format!("text \"abc{n}\""))
            .collect();
        let many = many.join("\n");
        assert_eq!(
            findings(&[("A", &many)]),
            ["f:1:6: too many patterns: at most 64, found 65"]
        );
    }

    #[test]
    fn rules_do_not_overlap() {
        let digest = format!("sha256 {}", "00".repeat(32));
        for (first, second, expected) in [
            (
                "domain a.example",
                "domain a.example",
                "f:11:8: the same domain stands at f:5:8",
            ),
            (&digest, &digest, "f:11:8: the same sha256 stands at f:5:8"),
            (
                "text \"abcd\"",
                "condition any\ntext \"abcd\"",
                "f:7:6: rule B has the same patterns",
            ),
        ] {
            let found = findings(&[("A", first), ("B", second)]);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with(expected), "{}", found[0]);
        }
        let same_id = findings(&[("A", "domain a.example"), ("A", "domain b.example")]);
        assert_eq!(same_id, ["f:7:6: rule id A is taken: first used at f:1:6"]);
    }

    #[test]
    fn what_may_be_shared_is_shared() {
        let magic = "bytes at 0 4d 5a\ntext \"one thing\"";
        let other = "bytes at 0 4d 5a\ntext \"another\"";
        assert_eq!(findings(&[("A", magic), ("B", other)]), [""; 0]);
        assert_eq!(
            findings(&[("A", "domain example.test"), ("B", "domain a.example.test")]),
            [""; 0]
        );
    }

    #[test]
    fn all_findings_are_reported_in_order() {
        let found = findings(&[("A", "tag a"), ("B", "text \"x\""), ("A", "tag b")]);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(
            found.is_sorted_by_key(|text| text.split(':').nth(1).unwrap().parse::<u32>().unwrap())
        );
    }
}
