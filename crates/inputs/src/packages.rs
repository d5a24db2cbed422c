//! The index of binary packages: `Packages` (Debian repository format).
//!
//! One text, read once; entries borrow from it. Only what resolving and fetching need is kept.

use std::collections::HashMap;

use counterseal_attestation::Sha256Digest;

use crate::deb822::{self, Deb822Error};
use crate::names::{is_architecture, is_package_name, is_version};
use crate::relation::{self, RelationError};
use crate::relative_path::RelativePath;
use crate::version::compare;

/// Largest accepted index, uncompressed, in bytes.
pub const INDEX_BYTES_MAX: u64 = 1 << 30;

/// Why an index is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// Not control data.
    #[error(transparent)]
    Syntax(#[from] Deb822Error),
    /// A needed field is absent or unusable.
    #[error("the entry of `{package}` has no usable field `{field}`")]
    Field {
        /// The package, as far as it is known.
        package: String,
        /// The field.
        field: &'static str,
    },
    /// A relation field cannot be read.
    #[error("the entry of `{package}`: {source}")]
    Relation {
        /// The package.
        package: String,
        /// Why.
        source: RelationError,
    },
    /// The file is not what the signed `Release` lists.
    #[error("it does not match: expected sha256:{expected}, found sha256:{found}")]
    Mismatch {
        /// The listed digest.
        expected: Sha256Digest,
        /// The digest of what came.
        found: Sha256Digest,
    },
    /// It is larger than its bound, packed or unpacked.
    #[error("it has more than {size_bytes_max} bytes")]
    TooLarge {
        /// The bound.
        size_bytes_max: u64,
    },
    /// It cannot be decompressed.
    #[error("it cannot be decompressed: {reason}")]
    Compression {
        /// Why.
        reason: String,
    },
    /// Not UTF-8.
    #[error("it is not UTF-8 text")]
    NotText,
}

/// One binary package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinaryPackage<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Its architecture, possibly `all`.
    pub architecture: &'a str,
    /// `Pre-Depends`, then `Depends`, unread.
    pub depends: [&'a str; 2],
    /// Its path in the archive.
    pub path: RelativePath,
    /// Its digest.
    pub sha256: Sha256Digest,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// All packages of one architecture.
#[derive(Debug, Default)]
pub struct PackageIndex<'a> {
    packages: Vec<BinaryPackage<'a>>,
    by_name: HashMap<&'a str, Vec<usize>>,
    /// Virtual name → packages that provide it, with the version provided.
    providers: HashMap<&'a str, Vec<(usize, Option<&'a str>)>>,
}

