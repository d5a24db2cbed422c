//! From recipe and lock to finished artifacts and an unsigned statement.
//!
//! ```text
//! assembly.toml + assembly.lock ──► Assembly ──► Prepared (root tree, actions) ──► Assembled
//!                                   (pinned)      store                             outputs,
//!                                                                                   isolation
//! ```
//!
//! - [`Recipe`] is what a person wrote, [`Assembly`] the recipe together with a lock that pins
//!   every input it declares. Nothing runs unpinned.
//! - [`prepare`] composes the root out of the pinned inputs and derives the actions, keyed by
//!   their Remote Execution API digests.
//! - [`execute`] runs the actions in fresh sandboxes and takes the declared outputs; [`export`]
//!   writes the same actions down, to be run elsewhere.
//! - [`vary`] builds again with everything varied that the recipe does not state, and names what
//!   the outputs depend on.
//! - [`trace`] says which inputs were opened, [`statement`] all of it as SLSA provenance.
//!
//! Deliberately absent: signing keys and anything that could load one, the record, downloads
//! (crate `inputs` puts every input into the store beforehand).

mod assembly;
mod describe;
mod error;
mod execute;
mod export;
mod opened;
mod outputs;
mod package;
mod prepare;
pub mod recipe;
mod statement;
mod trace;
mod vary;

pub use assembly::{Assembly, LOCK_NAME, declared};
pub use counterseal_launcher::outputs::OutputDefect;
pub use counterseal_sandbox::Guarantee;
pub use error::{AssemblyError, RecipeError};
pub use execute::{Assembled, CachePolicy, ExecuteOptions, Log, execute};
pub use export::{LAUNCHER_NAME, export};
pub use opened::Opened;
pub use outputs::Finished;
pub use prepare::{PlannedAction, Prepared, check_places, prepare};
pub use recipe::Recipe;
pub use statement::{Invocation, TRACE_NAME, dependencies, statement};
pub use trace::trace;
pub use vary::{Cause, Switch, UnknownSwitch, Variation, VariedOutput, vary};
