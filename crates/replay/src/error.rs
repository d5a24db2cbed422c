//! Why a replay came to no verdict at all: faults of the question or of this machine.

use counterseal_assembly::AssemblyError;
use thiserror::Error;

/// A replay that could not be asked or could not be carried out here. What the rebuild itself
/// ran into is a verdict, see [`crate::Verdict::CouldNotRebuild`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The payload is not provenance of this project's build type.
    #[error("bundle does not hold provenance of an assembly: {detail}")]
    NotProvenance {
        /// What the parser said.
        detail: String,
    },
    /// A subject without SHA-256 cannot be compared.
    #[error("subject \"{}\" has no sha256 digest", name.escape_debug())]
    SubjectDigest {
        /// Name of the subject.
        name: String,
    },
    /// Nobody was asked for an input, or what was asked cannot be read on this machine: the
    /// assembly is not to blame.
    #[error("the inputs were not looked for everywhere: {0}")]
    Inputs(counterseal_inputs::InputsError),
    /// The store, the disk or the sandbox of this machine failed.
    #[error("this machine could not carry out the replay: {0}")]
    Machine(#[from] AssemblyError),
    /// The store failed.
    #[error("this machine could not carry out the replay: {0}")]
    Store(#[from] counterseal_store::StoreError),
}
