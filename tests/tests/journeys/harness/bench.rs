//! The workbench: a temporary directory with a home, keys, a record and a trust file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::programs::{Program, Ran, program};

/// Origin of the bench's record.
pub(crate) const ORIGIN: &str = "zurich.record.example";
/// The builder that the bench's trust file knows.
const BUILDER_ID: &str = "https://builder.example/assembly";
/// What `replay` calls itself.
const AUDITOR_ID: &str = "https://auditor.example";

/// Directories and parties of one journey.
pub(crate) struct Bench {
    directory: TempDir,
}

impl Bench {
    /// A bench with an empty home and nothing on it.
    pub(crate) fn bare() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("journey-")
            .tempdir()
            .unwrap();
        for name in ["home", "tmp"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        Self { directory }
    }

    /// With keys for a vendor and an auditor, a record, and a trust file that names all three:
    /// the part of a build engineer's day that happens once.
    pub(crate) fn new() -> Self {
        let bench = Self::bare();
        bench.run("keys new attestation keys/vendor.key").exits(0);
        bench.run("keys new attestation keys/auditor.key").exits(0);
        bench
            .run(&format!(
                "keys new record keys/record.key --origin {ORIGIN}"
            ))
            .exits(0);
        bench
            .run("record init record --key keys/record.key")
            .exits(0);
        bench.new_trust("trust.toml", &[]).exits(0);
        bench
    }

    /// `trust new` for the bench's parties.
    pub(crate) fn new_trust(&self, file: &str, more: &[&str]) -> Ran {
        let line = format!(
            "trust new --builder vendor=keys/vendor.key.pub --builder-id {BUILDER_ID} \
             --auditor auditor=keys/auditor.key.pub --record keys/record.key.pub --output {file}"
        );
        self.run_words(&[&words(&line), more].concat())
    }

    /// The directory that everything lies in.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    /// Runs `counterseal` with the words of a line, in the bench's directory.
    pub(crate) fn run(&self, line: &str) -> Ran {
        self.run_words(&words(line))
    }

    /// Runs `counterseal` with these words.
    pub(crate) fn run_words(&self, words: &[&str]) -> Ran {
        let mut command = self.command(Program::Counterseal);
        command.args(words);
        Ran::of(command)
    }

    /// Brings a program onto the bench, for a user who cannot reach the place it was built in.
    pub(crate) fn copy_program(&self, which: Program) {
        // Not by this process: a descriptor open for writing would keep others, forked in the
        // meantime by parallel tests, from letting anyone execute the file.
        let mut copy = Command::new("cp");
        copy.arg(program(which)).arg(self.directory());
        Ran::of(copy).exits(0);
    }

    /// A program that finds the bench and nothing else: no variable is inherited.
    pub(crate) fn command(&self, which: Program) -> Command {
        let built = program(which);
        // A copy on the bench goes first.
        let copied = self
            .directory()
            .join(built.file_name().expect("a program has a name"));
        let mut command = Command::new(if copied.exists() { copied } else { built });
        command
            .current_dir(self.directory())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"));
        command
    }

    /// `verify FILE` by the small verifier or by the verb, with the bench's trust file.
    pub(crate) fn verify(&self, which: Program, files: &[&str], more: &[&str]) -> Ran {
        let mut command = self.command(which);
        if which == Program::Counterseal {
            command.arg("verify");
        }
        command
            .args(["--trust", "trust.toml"])
            .args(more)
            .args(files);
        Ran::of(command)
    }

    /// The line that assembles the product in a folder, signed and recorded on the bench.
    pub(crate) fn assemble_line(product: &str) -> String {
        format!(
            "assemble {product}/assembly.toml --output out --store store --offline \
             --key keys/vendor.key --builder-id {BUILDER_ID} \
             --record record --record-key keys/record.key"
        )
    }

    /// Assembles the product in a folder, with more words behind.
    pub(crate) fn assemble(&self, product: &str, more: &[&str]) -> Ran {
        self.run_words(&[&words(&Self::assemble_line(product)), more].concat())
    }

    /// Locks the product in a folder.
    pub(crate) fn lock(&self, product: &str) -> Ran {
        self.run(&format!(
            "lock {product}/assembly.toml --store store --offline"
        ))
    }

    /// Replays evidence in an auditor's store of its own, signed and recorded on the bench.
    pub(crate) fn replay(&self, evidence: &str, store: &str, more: &[&str]) -> Ran {
        let line = format!(
            "replay {evidence} --store {store} --offline --sign keys/auditor.key \
             --auditor-id {AUDITOR_ID} --record record --record-key keys/record.key"
        );
        self.run_words(&[&words(&line), more].concat())
    }

    /// `record check`, which must find everything in order; gives the number of entries.
    #[track_caller]
    pub(crate) fn entries(&self) -> u64 {
        let ran = self
            .run("record check record --public-key keys/record.key.pub")
            .exits(0);
        let count = ran
            .stdout()
            .split_once(": ")
            .and_then(|(_, rest)| rest.split_once(" entries"))
            .and_then(|(count, _)| count.parse().ok());
        count.unwrap_or_else(|| panic!("no number of entries\n{}", ran.spoken()))
    }

    /// `show --json` for evidence: the decoded statements.
    #[track_caller]
    pub(crate) fn statements(&self, evidence: &str) -> Vec<serde_json::Value> {
        let document = self.run(&format!("show {evidence} --json")).exits(0).json();
        let statements = document["statements"]
            .as_array()
            .expect("`statements` is a list");
        statements
            .iter()
            .map(|one| one["statement"].clone())
            .collect()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // Checkouts in a store are closed to their owner, too, unless that is root.
        open_up(self.directory());
    }
}

/// Every file below a directory, sorted.
pub(crate) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Removes a directory with all that is in it, closed directories included.
pub(crate) fn remove_directory(path: &Path) {
    open_up(path);
    fs::remove_dir_all(path).unwrap();
}

fn open_up(path: &Path) {
    let is_directory = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
    if !is_directory {
        return;
    }
    // What cannot be opened is somebody else's, and stays.
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        open_up(&entry.path());
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// Copies a directory with everything in it.
pub(crate) fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy_directory(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}
