//! What a run promises about its isolation, and how far each promise was kept.
//!
//! The names are stable: they appear in the provenance's isolation manifest, in
//! `doctor`'s answer and on the command line where a user gives one up by name.
//! Absent on purpose: any judgement about whether a set of states is good enough
//! for somebody else; that is the verifier's policy.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use counterseal_attestation::provenance::IsolationState;
use serde::{Deserialize, Serialize};

/// One promise about the isolation of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Guarantee {
    /// The action has no identity and no power outside a user namespace of its own.
    UserNamespace,
    /// The action sees a mount table of its own.
    MountNamespace,
    /// The declared root is all there is, and it cannot be written.
    ReadOnlyRoot,
    /// The action sees and signals its own processes only.
    PidNamespace,
    /// Nothing beyond a private loopback device can be reached.
    Network,
    /// The host name is the virtual host's, `assembly` by default.
    HostName,
    /// System V message queues and semaphores are private; segments and POSIX queues there are none.
    IpcNamespace,
    /// The control group hierarchy looks like a root.
    CgroupNamespace,
    /// The environment holds the fixed variables and the recipe's, nothing else.
    CleanEnvironment,
    /// User and group are the virtual host's, 1000 by default, whoever runs the assembly.
    FixedUser,
    /// `LANG` and `LC_ALL` are the virtual host's, `C.UTF-8` by default.
    Locale,
    /// `TZ` is the virtual host's, `UTC` by default.
    TimeZone,
    /// The file creation mask is the virtual host's, 022 by default.
    Umask,
    /// The build happens in `/build`, which may have a second path.
    BuildPath,
    /// `SOURCE_DATE_EPOCH` is set from the recipe.
    SourceDateEpoch,
    /// No capability in any set, and none can be gained.
    NoCapabilities,
    /// Executing a file never grants privileges.
    NoNewPrivileges,
    /// A filter refuses system calls that a build has no use for.
    Seccomp,
    /// Every process is reaped, and none outlives the action.
    Reaper,
    /// The action ends when its time is over.
    WallTimeLimit,
    /// Memory is bounded.
    MemoryLimit,
    /// What can be written to disk is bounded.
    OutputLimit,
    /// The number of processes is bounded.
    ProcessLimit,
    /// Both output streams are captured whole, bounded and hashed.
    LogCapture,
    /// Clocks show the recipe's time.
    VirtualClock,
    /// The kernel release shown is fixed.
    KernelRelease,
    /// The number of processors shown is fixed.
    ProcessorCount,
    /// Addresses are laid out the same way in each run.
    Aslr,
    /// Random numbers come from the action's digest.
    Randomness,
    /// Files show the action's own times.
    FileTimes,
    /// Files show inode and device numbers that do not depend on the host.
    FileIdentity,
    /// Directories list their entries in a fixed order.
    DirectoryOrder,
    /// Memory, load, uptime and what `/proc` tells are fixed.
    MachineView,
    /// The processor's time stamp counter shows the action's own time.
    TimestampCounter,
    /// The processor does not show its model and features (CPUID).
    ProcessorIdentity,
    /// The processor does not show its number (`rdpid`, the limit of a segment).
    ProcessorNumber,
    /// The processor gives no random numbers of its own (`rdrand`, `rdseed`).
    HardwareRandomness,
    /// How far a thread counts while another works does not depend on the host.
    CountingThreads,
    /// When a signal comes, and what it tells of a child's work, does not depend on the host.
    SignalTiming,
    /// How the host's kernel is set up does not show.
    KernelSettings,
}

/// How far a [`Guarantee`] was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Kept, and checked where a check is cheap.
    Enforced,
    /// Kept in part; the mechanism says what is missing.
    Degraded,
    /// Not kept.
    Absent,
}

impl From<State> for IsolationState {
    fn from(state: State) -> Self {
        match state {
            State::Enforced => Self::Enforced,
            State::Degraded => Self::Degraded,
            State::Absent => Self::Absent,
        }
    }
}

/// The state of every guarantee, with the mechanism that backs it.
pub type Isolation = BTreeMap<Guarantee, (State, String)>;

impl Guarantee {
    /// Every guarantee, in the order in which people expect to read them.
    pub const ALL: [Self; 40] = [
        Self::UserNamespace,
        Self::MountNamespace,
        Self::ReadOnlyRoot,
        Self::PidNamespace,
        Self::Network,
        Self::HostName,
        Self::IpcNamespace,
        Self::CgroupNamespace,
        Self::CleanEnvironment,
        Self::FixedUser,
        Self::Locale,
        Self::TimeZone,
        Self::Umask,
        Self::BuildPath,
        Self::SourceDateEpoch,
        Self::NoCapabilities,
        Self::NoNewPrivileges,
        Self::Seccomp,
        Self::Reaper,
        Self::WallTimeLimit,
        Self::MemoryLimit,
        Self::OutputLimit,
        Self::ProcessLimit,
        Self::LogCapture,
        Self::VirtualClock,
        Self::KernelRelease,
        Self::ProcessorCount,
        Self::Aslr,
        Self::Randomness,
        Self::FileTimes,
        Self::FileIdentity,
        Self::DirectoryOrder,
        Self::MachineView,
        Self::TimestampCounter,
        Self::ProcessorIdentity,
        Self::ProcessorNumber,
        Self::HardwareRandomness,
        Self::CountingThreads,
        Self::SignalTiming,
        Self::KernelSettings,
    ];

