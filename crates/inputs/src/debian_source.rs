//! Debian source packages: the `Sources` index and the `.dsc` it points to (Policy 5.4, 5.6.21).
//!
//! # What is trusted
//! The archive signs the suite's index, and the index lists every file of a source package, the
//! `.dsc` included, by SHA-256. That is the whole chain: a file counts because the signed index
//! names its digest. The signature of the maintainer that a `.dsc` usually carries is **not**
//! evaluated: those keys are not in the archive's keyring, they expire and leave, and the archive
//! has checked them at upload. What the `.dsc` says is still compared with the index, name,
//! version and every file with size and digest, so that the two cannot tell different stories.

use std::collections::BTreeMap;

use counterseal_attestation::Sha256Digest;
use pgp::composed::CleartextSignedMessage;

use crate::deb822::{self, Deb822Error, Paragraph};
use crate::names::is_version;
use crate::packages::IndexError;
use crate::relative_path::RelativePath;
use crate::version::compare;

/// Largest accepted `.dsc`, in bytes.
pub const DSC_BYTES_MAX: u64 = 4 << 20;
/// Most files of one source package.
pub const FILES_MAX: usize = 256;

/// One file of a source package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its digest.
    pub sha256: Sha256Digest,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// One source package as the signed index lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its directory in the archive.
    pub directory: RelativePath,
    /// Every file by name, the `.dsc` included.
    pub files: BTreeMap<String, SourceFile>,
}

/// Why a `.dsc` is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DscError {
    /// Not UTF-8, or a signed text that cannot be taken apart.
    #[error("its .dsc is not readable text")]
    NotText,
    /// Not control data.
    #[error("its .dsc: {0}")]
    Syntax(#[from] Deb822Error),
    /// Another package or version than the index says.
    #[error("its .dsc has {field} `{found}`; the signed index says `{expected}`")]
    Identity {
        /// `Source` or `Version`.
        field: &'static str,
        /// What the index says.
        expected: String,
        /// What the `.dsc` says.
        found: String,
    },
    /// The list of files cannot be read.
    #[error("its .dsc has no usable field `Checksums-Sha256`")]
    Files,
    /// A file that only one of the two lists, or with another size or digest.
    #[error("its .dsc and the signed index disagree about the file {name}")]
    File {
        /// The file.
        name: String,
    },
}

impl SourcePackage {
    /// The entry for `package` in a `Sources` text: of that version, or the newest one that was
    /// not kept merely for its licence (`Extra-Source-Only`).
    ///
    /// # Errors
    /// An index that cannot be read, or an unusable entry of that package.
    pub fn find(
        text: &str,
        package: &str,
        version: Option<&str>,
    ) -> Result<Option<Self>, IndexError> {
        let mut best: Option<Self> = None;
        for paragraph in deb822::paragraphs(text) {
            let paragraph = paragraph?;
            if paragraph.field("Package") != Some(package) {
                continue;
            }
            let found = Self::read(&paragraph, package)?;
            let is_wanted = match version {
                Some(version) => found.version == version,
                None => paragraph.field("Extra-Source-Only") != Some("yes"),
            };
            let is_better = |best: &Self| compare(&found.version, &best.version).is_gt();
            if is_wanted && best.as_ref().is_none_or(is_better) {
                best = Some(found);
            }
        }
        Ok(best)
    }

    fn read(paragraph: &Paragraph<'_>, package: &str) -> Result<Self, IndexError> {
        let bad = |field| IndexError::Field {
            package: package.to_owned(),
            field,
        };
        let version = paragraph.field("Version").filter(|v| is_version(v));
        let directory: RelativePath = paragraph
            .field("Directory")
            .filter(|d| d.starts_with("pool/"))
            .and_then(|d| d.parse().ok())
            .ok_or_else(|| bad("Directory"))?;
        let files = files(paragraph).ok_or_else(|| bad("Checksums-Sha256"))?;
        if files.keys().filter(|name| is_dsc(name)).count() != 1 {
            return Err(bad("Checksums-Sha256"));
        }
        Ok(Self {
            name: package.to_owned(),
            version: version.ok_or_else(|| bad("Version"))?.to_owned(),
            directory,
            files,
        })
    }

    /// The name and identity of the `.dsc`.
    pub fn dsc(&self) -> Option<(&str, &SourceFile)> {
        let found = self.files.iter().find(|(name, _)| is_dsc(name));
        found.map(|(name, file)| (name.as_str(), file))
    }

