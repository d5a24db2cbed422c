//! The text form of `assembly.lock`: strict reading, deterministic writing.
//!
//! ```toml
//! format = 1
//!
//! [[input]]
//! name = "source"
//! kind = "debian-source"        # or debian-packages, file, directory
//! suite = "bookworm"            # Debian kinds only
//! package = "hello"             # debian-source; debian-packages has architecture and packages
//! version = "2.10-3"
//!
//! [[input.item]]
//! purl = "pkg:deb/debian/hello@2.10-3?arch=source&distro=bookworm&file_name=hello_2.10-3.dsc"
//! sha256 = "…64 lower-case hex digits…"
//! size = 1234
//! path = "pool/main/h/hello/hello_2.10-3.dsc"
//! ```

use std::collections::BTreeSet;
use std::fmt::Write as _;

use counterseal_attestation::Sha256Digest;
use serde::Deserialize;

use crate::lock::{
    INPUTS_MAX, ITEM_BYTES_MAX, ITEMS_MAX, LOCK_BYTES_MAX, LOCK_FORMAT, Lock, LockedInput,
    LockedItem, LockedKind,
};
use crate::names::{is_architecture, is_input_name, is_package_name, is_suite, is_version};
use crate::purl::PackageUrl;
use crate::relative_path::RelativePath;

