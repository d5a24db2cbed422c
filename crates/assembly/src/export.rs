//! Writes an assembly's actions down so that they can be run elsewhere: description, root and
//! launcher in one directory, which is the input root of an action for any execution engine.
//!
//! Absent on purpose: talking to an engine.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use counterseal_launcher::DESCRIPTION_NAME;
use counterseal_sandbox::Guarantee;
use counterseal_store::Store;
use counterseal_store::tree::{WalkKind, walk};

use crate::assembly::Assembly;
use crate::describe::{ROOT_NAME, describe};
use crate::error::AssemblyError;
use crate::prepare::Prepared;

/// What the launcher is called in the directory.
pub const LAUNCHER_NAME: &str = "counterseal-launch";

/// Writes into `directory`, which exists and is empty, all that `counterseal-launch action.json`
/// needs there. `launcher` is that program.
///
/// # Errors
/// A damaged store; whatever writing reports. What was written by then stays.
pub fn export(
    assembly: &Assembly,
    prepared: &Prepared,
    store: &Store,
    waived: &BTreeSet<Guarantee>,
    launcher: &[u8],
    directory: &Path,
) -> Result<(), AssemblyError> {
    let description = describe(assembly, prepared, waived, &BTreeSet::new()).to_bytes()?;
    let root = directory.join(ROOT_NAME);
    make_directory(&root)?;
    for entry in walk(store, &prepared.root)? {
        let path = root.join(&entry.path);
        match &entry.kind {
            WalkKind::Directory { .. } => make_directory(&path)?,
            WalkKind::Symlink { target } => {
                symlink(target, &path).map_err(|source| failed("create", &path, source))?;
            }
            WalkKind::File { digest, executable } => {
                write(&path, *executable, |file| {
                    let copied = store.copy_blob(digest, file);
                    copied.map_err(|error| io::Error::other(error.to_string()))
                })?;
            }
        }
    }
    write(&directory.join(LAUNCHER_NAME), true, |file| {
        file.write_all(launcher)
    })?;
    // Last: where there is a description, the rest is there.
    write(&directory.join(DESCRIPTION_NAME), false, |file| {
        file.write_all(&description)
    })
}

fn make_directory(path: &Path) -> Result<(), AssemblyError> {
    fs::create_dir(path)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o755)))
        .map_err(|source| failed("create", path, source))
}

fn write(
    path: &Path,
    executable: bool,
    content: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), AssemblyError> {
    let mode = if executable { 0o755 } else { 0o644 };
    File::create_new(path)
        .and_then(|mut file| {
            content(&mut file)?;
            file.set_permissions(Permissions::from_mode(mode))
        })
        .map_err(|source| failed("write", path, source))
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> AssemblyError {
    AssemblyError::Io {
        action,
        path: path.display().to_string(),
        source,
    }
}
