//! The repository as a set of text files: the ground the architecture test stands on.
//!
//! What counts is what git would carry: tracked files, and untracked ones that are not ignored
//! (a file is judged before it is committed, not after). Where git cannot answer, for example in
//! an unpacked archive, the folders that only tools write are left out instead.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Folders that only tools write, relative to the root; used where git cannot answer.
const TOOL_FOLDERS: [&str; 5] = [
    ".git",
    "target",
    "fuzz/target",
    "fuzz/corpus",
    "fuzz/artifacts",
];

/// The folder that holds the workspace's `Cargo.toml`.
#[must_use]
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Cargo sets the variable to an absolute path with at least one component.
    tests
        .parent()
        .expect("the tests member is a folder of the workspace")
        .to_path_buf()
}

/// Every file of the repository, relative to [`root`], sorted, with `/` as separator.
///
/// # Panics
/// When the work tree cannot be read.
#[must_use]
pub fn files() -> Vec<String> {
    let mut files = tracked_by_git().unwrap_or_else(|| {
        let mut found = Vec::new();
        walk(&root(), "", &mut found);
        found
    });
    files.sort();
    files.dedup();
    files
}

/// The file's text, or `None` where it is not UTF-8 (an image, a recorded blob).
///
/// # Panics
/// When the file cannot be read.
#[must_use]
pub fn text(path: &str) -> Option<String> {
    let bytes = fs::read(root().join(path))
        .unwrap_or_else(|error| panic!("{path} cannot be read: {error}"));
    String::from_utf8(bytes).ok()
}

/// Asks git; `None` where there is no git or no work tree. The work tree may belong to another
/// user (the suite also runs as an ordinary user on a clone of root's), hence `safe.directory`.
fn tracked_by_git() -> Option<Vec<String>> {
    let root = root();
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z"])
        .args(["--cached", "--others", "--exclude-standard"])
        .current_dir(&root)
        .output()
        .ok()?;
    if !output.status.success() {
        return None;
    }
    let listing = String::from_utf8(output.stdout).ok()?;
    // A tracked file that was just deleted is still listed.
    let present = |path: &&str| !path.is_empty() && root.join(path).is_file();
    Some(
        listing
            .split('\0')
            .filter(present)
            .map(String::from)
            .collect(),
    )
}

fn walk(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    let entries = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{} cannot be listed: {error}", folder.display()));
    for entry in entries {
        let entry = entry.expect("a folder that opens can be listed");
        let name = entry
            .file_name()
            .into_string()
            .expect("names in the repository are UTF-8");
        let path = if prefix.is_empty() {
            name
        } else {
            format!("{prefix}/{name}")
        };
        let kind = entry
            .file_type()
            .expect("the type of a listed entry is known");
        if kind.is_dir() {
            if !TOOL_FOLDERS.contains(&path.as_str()) {
                walk(&entry.path(), &path, found);
            }
        } else if kind.is_file() {
            found.push(path);
        }
    }
}
