//! Files for the user out of the store: hashed on the way, complete or absent.
//!
//! Absent on purpose: hard links to the store; whoever edits an artifact must not edit a blob.

use std::io;
use std::path::Path;

use counterseal_store::{Digest, Store, StoreError};

use crate::error::{CommandError, OrExit};
use crate::output;

/// Writes a blob as [`output::replace`] writes; what is damaged never gets the file's name.
pub(crate) fn replace_with_blob(
    path: &Path,
    is_executable: bool,
    store: &Store,
    digest: &Digest,
) -> Result<(), CommandError> {
    let mode = if is_executable { 0o755 } else { 0o644 };
    let mut unreadable = None;
    let written = output::replace(path, mode, |file| match store.copy_blob(digest, file) {
        Err(StoreError::Output { source }) => Err(source),
        Err(error) => {
            let told = io::Error::other(error.to_string());
            unreadable = Some(error);
            Err(told)
        }
        Ok(()) => Ok(()),
    });
    match unreadable {
        Some(error) => Err(error).or_usage().map_err(|error| {
            error.hint(
                "run `counterseal store check` to see what else is damaged, then the same \
                 command again: what is missing is fetched or built anew",
            )
        }),
        None => written,
    }
}
