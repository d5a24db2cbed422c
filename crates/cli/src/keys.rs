//! Loads keys, asking for a passphrase only where one is needed.

use std::env::VarError;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use counterseal_signing::{AttestationKey, Passphrase, RecordKey, SigningError};
use counterseal_tlog::note::{NoteVerifier, VerifierKey};
use counterseal_verify::{CryptoProvider, PublicKey};
use counterseal_verify_cli::native_provider::Native;

use crate::error::{CommandError, OrExit, read_text};
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
        Err(error @ SigningError::Io { .. }) => Err(error)
            .or_usage()
            .map_err(|error| error.hint(MAKE_A_KEY)),
        Err(error @ SigningError::Permissions { .. }) => Err(error)
            .or_usage()
            .map_err(|error| error.hint(close(path))),
        other => other.or_usage(),
    }
}

/// The hint where a key is not there.
const MAKE_A_KEY: &str = "make a key with: counterseal keys new attestation|record PATH";

/// The hint where a key is open to others.
fn close(path: &Path) -> String {
    format!("chmod 600 {}", path.display())
}

/// The passphrase of the environment, if it has one.
pub(crate) fn given_passphrase() -> Result<Option<Passphrase>, CommandError> {
    match std::env::var(PASSPHRASE_VARIABLE) {
        Ok(text) => Passphrase::new(text).map(Some).or_usage(),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(CommandError::usage(format!(
            "{PASSPHRASE_VARIABLE} is not UTF-8 text"
        ))),
    }
}

/// A passphrase from the environment, or from the terminal.
pub(crate) fn passphrase(prompt: &str) -> Result<Passphrase, CommandError> {
    let text = match given_passphrase()? {
        Some(given) => return Ok(given),
        None if std::io::stdin().is_terminal() => rpassword::prompt_password(format!("{prompt}: "))
            .map_err(|error| CommandError::usage(format!("cannot read the passphrase: {error}")))?,
        None => {
            return Err(
                CommandError::usage("a passphrase is needed, and there is no terminal")
                    .hint(format!("set {PASSPHRASE_VARIABLE} for an unattended run")),
            );
        }
    };
    Passphrase::new(text).or_usage()
}

/// Says early what will keep a key from being used, without reading it: the build runs before.
pub(crate) fn require_usable(path: &Path) -> Result<(), CommandError> {
    use std::os::unix::fs::PermissionsExt;
    let refused = |what: &str| CommandError::usage(format!("{} {what}", path.display()));
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => Err(refused("is not a key file")),
        Ok(found) if found.permissions().mode() & 0o077 != 0 => Err(open_to_others(path)),
        Ok(_) => Ok(()),
        Err(error) => Err(refused(&format!("cannot be used as a key: {error}")).hint(MAKE_A_KEY)),
    }
}

/// Why a file that others can read is no private key. Only here it is read: nothing is built after that.
fn open_to_others(path: &Path) -> CommandError {
    let refused = |what: &str| CommandError::usage(format!("{} {what}", path.display()));
    if public(path).is_err() && public_of_record(path).is_err() {
        return refused("can be read by others: a private key has mode 0600").hint(close(path));
    }
    let refused = refused("holds a public key where a private one is wanted");
    if path.extension().is_some_and(|extension| extension == "pub") {
        refused.hint(format!(
            "name {} instead",
            path.with_extension("").display()
        ))
    } else {
        refused.hint(MAKE_A_KEY)
    }
}

/// [`require_usable`] for a key that signs statements: its public half, if it is beside it, must
/// be of the right kind.
pub(crate) fn require_attestation(path: &Path) -> Result<(), CommandError> {
    require_usable(path)?;
    let public_path = public_path(path);
    if public_path.exists() {
        if public_of_record(&public_path).is_ok() {
            return Err(CommandError::usage(format!(
                "{} is a record's key, and no key that signs statements",
                path.display()
            ))
            .hint(MAKE_A_KEY));
        }
        public(&public_path)?;
    }
    Ok(())
}

/// A passphrase for a new key: typed twice, because a typing error would lose the key.
pub(crate) fn new_passphrase() -> Result<Passphrase, CommandError> {
    let first = passphrase("Passphrase for the new key")?;
    let typed = std::env::var_os(PASSPHRASE_VARIABLE).is_none();
    if typed && first != passphrase("The same again")? {
        return Err(CommandError::usage(
            "the two passphrases differ; no key was made",
        ));
    }
    Ok(first)
}

/// Largest public key file that is read, in bytes.
const PUBLIC_KEY_BYTES_MAX: u64 = 64 * 1024;

/// The text of a public key file.
pub(crate) fn public_text(path: &Path) -> Result<String, CommandError> {
    let text = read_text(path, PUBLIC_KEY_BYTES_MAX)?;
    // Whatever else is wrong with it, a private key is never quoted in a message.
    if text.contains("PRIVATE KEY") {
        return Err(CommandError::usage(format!(
            "{} holds a private key where a public one is wanted",
            path.display()
        ))
        .hint(format!("name {}.pub instead", path.display())));
    }
    Ok(text)
}

/// A public key that checks statements, in its one accepted encoding.
pub(crate) fn public(path: &Path) -> Result<PublicKey, CommandError> {
    PublicKey::from_pem(&public_text(path)?)
        .map_err(|defect| CommandError::usage(format!("{}: {defect}", path.display())))
}

/// A public key that checks a record's checkpoints.
pub(crate) fn public_of_record(path: &Path) -> Result<VerifierKey, CommandError> {
    VerifierKey::parse(public_text(path)?.trim_end())
        .map_err(|error| CommandError::usage(format!("{}: {error}", path.display())))
}

/// What checks the signatures of a record's key.
pub(crate) fn verifier_of_record(key: VerifierKey) -> impl NoteVerifier {
    key.verifier(|key: &[u8; 32], message: &[u8], signature: &[u8; 64]| {
        Native.verify_ed25519(key, message, signature).is_ok()
    })
}

/// The public file beside a private one.
pub(crate) fn public_path(private: &Path) -> PathBuf {
    let mut path = private.as_os_str().to_owned();
    path.push(".pub");
    PathBuf::from(path)
}
