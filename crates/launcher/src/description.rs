//! The description of an action: everything that a run of the sandbox needs, and where its root and
//! its outputs are. Canonical JSON (RFC 8785) when written, read strictly.
//!
//! Nothing has a default: what an action sees must not depend on which version of the launcher
//! reads its description.
//!
//! Absent on purpose: the root's contents and their digest. Whoever stages the inputs answers for
//! them; in the Remote Execution API the action's digest covers root, description and launcher.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use counterseal_attestation::json::{self, JsonError};
use counterseal_sandbox::{Action, Guarantee, Limits, VirtualHost};
use serde::{Deserialize, Serialize};

/// The version of the format that this crate reads and writes.
pub const FORMAT: u64 = 1;

const READ: json::Limits = json::Limits {
    // A recipe has at most 1 MiB; its steps repeat the host.
    bytes_max: 16 << 20,
    depth_max: 8,
};
/// Most steps, and most outputs.
const ITEMS_MAX: usize = 4096;
/// Longest path, in bytes.
pub const PATH_BYTES_MAX: usize = 4096;
/// Longest name of a step, an output or a product, in bytes.
pub const NAME_BYTES_MAX: usize = 200;
/// The parts of the scratch space that outputs may come from.
const SCRATCH: [&str; 2] = ["build", "tmp"];

/// An action: steps that share one root and one scratch space, and what is taken from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Description {
    /// [`FORMAT`].
    pub format: u64,
    /// The directory that becomes `/`, relative to the description's.
    pub root: String,
    /// Where outputs, logs and result go, relative to the description's directory; absent or an
    /// empty directory before the run.
    pub output_directory: String,
    /// `SOURCE_DATE_EPOCH`, and the time of all entries of packed outputs; seconds since 1970.
    pub source_date_epoch: u64,
    /// Bounds of each step.
    pub limits: Limits,
    /// Guarantees that may be missing.
    pub waived: BTreeSet<Guarantee>,
    /// What runs, in this order, in one scratch space; the clock goes on from step to step.
    pub steps: Vec<Step>,
    /// What leaves the scratch space.
    pub outputs: Vec<Output>,
}

/// One program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// Unique; a directory of logs has it.
    pub name: String,
    /// Program and arguments; one without `/` is looked up along `PATH`.
    pub argv: Vec<String>,
    /// Variables beside the fixed ones.
    pub environment: BTreeMap<String, String>,
    /// Absolute, inside.
    pub working_directory: String,
    /// What the step sees of its host.
    pub host: VirtualHost,
}

/// Something that leaves the scratch space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Output {
    /// Where the steps leave it: a path below `build` or `tmp`.
    pub from: String,
    /// What it is, and how it is delivered.
    pub kind: Kind,
    /// Where it is delivered, below `outputs` in the output directory.
    pub to: String,
}

/// How an output is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A regular file: content, and whether it can be executed.
    #[serde(rename = "file")]
    File,
    /// A directory as it is: files as above, directories, symbolic links that stay inside.
    #[serde(rename = "tree")]
    Tree,
    /// A directory, packed into one file as an assembly packs it.
    #[serde(rename = "tar.zst")]
    TarZst,
}

/// Why a description cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "each field is named in the message of its variant"
)]
pub enum DescriptionError {
    #[error(transparent)]
    Json(#[from] JsonError),
    #[error("the description has format {found}; this version reads format {FORMAT}")]
    Format { found: u64 },
    #[error("the description has {found} {what}; it must have between {min} and {ITEMS_MAX}")]
    Count {
        what: &'static str,
        found: usize,
        min: usize,
    },
    #[error(
        "{what} `{}` is not usable: it must be relative, without empty, `.` or `..` parts or control characters", .found.escape_debug()
    )]
    Path { what: &'static str, found: String },
    #[error("output `{found}` does not lie below build or tmp")]
    OutsideScratch { found: String },
    #[error("{what} `{first}` and `{second}` lie inside one another")]
    Nested {
        what: &'static str,
        first: String,
        second: String,
    },
    #[error(
        "step name `{}` is not usable: letters, digits and . _ + ~ : - only, not starting with . or -, and unique", .found.escape_debug()
    )]
    StepName { found: String },
}

