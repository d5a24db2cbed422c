//! The isolation manifest of a run: the state of each guarantee, and the mechanism that backs it,
//! with the values that this action got.
//!
//! Absent on purpose: checks. What is stated here, the run has set up or found missing.

use crate::action::{Action, BUILD_DIRECTORY};
use crate::error::SetupStep;
use crate::filter::Tracer;
use crate::guarantee::{Guarantee, Isolation, State};
use crate::host::{DirectoryOrder, Findings, Randomness};
use crate::room::{HostUser, Room};
use crate::run::{UMASK_BITS, tracer};
use crate::{processor, settings};

/// The state of each guarantee, now that the run is over and nothing contradicted it.
pub(crate) fn isolation(
    action: &Action<'_>,
    room: &Room,
    missing: &[(SetupStep, i32)],
    can_sample: bool,
    findings: Option<&Findings>,
) -> Isolation {
    let is_served = findings.is_some();
    let mut states = Isolation::new();
    for guarantee in Guarantee::ALL {
        let state = match mechanism(guarantee, action, room) {
            Some(_) if guarantee.is_served() && !is_served => (
                State::Absent,
                "given up by the user; system calls are not trapped".to_owned(),
            ),
            Some(mechanism) => (State::Enforced, mechanism),
            None => (State::Absent, absence(guarantee, action)),
        };
        states.insert(guarantee, state);
    }
    if findings.is_some_and(|findings| findings.is_uncovered) {
        for guarantee in [Guarantee::VirtualClock, Guarantee::Randomness] {
            if let Some((State::Enforced, mechanism)) = states.get(&guarantee) {
                let why = format!("{mechanism}; {UNCOVERED}");
                states.insert(guarantee, (State::Degraded, why));
            }
        }
    }
    for (step, errno) in room.site.missing.iter().chain(missing) {
        if let Some(guarantee) = step.guarantee() {
            let why = format!("given up by the user; {}", step.failed(*errno));
            states.insert(guarantee, (State::Absent, why));
        }
    }
    if !can_sample {
        let why = "given up by the user; private data of each process is bounded (RLIMIT_DATA), \
                   their sum is not: the kernel does not list children";
        states.insert(Guarantee::MemoryLimit, (State::Degraded, why.to_owned()));
    }
    if room.site.base.host_user == HostUser::Root {
        let why = "counted ten times a second by the supervisor; the kernel exempts root";
        states.insert(Guarantee::ProcessLimit, (State::Degraded, why.to_owned()));
    }
    states
}

/// What programs without any C library or runtime can see.
const UNCOVERED: &str = "a program ran that set up no thread-local storage, and so kept the \
                         kernel's vDSO with its data, and its random bytes (AT_RANDOM)";

/// Why a guarantee without a mechanism is absent, and what shows therefore.
fn absence(guarantee: Guarantee, action: &Action<'_>) -> String {
    let shows = processor::what_shows(guarantee);
    let why = match guarantee {
        Guarantee::TimestampCounter if action.host.virtual_timestamp_counter => {
            "given up by the user"
        }
        Guarantee::TimestampCounter | Guarantee::Aslr | Guarantee::Randomness => {
            "real by the recipe's wish"
        }
        Guarantee::KernelSettings => return settings::what_shows().to_owned(),
        Guarantee::SignalTiming => {
            "not masked by this version: how often a timer goes off while a program computes or \
             waits for something else, with or without a signal, and what time it has then and \
             afterwards, at which of its instructions a signal interrupts it, and the work of a \
             child in the signal of its end follow the host's clock; who of several that sleep \
             beside somebody who works for long goes on first, if they wake within some \
             milliseconds, is the host's choice"
        }
        _ => return shows.unwrap_or_else(|| "not offered by this version".to_owned()),
    };
    match shows {
        Some(shows) => format!("{why}; {shows}"),
        None => why.to_owned(),
    }
}

