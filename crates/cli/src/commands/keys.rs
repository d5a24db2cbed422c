//! `counterseal keys new|show`.

use std::path::Path;

use counterseal_signing::{AttestationKey, RecordKey, SigningError};

use crate::arguments::{KeyKindArgument, KeysVerb};
use crate::error::{CommandError, Exit, OrExit};
use crate::session::Session;
use crate::{keys, output};

pub(crate) fn run(session: &Session, verb: &KeysVerb) -> Result<Exit, CommandError> {
    match verb {
        KeysVerb::New {
            kind,
            path,
            origin,
            passphrase,
        } => {
            let passphrase = passphrase.then(keys::new_passphrase).transpose()?;
            match (kind, origin) {
                (KeyKindArgument::Record, None) => {
                    return Err(CommandError::usage("a record key needs --origin HOST"));
                }
                (KeyKindArgument::Attestation, Some(_)) => {
                    return Err(CommandError::usage("--origin is for record keys only"));
                }
                _ => {}
            }
            if let Some(parent) = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty())
            {
                output::directory(parent)?;
            }
            let public = match origin {
                Some(origin) => RecordKey::create(origin, path, passphrase.as_ref()),
                None => AttestationKey::create(path, passphrase.as_ref()),
            }
            .or_usage()?;
            session.say(format!(
                "private key {}, public key {}",
                path.display(),
                public.path.display()
            ));
            output::result(public.text.trim_end())?;
            Ok(Exit::Success)
        }
        KeysVerb::Show { path } => {
            output::result(shown(session, path)?.trim_end())?;
            Ok(Exit::Success)
        }
    }
}

/// The public half as the private one has it. Where a passphrase is in the way and not given, or only
/// the public half is here, what stands beside it is all there is.
fn shown(session: &Session, path: &Path) -> Result<String, CommandError> {
    let passphrase = keys::given_passphrase()?;
    match AttestationKey::load(path, passphrase.as_ref()) {
        Ok(key) => key.public_pem().or_usage(),
        Err(SigningError::WrongKind { .. }) => {
            let key = RecordKey::load(path, passphrase.as_ref()).or_usage()?;
            Ok(key.verifier_key().to_string())
        }
        Err(SigningError::PassphraseNeeded { .. }) => {
            session.say(format!(
                "{} is encrypted: its public half was not compared with it",
                path.display()
            ));
            beside(path)
        }
        Err(SigningError::Io { .. }) if !path.exists() => beside(path),
        Err(error) => Err(error).or_usage(),
    }
}

/// What stands beside a private key, if it is a public one of either kind.
fn beside(path: &Path) -> Result<String, CommandError> {
    let public = keys::public_path(path);
    if keys::public_of_record(&public).is_err() {
        keys::public(&public)?;
    }
    keys::public_text(&public)
}
