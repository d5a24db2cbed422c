//! One launch, from description to result.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use counterseal_attestation::json;
use counterseal_sandbox::{Exit, Premises, Scratch};

use crate::delivery::{OUTPUTS, create, deliver, make_directory};
use crate::description::{Description, FORMAT};
use crate::error::LaunchError;
use crate::place::Place;
use crate::result::{Ending, LaunchResult, Taken};

/// What a description's file is called where nobody has a reason to call it something else.
pub const DESCRIPTION_NAME: &str = "action.json";
/// The result's file in the output directory.
pub const RESULT_NAME: &str = "result.json";
/// Where the result is written before it is whole.
const UNFINISHED_NAME: &str = ".result.json";
/// Where the streams are kept, below the output directory.
const LOGS: &str = "logs";

/// How the steps of a launch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Launched {
    /// All succeeded, and the outputs are delivered.
    Success,
    /// One failed; those after it did not run, and nothing is delivered.
    StepFailed(Exit),
}

/// Runs the action that the file `description` describes. Both streams of each step are written to
/// `stdout` and `stderr` when it has ended, and kept in the output directory; errors of these
/// writers are ignored, because nothing is lost by them.
///
/// # Errors
/// [`LaunchError`]; what kind of refusal it is tells the exit code. The result says so, too,
/// unless the output directory is at fault. No process of the action is alive when this returns.
pub fn launch(
    description: &Path,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> Result<Launched, LaunchError> {
    let (place, description) = Place::open(description)?;
    let (path, directory) = place.output_directory(&description.output_directory)?;
    let mut launch = Launch {
        description,
        path,
        directory,
        result: LaunchResult {
            format: FORMAT,
            outcome: Ending::Success,
            refusal: None,
            steps: Vec::new(),
            outputs: Vec::new(),
        },
    };
    let ended = launch.run(&place, stdout, stderr);
    match &ended {
        Ok(Launched::Success) => {}
        Ok(Launched::StepFailed(_)) => launch.result.outcome = Ending::StepFailed,
        Err(error) => {
            launch.result.outcome = Ending::Refused;
            launch.result.refusal = Some(error.to_string());
            launch.result.outputs.clear();
        }
    }
    launch.write_result()?;
    ended
}

struct Launch {
    description: Description,
    /// Of the output directory.
    path: PathBuf,
    directory: OwnedFd,
    result: LaunchResult,
}

impl Launch {
    fn run(
        &mut self,
        place: &Place,
        stdout: &mut dyn Write,
        stderr: &mut dyn Write,
    ) -> Result<Launched, LaunchError> {
        // Meanwhile the root is looked through.
        let premises = Premises::new();
        if let Some(first) = self.description.steps.first() {
            premises.prepare(&first.host);
        }
        let root = place.root(&self.description.root)?;
        self.make(LOGS)?;
        let mut scratch = Scratch::within(&premises);
        for step in &self.description.steps {
            let name = format!("{LOGS}/{}", step.name);
            self.make(&name)?;
            let logs = self.path.join(&name);
            let action = self.description.action(step, &root);
            let ended = counterseal_sandbox::run(&action, &mut scratch, &logs);
            pass_on(&logs.join("stdout.log"), stdout);
            pass_on(&logs.join("stderr.log"), stderr);
            let outcome = ended.map_err(|source| LaunchError::Sandbox {
                step: step.name.clone(),
                source,
            })?;
            self.result.steps.push(Taken::new(&step.name, &outcome));
            if !outcome.exit.is_success() {
                return Ok(Launched::StepFailed(outcome.exit));
            }
        }
        self.take_outputs(&scratch)?;
        Ok(Launched::Success)
    }

    fn take_outputs(&mut self, scratch: &Scratch) -> Result<(), LaunchError> {
        let left = scratch.outputs().map_err(|source| LaunchError::Sandbox {
            step: "outputs".to_owned(),
            source,
        })?;
        self.make(OUTPUTS)?;
        let path = self.path.join(OUTPUTS);
        let outputs = File::open(&path).map_err(|error| LaunchError::io("open", &path, error))?;
        for output in &self.description.outputs {
            self.result.outputs.push(deliver(
                output,
                left.as_fd(),
                self.description.source_date_epoch,
                outputs.as_fd(),
            )?);
        }
        Ok(())
    }

    fn make(&self, name: &str) -> Result<(), LaunchError> {
        make_directory(self.directory.as_fd(), name)
            .map_err(|errno| LaunchError::io("make", &self.path.join(name), errno))
    }

    /// Written under another name first: where there is a result, it is whole.
    fn write_result(&self) -> Result<(), LaunchError> {
        let text =
            json::canonical(&self.result).map_err(|source| LaunchError::Result { source })?;
        let failed =
            |error: io::Error| LaunchError::io("write", &self.path.join(RESULT_NAME), error);
        let directory = self.directory.as_fd();
        let file = create(directory, UNFINISHED_NAME, false).map_err(|e| failed(e.into()))?;
        File::from(file).write_all(&text).map_err(failed)?;
        rustix::fs::renameat(directory, UNFINISHED_NAME, directory, RESULT_NAME)
            .map_err(|errno| failed(errno.into()))
    }
}

/// Copies a captured stream; one that nothing came over has no file.
fn pass_on(log: &Path, to: &mut dyn Write) {
    if let Ok(mut log) = File::open(log) {
        let _ = io::copy(&mut log, to).and_then(|_| to.flush());
    }
}
