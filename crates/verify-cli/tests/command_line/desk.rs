//! Runs the program in a directory of its own, and reads what it said.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::fixture::{ARTIFACT, NAME, World, evidence};

/// A directory with an artifact, its evidence and a trust file.
pub(crate) struct Desk {
    directory: tempfile::TempDir,
    pub(crate) world: World,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let world = World::new();
        let desk = Self {
            directory: tempfile::tempdir().unwrap(),
            world,
        };
        desk.write(NAME, ARTIFACT);
        desk.write(
            &format!("{NAME}.sigstore.jsonl"),
            &evidence(&[&desk.world.provenance()]),
        );
        desk.write("trust.toml", desk.world.trust_text().as_bytes());
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_counterseal-verify"));
        command
            .env_clear()
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        command
    }

    /// [`Desk::command`] with `--trust trust.toml` and a fixed time.
    pub(crate) fn trusting(&self) -> Command {
        let mut command = self.command();
        command.args(["--trust", "trust.toml", "--now", "2026-09-21T00:00:00Z"]);
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.trusting().args(args).output().unwrap()
    }
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
pub(crate) fn check_text(output: &Output, code: i32, expected: &[&str]) {
    let verdicts = String::from_utf8(output.stdout.clone()).unwrap();
    let failures = stderr(output);
    let text = format!("{verdicts}{failures}");
    assert_eq!(output.status.code(), Some(code), "{text}");
    let is_failure = |text: &str| text.starts_with("error: ");
    assert!(!verdicts.lines().any(is_failure), "{verdicts}");
    assert!(failures.is_empty() || is_failure(&failures), "{failures}");
    for expected in expected {
        assert!(text.contains(expected), "no {expected:?} in:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "colours without a terminal");
}

/// One line, one document, and the same exit code inside as outside.
#[track_caller]
pub(crate) fn document(output: &Output, code: i32) -> Value {
    assert_eq!(output.status.code(), Some(code), "{}", stderr(output));
    assert!(output.stderr.is_empty(), "{}", stderr(output));
    let text = std::str::from_utf8(&output.stdout).unwrap();
    assert_eq!(text.matches('\n').count(), 1);
    let document: Value = serde_json::from_str(text).unwrap();
    assert_eq!(document["format"], "counterseal-verify/1");
    assert_eq!(document["exitCode"], code);
    document
}
