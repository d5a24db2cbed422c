//! The programs under test: where they are, how they are run, what they said.
//!
//! Cargo builds a program before the tests of *its own* package run, not before ours. Both
//! packages have such tests (`crates/cli/tests`, `crates/verify-cli/tests`), so the default test
//! run, `cargo test --workspace`, always has built both by the time these journeys start.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Names the directory that holds the programs, where it is not the one beside this test.
const DIRECTORY_VARIABLE: &str = "COUNTERSEAL_BIN_DIR";

/// A program of this workspace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Program {
    /// Everything.
    Counterseal,
    /// The small verifier.
    CountersealVerify,
}

impl Program {
    const fn name(self) -> &'static str {
        match self {
            Self::Counterseal => "counterseal",
            Self::CountersealVerify => "counterseal-verify",
        }
    }
}

/// The built program.
///
/// # Panics
/// When it has not been built.
pub(crate) fn program(program: Program) -> PathBuf {
    let directory =
        std::env::var_os(DIRECTORY_VARIABLE).map_or_else(beside_this_test, PathBuf::from);
    let path = directory.join(program.name());
    assert!(
        path.is_file(),
        "{} has not been built. `cargo test --workspace` builds it; for these tests alone, first \
         run `cargo build -p counterseal-cli -p counterseal-verify-cli`, or name the directory \
         that holds it in {DIRECTORY_VARIABLE}.",
        path.display()
    );
    path
}

/// Cargo puts tests into `deps`, programs into the directory above.
fn beside_this_test() -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    let directory = test.parent().and_then(Path::parent);
    directory
        .expect("cargo builds tests two levels below the target directory")
        .to_owned()
}

/// What a run of a program came to.
pub(crate) struct Ran {
    line: String,
    output: Output,
}

/// The two streams of a run, as text.
pub(crate) struct Spoken<'a>(&'a Ran);

impl Ran {
    /// Runs a command to its end.
    pub(crate) fn of(mut command: Command) -> Self {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
        let line = words.join(" ");
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        Self { line, output }
    }

    /// The exit code; a run that a signal ended has none.
    pub(crate) fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    /// Insists on an exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code(), Some(code), "exit code\n{}", Spoken(&self));
        self
    }

    /// Insists on a text on one of the two streams.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        let found = self.stdout().contains(text) || self.stderr().contains(text);
        assert!(found, "expected to read: {text}\n{}", Spoken(&self));
        self
    }

    /// Insists that a text is on neither stream.
    #[track_caller]
    pub(crate) fn never_says(self, text: &str) -> Self {
        let found = self.stdout().contains(text) || self.stderr().contains(text);
        assert!(!found, "expected not to read: {text}\n{}", Spoken(&self));
        self
    }

    /// Insists that the failure is one that a stranger can use: a message, no panic, nothing that
    /// would drive a terminal.
    #[track_caller]
    pub(crate) fn speaks_plainly(self) -> Self {
        let spoken = Spoken(&self).to_string();
        let unfit = |c: char| c.is_control() && c != '\n';
        assert!(
            !spoken.chars().any(unfit),
            "control characters: {}",
            spoken.escape_debug()
        );
        assert!(
            !spoken.contains("panicked") && self.code() != Some(70),
            "{spoken}"
        );
        assert!(self.code().is_some(), "ended by a signal: {spoken}");
        self
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// Standard output as one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.output.stdout)
            .unwrap_or_else(|error| panic!("no JSON document: {error}\n{}", Spoken(self)))
    }

    /// What it said, for a failing assertion's message.
    pub(crate) fn spoken(&self) -> Spoken<'_> {
        Spoken(self)
    }
}

impl std::fmt::Display for Spoken<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Ran { line, output } = self.0;
        writeln!(f, "$ {line}\n({})", output.status)?;
        write!(f, "{}", String::from_utf8_lossy(&output.stdout))?;
        write!(f, "{}", String::from_utf8_lossy(&output.stderr))
    }
}
