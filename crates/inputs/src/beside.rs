//! What stands beside the recipe, for a recipe that somebody else may have written.
//!
//! A location names a path below the recipe's directory. Links on the way are followed as long as
//! they stay in that directory: a checked-out repository could otherwise hold a link to the
//! builder's own files, and an input ends up in the store, in input archives and in the step's
//! root. Deliberately absent: defence against somebody who changes the directory meanwhile.

use std::fs::FileType;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::{InputsError, io};
use crate::relative_path::RelativePath;

/// The regular file that `location` names below `base`, or `None` when nothing stands there.
///
/// # Errors
/// A link that leads out of `base`, or something that is not a file (a pipe would never end).
pub(crate) fn file(base: &Path, location: &RelativePath) -> Result<Option<PathBuf>, InputsError> {
    find(base, location, "file", FileType::is_file)
}

/// The directory that `location` names below `base`, or `None` when nothing stands there.
///
/// # Errors
/// A link that leads out of `base`, or something that is not a directory.
pub(crate) fn directory(
    base: &Path,
    location: &RelativePath,
) -> Result<Option<PathBuf>, InputsError> {
    find(base, location, "directory", FileType::is_dir)
}

fn find(
    base: &Path,
    location: &RelativePath,
    kind: &'static str,
    is_kind: impl Fn(&FileType) -> bool,
) -> Result<Option<PathBuf>, InputsError> {
    let path = location.below(base);
    let real = match path.canonicalize() {
        Ok(real) => real,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io("resolve", &path, error)),
    };
    let base = base
        .canonicalize()
        .map_err(|error| io("resolve", base, error))?;
    if !real.starts_with(&base) {
        let location = location.to_string();
        return Err(InputsError::LeadsOut { location });
    }
    let found = real
        .metadata()
        .map_err(|error| io("examine", &path, error))?;
    if !is_kind(&found.file_type()) {
        let location = location.to_string();
        return Err(InputsError::LocalKind { location, kind });
    }
    // As the recipe has it, for messages; what it leads to was looked at.
    Ok(Some(path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn links_may_lead_anywhere_inside() {
        let outer = tempfile::tempdir().unwrap();
        let base = outer.path().join("recipe");
        std::fs::create_dir_all(base.join("folder")).unwrap();
        std::fs::write(outer.path().join("key"), "private").unwrap();
        std::fs::write(base.join("folder/file"), "").unwrap();
        for (target, link) in [
            ("folder/file", "inside"),
            ("folder", "inside-folder"),
            ("../key", "outside"),
            ("..", "outside-folder"),
            ("/", "root"),
            ("nowhere", "dangling"),
        ] {
            symlink(target, base.join(link)).unwrap();
        }
        let _socket = UnixListener::bind(base.join("socket")).unwrap();
        let file = |location: &str| super::file(&base, &location.parse().unwrap());
        let directory = |location: &str| super::directory(&base, &location.parse().unwrap());
        for location in ["folder/file", "inside", "inside-folder/file"] {
            assert_eq!(file(location).unwrap(), Some(base.join(location)));
        }
        assert_eq!(
            directory("inside-folder").unwrap(),
            Some(base.join("inside-folder"))
        );
        for location in ["nothing", "dangling", "folder/nothing"] {
            assert_eq!(file(location).unwrap(), None, "{location}");
            assert_eq!(directory(location).unwrap(), None, "{location}");
        }
        for location in ["outside", "outside-folder/key", "outside-folder", "root"] {
            let refused = |result| matches!(result, Err(InputsError::LeadsOut { .. }));
            assert!(
                refused(file(location)) && refused(directory(location)),
                "{location}"
            );
        }
        for location in ["folder", "socket"] {
            let message = file(location).unwrap_err().to_string();
            assert_eq!(
                message,
                format!("{location} beside the recipe is not a file")
            );
        }
        assert!(directory("folder/file").is_err());
    }
}
