//! The resource limits of a step (`getrlimit(2)`): values that do not depend on the host's, for what
//! a step sees of them, and can do within them, must follow from its recipe alone.
//!
//! A process can lower its limits and never raise them again, and the kernel shows a step its real
//! ones. So a host whose hard limits are lower than these is refused, before anything runs, but for
//! one that allows no core files. They are within what systems are delivered with, except where
//! somebody has lowered them on purpose.
//!
//! Absent on purpose: answers of our own to calls that ask for limits. A step would believe in a
//! stack, or in files that it may open, that the kernel then does not give it.

use crate::action::Action;
use crate::error::{SandboxError, SetupStep};
use crate::guarantee::Guarantee;
use crate::sys;

/// One resource limit; soft and hard are the same.
#[derive(Clone, Copy)]
pub(crate) struct ResourceLimit {
    pub(crate) resource: u32,
    pub(crate) value: u64,
    pub(crate) step: SetupStep,
    /// Whether its guarantee was given up, so that a failure to set it is only told.
    pub(crate) is_waived: bool,
}

/// No limit.
pub(crate) const UNLIMITED: u64 = u64::MAX;

/// Limits that are the same for every action: name (of `prlimit(1)`), number, value in the kernel's
/// unit.
const FIXED: [(&str, u32, u64); 13] = [
    ("cpu", libc::RLIMIT_CPU, UNLIMITED),
    ("fsize", libc::RLIMIT_FSIZE, UNLIMITED),
    ("as", libc::RLIMIT_AS, UNLIMITED),
    ("rss", libc::RLIMIT_RSS, UNLIMITED),
    ("locks", libc::RLIMIT_LOCKS, UNLIMITED),
    ("rttime", libc::RLIMIT_RTTIME, UNLIMITED),
    // What the kernel gives to every process; systemd gives more.
    ("nofile", libc::RLIMIT_NOFILE, 4096),
    ("stack", libc::RLIMIT_STACK, 8 << 20),
    // What kernels before 5.16 give to every process; later ones give more.
    ("memlock", libc::RLIMIT_MEMLOCK, 64 << 10),
    ("msgqueue", libc::RLIMIT_MSGQUEUE, 819_200),
    // The kernel gives so many for 256 MiB of memory.
    ("sigpending", libc::RLIMIT_SIGPENDING, 1024),
    ("nice", libc::RLIMIT_NICE, 0),
    ("rtprio", libc::RLIMIT_RTPRIO, 0),
];

/// 1 is the value that also keeps a core from being piped to a program of the host. Hosts that
/// allow no cores at all are common; a step there sees that, and its cores may go to such a program.
const CORE_BYTES_MAX: u64 = 1;

/// All limits of an action: the fixed ones and its own.
pub(crate) fn of(action: &Action<'_>) -> Vec<ResourceLimit> {
    let is_waived = |guarantee: Guarantee| action.waived.contains(&guarantee);
    let mut limits: Vec<_> = FIXED
        .iter()
        .map(|(_, resource, value)| ResourceLimit {
            resource: *resource,
            value: *value,
            step: SetupStep::SetResourceLimit,
            is_waived: false,
        })
        .collect();
    limits.push(ResourceLimit {
        resource: libc::RLIMIT_CORE,
        value: sys::hard_resource_limit(libc::RLIMIT_CORE)
            .map_or(CORE_BYTES_MAX, |found| found.min(CORE_BYTES_MAX)),
        step: SetupStep::SetResourceLimit,
        is_waived: false,
    });
    limits.push(ResourceLimit {
        resource: libc::RLIMIT_DATA,
        value: action.limits.memory_bytes,
        step: SetupStep::SetMemoryLimit,
        is_waived: is_waived(Guarantee::MemoryLimit),
    });
    limits.push(ResourceLimit {
        resource: libc::RLIMIT_NPROC,
        // Process 1 counts, too, and the entrant until it is collected.
        value: u64::from(action.limits.processes_max) + 2,
        step: SetupStep::SetProcessLimit,
        is_waived: is_waived(Guarantee::ProcessLimit),
    });
    limits
}

/// Limits that a user namespace takes over for all that is in it: the soft ones of the process that
/// makes it.
const TAKEN_OVER: [u32; 3] = [
    libc::RLIMIT_NPROC,
    libc::RLIMIT_SIGPENDING,
    libc::RLIMIT_MEMLOCK,
];

/// Raises the soft limits of this process that would bound its rooms to the hard ones. To be called
/// before a user namespace is made.
pub(crate) fn raise_soft() -> Result<(), SandboxError> {
    for resource in TAKEN_OVER {
        sys::raise_soft_resource_limit(resource)
            .map_err(|sys::Errno(errno)| SetupStep::SetResourceLimit.failed(errno))?;
    }
    Ok(())
}

/// Refuses a host whose hard limits, which this process has from it, are lower than the fixed ones.
pub(crate) fn check_host() -> Result<(), SandboxError> {
    for (name, resource, wanted) in FIXED {
        let found = sys::hard_resource_limit(resource)
            .map_err(|sys::Errno(errno)| SetupStep::SetResourceLimit.failed(errno))?;
        if found < wanted {
            return Err(SandboxError::HostLimit {
                name,
                wanted,
                found,
            });
        }
    }
    Ok(())
}
