//! What a recipe may ask for: the `[[input]]` tables of `assembly.toml` as types.
//!
//! One table becomes one [`InputSpec`]. Reading goes through a flat form, so that the TOML reader
//! can name the line of an unknown key; a key that belongs to another kind is refused as well.
//! Deliberately absent: anything about where bytes come from, see [`crate::sources`].

use counterseal_attestation::Sha256Digest;
use serde::Deserialize;

use crate::names::{is_architecture, is_package_name, is_suite, is_version, is_web_url, quoted};
use crate::relative_path::{PathError, RelativePath};

/// Most packages one input may name.
pub const PACKAGES_MAX: usize = 4096;

/// One declared input.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "FlatSpec")]
#[non_exhaustive]
pub enum InputSpec {
    /// A closure of binary packages: the named ones and everything they depend on.
    DebianPackages {
        /// Suite or code name, e.g. `bookworm`.
        suite: String,
        /// Debian architecture name; `amd64` unless stated.
        architecture: String,
        /// Package names. Essential packages are not added: name what the build needs.
        packages: Vec<String>,
    },
    /// One source package: its `.dsc` and every file that lists.
    DebianSource {
        /// Suite or code name.
        suite: String,
        /// Source package name.
        package: String,
        /// Exact version; the newest of the suite when absent.
        version: Option<String>,
    },
    /// One file.
    File {
        /// Where it is.
        location: Location,
        /// Expected digest; always present for a URL.
        sha256: Option<Sha256Digest>,
        /// Expected size in bytes.
        size_bytes: Option<u64>,
    },
    /// A directory beside the recipe, taken whole: ignore files are not obeyed.
    Directory {
        /// Where it is.
        location: RelativePath,
    },
}

/// Where a file is: beside the recipe, or behind an `http` or `https` URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// Relative to the recipe's directory.
    Path(RelativePath),
    /// A URL, kept as written. It stays in the recipe and never reaches the lock.
    Url(String),
}

/// Why an input table is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// A key the kind needs is absent.
    #[error("an input of kind `{kind}` needs the key `{key}`")]
    Missing {
        /// The input's kind.
        kind: &'static str,
        /// The absent key.
        key: &'static str,
    },
    /// A key that belongs to other kinds.
    #[error("the key `{key}` does not belong to an input of kind `{kind}`")]
    Foreign {
        /// The input's kind.
        kind: &'static str,
        /// The key.
        key: &'static str,
    },
    /// No such kind.
    #[error(
        "`{}` is not a kind of input; known are debian-packages, debian-source, file, directory",
        quoted(.found)
    )]
    UnknownKind {
        /// What was written.
        found: String,
    },
    /// A name that breaks the rules of its field.
    #[error("`{}` is not a valid {field}", quoted(.found))]
    Name {
        /// Which field.
        field: &'static str,
        /// What was written.
        found: String,
    },
    /// The list of packages is empty, too long, or names one twice.
    #[error("the package list must name between 1 and {PACKAGES_MAX} packages, each once")]
    Packages,
    /// A location that is neither a URL nor an acceptable path.
    #[error("`{}` is not a usable location: {source}", quoted(.found))]
    Location {
        /// What was written.
        found: String,
        /// What is wrong with it.
        source: PathError,
    },
    /// A URL that is not usable.
    #[error("`{}` is not a usable http or https URL", quoted(.found))]
    Url {
        /// What was written.
        found: String,
    },
    /// A URL without a digest.
    #[error("a file behind a URL needs `sha256`: without it anything could arrive")]
    UrlWithoutDigest,
}

/// The table as it is written, every key of every kind: for readers of larger tables that hold
/// these keys among others. [`InputSpec::try_from`] checks it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlatSpec {
    /// Which kind of input.
    pub kind: String,
    /// Suite or code name.
    pub suite: Option<String>,
    /// Debian architecture.
    pub architecture: Option<String>,
    /// Package names.
    pub packages: Option<Vec<String>>,
    /// Source package name.
    pub package: Option<String>,
    /// Exact version.
    pub version: Option<String>,
    /// Path beside the recipe, or URL.
    pub location: Option<String>,
    /// Expected digest.
    pub sha256: Option<Sha256Digest>,
    /// Expected size in bytes.
    pub size: Option<u64>,
}

impl FlatSpec {
    /// Refuses every key that is present but not in `allowed`.
    fn only(&self, kind: &'static str, allowed: &[&str]) -> Result<(), SpecError> {
        let present = [
            ("suite", self.suite.is_some()),
            ("architecture", self.architecture.is_some()),
            ("packages", self.packages.is_some()),
            ("package", self.package.is_some()),
            ("version", self.version.is_some()),
            ("location", self.location.is_some()),
            ("sha256", self.sha256.is_some()),
            ("size", self.size.is_some()),
        ];
        for (key, is_present) in present {
            if is_present && !allowed.contains(&key) {
                return Err(SpecError::Foreign { kind, key });
            }
        }
        Ok(())
    }
}

fn need<T>(value: Option<T>, kind: &'static str, key: &'static str) -> Result<T, SpecError> {
    value.ok_or(SpecError::Missing { kind, key })
}

impl TryFrom<FlatSpec> for InputSpec {
    type Error = SpecError;

