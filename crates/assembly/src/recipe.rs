//! The recipe, `assembly.toml`: what is assembled, written by a person.
//!
//! A recipe names its inputs but does not pin them; the lock beside it does (crate `inputs`).
//! Unknown keys are refused with the line they stand on, so that a misspelt limit is never a
//! silent default. What is deliberately absent: variables, includes, conditions. A recipe is
//! data, and everything that can change its meaning is in it.

mod check;
mod host;
mod raw;

use std::collections::BTreeMap;

use counterseal_inputs::InputSpec;
use serde::Deserialize;

use crate::error::RecipeError;

pub use host::{Host, RecipeRandomness, TimestampCounter};

/// Longest recipe that is read, in bytes.
pub const RECIPE_BYTES_MAX: usize = 1024 * 1024;
/// Longest script or argument of one step, in bytes (the kernel takes 128 KiB per argument).
const ARGUMENT_BYTES_MAX: usize = 96 * 1024;
/// Variables that are the same in every step, whatever its environment says.
const FIXED_VARIABLES: [&str; 3] = ["LANG", "LC_ALL", "TZ"];
/// Smallest scratch space that a recipe is written with, in bytes: less than a page is a page.
const SCRATCH_BYTES_MIN: u64 = 4096;
/// Largest limit: signed 64-bit counters are what the kernel takes, 2^53 what readers of JSON do.
pub(crate) const LIMIT_MAX: u64 = 1 << 52;

/// A checked recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// What is assembled.
    pub product: Product,
    /// Declared inputs, in the order of the file.
    pub inputs: Vec<Input>,
    /// Symbolic links added to the root: path inside the root, then target.
    pub root_links: BTreeMap<String, String>,
    /// Small files added to the root.
    pub root_files: Vec<RootFile>,
    /// What runs, in order; all steps of one assembly share `/build`.
    pub steps: Vec<Step>,
    /// What leaves the sandbox.
    pub outputs: Vec<Output>,
    /// Bounds on every step.
    pub limits: StepLimits,
    /// The machine that every step sees.
    pub host: Host,
}

/// `[product]`: the identity that provenance and verifiers show.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Product {
    /// Name, as customers know it.
    pub name: String,
    /// Version, compared as an opaque string.
    pub version: String,
    /// Seconds since 1970-01-01 UTC: `SOURCE_DATE_EPOCH` inside, time stamp of every packed file.
    pub source_date_epoch: u64,
}

/// One declared input and where it appears in the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Name, unique in the recipe; the lock and the provenance use it.
    pub name: String,
    /// What is to be resolved and pinned.
    pub spec: InputSpec,
    /// Place in the root without leading slash; empty for packages, which bring their own paths.
    pub at: String,
    /// Whether a file input is executable inside.
    pub executable: bool,
}

/// A small file that the recipe itself carries.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RootFile {
    /// Place in the root.
    pub path: String,
    /// Content, UTF-8.
    pub content: String,
    /// Whether the file is executable.
    #[serde(default)]
    pub executable: bool,
}

/// One step: a command line in a fresh sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Name, unique in the recipe.
    pub name: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Absolute working directory inside.
    pub directory: String,
    /// Variables added to the fixed environment.
    pub environment: BTreeMap<String, String>,
}

/// How an output leaves the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum OutputKind {
    /// A regular file, taken as it is.
    #[serde(rename = "file")]
    File,
    /// A directory, packed by us as a deterministic tar archive compressed with zstd.
    #[serde(rename = "tar.zst")]
    TarZst,
}

/// One declared output.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Output {
    /// File name of the finished artifact.
    pub name: String,
    /// Place below `/build`.
    pub path: String,
    /// File, or directory to be packed.
    pub kind: OutputKind,
    /// Media type, for readers of the recipe.
    pub media_type: String,
}

/// `[limits]`: bounds on each step; defaults suit a small C program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct StepLimits {
    /// Longest run of one step, in seconds of wall time.
    pub wall_seconds: u64,
    /// Most memory, in bytes.
    pub memory_bytes: u64,
    /// Size of `/build` and `/tmp` together, in bytes.
    pub scratch_bytes: u64,
    /// Most standard output and error of one step together, in bytes.
    pub log_bytes: u64,
    /// Most processes at once.
    pub processes_max: u64,
}

