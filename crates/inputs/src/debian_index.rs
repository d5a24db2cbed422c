//! A suite's authentic index, fetched from the first mirror that can give it.
//!
//! `InRelease` is believed for its signature; every index file for the digest and size that the
//! signed text lists. A mirror that fails in any way is passed over for the next one; when none is
//! left, the error lists what each of them did.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use counterseal_attestation::{Sha256Digest, UnixSeconds};

use crate::apt::KeyringSource;
use crate::error::{Failure, InputsError};
use crate::openpgp::{KEYRING_BYTES_MAX, Keyring, OpenPgpError};
use crate::packages::{INDEX_BYTES_MAX, IndexError};
use crate::progress::Progress;
use crate::release::{ListedFile, RELEASE_BYTES_MAX, Release};
use crate::sources::{Mirror, Sources};
use crate::transfer::LazyNetwork;

/// Memory that decompressing may take.
const DECODER_MEMORY_BYTES_MAX: u64 = 256 << 20;
/// Largest accepted compressed index, in bytes.
const COMPRESSED_BYTES_MAX: u64 = 256 << 20;

/// Indexes read so far; each suite and file is fetched once.
pub(crate) struct Indexes<'a> {
    sources: &'a Sources,
    network: &'a LazyNetwork,
    now: UnixSeconds,
    progress: &'a dyn Progress,
    releases: HashMap<(String, String), Release>,
    texts: HashMap<(String, String), String>,
}

impl<'a> Indexes<'a> {
    pub(crate) fn new(
        sources: &'a Sources,
        network: &'a LazyNetwork,
        now: UnixSeconds,
        progress: &'a dyn Progress,
    ) -> Self {
        let (releases, texts) = (HashMap::new(), HashMap::new());
        Self {
            sources,
            network,
            now,
            progress,
            releases,
            texts,
        }
    }

    /// The text of an index, e.g. `main/binary-amd64/Packages`.
    pub(crate) fn text(&mut self, suite: &str, path: &str) -> Result<&str, InputsError> {
        let key = (suite.to_owned(), path.to_owned());
        if !self.texts.contains_key(&key) {
            let text = self.obtain(suite, path)?;
            self.texts.insert(key.clone(), text);
        }
        // Inserted just above when it was absent.
        Ok(&self.texts[&key])
    }

    fn obtain(&mut self, suite: &str, path: &str) -> Result<String, InputsError> {
        let mirrors = self.sources.mirrors_for(suite);
        if mirrors.is_empty() {
            return Err(InputsError::NoMirror {
                suite: suite.to_owned(),
            });
        }
        if self.sources.is_offline {
            return Err(InputsError::Offline {
                name: format!("the index of {suite}"),
            });
        }
        let mut failures = Vec::new();
        for mirror in mirrors {
            match self.obtain_from(&mirror, suite, path) {
                Ok(text) => return Ok(text),
                Err(error) => {
                    failures.push(Failure {
                        place: mirror.url,
                        error: Box::new(error),
                    });
                }
            }
        }
        Err(InputsError::Nowhere {
            what: format!("the index of {suite}"),
            failures,
        })
    }

    fn obtain_from(
        &mut self,
        mirror: &Mirror,
        suite: &str,
        path: &str,
    ) -> Result<String, InputsError> {
        let key = (mirror.url.clone(), suite.to_owned());
        if !self.releases.contains_key(&key) {
            let release = self.release(mirror, suite)?;
            self.releases.insert(key.clone(), release);
        }
        // Inserted just above when it was absent.
        let release = &self.releases[&key];
        let refused = |source| InputsError::Release {
            suite: suite.to_owned(),
            source,
        };
        let listed = release.index(path).map_err(refused)?;
        let uncompressed_bytes_max = release
            .file(path)
            .map_or(INDEX_BYTES_MAX, |file| file.size_bytes)
            .min(INDEX_BYTES_MAX);
        let location = listed.location(release.has_by_hash);
        let url = format!("{}/dists/{suite}/{location}", mirror.url);
        let bad = |source| InputsError::Index {
            name: listed.path.clone(),
            source,
        };
        if listed.size_bytes > COMPRESSED_BYTES_MAX {
            return Err(bad(IndexError::TooLarge {
                size_bytes_max: COMPRESSED_BYTES_MAX,
            }));
        }
        self.progress.begin(listed.size_bytes, 1);
        let bytes = self
            .network
            .started()?
            .read(&url, listed.size_bytes, self.progress)?;
        self.progress.finish_item(&listed.path);
        let found = Sha256Digest::of(&bytes);
        if found != listed.sha256 {
            return Err(bad(IndexError::Mismatch {
                expected: listed.sha256,
                found,
            }));
        }
        decompress(listed, &bytes, uncompressed_bytes_max).map_err(bad)
    }

