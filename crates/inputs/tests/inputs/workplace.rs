//! What a test works with: an archive on a server, a store, sources that point at both.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use counterseal_attestation::UnixSeconds;
use counterseal_inputs::sources::TransferLimits;
use counterseal_inputs::{
    DebianSettings, FetchReport, InputSpec, InputsError, Lock, Progress, Sources, fetch, resolve,
};
use counterseal_store::Store;
use tempfile::TempDir;

use crate::keys::{NOW, Signer};
use crate::mini_archive::MiniArchive;
use crate::server::Server;

pub(crate) struct Workplace {
    pub(crate) directory: TempDir,
    pub(crate) server: Server,
    pub(crate) signer: Signer,
    pub(crate) archive: MiniArchive,
    pub(crate) sources: Sources,
    pub(crate) store: Store,
}

impl Workplace {
    /// With the packages `aa` → `bb` → `cc` and the source package `hello`, all published.
    pub(crate) fn new() -> Self {
        let mut archive = MiniArchive::default();
        archive
            .package("aa", "1.0-1", "Depends: bb (>= 1), cc | dd")
            .package("bb", "1:2.0+x-1", "Pre-Depends: cc")
            .package("cc", "3~rc1", "")
            .package("dd", "4", "")
            .source("hello", "2.10-3", |dsc| dsc);
        let place = Self::with(archive);
        place.archive.publish(&place.server, &place.signer);
        place
    }

    /// With an archive that is not published yet.
    pub(crate) fn with(archive: MiniArchive) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start();
        let signer = Signer::new(7);
        let keyring = directory.path().join("keyring.gpg");
        std::fs::write(&keyring, signer.keyring()).unwrap();
        let base = directory.path().join("recipe");
        std::fs::create_dir(&base).unwrap();
        let flags = DebianSettings {
            mirrors: vec![server.url("/debian")],
            keyring: Some(keyring),
        };
        let mut sources = Sources::gather(&flags, &DebianSettings::default(), None).unwrap();
        sources.base_directory = Some(base);
        sources.limits = quick();
        let store = Store::create(&directory.path().join("store")).unwrap();
        Self {
            directory,
            server,
            signer,
            archive,
            sources,
            store,
        }
    }

    pub(crate) fn recipe_file(&self, path: &str) -> PathBuf {
        self.directory.path().join("recipe").join(path)
    }

    pub(crate) fn resolve(&self, declared: &[(String, InputSpec)]) -> Result<Lock, InputsError> {
        let now = UnixSeconds(u64::from(NOW));
        resolve(
            declared,
            &self.sources,
            &self.store,
            now,
            &Counter::default(),
        )
    }

    pub(crate) fn fetch(
        &self,
        declared: &[(String, InputSpec)],
        lock: &Lock,
    ) -> Result<FetchReport, InputsError> {
        fetch(
            declared,
            lock,
            &self.sources,
            &self.store,
            &Counter::default(),
        )
    }

    /// A second, empty store; everything else stays.
    pub(crate) fn with_empty_store(mut self) -> Self {
        self.store = Store::create(&self.directory.path().join("second")).unwrap();
        self
    }

    /// How many blobs the store holds.
    pub(crate) fn blobs(&self) -> usize {
        let blobs = self.store.path().join("blobs");
        let shards = std::fs::read_dir(blobs).unwrap();
        shards
            .map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap().count())
            .sum()
    }
}

/// No pauses, and patience that suits a loopback server on a busy machine.
fn quick() -> TransferLimits {
    TransferLimits {
        pause: Duration::ZERO,
        idle_timeout: Duration::from_secs(20),
        ..TransferLimits::default()
    }
}

pub(crate) fn packages(names: &[&str]) -> Vec<(String, InputSpec)> {
    let packages = names.iter().map(|name| (*name).to_owned()).collect();
    let (suite, architecture) = ("bookworm".to_owned(), "amd64".to_owned());
    vec![(
        "root".to_owned(),
        InputSpec::DebianPackages {
            suite,
            architecture,
            packages,
        },
    )]
}

pub(crate) fn source(version: Option<&str>) -> Vec<(String, InputSpec)> {
    let (suite, package) = ("bookworm".to_owned(), "hello".to_owned());
    let version = version.map(str::to_owned);
    vec![(
        "source".to_owned(),
        InputSpec::DebianSource {
            suite,
            package,
            version,
        },
    )]
}

/// Adds up what is reported.
#[derive(Default)]
pub(crate) struct Counter {
    pub(crate) total_bytes: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) items: AtomicU64,
}

impl Progress for Counter {
    fn begin(&self, total_bytes: u64, _items: u64) {
        self.total_bytes.store(total_bytes, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
        self.items.store(0, Ordering::Relaxed);
    }

    fn advance(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn restart(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn finish_item(&self, _name: &str) {
        self.items.fetch_add(1, Ordering::Relaxed);
    }
}
