//! Watches one run from outside: takes the logs in, keeps the limits, and makes sure that
//! nothing is left. Waits in poll(2) only; wakes ten times a second while a step runs, to
//! measure its memory, and never for a step that is over sooner.
//!
//! Killing process 1 kills every process of its namespace, and its pidfd becomes readable
//! only when all of them are gone (pid_namespaces(7)): that is the one way a run ends.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use counterseal_attestation::Sha256Digest;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};
use sha2::{Digest as _, Sha256};

use crate::action::{Action, Captured, Exit, Limits};
use crate::error::{SandboxError, SetupStep, io, io_at};
use crate::report::Report;
use crate::room::{Child, Room, collect};
use crate::usage;

/// How often memory is measured.
const SAMPLE_EVERY: Duration = Duration::from_millis(100);
/// How long processes may take to end by themselves after the main process: the tail of a
/// pipeline does that. Nothing waits this long unless something is left.
const LEFTOVER_GRACE: Duration = Duration::from_millis(500);
const READ_BYTES: usize = 64 * 1024;

/// A run that came to its own end.
pub(crate) struct Ending {
    pub(crate) exit: Exit,
    pub(crate) stdout: Captured,
    pub(crate) stderr: Captured,
    pub(crate) missing: Vec<(SetupStep, i32)>,
}

/// Everything known about a run in progress.
pub(crate) struct Supervision<'a> {
    limits: &'a Limits,
    room: &'a Room,
    streams: [Stream; 2],
    report: Option<OwnedFd>,
    can_sample: bool,
    first_process: Option<FirstProcess>,
    is_ready: bool,
    ended: Option<(Exit, u64)>,
    missing: Vec<(SetupStep, i32)>,
    /// The first thing that went wrong; what follows from it is not interesting.
    failure: Option<SandboxError>,
    is_kill_due: bool,
    scratch_was_full: bool,
}

struct FirstProcess {
    pid: i32,
    /// None once it is gone, and with it everything inside.
    alive: Option<OwnedFd>,
}

struct Stream {
    source: Option<OwnedFd>,
    path: PathBuf,
    file: File,
    hasher: Sha256,
    size_bytes: u64,
}

impl<'a> Supervision<'a> {
    pub(crate) fn new(
        action: &Action<'a>,
        room: &'a Room,
        [stdout, stderr]: [OwnedFd; 2],
        report: OwnedFd,
        can_sample: bool,
        log_directory: &Path,
    ) -> Result<Self, SandboxError> {
        Ok(Self {
            limits: action.limits,
            room,
            streams: [
                Stream::create(stdout, log_directory.join("stdout.log"))?,
                Stream::create(stderr, log_directory.join("stderr.log"))?,
            ],
            report: Some(report),
            can_sample,
            first_process: None,
            is_ready: false,
            ended: None,
            missing: Vec::new(),
            failure: None,
            is_kill_due: false,
            scratch_was_full: false,
        })
    }

