//! Loads keys, asking for a passphrase only where one is needed.

use std::io::IsTerminal;
use std::path::Path;

use counterseal_signing::{AttestationKey, Passphrase, RecordKey, SigningError};

use crate::error::{CommandError, OrExit};
use crate::places::PASSPHRASE_VARIABLE;

/// A key that signs statements.
pub(crate) fn attestation(path: &Path) -> Result<AttestationKey, CommandError> {
    load(path, |passphrase| AttestationKey::load(path, passphrase))
}

/// A key that signs a record's checkpoints.
pub(crate) fn record(path: &Path) -> Result<RecordKey, CommandError> {
    load(path, |passphrase| RecordKey::load(path, passphrase))
}

fn load<K>(
    path: &Path,
    open: impl Fn(Option<&Passphrase>) -> Result<K, SigningError>,
) -> Result<K, CommandError> {
    match open(None) {
        Err(SigningError::PassphraseNeeded { .. }) => {
            let passphrase = passphrase(&format!("Passphrase of {}", path.display()))?;
            open(Some(&passphrase)).or_usage()
        }
        Err(error @ SigningError::Io { .. }) => Err(error).or_usage().map_err(|error| {
            error.hint("make a key with: counterseal keys new attestation|record PATH")
        }),
        Err(error @ SigningError::Permissions { .. }) => Err(error)
            .or_usage()
            .map_err(|error| error.hint(format!("chmod 600 {}", path.display()))),
        other => other.or_usage(),
    }
}

/// A passphrase from the environment, or from the terminal.
pub(crate) fn passphrase(prompt: &str) -> Result<Passphrase, CommandError> {
    let text = match std::env::var(PASSPHRASE_VARIABLE) {
        Ok(text) => text,
        Err(_) if std::io::stdin().is_terminal() => {
            rpassword::prompt_password(format!("{prompt}: ")).map_err(|error| {
                CommandError::usage(format!("cannot read the passphrase: {error}"))
            })?
        }
        Err(_) => {
            return Err(
                CommandError::usage("a passphrase is needed, and there is no terminal")
                    .hint(format!("set {PASSPHRASE_VARIABLE} for an unattended run")),
            );
        }
    };
    Passphrase::new(text).or_usage()
}

/// Says early that a key will be missing, without reading it: the build runs before.
pub(crate) fn require_present(path: &Path) -> Result<(), CommandError> {
    if path.is_file() {
        return Ok(());
    }
    Err(
        CommandError::usage(format!("key file {} does not exist", path.display())).hint(format!(
            "make one with: counterseal keys new attestation {}",
            path.display()
        )),
    )
}
