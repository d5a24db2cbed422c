//! Composes the root and derives the actions.
//!
//! The root holds the pinned inputs, the links and small files of the recipe, and four empty
//! directories that the sandbox mounts onto; nothing else. Each step is one Remote Execution API
//! action over that root. Steps share `/build`, so an action also carries the digest of the one
//! before it as its salt: a step's digest changes when anything before it does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use counterseal_inputs::{Lock, LockedInput, LockedItem, LockedKind};
use counterseal_store::remote_execution::{Action, Command};
use counterseal_store::tree::{TreeBuilder, TreeError, merge};
use counterseal_store::{Digest, Store, StoreError};

use crate::assembly::Assembly;
use crate::error::AssemblyError;
use crate::package;
use crate::recipe::{Input, Output, OutputKind, Recipe, Step};

/// Directories that the sandbox mounts onto; present and empty in every root.
const MOUNT_POINTS: [&str; 4] = ["build", "dev", "proc", "tmp"];

/// Version of everything in this crate and the sandbox that shapes outputs but stands in no
/// message: raised when the same action could give other bytes than before.
const ACTION_EPOCH: &str = "5";

/// A root and the actions over it, ready to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// The composed root, a tree in the store.
    pub root: Digest,
    /// One action a step, in order.
    pub actions: Vec<PlannedAction>,
    /// What each pinned item brings into the root, in the order of the lock.
    pub(crate) parts: Vec<Part>,
}

/// One pinned item and what it brings into the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// The item's name, as the provenance's dependencies give it.
    pub(crate) name: String,
    /// Its package URL.
    pub(crate) purl: String,
    /// Where it appears, relative to the root.
    pub(crate) at: String,
    /// A tree below `at`, or else one file there.
    pub(crate) tree: Option<Digest>,
}

impl Part {
    fn of(item: &LockedItem, at: String, tree: Option<Digest>) -> Self {
        Self {
            name: item.display_name().to_owned(),
            purl: item.purl.to_string(),
            at,
            tree,
        }
    }
}

/// One step with the action that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedAction {
    /// The step of the recipe.
    pub step: Step,
    /// Digest of the Remote Execution API `Action`, its predecessors included.
    pub action: Digest,
}

impl Prepared {
    /// The digest that stands for the whole assembly: that of the last action.
    pub fn action(&self) -> Digest {
        // A recipe without steps is refused when it is read.
        self.actions
            .last()
            .map_or(self.root, |planned| planned.action)
    }
}

/// Composes the root of `assembly` in `store`, which must hold every pinned input.
///
/// # Errors
/// Missing inputs, packages that cannot be unpacked, two inputs that claim one path.
pub fn prepare(assembly: &Assembly, store: &Store) -> Result<Prepared, AssemblyError> {
    let everything = |_: &LockedKind| true;
    let (root, parts) = compose(&assembly.recipe, &assembly.lock, store, everything)?;
    Ok(Prepared {
        root,
        actions: plan(assembly, root),
        parts,
    })
}

/// Refuses a root that cannot be, as [`prepare`] does, of what is known before the packages are
/// there: it looks at everything else that the recipe places. Costs no more than their directories.
///
/// # Errors
/// Two inputs, links or small files that claim one path; an input that `lock` does not hold.
pub fn check_places(recipe: &Recipe, lock: &Lock, store: &Store) -> Result<(), AssemblyError> {
    let is_known = |kind: &LockedKind| !matches!(kind, LockedKind::DebianPackages { .. });
    compose(recipe, lock, store, is_known).map(drop)
}

/// The root, of the inputs whose kind is taken, and what each brings into it.
fn compose(
    recipe: &Recipe,
    lock: &Lock,
    store: &Store,
    is_taken: impl Fn(&LockedKind) -> bool,
) -> Result<(Digest, Vec<Part>), AssemblyError> {
    compose_parts(recipe, lock, store, is_taken).map_err(|error| match error {
        AssemblyError::Tree(TreeError::Conflict { path })
        | AssemblyError::Store(StoreError::Tree(TreeError::Conflict { path })) => {
            place_taken(recipe, path)
        }
        other => other,
    })
}

/// Which inputs have a place at or around a disputed one.
fn place_taken(recipe: &Recipe, path: String) -> AssemblyError {
    let place = Path::new(&path);
    let claims = |input: &&Input| {
        let at = Path::new(&input.at);
        place.starts_with(at) || at.starts_with(place)
    };
    let claiming = recipe.inputs.iter().filter(claims);
    let inputs: Vec<String> = claiming.map(|input| input.name.clone()).collect();
    let source = TreeError::Conflict { path };
    if inputs.is_empty() {
        AssemblyError::Tree(source)
    } else {
        AssemblyError::PlaceTaken { inputs, source }
    }
}