    /// Returns when nothing of the run is alive any more.
    pub(crate) fn watch(
        mut self,
        entrant: Child,
        started: Instant,
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
            if self.ended.is_some() && grace_due.is_none() {
                grace_due = Some(now + LEFTOVER_GRACE);
            }
            if self.ended.is_none() && wall_due.is_some_and(|due| due <= now) {
                self.fail(SandboxError::WallTimeExceeded {
                    limit: self.limits.wall,
                });
            }
            if let Some((exit, _)) = self.ended
                && grace_due.is_some_and(|due| due <= now)
            {
                self.fail_leftovers(exit);
            }
            if sample_due <= now {
                self.sample();
                sample_due = now + SAMPLE_EVERY;
            }
        }
        drop(entrant);
        self.conclude()
    }

    fn is_over(&self) -> bool {
        self.report.is_none()
            && self.streams.iter().all(|stream| stream.source.is_none())
            && self
                .first_process
                .as_ref()
                .is_none_or(|first| first.alive.is_none())
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
        let alive = self
            .first_process
            .as_ref()
            .and_then(|first| first.alive.as_ref());
        let [stdout, stderr] = &self.streams;
        let sources = [
            stdout.source.as_ref(),
            stderr.source.as_ref(),
            self.report.as_ref(),
            alive,
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
            self.read_reports()?;
        }
        for (index, is_ready) in [stdout_ready, stderr_ready].into_iter().enumerate() {
            if is_ready {
                self.read_stream(index);
            }
        }
        if alive_ready && let Some(first) = &mut self.first_process {
            first.alive = None;
            collect(first.pid);
        }
        Ok(())
    }

    fn read_reports(&mut self) -> Result<(), SandboxError> {
        let Some(report) = &self.report else {
            return Ok(());
        };
        let mut bytes = [0; Report::SIZE];
        // Messages are written at once and have this size, so one read takes one message.
        match rustix::io::read(report, &mut bytes) {
            Ok(Report::SIZE) => {}
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Ok(_) | Err(_) => {
                self.report = None;
                return Ok(());
            }
        }
        match Report::decode(bytes) {
            Some(Report::Started { pid }) => self.adopt(pid)?,
            Some(Report::Missing { step, errno }) => self.missing.push((step, errno)),
            Some(Report::Failed { step, errno }) => self.fail(step.failed(errno)),
            Some(Report::Ready) => self.is_ready = true,
            Some(Report::Ended {
                status,
                resident_kib_max,
            }) => {
                let resident_bytes = u64::try_from(resident_kib_max).unwrap_or(0) * 1024;
                self.ended = Some((exit_from(status), resident_bytes));
            }
            Some(Report::Made) | None => {}
        }
        Ok(())
    }

    /// Takes process 1 over. It is this process's child and not collected yet, so its id
    /// cannot mean another process.
    fn adopt(&mut self, pid: i32) -> Result<(), SandboxError> {
        let opened = Pid::from_raw(pid)
            .ok_or(rustix::io::Errno::SRCH)
            .and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()));
        let alive = opened.map_err(|errno| io("watching process 1 of the sandbox", errno))?;
        self.first_process = Some(FirstProcess {
            pid,
            alive: Some(alive),
        });
        if self.is_kill_due {
            self.kill();
        }
        Ok(())
    }

    fn fail(&mut self, error: SandboxError) {
        if self.failure.is_none() {
            self.failure = Some(error);
        }
        self.kill();
    }

    fn kill(&mut self) {
        self.is_kill_due = true;
        if let Some(FirstProcess {
            alive: Some(alive), ..
        }) = &self.first_process
        {
            // The only failure left is that it is gone already.
            let _ = rustix::process::pidfd_send_signal(alive, Signal::KILL);
        }
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
        let Some(FirstProcess {
            pid,
            alive: Some(_),
        }) = self.first_process
        else {
            return;
        };
        let processes = usage::names(pid);
        // An empty list: the last one ended this moment, and process 1 will, too.
        if !processes.is_empty() {
            self.fail(SandboxError::LeftBehind { exit, processes });
        }
    }

    fn sample(&mut self) {
        let Some(FirstProcess {
            pid,
            alive: Some(_),
        }) = self.first_process
        else {
            return;
        };
        self.scratch_was_full |= self.room.is_full();
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
        if self.room.host_user == 0 && usage.processes > limit {
            self.fail(SandboxError::ProcessesExceeded {
                limit,
                found: usage.processes,
            });
        }
    }

    fn conclude(self) -> Result<Ending, SandboxError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let Some((exit, resident_bytes)) = self.ended else {
            return Err(if self.is_ready {
                SandboxError::Killed
            } else {
                SandboxError::SetupKilled
            });
        };
        if !exit.is_success() {
            if self.scratch_was_full || self.room.is_full() {
                let limit_bytes = self.limits.scratch_bytes;
                return Err(SandboxError::ScratchFull { limit_bytes, exit });
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
            exit,
            stdout,
            stderr,
            missing: self.missing,
        })
    }
}

/// Whether all that came fitted.
enum Intake {
    Whole,
    Cut,
}

impl Stream {
    fn create(source: OwnedFd, path: PathBuf) -> Result<Self, SandboxError> {
        let file = File::create(&path).map_err(|error| io_at("creating the log", &path, error))?;
        Ok(Self {
            source: Some(source),
            path,
            file,
            hasher: Sha256::new(),
            size_bytes: 0,
        })
    }

    /// Takes what is there, at most so much; the rest of it is lost.
    fn read(&mut self, room_bytes: u64) -> Result<Intake, SandboxError> {
        let Some(source) = &self.source else {
            return Ok(Intake::Whole);
        };
        let mut buffer = [0; READ_BYTES];
        let count = match rustix::io::read(source, &mut buffer) {
            Ok(0) => {
                self.source = None;
                return Ok(Intake::Whole);
            }
            Ok(count) => count,
            Err(rustix::io::Errno::INTR) => return Ok(Intake::Whole),
            Err(errno) => {
                self.source = None;
                return Err(io_at("reading the output for", &self.path, errno));
            }
        };
        let fitting = usize::try_from(room_bytes).map_or(count, |room| count.min(room));
        let taken = buffer.get(..fitting).unwrap_or_default();
        self.hasher.update(taken);
        self.size_bytes += taken.len() as u64;
        self.file
            .write_all(taken)
            .map_err(|error| io_at("writing the log", &self.path, error))?;
        Ok(if fitting == count {
            Intake::Whole
        } else {
            Intake::Cut
        })
    }

    fn finish(self) -> Captured {
        let sha256 = Sha256Digest::from_bytes(self.hasher.finalize().into());
        Captured {
            path: self.path,
            sha256,
            size_bytes: self.size_bytes,
        }
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
        assert_eq!(exit_from(0x80 | 11), Exit::Signal(11));
    }
}
