//! What the processes inside need, prepared whole by the parent on a [`Board`]: strings terminated,
//! pointer arrays built, descriptors numbered. Nothing in here is computed by those who read it.
//!
//! Absent on purpose: decisions. The parent has taken them all.

use std::ffi::{CStr, CString};
use std::os::fd::RawFd;

use crate::action::{Action, BUILD_DIRECTORY, TEMPORARY_DIRECTORY};
use crate::board::{Board, Strings};
use crate::error::{SandboxError, SetupStep};
use crate::filter::Tracer;
use crate::furnish::Order;
use crate::host::VirtualHost;
use crate::limits::ResourceLimit;
use crate::sys;

/// What to do once everything is in place.
pub(crate) enum Goal {
    /// Replace the step's process by the program.
    Execute(Program),
    /// Nothing: the caller wants to know what can be enforced.
    Nothing,
}

/// A program with its arguments and environment.
pub(crate) struct Program {
    /// Paths to try in this order.
    candidates: Vec<CString>,
    argv: Vec<CString>,
    envp: Vec<CString>,
}

impl Program {
    /// The paths to try, for people and for evidence.
    pub(crate) fn paths(&self) -> Vec<Vec<u8>> {
        let bytes = |path: &CString| path.to_bytes().to_vec();
        self.candidates.iter().map(bytes).collect()
    }

    /// As the kernel wants it.
    pub(crate) fn written_on<'b>(&self, board: &'b Board) -> Result<Execution<'b>, SandboxError> {
        let mut candidates = Vec::with_capacity(self.candidates.len());
        for path in &self.candidates {
            candidates.push(board.text(path)?);
        }
        let strings = |strings: &[CString]| board.strings(strings.iter().map(CString::as_c_str));
        Ok(Execution {
            candidates: board.list(&candidates)?,
            argv: strings(&self.argv)?,
            envp: strings(&self.envp)?,
        })
    }
}

/// A program for `execve(2)`.
#[derive(Clone, Copy)]
pub(crate) struct Execution<'b> {
    pub(crate) candidates: &'b [&'b CStr],
    pub(crate) argv: Strings<'b>,
    pub(crate) envp: Strings<'b>,
}

/// Namespaces of a room beside user and mounts, as numbers of descriptors of the entrant; [`ABSENT`] for
/// one that was waived or is still to be made.
pub(crate) struct Doors {
    pub(crate) network: RawFd,
    pub(crate) host_name: RawFd,
    pub(crate) cgroup: RawFd,
    pub(crate) ipc: RawFd,
}

/// Where a run takes place.
pub(crate) enum Place<'b> {
    /// In a room that is there, by a descriptor of its mounts.
    Room { mounts: RawFd },
    /// In one that is made for it.
    New(Order<'b>),
}

/// One run, prepared.
pub(crate) struct Plan<'b> {
    /// The site that it is in.
    pub(crate) doors: Doors,
    pub(crate) place: Place<'b>,
    /// None if the caller wants to know only what can be enforced.
    pub(crate) execution: Option<Execution<'b>>,
    pub(crate) working_directory: &'b CStr,
    pub(crate) filter: &'b [libc::sock_filter],
    /// Present if the step's time stamp counter is to be the action's own.
    pub(crate) tracer: Tracer,
    /// `personality(2)`.
    pub(crate) personality: usize,
    /// User and group inside.
    pub(crate) user: u32,
    pub(crate) umask: u32,
    pub(crate) host_name: &'b CStr,
    /// The process id of the step.
    pub(crate) first_process: i32,
    pub(crate) resource_limits: &'b [ResourceLimit],
    /// Whether failing to have these is tolerated.
    pub(crate) ipc_waived: bool,
    pub(crate) filter_waived: bool,
    pub(crate) host_name_waived: bool,
    /// What is known to fail. It is told when all else has been done, which comes with better advice,
    /// and the step is not started.
    pub(crate) bound_to_fail: Option<SetupStep>,
    /// Where the stacks of the processes begin that share memory with others.
    pub(crate) first_process_stack: *mut u8,
    pub(crate) step_stack: *mut u8,
}

/// No descriptor.
pub(crate) const ABSENT: RawFd = -1;

/// A stack for a process that shares memory with its parent.
#[derive(Debug)]
pub(crate) struct Stack(Vec<[u128; 256]>);

