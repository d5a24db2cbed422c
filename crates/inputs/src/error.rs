//! What can go wrong while inputs are resolved or fetched, as data.
//!
//! Smaller errors stay with their modules (lock, index, signature, transfer, dependencies); this
//! is the enum that callers see. [`InputsError::hint`] says what a person can do next.

use std::io;
use std::path::{Path, PathBuf};

use counterseal_attestation::Sha256Digest;
use counterseal_store::StoreError;

use crate::debian_source::DscError;
use crate::lock::LockMismatch;
use crate::openpgp::OpenPgpError;
use crate::packages::IndexError;
use crate::release::ReleaseError;
use crate::resolver::DependencyError;
use crate::transfer::TransferError;

/// One place that was asked, and why it did not help.
#[derive(Debug)]
pub struct Failure {
    /// The URL or path asked.
    pub place: String,
    /// What went wrong there.
    pub error: Box<InputsError>,
}

/// Any failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputsError {
    /// A mirror was named that is no web address.
    #[error("`{found}` is not an http or https URL of a mirror")]
    MirrorUrl {
        /// What was given.
        found: String,
    },
    /// An operation on a file failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, e.g. `read`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// An input's name is not acceptable or occurs twice.
    #[error("`{name}` is not a usable name of an input, or is used twice")]
    InputName {
        /// The name.
        name: String,
    },
    /// The lock does not pin what the recipe asks for.
    #[error(transparent)]
    Mismatch(#[from] LockMismatch),
    /// No mirror is configured anywhere.
    #[error("no Debian mirror is configured for the suite {suite}")]
    NoMirror {
        /// The suite needed.
        suite: String,
    },
    /// The network would be needed and must not be used.
    #[error("{name} is not in the store or an input archive, and the network must not be used")]
    Offline {
        /// What is missing.
        name: String,
    },
    /// A keyring cannot be used.
    #[error("the keyring {keyring} cannot be used: {source}")]
    Keyring {
        /// Its path, or where it stands.
        keyring: String,
        /// Why.
        source: OpenPgpError,
    },
    /// The index is not signed by a key of the keyring.
    #[error("the index of {suite} is not authentic: {source}")]
    NotAuthentic {
        /// The suite.
        suite: String,
        /// Why.
        source: OpenPgpError,
    },
    /// The signed index is not the one asked for, or is out of date.
    #[error("the index of {suite} is refused: {source}")]
    Release {
        /// The suite.
        suite: String,
        /// Why.
        source: ReleaseError,
    },
    /// A package index cannot be read.
    #[error("the package index {name} is refused: {source}")]
    Index {
        /// Its path below the suite.
        name: String,
        /// Why.
        source: IndexError,
    },
    /// Every place that could carry something failed.
    #[error("{what} could not be obtained{}", list(failures))]
    Nowhere {
        /// What was wanted.
        what: String,
        /// Each place asked, in order.
        failures: Vec<Failure>,
    },
    /// One transfer failed.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// The packages asked for cannot be had together.
    #[error(transparent)]
    Dependencies(#[from] DependencyError),
    /// A source package is not in the suite.
    #[error("the suite {suite} has no source package {package}{}", version_suffix(version.as_deref()))]
    NoSource {
        /// The suite.
        suite: String,
        /// The package.
        package: String,
        /// The version asked for, if one was.
        version: Option<String>,
    },
    /// The `.dsc` disagrees with the signed index.
    #[error("the source package {package} is refused: {source}")]
    Dsc {
        /// The package.
        package: String,
        /// Why.
        source: DscError,
    },
    /// A local file or directory is not what the recipe or the lock says.
    #[error(
        "{location} does not have the pinned content of the input {input}: \
         expected sha256:{expected}, found sha256:{found}"
    )]
    Changed {
        /// The input.
        input: String,
        /// The path as the recipe has it.
        location: String,
        /// The pinned digest.
        expected: Sha256Digest,
        /// What is there now.
        found: Sha256Digest,
    },
    /// A local file has the pinned digest, and the lock states another size than such a file has.
    #[error(
        "the lock states {expected} bytes for the input {input}, but what has the pinned digest \
         has {found}"
    )]
    LockedSize {
        /// The input.
        input: String,
        /// Stated size in bytes.
        expected: u64,
        /// Actual size in bytes.
        found: u64,
    },
    /// A local file's size is not the one the recipe states.
    #[error("{name} has {found} bytes; the recipe says {expected}")]
    Size {
        /// The file.
        name: String,
        /// Stated size in bytes.
        expected: u64,
        /// Actual size in bytes.
        found: u64,
    },
    /// A file behind a URL has no digest to hold it against.
    #[error("the input {input} is behind a URL and needs `sha256`")]
    UrlWithoutDigest {
        /// The input.
        input: String,
    },
    /// A path of the recipe is needed and there is no recipe directory.
    #[error("{name} stands beside the recipe, and there is no recipe directory here")]
    NoBaseDirectory {
        /// What was wanted.
        name: String,
    },
    /// A path of the recipe leads out of the recipe's directory.
    #[error("{location} leads out of the recipe's directory through a symbolic link")]
    LeadsOut {
        /// The path as the recipe has it.
        location: String,
    },
    /// A path of the recipe leads to something of another kind.
    #[error("{location} beside the recipe is not a {kind}")]
    LocalKind {
        /// The path as the recipe has it.
        location: String,
        /// `file` or `directory`.
        kind: &'static str,
    },
    /// Local content is nowhere to be found.
    #[error("{name} is neither beside the recipe nor in the store or an input archive")]
    NotHere {
        /// What was wanted.
        name: String,
    },
    /// The content store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Shorthand for [`InputsError::Io`].
pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> InputsError {
    InputsError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

fn list(failures: &[Failure]) -> String {
    let mut text = String::new();
    for failure in failures {
        text.push_str("\n  ");
        text.push_str(&failure.place);
        text.push_str(": ");
        text.push_str(&failure.error.to_string());
    }
    text
}

fn version_suffix(version: Option<&str>) -> String {
    version
        .map(|version| format!(" of version {version}"))
        .unwrap_or_default()
}

impl InputsError {
    /// What a person can do about it, where there is something to say.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoMirror { .. } => Some(
                "name one with --mirror URL or in the configuration file; machines with apt \
                 use the mirror apt uses",
            ),
            Self::Keyring { .. } => Some(
                "install the package debian-archive-keyring, or name a keyring file with \
                 --keyring FILE",
            ),
            Self::Mismatch(_) | Self::Changed { .. } | Self::LockedSize { .. } => {
                Some("run `counterseal lock` to pin the inputs again")
            }
            Self::Offline { .. } => {
                Some("name an input archive with --input-archive DIR, or allow the network")
            }
            Self::NotAuthentic { .. } => {
                Some("a mirror cannot sign: check the keyring and what the mirror really carries")
            }
            Self::Transfer(TransferError::NotFound { .. }) => Some(
                "mirrors drop superseded versions: lock again, or use the release's input archive \
                 with --input-archive DIR",
            ),
            Self::Nowhere { failures, .. } => {
                failures.iter().find_map(|failure| failure.error.hint())
            }
            _ => None,
        }
    }

    /// Whether nothing was tried, because nobody said where the content may be had.
    pub fn is_without_place(&self) -> bool {
        match self {
            Self::NotHere { .. }
            | Self::NoBaseDirectory { .. }
            | Self::NoMirror { .. }
            | Self::Offline { .. } => true,
            Self::Nowhere { failures, .. } => failures
                .iter()
                .all(|failure| failure.error.is_without_place()),
            _ => false,
        }
    }

    /// Whether a place on this machine could not be read.
    pub fn is_unreadable(&self) -> bool {
        match self {
            Self::Io { .. } => true,
            Self::Nowhere { failures, .. } => {
                failures.iter().any(|failure| failure.error.is_unreadable())
            }
            _ => false,
        }
    }

    /// Whether the cause is that no mirror is configured or reachable, rather than that something
    /// reached is wrong: the case in which a demonstration may go on without Debian.
    pub fn is_mirror_unavailable(&self) -> bool {
        match self {
            Self::NoMirror { .. } | Self::Offline { .. } => true,
            Self::Transfer(error) => error.is_unreachable(),
            Self::Nowhere { failures, .. } => {
                let is_silent = |failure: &Failure| failure.error.is_mirror_unavailable();
                !failures.is_empty() && failures.iter().all(is_silent)
            }
            _ => false,
        }
    }
}