    fn try_from(flat: FlatSpec) -> Result<Self, SpecError> {
        match flat.kind.as_str() {
            "debian-packages" => {
                let kind = "debian-packages";
                flat.only(kind, &["suite", "architecture", "packages"])?;
                let spec = Self::DebianPackages {
                    suite: need(flat.suite, kind, "suite")?,
                    architecture: flat.architecture.unwrap_or_else(|| "amd64".to_owned()),
                    packages: need(flat.packages, kind, "packages")?,
                };
                spec.check_names()?;
                Ok(spec)
            }
            "debian-source" => {
                let kind = "debian-source";
                flat.only(kind, &["suite", "package", "version"])?;
                let spec = Self::DebianSource {
                    suite: need(flat.suite, kind, "suite")?,
                    package: need(flat.package, kind, "package")?,
                    version: flat.version,
                };
                spec.check_names()?;
                Ok(spec)
            }
            "file" => {
                let kind = "file";
                flat.only(kind, &["location", "sha256", "size"])?;
                let location = Location::try_from(need(flat.location, kind, "location")?)?;
                if matches!(location, Location::Url(_)) && flat.sha256.is_none() {
                    return Err(SpecError::UrlWithoutDigest);
                }
                Ok(Self::File {
                    location,
                    sha256: flat.sha256,
                    size_bytes: flat.size,
                })
            }
            "directory" => {
                let kind = "directory";
                flat.only(kind, &["location"])?;
                let found = need(flat.location, kind, "location")?;
                match found.parse() {
                    Ok(location) => Ok(Self::Directory { location }),
                    Err(source) => Err(SpecError::Location { found, source }),
                }
            }
            _ => Err(SpecError::UnknownKind { found: flat.kind }),
        }
    }
}

impl InputSpec {
    fn check_names(&self) -> Result<(), SpecError> {
        let check = |is_valid: bool, field: &'static str, found: &str| {
            if is_valid {
                Ok(())
            } else {
                Err(SpecError::Name {
                    field,
                    found: found.to_owned(),
                })
            }
        };
        match self {
            Self::DebianPackages {
                suite,
                architecture,
                packages,
            } => {
                check(is_suite(suite), "suite", suite)?;
                check(is_architecture(architecture), "architecture", architecture)?;
                for package in packages {
                    check(is_package_name(package), "package name", package)?;
                }
                let mut sorted: Vec<_> = packages.iter().collect();
                sorted.sort();
                sorted.dedup();
                if packages.is_empty()
                    || packages.len() > PACKAGES_MAX
                    || sorted.len() != packages.len()
                {
                    return Err(SpecError::Packages);
                }
                Ok(())
            }
            Self::DebianSource {
                suite,
                package,
                version,
            } => {
                check(is_suite(suite), "suite", suite)?;
                check(is_package_name(package), "package name", package)?;
                match version {
                    Some(version) => check(is_version(version), "version", version),
                    None => Ok(()),
                }
            }
            Self::File { .. } | Self::Directory { .. } => Ok(()),
        }
    }
}

impl TryFrom<String> for Location {
    type Error = SpecError;

    fn try_from(found: String) -> Result<Self, SpecError> {
        if is_web_url(&found) {
            return Ok(Self::Url(found));
        }
        if found.contains("://") {
            return Err(SpecError::Url { found });
        }
        match found.parse() {
            Ok(path) => Ok(Self::Path(path)),
            Err(source) => Err(SpecError::Location { found, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<InputSpec, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn every_kind_reads() {
        let spec = read("kind = \"debian-packages\"\nsuite = \"bookworm\"\npackages = [\"gcc\"]");
        assert_eq!(
            spec.unwrap(),
            InputSpec::DebianPackages {
                suite: "bookworm".to_owned(),
                architecture: "amd64".to_owned(),
                packages: vec!["gcc".to_owned()],
            }
        );
        assert!(
            read("kind = \"debian-source\"\nsuite = \"bookworm\"\npackage = \"hello\"").is_ok()
        );
        assert!(read("kind = \"directory\"\nlocation = \"src\"").is_ok());
        assert!(read("kind = \"file\"\nlocation = \"a.txt\"").is_ok());
        let digest = "0".repeat(64);
        let url =
            format!("kind = \"file\"\nlocation = \"https://h.example/a\"\nsha256 = \"{digest}\"");
        assert!(read(&url).is_ok());
    }

    #[test]
    fn hostile_tables_are_refused_with_a_reason() {
        let cases = [
            ("kind = \"file\"\nlocation = \"a\"\ncolour = 1", "line 3"),
            (
                "kind = \"file\"\nlocation = \"a\"\nsuite = \"x\"",
                "does not belong",
            ),
            ("kind = \"tarball\"", "is not a kind of input"),
            ("kind = \"file\"", "needs the key `location`"),
            (
                "kind = \"file\"\nlocation = \"https://h.example/a\"",
                "needs `sha256`",
            ),
            (
                "kind = \"file\"\nlocation = \"ftp://h.example/a\"",
                "not a usable http",
            ),
            (
                "kind = \"directory\"\nlocation = \"../up\"",
                "`..` component",
            ),
            ("kind = \"directory\"\nlocation = \"/etc\"", "absolute"),
            (
                "kind = \"debian-source\"\nsuite = \"../x\"\npackage = \"hello\"",
                "valid suite",
            ),
            (
                "kind = \"debian-source\"\nsuite = \"x\"\npackage = \"He\"",
                "valid package name",
            ),
            (
                "kind = \"debian-packages\"\nsuite = \"x\"\npackages = []",
                "between 1 and",
            ),
            (
                "kind = \"debian-packages\"\nsuite = \"x\"\npackages = [\"aa\", \"aa\"]",
                "each once",
            ),
        ];
        for (text, expected) in cases {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
