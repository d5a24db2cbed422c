//! Files on their way to their place outside a store: complete or absent, and nothing stays behind.
//!
//! A draft is a hidden file beside its place, locked as long as its writer lives. Writers that come
//! to a sudden end leave it; whoever writes into the same directory next finds it unlocked and
//! removes it. The store's own unfinished files are swept with the store
//! ([`Store::open`](crate::Store::open)).

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::NamedTempFile;

use crate::open_regular;

/// What drafts are called, so that whoever finds one after a crash knows whose it is.
const DRAFT_PREFIX: &str = ".counterseal-";

/// A file that has no name of its own yet; dropped, it is removed.
#[derive(Debug)]
pub struct Draft {
    file: NamedTempFile,
}

impl Draft {
    /// Begins an empty file in the directory that it is to appear in.
    ///
    /// # Errors
    /// Those of making and of locking a file. None names a path.
    pub fn begin(directory: &Path) -> io::Result<Self> {
        loop {
            let file = tempfile::Builder::new()
                .prefix(DRAFT_PREFIX)
                .tempfile_in(directory)?;
            file.as_file().lock()?;
            // Before it was locked, another process may have taken it for abandoned.
            if file.path().exists() {
                return Ok(Self { file });
            }
        }
    }

    /// What is to be written.
    pub fn file_mut(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Gives the file its mode and its place, replacing what is there. Its content is durable on
    /// return; its name is when the directory has been synced.
    ///
    /// # Errors
    /// Those of the system, and the place is as it was. None names a path.
    pub fn finish(self, path: &Path, mode: u32) -> io::Result<()> {
        let file = self.file.as_file();
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()?;
        self.file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}

/// Removes from a directory the drafts of writers that came to a sudden end. Reads the whole
/// directory. Whatever cannot be removed stays: it is in nobody's way.
pub fn remove_abandoned_drafts(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let is_draft = entry
            .file_name()
            .as_bytes()
            .starts_with(DRAFT_PREFIX.as_bytes());
        if is_draft
            && let Ok(file) = open_regular(&entry.path())
            && file.try_lock().is_ok()
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn drafts_of_the_living_stay_and_those_of_the_dead_go() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let count = || fs::read_dir(directory.path()).unwrap().count();
        fs::write(at("other"), "").unwrap();
        fs::write(at(".counterseal-dead"), "half").unwrap();
        let mut draft = Draft::begin(directory.path()).unwrap();
        draft.file_mut().write_all(b"whole").unwrap();
        assert_eq!(count(), 3);
        remove_abandoned_drafts(directory.path());
        assert!(!at(".counterseal-dead").exists());
        assert_eq!(count(), 2);
        draft.finish(&at("file"), 0o640).unwrap();
        assert_eq!(fs::read(at("file")).unwrap(), b"whole");
        let mode = fs::metadata(at("file")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        drop(Draft::begin(directory.path()).unwrap());
        assert_eq!(count(), 2);
        remove_abandoned_drafts(&at("missing"));
    }
}