impl Stack {
    /// 256 KiB: several times what the deepest unoptimised path uses.
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(64))
    }

    /// The 16-byte aligned end.
    pub(crate) fn top(&self) -> *mut u8 {
        // The capacity is real memory of that many elements, aligned as u128 (16 bytes).
        self.0
            .as_ptr_range()
            .start
            .wrapping_add(self.0.capacity())
            .cast_mut()
            .cast()
    }
}

/// Builds the program part of a plan, or says what is wrong with the action.
pub(crate) fn program(action: &Action<'_>) -> Result<Program, SandboxError> {
    let invalid = |problem| SandboxError::InvalidAction { problem };
    let name = action
        .argv
        .first()
        .filter(|name| !name.is_empty())
        .ok_or_else(|| invalid("the argument vector names no program"))?;
    let terminated =
        |s: &str| CString::new(s).map_err(|_| invalid("an argument or variable holds a zero byte"));

    let host = action.host;
    let mut environment = std::collections::BTreeMap::from([
        ("HOME", host.home.clone()),
        ("PATH", host.search_path.clone()),
        ("TMPDIR", TEMPORARY_DIRECTORY.to_owned()),
    ]);
    for (key, value) in host.extra_environment.iter().chain(action.environment) {
        if key.is_empty() || key.contains('=') {
            return Err(invalid(
                "a variable's name is empty or holds an equals sign",
            ));
        }
        environment.insert(key, value.clone());
    }
    environment.insert("LANG", host.locale.clone());
    environment.insert("LC_ALL", host.locale.clone());
    environment.insert("TZ", host.time_zone.clone());
    environment.insert("SOURCE_DATE_EPOCH", action.source_date_epoch.to_string());

    let candidates = if name.contains('/') {
        vec![terminated(name)?]
    } else {
        environment["PATH"]
            .split(':')
            .filter(|directory| directory.starts_with('/'))
            .map(|directory| terminated(&format!("{}/{name}", directory.trim_end_matches('/'))))
            .collect::<Result<_, _>>()?
    };
    if candidates.is_empty() {
        return Err(invalid(
            "PATH names no absolute directory to look the program up in",
        ));
    }
    let argv = action
        .argv
        .iter()
        .map(|s| terminated(s))
        .collect::<Result<_, _>>()?;
    let envp = environment
        .iter()
        .map(|(key, value)| terminated(&format!("{key}={value}")))
        .collect::<Result<_, _>>()?;
    Ok(Program {
        candidates,
        argv,
        envp,
    })
}

/// Where the build directory is attached a second time, relative to the room's base; none for
/// the one path that it always has.
pub(crate) fn second_build_place(host: &VirtualHost) -> Result<Option<CString>, SandboxError> {
    if host.build_path == BUILD_DIRECTORY {
        return Ok(None);
    }
    let problem = "the build path is not an absolute path of one component";
    let invalid = SandboxError::InvalidAction { problem };
    match host.build_path.strip_prefix('/') {
        Some(name) if !matches!(name, "" | "." | "..") && !name.contains('/') => {
            let place = format!("{}/{name}", crate::furnish::ROOT_PLACE);
            CString::new(place).map(Some).map_err(|_| invalid)
        }
        _ => Err(invalid),
    }
}

/// The host name, terminated and within the kernel's bound.
pub(crate) fn host_name(host: &VirtualHost) -> Result<CString, SandboxError> {
    const BYTES_MAX: usize = 64;
    let invalid = |problem| SandboxError::InvalidAction { problem };
    if host.host_name.is_empty() || host.host_name.len() > BYTES_MAX {
        return Err(invalid("the host name has no byte or more than 64"));
    }
    CString::new(host.host_name.as_str()).map_err(|_| invalid("the host name holds a zero byte"))
}

/// The working directory, absolute and terminated.
pub(crate) fn working_directory(path: &str) -> Result<CString, SandboxError> {
    let invalid = |problem| SandboxError::InvalidAction { problem };
    if !path.starts_with('/') {
        return Err(invalid("the working directory is not absolute"));
    }
    CString::new(path).map_err(|_| invalid("the working directory holds a zero byte"))
}

/// Blocks all signals while it lives, so that no handler of the parent runs in a child that
/// is not ready for it.
pub(crate) struct SignalsBlocked(u64);

impl SignalsBlocked {
    pub(crate) fn new() -> Self {
        Self(sys::set_signal_mask(u64::MAX))
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        sys::set_signal_mask(self.0);
    }
}
