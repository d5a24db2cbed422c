//! From package names to a closure: everything they depend on, directly or not.
//!
//! Newest version of each name; `Pre-Depends` and `Depends`; breadth first. Dependencies with only
//! one possible answer are taken first; of the others, each that is still open at the end takes its
//! first satisfiable alternative. A real package is preferred to one that provides its name;
//! providers go by name. Deliberately absent: `Recommends`, `Conflicts` and `Breaks` (files that
//! collide are refused when the root is made), and Essential packages, which nothing depends on: a
//! recipe names what it needs of them.

use std::collections::{BTreeMap, VecDeque};

use crate::packages::{BinaryPackage, PackageIndex};
use crate::relation::{self, Relation, RelationError};

/// Most packages in one closure.
pub const CLOSURE_MAX: usize = 16_384;

/// Why no closure was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DependencyError {
    /// A package asked for does not exist.
    #[error("the suite has no package {name}")]
    Unknown {
        /// The package.
        name: String,
    },
    /// A dependency that nothing in the suite meets.
    #[error("{package} needs {relation}, which nothing in the suite provides")]
    Unsatisfiable {
        /// Who needs it.
        package: String,
        /// What is needed.
        relation: String,
    },
    /// A dependency that only another version of a chosen package would meet.
    #[error("{package} needs {relation}, but version {chosen} was chosen already")]
    Conflicting {
        /// Who needs it.
        package: String,
        /// What is needed.
        relation: String,
        /// The version that was chosen.
        chosen: String,
    },
    /// A dependency field cannot be read.
    #[error("the dependencies of {package} cannot be read: {source}")]
    Relation {
        /// The package.
        package: String,
        /// Why.
        source: RelationError,
    },
    /// More than [`CLOSURE_MAX`] packages.
    #[error("the closure has more than {CLOSURE_MAX} packages")]
    TooLarge,
}

/// The closure of `names`, by name.
///
/// # Errors
/// See [`DependencyError`].
pub fn closure<'i, 'a>(
    index: &'i PackageIndex<'a>,
    names: &[String],
) -> Result<Vec<&'i BinaryPackage<'a>>, DependencyError> {
    let mut state = State {
        index,
        chosen: BTreeMap::new(),
        queue: VecDeque::new(),
    };
    for name in names {
        match index.named(name).next() {
            Some(package) => state.choose(package)?,
            None => return Err(DependencyError::Unknown { name: name.clone() }),
        }
    }
    let mut open = VecDeque::new();
    loop {
        while let Some(package) = state.queue.pop_front() {
            for field in package.depends {
                let groups =
                    relation::parse(field).map_err(|source| DependencyError::Relation {
                        package: package.name.to_owned(),
                        source,
                    })?;
                for group in groups {
                    if !state.is_met(&group) {
                        match state.candidates(&group).as_slice() {
                            [] => return Err(state.explain(package, &group)),
                            [only] => state.choose(only)?,
                            _ => open.push_back((package, group)),
                        }
                    }
                }
            }
        }
        let Some((package, group)) = open.pop_front() else {
            break;
        };
        if state.is_met(&group) {
            continue;
        }
        match state.candidates(&group).first() {
            Some(first) => state.choose(first)?,
            None => return Err(state.explain(package, &group)),
        }
    }
    Ok(state.chosen.into_values().collect())
}

struct State<'i, 'a> {
    index: &'i PackageIndex<'a>,
    chosen: BTreeMap<&'a str, &'i BinaryPackage<'a>>,
    queue: VecDeque<&'i BinaryPackage<'a>>,
}

impl<'i, 'a> State<'i, 'a> {
    fn choose(&mut self, package: &'i BinaryPackage<'a>) -> Result<(), DependencyError> {
        if self.chosen.len() == CLOSURE_MAX {
            return Err(DependencyError::TooLarge);
        }
        if self.chosen.insert(package.name, package).is_none() {
            self.queue.push_back(package);
        }
        Ok(())
    }

    fn is_chosen(&self, package: &BinaryPackage<'a>) -> bool {
        self.chosen
            .get(package.name)
            .is_some_and(|chosen| chosen.version == package.version)
    }

