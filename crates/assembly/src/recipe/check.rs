//! What a recipe that can be read must be besides, to make sense: bounds, names and paths, and nothing
//! twice.
//!
//! Absent on purpose: what concerns one input or step alone ([`super::raw`]), or the host.

use std::collections::BTreeSet;

use counterseal_attestation::UnixSeconds;
use counterseal_attestation::bundle::EVIDENCE_SUFFIX;
use counterseal_attestation::runtime_trace::TRACE_SUFFIX;
use counterseal_inputs::lock::INPUTS_MAX;
use counterseal_launcher::{is_name, is_path};

use super::{LIMIT_MAX, Recipe};
use crate::error::RecipeError;

/// Most steps, and most links and files that one recipe may add to the root.
const ITEMS_MAX: usize = 4096;
/// Most outputs: the evidence of each names all of them.
const OUTPUTS_MAX: usize = 256;
/// Longest media type, in bytes (RFC 6838, section 4.2: two names of 127).
const MEDIA_TYPE_BYTES_MAX: usize = 255;

impl Recipe {
    pub(super) fn check(&self) -> Result<(), RecipeError> {
        check_name("product", &self.product.name)?;
        check_name("product version", &self.product.version)?;
        for (what, found, max) in [
            ("input", self.inputs.len(), INPUTS_MAX),
            ("step", self.steps.len(), ITEMS_MAX),
            ("output", self.outputs.len(), OUTPUTS_MAX),
            ("root file", self.root_files.len(), ITEMS_MAX),
            ("root link", self.root_links.len(), ITEMS_MAX),
        ] {
            if found > max {
                return Err(RecipeError::TooMany { what, found, max });
            }
        }
        check_unique("input", self.inputs.iter().map(|input| &input.name))?;
        check_unique("step", self.steps.iter().map(|step| &step.name))?;
        check_unique("output", self.outputs.iter().map(|output| &output.name))?;
        if self.steps.is_empty() {
            return Err(RecipeError::Missing { what: "[[step]]" });
        }
        if self.outputs.is_empty() {
            return Err(RecipeError::Missing { what: "[[output]]" });
        }
        if self.product.source_date_epoch > UnixSeconds::MAX_RFC3339.0 {
            return Err(RecipeError::Epoch {
                found: self.product.source_date_epoch,
            });
        }
        for output in &self.outputs {
            // What stands beside an artifact has the artifact's name and one of these suffixes.
            if [EVIDENCE_SUFFIX, TRACE_SUFFIX, ".pending"]
                .iter()
                .any(|suffix| output.name.ends_with(suffix))
            {
                return Err(RecipeError::OutputReserved {
                    found: output.name.clone(),
                });
            }
            check_name("output", &output.name)?;
            check_path("output", &output.path)?;
            if !is_media_type(&output.media_type) {
                return Err(RecipeError::MediaType {
                    output: output.name.clone(),
                    found: output.media_type.clone(),
                });
            }
        }
        for path in self.root_links.keys() {
            check_path("root link", path)?;
        }
        for file in &self.root_files {
            check_path("root file", &file.path)?;
        }
        let limits = &self.limits;
        for (name, value) in [
            ("wall-seconds", limits.wall_seconds),
            ("memory-bytes", limits.memory_bytes),
            ("scratch-bytes", limits.scratch_bytes),
            ("log-bytes", limits.log_bytes),
            ("processes-max", limits.processes_max),
        ] {
            if value == 0 || value > LIMIT_MAX {
                return Err(RecipeError::Limit { name, found: value });
            }
        }
        self.host.check()
    }
}

/// File names of products, inputs, steps and outputs.
pub(super) fn check_name(what: &'static str, name: &str) -> Result<(), RecipeError> {
    if is_name(name) {
        Ok(())
    } else {
        Err(RecipeError::Name {
            what,
            found: name.to_owned(),
        })
    }
}

/// Paths below the root or below `/build`.
pub(super) fn check_path(what: &'static str, path: &str) -> Result<(), RecipeError> {
    if is_path(path) {
        Ok(())
    } else {
        Err(RecipeError::Path {
            what,
            found: path.to_owned(),
        })
    }
}

/// `type/subtype`, without parameters.
fn is_media_type(text: &str) -> bool {
    let is_part = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c))
    };
    text.len() <= MEDIA_TYPE_BYTES_MAX
        && text
            .split_once('/')
            .is_some_and(|(kind, subtype)| is_part(kind) && is_part(subtype))
}

fn check_unique<'a>(
    what: &'static str,
    names: impl Iterator<Item = &'a String>,
) -> Result<(), RecipeError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(RecipeError::Duplicate {
                what,
                name: name.clone(),
            });
        }
    }
    Ok(())
}
