//! Why a run could not be made or was ended, with advice that a stranger can follow.
//!
//! A program that merely fails is no error here: that is an [`Outcome`](crate::Outcome).

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::action::Exit;
use crate::guarantee::Guarantee;

/// Why an action did not come to an end of its own, or could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// A guarantee cannot be kept on this machine and was not waived.
    #[error("the guarantee {guarantee} cannot be enforced here: {doing}: {}", kernel(*.errno))]
    NotEnforceable {
        /// Which one.
        guarantee: Guarantee,
        /// What was tried.
        doing: SetupStep,
        /// The kernel's answer, as an error number; 0 if a check found it missing.
        errno: i32,
    },
    /// A step of the setup failed that no guarantee's name covers.
    #[error("the sandbox cannot be set up: {doing}: {}", kernel(*.errno))]
    Setup {
        /// What was tried.
        doing: SetupStep,
        /// The kernel's answer, as an error number.
        errno: i32,
    },
    /// A resource limit of the host, which no process can raise, is lower than what
    /// every step has.
    #[error(
        "the host's hard limit {name} is {}, the sandbox needs {}",
        limit(*.found),
        limit(*.wanted)
    )]
    HostLimit {
        /// The limit's name, as in `prlimit(1)`.
        name: &'static str,
        /// What every step has, in the kernel's unit; [`u64::MAX`] for no limit.
        wanted: u64,
        /// What this process has from its host, in the same unit.
        found: u64,
    },
    /// The setup ended without a word, which only a kill from outside explains.
    #[error("the sandbox was killed from outside before its setup was complete")]
    SetupKilled,
    /// Process 1 of the sandbox was killed from outside.
    #[error("the sandbox was killed from outside while the step ran (signal or out of memory)")]
    Killed,
    /// The program does not exist in the root or cannot be executed.
    #[error("{program} cannot be executed in the root: {}", kernel(*.errno))]
    Program {
        /// The first word of the argument vector.
        program: String,
        /// The kernel's answer, as an error number.
        errno: i32,
    },
    /// The working directory cannot be entered.
    #[error("the working directory {path} cannot be entered: {}", kernel(*.errno))]
    WorkingDirectory {
        /// The path inside.
        path: String,
        /// The kernel's answer, as an error number.
        errno: i32,
    },
    /// The action itself is malformed.
    #[error("the action cannot be run: {problem}")]
    InvalidAction {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The root holds something where the sandbox puts its own.
    #[error("the root may not hold /{name}: {problem}")]
    RootConflict {
        /// The top-level entry.
        name: String,
        /// Why not.
        problem: &'static str,
    },
    /// The root of a later step is not the root that the scratch space was first used with.
    #[error("all steps that share a scratch space share the root: expected {expected}, found {found}", expected = .expected.display(), found = .found.display())]
    RootChanged {
        /// The first step's root.
        expected: PathBuf,
        /// This step's.
        found: PathBuf,
    },
    /// The step ran longer than it may.
    #[error(
        "the step was ended: it ran longer than its limit of {} s{}",
        .limit.as_secs_f64(), running(.processes)
    )]
    WallTimeExceeded {
        /// The limit.
        limit: Duration,
        /// Who still ran, at most 16, as `name (process id)`; names are the step's own choice. None
        /// where they cannot be listed.
        processes: Vec<String>,
    },
    /// The step used more memory than it may.
    #[error(
        "the step was ended or failed at its memory limit: limit {limit_bytes} bytes, used {used_bytes} bytes"
    )]
    MemoryExceeded {
        /// The limit.
        limit_bytes: u64,
        /// What was seen.
        used_bytes: u64,
    },
    /// The step printed more than it may.
    #[error(
        "the step was ended: it printed more than its limit of {limit_bytes} bytes to standard output and error"
    )]
    LogExceeded {
        /// The limit for both streams together.
        limit_bytes: u64,
    },
    /// The step failed, and its scratch space was full.
    #[error(
        "the step failed with {exit} after filling its scratch space of {limit_bytes} bytes (/build, /tmp and /dev/shm together)"
    )]
    ScratchFull {
        /// The limit.
        limit_bytes: u64,
        /// How the step ended.
        exit: Exit,
    },
    /// The step failed, and its scratch space held as many files as it may.
    #[error(
        "the step failed with {exit} after making {limit} files, as many as its scratch space may hold (/build, /tmp and /dev/shm together)"
    )]
    ScratchFilesFull {
        /// The limit.
        limit: u64,
        /// How the step ended.
        exit: Exit,
    },
    /// More processes than allowed were alive, where the kernel does not refuse them itself.
    #[error("the step was ended: it had {found} processes, its limit is {limit}")]
    ProcessesExceeded {
        /// The limit.
        limit: u32,
        /// What was counted.
        found: u32,
    },
    /// The main process ended but left others behind; they were killed.
    #[error("the step ended with {exit} but left processes behind, which were killed: {}", .processes.join(", "))]
    LeftBehind {
        /// How the main process ended.
        exit: Exit,
        /// What was left, as `name (process id)`; names are the step's own choice.
        processes: Vec<String>,
    },
    /// No step has run in this scratch space yet, so it has no contents.
    #[error("the scratch space has not been used yet")]
    ScratchUnused,
    /// Something on the parent's side failed.
    #[error("{doing}{}: {source}", .path.as_deref().map(at).unwrap_or_default())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which path, if on one.
        path: Option<PathBuf>,
        /// The system's answer.
        source: std::io::Error,
    },
}

