//! Reading what the user named: the artifact as a digest, the evidence and the trust file as
//! bounded bytes. Deliberately absent: writing, following anything but the names given.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use counterseal_attestation::Sha256Digest;
use counterseal_attestation::bundle::{EVIDENCE_SUFFIX, FILE_BYTES_MAX};
use counterseal_verify::{TRUST_BYTES_MAX, Trust, TrustError, clean};
use sha2::{Digest as _, Sha256};

use crate::environment;

/// Large enough that the system calls do not show, small enough to stay in the second cache.
const READ_BYTES: usize = 256 * 1024;

/// Why an input cannot be used: always exit code 2.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum InputError {
    #[error("cannot read {}: {}", shown(.path), reason(.source))]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} is not a regular file", shown(.path))]
    NotAFile { path: PathBuf },
    #[error("{} is too large: at most {bytes_max} bytes are read", shown(.path))]
    TooLarge { path: PathBuf, bytes_max: usize },
    #[error("{} is not UTF-8 text", shown(.path))]
    NotText { path: PathBuf },
    #[error("no trust file: nobody's signature counts yet")]
    NoTrust,
    #[error("{}: {source}", shown(.path))]
    Trust { path: PathBuf, source: TrustError },
}

impl InputError {
    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoTrust => Some(
                "name one with --trust or COUNTERSEAL_TRUST, or put it at \
                 counterseal/trust.toml in your configuration directory",
            ),
            Self::NotAFile { .. } => {
                Some("directories, pipes and devices are not read: name the files one by one")
            }
            _ => None,
        }
    }

    /// A stable name for the JSON document.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "input.unreadable",
            Self::NotAFile { .. } => "input.not-a-file",
            Self::TooLarge { .. } => "input.too-large",
            Self::NotText { .. } => "input.not-text",
            Self::NoTrust => "trust.missing",
            Self::Trust { .. } => "trust.invalid",
        }
    }
}

/// SHA-256 of a regular file, read once through one handle: what is hashed is what the handle
/// shows, whatever happens to the name meanwhile.
pub(crate) fn hash_artifact(path: &Path) -> Result<Sha256Digest, InputError> {
    let unreadable = |source| InputError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut file = open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
    Ok(Sha256Digest::from_bytes(hasher.finalize().into()))
}

/// Where evidence for `artifact` is looked for.
fn evidence_beside(artifact: &Path) -> PathBuf {
    let mut name = OsString::from(artifact);
    name.push(EVIDENCE_SUFFIX);
    PathBuf::from(name)
}

/// The evidence; nothing when there is no such file and none was asked for by name.
pub(crate) fn read_evidence(
    artifact: &Path,
    named: Option<&Path>,
) -> Result<Option<Vec<u8>>, InputError> {
    if let Some(path) = named {
        return read_bounded(path, FILE_BYTES_MAX).map(Some);
    }
    let path = evidence_beside(artifact);
    match read_bounded(&path, FILE_BYTES_MAX) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(InputError::Unreadable { source, .. }) if source.kind() == ErrorKind::NotFound => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The trust file: the one named, else the environment's, else the user's.
pub(crate) fn read_trust(named: Option<&Path>) -> Result<Trust, InputError> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => default_trust_path().ok_or(InputError::NoTrust)?,
    };
    let bytes = read_bounded(&path, TRUST_BYTES_MAX)?;
    let text = String::from_utf8(bytes).map_err(|_| InputError::NotText { path: path.clone() })?;
    Trust::parse(&text).map_err(|source| InputError::Trust { path, source })
}

fn default_trust_path() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(path) = variable(environment::TRUST) {
        return Some(PathBuf::from(path));
    }
    let directory = variable(environment::CONFIG_HOME)
        .map(PathBuf::from)
        .or_else(|| variable(environment::HOME).map(|home| Path::new(&home).join(".config")))?;
    let path = directory.join("counterseal").join("trust.toml");
    // Where it cannot be told whether there is one, reading it will say why.
    match path.try_exists() {
        Ok(false) => None,
        Ok(true) | Err(_) => Some(path),
    }
}

/// Opens a regular file for reading; `None` when the name stands for something else.
///
/// Never waits: a pipe that nobody writes to is refused, not hung upon. What is judged is the
/// open handle, so that a name that is swapped meanwhile gains nothing.
///
/// # Errors
///
/// As `open(2)` and `fstat(2)`.
pub fn open_regular(path: &Path) -> io::Result<Option<File>> {
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    Ok(file.metadata()?.is_file().then_some(file))
}

fn open(path: &Path) -> Result<File, InputError> {
    match open_regular(path) {
        Ok(Some(file)) => Ok(file),
        Ok(None) => Err(InputError::NotAFile {
            path: path.to_owned(),
        }),
        Err(source) => Err(InputError::Unreadable {
            path: path.to_owned(),
            source,
        }),
    }
}

/// The whole file, or [`InputError::TooLarge`] as soon as it exceeds `bytes_max`.
fn read_bounded(path: &Path, bytes_max: usize) -> Result<Vec<u8>, InputError> {
    let unreadable = |source| InputError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = open(path)?;
    let mut bytes = Vec::new();
    file.take(bytes_max as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() > bytes_max {
        return Err(InputError::TooLarge {
            path: path.to_owned(),
            bytes_max,
        });
    }
    Ok(bytes)
}

/// A path as it may be printed.
pub(crate) fn shown(path: &Path) -> String {
    clean(&path.to_string_lossy())
}

/// The system's words without its error number.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".into(),
        ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    }
}