    /// Compares what a `.dsc` says with this entry; see the module's documentation for what is
    /// trusted.
    ///
    /// # Errors
    /// The first disagreement.
    pub fn check_dsc(&self, dsc: &[u8]) -> Result<(), DscError> {
        let text = std::str::from_utf8(dsc).map_err(|_| DscError::NotText)?;
        let text = if text.starts_with("-----BEGIN PGP SIGNED MESSAGE-----") {
            let (message, _) =
                CleartextSignedMessage::from_string(text).map_err(|_| DscError::NotText)?;
            message.signed_text()
        } else {
            text.to_owned()
        };
        let paragraph = deb822::single(&text)?;
        for (field, expected) in [("Source", &self.name), ("Version", &self.version)] {
            let found = paragraph.field(field).unwrap_or("");
            if found != expected {
                let (expected, found) = (expected.clone(), found.to_owned());
                return Err(DscError::Identity {
                    field,
                    expected,
                    found,
                });
            }
        }
        let mut claimed = files(&paragraph).ok_or(DscError::Files)?;
        for (name, file) in self.files.iter().filter(|(name, _)| !is_dsc(name)) {
            if claimed.remove(name).as_ref() != Some(file) {
                return Err(DscError::File { name: name.clone() });
            }
        }
        match claimed.into_keys().next() {
            Some(name) => Err(DscError::File { name }),
            None => Ok(()),
        }
    }
}

fn is_dsc(name: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, extension)| extension == "dsc")
}

/// `Checksums-Sha256`: lines of digest, size and name; a name is one path component.
fn files(paragraph: &Paragraph<'_>) -> Option<BTreeMap<String, SourceFile>> {
    let mut files = BTreeMap::new();
    for line in paragraph.lines("Checksums-Sha256") {
        let mut words = line.split_whitespace();
        let sha256 = words.next()?.parse().ok()?;
        let size_bytes = words.next()?.parse().ok()?;
        let name: RelativePath = words.next()?.parse().ok()?;
        let is_plain = name.as_str() == name.file_name() && words.next().is_none();
        let file = SourceFile { sha256, size_bytes };
        if !is_plain || files.len() == FILES_MAX || files.insert(name.to_string(), file).is_some() {
            return None;
        }
    }
    (!files.is_empty()).then_some(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(version: &str, extra: &str) -> String {
        let (a, b) = ("aa".repeat(32), "bb".repeat(32));
        format!(
            "Package: hello\nVersion: {version}\nDirectory: pool/main/h/hello\n{extra}\
             Checksums-Sha256:\n {a} 5 hello_{version}.dsc\n {b} 7 hello_{version}.tar.xz\n\n"
        )
    }

    fn dsc(version: &str) -> String {
        format!(
            "Format: 3.0 (quilt)\nSource: hello\nVersion: {version}\nChecksums-Sha256:\n {} 7 \
             hello_{version}.tar.xz\n",
            "bb".repeat(32)
        )
    }

    #[test]
    fn the_newest_real_version_is_found() {
        let text = entry("1", "") + &entry("3", "Extra-Source-Only: yes\n") + &entry("2", "");
        let find = |version| SourcePackage::find(&text, "hello", version).unwrap();
        assert_eq!(find(None).unwrap().version, "2");
        assert_eq!(find(Some("3")).unwrap().version, "3");
        assert_eq!(find(Some("4")), None);
        assert_eq!(find(None).unwrap().dsc().unwrap().0, "hello_2.dsc");
    }

    #[test]
    fn the_dsc_must_tell_the_same_story() {
        let package = SourcePackage::find(&entry("1", ""), "hello", None)
            .unwrap()
            .unwrap();
        let good = dsc("1");
        assert_eq!(package.check_dsc(good.as_bytes()), Ok(()));
        let cases = [
            ("Source: hello", "Source: other", "Source"),
            ("Version: 1", "Version: 2", "Version"),
            (" 7 hello", " 8 hello", "hello_1.tar.xz"),
            ("bbbb", "bbbc", "hello_1.tar.xz"),
            ("hello_1.tar.xz", "evil_1.tar.xz", "hello_1.tar.xz"),
            ("Checksums-Sha256", "Checksums-Sha1", "Checksums-Sha256"),
            ("hello_1.tar.xz", "../hello_1.tar.xz", "Checksums-Sha256"),
        ];
        for (from, to, named) in cases {
            let error = package
                .check_dsc(good.replace(from, to).as_bytes())
                .unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
        let more = format!("{good} {} 7 extra.tar.xz\n", "bb".repeat(32));
        let error = package.check_dsc(more.as_bytes()).unwrap_err();
        assert_eq!(
            error,
            DscError::File {
                name: "extra.tar.xz".to_owned()
            }
        );
        assert_eq!(package.check_dsc(b"\xff"), Err(DscError::NotText));
    }

    #[test]
    fn unusable_entries_are_refused() {
        let good = entry("1", "");
        for (from, to) in [
            ("pool/", "../"),
            ("Version: 1", "Version: x y"),
            ("hello_1.dsc", "a/hello_1.dsc"),
            ("hello_1.tar.xz", "second.dsc"),
            ("hello_1.dsc", "none.txt"),
        ] {
            assert!(
                SourcePackage::find(&good.replace(from, to), "hello", None).is_err(),
                "{to}"
            );
        }
    }
}