fn kernel(errno: i32) -> String {
    if errno == 0 {
        return "not in force when checked".to_owned();
    }
    std::io::Error::from_raw_os_error(errno).to_string()
}

fn limit(value: u64) -> String {
    match value {
        crate::limits::UNLIMITED => "unlimited".to_owned(),
        value => value.to_string(),
    }
}

fn at(path: &Path) -> String {
    format!(" {}", path.display())
}

impl SandboxError {
    /// What to do about it, as one sentence or two, if that is known. Reads the kernel's
    /// settings under `/proc/sys` to say which one is in the way.
    pub fn advice(&self) -> Option<String> {
        let text = match self {
            Self::NotEnforceable {
                guarantee,
                doing,
                errno,
            } => {
                return Some(crate::doctor::advice(*guarantee, *doing, *errno));
            }
            Self::HostLimit { name, wanted, .. } => {
                return Some(crate::doctor::limit_advice(name, &limit(*wanted)));
            }
            Self::Setup {
                doing: SetupStep::OpenRootEntry,
                ..
            } => "the root's entries must be readable by the user who runs the assembly",
            Self::Setup {
                doing: SetupStep::CheckPipe,
                ..
            } => {
                "programs of the user that steps are on the host (nobody, if root runs the assembly) \
                 have so many pipes open that new ones are small; end some, or raise \
                 fs.pipe-user-pages-soft and fs.pipe-max-size"
            }
            Self::Setup {
                doing: SetupStep::CheckExecutableMemory,
                ..
            } => {
                "steps inherit that from the process that runs the assembly; start it without \
                 (systemd: MemoryDenyWriteExecute=no)"
            }
            Self::Program {
                errno: libc::ENOENT,
                ..
            } => {
                "the root must hold the program and, if it is dynamically linked or a script, its interpreter and libraries"
            }
            Self::Program {
                errno: libc::EACCES,
                ..
            } => "the file must be executable for everybody (mode 0555)",
            Self::WorkingDirectory { .. } => {
                "create the directory in an earlier step, or start in /build"
            }
            Self::RootConflict { .. } => {
                "/proc, /dev, /tmp and /build are the sandbox's own; leave them out of the inputs"
            }
            Self::WallTimeExceeded { .. }
            | Self::MemoryExceeded { .. }
            | Self::LogExceeded { .. }
            | Self::ScratchFull { .. }
            | Self::ProcessesExceeded { .. } => {
                "raise the limit in the recipe if the step really needs that much"
            }
            Self::ScratchFilesFull { .. } => {
                "raise scratch-bytes in the recipe if the step really needs that many: one file may \
                 be made for every 4096 bytes, and 4096 in any case"
            }
            Self::LeftBehind { .. } => {
                "wait for background processes before the step ends; servers must be stopped by the step that started them"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}

fn running(processes: &[String]) -> String {
    if processes.is_empty() {
        return String::new();
    }
    format!("; still running: {}", processes.join(", "))
}

macro_rules! setup_steps {
    ($($(#[$meta:meta])* $name:ident = $text:literal $(=> $guarantee:ident)?;)*) => {
        /// One step of setting a sandbox up, in rough order of execution.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        #[repr(u32)]
        pub enum SetupStep { $(#[doc = $text] $(#[$meta])* $name),* }

        impl SetupStep {
            const ALL: &'static [Self] = &[$(Self::$name),*];

            /// What is tried, as a phrase.
            pub const fn phrase(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// The guarantee that falls if the step fails, if there is exactly one.
            pub const fn guarantee(self) -> Option<Guarantee> {
                match self { $(Self::$name => setup_steps!(@ $($guarantee)?)),* }
            }
        }
    };
    (@ $guarantee:ident) => { Some(Guarantee::$guarantee) };
    (@) => { None };
}

setup_steps! {
    Fork = "starting a process";
    CreateUserNamespace = "creating a user namespace" => UserNamespace;
    MapUser = "mapping user and group into the user namespace" => UserNamespace;
    CreateMountNamespace = "creating a mount namespace" => MountNamespace;
    CreateNetworkNamespace = "creating a network namespace" => Network;
    RaiseLoopback = "raising the private loopback device" => Network;
    CreateHostNameNamespace = "creating a host name namespace" => HostName;
    SetHostName = "setting the host name" => HostName;
    CreateCgroupNamespace = "creating a control group namespace" => CgroupNamespace;
    OpenNamespace = "keeping a namespace open";
    PrivateMounts = "cutting the mounts off from the host's" => MountNamespace;
    OpenRoot = "opening the root";
    OpenRootEntry = "opening an entry of the root";
    RestrictRootEntry = "making an entry of the root read-only" => ReadOnlyRoot;
    OpenDevice = "opening a device of the host's /dev";
    OpenHostProc = "opening the host's /proc";
    TakeUser = "becoming the sandbox's user" => FixedUser;
    CreateTmpfs = "creating a memory file system" => MountNamespace;
    CreateScratch = "creating the bounded scratch file system" => OutputLimit;
    AssembleRoot = "assembling the root" => ReadOnlyRoot;
    SealRoot = "sealing the assembled root" => ReadOnlyRoot;
    SwapRoot = "making the assembled root the root" => MountNamespace;
    OpenScratch = "opening the scratch space";
    EnterUserNamespace = "entering the user namespace" => UserNamespace;
    EnterMountNamespace = "entering the mount namespace" => MountNamespace;
    EnterNamespace = "entering a namespace";
    CreateIpcNamespace = "creating an ipc namespace" => IpcNamespace;
    CreatePidNamespace = "creating a process namespace" => PidNamespace;
    PlaceDescriptors = "placing the descriptors";
    MountProc = "mounting a read-only /proc" => PidNamespace;
    Session = "starting a session";
    Personality = "resetting the personality";
    SetResourceLimit = "setting a resource limit";
    SetMemoryLimit = "setting the memory limit" => MemoryLimit;
    SetProcessLimit = "setting the process limit" => ProcessLimit;
    SetNoNewPrivileges = "forbidding new privileges" => NoNewPrivileges;
    DropCapabilities = "dropping capabilities" => NoCapabilities;
    ParentDeath = "binding the sandbox's life to the assembly's" => Reaper;
    StartStep = "starting the step";
    ChangeDirectory = "entering the working directory";
    InstallFilter = "installing the system call filter" => Seccomp;
    SendListener = "handing over the trapped system calls" => VirtualClock;
    PatchClock = "finding the kernel's clock functions (vDSO)" => VirtualClock;
    TrapCounter = "forbidding the step to read the time stamp counter" => TimestampCounter;
    TraceStep = "tracing the step (ptrace)" => TimestampCounter;
    CheckUser = "checking user and group" => FixedUser;
    CheckUmask = "checking the file creation mask" => Umask;
    CheckHostName = "checking the host name" => HostName;
    CheckReadOnlyRoot = "checking that the root is read-only" => ReadOnlyRoot;
    CheckReadOnlyProc = "checking that /proc is read-only" => PidNamespace;
    CheckProcessId = "checking the process id" => PidNamespace;
    CheckCapabilities = "checking that no capability is left" => NoCapabilities;
    CheckPipe = "checking that a new pipe holds 64 KiB";
    #[allow(clippy::doc_markdown)]
    CheckExecutableMemory = "checking that memory may become executable (PR_SET_MDWE)";
    CheckNoNewPrivileges = "checking that new privileges are forbidden" => NoNewPrivileges;
    CheckAddressLayout = "checking how the host lays addresses out (`vm.legacy_va_layout`)" => Aslr;
    CheckFilter = "checking that the system call filter is in force" => Seccomp;
    Execute = "executing the program";
    FindChildren = "listing the processes of the sandbox" => MemoryLimit;
}

impl SetupStep {
    pub(crate) fn from_code(code: u32) -> Option<Self> {
        Self::ALL.get(code as usize).copied()
    }

    /// The error that a failure of this step is.
    pub(crate) fn failed(self, errno: i32) -> SandboxError {
        match self.guarantee() {
            Some(guarantee) => SandboxError::NotEnforceable {
                guarantee,
                doing: self,
                errno,
            },
            None => SandboxError::Setup { doing: self, errno },
        }
    }
}

impl std::fmt::Display for SetupStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.phrase())
    }
}

/// Names what was tried for an error of the parent's side.
pub(crate) fn io(doing: &'static str, source: impl Into<std::io::Error>) -> SandboxError {
    SandboxError::Io {
        doing,
        path: None,
        source: source.into(),
    }
}

/// The same with the path that it was tried on.
pub(crate) fn io_at(
    doing: &'static str,
    path: &Path,
    source: impl Into<std::io::Error>,
) -> SandboxError {
    SandboxError::Io {
        doing,
        path: Some(path.to_owned()),
        source: source.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_finds_its_step() {
        for step in SetupStep::ALL {
            assert_eq!(SetupStep::from_code(*step as u32), Some(*step));
        }
        assert_eq!(SetupStep::from_code(u32::MAX), None);
    }
}
