//! What one run of the program knows: configuration, where the store is, how talkative it may be.

use std::any::Any;
use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use counterseal_assembly::{Assembly, LOCK_NAME, Recipe};
use counterseal_attestation::UnixSeconds;
use counterseal_inputs::sources::APT_DIRECTORY;
use counterseal_inputs::{DebianSettings, Sources};
use counterseal_record::Waiting;
use counterseal_store::{Store, StoreError};

use crate::arguments::{SourceOptions, StoreOption};
use crate::error::{CommandError, OrExit, read_text};
use crate::output::{self, Wait};
use crate::places::{Configuration, data_directory};
use crate::progress::Bar;

/// Largest lock that is read, in bytes; the lock's own reader is stricter about its content.
const LOCK_BYTES_MAX: u64 = 16 * 1024 * 1024;

pub(crate) struct Session {
    config: Option<PathBuf>,
    configuration: OnceCell<Configuration>,
    quiet: bool,
}

impl Session {
    pub(crate) fn new(config: Option<PathBuf>, quiet: bool) -> Self {
        Self {
            config,
            configuration: OnceCell::new(),
            quiet,
        }
    }

    /// The configuration, read when it is first asked for: verbs that need none work where it is
    /// broken.
    pub(crate) fn configuration(&self) -> Result<&Configuration, CommandError> {
        if let Some(configuration) = self.configuration.get() {
            return Ok(configuration);
        }
        let read = Configuration::load(self.config.as_deref())?;
        Ok(self.configuration.get_or_init(|| read))
    }

    /// Refuses a configuration that was named and cannot be used, in a verb that needs none.
    pub(crate) fn check_named_configuration(&self) -> Result<(), CommandError> {
        match self.config {
            Some(_) => self.configuration().map(drop),
            None => Ok(()),
        }
    }

    /// The global options of this run as words, for a run of this program in another directory.
    pub(crate) fn options(&self) -> Result<Vec<String>, CommandError> {
        let mut words = Vec::new();
        if self.quiet {
            words.push("--quiet".to_owned());
        }
        if let Some(config) = &self.config {
            let path = std::path::absolute(config).or_usage()?;
            words.extend(["--config".to_owned(), path.display().to_string()]);
        }
        Ok(words)
    }

    /// Tells the story, unless only results are wanted.
    pub(crate) fn say(&self, line: impl std::fmt::Display) {
        if !self.quiet {
            output::tell(line);
        }
    }

    /// What to do when the lock of a record has to be waited for.
    pub(crate) fn waiting_for_record(&self) -> Waiting {
        if self.quiet {
            counterseal_record::silently
        } else {
            wait_for_record
        }
    }

    /// Tells of a wait that becomes long, unless only results are wanted.
    pub(crate) fn wait(&self, what: String) -> Option<Wait> {
        (!self.quiet).then(|| Wait::begin(what))
    }

    pub(crate) fn bar(&self) -> Bar {
        Bar::new(self.quiet)
    }

    /// Opens the store, making it on first use; goes on where the making was interrupted.
    pub(crate) fn store(&self, option: &StoreOption) -> Result<Store, CommandError> {
        self.open_store(option, Store::create)
    }

    /// Opens the store; one that does not exist is not made.
    pub(crate) fn existing_store(&self, option: &StoreOption) -> Result<Store, CommandError> {
        self.open_store(option, Store::open)
    }

    fn open_store(
        &self,
        option: &StoreOption,
        open: fn(&Path) -> Result<Store, StoreError>,
    ) -> Result<Store, CommandError> {
        let path = self.store_path(option)?;
        let _wait = self.wait(format!(
            "the store in {}: another process collects what nobody needs any more",
            path.display()
        ));
        open(&path).or_usage()
    }

    fn store_path(&self, option: &StoreOption) -> Result<PathBuf, CommandError> {
        if let Some(path) = &option.store {
            return Ok(path.clone());
        }
        match &self.configuration()?.store {
            Some(path) => Ok(path.clone()),
            None => Ok(data_directory()?.join("store")),
        }
    }