impl Description {
    /// Reads and checks a description of at most 16 MiB.
    ///
    /// # Errors
    /// [`DescriptionError`], with the place of what is refused. What only the sandbox can judge
    /// (arguments, the host's values) it judges when it runs.
    pub fn parse(bytes: &[u8]) -> Result<Self, DescriptionError> {
        // The format first: of another version's fields nothing is known.
        let value = json::parse_value(bytes, READ)?;
        let format = value.get("format").and_then(serde_json::Value::as_u64);
        if let Some(found) = format.filter(|found| *found != FORMAT) {
            return Err(DescriptionError::Format { found });
        }
        let description: Self = json::parse(bytes, READ)?;
        // An integer beyond 2^53 - 1 can be read, but has no canonical form.
        description.to_bytes()?;
        Ok(description)
    }

    /// The description in canonical form.
    ///
    /// # Errors
    /// As [`Description::parse`]: what is written can be read.
    pub fn to_bytes(&self) -> Result<Vec<u8>, DescriptionError> {
        self.check()?;
        Ok(json::canonical(self)?)
    }

    /// Longest description that is read, in bytes.
    pub const fn bytes_max() -> usize {
        READ.bytes_max
    }

    /// One of the steps as the sandbox takes it.
    pub fn action<'a>(&'a self, step: &'a Step, root: &'a Path) -> Action<'a> {
        Action {
            root,
            argv: &step.argv,
            environment: &step.environment,
            working_directory: &step.working_directory,
            limits: &self.limits,
            source_date_epoch: self.source_date_epoch,
            host: &step.host,
            waived: &self.waived,
        }
    }

    fn check(&self) -> Result<(), DescriptionError> {
        for (what, found, min) in [
            ("steps", self.steps.len(), 1),
            ("outputs", self.outputs.len(), 0),
        ] {
            if !(min..=ITEMS_MAX).contains(&found) {
                return Err(DescriptionError::Count { what, found, min });
            }
        }
        check_path("root", &self.root)?;
        check_path("output directory", &self.output_directory)?;
        check_apart(
            "root and output directory",
            [&self.root, &self.output_directory],
        )?;
        let mut names = BTreeSet::new();
        for step in &self.steps {
            if !is_name(&step.name) || !names.insert(&step.name) {
                return Err(DescriptionError::StepName {
                    found: step.name.clone(),
                });
            }
        }
        for output in &self.outputs {
            check_path("output", &output.from)?;
            check_path("destination of an output", &output.to)?;
            let is_below = |place: &str| output.from.starts_with(&format!("{place}/"));
            if !SCRATCH.iter().any(|place| is_below(place)) {
                return Err(DescriptionError::OutsideScratch {
                    found: output.from.clone(),
                });
            }
        }
        check_apart(
            "destinations of outputs",
            self.outputs.iter().map(|output| &output.to),
        )
    }
}

/// Whether a name is fit for a file: no separators, nothing a shell or a terminal would interpret.
pub fn is_name(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "._+~:-".contains(c);
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.starts_with(['.', '-'])
        && name.chars().all(is_part)
}

/// Whether a path leads down from where it begins: relative, normal components only.
pub fn is_path(path: &str) -> bool {
    let is_part = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(char::is_control);
    path.len() <= PATH_BYTES_MAX && path.split('/').all(is_part)
}

fn check_path(what: &'static str, path: &str) -> Result<(), DescriptionError> {
    if is_path(path) {
        return Ok(());
    }
    Err(DescriptionError::Path {
        what,
        found: path.chars().take(PATH_BYTES_MAX).collect(),
    })
}

/// Refuses paths of which one is another or lies below it.
fn check_apart<'a>(
    what: &'static str,
    paths: impl IntoIterator<Item = &'a String>,
) -> Result<(), DescriptionError> {
    // In this order a path stands right behind the one that it lies below.
    let mut parts: Vec<Vec<&str>> = paths.into_iter().map(|p| p.split('/').collect()).collect();
    parts.sort_unstable();
    for pair in parts.windows(2) {
        if let [first, second] = pair
            && second.starts_with(first)
        {
            return Err(DescriptionError::Nested {
                what,
                first: first.join("/"),
                second: second.join("/"),
            });
        }
    }
    Ok(())
}
