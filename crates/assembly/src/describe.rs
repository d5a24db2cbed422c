//! An assembly's steps as the launcher takes them: the one place where a recipe becomes what the
//! sandbox is asked for. [`execute`](crate::execute()) runs them in this process,
//! [`export`](crate::export()) writes them down.

use std::collections::BTreeSet;
use std::time::Duration;

use counterseal_launcher::{Description, FORMAT, Kind, Output, Step};
use counterseal_sandbox::{BUILD_DIRECTORY, Guarantee, Limits};

use crate::assembly::Assembly;
use crate::prepare::Prepared;
use crate::recipe::OutputKind;
use crate::vary::Switch;

/// Where the root is, relative to the description.
pub(crate) const ROOT_NAME: &str = "root";
/// Where the launcher leaves what it made.
const OUTPUT_DIRECTORY: &str = "out";

/// Every step with these switches turned, and the declared outputs.
pub(crate) fn describe(
    assembly: &Assembly,
    prepared: &Prepared,
    waived: &BTreeSet<Guarantee>,
    varied: &BTreeSet<Switch>,
) -> Description {
    let recipe = &assembly.recipe;
    let epoch = recipe.product.source_date_epoch;
    let steps = prepared.actions.iter().map(|planned| {
        let mut host = recipe.host.seen(epoch, *planned.action.hash.as_bytes());
        for switch in varied {
            switch.turn(&mut host);
        }
        Step {
            name: planned.step.name.clone(),
            argv: planned.step.argv.clone(),
            environment: planned.step.environment.clone(),
            working_directory: at_build_path(&planned.step.directory, &host.build_path),
            host,
        }
    });
    let outputs = recipe.outputs.iter().map(|output| Output {
        from: format!("build/{}", output.path),
        kind: match output.kind {
            OutputKind::File => Kind::File,
            OutputKind::TarZst => Kind::TarZst,
        },
        to: output.name.clone(),
    });
    Description {
        format: FORMAT,
        root: ROOT_NAME.to_owned(),
        output_directory: OUTPUT_DIRECTORY.to_owned(),
        source_date_epoch: epoch,
        limits: Limits {
            wall: Duration::from_secs(recipe.limits.wall_seconds),
            memory_bytes: recipe.limits.memory_bytes,
            scratch_bytes: recipe.limits.scratch_bytes,
            log_bytes: recipe.limits.log_bytes,
            processes_max: u32::try_from(recipe.limits.processes_max).unwrap_or(u32::MAX),
        },
        waived: waived.clone(),
        steps: steps.collect(),
        outputs: outputs.collect(),
    }
}

/// A step's directory, where the build directory has another path than the recipe knows.
fn at_build_path(directory: &str, build_path: &str) -> String {
    match directory.strip_prefix(BUILD_DIRECTORY) {
        Some(below) if below.is_empty() || below.starts_with('/') => format!("{build_path}{below}"),
        _ => directory.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_build_directory_moves() {
        for (directory, moved) in [
            ("/build", "/elsewhere"),
            ("/build/a/b", "/elsewhere/a/b"),
            ("/builds", "/builds"),
            ("/tmp", "/tmp"),
        ] {
            assert_eq!(at_build_path(directory, "/elsewhere"), moved);
            assert_eq!(at_build_path(directory, BUILD_DIRECTORY), directory);
        }
    }
}
