//! SLSA provenance v1 (<https://slsa.dev/spec/v1.2/build-provenance>) for this project's build
//! type, an assembly; `attestations/assembly-v1.md` is its page.
//!
//! External parameters are complete and closed: a field that the build type does not define is
//! refused, because it might change what is built. Everywhere else unknown fields are ignored, as
//! in-toto demands.
//!
//! Deliberately absent: the meaning of recipe and lock. They travel here as texts with digests.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::shown::shown;
use crate::statement::{Predicate, ResourceDescriptor};
use crate::{Sha256Digest, UnixSeconds};

/// The predicate type.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";

/// The build type of an assembly.
pub const BUILD_TYPE: &str = "https://counterseal.dev/attestations/assembly/v1";

/// The predicate: how the subjects came to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// What was asked for: the same definition gives the same subjects.
    pub build_definition: BuildDefinition,
    /// What happened in this run.
    pub run_details: RunDetails,
}

impl Predicate for Provenance {
    const TYPE: &'static str = PREDICATE_TYPE;
}

/// The build type that a provenance predicate states, before the predicate has a type: what to
/// look at first, because parameters of another build type have another form.
pub fn build_type_of(predicate: &Value) -> Option<&str> {
    predicate.get("buildDefinition")?.get("buildType")?.as_str()
}

/// The input of the build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildDefinition {
    /// [`BUILD_TYPE`].
    #[serde(deserialize_with = "our_build_type")]
    pub build_type: String,
    /// What the person who started the build decided.
    pub external_parameters: ExternalParameters,
    /// What the builder decided.
    pub internal_parameters: InternalParameters,
    /// Every input, by digest.
    #[serde(default)]
    pub resolved_dependencies: Vec<ResourceDescriptor>,
}

fn our_build_type<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    let found = String::deserialize(input)?;
    if found == BUILD_TYPE {
        return Ok(found);
    }
    Err(D::Error::custom(format_args!(
        "build type does not match: expected {BUILD_TYPE}, found {}",
        shown(&found)
    )))
}

/// The complete external parameters; no other field is accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExternalParameters {
    /// What is assembled.
    pub product: Product,
    /// How: the text of `assembly.toml`.
    pub recipe: EmbeddedFile,
    /// From what: the text of `assembly.lock`.
    pub lock: EmbeddedFile,
}

/// A product of a version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Product {
    /// The product's name, as in the recipe.
    pub name: String,
    /// Its version, as in the recipe.
    pub version: String,
}

/// The longest name of an embedded file, in bytes.
pub const FILE_NAME_BYTES_MAX: usize = 255;

/// A text file that travels inside the statement, with its digest.
///
/// Name and digest are checked when one is made or read, so that a replay may write the file and
/// compare the digest without looking again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EmbeddedFile {
    name: String,
    sha256: Sha256Digest,
    content: String,
}

impl EmbeddedFile {
    /// Embeds a text.
    ///
    /// # Errors
    /// [`EmbeddedFileError::Name`].
    pub fn new(name: &str, content: &str) -> Result<Self, EmbeddedFileError> {
        let plain = !matches!(name, "" | "." | "..")
            && name.len() <= FILE_NAME_BYTES_MAX
            && !name
                .chars()
                .any(|c| c == '/' || c == '\\' || c.is_control());
        if !plain {
            return Err(EmbeddedFileError::Name { found: name.into() });
        }
        Ok(Self {
            name: name.into(),
            sha256: Sha256Digest::of(content.as_bytes()),
            content: content.into(),
        })
    }

    /// A plain file name: not empty, no separators, no control characters, neither `.` nor `..`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The digest of the text's UTF-8 bytes.
    pub const fn sha256(&self) -> Sha256Digest {
        self.sha256
    }

    /// The text.
    pub fn content(&self) -> &str {
        &self.content
    }
}

/// Why something is not an [`EmbeddedFile`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddedFileError {
    /// The name is not a plain file name.
    #[error("embedded file name is not a plain file name: {}", shown(found))]
    Name {
        /// The name found.
        found: String,
    },
    /// The digest is of another text.
    #[error(
        "embedded file digest does not match: expected sha256:{expected}, found sha256:{found}"
    )]
    Digest {
        /// The digest that is stated.
        expected: Sha256Digest,
        /// The digest of the text.
        found: Sha256Digest,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UncheckedFile {
    name: String,
    sha256: Sha256Digest,
    content: String,
}

impl<'de> Deserialize<'de> for EmbeddedFile {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let stated = UncheckedFile::deserialize(input)?;
        let file = Self::new(&stated.name, &stated.content).map_err(D::Error::custom)?;
        if file.sha256 != stated.sha256 {
            let (expected, found) = (stated.sha256, file.sha256);
            return Err(D::Error::custom(EmbeddedFileError::Digest {
                expected,
                found,
            }));
        }
        Ok(file)
    }
}

/// What the builder decided, and what it enforced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InternalParameters {
    /// The time that the build is told, and that its outputs carry.
    pub source_date_epoch: UnixSeconds,
    /// What each step may use.
    pub limits: Limits,
    /// The isolation manifest: the state of each guarantee, by its name.
    pub isolation: BTreeMap<String, GuaranteeState>,
    /// The steps in the order they ran.
    pub steps: Vec<StepSummary>,
}

/// What each step may use; a step that wants more fails the build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Wall time of one step, in seconds.
    pub wall_seconds: u64,
    /// Memory, in bytes: the private data of one process, and all processes together.
    pub memory_bytes: u64,
    /// Room for what the steps write, in bytes: `/build`, `/tmp` and `/dev/shm` together.
    pub scratch_bytes: u64,
    /// Standard output and standard error of one step together, in bytes.
    pub log_bytes: u64,
    /// Processes and threads alive at once.
    pub processes_max: u64,
}

/// One line of the isolation manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GuaranteeState {
    /// Whether it held.
    pub state: IsolationState,
    /// By what means, or why not.
    pub mechanism: String,
}

/// Whether a guarantee held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IsolationState {
    /// It held, by a mechanism that the step cannot undo.
    Enforced,
    /// It held in part: the mechanism says which.
    Degraded,
    /// It did not hold.
    Absent,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepSummary {
    /// Its name in the recipe.
    pub name: String,
    /// SHA-256 of the step's Remote Execution API `Action`: command, environment, root, limits,
    /// the steps before it.
    pub action_digest: Sha256Digest,
}

/// What happened in one run. Not part of what a rebuild has to reproduce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunDetails {
    /// Who built.
    pub builder: Builder,
    /// When, and which run.
    pub metadata: Metadata,
    /// Logs and other things that came out besides the subjects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub byproducts: Vec<ResourceDescriptor>,
}

/// Who built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Builder {
    /// A URI; distinct for each mode of security.
    pub id: String,
    /// Versions of the builder's parts, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub version: BTreeMap<String, String>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Unique for each run of a builder.
    pub invocation_id: String,
    /// When the run began.
    #[serde(with = "crate::time::rfc3339")]
    pub started_on: UnixSeconds,
    /// When the run ended.
    #[serde(with = "crate::time::rfc3339")]
    pub finished_on: UnixSeconds,
}