impl<'a> PackageIndex<'a> {
    /// Reads an index and keeps the packages of `architecture` and of `all`.
    ///
    /// # Errors
    /// See [`IndexError`]; one bad entry refuses the whole index.
    pub fn parse(text: &'a str, architecture: &str) -> Result<Self, IndexError> {
        let mut index = Self::default();
        for paragraph in deb822::paragraphs(text) {
            let paragraph = paragraph?;
            let name = paragraph.field("Package").unwrap_or("");
            let bad = |field| IndexError::Field {
                package: name.to_owned(),
                field,
            };
            let field = |key: &'static str, is_valid: fn(&str) -> bool| {
                paragraph
                    .field(key)
                    .filter(|value| is_valid(value))
                    .ok_or_else(|| bad(key))
            };
            field("Package", is_package_name)?;
            let found = field("Architecture", is_architecture)?;
            if found != architecture && found != "all" {
                continue;
            }
            let position = index.packages.len();
            for relations in
                relation::parse(paragraph.field("Provides").unwrap_or("")).map_err(|source| {
                    IndexError::Relation {
                        package: name.to_owned(),
                        source,
                    }
                })?
            {
                for relation in relations {
                    let version = relation.version.map(|(_, version)| version);
                    index
                        .providers
                        .entry(relation.name)
                        .or_default()
                        .push((position, version));
                }
            }
            let path: RelativePath = field("Filename", |_| true)?
                .parse()
                .map_err(|_| bad("Filename"))?;
            if !path.as_str().starts_with("pool/") {
                return Err(bad("Filename"));
            }
            index.packages.push(BinaryPackage {
                name,
                version: field("Version", is_version)?,
                architecture: found,
                depends: ["Pre-Depends", "Depends"].map(|key| paragraph.field(key).unwrap_or("")),
                path,
                sha256: field("SHA256", |_| true)?
                    .parse()
                    .map_err(|_| bad("SHA256"))?,
                size_bytes: field("Size", |_| true)?.parse().map_err(|_| bad("Size"))?,
            });
            index.by_name.entry(name).or_default().push(position);
        }
        let packages = &index.packages;
        for versions in index.by_name.values_mut() {
            versions.sort_by(|a, b| compare(packages[*b].version, packages[*a].version));
        }
        for providers in index.providers.values_mut() {
            providers.sort_by(|(a, _), (b, _)| {
                let (a, b) = (&packages[*a], &packages[*b]);
                a.name
                    .cmp(b.name)
                    .then_with(|| compare(b.version, a.version))
            });
        }
        Ok(index)
    }

    /// The packages really of that name, newest first.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &BinaryPackage<'a>> {
        self.by_name
            .get(name)
            .into_iter()
            .flatten()
            .map(|position| &self.packages[*position])
    }

    /// The packages that provide that name, by name and then newest first, each with the version
    /// it provides.
    pub fn providing(
        &self,
        name: &str,
    ) -> impl Iterator<Item = (&BinaryPackage<'a>, Option<&'a str>)> {
        let providers = self.providers.get(name).into_iter().flatten();
        providers.map(|(position, version)| (&self.packages[*position], *version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, version: &str, extra: &str) -> String {
        format!(
            "Package: {name}\nVersion: {version}\nArchitecture: amd64\nFilename: \
             pool/{name}_{version}.deb\nSize: 3\nSHA256: {}\n{extra}\n",
            "cd".repeat(32)
        )
    }

    #[test]
    fn packages_are_found_newest_first() {
        let text = entry("aa", "1.9", "Provides: vv (= 3)\n")
            + &entry("aa", "1.10", "")
            + &entry("bb", "1", "Provides: vv\n").replace("amd64", "all")
            + &entry("aa", "9", "").replace("amd64", "arm64");
        let index = PackageIndex::parse(&text, "amd64").unwrap();
        assert_eq!(
            index.named("aa").map(|p| p.version).collect::<Vec<_>>(),
            ["1.10", "1.9"]
        );
        let providers: Vec<_> = index.providing("vv").map(|(p, v)| (p.name, v)).collect();
        assert_eq!(providers, [("aa", Some("3")), ("bb", None)]);
        assert_eq!(index.named("cc").count(), 0);
    }

    #[test]
    fn a_bad_entry_refuses_the_index() {
        let good = entry("aa", "1", "");
        for (from, to, field) in [
            ("Package: aa", "Package: ../a", "Package"),
            ("Version: 1", "Version: 1 1", "Version"),
            ("pool/", "../", "Filename"),
            ("pool/", "http://h.example/", "Filename"),
            ("pool/", "/pool/", "Filename"),
            ("Size: 3", "Size: -3", "Size"),
            ("Size: 3\n", "", "Size"),
            ("cdcd", "CDCD", "SHA256"),
        ] {
            let text = good.replace(from, to);
            match PackageIndex::parse(&text, "amd64") {
                Err(IndexError::Field { field: found, .. }) => assert_eq!(found, field),
                other => panic!("{from} -> {to}: {other:?}"),
            }
        }
        let text = entry("aa", "1", "Provides: a b\n");
        assert!(matches!(
            PackageIndex::parse(&text, "amd64"),
            Err(IndexError::Relation { .. })
        ));
    }
}
