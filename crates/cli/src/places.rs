//! Where things are when no flag says otherwise, and what the user's configuration file may set.
//!
//! Follows the XDG base directories: configuration in `$XDG_CONFIG_HOME/counterseal/config.toml`,
//! data (store, keys, record) below `$XDG_DATA_HOME/counterseal`. Every environment variable that
//! the program reads is in this file or, for `verify`, in `counterseal-verify-cli`.

use std::path::{Path, PathBuf};

use counterseal_inputs::DebianSettings;
use serde::Deserialize;

use crate::error::{CommandError, read_text};

/// Largest configuration file that is read, in bytes.
const CONFIGURATION_BYTES_MAX: u64 = 1024 * 1024;

/// `config.toml`; unknown keys are refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Configuration {
    /// Directory of the content store.
    pub(crate) store: Option<PathBuf>,
    /// Directory of the record that new evidence is added to.
    pub(crate) record: Option<PathBuf>,
    /// Key that signs the record's checkpoints.
    pub(crate) record_key: Option<PathBuf>,
    /// Key that signs provenance and verdicts.
    pub(crate) key: Option<PathBuf>,
    /// Identity written into `builder.id`.
    pub(crate) builder_id: Option<String>,
    /// `[debian]`: mirrors, tried in order instead of those of the machine's package
    /// configuration, and the keyring that signs the suite's index.
    pub(crate) debian: DebianSettings,
}

impl Configuration {
    /// Reads the user's configuration; a missing file is an empty one.
    pub(crate) fn load(explicit: Option<&Path>) -> Result<Self, CommandError> {
        let path = match explicit {
            Some(path) => path.to_owned(),
            None => match configuration_directory() {
                Some(directory) => directory.join("config.toml"),
                None => return Ok(Self::default()),
            },
        };
        // Where it cannot be told whether there is one, reading it will say why.
        if explicit.is_none() && matches!(path.try_exists(), Ok(false)) {
            return Ok(Self::default());
        }
        let text = read_text(&path, CONFIGURATION_BYTES_MAX)?;
        toml::from_str(&text)
            .map_err(|error| CommandError::usage(format!("{}: {error}", path.display())))
    }
}

/// `$XDG_CONFIG_HOME/counterseal`, or `~/.config/counterseal`.
fn configuration_directory() -> Option<PathBuf> {
    base("XDG_CONFIG_HOME", ".config")
}

/// `$XDG_DATA_HOME/counterseal`, or `~/.local/share/counterseal`.
pub(crate) fn data_directory() -> Result<PathBuf, CommandError> {
    base("XDG_DATA_HOME", ".local/share").ok_or_else(|| {
        CommandError::usage("neither XDG_DATA_HOME nor HOME is set, so there is no default place")
            .hint("name the directory with its flag (--store, --record, --key, --record-key)")
    })
}

fn base(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute(variable)
        .or_else(|| absolute("HOME").map(|home| home.join(below_home)))
        .map(|base| base.join("counterseal"))
}

/// Passphrase of the attestation key or the record key, for unattended runs.
pub(crate) const PASSPHRASE_VARIABLE: &str = "COUNTERSEAL_PASSPHRASE";
