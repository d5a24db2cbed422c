//! From what a recipe asks for to exact bytes: the making of a lock.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use counterseal_attestation::{Sha256Digest, UnixSeconds};
use counterseal_store::{Digest, Store, tree};

use crate::beside;
use crate::debian_index::Indexes;
use crate::debian_source::{DSC_BYTES_MAX, SourcePackage};
use crate::error::{InputsError, io};
use crate::lock::{ITEM_BYTES_MAX, Lock, LockedInput, LockedItem, LockedKind};
use crate::names::is_input_name;
use crate::obtain::{Context, Wanted};
use crate::packages::PackageIndex;
use crate::progress::Progress;
use crate::purl::PackageUrl;
use crate::relative_path::RelativePath;
use crate::resolver;
use crate::sources::Sources;
use crate::spec::{InputSpec, Location};
use crate::transfer::{LazyNetwork, TransferError};

/// Resolves a recipe's inputs, in their order, to a lock. Blocks; must not be called from
/// asynchronous code.
///
/// `now` is held against the validity of the archive's signature and index. Local content and
/// single files enter the store on the way; packages do so only when they are fetched.
///
/// # Errors
/// Whatever keeps an input from being pinned; see [`InputsError`].
pub fn resolve(
    declared: &[(String, InputSpec)],
    sources: &Sources,
    store: &Store,
    now: UnixSeconds,
    progress: &dyn Progress,
) -> Result<Lock, InputsError> {
    let network = LazyNetwork::new(sources.limits);
    let context = Context {
        sources,
        store,
        network: &network,
        progress,
    };
    let mut indexes = Indexes::new(sources, &network, now, progress);
    let mut names = BTreeSet::new();
    let mut inputs = Vec::with_capacity(declared.len());
    for (name, spec) in declared {
        if !is_input_name(name) || !names.insert(name) {
            return Err(InputsError::InputName { name: name.clone() });
        }
        let (kind, mut items) = match spec {
            InputSpec::DebianPackages {
                suite,
                architecture,
                packages,
            } => resolve_packages(&mut indexes, suite, architecture, packages)?,
            InputSpec::DebianSource {
                suite,
                package,
                version,
            } => {
                let text = indexes.text(suite, "main/source/Sources")?;
                context.resolve_source(text, suite, package, version.as_deref())?
            }
            InputSpec::File {
                location,
                sha256,
                size_bytes,
            } => {
                let item = context.resolve_file(name, location, *sha256, *size_bytes)?;
                (LockedKind::File, vec![item])
            }
            InputSpec::Directory { location } => (
                LockedKind::Directory,
                vec![context.resolve_directory(location)?],
            ),
        };
        items.sort_by(|a, b| a.purl.as_str().cmp(b.purl.as_str()));
        inputs.push(LockedInput {
            name: name.clone(),
            kind,
            items,
        });
    }
    Ok(Lock { inputs })
}

type Resolved = (LockedKind, Vec<LockedItem>);

fn resolve_packages(
    indexes: &mut Indexes<'_>,
    suite: &str,
    architecture: &str,
    packages: &[String],
) -> Result<Resolved, InputsError> {
    let path = format!("main/binary-{architecture}/Packages");
    let text = indexes.text(suite, &path)?;
    let index = PackageIndex::parse(text, architecture).map_err(|source| InputsError::Index {
        name: path.clone(),
        source,
    })?;
    let items = resolver::closure(&index, packages)?
        .into_iter()
        .map(|package| LockedItem {
            purl: PackageUrl::debian_binary(
                package.name,
                package.version,
                package.architecture,
                suite,
            ),
            sha256: package.sha256,
            size_bytes: package.size_bytes,
            path: Some(package.path.clone()),
        })
        .collect();
    let kind = LockedKind::DebianPackages {
        suite: suite.to_owned(),
        architecture: architecture.to_owned(),
        packages: packages.to_vec(),
    };
    Ok((kind, items))
}

