//! Paths inside archives: which are acceptable, and what already stands where.

use std::collections::BTreeMap;

/// Length of a whole path.
const PATH_BYTES_MAX: usize = 4096;
/// Length of one name in it.
const NAME_BYTES_MAX: usize = 255;
/// Number of names in it.
const DEPTH_MAX: usize = 256;

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathDefect {
    /// It starts with a slash.
    #[error("it is absolute")]
    Absolute,
    /// One of its names is `..`.
    #[error("it leads upwards")]
    Upwards,
    /// It has no name at all, an empty name between two slashes, or the name `.` inside.
    #[error("it is not in its shortest form")]
    NotShortest,
    /// It contains a NUL byte.
    #[error("it contains a NUL byte")]
    Nul,
    /// It is not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// It, or a name in it, is longer than file systems take, or it is nested too deep.
    #[error("it is too long or too deep")]
    TooLong,
}

/// Brings a path from an archive into its one form: relative, without `./` in front and slash at
/// the end. The archive's root (`./`) becomes the empty path.
pub(crate) fn normalise(path: &[u8]) -> Result<&str, PathDefect> {
    let path = std::str::from_utf8(path).map_err(|_| PathDefect::NotUtf8)?;
    if path.starts_with('/') {
        return Err(PathDefect::Absolute);
    }
    let mut rest = path;
    while let Some(shorter) = rest.strip_prefix("./") {
        rest = shorter;
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.is_empty() || rest == "." {
        return if path.starts_with('.') {
            Ok("")
        } else {
            Err(PathDefect::NotShortest)
        };
    }
    check(rest)?;
    Ok(rest)
}

/// Accepts exactly the non-empty paths that [`normalise`] returns.
pub(crate) fn check(path: &str) -> Result<(), PathDefect> {
    if path.contains('\0') {
        return Err(PathDefect::Nul);
    }
    if path.starts_with('/') {
        return Err(PathDefect::Absolute);
    }
    let mut depth = 0;
    for name in path.split('/') {
        depth += 1;
        match name {
            ".." => return Err(PathDefect::Upwards),
            "" | "." => return Err(PathDefect::NotShortest),
            _ if name.len() > NAME_BYTES_MAX => return Err(PathDefect::TooLong),
            _ => {}
        }
    }
    if path.len() > PATH_BYTES_MAX || depth > DEPTH_MAX {
        return Err(PathDefect::TooLong);
    }
    Ok(())
}

/// Whether a symbolic link can have this target, wherever it leads.
pub(crate) fn is_link_target(target: &str) -> bool {
    (1..PATH_BYTES_MAX).contains(&target.len()) && !target.contains('\0')
}

/// What can stand at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occupant {
    Directory,
    File,
    Link,
}

/// Remembers what stands where, so that no entry replaces another or hides below a link.
#[derive(Debug, Default)]
pub(crate) struct Places(BTreeMap<String, Occupant>);

impl Places {
    /// Takes a path for an entry; parents become directories. A directory may be named again.
    ///
    /// Returns how many parents were not known before; or, if the entry cannot be there, the path
    /// that is already taken by something else.
    pub(crate) fn take(&mut self, path: &str, occupant: Occupant) -> Result<u64, String> {
        match self.0.get(path) {
            Some(Occupant::Directory) if occupant == Occupant::Directory => return Ok(0),
            Some(_) => return Err(path.to_owned()),
            None => {}
        }
        let mut implied = 0;
        let mut end = path.len();
        while let Some(slash) = path[..end].rfind('/') {
            let parent = &path[..slash];
            match self.0.get(parent) {
                // Whose own parents are known, too.
                Some(Occupant::Directory) => break,
                Some(_) => return Err(parent.to_owned()),
                None => self.0.insert(parent.to_owned(), Occupant::Directory),
            };
            implied += 1;
            end = slash;
        }
        self.0.insert(path.to_owned(), occupant);
        Ok(implied)
    }

    pub(crate) fn is_file(&self, path: &str) -> bool {
        self.0.get(path) == Some(&Occupant::File)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_relative_paths_in_one_form() {
        for (given, expected) in [
            ("a", Ok("a")),
            ("./a/b", Ok("a/b")),
            ("././a/", Ok("a")),
            ("./", Ok("")),
            (".", Ok("")),
            (".a", Ok(".a")),
            ("..a/b..", Ok("..a/b..")),
            ("", Err(PathDefect::NotShortest)),
            ("/", Err(PathDefect::Absolute)),
            ("/etc/passwd", Err(PathDefect::Absolute)),
            (".//etc", Err(PathDefect::Absolute)),
            ("..", Err(PathDefect::Upwards)),
            ("./../a", Err(PathDefect::Upwards)),
            ("a/../../b", Err(PathDefect::Upwards)),
            ("a/..", Err(PathDefect::Upwards)),
            ("a//b", Err(PathDefect::NotShortest)),
            ("a/./b", Err(PathDefect::NotShortest)),
            ("a//", Err(PathDefect::NotShortest)),
            ("a\0b", Err(PathDefect::Nul)),
        ] {
            assert_eq!(normalise(given.as_bytes()), expected, "{given}");
        }
        assert_eq!(normalise(b"\xff"), Err(PathDefect::NotUtf8));
        assert_eq!(
            normalise("n".repeat(256).as_bytes()),
            Err(PathDefect::TooLong)
        );
        assert_eq!(
            normalise("a/".repeat(257).as_bytes()),
            Err(PathDefect::TooLong)
        );
        let long = vec!["n".repeat(200); 21].join("/");
        assert_eq!(normalise(long.as_bytes()), Err(PathDefect::TooLong));
    }

    #[test]
    fn nothing_replaces_anything() {
        let mut places = Places::default();
        assert_eq!(places.take("a/b/c", Occupant::File), Ok(2));
        assert_eq!(places.take("a/b", Occupant::Directory), Ok(0));
        assert_eq!(places.take("a/l", Occupant::Link), Ok(0));
        assert_eq!(places.take("a", Occupant::Link), Err("a".into()));
        assert_eq!(places.take("a/b/c", Occupant::File), Err("a/b/c".into()));
        assert_eq!(places.take("a/b/c/d", Occupant::File), Err("a/b/c".into()));
        assert_eq!(places.take("a/l/x/y", Occupant::File), Err("a/l".into()));
        assert!(places.is_file("a/b/c") && !places.is_file("a/l"));
    }
}
