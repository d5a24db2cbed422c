//! The parent's side of a start: forks, and hears from the processes inside until process 1 runs.

use std::collections::VecDeque;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::error::{SandboxError, io};
use crate::guarantee::Guarantee;
use crate::plan::SignalsBlocked;
use crate::report::Report;
use crate::room::receive_report;
use crate::sys;

/// A forked process that is collected when this is dropped.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: i32,
}

impl Child {
    /// Forks; `body` runs in the child with all signals blocked.
    pub(crate) fn fork(body: impl FnOnce()) -> Result<Self, i32> {
        let blocked = SignalsBlocked::new();
        // SAFETY: there are no flags, and `body` exits; it runs code of this crate that neither
        // allocates nor locks nor unwinds.
        let forked = unsafe { sys::fork(0) };
        match forked {
            Ok(0) => {
                body();
                sys::exit(0)
            }
            Ok(pid) => {
                drop(blocked);
                Ok(Self { pid })
            }
            Err(sys::Errno(errno)) => Err(errno),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        collect(self.pid);
    }
}

/// Waits for a child to end and forgets it.
pub(crate) fn collect(pid: i32) {
    let Some(pid) = rustix::process::Pid::from_raw(pid) else {
        return;
    };
    loop {
        let waited = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
        if !matches!(waited, Err(Errno::INTR)) {
            return;
        }
    }
}

/// Process 1 of a run.
pub(crate) struct FirstProcess {
    pub(crate) pid: i32,
    /// None once it is gone, and with it everything inside.
    pub(crate) alive: Option<OwnedFd>,
}

impl FirstProcess {
    /// Takes process 1 over. It is this process's child and not collected yet, so its id
    /// cannot mean another process.
    fn adopt(pid: i32) -> Result<Self, SandboxError> {
        let Some(id) = Pid::from_raw(pid) else {
            return Err(SandboxError::SetupKilled);
        };
        let alive = rustix::process::pidfd_open(id, PidfdFlags::empty()).map_err(|errno| {
            let _ = rustix::process::kill_process(id, Signal::KILL);
            collect(pid);
            io("watching process 1 of the sandbox", errno)
        })?;
        Ok(Self {
            pid,
            alive: Some(alive),
        })
    }

    pub(crate) fn kill(&self) {
        if let Some(alive) = &self.alive {
            // The only failure left is that it is gone already.
            let _ = rustix::process::pidfd_send_signal(alive, Signal::KILL);
        }
    }
}

impl Drop for FirstProcess {
    /// Only if the supervision itself failed: nothing may outlive it.
    fn drop(&mut self) {
        if self.alive.is_some() {
            self.kill();
            collect(self.pid);
        }
    }
}

/// Process 1 runs.
pub(crate) struct Started {
    pub(crate) first: FirstProcess,
    /// What was reported before that, by the entrant or by process 1.
    pub(crate) reports: Vec<Report>,
    /// What was made for the run ([`Made`](crate::inside::Made)).
    pub(crate) descriptors: VecDeque<OwnedFd>,
}

impl Started {
    /// Reads reports until process 1 runs or never will.
    pub(crate) fn hear(socket: BorrowedFd<'_>) -> Result<Self, SandboxError> {
        let mut reports = Vec::new();
        loop {
            match receive_report(socket) {
                Ok((Some(Report::Started { pid }), descriptors)) => {
                    return Ok(Self {
                        first: FirstProcess::adopt(pid)?,
                        reports,
                        descriptors: descriptors.into(),
                    });
                }
                // A failure may be that of process 1, which is faster than who tells of it.
                Ok((Some(report), _)) => reports.push(report),
                Ok((None, _)) => {
                    let failed = reports.iter().find_map(|report| match report {
                        Report::Failed { step, errno } => Some(step.failed(*errno)),
                        _ => None,
                    });
                    return Err(failed.unwrap_or(SandboxError::SetupKilled));
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(io("hearing from the setup", errno)),
            }
        }
    }

    /// The ipc namespace that was made for the run; called only if none was entered.
    pub(crate) fn ipc(&mut self) -> Option<OwnedFd> {
        let is_missing = |report: &Report| match report {
            Report::Missing { step, .. } => step.guarantee() == Some(Guarantee::IpcNamespace),
            _ => false,
        };
        if self.reports.iter().any(is_missing) {
            return None;
        }
        self.descriptors.pop_front()
    }
}
