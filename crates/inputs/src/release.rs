//! Debian's `Release` file: which index files a suite has, by SHA-256 and size.
//!
//! Reads the text of an `InRelease` whose signature holds already (see [`crate::openpgp`]), checks
//! that it is the suite asked for and up to date, and looks files up in its `SHA256` field.
//! Deliberately absent: the weaker digests beside it.

use std::collections::BTreeMap;

use counterseal_attestation::{Sha256Digest, UnixSeconds};

use crate::deb822::{self, Deb822Error};
use crate::openpgp::CLOCK_SLACK_SECONDS;
use crate::relative_path::RelativePath;

/// Largest accepted `InRelease`, in bytes.
pub const RELEASE_BYTES_MAX: u64 = 16 << 20;

/// One file that the suite lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFile {
    /// Path below the suite's directory.
    pub path: String,
    /// Its digest.
    pub sha256: Sha256Digest,
    /// Its exact size in bytes.
    pub size_bytes: u64,
}

/// What the signed text says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Whether files are also offered under `by-hash/SHA256/`, which survives updates.
    pub has_by_hash: bool,
    files: BTreeMap<String, ListedFile>,
}

/// Why a release file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// Not control data.
    #[error(transparent)]
    Syntax(#[from] Deb822Error),
    /// A needed field is absent or unusable.
    #[error("its field `{field}` is missing or unusable")]
    Field {
        /// The field.
        field: &'static str,
    },
    /// Another archive's index.
    #[error("it comes from the archive `{found}`, not from Debian")]
    Origin {
        /// The origin it names.
        found: String,
    },
    /// Another suite's index.
    #[error("it is for suite `{suite}`, code name `{codename}`; asked for was `{asked}`")]
    Suite {
        /// What was asked for.
        asked: String,
        /// Its suite.
        suite: String,
        /// Its code name.
        codename: String,
    },
    /// It says that it is out of date.
    #[error("it was valid until {}", until.to_rfc3339())]
    Expired {
        /// Until when.
        until: UnixSeconds,
    },
    /// Its date lies ahead of this machine's clock.
    #[error("it is dated {}, in the future; is this machine's clock right?", date.to_rfc3339())]
    FromTheFuture {
        /// Its date.
        date: UnixSeconds,
    },
    /// A line of the `SHA256` field cannot be read, or repeats a path.
    #[error("line {index} of its `SHA256` field is unusable or repeats a file")]
    Entry {
        /// One-based position within the field.
        index: usize,
    },
    /// A file is not listed.
    #[error("it does not list {path}")]
    NotListed {
        /// The path looked for, without compression suffix.
        path: String,
    },
}

impl Release {
    /// Reads the text and checks that it is Debian's index for `suite`, valid at `now`.
    ///
    /// # Errors
    /// See [`ReleaseError`].
    pub fn parse(text: &str, suite: &str, now: UnixSeconds) -> Result<Self, ReleaseError> {
        let paragraph = deb822::single(text)?;
        let field = |name| paragraph.field(name).unwrap_or("");
        if field("Origin") != "Debian" {
            return Err(ReleaseError::Origin {
                found: field("Origin").to_owned(),
            });
        }
        if suite.is_empty() || (field("Suite") != suite && field("Codename") != suite) {
            return Err(ReleaseError::Suite {
                asked: suite.to_owned(),
                suite: field("Suite").to_owned(),
                codename: field("Codename").to_owned(),
            });
        }
        let date = parse_date(field("Date")).ok_or(ReleaseError::Field { field: "Date" })?;
        if date.0 > now.0.saturating_add(CLOCK_SLACK_SECONDS) {
            return Err(ReleaseError::FromTheFuture { date });
        }
        if let Some(until) = paragraph.field("Valid-Until") {
            let until = parse_date(until).ok_or(ReleaseError::Field {
                field: "Valid-Until",
            })?;
            if until.0 < now.0 {
                return Err(ReleaseError::Expired { until });
            }
        }
        if paragraph.field("SHA256").is_none() {
            return Err(ReleaseError::Field { field: "SHA256" });
        }
        let mut files = BTreeMap::new();
        for (index, line) in paragraph.lines("SHA256").enumerate() {
            let refused = ReleaseError::Entry { index: index + 1 };
            let Some(file) = parse_entry(line) else {
                return Err(refused);
            };
            if files.insert(file.path.clone(), file).is_some() {
                return Err(refused);
            }
        }
        Ok(Self {
            has_by_hash: field("Acquire-By-Hash") == "yes",
            files,
        })
    }

    /// The smallest known compression of an index: `path` with `.xz`, `.gz` or nothing.
    ///
    /// # Errors
    /// When none of them is listed.
    pub fn index(&self, path: &str) -> Result<&ListedFile, ReleaseError> {
        ["xz", "gz"]
            .iter()
            .find_map(|suffix| self.file(&format!("{path}.{suffix}")))
            .or_else(|| self.file(path))
            .ok_or_else(|| ReleaseError::NotListed {
                path: path.to_owned(),
            })
    }

    /// A file by its exact path.
    pub fn file(&self, path: &str) -> Option<&ListedFile> {
        self.files.get(path)
    }
}