fn compose_parts(
    recipe: &Recipe,
    lock: &Lock,
    store: &Store,
    is_taken: impl Fn(&LockedKind) -> bool,
) -> Result<(Digest, Vec<Part>), AssemblyError> {
    let mut trees: Vec<(&str, Digest)> = Vec::new();
    let mut own = TreeBuilder::new();
    let mut parts = Vec::new();
    for mount_point in MOUNT_POINTS {
        own.add_dir(mount_point)?;
    }
    for input in &recipe.inputs {
        let locked = lock
            .input(&input.name)
            .ok_or_else(|| AssemblyError::LockStale {
                input: input.name.clone(),
            })?;
        if is_taken(&locked.kind) {
            parts.extend(add_input(input, locked, store, &mut own, &mut trees)?);
        }
    }
    for (path, target) in &recipe.root_links {
        own.add_symlink(path, target)?;
    }
    for file in &recipe.root_files {
        let digest = store.put_bytes(file.content.as_bytes())?;
        own.add_file(&file.path, digest, file.executable)?;
    }
    trees.push(("", own.finish(store)?));
    Ok((merge(store, &trees)?, parts))
}

fn add_input<'a>(
    input: &'a Input,
    locked: &LockedInput,
    store: &Store,
    own: &mut TreeBuilder,
    trees: &mut Vec<(&'a str, Digest)>,
) -> Result<Vec<Part>, AssemblyError> {
    let mut parts = Vec::with_capacity(locked.items.len());
    match locked.kind {
        LockedKind::DebianPackages { .. } => {
            let packages = package::trees(&locked.items, store)?;
            let mut merged = vec![("", package::merged_usr(store)?)];
            for (item, tree) in locked.items.iter().zip(packages) {
                merged.push(("", tree));
                parts.push(Part::of(item, String::new(), Some(tree)));
            }
            trees.push(("", merge(store, &merged)?));
        }
        LockedKind::DebianSource { .. } => {
            for item in &locked.items {
                let path = format!("{}/{}", input.at, item.display_name());
                own.add_file(&path, item.digest(), false)?;
                parts.push(Part::of(item, path, None));
            }
        }
        LockedKind::Directory => {
            // Reading a lock guarantees exactly one item for files and directories.
            for item in &locked.items {
                trees.push((&input.at, item.digest()));
                parts.push(Part::of(item, input.at.clone(), Some(item.digest())));
            }
        }
        LockedKind::File => {
            for item in &locked.items {
                own.add_file(&input.at, item.digest(), input.executable)?;
                parts.push(Part::of(item, input.at.clone(), None));
            }
        }
    }
    Ok(parts)
}

fn plan(assembly: &Assembly, root: Digest) -> Vec<PlannedAction> {
    let recipe = &assembly.recipe;
    let limits = &recipe.limits;
    // What the sandbox is asked for, as platform properties: they are part of the action's digest.
    let platform: BTreeMap<String, String> = [
        ("counterseal-action-epoch", ACTION_EPOCH.to_owned()),
        ("counterseal-log-bytes", limits.log_bytes.to_string()),
        ("counterseal-outputs", output_kinds(assembly)),
        ("counterseal-memory-bytes", limits.memory_bytes.to_string()),
        (
            "counterseal-processes-max",
            limits.processes_max.to_string(),
        ),
        (
            "counterseal-scratch-bytes",
            limits.scratch_bytes.to_string(),
        ),
        (
            "counterseal-source-date-epoch",
            recipe.product.source_date_epoch.to_string(),
        ),
    ]
    .into_iter()
    .chain(recipe.host.properties())
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    let mut salt = Vec::new();
    let last = recipe.steps.len().saturating_sub(1);
    let mut actions = Vec::with_capacity(recipe.steps.len());
    for (index, step) in recipe.steps.iter().enumerate() {
        let command = Command {
            arguments: step.argv.clone(),
            environment: step.environment.clone(),
            working_directory: step.directory.trim_start_matches('/').to_owned(),
            output_paths: if index == last {
                output_paths(assembly)
            } else {
                [].into()
            },
        };
        let mut action = Action::new(command.digest(), root);
        action.timeout = Some(Duration::from_secs(limits.wall_seconds));
        action.salt = salt;
        action.platform = platform.clone();
        let digest = action.digest();
        salt = digest.hash.as_bytes().to_vec();
        actions.push(PlannedAction {
            step: step.clone(),
            action: digest,
        });
    }
    actions
}

/// Declared outputs as the action names them: relative to the root.
fn output_paths(assembly: &Assembly) -> BTreeSet<String> {
    assembly
        .recipe
        .outputs
        .iter()
        .map(|output| format!("build/{}", output.path))
        .collect()
}

/// How outputs are taken is part of what a cached result means, so it is part of the key.
fn output_kinds(assembly: &Assembly) -> String {
    let kind = |output: &Output| match output.kind {
        OutputKind::File => "file",
        OutputKind::TarZst => "tar.zst",
    };
    let lines: Vec<String> = assembly
        .recipe
        .outputs
        .iter()
        .map(|output| {
            format!(
                "{} {} {} {}",
                output.name,
                kind(output),
                output.media_type,
                output.path
            )
        })
        .collect();
    lines.join("\n")
}
