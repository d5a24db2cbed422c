//! One locked item into the store, from the first place that has it.
//!
//! Places in order: the input archives, then the URLs; what stands beside the recipe was taken
//! before. Bytes stream straight into the store's verifying writer, so that nothing is written
//! twice and nothing that does not match is ever kept.

use std::io;
use std::path::Path;

use counterseal_store::{Digest, Store, StoreError, open_regular};

use crate::archive;
use crate::error::{Failure, InputsError};
use crate::progress::Progress;
use crate::sources::Sources;
use crate::transfer::{LazyNetwork, Network, TransferError};

/// A blob that is wanted.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// For messages and progress.
    pub(crate) name: String,
    pub(crate) digest: Digest,
    /// URLs that may have it, best first.
    pub(crate) urls: Vec<String>,
    /// The Debian suite it belongs to, if it does.
    pub(crate) suite: Option<String>,
}

/// Everything a transfer needs.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) store: &'a Store,
    pub(crate) network: &'a LazyNetwork,
    pub(crate) progress: &'a dyn Progress,
}

impl Context<'_> {
    /// Brings the blob into the store; it is known to be absent.
    pub(crate) fn obtain(&self, wanted: &Wanted) -> Result<(), InputsError> {
        let mut failures = Vec::new();
        for directory in &self.sources.archives {
            let path = archive::blob_path(directory, &wanted.digest);
            match self.copy(&path, &wanted.digest) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) if is_ours(&error) => return Err(error),
                Err(error) => failures.push(failure(path.display().to_string(), error)),
            }
        }
        if wanted.urls.is_empty() {
            let name = wanted.name.clone();
            let error = match wanted.suite.clone() {
                Some(suite) => InputsError::NoMirror { suite },
                None => InputsError::NotHere { name },
            };
            failures.push(failure("elsewhere".to_owned(), error));
            return Err(nowhere(wanted, failures));
        }
        if self.sources.is_offline {
            let name = wanted.name.clone();
            failures.push(failure(
                "the network".to_owned(),
                InputsError::Offline { name },
            ));
            return Err(nowhere(wanted, failures));
        }
        for url in &wanted.urls {
            let network = self.network.started()?;
            let download = || self.download(network, url, &wanted.digest);
            match network.persist(download) {
                Ok(()) => return Ok(()),
                Err(error) if is_ours(&error) => return Err(error),
                Err(error) => failures.push(failure(url.clone(), error)),
            }
        }
        Err(nowhere(wanted, failures))
    }

    /// Copies a local file in; `false` when there is none.
    pub(crate) fn copy(&self, path: &Path, digest: &Digest) -> Result<bool, InputsError> {
        let file = match open_regular(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(crate::error::io("open", path, error)),
        };
        self.store
            .put_verified(file, digest)
            .map_err(|error| explain(error, &path.display().to_string()))?;
        self.progress.advance(digest.size_bytes);
        Ok(true)
    }

    fn download(&self, network: &Network, url: &str, digest: &Digest) -> Result<(), InputsError> {
        let mut body = network.open(url, digest.size_bytes, self.progress)?;
        match self.store.put_verified(&mut body, digest) {
            Ok(()) => Ok(()),
            Err(StoreError::Input { source }) => Err(body.give_up(&source).into()),
            Err(error) => {
                body.discard();
                Err(explain(error, url))
            }
        }
    }
}

/// The store's objection to what a place gave, as a failure of that place.
pub(crate) fn explain(error: StoreError, place: &str) -> InputsError {
    let place = place.to_owned();
    match error {
        StoreError::TooLarge { size_bytes_max } => TransferError::TooLong {
            place,
            size_bytes_max,
        }
        .into(),
        StoreError::DigestMismatch { expected, found }
            if found.size_bytes < expected.size_bytes =>
        {
            let (expected, found) = (expected.size_bytes, found.size_bytes);
            TransferError::TooShort {
                place,
                expected,
                found,
            }
            .into()
        }
        StoreError::DigestMismatch { expected, found } => TransferError::Mismatch {
            place,
            expected: expected.hash,
            found: found.hash,
        }
        .into(),
        error => error.into(),
    }
}

/// Whether the store failed: no other place can mend that.
fn is_ours(error: &InputsError) -> bool {
    matches!(error, InputsError::Store(_))
}

fn failure(place: String, error: InputsError) -> Failure {
    Failure {
        place,
        error: Box::new(error),
    }
}

fn nowhere(wanted: &Wanted, mut failures: Vec<Failure>) -> InputsError {
    let is_single = failures.len() == 1;
    match failures.pop() {
        Some(only) if is_single => *only.error,
        last => {
            failures.extend(last);
            InputsError::Nowhere {
                what: wanted.name.clone(),
                failures,
            }
        }
    }
}