    fn release(&self, mirror: &Mirror, suite: &str) -> Result<Release, InputsError> {
        let keyring = read_keyring(&mirror.keyring)?;
        let url = format!("{}/dists/{suite}/InRelease", mirror.url);
        self.progress.begin(0, 1);
        let document = self
            .network
            .started()?
            .read(&url, RELEASE_BYTES_MAX, self.progress)?;
        let text = keyring
            .verify_cleartext(&document, self.now)
            .map_err(|source| InputsError::NotAuthentic {
                suite: suite.to_owned(),
                source,
            })?;
        Release::parse(&text, suite, self.now).map_err(|source| InputsError::Release {
            suite: suite.to_owned(),
            source,
        })
    }
}

fn read_keyring(source: &KeyringSource) -> Result<Keyring, InputsError> {
    let (keyring, result) = match source {
        KeyringSource::Inline(text) => (
            "in the apt configuration".to_owned(),
            Keyring::parse(text.as_bytes()),
        ),
        KeyringSource::File(path) => (path.display().to_string(), read_keyring_file(path)),
    };
    result.map_err(|source| InputsError::Keyring { keyring, source })
}

fn read_keyring_file(path: &Path) -> Result<Keyring, OpenPgpError> {
    let unreadable = |error: std::io::Error| OpenPgpError::KeyringUnreadable {
        reason: error.to_string(),
    };
    let file = counterseal_store::open_regular(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    let bound = KEYRING_BYTES_MAX as u64 + 1;
    file.take(bound)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    Keyring::parse(&bytes)
}

/// Unpacks by the file's suffix, never beyond the bound.
fn decompress(
    listed: &ListedFile,
    bytes: &[u8],
    size_bytes_max: u64,
) -> Result<String, IndexError> {
    let bad = |reason: String| IndexError::Compression { reason };
    let mut text = Vec::new();
    let suffix = Path::new(&listed.path)
        .extension()
        .and_then(|extension| extension.to_str());
    let bound = size_bytes_max + 1;
    let read = match suffix {
        Some("xz") => {
            let stream = liblzma::stream::Stream::new_stream_decoder(DECODER_MEMORY_BYTES_MAX, 0)
                .map_err(|error| bad(error.to_string()))?;
            liblzma::read::XzDecoder::new_stream(bytes, stream)
                .take(bound)
                .read_to_end(&mut text)
        }
        Some("gz") => flate2::read::GzDecoder::new(bytes)
            .take(bound)
            .read_to_end(&mut text),
        _ => bytes.take(bound).read_to_end(&mut text),
    };
    read.map_err(|error| bad(error.to_string()))?;
    if text.len() as u64 > size_bytes_max {
        return Err(IndexError::TooLarge { size_bytes_max });
    }
    String::from_utf8(text).map_err(|_| IndexError::NotText)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyring_that_is_no_file_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        if !made.is_ok_and(|status| status.success()) {
            println!("skipped: no mkfifo here");
            return;
        }
        for path in [&pipe, Path::new("/dev/zero"), directory.path()] {
            let error = read_keyring_file(path).unwrap_err();
            assert!(error.to_string().contains("not a regular file"), "{error}");
        }
    }
}
