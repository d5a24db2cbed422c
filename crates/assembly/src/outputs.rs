//! Declared outputs, taken out of the scratch space ([`counterseal_launcher::outputs`] says what may
//! leave it) and put into the store.

use std::io;
use std::os::fd::BorrowedFd;

use counterseal_launcher::outputs::{OutputError, open_file, open_tree};
use counterseal_store::{Digest, Store};
use serde::{Deserialize, Serialize};

use crate::error::AssemblyError;
use crate::recipe::{Output, OutputKind};

/// One finished artifact, in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finished {
    /// File name, from the recipe.
    pub name: String,
    /// Content.
    pub digest: Digest,
    /// Whether the file is executable.
    pub executable: bool,
}

/// Takes one declared output out of the scratch directory into the store.
///
/// # Errors
/// [`AssemblyError::OutputMissing`] or [`AssemblyError::OutputRefused`] with the path at fault.
pub(crate) fn collect(
    output: &Output,
    scratch: BorrowedFd<'_>,
    epoch: u64,
    store: &Store,
) -> Result<Finished, AssemblyError> {
    let from = format!("build/{}", output.path);
    let not_taken = |error: OutputError| not_taken(output, error);
    let (digest, executable) = match output.kind {
        OutputKind::File => {
            let mut left = open_file(scratch, &from).map_err(not_taken)?;
            let digest = store.put_reader(&mut left.file, left.size_bytes)?;
            (digest, left.executable)
        }
        OutputKind::TarZst => {
            let failed = |source| io_error("pack", output, &output.path, source);
            let tree = open_tree(scratch, &from).map_err(not_taken)?;
            let out = tempfile::tempfile().map_err(failed)?;
            let mut packed = tree.pack(epoch, out).map_err(not_taken)?;
            let size = packed.metadata().map_err(failed)?.len();
            io::Seek::rewind(&mut packed).map_err(failed)?;
            (store.put_reader(&mut packed, size)?, false)
        }
    };
    Ok(Finished {
        name: output.name.clone(),
        digest,
        executable,
    })
}

fn not_taken(output: &Output, error: OutputError) -> AssemblyError {
    // The recipe's path is below the build directory, and so are those in messages.
    let shown = |path: String| match path.strip_prefix("build/") {
        Some(below) if below == output.path => below.to_owned(),
        _ => path,
    };
    match error {
        OutputError::Missing { path } => AssemblyError::OutputMissing {
            output: output.name.clone(),
            path: shown(path),
        },
        OutputError::Refused { path, defect } => AssemblyError::OutputRefused {
            output: output.name.clone(),
            path: shown(path),
            defect,
        },
        OutputError::Io {
            action,
            path,
            source,
        } => io_error(action, output, &shown(path), source),
        // Not reached while the kinds above are all that there are.
        other => io_error("take", output, &output.path, io::Error::other(other)),
    }
}

fn io_error(action: &'static str, output: &Output, path: &str, source: io::Error) -> AssemblyError {
    AssemblyError::Io {
        action,
        path: format!("output {}: {path}", output.name),
        source,
    }
}
