//! `assembly.lock`: every input pinned by package URL, SHA-256 and size.
//!
//! The lock says *what*, never *where from*: it holds pool paths and paths beside the recipe, and
//! its types cannot hold a host. Its text is TOML, `format = 1`; the same lock always gives the
//! same text. Reading refuses unknown keys (naming the line), unsorted or repeated items and
//! anything that does not fit its kind. Deliberately absent: the resolving ([`crate::resolve`])
//! and the fetching ([`crate::fetch`]).

use std::collections::BTreeSet;

use counterseal_attestation::Sha256Digest;
use counterseal_store::Digest;

use crate::purl::PackageUrl;
use crate::relative_path::RelativePath;
use crate::spec::{InputSpec, Location};

pub use crate::lock_text::LockError;

/// The version of the lock's text form.
pub const LOCK_FORMAT: u64 = 1;
/// Largest accepted lock, in bytes.
pub const LOCK_BYTES_MAX: usize = 16 << 20;
/// Most inputs in one lock.
pub const INPUTS_MAX: usize = 256;
/// Most items of one input.
pub const ITEMS_MAX: usize = 16_384;
/// Largest single item, in bytes.
pub const ITEM_BYTES_MAX: u64 = 64 << 30;

/// A complete lock, inputs in the recipe's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// One entry for each declared input.
    pub inputs: Vec<LockedInput>,
}

/// One input and the exact bytes it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedInput {
    /// The recipe's name for it.
    pub name: String,
    /// What was asked for when the lock was made.
    pub kind: LockedKind,
    /// What it came to, sorted by package URL.
    pub items: Vec<LockedItem>,
}

/// The kind of a locked input, with what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockedKind {
    /// A package closure.
    DebianPackages {
        /// Suite or code name.
        suite: String,
        /// Debian architecture.
        architecture: String,
        /// The packages asked for, without their dependencies.
        packages: Vec<String>,
    },
    /// A source package.
    DebianSource {
        /// Suite or code name.
        suite: String,
        /// Source package name.
        package: String,
        /// The exact version chosen.
        version: String,
    },
    /// One file.
    File,
    /// A directory; its single item's digest is that of the root `Directory` message.
    Directory,
}

/// One blob, or the root of one tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedItem {
    /// What it is.
    pub purl: PackageUrl,
    /// SHA-256 of its bytes.
    pub sha256: Sha256Digest,
    /// Its exact size; no transfer goes on beyond it.
    pub size_bytes: u64,
    /// Pool path in a Debian archive, or path beside the recipe; absent for a file behind a URL.
    pub path: Option<RelativePath>,
}

impl LockedKind {
    /// The kind as it is written.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::DebianPackages { .. } => "debian-packages",
            Self::DebianSource { .. } => "debian-source",
            Self::File => "file",
            Self::Directory => "directory",
        }
    }

    /// The Debian suite it was resolved from.
    pub fn suite(&self) -> Option<&str> {
        match self {
            Self::DebianPackages { suite, .. } | Self::DebianSource { suite, .. } => Some(suite),
            Self::File | Self::Directory => None,
        }
    }
}

impl LockedItem {
    /// Digest and size together, as the store wants them.
    pub fn digest(&self) -> Digest {
        Digest {
            hash: self.sha256,
            size_bytes: self.size_bytes,
        }
    }

    /// A short name for messages: the file's name where there is one.
    pub fn display_name(&self) -> &str {
        self.path
            .as_ref()
            .map_or_else(|| self.purl.name(), RelativePath::file_name)
    }
}

/// How a lock and a recipe disagree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LockMismatch {
    /// The recipe declares an input that the lock does not pin.
    #[error("the input `{name}` is not pinned by the lock")]
    NotPinned {
        /// The input.
        name: String,
    },
    /// The lock pins something that the recipe no longer declares.
    #[error("the lock pins an input `{name}` that the recipe does not declare")]
    NotDeclared {
        /// The input.
        name: String,
    },
    /// The recipe asks for something else than the lock was made for.
    #[error("the lock was made for another `{key}` of the input `{name}`")]
    Changed {
        /// The input.
        name: String,
        /// The key whose value differs.
        key: &'static str,
    },
}

impl Lock {
    /// Reads and validates a lock.
    ///
    /// # Errors
    /// Refuses oversize text, anything that is not the documented form, and items that do not fit
    /// their input's kind.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        crate::lock_text::parse(text)
    }

    /// The text of this lock; the same lock always gives the same text.
    pub fn to_toml(&self) -> String {
        crate::lock_text::write(self)
    }

    /// The input of that name.
    pub fn input(&self, name: &str) -> Option<&LockedInput> {
        self.inputs.iter().find(|input| input.name == name)
    }

    /// Checks that this lock pins exactly what the recipe's inputs ask for.
    ///
    /// # Errors
    /// The first disagreement found; locking again settles it.
    pub fn check_against(&self, declared: &[(String, InputSpec)]) -> Result<(), LockMismatch> {
        for (name, spec) in declared {
            let Some(locked) = self.input(name) else {
                return Err(LockMismatch::NotPinned { name: name.clone() });
            };
            if let Some(key) = changed_key(spec, locked) {
                return Err(LockMismatch::Changed {
                    name: name.clone(),
                    key,
                });
            }
        }
        let declared: BTreeSet<&str> = declared.iter().map(|(name, _)| name.as_str()).collect();
        match self
            .inputs
            .iter()
            .find(|input| !declared.contains(input.name.as_str()))
        {
            Some(input) => Err(LockMismatch::NotDeclared {
                name: input.name.clone(),
            }),
            None => Ok(()),
        }
    }
}

fn changed_key(spec: &InputSpec, locked: &LockedInput) -> Option<&'static str> {
    match (spec, &locked.kind) {
        (
            InputSpec::DebianPackages {
                suite,
                architecture,
                packages,
            },
            LockedKind::DebianPackages {
                suite: locked_suite,
                architecture: locked_architecture,
                packages: locked_packages,
            },
        ) => (suite != locked_suite)
            .then_some("suite")
            .or((architecture != locked_architecture).then_some("architecture"))
            .or((packages != locked_packages).then_some("packages")),
        (
            InputSpec::DebianSource {
                suite,
                package,
                version,
            },
            LockedKind::DebianSource {
                suite: locked_suite,
                package: locked_package,
                version: locked_version,
            },
        ) => (suite != locked_suite)
            .then_some("suite")
            .or((package != locked_package).then_some("package"))
            .or(version
                .as_ref()
                .is_some_and(|v| v != locked_version)
                .then_some("version")),
        (
            InputSpec::File {
                location,
                sha256,
                size_bytes,
            },
            LockedKind::File,
        ) => {
            // Reading a lock guarantees exactly one item for files and directories.
            let item = locked.items.first()?;
            let path = match location {
                Location::Path(path) => Some(path),
                Location::Url(_) => None,
            };
            (path != item.path.as_ref())
                .then_some("location")
                .or(sha256
                    .is_some_and(|digest| digest != item.sha256)
                    .then_some("sha256"))
                .or(size_bytes
                    .is_some_and(|size| size != item.size_bytes)
                    .then_some("size"))
        }
        (InputSpec::Directory { location }, LockedKind::Directory) => {
            let item = locked.items.first()?;
            (Some(location) != item.path.as_ref()).then_some("location")
        }
        _ => Some("kind"),
    }
}