impl Context<'_> {
    fn resolve_source(
        &self,
        text: &str,
        suite: &str,
        package: &str,
        version: Option<&str>,
    ) -> Result<Resolved, InputsError> {
        let found =
            SourcePackage::find(text, package, version).map_err(|source| InputsError::Index {
                name: "main/source/Sources".to_owned(),
                source,
            })?;
        let Some(source) = found else {
            return Err(InputsError::NoSource {
                suite: suite.to_owned(),
                package: package.to_owned(),
                version: version.map(str::to_owned),
            });
        };
        let bad_path = |field| InputsError::Index {
            name: "main/source/Sources".to_owned(),
            source: crate::packages::IndexError::Field {
                package: package.to_owned(),
                field,
            },
        };
        let mut items = Vec::with_capacity(source.files.len());
        for (name, file) in &source.files {
            let path = format!("{}/{name}", source.directory);
            items.push(LockedItem {
                purl: PackageUrl::debian_source(package, &source.version, suite, name),
                sha256: file.sha256,
                size_bytes: file.size_bytes,
                path: Some(path.parse().map_err(|_| bad_path("Directory"))?),
            });
        }
        let (name, dsc) = source.dsc().ok_or_else(|| bad_path("Checksums-Sha256"))?;
        let digest = Digest {
            hash: dsc.sha256,
            size_bytes: dsc.size_bytes,
        };
        if !self.store.contains(&digest)? {
            let mirrors = self.sources.mirrors_for(suite);
            let url = |base: &str| format!("{base}/{}/{name}", source.directory);
            let urls = mirrors.iter().map(|mirror| url(&mirror.url)).collect();
            let suite = Some(suite.to_owned());
            let name = name.to_owned();
            self.obtain_one(&Wanted {
                name,
                digest,
                urls,
                suite,
            })?;
        }
        let bytes = self.store.read_blob(&digest, DSC_BYTES_MAX)?;
        source
            .check_dsc(&bytes)
            .map_err(|source| InputsError::Dsc {
                package: package.to_owned(),
                source,
            })?;
        let kind = LockedKind::DebianSource {
            suite: suite.to_owned(),
            package: package.to_owned(),
            version: source.version.clone(),
        };
        Ok((kind, items))
    }

    fn resolve_file(
        &self,
        input: &str,
        location: &Location,
        sha256: Option<Sha256Digest>,
        size_bytes: Option<u64>,
    ) -> Result<LockedItem, InputsError> {
        let (digest, name, path) = match location {
            Location::Path(location) => {
                let path = self.beside(location, beside::file)?;
                let file = File::open(&path).map_err(|error| io("open", &path, error))?;
                let found = Digest::of_reader(file).map_err(|error| io("read", &path, error))?;
                if let Some(expected) = sha256.filter(|expected| *expected != found.hash) {
                    let (input, location) = (input.to_owned(), location.to_string());
                    let found = found.hash;
                    return Err(InputsError::Changed {
                        input,
                        location,
                        expected,
                        found,
                    });
                }
                if !self.store.contains(&found)? {
                    self.copy(&path, &found)?;
                }
                (
                    found,
                    location.file_name().to_owned(),
                    Some(location.clone()),
                )
            }
            Location::Url(url) => {
                let expected = sha256.ok_or(InputsError::UrlWithoutDigest {
                    input: input.to_owned(),
                })?;
                let digest = self.resolve_url(input, url, expected, size_bytes)?;
                (digest, input.to_owned(), None)
            }
        };
        if let Some(expected) = size_bytes.filter(|expected| *expected != digest.size_bytes) {
            return Err(InputsError::Size {
                name,
                expected,
                found: digest.size_bytes,
            });
        }
        Ok(LockedItem {
            purl: PackageUrl::generic(&name),
            sha256: digest.hash,
            size_bytes: digest.size_bytes,
            path,
        })
    }

    /// Brings a file behind a URL into the store. When its size is not stated it waits in a
    /// temporary file until its digest is known to be right.
    fn resolve_url(
        &self,
        input: &str,
        url: &str,
        expected: Sha256Digest,
        size_bytes: Option<u64>,
    ) -> Result<Digest, InputsError> {
        if let Some(size_bytes) = size_bytes {
            let digest = Digest {
                hash: expected,
                size_bytes,
            };
            if !self.store.contains(&digest)? {
                let (name, urls) = (input.to_owned(), vec![url.to_owned()]);
                self.obtain_one(&Wanted {
                    name,
                    digest,
                    urls,
                    suite: None,
                })?;
            }
            return Ok(digest);
        }
        if self.sources.is_offline {
            return Err(InputsError::Offline {
                name: input.to_owned(),
            });
        }
        let network = self.network.started()?;
        self.progress.begin(0, 1);
        let digest = network.persist(|| {
            let mut body = network.open(url, ITEM_BYTES_MAX, self.progress)?;
            let directory = std::env::temp_dir();
            let fail = |error| io("write in", &directory, error);
            let mut file = tempfile::tempfile().map_err(fail)?;
            if let Err(error) = std::io::copy(&mut body, &mut file) {
                return Err(body.give_up(&error).into());
            }
            file.seek(SeekFrom::Start(0)).map_err(fail)?;
            let found = Digest::of_reader(&file).map_err(fail)?;
            if found.hash != expected {
                let (place, found) = (url.to_owned(), found.hash);
                return Err(TransferError::Mismatch {
                    place,
                    expected,
                    found,
                }
                .into());
            }
            file.seek(SeekFrom::Start(0)).map_err(fail)?;
            self.store.put_verified(&file, &found)?;
            Ok(found)
        })?;
        self.progress.finish_item(input);
        Ok(digest)
    }

    fn resolve_directory(&self, location: &RelativePath) -> Result<LockedItem, InputsError> {
        let path = self.beside(location, beside::directory)?;
        let digest = tree::put_tree_from_dir(self.store, &path)?;
        Ok(LockedItem {
            purl: PackageUrl::generic(location.file_name()),
            sha256: digest.hash,
            size_bytes: digest.size_bytes,
            path: Some(location.clone()),
        })
    }

    fn beside(
        &self,
        location: &RelativePath,
        find: impl Fn(&Path, &RelativePath) -> Result<Option<PathBuf>, InputsError>,
    ) -> Result<PathBuf, InputsError> {
        let Some(base) = &self.sources.base_directory else {
            let name = location.to_string();
            return Err(InputsError::NoBaseDirectory { name });
        };
        find(base, location)?
            .ok_or_else(|| io("open", &location.below(base), ErrorKind::NotFound.into()))
    }

    fn obtain_one(&self, wanted: &Wanted) -> Result<(), InputsError> {
        self.progress.begin(wanted.digest.size_bytes, 1);
        self.obtain(wanted)?;
        self.progress.finish_item(&wanted.name);
        Ok(())
    }
}
