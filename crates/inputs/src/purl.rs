//! Package URLs: the names inputs carry in locks and provenance (purl specification, ECMA-427).
//!
//! Only the two types this crate produces exist: `pkg:deb/debian/…` and `pkg:generic/…`, with the
//! qualifiers `arch`, `distro` and `file_name`. Deliberately absent: `repository_url`,
//! `download_url` and `vcs_url`, because an identity must not name a host.

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

/// Longest accepted package URL.
pub const PURL_BYTES_MAX: usize = 1024;

/// A package URL in canonical form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageUrl {
    text: String,
    is_debian: bool,
    name: String,
    version: Option<String>,
    architecture: Option<String>,
    distribution: Option<String>,
    file_name: Option<String>,
}

impl PackageUrl {
    /// A binary package: `pkg:deb/debian/NAME@VERSION?arch=ARCH&distro=SUITE`.
    pub fn debian_binary(name: &str, version: &str, architecture: &str, suite: &str) -> Self {
        Self::assemble(
            true,
            name,
            Some(version),
            Some(architecture),
            Some(suite),
            None,
        )
    }

    /// One file of a source package:
    /// `pkg:deb/debian/NAME@VERSION?arch=source&distro=SUITE&file_name=FILE`.
    pub fn debian_source(name: &str, version: &str, suite: &str, file_name: &str) -> Self {
        Self::assemble(
            true,
            name,
            Some(version),
            Some("source"),
            Some(suite),
            Some(file_name),
        )
    }

    /// A file or directory that no package manager knows: `pkg:generic/NAME`.
    pub fn generic(name: &str) -> Self {
        Self::assemble(false, name, None, None, None, None)
    }

    fn assemble(
        is_debian: bool,
        name: &str,
        version: Option<&str>,
        architecture: Option<&str>,
        distribution: Option<&str>,
        file_name: Option<&str>,
    ) -> Self {
        let mut text = String::from(if is_debian {
            "pkg:deb/debian/"
        } else {
            "pkg:generic/"
        });
        encode(name, &mut text);
        if let Some(version) = version {
            text.push('@');
            encode(version, &mut text);
        }
        let mut separator = '?';
        // The specification sorts qualifiers by key.
        for (key, value) in [
            ("arch", architecture),
            ("distro", distribution),
            ("file_name", file_name),
        ] {
            if let Some(value) = value {
                text.push(separator);
                text.push_str(key);
                text.push('=');
                encode(value, &mut text);
                separator = '&';
            }
        }
        Self {
            text,
            is_debian,
            name: name.to_owned(),
            version: version.map(str::to_owned),
            architecture: architecture.map(str::to_owned),
            distribution: distribution.map(str::to_owned),
            file_name: file_name.map(str::to_owned),
        }
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether this names a Debian package, binary or source.
    pub fn is_debian(&self) -> bool {
        self.is_debian
    }

    /// The package's or file's name, decoded.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version, decoded.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The `arch` qualifier; `source` for source packages.
    pub fn architecture(&self) -> Option<&str> {
        self.architecture.as_deref()
    }

    /// The `distro` qualifier: the suite the package was resolved from.
    pub fn distribution(&self) -> Option<&str> {
        self.distribution.as_deref()
    }

    /// The `file_name` qualifier: which file of a source package.
    pub fn file_name(&self) -> Option<&str> {
        self.file_name.as_deref()
    }
}

/// Why a text is not a [`PackageUrl`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a package URL of a known form in canonical spelling")]
pub struct PurlError {
    /// What was written, cut to 200 characters.
    pub found: String,
}

impl FromStr for PackageUrl {
    type Err = PurlError;

    fn from_str(text: &str) -> Result<Self, PurlError> {
        // Reading and writing again keeps the accepted spelling to exactly one.
        match read(text) {
            Some(purl) if purl.text == text => Ok(purl),
            _ => Err(PurlError {
                found: text.chars().take(200).collect(),
            }),
        }
    }
}

fn read(text: &str) -> Option<PackageUrl> {
    if text.len() > PURL_BYTES_MAX {
        return None;
    }
    let (is_debian, rest) = match text.strip_prefix("pkg:deb/debian/") {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix("pkg:generic/")?),
    };
    let (identity, qualifiers) = match rest.split_once('?') {
        Some((identity, qualifiers)) => (identity, Some(qualifiers)),
        None => (rest, None),
    };
    let (name, version) = match identity.split_once('@') {
        Some((name, version)) => (decode(name)?, Some(decode(version)?)),
        None => (decode(identity)?, None),
    };
    let (mut architecture, mut distribution, mut file_name) = (None, None, None);
    for qualifier in qualifiers.into_iter().flat_map(|q| q.split('&')) {
        let (key, value) = qualifier.split_once('=')?;
        let slot = match key {
            "arch" => &mut architecture,
            "distro" => &mut distribution,
            "file_name" => &mut file_name,
            _ => return None,
        };
        *slot = Some(decode(value)?);
    }
    let is_complete = if is_debian {
        version.is_some() && architecture.is_some() && distribution.is_some()
    } else {
        version.is_none() && qualifiers.is_none()
    };
    is_complete.then(|| {
        PackageUrl::assemble(
            is_debian,
            &name,
            version.as_deref(),
            architecture.as_deref(),
            distribution.as_deref(),
            file_name.as_deref(),
        )
    })
}

fn is_literal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~' | b':')
}

fn encode(value: &str, out: &mut String) {
    for byte in value.bytes() {
        if is_literal(byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

fn decode(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    (!text.is_empty() && !text.chars().any(char::is_control)).then_some(text)
}

impl fmt::Display for PackageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> serde::Deserialize<'de> for PackageUrl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_is_canonical() {
        let binary =
            PackageUrl::debian_binary("libstdc++6", "1:2.3+dfsg~rc1-1", "amd64", "bookworm");
        assert_eq!(
            binary.as_str(),
            "pkg:deb/debian/libstdc%2B%2B6@1:2.3%2Bdfsg~rc1-1?arch=amd64&distro=bookworm"
        );
        let source = PackageUrl::debian_source("hello", "2.10-3", "bookworm", "hello_2.10-3.dsc");
        assert_eq!(
            source.as_str(),
            "pkg:deb/debian/hello@2.10-3?arch=source&distro=bookworm&file_name=hello_2.10-3.dsc"
        );
        for purl in [binary, source, PackageUrl::generic("a file.txt")] {
            assert_eq!(purl.as_str().parse::<PackageUrl>().unwrap(), purl);
        }
    }

    #[test]
    fn other_spellings_and_hosts_are_refused() {
        let cases = [
            "",
            "pkg:deb/debian/hello",
            "pkg:deb/debian/hello@1?arch=amd64",
            "pkg:deb/debian/hello@1?distro=bookworm&arch=amd64",
            "pkg:deb/debian/hello@1?arch=amd64&arch=amd64&distro=bookworm",
            "pkg:deb/debian/hello@1?arch=amd64&distro=b&repository_url=h.example",
            "pkg:deb/ubuntu/hello@1?arch=amd64&distro=jammy",
            "pkg:generic/a?download_url=https:%2F%2Fh.example",
            "pkg:generic/a%2f",
            "pkg:generic/%41",
            "pkg:generic/a%0A",
            "pkg:generic/a%",
            "PKG:generic/a",
        ];
        for text in cases {
            assert!(text.parse::<PackageUrl>().is_err(), "{text}");
        }
    }
}
