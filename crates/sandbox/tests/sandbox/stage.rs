//! The fixture: a root with one static program, an action with tight limits, a log directory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use counterseal_sandbox::{
    Action, Guarantee, Limits, Outcome, SandboxError, Scratch, VirtualHost, run,
};
use tempfile::TempDir;

pub(crate) const MIB: u64 = 1 << 20;

pub(crate) struct Stage {
    pub(crate) root: TempDir,
    pub(crate) logs: TempDir,
    pub(crate) scratch: Scratch,
    pub(crate) limits: Limits,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) waived: BTreeSet<Guarantee>,
    pub(crate) working_directory: String,
    pub(crate) host: VirtualHost,
}

impl Stage {
    /// With `/probe` and an input file in the root.
    pub(crate) fn new() -> Self {
        Self::with_program(counterseal_static_programs::PROBE)
    }

    pub(crate) fn with_program(program: &[u8]) -> Self {
        let root = tempfile::tempdir().unwrap();
        install(root.path(), "probe", program);
        fs::create_dir(root.path().join("inputs")).unwrap();
        fs::write(root.path().join("inputs/declared"), "declared\n").unwrap();
        fs::write(root.path().join("top"), "top\n").unwrap();
        std::os::unix::fs::symlink("inputs/declared", root.path().join("link")).unwrap();
        // As in an archive unpacked into a root: the mount points exist already.
        fs::create_dir(root.path().join("tmp")).unwrap();
        Self {
            root,
            logs: tempfile::tempdir().unwrap(),
            scratch: Scratch::new(),
            limits: Limits {
                wall: Duration::from_secs(60),
                memory_bytes: 256 * MIB,
                scratch_bytes: 8 * MIB,
                log_bytes: MIB,
                processes_max: 64,
            },
            environment: BTreeMap::new(),
            waived: BTreeSet::new(),
            working_directory: "/build".to_owned(),
            host: VirtualHost::standard(1_234_567_890, [7; 32]),
        }
    }

    /// Runs `/probe` with these words.
    pub(crate) fn run(&mut self, words: &str) -> Result<Outcome, SandboxError> {
        let argv: Vec<String> = ["/probe"]
            .into_iter()
            .chain(words.split_ascii_whitespace())
            .map(String::from)
            .collect();
        self.run_argv(&argv)
    }

    pub(crate) fn run_argv(&mut self, argv: &[String]) -> Result<Outcome, SandboxError> {
        let action = Action {
            root: self.root.path(),
            argv,
            environment: &self.environment,
            working_directory: &self.working_directory,
            limits: &self.limits,
            source_date_epoch: 1_234_567_890,
            host: &self.host,
            waived: &self.waived,
        };
        run(&action, &mut self.scratch, self.logs.path())
    }

    /// Runs it, expects success, and returns what it printed.
    #[track_caller]
    pub(crate) fn prints(&mut self, words: &str) -> String {
        let outcome = self
            .run(words)
            .unwrap_or_else(|error| panic!("{words}: {error}"));
        assert!(
            outcome.exit.is_success(),
            "{words}: {}: {}",
            outcome.exit,
            self.stderr()
        );
        self.stdout()
    }

    /// Runs it, expects that the experiment is refused, and returns what it says.
    #[track_caller]
    pub(crate) fn refuses(&mut self, words: &str) -> String {
        let outcome = self
            .run(words)
            .unwrap_or_else(|error| panic!("{words}: {error}"));
        assert_eq!(
            outcome.exit,
            counterseal_sandbox::Exit::Code(1),
            "{words}: {}",
            self.stdout()
        );
        self.stderr()
    }

    /// Runs it and expects that the sandbox ends it.
    #[track_caller]
    pub(crate) fn fails(&mut self, words: &str) -> SandboxError {
        match self.run(words) {
            Err(error) => error,
            Ok(outcome) => panic!("{words}: {}: {}", outcome.exit, self.stderr()),
        }
    }

    pub(crate) fn stdout(&self) -> String {
        log(&self.logs.path().join("stdout.log"))
    }

    pub(crate) fn stderr(&self) -> String {
        log(&self.logs.path().join("stderr.log"))
    }
}

/// A stream that nothing came over has no file.
fn log(path: &Path) -> String {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        read => read.unwrap(),
    }
}

pub(crate) fn install(root: &Path, name: &str, program: &[u8]) {
    let path = root.join(name);
    fs::write(&path, program).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}
