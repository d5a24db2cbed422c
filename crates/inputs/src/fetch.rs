//! Every byte of a lock into the store.
//!
//! What the store has is left alone. What stands beside the recipe is compared with the lock, so
//! that nobody builds yesterday's sources by accident. The rest comes from input archives and
//! mirrors, several transfers at a time; the first failure stops them all, and what arrived by
//! then stays, so that the next run goes on from there.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use counterseal_store::{Digest, Store, tree};

use crate::beside;
use crate::error::{InputsError, io};
use crate::lock::{Lock, LockedInput, LockedItem, LockedKind};
use crate::obtain::{Context, Wanted};
use crate::progress::Progress;
use crate::relative_path::RelativePath;
use crate::sources::Sources;
use crate::spec::{InputSpec, Location};
use crate::transfer::LazyNetwork;

/// What [`fetch`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FetchReport {
    /// Items that the store had already or that stand beside the recipe.
    pub present_items: u64,
    /// Items brought in now.
    pub fetched_items: u64,
    /// Their total size.
    pub fetched_bytes: u64,
}

/// Brings everything that `lock` pins into the store. Blocks; must not be called from
/// asynchronous code.
///
/// `declared` are the recipe's inputs: the lock must be theirs, and they say where files behind a
/// URL are.
///
/// # Errors
/// A lock that is not this recipe's, local content that changed, and items that no place can give
/// with the pinned digest. Nothing that does not match its digest is ever stored.
pub fn fetch(
    declared: &[(String, InputSpec)],
    lock: &Lock,
    sources: &Sources,
    store: &Store,
    progress: &dyn Progress,
) -> Result<FetchReport, InputsError> {
    lock.check_against(declared)?;
    let network = LazyNetwork::new(sources.limits);
    let context = Context {
        sources,
        store,
        network: &network,
        progress,
    };
    let mut report = FetchReport::default();
    let mut wanted: BTreeMap<Digest, Wanted> = BTreeMap::new();
    for input in &lock.inputs {
        let spec = declared
            .iter()
            .find(|(name, _)| *name == input.name)
            .map(|(_, spec)| spec);
        for item in &input.items {
            if context.is_at_hand(input, item)? {
                report.present_items += 1;
            } else {
                let digest = item.digest();
                let one = wanted.entry(digest).or_insert_with(|| Wanted {
                    name: item.display_name().to_owned(),
                    digest,
                    urls: Vec::new(),
                    suite: input.kind.suite().map(str::to_owned),
                });
                // The same bytes may be pinned twice; whoever knows a place helps both.
                for url in urls(&input.kind, item, spec, sources) {
                    if !one.urls.contains(&url) {
                        one.urls.push(url);
                    }
                }
            }
        }
    }
    if !wanted.is_empty() {
        let wanted: Vec<Wanted> = wanted.into_values().collect();
        report.fetched_items = wanted.len() as u64;
        report.fetched_bytes = wanted.iter().map(|one| one.digest.size_bytes).sum();
        progress.begin(report.fetched_bytes, report.fetched_items);
        context.obtain_all(&wanted)?;
    }
    Ok(report)
}

/// Where a blob may be had, best first.
fn urls(
    kind: &LockedKind,
    item: &LockedItem,
    spec: Option<&InputSpec>,
    sources: &Sources,
) -> Vec<String> {
    match (kind, &item.path, spec) {
        (
            LockedKind::DebianPackages { suite, .. } | LockedKind::DebianSource { suite, .. },
            Some(path),
            _,
        ) => {
            let mirrors = sources.mirrors_for(suite);
            mirrors
                .iter()
                .map(|mirror| format!("{}/{path}", mirror.url))
                .collect()
        }
        (
            _,
            _,
            Some(InputSpec::File {
                location: Location::Url(url),
                ..
            }),
        ) => vec![url.clone()],
        _ => Vec::new(),
    }
}

impl Context<'_> {
    /// Whether the item needs no transfer; brings it in when it stands beside the recipe, and
    /// trees when an archive holds them.
    fn is_at_hand(&self, input: &LockedInput, item: &LockedItem) -> Result<bool, InputsError> {
        let digest = item.digest();
        match input.kind {
            LockedKind::File if self.take_file(input, item)? => return Ok(true),
            LockedKind::Directory => {
                return if self.take_directory(input, item)?
                    || self.store.contains_tree(&digest)?
                    || self.obtain_tree(&digest)?
                {
                    Ok(true)
                } else {
                    Err(InputsError::NotHere {
                        name: item.display_name().to_owned(),
                    })
                };
            }
            _ => {}
        }
        Ok(self.store.contains(&digest)?)
    }

    /// Takes a file from beside the recipe; `false` when there is none.
    fn take_file(&self, input: &LockedInput, item: &LockedItem) -> Result<bool, InputsError> {
        let Some(path) = self.local(item, beside::file)? else {
            return Ok(false);
        };
        let file = File::open(&path).map_err(|error| io("open", &path, error))?;
        let found = Digest::of_reader(file).map_err(|error| io("read", &path, error))?;
        if found.hash == item.sha256 && found.size_bytes != item.size_bytes {
            return Err(InputsError::LockedSize {
                input: input.name.clone(),
                expected: item.size_bytes,
                found: found.size_bytes,
            });
        }
        if found != item.digest() {
            return Err(changed(input, item, &found));
        }
        if !self.store.contains(&found)? {
            self.copy(&path, &found)?;
        }
        Ok(true)
    }

    /// Takes a directory from beside the recipe; `false` when there is none.
    fn take_directory(&self, input: &LockedInput, item: &LockedItem) -> Result<bool, InputsError> {
        let Some(path) = self.local(item, beside::directory)? else {
            return Ok(false);
        };
        let found = tree::put_tree_from_dir(self.store, &path)?;
        if found == item.digest() {
            Ok(true)
        } else {
            Err(changed(input, item, &found))
        }
    }

    fn local(
        &self,
        item: &LockedItem,
        find: impl Fn(&Path, &RelativePath) -> Result<Option<PathBuf>, InputsError>,
    ) -> Result<Option<PathBuf>, InputsError> {
        match (&self.sources.base_directory, &item.path) {
            (Some(base), Some(path)) => find(base, path),
            _ => Ok(None),
        }
    }

    /// All of them, several at a time; the first failure stops the rest.
    fn obtain_all(&self, wanted: &[Wanted]) -> Result<(), InputsError> {
        let next = AtomicUsize::new(0);
        let is_stopped = AtomicBool::new(false);
        let failure = Mutex::new(None);
        let work = || {
            while !is_stopped.load(Ordering::Relaxed) {
                let Some(one) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) else {
                    return;
                };
                match self.obtain(one) {
                    Ok(()) => self.progress.finish_item(&one.name),
                    Err(error) => {
                        is_stopped.store(true, Ordering::Relaxed);
                        // The first one is told; others are most likely the same.
                        let mut first = failure.lock().unwrap_or_else(PoisonError::into_inner);
                        first.get_or_insert(error);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.sources.limits.parallel.clamp(1, wanted.len()) {
                scope.spawn(work);
            }
        });
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

fn changed(input: &LockedInput, item: &LockedItem, found: &Digest) -> InputsError {
    InputsError::Changed {
        input: input.name.clone(),
        location: item
            .path
            .as_ref()
            .map_or_else(String::new, ToString::to_string),
        expected: item.sha256,
        found: found.hash,
    }
}
