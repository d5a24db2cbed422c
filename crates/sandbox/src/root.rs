//! What the root holds at its top level, listed before the room is made: each entry is
//! bound into the assembled root by itself, because the sandbox adds `/build`, `/dev`,
//! `/proc` and `/tmp` beside them and the given directory must not change.

use std::ffi::{CStr, CString};
use std::path::Path;

use crate::board::Board;
use crate::error::SandboxError;

/// An entry of the root's top level.
#[derive(Clone, Copy)]
pub(crate) struct RootEntry<Text = CString> {
    pub(crate) name: Text,
    /// Where it appears while the root is assembled, relative to the room's base.
    pub(crate) place: Text,
    pub(crate) kind: RootEntryKind<Text>,
}

#[derive(Clone, Copy)]
pub(crate) enum RootEntryKind<Text = CString> {
    Directory,
    File,
    Link { target: Text },
}

impl RootEntry {
    pub(crate) fn written_on<'b>(
        &self,
        board: &'b Board,
    ) -> Result<RootEntry<&'b CStr>, SandboxError> {
        Ok(RootEntry {
            name: board.text(&self.name)?,
            place: board.text(&self.place)?,
            kind: match &self.kind {
                RootEntryKind::Directory => RootEntryKind::Directory,
                RootEntryKind::File => RootEntryKind::File,
                RootEntryKind::Link { target } => RootEntryKind::Link {
                    target: board.text(target)?,
                },
            },
        })
    }
}

/// More entries than any root has at its top.
pub(crate) const ROOT_ENTRIES_MAX: usize = 512;
/// Entries of a root's top level that the sandbox puts there itself.
pub const OWN_ENTRIES: [&str; 4] = ["build", "dev", "proc", "tmp"];

/// Lists the root's top level. Empty directories where the sandbox puts its own are left
/// out; anything else there is refused.
pub(crate) fn root_entries(root: &Path) -> Result<Vec<RootEntry>, SandboxError> {
    let failed = |source| crate::error::io_at("reading the root", root, source);
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(root).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let conflict = |problem| SandboxError::RootConflict {
            name: entry.file_name().to_string_lossy().into_owned(),
            problem,
        };
        let name = entry.file_name();
        let name = name
            .to_str()
            .ok_or_else(|| conflict("its name is not UTF-8"))?;
        let kind = entry.file_type().map_err(failed)?;
        if OWN_ENTRIES.contains(&name) {
            let is_empty = kind.is_dir()
                && std::fs::read_dir(entry.path())
                    .map_err(failed)?
                    .next()
                    .is_none();
            if is_empty {
                continue;
            }
            return Err(conflict(
                "the sandbox puts its own there, and this is not an empty directory",
            ));
        }
        let terminated = |s: String| CString::new(s).map_err(|_| conflict("it holds a zero byte"));
        let kind = if kind.is_dir() {
            RootEntryKind::Directory
        } else if kind.is_file() {
            RootEntryKind::File
        } else if kind.is_symlink() {
            let target = std::fs::read_link(entry.path()).map_err(failed)?;
            let target = target
                .to_str()
                .ok_or_else(|| conflict("its target is not UTF-8"))?;
            RootEntryKind::Link {
                target: terminated(target.to_owned())?,
            }
        } else {
            return Err(conflict("it is neither a file nor a directory nor a link"));
        };
        if entries.len() == ROOT_ENTRIES_MAX {
            return Err(conflict("the root has more than 512 entries"));
        }
        entries.push(RootEntry {
            name: terminated(name.to_owned())?,
            place: terminated(format!("{}/{name}", crate::furnish::ROOT_PLACE))?,
            kind,
        });
    }
    // The same order on every file system, because it is the order of creation inside.
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn lists_sorted_and_leaves_mount_points_out() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("usr")).unwrap();
        fs::create_dir(root.path().join("proc")).unwrap();
        fs::write(root.path().join("program"), b"x").unwrap();
        std::os::unix::fs::symlink("usr/bin", root.path().join("bin")).unwrap();
        let entries = root_entries(root.path()).unwrap();
        let names: Vec<_> = entries.iter().map(|e| e.name.to_str().unwrap()).collect();
        assert_eq!(names, ["bin", "program", "usr"]);
        assert!(
            matches!(&entries[0].kind, RootEntryKind::Link { target } if target.as_c_str() == c"usr/bin")
        );
    }

    #[test]
    fn refuses_what_would_be_hidden() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("build/secret")).unwrap();
        let error = root_entries(root.path()).err().unwrap().to_string();
        assert!(error.starts_with("the root may not hold /build"), "{error}");

        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", root.path().join("dev")).unwrap();
        assert!(root_entries(root.path()).is_err());
    }

    #[test]
    fn refuses_sockets() {
        let root = tempfile::tempdir().unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.path().join("s")).unwrap();
        assert!(root_entries(root.path()).is_err());
    }
}
