//! What to run, within which bounds, and what came of it.
//!
//! Absent on purpose: inputs, outputs and digests of actions; the caller lays out
//! the root and decides what may leave the scratch space.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use counterseal_attestation::Sha256Digest;
use serde::{Deserialize, Serialize};

use crate::guarantee::{Guarantee, Isolation};
use crate::host::VirtualHost;

/// Where the build happens inside: the first of the two scratch directories.
pub const BUILD_DIRECTORY: &str = "/build";
/// The second scratch directory, for temporary files.
pub const TEMPORARY_DIRECTORY: &str = "/tmp";
/// `HOME` inside: an empty directory of the scratch space.
pub const HOME_DIRECTORY: &str = "/build/home";
/// The host name inside.
pub const HOST_NAME: &str = "assembly";
/// `PATH` inside, unless the recipe sets another.
pub const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
/// User and group inside, whoever runs the assembly.
pub const USER_ID: u32 = 1000;

/// Bounds of one action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// Time from start to end, at least one millisecond; in JSON whole seconds.
    #[serde(rename = "wallSeconds", with = "crate::written::whole_seconds")]
    pub wall: Duration,
    /// Memory in bytes: of each process's private data, and of all processes together.
    pub memory_bytes: u64,
    /// Bytes that `/build`, `/tmp` and `/dev/shm` together can hold.
    pub scratch_bytes: u64,
    /// Bytes that standard output and standard error together may print.
    pub log_bytes: u64,
    /// Processes and threads that may be alive at once, at least one; the kernel's own
    /// bookkeeping can let one more pass.
    pub processes_max: u32,
}

impl Default for Limits {
    /// One hour, 4 GiB of memory, 8 GiB of scratch, 64 MiB of log, 4096 processes.
    fn default() -> Self {
        Self {
            wall: Duration::from_secs(3600),
            memory_bytes: 4 << 30,
            scratch_bytes: 8 << 30,
            log_bytes: 64 << 20,
            processes_max: 4096,
        }
    }
}

/// One action: a program, run in a root that holds the declared inputs.
#[derive(Clone, Copy, Debug)]
pub struct Action<'a> {
    /// The directory that becomes `/`, read-only. Its entries must be readable by
    /// everybody if the assembly runs as root. All actions that share a
    /// [`Scratch`](crate::Scratch) share the root, too.
    pub root: &'a Path,
    /// Program and arguments. A program without `/` is looked up along `PATH`.
    pub argv: &'a [String],
    /// The recipe's variables; they are added to the fixed ones and win over
    /// `PATH`, `HOME` and `TMPDIR`, but not over locale, time zone and epoch.
    pub environment: &'a BTreeMap<String, String>,
    /// Absolute path inside; it must exist.
    pub working_directory: &'a str,
    /// The bounds.
    pub limits: &'a Limits,
    /// `SOURCE_DATE_EPOCH`, in seconds since 1970.
    pub source_date_epoch: u64,
    /// What the action sees of its host.
    pub host: &'a VirtualHost,
    /// Guarantees that the user gave up by name: if one of these cannot be kept,
    /// the action runs all the same and the outcome says so.
    pub waived: &'a BTreeSet<Guarantee>,
}

/// How the action's main process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

impl Exit {
    /// Whether the exit code is 0.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Code(0))
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => match meaning(*signal) {
                Some(meaning) => write!(f, "signal {signal}: {meaning}"),
                None => write!(f, "signal {signal}"),
            },
        }
    }
}

/// What a signal says that no program sends itself.
const fn meaning(signal: i32) -> Option<&'static str> {
    Some(match signal {
        // The filter ends who uses another table (i386).
        libc::SIGSYS => "a system call that does not exist inside",
        libc::SIGILL => "an instruction that this processor does not have",
        libc::SIGBUS => "memory that is mapped to more than its file has, or to a full file system",
        libc::SIGKILL => "killed, by the step itself or by a host without memory",
        // No step has such a limit unless it takes one.
        libc::SIGXFSZ => "a file larger than the step allowed itself (ulimit -f)",
        libc::SIGXCPU => "more processor time than the step allowed itself (ulimit -t)",
        _ => return None,
    })
}

/// One captured output stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// The file that holds it; the null device if nothing came.
    pub path: PathBuf,
    /// Its digest, computed while the bytes came in.
    pub sha256: Sha256Digest,
    /// Its length.
    pub size_bytes: u64,
}

/// What came of an action that ran to its own end.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended; a failure of the program is an outcome, not an error.
    pub exit: Exit,
    /// The state of every guarantee during the run.
    pub isolation: Isolation,
    /// Standard output.
    pub stdout: Captured,
    /// Standard error.
    pub stderr: Captured,
    /// Absolute paths that the action opened for reading or executed, as it named them, sorted;
    /// they need not exist.
    pub opened: Vec<Vec<u8>>,
    /// Time from start to end, for people; no part of the evidence.
    pub wall: Duration,
}
