//! Which Debian mirrors this machine is configured to use: apt's sources.list(5) in both forms.
//!
//! Only entries of the component `main` behind `http` or `https` count; the suite decides which of
//! them are used for what. Deliberately absent: apt.conf (proxies come from the environment),
//! apt's authentication files, `cdrom:`, `mirror:` and other transports, and fingerprints in
//! `Signed-By`. What an entry names is only a place to ask: nothing is believed without the
//! archive's signature.

use std::path::{Path, PathBuf};

use crate::deb822;
use crate::error::{InputsError, io};
use crate::names::is_web_url;

/// Largest accepted configuration file, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Most files read from `sources.list.d`.
const FILES_MAX: usize = 256;

/// Where the keys that an entry trusts come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyringSource {
    /// A keyring file, binary or armored.
    File(PathBuf),
    /// An armored keyring inside the configuration.
    Inline(String),
}

/// One configured archive: a base URI and what is taken from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AptEntry {
    /// Base URL without trailing slash.
    pub url: String,
    /// Suites or code names.
    pub suites: Vec<String>,
    /// `Signed-By`, where it names keys we can read.
    pub keyring: Option<KeyringSource>,
}

/// Reads `sources.list` and `sources.list.d` below `directory`, in apt's order. A machine without
/// them has no entries; an entry that cannot be understood is passed over, as it is not ours.
///
/// # Errors
/// When a file exists and cannot be read.
pub fn read_configuration(directory: &Path) -> Result<Vec<AptEntry>, InputsError> {
    let mut entries = Vec::new();
    let main = directory.join("sources.list");
    if let Some(text) = read_optional(&main)? {
        one_line_entries(&text, &mut entries);
    }
    let parts = directory.join("sources.list.d");
    let listing = match std::fs::read_dir(&parts) {
        Ok(listing) => listing,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(entries),
        Err(error) => return Err(io("read", &parts, error)),
    };
    let mut files = Vec::new();
    for entry in listing.take(FILES_MAX) {
        files.push(entry.map_err(|error| io("read", &parts, error))?.path());
    }
    files.sort();
    for file in files {
        let read = match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => one_line_entries,
            Some("sources") => deb822_entries,
            _ => continue,
        };
        if let Some(text) = read_optional(&file)? {
            read(&text, &mut entries);
        }
    }
    Ok(entries)
}

fn read_optional(path: &Path) -> Result<Option<String>, InputsError> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() && metadata.len() <= FILE_BYTES_MAX => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io("read", path, error)),
    }
    let bytes = std::fs::read(path).map_err(|error| io("read", path, error))?;
    Ok(String::from_utf8(bytes).ok())
}

/// `deb [options] URI SUITE COMPONENT…`
fn one_line_entries(text: &str, entries: &mut Vec<AptEntry>) {
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or("").trim();
        let Some((kind, rest)) = line.split_once(char::is_whitespace) else {
            continue;
        };
        if !matches!(kind, "deb" | "deb-src") {
            continue;
        }
        let rest = rest.trim_start();
        let (options, rest) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((options, rest)) => (options, rest),
            None => ("", rest),
        };
        let mut words = rest.split_whitespace();
        let (Some(uri), Some(suite)) = (words.next(), words.next()) else {
            continue;
        };
        if !words.any(|component| component == "main") {
            continue;
        }
        let keyring = options
            .split_whitespace()
            .filter_map(|option| option.split_once('='))
            .find(|(key, _)| key.eq_ignore_ascii_case("signed-by"))
            .and_then(|(_, value)| keyring_file(value));
        add(entries, uri, vec![suite.to_owned()], keyring);
    }
}

fn deb822_entries(text: &str, entries: &mut Vec<AptEntry>) {
    // The iterator ends at the first paragraph it cannot read; what came before it counts.
    for paragraph in deb822::paragraphs(text).map_while(Result::ok) {
        let words = |name: &str| paragraph.field(name).unwrap_or("").split_whitespace();
        let is_enabled = !paragraph
            .field("Enabled")
            .is_some_and(|v| v.eq_ignore_ascii_case("no"));
        let is_deb = words("Types").any(|kind| matches!(kind, "deb" | "deb-src"));
        if !is_enabled || !is_deb || !words("Components").any(|component| component == "main") {
            continue;
        }
        let suites: Vec<String> = words("Suites").map(str::to_owned).collect();
        let keyring = paragraph.field("Signed-By").and_then(|value| {
            if value.contains("-----BEGIN PGP") {
                Some(KeyringSource::Inline(unfold(value)))
            } else {
                value.split_whitespace().find_map(keyring_file)
            }
        });
        for uri in words("URIs") {
            add(entries, uri, suites.clone(), keyring.clone());
        }
    }
}

fn keyring_file(value: &str) -> Option<KeyringSource> {
    value
        .split(',')
        .find(|path| path.starts_with('/'))
        .map(|path| KeyringSource::File(PathBuf::from(path)))
}

/// Undoes the folding of an armored block: one leading space, and `.` for an empty line.
fn unfold(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for line in value.lines() {
        let line = line.trim();
        out.push_str(if line == "." { "" } else { line });
        out.push('\n');
    }
    out
}

fn add(
    entries: &mut Vec<AptEntry>,
    uri: &str,
    suites: Vec<String>,
    keyring: Option<KeyringSource>,
) {
    if is_web_url(uri) {
        entries.push(AptEntry {
            url: uri.trim_end_matches('/').to_owned(),
            suites,
            keyring,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Vec<AptEntry> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("sources.list.d")).unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        read_configuration(directory.path()).unwrap()
    }

    #[test]
    fn both_forms_are_read() {
        let entries = read(&[
            (
                "sources.list",
                "# c\ndeb [arch=amd64 signed-by=/k.gpg] http://one.example/debian/ bookworm main # x\n\
                 deb http://two.example/debian bookworm contrib\nnonsense\ndeb cdrom:x bookworm main\n",
            ),
            (
                "sources.list.d/a.sources",
                "Types: deb deb-src\nURIs: https://three.example/debian\nSuites: trixie \
                 trixie-updates\nComponents: main contrib\nSigned-By: /k2.gpg\n\n\
                 Types: deb\nEnabled: no\nURIs: http://four.example\nSuites: bookworm\n\
                 Components: main\n",
            ),
            (
                "sources.list.d/b.list.disabled",
                "deb http://five.example/debian bookworm main\n",
            ),
        ]);
        let urls: Vec<_> = entries.iter().map(|entry| entry.url.as_str()).collect();
        assert_eq!(
            urls,
            ["http://one.example/debian", "https://three.example/debian"]
        );
        assert_eq!(
            entries[0].keyring,
            Some(KeyringSource::File("/k.gpg".into()))
        );
        assert_eq!(entries[1].suites, ["trixie", "trixie-updates"]);
    }

    #[test]
    fn an_inline_keyring_is_unfolded() {
        let entries = read(&[(
            "sources.list.d/a.sources",
            "Types: deb\nURIs: http://one.example/debian\nSuites: bookworm\nComponents: main\n\
             Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abcd\n \
             -----END PGP PUBLIC KEY BLOCK-----\n",
        )]);
        let expected = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabcd\n\
                        -----END PGP PUBLIC KEY BLOCK-----\n";
        assert_eq!(
            entries[0].keyring,
            Some(KeyringSource::Inline(expected.to_owned()))
        );
    }

    #[test]
    fn a_machine_without_apt_has_no_entries() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read_configuration(directory.path()).unwrap(), []);
    }
}