    /// Flags, then the user's configuration, then the machine's package configuration.
    pub(crate) fn sources(
        &self,
        options: &SourceOptions,
        base: Option<&Path>,
    ) -> Result<Sources, CommandError> {
        let flags = DebianSettings {
            mirrors: options.mirrors.clone(),
            keyring: options.keyring.clone(),
        };
        let apt = Path::new(APT_DIRECTORY);
        let mut sources = Sources::gather(
            &flags,
            &self.configuration()?.debian,
            apt.is_dir().then_some(apt),
        )
        .or_usage()?;
        sources.base_directory = base.map(Path::to_owned);
        for archive in &options.archives {
            if !archive.join("sha256").is_dir() {
                return Err(CommandError::usage(format!(
                    "{} is no input archive: it holds no directory sha256",
                    archive.display()
                ))
                .hint("an input archive is written by counterseal assemble --archive-inputs DIR"));
            }
        }
        sources.archives.clone_from(&options.archives);
        sources.is_offline = options.offline;
        Ok(sources)
    }

    /// Finds one of the paths that a flag or the configuration names.
    pub(crate) fn required(
        flag: Option<&PathBuf>,
        configured: Option<&PathBuf>,
        what: &str,
        name: &str,
    ) -> Result<PathBuf, CommandError> {
        flag.or(configured).cloned().ok_or_else(|| {
            CommandError::usage(format!("no {what} is given")).hint(format!(
                "name it with --{name}, or as {name} in the configuration file"
            ))
        })
    }
}

fn wait_for_record(directory: &Path) -> Box<dyn Any> {
    Box::new(Wait::begin(format!(
        "the record in {}: another process is adding to it or checking it",
        directory.display()
    )))
}

/// A recipe on disk with the directory that its paths are relative to.
pub(crate) struct RecipeFile {
    pub(crate) directory: PathBuf,
    pub(crate) name: String,
    pub(crate) text: String,
}

impl RecipeFile {
    pub(crate) fn read(path: &Path) -> Result<Self, CommandError> {
        let text = read_text(path, counterseal_assembly::recipe::RECIPE_BYTES_MAX as u64)?;
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(|| CommandError::usage(format!("{} is not a file", path.display())))?;
        Ok(Self {
            directory: output::folder(path).to_owned(),
            name: name.to_owned(),
            text,
        })
    }

    pub(crate) fn lock_path(&self) -> PathBuf {
        self.directory.join(LOCK_NAME)
    }

    pub(crate) fn recipe(&self) -> Result<Recipe, CommandError> {
        Recipe::parse_written(&self.text).map_err(|error| {
            CommandError::usage(format!(
                "{}: {error}",
                self.directory.join(&self.name).display()
            ))
        })
    }

    /// Recipe and lock together; nothing runs unpinned.
    pub(crate) fn assembly(&self) -> Result<Assembly, CommandError> {
        self.recipe()?;
        let lock_path = self.lock_path();
        let relock = format!(
            "counterseal lock {}",
            self.directory.join(&self.name).display()
        );
        // Where it cannot be told whether there is one, reading it will say why.
        if matches!(lock_path.try_exists(), Ok(false)) {
            return Err(CommandError::usage(format!(
                "{} does not exist: the inputs are not pinned",
                lock_path.display()
            ))
            .hint(format!("pin them with: {relock}")));
        }
        let lock_text = read_text(&lock_path, LOCK_BYTES_MAX)?;
        Assembly::parse(&self.name, &self.text, &lock_text).map_err(|error| {
            CommandError::usage(format!("{}: {error}", lock_path.display()))
                .hint(format!("pin the inputs again with: {relock}"))
        })
    }
}

/// The present time; the only place of this program that reads the clock for evidence.
pub(crate) fn now() -> UnixSeconds {
    UnixSeconds(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since_epoch| since_epoch.as_secs()),
    )
}

/// Longest identity, in bytes; verifiers read no longer one.
const IDENTITY_BYTES_MAX: usize = 512;

/// A `builder.id` or an auditor's: an absolute URI of printable ASCII (RFC 3986, section 4.3).
pub(crate) fn checked_identity(id: &str) -> Result<String, CommandError> {
    let is_uri = id.split_once(':').is_some_and(|(scheme, rest)| {
        !rest.is_empty()
            && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    });
    if is_uri && id.len() <= IDENTITY_BYTES_MAX && id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(id.to_owned());
    }
    Err(
        CommandError::usage(format!("{id} is not a URI, as an identity must be"))
            .hint("for instance https://you.example/builder"),
    )
}