    /// Whether a chosen package meets one of the alternatives.
    fn is_met(&self, group: &[Relation<'_>]) -> bool {
        group.iter().any(|relation| {
            let by_name = self.chosen.get(relation.name);
            by_name.is_some_and(|package| relation.accepts(package.version))
                || self
                    .index
                    .providing(relation.name)
                    .any(|(package, version)| {
                        provides(relation, version) && self.is_chosen(package)
                    })
        })
    }

    /// The packages that could be added to meet the group, best first, at most one version of a
    /// name for each alternative.
    fn candidates(&self, group: &[Relation<'_>]) -> Vec<&'i BinaryPackage<'a>> {
        let mut found: Vec<&'i BinaryPackage<'a>> = Vec::new();
        let mut add = |package: &'i BinaryPackage<'a>| {
            // A name that is chosen in another version cannot be chosen again.
            let is_free = !self.chosen.contains_key(package.name);
            if is_free && !found.iter().any(|known| known.name == package.name) {
                found.push(package);
            }
        };
        let index = self.index;
        for relation in group {
            let real = index
                .named(relation.name)
                .find(|p| relation.accepts(p.version));
            if let Some(package) = real {
                add(package);
                continue;
            }
            for (package, version) in index.providing(relation.name) {
                // An older version's provisions do not count: the newest is what is chosen.
                let is_newest = index
                    .named(package.name)
                    .next()
                    .is_some_and(|newest| newest.version == package.version);
                if is_newest && provides(relation, version) {
                    add(package);
                }
            }
        }
        found
    }

    fn explain(&self, package: &BinaryPackage<'a>, group: &[Relation<'_>]) -> DependencyError {
        let text: Vec<String> = group.iter().map(ToString::to_string).collect();
        let relation = text.join(" | ");
        let package = package.name.to_owned();
        match group
            .iter()
            .find_map(|relation| self.chosen.get(relation.name))
        {
            Some(chosen) => DependencyError::Conflicting {
                package,
                relation,
                chosen: chosen.version.to_owned(),
            },
            None => DependencyError::Unsatisfiable { package, relation },
        }
    }
}

/// Policy 7.5: an unversioned provision meets only unversioned demands.
fn provides(relation: &Relation<'_>, version: Option<&str>) -> bool {
    match version {
        Some(version) => relation.accepts(version),
        None => relation.version.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `name version; field: value; …` for each package.
    fn index_text(packages: &[&str]) -> String {
        let entry = |package: &&str| {
            let (identity, fields) = package.split_once("; ").unwrap_or((package, ""));
            let (name, version) = identity.split_once(' ').unwrap();
            format!(
                "Package: {name}\nVersion: {version}\nArchitecture: all\nFilename: pool/{name}\n\
                 Size: 1\nSHA256: {}\n{}\n",
                "00".repeat(32),
                fields.replace("; ", "\n")
            )
        };
        packages.iter().map(entry).collect::<Vec<_>>().join("\n")
    }

    fn resolve(packages: &[&str], names: &[&str]) -> Result<Vec<String>, DependencyError> {
        let text = index_text(packages);
        let index = PackageIndex::parse(&text, "amd64").unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let found = closure(&index, &names)?;
        Ok(found
            .iter()
            .map(|p| format!("{}={}", p.name, p.version))
            .collect())
    }

    #[test]
    fn both_kinds_of_dependency_are_followed_to_the_end() {
        let packages = [
            "aa 1; Depends: bb",
            "bb 1; Pre-Depends: cc (>= 2)",
            "cc 1",
            "cc 2",
            "dd 1",
        ];
        assert_eq!(
            resolve(&packages, &["aa"]).unwrap(),
            ["aa=1", "bb=1", "cc=2"]
        );
    }

    #[test]
    fn cycles_end() {
        let packages = ["aa 1; Depends: bb", "bb 1; Depends: aa, bb"];
        assert_eq!(resolve(&packages, &["aa"]).unwrap(), ["aa=1", "bb=1"]);
    }

    #[test]
    fn what_is_chosen_anyway_answers_an_alternative() {
        let packages = [
            "aa 1; Depends: xx | yy, bb",
            "bb 1; Depends: yy",
            "xx 1",
            "yy 1",
        ];
        assert_eq!(
            resolve(&packages, &["aa"]).unwrap(),
            ["aa=1", "bb=1", "yy=1"]
        );
    }

    #[test]
    fn otherwise_the_first_satisfiable_alternative_is_taken() {
        let packages = ["aa 1; Depends: xx (>= 2) | nn | yy", "xx 1", "yy 1"];
        assert_eq!(resolve(&packages, &["aa"]).unwrap(), ["aa=1", "yy=1"]);
    }

    #[test]
    fn provided_names_are_met_by_provider_name_order() {
        let packages = [
            "aa 1; Depends: vv",
            "pp 1; Provides: vv",
            "oo 1; Provides: vv (= 2)",
        ];
        assert_eq!(resolve(&packages, &["aa"]).unwrap(), ["aa=1", "oo=1"]);
        assert_eq!(resolve(&packages, &["aa", "pp"]).unwrap(), ["aa=1", "pp=1"]);
    }

    #[test]
    fn a_versioned_demand_needs_a_versioned_provision() {
        let packages = [
            "aa 1; Depends: vv (>= 2)",
            "oo 1; Provides: vv",
            "pp 1; Provides: vv (= 2)",
        ];
        assert_eq!(resolve(&packages, &["aa"]).unwrap(), ["aa=1", "pp=1"]);
    }

    #[test]
    fn a_real_package_is_preferred_to_a_provider() {
        let packages = ["aa 1; Depends: vv", "oo 1; Provides: vv", "vv 1"];
        assert_eq!(resolve(&packages, &["aa"]).unwrap(), ["aa=1", "vv=1"]);
    }

    #[test]
    fn failures_say_who_needs_what() {
        let unknown = resolve(&[], &["aa"]).unwrap_err();
        assert_eq!(unknown.to_string(), "the suite has no package aa");
        let packages = ["aa 1; Depends: bb (>= 2) | cc", "bb 1"];
        let missing = resolve(&packages, &["aa"]).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "aa needs bb (>= 2) | cc, which nothing in the suite provides"
        );
        let packages = ["aa 1; Depends: bb (= 1)", "bb 1", "bb 2"];
        let conflict = resolve(&packages, &["bb", "aa"]).unwrap_err();
        assert_eq!(
            conflict.to_string(),
            "aa needs bb (= 1), but version 2 was chosen already"
        );
    }
}
