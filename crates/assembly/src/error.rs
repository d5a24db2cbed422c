//! What can go wrong between a recipe and a finished artifact, as data a caller can match on.

use counterseal_inputs::{INPUT_NAME_BYTES_MAX, quoted};
use counterseal_launcher::outputs::OutputDefect;
use counterseal_launcher::{DescriptionError, NAME_BYTES_MAX, PATH_BYTES_MAX};
use counterseal_sandbox::SandboxError;
use thiserror::Error;

use crate::recipe::LIMIT_MAX;

/// A recipe that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "each field is named in the message of its variant"
)]
pub enum RecipeError {
    #[error("source-date-epoch {found} lies beyond the year 9999")]
    Epoch { found: u64 },
    #[error("output name `{}` is reserved for evidence", quoted(.found))]
    OutputReserved { found: String },
    #[error("step {step}: directory `{}` is not an absolute path inside the root", quoted(.found))]
    StepDirectory { step: String, found: String },
    #[error(
        "input name `{}` is not usable: at most {INPUT_NAME_BYTES_MAX} lower-case letters, digits and - . _, starting with a letter or digit",
        quoted(.found)
    )]
    InputName { found: String },
    #[error("recipe is larger than {bytes_max} bytes: found {found}")]
    TooLarge { found: usize, bytes_max: usize },
    #[error("recipe is not valid: {detail}")]
    Syntax { detail: String },
    #[error("recipe has format {found}; this version reads format 1")]
    Format { found: u64 },
    #[error("recipe declares {found} entries of kind {what}; at most {max} are read")]
    TooMany {
        what: &'static str,
        found: usize,
        max: usize,
    },
    #[error("recipe lacks {what}")]
    Missing { what: &'static str },
    #[error(
        "{what} name `{}` is not usable: at most {NAME_BYTES_MAX} letters, digits and . _ + ~ : -, not starting with . or -",
        quoted(.found)
    )]
    Name { what: &'static str, found: String },
    #[error(
        "{what} path `{}` is not usable: it must stay below its root, without empty, `.` or `..` parts or control characters, and have at most {PATH_BYTES_MAX} bytes",
        quoted(.found)
    )]
    Path { what: &'static str, found: String },
    #[error(
        "output {output}: media type `{}` is not usable: it must be like application/zstd",
        quoted(.found)
    )]
    MediaType { output: String, found: String },
    #[error("{what} {} is declared twice", quoted(.name))]
    Duplicate { what: &'static str, name: String },
    #[error("limit {name} is {found}; it must be between 1 and {LIMIT_MAX}")]
    Limit { name: &'static str, found: u64 },
    #[error("limit {name} is {found}; it must be at least {min}")]
    LimitTooSmall {
        name: &'static str,
        found: u64,
        min: u64,
    },
    #[error("host processors is {found}; it must be between 1 and {max}")]
    HostProcessors { found: u32, max: u32 },
    #[error(
        "host memory-bytes is {found}; it must be a multiple of 4096 between 1048576 and {LIMIT_MAX}"
    )]
    HostMemory { found: u64 },
    #[error(
        "host {name} `{}` is not usable: 1 to 64 printable ASCII characters, in a release neither space nor /",
        quoted(.found)
    )]
    HostText { name: &'static str, found: String },
    #[error("input {input}: {source}")]
    Input {
        input: String,
        source: counterseal_inputs::SpecError,
    },
    #[error("input {input}: the key `{key}` has no meaning for this kind of input")]
    InputKey { input: String, key: &'static str },
    #[error("input {input}: the key `at` is missing; it says where the input appears in the root")]
    InputAt { input: String },
    #[error("input {input}: the key `at` names the root itself; it must be a place below it")]
    InputRoot { input: String },
    #[error(
        "input {input}: {} is the sandbox's own, as all of /build, /dev, /proc and /tmp",
        quoted(&format!("/{at}"))
    )]
    InputPlace { input: String, at: String },
    #[error("step {step}: give either argv (not empty) or script, and shell only with script")]
    StepCommand { step: String },
    #[error("step {step}: program {} is not an absolute path inside the root", quoted(.found))]
    StepProgram { step: String, found: String },
    #[error("step {step}: variable {} cannot be set by a recipe", quoted(.key))]
    StepVariable { step: String, key: String },
    #[error(
        "step {step}: variable {key} is the same in every step and cannot be set by a recipe; a script can set it for a command"
    )]
    StepVariableFixed { step: String, key: &'static str },
    #[error("step {step}: an argument is longer than the kernel takes or contains a NUL byte")]
    StepArgument { step: String },
}