    /// The stable kebab-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UserNamespace => "user-namespace",
            Self::MountNamespace => "mount-namespace",
            Self::ReadOnlyRoot => "read-only-root",
            Self::PidNamespace => "pid-namespace",
            Self::Network => "network",
            Self::HostName => "host-name",
            Self::IpcNamespace => "ipc-namespace",
            Self::CgroupNamespace => "cgroup-namespace",
            Self::CleanEnvironment => "clean-environment",
            Self::FixedUser => "fixed-user",
            Self::Locale => "locale",
            Self::TimeZone => "time-zone",
            Self::Umask => "umask",
            Self::BuildPath => "build-path",
            Self::SourceDateEpoch => "source-date-epoch",
            Self::NoCapabilities => "no-capabilities",
            Self::NoNewPrivileges => "no-new-privileges",
            Self::Seccomp => "seccomp",
            Self::Reaper => "reaper",
            Self::WallTimeLimit => "wall-time-limit",
            Self::MemoryLimit => "memory-limit",
            Self::OutputLimit => "output-limit",
            Self::ProcessLimit => "process-limit",
            Self::LogCapture => "log-capture",
            Self::VirtualClock => "virtual-clock",
            Self::KernelRelease => "kernel-release",
            Self::ProcessorCount => "processor-count",
            Self::Aslr => "aslr",
            Self::Randomness => "randomness",
            Self::FileTimes => "file-times",
            Self::FileIdentity => "file-identity",
            Self::DirectoryOrder => "directory-order",
            Self::MachineView => "machine-view",
            Self::TimestampCounter => "timestamp-counter",
            Self::ProcessorIdentity => "processor-identity",
            Self::ProcessorNumber => "processor-number",
            Self::HardwareRandomness => "hardware-randomness",
            Self::CountingThreads => "counting-threads",
            Self::SignalTiming => "signal-timing",
            Self::KernelSettings => "kernel-settings",
        }
    }

    /// Whether this version offers the guarantee at all. One that is not offered
    /// is always reported as absent and never stops a run.
    pub const fn is_offered(self) -> bool {
        !matches!(
            self,
            Self::ProcessorIdentity
                | Self::ProcessorNumber
                | Self::HardwareRandomness
                | Self::CountingThreads
                | Self::SignalTiming
                | Self::KernelSettings
        )
    }

    /// Whether it rests on trapped system calls.
    pub(crate) const fn is_served(self) -> bool {
        matches!(
            self,
            Self::VirtualClock
                | Self::KernelRelease
                | Self::ProcessorCount
                | Self::Randomness
                | Self::FileTimes
                | Self::FileIdentity
                | Self::DirectoryOrder
                | Self::MachineView
        )
    }

    /// Whether a user may give the guarantee up by name. The others are what the
    /// sandbox itself stands on: without them there is nothing to run in.
    pub const fn is_waivable(self) -> bool {
        if self.is_served() {
            return true;
        }
        matches!(
            self,
            Self::Network
                | Self::HostName
                | Self::IpcNamespace
                | Self::CgroupNamespace
                | Self::Seccomp
                | Self::MemoryLimit
                | Self::ProcessLimit
                | Self::TimestampCounter
        )
    }
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is not a guarantee's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no guarantee is called {name}; the names are {}", all_names())]
pub struct UnknownGuarantee {
    /// What was given.
    pub name: String,
}

fn all_names() -> String {
    Guarantee::ALL.map(Guarantee::name).join(", ")
}

impl FromStr for Guarantee {
    type Err = UnknownGuarantee;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|guarantee| guarantee.name() == name)
            .ok_or_else(|| UnknownGuarantee {
                name: name.to_owned(),
            })
    }
}

impl State {
    /// The stable kebab-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enforced => "enforced",
            Self::Degraded => "degraded",
            Self::Absent => "absent",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_parse_back() {
        for guarantee in Guarantee::ALL {
            assert_eq!(guarantee.name().parse(), Ok(guarantee));
        }
        let names: std::collections::BTreeSet<_> = Guarantee::ALL.map(Guarantee::name).into();
        assert_eq!(names.len(), Guarantee::ALL.len());
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = "netwrok".parse::<Guarantee>().unwrap_err().to_string();
        assert!(
            error.contains("netwrok") && error.contains("network"),
            "{error}"
        );
    }
}
