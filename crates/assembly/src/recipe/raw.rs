//! The recipe's literal shape, before cross-checks: every key of every kind in one table, so that
//! an unknown key is reported with its own line.

use std::collections::BTreeMap;

use counterseal_inputs::InputSpec;
use counterseal_inputs::spec::FlatSpec;
use serde::Deserialize;

use super::check::{check_name, check_path};
use super::{ARGUMENT_BYTES_MAX, Host, Output, Product, RecipeError, RootFile, StepLimits};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Recipe {
    pub(super) format: u64,
    pub(super) product: Product,
    #[serde(default)]
    pub(super) input: Vec<Input>,
    #[serde(default)]
    pub(super) root: Root,
    #[serde(default)]
    pub(super) step: Vec<Step>,
    #[serde(default)]
    pub(super) output: Vec<Output>,
    #[serde(default)]
    pub(super) limits: StepLimits,
    #[serde(default)]
    pub(super) host: Host,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Root {
    #[serde(default)]
    pub(super) links: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) file: Vec<RootFile>,
}

/// All keys of all kinds in one table, so that an unknown key is reported with its own line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Input {
    name: String,
    kind: String,
    at: Option<String>,
    executable: Option<bool>,
    suite: Option<String>,
    architecture: Option<String>,
    packages: Option<Vec<String>>,
    package: Option<String>,
    version: Option<String>,
    location: Option<String>,
    sha256: Option<counterseal_attestation::Sha256Digest>,
    size: Option<u64>,
}

impl Input {
    pub(super) fn check(self) -> Result<super::Input, RecipeError> {
        if !counterseal_inputs::is_input_name(&self.name) {
            return Err(RecipeError::InputName { found: self.name });
        }
        let spec = InputSpec::try_from(FlatSpec {
            kind: self.kind,
            suite: self.suite,
            architecture: self.architecture,
            packages: self.packages,
            package: self.package,
            version: self.version,
            location: self.location,
            sha256: self.sha256,
            size: self.size,
        })
        .map_err(|source| RecipeError::Input {
            input: self.name.clone(),
            source,
        })?;
        let brings_paths = matches!(spec, InputSpec::DebianPackages { .. });
        let at = match self.at {
            None if brings_paths => String::new(),
            Some(at) if !brings_paths => {
                let inner = at.strip_prefix('/').unwrap_or(&at);
                if inner.is_empty() {
                    return Err(RecipeError::InputRoot { input: self.name });
                }
                check_path("input", inner)?;
                inner.to_owned()
            }
            Some(_) => {
                return Err(RecipeError::InputKey {
                    input: self.name,
                    key: "at",
                });
            }
            None => return Err(RecipeError::InputAt { input: self.name }),
        };
        if self.executable.is_some() && !matches!(spec, InputSpec::File { .. }) {
            return Err(RecipeError::InputKey {
                input: self.name,
                key: "executable",
            });
        }
        let executable = self.executable.unwrap_or(false);
        Ok(super::Input {
            name: self.name,
            spec,
            at,
            executable,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Step {
    name: String,
    argv: Option<Vec<String>>,
    script: Option<String>,
    shell: Option<String>,
    #[serde(default = "build_directory")]
    directory: String,
    #[serde(default)]
    environment: BTreeMap<String, String>,
}

fn build_directory() -> String {
    "/build".to_owned()
}

impl Step {
    pub(super) fn check(self) -> Result<super::Step, RecipeError> {
        check_name("step", &self.name)?;
        let argv = match (self.argv, self.script, self.shell) {
            (Some(argv), None, None) if !argv.is_empty() => argv,
            (None, Some(script), shell) => {
                vec![
                    shell.unwrap_or_else(|| "/bin/sh".to_owned()),
                    "-euc".to_owned(),
                    script,
                ]
            }
            _ => return Err(RecipeError::StepCommand { step: self.name }),
        };
        let Some(relative) = self.directory.strip_prefix('/') else {
            return Err(RecipeError::StepDirectory {
                step: self.name,
                found: self.directory,
            });
        };
        check_path("step directory", relative)?;
        if !argv[0].starts_with('/') {
            return Err(RecipeError::StepProgram {
                step: self.name,
                found: argv[0].clone(),
            });
        }
        for (key, value) in &self.environment {
            let named = !key.is_empty()
                && !key.starts_with(|c: char| c.is_ascii_digit())
                && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !named || key == "SOURCE_DATE_EPOCH" || value.contains('\0') {
                return Err(RecipeError::StepVariable {
                    step: self.name,
                    key: key.clone(),
                });
            }
        }
        for argument in argv.iter().chain(self.environment.values()) {
            if argument.len() > ARGUMENT_BYTES_MAX || argument.contains('\0') {
                return Err(RecipeError::StepArgument { step: self.name });
            }
        }
        Ok(super::Step {
            name: self.name,
            argv,
            directory: self.directory,
            environment: self.environment,
        })
    }
}
