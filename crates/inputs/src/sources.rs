//! Where bytes may come from: mirrors, keyrings, input archives, the recipe's directory.
//!
//! Precedence for mirrors and keyrings, each on its own: command line, then the user's
//! configuration file, then the machine's apt configuration. Deliberately absent: any host name of
//! our own. If nobody names a mirror there is none.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::apt::{self, AptEntry, KeyringSource};
use crate::error::InputsError;
use crate::names::is_web_url;

/// apt's usual configuration directory, for [`Sources::gather`].
pub const APT_DIRECTORY: &str = "/etc/apt";
/// Where Debian's package `debian-archive-keyring` puts the archive's keys.
pub const DEBIAN_KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// What the command line or the user's configuration file may say about Debian.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct DebianSettings {
    /// Base URLs of mirrors, tried in this order.
    pub mirrors: Vec<String>,
    /// Keyring file that the archive's signature is checked against.
    pub keyring: Option<PathBuf>,
}

/// Time and effort spent on one transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferLimits {
    /// Transfers at the same time.
    pub parallel: usize,
    /// Attempts for each place before the next place is tried.
    pub attempts: u32,
    /// Pause before an attempt is repeated; doubled each time.
    pub pause: Duration,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for the next byte.
    pub idle_timeout: Duration,
}

impl Default for TransferLimits {
    fn default() -> Self {
        Self {
            parallel: 8,
            attempts: 3,
            pause: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
        }
    }
}

/// Every place bytes may come from. Whatever the place, only bytes of the expected digest enter
/// the store.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The recipe's directory, which paths in the recipe are relative to; `None` in a replay.
    pub base_directory: Option<PathBuf>,
    /// Input archives, asked before any mirror.
    pub archives: Vec<PathBuf>,
    /// Never use the network.
    pub is_offline: bool,
    /// Limits of each transfer.
    pub limits: TransferLimits,
    mirrors: Vec<String>,
    keyring: Option<PathBuf>,
    apt: Vec<AptEntry>,
}

/// One place that carries a Debian archive, and the keys to check it with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Base URL without trailing slash.
    pub url: String,
    /// Where its keys are.
    pub keyring: KeyringSource,
}

impl Sources {
    /// Combines what the command line, the user's configuration file and the machine's apt
    /// configuration say.
    ///
    /// # Errors
    /// A mirror that is not an `http` or `https` URL, or an unreadable apt configuration.
    pub fn gather(
        flags: &DebianSettings,
        user: &DebianSettings,
        apt_directory: Option<&Path>,
    ) -> Result<Self, InputsError> {
        let chosen = if flags.mirrors.is_empty() {
            &user.mirrors
        } else {
            &flags.mirrors
        };
        let mut mirrors = Vec::new();
        for url in chosen {
            if !is_web_url(url) {
                return Err(InputsError::MirrorUrl { found: url.clone() });
            }
            mirrors.push(url.trim_end_matches('/').to_owned());
        }
        let apt = match apt_directory {
            Some(directory) => apt::read_configuration(directory)?,
            None => Vec::new(),
        };
        let keyring = flags.keyring.clone().or_else(|| user.keyring.clone());
        Ok(Self {
            mirrors,
            keyring,
            apt,
            ..Self::default()
        })
    }