impl Default for StepLimits {
    fn default() -> Self {
        Self {
            wall_seconds: 3600,
            memory_bytes: 4 << 30,
            scratch_bytes: 2 << 30,
            log_bytes: 64 << 20,
            processes_max: 1024,
        }
    }
}

impl Recipe {
    /// Reads and checks a recipe.
    ///
    /// # Errors
    /// [`RecipeError::Syntax`] with line and column for anything TOML or the schema refuses, and
    /// a variant naming the entry for everything that is well-formed but makes no sense.
    pub fn parse(text: &str) -> Result<Self, RecipeError> {
        if text.len() > RECIPE_BYTES_MAX {
            return Err(RecipeError::TooLarge {
                found: text.len(),
                bytes_max: RECIPE_BYTES_MAX,
            });
        }
        let raw: raw::Recipe = toml::from_str(text).map_err(|error| RecipeError::Syntax {
            detail: error.to_string(),
        })?;
        if raw.format != 1 {
            return Err(RecipeError::Format { found: raw.format });
        }
        let recipe = Self {
            product: raw.product,
            inputs: raw
                .input
                .into_iter()
                .map(raw::Input::check)
                .collect::<Result<_, _>>()?,
            root_links: raw.root.links,
            root_files: raw.root.file,
            steps: raw
                .step
                .into_iter()
                .map(raw::Step::check)
                .collect::<Result<_, _>>()?,
            outputs: raw.output,
            limits: raw.limits,
            host: raw.host,
        };
        recipe.check()?;
        Ok(recipe)
    }

    /// Reads and checks a recipe that somebody is about to assemble by. What is refused here alone
    /// has no effect, which its author should know; a recipe in older evidence may have it.
    ///
    /// # Errors
    /// As [`Recipe::parse`], [`RecipeError::StepVariableFixed`], [`RecipeError::LimitTooSmall`] and
    /// [`RecipeError::InputPlace`].
    pub fn parse_written(text: &str) -> Result<Self, RecipeError> {
        let recipe = Self::parse(text)?;
        let scratch_bytes = recipe.limits.scratch_bytes;
        if scratch_bytes < SCRATCH_BYTES_MIN {
            return Err(RecipeError::LimitTooSmall {
                name: "scratch-bytes",
                found: scratch_bytes,
                min: SCRATCH_BYTES_MIN,
            });
        }
        for input in &recipe.inputs {
            let first = input.at.split('/').next().unwrap_or_default();
            if counterseal_sandbox::OWN_ENTRIES.contains(&first) {
                return Err(RecipeError::InputPlace {
                    input: input.name.clone(),
                    at: input.at.clone(),
                });
            }
        }
        for step in &recipe.steps {
            let fixed = FIXED_VARIABLES.iter();
            if let Some(key) = fixed
                .copied()
                .find(|key| step.environment.contains_key(*key))
            {
                return Err(RecipeError::StepVariableFixed {
                    step: step.name.clone(),
                    key,
                });
            }
        }
        Ok(recipe)
    }
}

#[cfg(test)]
mod tests {
    use counterseal_inputs::lock::INPUTS_MAX;

    use super::*;

    const SMALL: &str = r#"
format = 1
[product]
name = "rules"
version = "1"
source-date-epoch = 1700000000
[[input]]
name = "rules"
kind = "directory"
location = "rules"
at = "/in/rules"
[[step]]
name = "compile"
argv = ["/bin/rulec", "compile"]
[[output]]
name = "rules.pack"
path = "rules.pack"
kind = "file"
media-type = "application/octet-stream"
"#;

    fn refused(change: impl Fn(&str) -> String) -> String {
        Recipe::parse(&change(SMALL))
            .expect_err("the recipe must be refused")
            .to_string()
    }

    #[test]
    fn small_recipe_is_read() {
        let recipe = Recipe::parse(SMALL).unwrap();
        assert_eq!(recipe.inputs[0].at, "in/rules");
        assert_eq!(recipe.steps[0].directory, "/build");
        assert_eq!(recipe.limits, StepLimits::default());
    }

