//! Every way in which a key can fail to be made, read or used. Variants carry paths and
//! values, never secrets; sources are kept where there is one.

use std::io;
use std::path::PathBuf;

use crate::KeyKind;

/// Why a key could not be made, read or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// A file is in the way, and keys are never replaced.
    #[error("{} exists already: a key is never overwritten", path.display())]
    Exists {
        /// The file in the way.
        path: PathBuf,
    },
    /// The operating system refused an operation on a key file.
    #[error("cannot {operation} key file {}", path.display())]
    Io {
        /// What was tried: "read", "write", …
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than the owner may read or change the file.
    #[error(
        "key file {} is open to others: expected mode 0600 or stricter, found {mode:04o}",
        path.display()
    )]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A directory, a pipe, a device: not something a key is kept in.
    #[error("key file {} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file is larger than any key file.
    #[error("key file {} is too large: at most {bytes_max} bytes are read", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound.
        bytes_max: usize,
    },
    /// The file holds no private key in the form this program writes.
    #[error("key file {} is not a PKCS#8 private key in PEM form: {detail}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, without any of the content.
        detail: &'static str,
    },
    /// A key for another purpose.
    #[error("key file {} holds the wrong kind of key: expected {expected}", path.display())]
    WrongKind {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        expected: KeyKind,
    },
    /// The file is encrypted and no passphrase was given.
    #[error("key file {} is encrypted: a passphrase is needed", path.display())]
    PassphraseNeeded {
        /// The file.
        path: PathBuf,
    },
    /// The passphrase does not open the file.
    #[error("the passphrase does not open key file {}", path.display())]
    PassphraseWrong {
        /// The file.
        path: PathBuf,
    },
    /// An empty passphrase.
    #[error("an empty passphrase protects nothing: give none, or one with at least one character")]
    EmptyPassphrase,
    /// The origin of a record key is not a bare host name.
    #[error(
        "record origin is not a host name: expected labels of a-z, 0-9 and '-' joined by dots, \
         found '{}'",
        found.escape_debug()
    )]
    Origin {
        /// What was given; the message escapes its control characters.
        found: String,
    },
    /// The public half beside a record key speaks of another key or origin.
    #[error(
        "{} does not belong to this key: expected {expected}, found '{}'",
        path.display(),
        found.escape_debug()
    )]
    PublicMismatch {
        /// The `.pub` file.
        path: PathBuf,
        /// What was computed from the private file: a record's verifier key, or the key id.
        expected: String,
        /// The same of the `.pub` file; the message escapes its control characters.
        found: String,
    },
    /// The system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Randomness {
        /// What the system said.
        source: getrandom::Error,
    },
    /// A key could not be put into its file form; this does not depend on input.
    #[error("the key could not be encoded")]
    Encoding {
        /// What the encoder said.
        source: pkcs8::Error,
    },
}