    /// The mirrors to ask about a suite, best first: the ones named by a person; else those apt is
    /// told to take this very suite from; else those apt takes other Debian suites from.
    pub fn mirrors_for(&self, suite: &str) -> Vec<Mirror> {
        let mut found: Vec<Mirror> = Vec::new();
        let mut add = |url: &str, keyring: Option<&KeyringSource>| {
            let keyring = match (&self.keyring, keyring) {
                (Some(path), _) => KeyringSource::File(path.clone()),
                (None, Some(keyring)) => keyring.clone(),
                (None, None) => KeyringSource::File(PathBuf::from(DEBIAN_KEYRING)),
            };
            if !found.iter().any(|mirror| mirror.url == url) {
                found.push(Mirror {
                    url: url.to_owned(),
                    keyring,
                });
            }
        };
        for url in &self.mirrors {
            add(url, None);
        }
        if self.mirrors.is_empty() {
            let exact = |entry: &&AptEntry| entry.suites.iter().any(|name| name == suite);
            for entry in self.apt.iter().filter(exact) {
                add(&entry.url, entry.keyring.as_ref());
            }
            let debian = |entry: &&AptEntry| entry.suites.iter().any(|name| is_debian_suite(name));
            for entry in self.apt.iter().filter(debian) {
                add(&entry.url, entry.keyring.as_ref());
            }
        }
        found
    }
}

/// Suites of Debian's main archive. Security and updates live elsewhere or move daily.
fn is_debian_suite(name: &str) -> bool {
    matches!(
        name,
        "bullseye"
            | "bookworm"
            | "trixie"
            | "forky"
            | "sid"
            | "oldoldstable"
            | "oldstable"
            | "stable"
            | "testing"
            | "unstable"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apt_directory() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let text = "deb [signed-by=/third.gpg] https://third.example/debian bookworm-extra main\n\
                    deb http://trixie.example/debian trixie main\n\
                    deb [signed-by=/deb.gpg] http://bookworm.example/debian bookworm main\n";
        std::fs::write(directory.path().join("sources.list"), text).unwrap();
        directory
    }

    fn urls(sources: &Sources, suite: &str) -> Vec<String> {
        sources
            .mirrors_for(suite)
            .into_iter()
            .map(|mirror| mirror.url)
            .collect()
    }

    #[test]
    fn flags_beat_the_user_who_beats_the_machine() {
        let apt = apt_directory();
        let named = |url: &str| DebianSettings {
            mirrors: vec![url.to_owned()],
            keyring: None,
        };
        let none = DebianSettings::default();
        let (flag, user) = (
            named("http://flag.example/"),
            named("https://user.example/debian"),
        );
        let gather = |flags, user| Sources::gather(flags, user, Some(apt.path())).unwrap();
        assert_eq!(
            urls(&gather(&flag, &user), "bookworm"),
            ["http://flag.example"]
        );
        assert_eq!(
            urls(&gather(&none, &user), "bookworm"),
            ["https://user.example/debian"]
        );
        let machine = gather(&none, &none);
        assert_eq!(
            urls(&machine, "bookworm"),
            [
                "http://bookworm.example/debian",
                "http://trixie.example/debian"
            ]
        );
        assert_eq!(
            machine.mirrors_for("bookworm")[0].keyring,
            KeyringSource::File("/deb.gpg".into())
        );
        assert_eq!(
            machine.mirrors_for("bookworm")[1].keyring,
            KeyringSource::File(DEBIAN_KEYRING.into())
        );
    }

    #[test]
    fn a_named_keyring_replaces_every_other() {
        let apt = apt_directory();
        let flags = DebianSettings {
            mirrors: vec![],
            keyring: Some("/mine.gpg".into()),
        };
        let sources =
            Sources::gather(&flags, &DebianSettings::default(), Some(apt.path())).unwrap();
        for mirror in sources.mirrors_for("bookworm") {
            assert_eq!(mirror.keyring, KeyringSource::File("/mine.gpg".into()));
        }
    }

    #[test]
    fn no_configuration_means_no_mirror() {
        let none = DebianSettings::default();
        let sources = Sources::gather(&none, &none, None).unwrap();
        assert!(sources.mirrors_for("bookworm").is_empty());
    }

    #[test]
    fn a_mirror_must_be_a_web_address() {
        let flags = DebianSettings {
            mirrors: vec!["/srv/mirror".to_owned()],
            keyring: None,
        };
        let error = Sources::gather(&flags, &DebianSettings::default(), None).unwrap_err();
        assert!(matches!(error, InputsError::MirrorUrl { .. }));
    }
}
