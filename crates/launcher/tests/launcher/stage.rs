//! The fixture: a directory with launcher, description and a root with the probe.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use counterseal_launcher::{Description, FORMAT, Kind, Step};
use counterseal_sandbox::{Limits, VirtualHost};
use counterseal_static_programs::{LAUNCH, LEAK_PROBE, PROBE};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const EPOCH: u64 = 1_234_567_890;

pub(crate) struct Stage {
    directory: TempDir,
    pub(crate) description: Description,
}

impl Stage {
    /// One step that does what `words` say.
    pub(crate) fn new(words: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Other users shall reach it, too.
        set_mode(directory.path(), 0o755);
        let root = directory.path().join("root");
        fs::create_dir_all(root.join("inputs/inner")).unwrap();
        for (name, program) in [("probe", PROBE), ("leak-probe", LEAK_PROBE)] {
            fs::write(root.join(name), program).unwrap();
            set_mode(&root.join(name), 0o755);
        }
        for name in ["declared", "b", "a", "inner/c"] {
            fs::write(root.join("inputs").join(name), format!("{name}\n")).unwrap();
        }
        std::os::unix::fs::symlink("inner/c", root.join("inputs/link")).unwrap();
        fs::write(directory.path().join("counterseal-launch"), LAUNCH).unwrap();
        set_mode(&directory.path().join("counterseal-launch"), 0o755);
        Self {
            directory,
            description: Description {
                format: FORMAT,
                root: "root".to_owned(),
                output_directory: "out".to_owned(),
                source_date_epoch: EPOCH,
                limits: Limits {
                    wall: Duration::from_secs(60),
                    memory_bytes: 256 << 20,
                    scratch_bytes: 16 << 20,
                    log_bytes: 1 << 20,
                    processes_max: 64,
                },
                waived: BTreeSet::new(),
                steps: vec![step("only", words)],
                outputs: Vec::new(),
            },
        }
    }

    pub(crate) fn step(mut self, name: &str, words: &str) -> Self {
        self.description.steps.push(step(name, words));
        self
    }

    pub(crate) fn output(mut self, from: &str, kind: Kind, to: &str) -> Self {
        self.description.outputs.push(counterseal_launcher::Output {
            from: from.to_owned(),
            kind,
            to: to.to_owned(),
        });
        self
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    /// Writes the description and the command that starts the launcher, by their full paths.
    pub(crate) fn command(&self) -> Command {
        let text = self.description.to_bytes().unwrap();
        fs::write(self.path("action.json"), text).unwrap();
        let mut command = Command::new(self.path("counterseal-launch"));
        command.arg(self.path("action.json")).env_clear();
        command
    }

    pub(crate) fn run(&self) -> Output {
        start(&mut self.command())
    }

    /// Runs it and expects this exit code.
    #[track_caller]
    pub(crate) fn ends(&self, code: i32) -> Output {
        let output = self.run();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{told}");
        output
    }

    /// Runs it, expects a refusal of this kind, and returns what it says.
    #[track_caller]
    pub(crate) fn refuses(&self, code: i32) -> String {
        String::from_utf8(self.ends(code).stderr).unwrap()
    }

    /// Writes this as the description, runs it, expects that it is refused as such.
    #[track_caller]
    pub(crate) fn refuses_text(&self, text: &[u8]) -> String {
        let mut command = self.command();
        fs::write(self.path("action.json"), text).unwrap();
        let output = start(&mut command);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(120), "{told}");
        assert!(!self.path("out").exists());
        told
    }

    pub(crate) fn result(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path("out/result.json")).unwrap()).unwrap()
    }

    /// Everything in the output directory: path, kind and mode, content or target.
    pub(crate) fn made(&self) -> BTreeMap<String, (u32, Vec<u8>)> {
        let mut found = BTreeMap::new();
        list(&self.path("out"), "", &mut found);
        found
    }

    pub(crate) fn forget(&self) {
        fs::remove_dir_all(self.path("out")).unwrap();
    }
}

pub(crate) fn step(name: &str, words: &str) -> Step {
    let argv = ["/probe"].into_iter().chain(words.split_ascii_whitespace());
    Step {
        name: name.to_owned(),
        argv: argv.map(String::from).collect(),
        environment: BTreeMap::new(),
        working_directory: "/build".to_owned(),
        host: VirtualHost::standard(EPOCH, [7; 32]),
    }
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Starts a program that this process has written itself: another thread's child may for a moment
/// hold the descriptor that wrote it.
pub(crate) fn start(command: &mut Command) -> Output {
    let is_busy = |result: &io::Result<Output>| {
        result
            .as_ref()
            .is_err_and(|error| error.kind() == io::ErrorKind::ExecutableFileBusy)
    };
    let mut attempts = (0..10_000).map(|_| command.output());
    attempts.find(|result| !is_busy(result)).unwrap().unwrap()
}

fn list(directory: &Path, prefix: &str, found: &mut BTreeMap<String, (u32, Vec<u8>)>) {
    use std::os::unix::fs::MetadataExt;
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        let metadata = entry.metadata().unwrap();
        let content = if metadata.is_dir() {
            list(&entry.path(), &format!("{path}/"), found);
            Vec::new()
        } else if metadata.is_symlink() {
            let target = fs::read_link(entry.path()).unwrap();
            target.into_os_string().into_encoded_bytes()
        } else {
            fs::read(entry.path()).unwrap()
        };
        // A log's mode is the mask's; it is no output.
        let mode = if path.starts_with("logs/") {
            0
        } else {
            metadata.mode()
        };
        found.insert(path, (mode, content));
    }
}