    #[test]
    fn unknown_key_is_refused_with_its_line() {
        let message = refused(|text| text.replace("version = \"1\"", "version = \"1\"\nepock = 3"));
        assert!(
            message.contains("line 6") && message.contains("epock"),
            "{message}"
        );
        let message = refused(|text| format!("{text}\n[host]\nprocessors = 2\nclock = 3\n"));
        assert!(
            message.contains("line 23") && message.contains("clock"),
            "{message}"
        );
    }

    #[test]
    fn path_escapes_are_refused() {
        for path in ["../x", "/etc/passwd", "a//b", "a/./b", "a\nb", ""] {
            let message =
                refused(|text| text.replace("path = \"rules.pack\"", &format!("path = {path:?}")));
            assert!(message.contains("output"), "{path}: {message}");
        }
        let message = refused(|text| text.replace("/in/rules", "/in/../../etc"));
        assert!(message.contains("input"), "{message}");
    }

    #[test]
    fn key_of_another_kind_is_refused() {
        let message = refused(|text| text.replace("location =", "suite = \"x\"\nlocation ="));
        assert!(
            message.contains("suite") && message.contains("directory"),
            "{message}"
        );
    }

    #[test]
    fn media_types_are_one_word() {
        for found in [
            "", "zstd", "/zstd", "a/", "a/b/c", "a/b c", "a/b\nc", "a/b; c=d",
        ] {
            let message = refused(|text| {
                text.replace(
                    "application/octet-stream",
                    &found.escape_default().to_string(),
                )
            });
            assert!(message.contains("rules.pack: media type"), "{message}");
        }
    }

    #[test]
    fn more_inputs_than_a_lock_takes_are_refused() {
        let input =
            "[[input]]\nname = \"iNUMBER\"\nkind = \"directory\"\nlocation = \"x\"\nat = \"/x\"\n";
        let many: String = (0..INPUTS_MAX)
            .map(|number| input.replace("NUMBER", &number.to_string()))
            .collect();
        let message = refused(|text| text.replacen("[[input]]", &format!("{many}[[input]]"), 1));
        assert!(message.contains("257 entries of kind input"), "{message}");
    }

    #[test]
    fn duplicate_names_are_refused() {
        let step = "[[step]]\nname = \"compile\"\nargv = [\"/bin/true\"]\n";
        let message = refused(|text| text.replace("[[output]]", &format!("{step}[[output]]")));
        assert!(message.contains("compile"), "{message}");
    }

    #[test]
    fn script_and_argv_together_are_refused() {
        let message = refused(|text| text.replace("argv =", "script = \"true\"\nargv ="));
        assert!(message.contains("compile"), "{message}");
    }

    #[test]
    fn variables_without_effect_are_refused_where_a_recipe_is_written() {
        for key in ["LANG", "LC_ALL", "TZ"] {
            let text = SMALL.replace(
                "[[output]]",
                &format!("environment = {{ {key} = \"C\" }}\n[[output]]"),
            );
            let message = Recipe::parse_written(&text).unwrap_err().to_string();
            assert!(message.contains(key), "{message}");
            assert!(Recipe::parse(&text).is_ok(), "a replay goes on");
        }
        assert!(Recipe::parse_written(SMALL).is_ok());
    }

    #[test]
    fn a_scratch_space_of_less_than_a_page_is_refused_where_a_recipe_is_written() {
        let recipe = |bytes: u64| format!("{SMALL}\n[limits]\nscratch-bytes = {bytes}\n");
        let message = Recipe::parse_written(&recipe(4095))
            .unwrap_err()
            .to_string();
        assert!(message.contains("scratch-bytes is 4095"), "{message}");
        assert!(Recipe::parse(&recipe(4095)).is_ok(), "a replay goes on");
        assert!(Recipe::parse_written(&recipe(4096)).is_ok());
    }

    #[test]
    fn zero_limits_are_refused() {
        let message = refused(|text| format!("{text}\n[limits]\nwall-seconds = 0\n"));
        assert!(message.contains("wall-seconds"), "{message}");
    }
}
