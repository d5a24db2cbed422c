//! `counterseal keys new|show`.

use counterseal_signing::{AttestationKey, RecordKey};

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
            let text = keys::public_text(&keys::public_path(path))?;
            output::result(text.trim_end())?;
            Ok(Exit::Success)
        }
    }
}