/// An assembly that did not come to its end.
#[derive(Debug, Error)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "each field is named in the message of its variant"
)]
pub enum AssemblyError {
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    #[error(transparent)]
    Store(#[from] counterseal_store::StoreError),
    #[error("step {step}: {source}{}", ending(.tail))]
    Sandbox {
        step: String,
        source: SandboxError,
        tail: String,
    },
    #[error("lock does not pin input {input} as the recipe declares it")]
    LockStale { input: String },
    #[error(transparent)]
    Lock(#[from] counterseal_inputs::LockError),
    #[error(transparent)]
    LockMismatch(#[from] counterseal_inputs::LockMismatch),
    #[error(transparent)]
    Tree(#[from] counterseal_store::tree::TreeError),
    #[error(
        "input {}: {source}; each has its place there",
        .inputs.join(" and input ")
    )]
    PlaceTaken {
        inputs: Vec<String>,
        source: counterseal_store::tree::TreeError,
    },
    #[error("package {package} cannot be unpacked: {detail}")]
    Package { package: String, detail: String },
    #[error("step {step} ended with {exit}{}", said(.tail))]
    StepFailed {
        step: String,
        exit: String,
        tail: String,
    },
    #[error("output {output}: {path} was not produced")]
    OutputMissing { output: String, path: String },
    #[error("output {output}: {path} {defect}")]
    OutputRefused {
        output: String,
        path: String,
        defect: OutputDefect,
    },
    #[error("{action} {path}: {source}")]
    Io {
        action: &'static str,
        path: String,
        source: std::io::Error,
    },
    #[error("the assembly cannot be described for a launcher: {0}")]
    Description(#[from] DescriptionError),
    #[error("provenance cannot be written: {detail}")]
    Provenance { detail: String },
}

impl AssemblyError {
    /// Whether this says something about the machine (no space, a damaged store, no sandbox) and
    /// nothing about the assembly.
    pub fn is_machine_fault(&self) -> bool {
        match self {
            Self::Store(error) => !matches!(error, counterseal_store::StoreError::Tree(_)),
            Self::Io { .. } => true,
            Self::Sandbox { source, .. } => matches!(
                source,
                SandboxError::NotEnforceable { .. }
                    | SandboxError::HostLimit { .. }
                    | SandboxError::Setup { .. }
                    | SandboxError::SetupKilled
                    | SandboxError::Killed
                    | SandboxError::Io { .. }
            ),
            _ => false,
        }
    }
}

/// The end of what a step wrote.
fn said(tail: &str) -> String {
    match ending(tail) {
        nothing if nothing.is_empty() => ", and wrote nothing".to_owned(),
        ending => ending,
    }
}

/// The end of what a step wrote, if it wrote anything.
fn ending(tail: &str) -> String {
    if tail.trim().is_empty() {
        String::new()
    } else {
        format!("; its output ends with:\n{tail}")
    }
}

#[cfg(test)]
mod tests {
    use counterseal_sandbox::Exit;

    use super::*;

    #[test]
    fn a_failed_step_is_told_with_its_output_if_there_is_any() {
        let check = |exit: Exit, tail: &str, expect: &str| {
            let error = AssemblyError::StepFailed {
                step: "run".to_owned(),
                exit: exit.to_string(),
                tail: tail.to_owned(),
            };
            assert_eq!(error.to_string(), expect);
        };
        let silent = "step run ended with exit code 9, and wrote nothing";
        check(Exit::Code(9), "", silent);
        check(Exit::Code(9), " \n\n", silent);
        let spoken = "step run ended with signal 6; its output ends with:\nbroken";
        check(Exit::Signal(6), "broken", spoken);
        // SIGSYS: what the sandbox does to a call of the 32-bit table.
        let unknown = "step run ended with signal 31: a system call that does not exist inside, \
                       and wrote nothing";
        check(Exit::Signal(31), "", unknown);
        let large = "step run ended with signal 25: a file larger than the step allowed itself \
                     (ulimit -f), and wrote nothing";
        check(Exit::Signal(25), "", large);
    }
}
