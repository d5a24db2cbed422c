//! Says which inputs an assembly opened, as an in-toto runtime trace. It is the provenance's
//! byproduct, not evidence of its own: the provenance, which is signed, names its digest.

use std::collections::BTreeMap;

use counterseal_attestation::Sha256Digest;
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
    let own = &assembly.recipe.root_files;
    if !own.is_empty() {
        let name = assembly.recipe_name.clone();
        let paths = own.iter().map(|file| file.path.as_str());
        inputs.push(counted(name, None, paths, opened));
    }
    for part in &prepared.parts {
        let paths = paths(part, store)?;
        let uri = Some(part.purl.clone());
        let paths = paths.iter().map(String::as_str);
        inputs.push(counted(part.name.clone(), uri, paths, opened));
    }
    let file_access = opened
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

/// The files that an item brings, by path in the root.
fn paths(part: &Part, store: &Store) -> Result<Vec<String>, StoreError> {
    let Some(tree) = &part.tree else {
        return Ok(vec![part.at.clone()]);
    };
    let files = walk(store, tree)?.into_iter();
    Ok(files
        .filter(|entry| matches!(entry.kind, WalkKind::File { .. }))
        .map(|entry| match part.at.as_str() {
            "" => entry.path,
            at => format!("{at}/{}", entry.path),
        })
        .collect())
}

fn counted<'a>(
    name: String,
    uri: Option<String>,
    paths: impl Iterator<Item = &'a str>,
    opened: &BTreeMap<String, Sha256Digest>,
) -> InputUse {
    let mut input = InputUse {
        name,
        uri,
        files_declared: 0,
        files_opened: 0,
    };
    for path in paths {
        input.files_declared += 1;
        input.files_opened += u64::from(opened.contains_key(path));
    }
    input
}
