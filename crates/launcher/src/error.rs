//! Why a launch came to no end of the steps' own, and the exit code that says so.

use std::path::{Path, PathBuf};

use counterseal_sandbox::SandboxError;

use crate::description::DescriptionError;
use crate::outputs::OutputError;

/// What kind of refusal ended a launch. Steps may exit with these numbers, too: a number is the
/// step's own exactly if the result says `step-failed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Refusal {
    /// The description, or what it names, cannot be used; nothing has run, or the step's program
    /// could not be executed.
    Description = 120,
    /// This machine cannot keep a guarantee that was not waived.
    Machine = 121,
    /// A step broke a limit, left processes behind, or was killed from outside.
    Step = 122,
    /// An output is missing or may not leave the sandbox.
    Output = 123,
    /// Reading or writing failed.
    Fault = 124,
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "each field is named in the message of its variant"
)]
pub enum LaunchError {
    #[error("{}: {source}", .path.display())]
    Description {
        path: PathBuf,
        source: DescriptionError,
    },
    #[error("{} is not a regular file", .path.display())]
    NotAFile { path: PathBuf },
    #[error("{what} `{path}` is not there")]
    Missing { what: &'static str, path: String },
    #[error("{what} `{path}` is not a directory, or a symbolic link leads to it")]
    NotADirectory { what: &'static str, path: String },
    #[error(
        "the output directory `{path}` holds something already (`{}`): what is in it afterwards must be this run's alone", .found.escape_debug()
    )]
    NotEmpty { path: String, found: String },
    #[error("the root's {path} cannot be read by the user who runs the steps (mode {mode:04o})")]
    Unreadable { path: PathBuf, mode: u32 },
    #[error("the root has more entries or levels than are staged: {}", .path.display())]
    RootTooLarge { path: PathBuf },
    #[error("step {step}: {source}")]
    Sandbox { step: String, source: SandboxError },
    #[error("output {to}: {source}")]
    Output { to: String, source: OutputError },
    #[error("the result cannot be written: {source}")]
    Result {
        source: counterseal_attestation::json::JsonError,
    },
    #[error("{action} {path}: {source}")]
    Io {
        action: &'static str,
        path: String,
        source: std::io::Error,
    },
}

impl LaunchError {
    /// What kind of refusal this is.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Description { .. }
            | Self::NotAFile { .. }
            | Self::Missing { .. }
            | Self::NotADirectory { .. }
            | Self::NotEmpty { .. }
            | Self::Unreadable { .. }
            | Self::RootTooLarge { .. } => Refusal::Description,
            Self::Sandbox { source, .. } => match source {
                SandboxError::NotEnforceable { .. }
                | SandboxError::HostLimit { .. }
                | SandboxError::Setup { .. }
                | SandboxError::SetupKilled => Refusal::Machine,
                SandboxError::InvalidAction { .. }
                | SandboxError::RootConflict { .. }
                | SandboxError::RootChanged { .. }
                | SandboxError::Program { .. }
                | SandboxError::WorkingDirectory { .. } => Refusal::Description,
                SandboxError::Io { .. } | SandboxError::ScratchUnused => Refusal::Fault,
                _ => Refusal::Step,
            },
            Self::Output { source, .. } if !source.is_fault() => Refusal::Output,
            Self::Output { .. } | Self::Result { .. } | Self::Io { .. } => Refusal::Fault,
        }
    }

    /// What to do about it, if that is known.
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::Sandbox { source, .. } => source.advice(),
            Self::Unreadable { .. } => Some(
                "the steps of root run as nobody: make the root readable for everybody, \
                 or run the launcher as the user who owns it"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: impl Into<std::io::Error>) -> Self {
        Self::Io {
            action,
            path: path.display().to_string(),
            source: source.into(),
        }
    }
}