impl ListedFile {
    /// Where to ask for it, below the suite's directory.
    pub fn location(&self, has_by_hash: bool) -> String {
        match (has_by_hash, self.path.rsplit_once('/')) {
            (true, Some((directory, _))) => format!("{directory}/by-hash/SHA256/{}", self.sha256),
            _ => self.path.clone(),
        }
    }
}

/// `HEX SIZE PATH`
fn parse_entry(line: &str) -> Option<ListedFile> {
    let mut words = line.split_whitespace();
    let sha256 = words.next()?.parse().ok()?;
    let size_bytes = words.next()?.parse().ok()?;
    let path: RelativePath = words.next()?.parse().ok()?;
    words.next().is_none().then(|| ListedFile {
        path: path.to_string(),
        sha256,
        size_bytes,
    })
}

/// Reads `Sat, 11 Jul 2026 10:16:37 UTC`; the zone must be `UTC` in one of its spellings.
fn parse_date(text: &str) -> Option<UnixSeconds> {
    let rest = text.split_once(", ").map_or(text, |(_, rest)| rest);
    let words: Vec<&str> = rest.split_whitespace().collect();
    let [day, month, year, time, "UTC" | "GMT" | "+0000"] = words.as_slice() else {
        return None;
    };
    let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let month = months.iter().position(|name| name == month)? + 1;
    let day: u8 = day.parse().ok()?;
    let year: u16 = year.parse().ok()?;
    let parts: Vec<u8> = time
        .split(':')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    let [hour, minute, second] = parts.as_slice() else {
        return None;
    };
    let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
    UnixSeconds::parse_rfc3339(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_783_851_397);

    fn release(extra: &str) -> String {
        let digest = "ab".repeat(32);
        format!(
            "Origin: Debian\r\nSuite: oldstable\r\nCodename: bookworm\r\nAcquire-By-Hash: yes\r\n\
             Date: Sat, 11 Jul 2026 10:16:37 UTC\r\n{extra}SHA256:\r\n {digest} 7 main/a/P.xz\r\n \
             {digest} 9 main/a/P\r\n"
        )
    }

    #[test]
    fn files_are_found_by_their_best_compression() {
        let release = Release::parse(&release(""), "bookworm", NOW).unwrap();
        let file = release.index("main/a/P").unwrap();
        assert_eq!((file.path.as_str(), file.size_bytes), ("main/a/P.xz", 7));
        assert_eq!(
            file.location(true),
            format!("main/a/by-hash/SHA256/{}", "ab".repeat(32))
        );
        assert_eq!(file.location(false), "main/a/P.xz");
        assert!(matches!(
            release.index("main/b"),
            Err(ReleaseError::NotListed { .. })
        ));
    }

    #[test]
    fn dates_are_read() {
        for zone in ["UTC", "GMT", "+0000"] {
            let date = parse_date(&format!("Sat, 11 Jul 2026 10:16:37 {zone}")).unwrap();
            assert_eq!(date.to_rfc3339(), "2026-07-11T10:16:37Z");
        }
        for text in [
            "",
            "Sat, 11 Jul 2026 10:16:37",
            "11 Jul 2026 10:16:37 CET",
            "31 Feb 2026 10:16:37 UTC",
        ] {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }

    #[test]
    fn another_suite_origin_or_time_is_refused() {
        let text = release("");
        assert!(Release::parse(&text, "oldstable", NOW).is_ok());
        let parse = |text: &str, suite, now| Release::parse(text, suite, now).unwrap_err();
        assert!(matches!(
            parse(&text, "trixie", NOW),
            ReleaseError::Suite { .. }
        ));
        let early = UnixSeconds(1_700_000_000);
        assert!(matches!(
            parse(&text, "bookworm", early),
            ReleaseError::FromTheFuture { .. }
        ));
        let ubuntu = text.replace("Debian", "Ubuntu");
        assert!(matches!(
            parse(&ubuntu, "bookworm", NOW),
            ReleaseError::Origin { .. }
        ));
        let expired = release("Valid-Until: Sat, 11 Jul 2026 11:16:37 UTC\r\n");
        assert!(matches!(
            parse(&expired, "bookworm", NOW),
            ReleaseError::Expired { .. }
        ));
        let garbled = release("Valid-Until: soon\r\n");
        assert_eq!(
            parse(&garbled, "bookworm", NOW),
            ReleaseError::Field {
                field: "Valid-Until"
            }
        );
    }

    #[test]
    fn hostile_lists_are_refused() {
        let text = release("");
        let digest = "ab".repeat(32);
        for line in [
            format!("{digest} 7 ../../etc/passwd"),
            format!("{digest} 7 main/a/P"),
            format!("{digest} -7 main/x"),
            format!("{} 7 main/x", &digest[1..]),
            format!("{digest} 7 main/x y"),
            format!("{digest} 7"),
        ] {
            let error = Release::parse(&format!("{text} {line}\r\n"), "bookworm", NOW).unwrap_err();
            assert_eq!(error, ReleaseError::Entry { index: 3 }, "{line}");
        }
        let twice = format!("{text}Suite: bookworm\r\n");
        let error = Release::parse(&twice, "bookworm", NOW).unwrap_err();
        assert!(matches!(
            error,
            ReleaseError::Syntax(Deb822Error::Repeated { .. })
        ));
    }
}
