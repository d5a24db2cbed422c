//! Watches one run from outside: takes the logs in, keeps the limits, and makes sure that
//! nothing is left. Waits in poll(2) only; wakes ten times a second while a step runs, to
//! measure its memory, and never for a step that is over sooner.
//!
//! Killing process 1 kills every process of its namespace, and its pidfd becomes readable
//! only when all of them are gone (`pid_namespaces(7)`): that is the one way a run ends.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::action::{Action, Captured, Exit, Limits};
use crate::capture::{Intake, Stream};
use crate::error::{SandboxError, SetupStep, io};
use crate::host::{Carried, Findings};
use crate::report::Report;
use crate::room::{HostUser, Lack, Room, receive_report};
use crate::serving::Serving;
use crate::start::{FirstProcess, Started};
use crate::usage;

/// How often memory is measured.
const SAMPLE_EVERY: Duration = Duration::from_millis(100);
/// How long processes may take to end by themselves after the main process: the tail of a
/// pipeline does that. Nothing waits this long unless something is left.
const LEFTOVER_GRACE: Duration = Duration::from_millis(500);

/// A run that came to its own end.
pub(crate) struct Ending {
    pub(crate) exit: Exit,
    pub(crate) stdout: Captured,
    pub(crate) stderr: Captured,
    pub(crate) missing: Vec<(SetupStep, i32)>,
    /// None if the step's system calls could not be trapped.
    pub(crate) findings: Option<Findings>,
}

/// Everything known about a run in progress.
pub(crate) struct Supervision<'a> {
    limits: &'a Limits,
    room: &'a Room,
    streams: [Stream; 2],
    report: Option<OwnedFd>,
    can_sample: bool,
    first: FirstProcess,
    progress: Progress,
    missing: Vec<(SetupStep, i32)>,
    service: Serving,
    /// The first thing that went wrong; what follows from it is not interesting.
    failure: Option<SandboxError>,
    is_kill_due: bool,
    /// What the scratch space ran out of, at any time.
    lack: Option<Lack>,
}

/// How far the step has come.
#[derive(Clone, Copy)]
enum Progress {
    SettingUp,
    Running,
    /// How it ended, and the largest resident set in bytes of any of its processes.
    Ended(Exit, u64),
}

impl<'a> Supervision<'a> {
    pub(crate) fn new(
        action: &Action<'a>,
        room: &'a Room,
        streams: [Stream; 2],
        report: OwnedFd,
        can_sample: bool,
        started: Started,
        service: Serving,
    ) -> Self {
        let mut supervision = Self {
            limits: action.limits,
            room,
            streams,
            report: Some(report),
            can_sample,
            first: started.first,
            progress: Progress::SettingUp,
            missing: Vec::new(),
            service,
            failure: None,
            is_kill_due: false,
            lack: None,
        };
        for report in started.reports {
            supervision.take_report(report);
        }
        supervision
    }

    /// Returns when nothing of the run is alive any more. However it ended, `carried` becomes what
    /// another run in the same scratch space goes on from.
    pub(crate) fn watch(
        mut self,
        started: Instant,
        carried: &mut Carried,
    ) -> Result<Ending, SandboxError> {
        let mut sample_due = started + SAMPLE_EVERY;
        let mut grace_due = None;
        while !self.is_over() {
            let wall_due = started.checked_add(self.limits.wall);
            let mut due = [wall_due, grace_due].into_iter().flatten().min();
            if self.is_kill_due {
                due = None; // Its end is all there is to wait for.
            } else {
                due = Some(due.map_or(sample_due, |due| due.min(sample_due)));
            }
            self.wait(due)?;

            let now = Instant::now();
            let ended = match self.progress {
                Progress::Ended(exit, _) => Some(exit),
                Progress::SettingUp | Progress::Running => None,
            };
            if ended.is_some() && grace_due.is_none() {
                grace_due = Some(now + LEFTOVER_GRACE);
            }
            if ended.is_none() && wall_due.is_some_and(|due| due <= now) {
                let processes = if self.can_sample {
                    usage::names(self.first.pid)
                } else {
                    Vec::new()
                };
                self.fail(SandboxError::WallTimeExceeded {
                    limit: self.limits.wall,
                    processes,
                });
            }
            if let Some(exit) = ended
                && grace_due.is_some_and(|due| due <= now)
            {
                self.fail_leftovers(exit);
            }
            if sample_due <= now {
                self.sample();
                sample_due = now + SAMPLE_EVERY;
            }
        }
        self.conclude(carried)
    }

