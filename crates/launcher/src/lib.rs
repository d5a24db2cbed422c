//! Runs a described action in the sandbox and leaves its outputs in a directory: what an execution
//! engine on another machine does with an action, and the same code that `counterseal assemble`
//! runs.
//!
//! ```text
//! DIRECTORY/action.json         a Description: steps, limits, the virtual host, outputs
//! DIRECTORY/root/…              the root that the description names
//! DIRECTORY/counterseal-launch  this crate as one static program
//!         │  counterseal-launch DIRECTORY/action.json
//!         ▼
//! DIRECTORY/out/result.json     a LaunchResult: how it ended, isolation, what was opened
//! DIRECTORY/out/outputs/…       what the description declares, and nothing else
//! DIRECTORY/out/logs/STEP/…     both streams of each step
//! ```
//!
//! Every name is relative to the directory that holds the description. What an engine does not
//! preserve has no say: owners, times, writable bits and hard links of the inputs, the environment,
//! the working directory, the file mode mask, open descriptors, dispositions of signals, the user.
//! What it must preserve: names, contents, symbolic links, and which files can be executed.
//!
//! [`Description`] is also how an assembly hands its steps to the sandbox, and [`outputs`] how it
//! takes what they left: there is no second way.
//!
//! Absent on purpose: recipes, digests of actions, the content store, network, signing.

mod delivery;
mod description;
mod error;
mod launch;
pub mod outputs;
mod place;
mod result;

pub use description::{
    Description, DescriptionError, FORMAT, Kind, NAME_BYTES_MAX, Output, PATH_BYTES_MAX, Step,
    is_name, is_path,
};
pub use error::{LaunchError, Refusal};
pub use launch::{DESCRIPTION_NAME, Launched, RESULT_NAME, launch};
pub use result::{Delivered, Ending, File, LaunchResult, Stream, Taken};
