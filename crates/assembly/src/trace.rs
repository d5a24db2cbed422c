//! Says which inputs an assembly opened, as an in-toto runtime trace. It is the provenance's
//! byproduct, not evidence of its own: the provenance, which is signed, names its digest.

use counterseal_attestation::provenance::BUILD_TYPE;
use counterseal_attestation::runtime_trace::{
    InputUse, MONITOR_TYPE, Monitor, MonitorLog, MonitoredProcess, RuntimeTrace,
};
use counterseal_attestation::statement::{DigestSet, ResourceDescriptor, Statement};
use counterseal_store::tree::{WalkKind, walk};
use counterseal_store::{Store, StoreError};

use crate::assembly::Assembly;
use crate::error::AssemblyError;
use crate::execute::Assembled;
use crate::opened::Opened;
use crate::prepare::{Part, Prepared};
use crate::statement::subjects;

/// The trace of `assembled`; the same assembly leaves the same trace. Reads the tree of each input.
///
/// # Errors
/// An input's tree is missing or damaged.
pub fn trace(
    assembly: &Assembly,
    prepared: &Prepared,
    assembled: &Assembled,
    store: &Store,
    builder_id: &str,
) -> Result<Statement<RuntimeTrace>, AssemblyError> {
    let opened = &assembled.opened;
    let mut inputs = Vec::with_capacity(prepared.parts.len() + 1);
    let recipe = &assembly.recipe;
    if !(recipe.root_files.is_empty() && recipe.root_links.is_empty()) {
        let mut input = unused(&assembly.recipe_name, None);
        for file in &recipe.root_files {
            count_file(&mut input, &file.path, opened);
        }
        for path in recipe.root_links.keys() {
            count_link(&mut input, path, opened);
        }
        inputs.push(input);
    }
    for part in &prepared.parts {
        inputs.push(used(part, store, opened)?);
    }
    let file_access = opened
        .files
        .iter()
        .map(|(path, digest)| ResourceDescriptor {
            name: Some(path.clone()),
            digest: Some(DigestSet::from_sha256(*digest)),
            ..ResourceDescriptor::default()
        })
        .collect();
    let trace = RuntimeTrace {
        monitor: Monitor {
            type_: MONITOR_TYPE.to_owned(),
        },
        monitored_process: MonitoredProcess {
            host_id: builder_id.to_owned(),
            type_: BUILD_TYPE.to_owned(),
            event: format!("sha256:{}", prepared.action().hash),
        },
        monitor_log: MonitorLog { file_access },
        inputs,
    };
    Ok(Statement::new(subjects(assembled), trace))
}

/// How much of an item was opened.
fn used(part: &Part, store: &Store, opened: &Opened) -> Result<InputUse, StoreError> {
    let mut input = unused(&part.name, Some(part.purl.clone()));
    let Some(tree) = &part.tree else {
        count_file(&mut input, &part.at, opened);
        return Ok(input);
    };
    for entry in walk(store, tree)? {
        let path = match part.at.as_str() {
            "" => entry.path,
            at => format!("{at}/{}", entry.path),
        };
        match entry.kind {
            WalkKind::File { .. } => count_file(&mut input, &path, opened),
            WalkKind::Symlink { .. } => count_link(&mut input, &path, opened),
            WalkKind::Directory { .. } => {}
        }
    }
    Ok(input)
}

fn unused(name: &str, uri: Option<String>) -> InputUse {
    InputUse {
        name: name.to_owned(),
        uri,
        files_declared: 0,
        files_opened: 0,
        links_followed: 0,
    }
}

fn count_file(input: &mut InputUse, path: &str, opened: &Opened) {
    input.files_declared += 1;
    input.files_opened += u64::from(opened.files.contains_key(path));
}

fn count_link(input: &mut InputUse, path: &str, opened: &Opened) {
    input.links_followed += u64::from(opened.links.contains(path));
}