fn mechanism(guarantee: Guarantee, action: &Action<'_>, room: &Room) -> Option<String> {
    let host = action.host;
    let text = match guarantee {
        Guarantee::UserNamespace => "user namespace with one user and one group mapped",
        Guarantee::MountNamespace => "mount namespace, pivot_root, host's root detached",
        Guarantee::ReadOnlyRoot => {
            "recursive read-only nosuid nodev binds in a sealed tmpfs; checked with statfs"
        }
        Guarantee::PidNamespace => {
            "pid namespace; /proc is new, read-only, and shows its processes only; checked"
        }
        Guarantee::Network => {
            "network namespace with a private loopback device only; \
             socket families other than local, IPv4 and IPv6 refused"
        }
        Guarantee::HostName => "uts namespace; checked with uname",
        Guarantee::IpcNamespace => "ipc namespace",
        Guarantee::CgroupNamespace => "cgroup namespace",
        Guarantee::CleanEnvironment => "environment built from nothing; descriptors closed",
        Guarantee::FixedUser => return Some(user(host.user_id, room.site.base.host_user)),
        Guarantee::Locale => return Some(format!("LANG and LC_ALL set to {}", host.locale)),
        Guarantee::TimeZone => return Some(format!("TZ set to {}", host.time_zone)),
        Guarantee::Umask => return Some(format!("{:03o}; checked", host.umask & UMASK_BITS)),
        Guarantee::BuildPath if host.build_path != BUILD_DIRECTORY => {
            return Some(format!(
                "tmpfs mounted at {BUILD_DIRECTORY} and /tmp, the former at {} as well",
                host.build_path
            ));
        }
        Guarantee::BuildPath => "tmpfs mounted at /build and /tmp",
        Guarantee::SourceDateEpoch => "SOURCE_DATE_EPOCH set from the recipe",
        Guarantee::NoCapabilities => {
            "effective, permitted, inheritable, bounding and ambient sets empty; checked"
        }
        Guarantee::NoNewPrivileges => "no_new_privs; checked",
        Guarantee::Seccomp => "system call filter; checked",
        Guarantee::Reaper => {
            "process 1 reaps, dies with the assembly and takes every process along; \
             processes left behind fail the step"
        }
        Guarantee::WallTimeLimit => "timer of the supervisor, kills process 1",
        Guarantee::MemoryLimit => {
            "private data of each process (RLIMIT_DATA); resident memory of all together, \
             measured ten times a second by the supervisor"
        }
        Guarantee::OutputLimit => "size and file count of the scratch tmpfs",
        Guarantee::ProcessLimit => "RLIMIT_NPROC counted in the user namespace",
        Guarantee::LogCapture => "pipes, read, bounded and hashed by the supervisor",
        Guarantee::VirtualClock => {
            "clock calls trapped, the vDSO overwritten and its data covered; each thread has a \
             logical clock"
        }
        Guarantee::KernelRelease => "uname trapped; /proc/version and /proc/sys/kernel written",
        Guarantee::ProcessorCount => {
            "affinity and getcpu trapped, /proc/cpuinfo written, no /sys, no restartable sequences"
        }
        Guarantee::Aslr if host.random_addresses => return None,
        Guarantee::Aslr => "personality without random addresses",
        Guarantee::Randomness if host.randomness == Randomness::Real => return None,
        Guarantee::Randomness => {
            "getrandom, AT_RANDOM and the random devices seeded from the action; how soon a device \
             that was read empty is ready again (poll, O_NONBLOCK) follows the host"
        }
        Guarantee::FileTimes => "status calls trapped; times of the action's own clock",
        Guarantee::FileIdentity => {
            "status calls trapped; inode and device numbers, links, blocks and free space fixed; \
             no extended attributes"
        }
        Guarantee::DirectoryOrder => match host.directory_order {
            DirectoryOrder::Sorted => "directory reads trapped and sorted",
            DirectoryOrder::Reversed => "directory reads trapped and sorted backwards",
            DirectoryOrder::Shuffled(_) => "directory reads trapped and shuffled by a fixed number",
        },
        Guarantee::MachineView => {
            "memory, load, uptime, priorities and /proc answered by the supervisor; no /sys"
        }
        Guarantee::TimestampCounter if tracer(action) == Tracer::Absent => return None,
        Guarantee::TimestampCounter => {
            "rdtsc and rdtscp forbidden (PR_SET_TSC) and answered by a tracer (ptrace) from the \
             thread's logical clock"
        }
        Guarantee::ProcessorIdentity
        | Guarantee::ProcessorNumber
        | Guarantee::HardwareRandomness
        | Guarantee::CountingThreads
        | Guarantee::SignalTiming
        | Guarantee::KernelSettings => return None,
    };
    Some(text.to_owned())
}

fn user(id: u32, host_user: HostUser) -> String {
    let groups = match host_user {
        HostUser::Nobody => ", not root on the host; supplementary groups dropped",
        HostUser::Caller | HostUser::Root => "; supplementary groups hidden from getgroups",
    };
    format!("{id}:{id}{groups}; checked")
}