/// Why a text is not a lock.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Longer than [`LOCK_BYTES_MAX`].
    #[error("the lock has {found} bytes; at most {LOCK_BYTES_MAX} are read")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// Not TOML, an unknown key, a wrong type or a malformed value.
    #[error("the lock cannot be read: {0}")]
    Syntax(#[from] toml::de::Error),
    /// A format version this program does not know.
    #[error("the lock has format {found}; this program reads format {LOCK_FORMAT}")]
    Format {
        /// The version found.
        found: u64,
    },
    /// Two inputs of one name, or a name that is not acceptable.
    #[error("input {index} of the lock has an unusable or repeated name: `{name}`")]
    InputName {
        /// Zero-based position.
        index: usize,
        /// The name found.
        name: String,
    },
    /// More than [`INPUTS_MAX`] inputs.
    #[error("the lock has {found} inputs; at most {INPUTS_MAX} are accepted")]
    TooManyInputs {
        /// How many.
        found: usize,
    },
    /// A key is missing, foreign to the kind, or holds an unusable value.
    #[error("the key `{key}` of the locked input `{input}` is missing, unusable or out of place")]
    Key {
        /// The input.
        input: String,
        /// The key.
        key: &'static str,
    },
    /// Not the number of items the kind has.
    #[error("the locked input `{input}` has an impossible number of items: {found}")]
    ItemCount {
        /// The input.
        input: String,
        /// How many.
        found: usize,
    },
    /// Items are not sorted by package URL, or one occurs twice.
    #[error("item {index} of the locked input `{input}` is out of order or repeated")]
    ItemOrder {
        /// The input.
        input: String,
        /// Zero-based position.
        index: usize,
    },
    /// An item does not belong to its input's kind.
    #[error("the `{key}` of item {index} does not fit the locked input `{input}`")]
    Item {
        /// The input.
        input: String,
        /// Zero-based position.
        index: usize,
        /// The key that does not fit.
        key: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FlatLock {
    format: u64,
    #[serde(default)]
    input: Vec<FlatInput>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FlatInput {
    name: String,
    kind: String,
    suite: Option<String>,
    architecture: Option<String>,
    packages: Option<Vec<String>>,
    package: Option<String>,
    version: Option<String>,
    #[serde(default)]
    item: Vec<FlatItem>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FlatItem {
    purl: PackageUrl,
    sha256: Sha256Digest,
    size: u64,
    path: Option<RelativePath>,
}

/// Reads the text form; see [`Lock::parse`].
pub(crate) fn parse(text: &str) -> Result<Lock, LockError> {
    if text.len() > LOCK_BYTES_MAX {
        return Err(LockError::TooLong { found: text.len() });
    }
    let flat: FlatLock = toml::from_str(text)?;
    if flat.format != LOCK_FORMAT {
        return Err(LockError::Format { found: flat.format });
    }
    if flat.input.len() > INPUTS_MAX {
        return Err(LockError::TooManyInputs {
            found: flat.input.len(),
        });
    }
    let mut names = BTreeSet::new();
    let mut inputs = Vec::with_capacity(flat.input.len());
    for (index, input) in flat.input.into_iter().enumerate() {
        if !is_input_name(&input.name) || !names.insert(input.name.clone()) {
            return Err(LockError::InputName {
                index,
                name: input.name,
            });
        }
        inputs.push(read_input(input)?);
    }
    Ok(Lock { inputs })
}

fn read_input(flat: FlatInput) -> Result<LockedInput, LockError> {
    let kind = read_kind(&flat)?;
    let name = flat.name;
    let is_count_possible = match kind {
        LockedKind::File | LockedKind::Directory => flat.item.len() == 1,
        _ => (1..=ITEMS_MAX).contains(&flat.item.len()),
    };
    if !is_count_possible {
        return Err(LockError::ItemCount {
            input: name,
            found: flat.item.len(),
        });
    }
    let mut items: Vec<LockedItem> = Vec::with_capacity(flat.item.len());
    for (index, item) in flat.item.into_iter().enumerate() {
        let item = LockedItem {
            purl: item.purl,
            sha256: item.sha256,
            size_bytes: item.size,
            path: item.path,
        };
        if items
            .last()
            .is_some_and(|last| last.purl.as_str() >= item.purl.as_str())
        {
            return Err(LockError::ItemOrder { input: name, index });
        }
        if let Some(key) = misfit(&kind, &item) {
            return Err(LockError::Item {
                input: name,
                index,
                key,
            });
        }
        items.push(item);
    }
    if let LockedKind::DebianPackages { packages, .. } = &kind {
        let pinned: BTreeSet<&str> = items.iter().map(|item| item.purl.name()).collect();
        if packages
            .iter()
            .any(|package| !pinned.contains(package.as_str()))
        {
            return Err(LockError::Key {
                input: name,
                key: "packages",
            });
        }
    }
    Ok(LockedInput { name, kind, items })
}

fn read_kind(flat: &FlatInput) -> Result<LockedKind, LockError> {
    let bad = |key: &'static str| LockError::Key {
        input: flat.name.clone(),
        key,
    };
    let text = |value: &Option<String>, key: &'static str, is_valid: fn(&str) -> bool| {
        value
            .clone()
            .filter(|value| is_valid(value))
            .ok_or_else(|| bad(key))
    };
    let (kind, allowed): (_, &[&str]) = match flat.kind.as_str() {
        "debian-packages" => {
            let packages = flat.packages.clone().ok_or_else(|| bad("packages"))?;
            let distinct: BTreeSet<&String> = packages.iter().collect();
            if packages.is_empty()
                || distinct.len() != packages.len()
                || !packages.iter().all(|package| is_package_name(package))
            {
                return Err(bad("packages"));
            }
            let suite = text(&flat.suite, "suite", is_suite)?;
            let architecture = text(&flat.architecture, "architecture", is_architecture)?;
            let kind = LockedKind::DebianPackages {
                suite,
                architecture,
                packages,
            };
            (kind, &["suite", "architecture", "packages"])
        }
        "debian-source" => {
            let suite = text(&flat.suite, "suite", is_suite)?;
            let package = text(&flat.package, "package", is_package_name)?;
            let version = text(&flat.version, "version", is_version)?;
            (
                LockedKind::DebianSource {
                    suite,
                    package,
                    version,
                },
                &["suite", "package", "version"],
            )
        }
        "file" => (LockedKind::File, &[]),
        "directory" => (LockedKind::Directory, &[]),
        _ => return Err(bad("kind")),
    };
    let present = [
        ("suite", flat.suite.is_some()),
        ("architecture", flat.architecture.is_some()),
        ("packages", flat.packages.is_some()),
        ("package", flat.package.is_some()),
        ("version", flat.version.is_some()),
    ];
    match present
        .iter()
        .find(|(key, is_present)| *is_present && !allowed.contains(key))
    {
        Some((key, _)) => Err(bad(key)),
        None => Ok(kind),
    }
}

/// The first key of an item that does not fit its input's kind.
fn misfit(kind: &LockedKind, item: &LockedItem) -> Option<&'static str> {
    if item.size_bytes > ITEM_BYTES_MAX {
        return Some("size");
    }
    let purl = &item.purl;
    let is_pool_path = || {
        item.path
            .as_ref()
            .is_some_and(|p| p.as_str().starts_with("pool/"))
    };
    let (is_purl_fit, is_path_fit) = match kind {
        LockedKind::DebianPackages {
            suite,
            architecture,
            ..
        } => (
            purl.is_debian()
                && purl.file_name().is_none()
                && purl.distribution() == Some(suite)
                && (purl.architecture() == Some(architecture)
                    || purl.architecture() == Some("all")),
            is_pool_path(),
        ),
        LockedKind::DebianSource {
            suite,
            package,
            version,
        } => (
            purl.is_debian()
                && purl.name() == package
                && purl.version() == Some(version)
                && purl.architecture() == Some("source")
                && purl.distribution() == Some(suite)
                && purl.file_name() == item.path.as_ref().map(RelativePath::file_name),
            is_pool_path(),
        ),
        LockedKind::File => (!purl.is_debian(), true),
        LockedKind::Directory => (!purl.is_debian(), item.path.is_some()),
    };
    if is_purl_fit {
        (!is_path_fit).then_some("path")
    } else {
        Some("purl")
    }
}

/// Writes the text form; see [`Lock::to_toml`].
pub(crate) fn write(lock: &Lock) -> String {
    let mut out = String::from(
        "# Written by `counterseal lock`: what every input is, never where it comes from.\n",
    );
    // Writing to a String cannot fail; hence the ignored results. No value can hold a quote, a
    // backslash or a control character, so none needs escaping.
    let _ = writeln!(out, "format = {LOCK_FORMAT}");
    for input in &lock.inputs {
        let _ = write!(out, "\n[[input]]\nname = \"{}\"\n", input.name);
        let _ = writeln!(out, "kind = \"{}\"", input.kind.as_str());
        match &input.kind {
            LockedKind::DebianPackages {
                suite,
                architecture,
                packages,
            } => {
                let _ = writeln!(out, "suite = \"{suite}\"");
                let _ = writeln!(out, "architecture = \"{architecture}\"");
                out.push_str("packages = [\n");
                for package in packages {
                    let _ = writeln!(out, "    \"{package}\",");
                }
                out.push_str("]\n");
            }
            LockedKind::DebianSource {
                suite,
                package,
                version,
            } => {
                let _ = writeln!(out, "suite = \"{suite}\"");
                let _ = writeln!(out, "package = \"{package}\"");
                let _ = writeln!(out, "version = \"{version}\"");
            }
            LockedKind::File | LockedKind::Directory => {}
        }
        for item in &input.items {
            let _ = write!(out, "\n[[input.item]]\npurl = \"{}\"\n", item.purl);
            let _ = writeln!(out, "sha256 = \"{}\"", item.sha256);
            let _ = writeln!(out, "size = {}", item.size_bytes);
            if let Some(path) = &item.path {
                let _ = writeln!(out, "path = \"{path}\"");
            }
        }
    }
    out
}