    fn is_over(&self) -> bool {
        self.report.is_none()
            && self.streams.iter().all(|stream| stream.source.is_none())
            && self.first.alive.is_none()
    }

    /// Waits for any descriptor until the given time, and serves those that are ready.
    fn wait(&mut self, due: Option<Instant>) -> Result<(), SandboxError> {
        let timeout = due.map(|due| {
            let left = due.saturating_duration_since(Instant::now());
            // A second at most: the sample is due every 100 ms.
            Timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(1),
                tv_nsec: left.subsec_nanos().into(),
            }
        });
        let [stdout, stderr] = &self.streams;
        let sources = [
            stdout.source.as_ref(),
            stderr.source.as_ref(),
            self.report.as_ref(),
            self.first.alive.as_ref(),
        ];
        let mut ready = [false; 4];
        {
            let mut watched: Vec<PollFd<'_>> = sources
                .iter()
                .flatten()
                .map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN))
                .collect();
            match rustix::event::poll(&mut watched, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(io("waiting for the step", errno)),
            }
            let mut answers = watched.iter().map(|fd| !fd.revents().is_empty());
            for (ready, source) in ready.iter_mut().zip(sources) {
                *ready = source.is_some() && answers.next().unwrap_or(false);
            }
        }
        let [stdout_ready, stderr_ready, report_ready, alive_ready] = ready;
        if report_ready {
            self.read_report();
        }
        for (index, is_ready) in [stdout_ready, stderr_ready].into_iter().enumerate() {
            if is_ready {
                self.read_stream(index);
            }
        }
        if alive_ready {
            self.first.alive = None;
        }
        Ok(())
    }

    fn read_report(&mut self) {
        let Some(report) = &self.report else {
            return;
        };
        match receive_report(report.as_fd()) {
            Ok((Some(report), _)) => self.take_report(report),
            Err(rustix::io::Errno::INTR) => {}
            Ok((None, _)) | Err(_) => self.report = None,
        }
    }

    fn take_report(&mut self, report: Report) {
        match report {
            Report::Missing { step, errno } => self.missing.push((step, errno)),
            Report::Failed { step, errno } => self.fail(step.failed(errno)),
            Report::Ready => {
                self.progress = Progress::Running;
                if !self.service.is_waived {
                    self.fail(SetupStep::SendListener.failed(0));
                }
            }
            Report::Ended {
                status,
                resident_kib_max,
            } => {
                let resident_bytes = u64::try_from(resident_kib_max).unwrap_or(0) * 1024;
                self.progress = Progress::Ended(exit_from(status), resident_bytes);
            }
            Report::Started { .. } | Report::Made | Report::Rooted => {}
        }
    }

    fn fail(&mut self, error: SandboxError) {
        if self.failure.is_none() {
            self.failure = Some(error);
        }
        self.kill();
    }

    fn kill(&mut self) {
        self.is_kill_due = true;
        self.first.kill();
    }

    fn read_stream(&mut self, index: usize) {
        let taken_bytes: u64 = self.streams.iter().map(|stream| stream.size_bytes).sum();
        let room_bytes = self.limits.log_bytes.saturating_sub(taken_bytes);
        // After a failure only the end of the stream is of interest.
        let room_bytes = if self.is_kill_due { 0 } else { room_bytes };
        let Some(stream) = self.streams.get_mut(index) else {
            return;
        };
        match stream.read(room_bytes) {
            Ok(Intake::Whole) => {}
            Ok(Intake::Cut) if self.is_kill_due => {}
            Ok(Intake::Cut) => {
                self.fail(SandboxError::LogExceeded {
                    limit_bytes: self.limits.log_bytes,
                });
            }
            Err(error) => self.fail(error),
        }
    }

    fn fail_leftovers(&mut self, exit: Exit) {
        let FirstProcess {
            pid,
            alive: Some(_),
        } = self.first
        else {
            return;
        };
        let processes = if self.can_sample {
            usage::names(pid)
        } else {
            vec!["names cannot be read here".to_owned()]
        };
        // An empty list: the last one ended this moment, and process 1 will, too.
        if !processes.is_empty() {
            self.fail(SandboxError::LeftBehind { exit, processes });
        }
    }

    fn sample(&mut self) {
        let FirstProcess {
            pid,
            alive: Some(_),
        } = self.first
        else {
            return;
        };
        self.lack = self.lack.or_else(|| self.room.lack());
        if !self.can_sample || self.is_kill_due {
            return;
        }
        let usage = usage::measure(pid);
        let limit_bytes = self.limits.memory_bytes;
        if usage.resident_bytes > limit_bytes {
            let used_bytes = usage::proportional_bytes(pid);
            if used_bytes > limit_bytes {
                self.fail(SandboxError::MemoryExceeded {
                    limit_bytes,
                    used_bytes,
                });
            }
        }
        let limit = self.limits.processes_max;
        if self.room.site.base.host_user == HostUser::Root && usage.processes > limit {
            self.fail(SandboxError::ProcessesExceeded {
                limit,
                found: usage.processes,
            });
        }
    }

    fn conclude(self, carried: &mut Carried) -> Result<Ending, SandboxError> {
        // Every thread that could trap is gone, so this comes to an end, too.
        let (mut findings, has_panicked) = match self.service.findings.recv() {
            Ok(findings) => (findings, false),
            Err(_) => (None, true), // Its thread has panicked: the step had no answers.
        };
        if let Some(findings) = &mut findings {
            *carried = std::mem::take(&mut findings.carried);
        }
        if let Some(failure) = self.failure {
            return Err(match failure {
                // Nobody could answer the call that executes the program.
                SandboxError::Setup {
                    doing: SetupStep::Execute,
                    errno: libc::ENOSYS,
                } if findings.is_none() => SetupStep::SendListener.failed(0),
                failure => failure,
            });
        }
        let (exit, resident_bytes) = match self.progress {
            _ if has_panicked => return Err(SandboxError::Killed),
            Progress::Ended(exit, resident_bytes) => (exit, resident_bytes),
            Progress::SettingUp if findings.is_none() => return Err(SandboxError::SetupKilled),
            Progress::SettingUp | Progress::Running => return Err(SandboxError::Killed),
        };
        if !exit.is_success() {
            if let Some(lack) = self.lack.or_else(|| self.room.lack()) {
                let limit_bytes = self.limits.scratch_bytes;
                return Err(match lack {
                    Lack::Bytes => SandboxError::ScratchFull { limit_bytes, exit },
                    Lack::Files { limit } => SandboxError::ScratchFilesFull { limit, exit },
                });
            }
            let limit_bytes = self.limits.memory_bytes;
            // A program that is refused more memory gives up just below the limit.
            if resident_bytes >= limit_bytes - limit_bytes / 10 {
                let used_bytes = resident_bytes;
                return Err(SandboxError::MemoryExceeded {
                    limit_bytes,
                    used_bytes,
                });
            }
        }
        let [stdout, stderr] = self.streams.map(Stream::finish);
        Ok(Ending {
            findings,
            exit,
            stdout,
            stderr,
            missing: self.missing,
        })
    }
}

/// Decodes a wait status (wait(2)).
fn exit_from(status: i32) -> Exit {
    match status & 0x7f {
        0 => Exit::Code((status >> 8) & 0xff),
        signal => Exit::Signal(signal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_statuses() {
        assert_eq!(exit_from(0), Exit::Code(0));
        assert_eq!(exit_from(3 << 8), Exit::Code(3));
        assert_eq!(exit_from(9), Exit::Signal(9));
        assert_eq!(exit_from(0x8b), Exit::Signal(11));
    }
}
