//! The parent's side of a start: hears from the processes inside until process 1 runs.

use std::collections::VecDeque;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::Signal;

use crate::error::{SandboxError, io};
use crate::guarantee::Guarantee;
use crate::report::Report;
use crate::room::receive_report;
use crate::usher::Usher;

/// Process 1 of a run.
pub(crate) struct FirstProcess {
    /// Means no other process before the next run in its site begins, or the usher is gone.
    pub(crate) pid: i32,
    /// None once it is gone, and with it everything inside.
    pub(crate) alive: Option<OwnedFd>,
}

impl FirstProcess {
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
        self.kill();
        if let Some(alive) = &self.alive {
            let mut watched = [PollFd::new(alive, PollFlags::IN)];
            while rustix::event::poll(&mut watched, None) == Err(Errno::INTR) {}
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
    /// Reads reports until process 1 runs or never will. If it may run although it cannot be heard of, the
    /// usher has to end it.
    pub(crate) fn hear(socket: BorrowedFd<'_>, usher: &Usher) -> Result<Self, SandboxError> {
        let mut reports = Vec::new();
        loop {
            match receive_report(socket) {
                Ok((Some(Report::Started { pid, count }), descriptors)) => {
                    let mut descriptors = VecDeque::from(descriptors);
                    if usize::try_from(count) != Ok(descriptors.len()) {
                        // There was no room for all of them.
                        usher.dismiss();
                        return Err(io("taking the sandbox over", Errno::MFILE));
                    }
                    let alive = descriptors.pop_back();
                    return Ok(Self {
                        first: FirstProcess { pid, alive },
                        reports,
                        descriptors,
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
                Err(errno) => {
                    usher.dismiss();
                    return Err(io("hearing from the setup", errno));
                }
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

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, AsRawFd};

    use super::*;
    use crate::room::report_sockets;

    #[test]
    fn a_process_that_cannot_be_taken_over_is_not_left() {
        let usher = Usher::hire().unwrap();
        let (here, there) = report_sockets().unwrap();
        let count = 3;
        let pid = i32::MAX;
        Report::Started { pid, count }.send(there.as_raw_fd());
        let error = Started::hear(here.as_fd(), &usher).err().unwrap();
        assert!(
            error.to_string().contains("taking the sandbox over"),
            "{error}"
        );
        assert!(!usher.is_there());
    }
}
