//! A path that can only lead downwards: what recipes and locks use to name files.
//!
//! The same type serves a pool path inside a Debian archive and a file beside the recipe. It
//! cannot hold a URL, a host and port, an absolute path or a parent component.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Longest accepted path.
pub const PATH_BYTES_MAX: usize = 1024;

/// A normalised relative path: `/` between components, no empty, `.` or `..` component, no
/// control character, colon, quote or backslash, at most [`PATH_BYTES_MAX`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelativePath(String);

impl RelativePath {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last component.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The same path below `base`.
    pub fn below(&self, base: &Path) -> PathBuf {
        base.join(&self.0)
    }
}

/// Why a text is not a [`RelativePath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// Nothing there.
    #[error("the path is empty")]
    Empty,
    /// More than [`PATH_BYTES_MAX`] bytes.
    #[error("the path is longer than {PATH_BYTES_MAX} bytes")]
    TooLong,
    /// It starts with a slash.
    #[error("the path is absolute")]
    Absolute,
    /// Two slashes in a row or one at the end.
    #[error("the path has an empty component")]
    EmptyComponent,
    /// A `.` or `..` component.
    #[error("the path has a `.` or `..` component")]
    Dots,
    /// A character that has no business in a path here.
    #[error("the path holds a character that is not allowed: U+{code:04X}")]
    Character {
        /// Its code point.
        code: u32,
    },
}

impl FromStr for RelativePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        if text.is_empty() {
            return Err(PathError::Empty);
        }
        if text.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong);
        }
        if text.starts_with('/') {
            return Err(PathError::Absolute);
        }
        let bad = |c: &char| c.is_control() || matches!(c, ':' | '"' | '\\');
        if let Some(found) = text.chars().find(bad) {
            return Err(PathError::Character {
                code: u32::from(found),
            });
        }
        for component in text.split('/') {
            match component {
                "" => return Err(PathError::EmptyComponent),
                "." | ".." => return Err(PathError::Dots),
                _ => {}
            }
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for RelativePath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_downward_paths_pass() {
        let cases = [
            ("pool/main/h/hello/hello_2.10-3_amd64.deb", None),
            ("a b/ü", None),
            ("", Some(PathError::Empty)),
            ("/etc/passwd", Some(PathError::Absolute)),
            ("a//b", Some(PathError::EmptyComponent)),
            ("a/", Some(PathError::EmptyComponent)),
            ("../a", Some(PathError::Dots)),
            ("a/../b", Some(PathError::Dots)),
            ("./a", Some(PathError::Dots)),
            ("https://host/a", Some(PathError::Character { code: 0x3a })),
            ("host:80/a", Some(PathError::Character { code: 0x3a })),
            ("a\nb", Some(PathError::Character { code: 0x0a })),
            ("a\\b", Some(PathError::Character { code: 0x5c })),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<RelativePath>().err(), expected, "{text}");
        }
        assert_eq!(
            "a".repeat(1025).parse::<RelativePath>(),
            Err(PathError::TooLong)
        );
    }

    #[test]
    fn the_last_component_is_the_file_name() {
        let path: RelativePath = "pool/x/y.deb".parse().unwrap();
        assert_eq!(path.file_name(), "y.deb");
    }
}
