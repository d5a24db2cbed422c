//! Relations between packages: `Depends`, `Pre-Depends`, `Provides` (Debian Policy 7.1, 7.5).
//!
//! `a (>= 1) | b, c`: groups separated by commas, alternatives by bars. An architecture qualifier
//! (`:any`) is read and dropped, as one closure has one architecture. Deliberately absent:
//! architecture and build-profile restrictions, which binary indexes do not carry.

use std::cmp::Ordering;
use std::fmt;

use crate::names::{is_package_name, is_version};
use crate::version::compare;

/// Most groups in one field.
const GROUPS_MAX: usize = 4096;
/// Most alternatives in one group.
const ALTERNATIVES_MAX: usize = 256;

/// How a version must compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<<`
    Earlier,
    /// `<=`
    EarlierOrEqual,
    /// `=`
    Equal,
    /// `>=`
    LaterOrEqual,
    /// `>>`
    Later,
}

/// One name with an optional demand on the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relation<'a> {
    /// The package's name, or a virtual one.
    pub name: &'a str,
    /// The demand.
    pub version: Option<(Operator, &'a str)>,
}

impl Relation<'_> {
    /// Whether a package of that name and version meets the demand.
    pub fn accepts(&self, version: &str) -> bool {
        let Some((operator, wanted)) = self.version else {
            return true;
        };
        let order = compare(version, wanted);
        match operator {
            Operator::Earlier => order == Ordering::Less,
            Operator::EarlierOrEqual => order != Ordering::Greater,
            Operator::Equal => order == Ordering::Equal,
            Operator::LaterOrEqual => order != Ordering::Less,
            Operator::Later => order == Ordering::Greater,
        }
    }
}

impl fmt::Display for Relation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        let Some((operator, version)) = self.version else {
            return Ok(());
        };
        let operator = match operator {
            Operator::Earlier => "<<",
            Operator::EarlierOrEqual => "<=",
            Operator::Equal => "=",
            Operator::LaterOrEqual => ">=",
            Operator::Later => ">>",
        };
        write!(f, " ({operator} {version})")
    }
}

/// Why a relation field is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a relation between packages")]
pub struct RelationError {
    /// The part that cannot be read, cut to 200 characters.
    pub found: String,
}

/// Reads a field into groups of alternatives.
///
/// # Errors
/// Anything that is not the syntax of Policy 7.1.
pub fn parse(field: &str) -> Result<Vec<Vec<Relation<'_>>>, RelationError> {
    let mut groups = Vec::new();
    for group in field.split(',') {
        // An empty group comes from a trailing comma, which dpkg accepts.
        if group.trim().is_empty() {
            continue;
        }
        let mut alternatives = Vec::new();
        for text in group.split('|') {
            let relation = parse_one(text.trim());
            let is_full = alternatives.len() == ALTERNATIVES_MAX || groups.len() == GROUPS_MAX;
            match relation {
                Some(relation) if !is_full => alternatives.push(relation),
                _ => {
                    return Err(RelationError {
                        found: text.trim().chars().take(200).collect(),
                    });
                }
            }
        }
        groups.push(alternatives);
    }
    Ok(groups)
}

fn parse_one(text: &str) -> Option<Relation<'_>> {
    let (name, version) = match text.split_once('(') {
        Some((name, demand)) => (name.trim(), Some(demand.strip_suffix(')')?.trim())),
        None => (text, None),
    };
    let name = name.split_once(':').map_or(name, |(name, _)| name);
    if !is_package_name(name) {
        return None;
    }
    let version = match version {
        None => None,
        Some(demand) => {
            let (operator, version) = [
                ("<<", Operator::Earlier),
                ("<=", Operator::EarlierOrEqual),
                (">=", Operator::LaterOrEqual),
                (">>", Operator::Later),
                ("=", Operator::Equal),
            ]
            .into_iter()
            .find_map(|(sign, operator)| Some((operator, demand.strip_prefix(sign)?.trim())))?;
            Some((
                operator,
                Some(version).filter(|version| is_version(version))?,
            ))
        }
    };
    Some(Relation { name, version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_alternatives_and_versions() {
        let groups = parse("libc6 (>= 2.36), awk | mawk:any (<<2), foo (= 1:2-3) ,").unwrap();
        let shown: Vec<Vec<String>> = groups
            .iter()
            .map(|group| group.iter().map(ToString::to_string).collect())
            .collect();
        assert_eq!(
            shown,
            [
                vec!["libc6 (>= 2.36)"],
                vec!["awk", "mawk (<< 2)"],
                vec!["foo (= 1:2-3)"]
            ]
        );
        assert_eq!(parse("").unwrap(), Vec::<Vec<Relation>>::new());
    }

    #[test]
    fn demands_compare_versions() {
        let cases = [
            ("aa (<< 2)", "1", true),
            ("aa (<< 2)", "2", false),
            ("aa (<= 2)", "2", true),
            ("aa (= 2)", "2-0", true),
            ("aa (>= 2)", "1.9", false),
            ("aa (>> 2)", "2~", false),
            ("aa (>> 2)", "2.1", true),
            ("aa", "0", true),
        ];
        for (field, version, expected) in cases {
            let groups = parse(field).unwrap();
            assert_eq!(groups[0][0].accepts(version), expected, "{field} {version}");
        }
    }

    #[test]
    fn hostile_fields_are_refused() {
        for field in [
            "a b",
            "aa (",
            "aa (> 1)",
            "aa ()",
            "aa (>= )",
            "aa (>= 1) x",
            "|",
            "aa | ",
        ] {
            assert!(parse(field).is_err(), "{field}");
        }
        assert!(parse(&"aa,".repeat(5000)).is_err());
    }
}
