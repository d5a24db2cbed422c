//! Descriptors by which the service reaches a process again and again, kept open: what it costs to
//! find a process by its number under `/proc` is more than what is done there, and a short-lived
//! one pays for it once more when it ends.
//!
//! Whoever keeps a process open does not keep it alive. A number that has come to mean another
//! process does no harm: what is kept is of the old one, fails, and is opened anew.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::host::Map;
use crate::host::files::paths::errno;
use crate::sys::Errno;

/// Processes that are kept open; each takes up to two of the descriptors that this process has.
const KEPT_MAX: usize = 64;

/// What is open of which process.
#[derive(Debug, Default)]
pub(in crate::host) struct Handles(Map<i32, Handle>);

#[derive(Debug, Default)]
struct Handle {
    process: Option<OwnedFd>,
    memory: Option<File>,
}

impl Handles {
    /// A copy of a process's descriptor.
    pub(in crate::host) fn descriptor(
        &mut self,
        process: i32,
        descriptor: i32,
    ) -> Result<OwnedFd, Errno> {
        if descriptor < 0 {
            return Err(Errno(libc::EBADF));
        }
        let copy = |handle: &OwnedFd| pidfd_getfd(handle, descriptor, PidfdGetfdFlags::empty());
        let kept = self.handle(process);
        if let Some(handle) = &kept.process {
            match copy(handle) {
                Err(rustix::io::Errno::SRCH) => kept.process = None,
                other => return other.map_err(errno),
            }
        }
        let pid = Pid::from_raw(process).ok_or(Errno(libc::ESRCH))?;
        let handle = pidfd_open(pid, PidfdFlags::empty()).map_err(errno)?;
        let copied = copy(&handle).map_err(errno);
        kept.process = Some(handle);
        copied
    }

    /// A copy of a thread's descriptor. Most threads have the same ones as their process's first; but
    /// that may have ended, or have others. `EBADF` means that the thread has none of this number;
    /// any other error, that it cannot be known.
    pub(in crate::host) fn thread_descriptor(
        &mut self,
        process: i32,
        thread: i32,
        descriptor: i32,
    ) -> Result<OwnedFd, Errno> {
        /// `PIDFD_THREAD` (`linux/pidfd.h`, Linux 6.9).
        const THREAD: PidfdFlags = PidfdFlags::from_bits_retain(libc::O_EXCL.cast_unsigned());
        if thread == process {
            let own = self.descriptor(process, descriptor);
            // A thread that was not known by its process is no process (`EINVAL`).
            if !matches!(own, Err(Errno(libc::EINVAL | libc::ESRCH))) {
                return own;
            }
        }
        let pid = Pid::from_raw(thread).ok_or(Errno(libc::ESRCH))?;
        match pidfd_open(pid, THREAD) {
            Ok(handle) => pidfd_getfd(handle, descriptor, PidfdGetfdFlags::empty()).map_err(errno),
            Err(rustix::io::Errno::INVAL) => {
                self.descriptor(process, descriptor).map_err(|error| {
                    // It is the first one that has none, or that has ended.
                    let link = format!("/proc/{thread}/fd/{descriptor}");
                    match std::fs::symlink_metadata(link) {
                        Err(absent) if absent.kind() == io::ErrorKind::NotFound => {
                            Errno(libc::EBADF)
                        }
                        _ if error == Errno(libc::EBADF) => Errno(libc::ESRCH),
                        _ => error,
                    }
                })
            }
            Err(error) => Err(errno(error)),
        }
    }

    /// Writes to a process's memory, also where it may not write itself.
    pub(in crate::host) fn write_code(
        &mut self,
        process: i32,
        address: u64,
        bytes: &[u8],
    ) -> io::Result<()> {
        let kept = self.handle(process);
        if let Some(memory) = &kept.memory
            && memory.write_all_at(bytes, address).is_ok()
        {
            return Ok(());
        }
        let memory = OpenOptions::new()
            .write(true)
            .open(format!("/proc/{process}/mem"))?;
        let written = memory.write_all_at(bytes, address);
        kept.memory = Some(memory);
        written
    }

    /// The process has other memory now.
    pub(in crate::host) fn executed(&mut self, process: i32) {
        if let Some(handle) = self.0.get_mut(&process) {
            handle.memory = None;
        }
    }

    pub(in crate::host) fn ended(&mut self, process: i32) {
        self.0.remove(&process);
    }

    fn handle(&mut self, process: i32) -> &mut Handle {
        if self.0.len() >= KEPT_MAX && !self.0.contains_key(&process) {
            self.0.clear();
        }
        self.0.entry(process).or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, AsRawFd};

    use super::*;

    #[test]
    fn never_more_are_kept_than_the_bound() {
        let mut handles = Handles::default();
        for process in 1..=3 * i32::try_from(KEPT_MAX).unwrap() {
            handles.handle(process);
            assert!(handles.0.len() <= KEPT_MAX);
        }
    }

    #[test]
    fn a_descriptor_is_copied_and_one_that_is_not_open_is_said_to_be_so() {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let file = tempfile::tempfile().unwrap();
        let mut handles = Handles::default();
        for _ in 0..2 {
            let copy = handles.descriptor(own, file.as_raw_fd()).unwrap();
            let inode = |fd| rustix::fs::fstat(fd).unwrap().st_ino;
            assert_eq!(inode(copy.as_fd()), inode(file.as_fd()));
            assert_eq!(handles.descriptor(own, -1).unwrap_err().0, libc::EBADF);
            assert_eq!(handles.descriptor(own, 999_999).unwrap_err().0, libc::EBADF);
        }
    }

    #[test]
    fn memory_is_written_until_it_is_another() {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let place = Box::new([7_u64, 8]);
        let address = std::ptr::from_ref(&*place) as usize as u64;
        let mut handles = Handles::default();
        let mut write = |at, value: u64| handles.write_code(own, at, &value.to_le_bytes());
        write(address, 9).unwrap();
        write(address + 8, 9).unwrap();
        assert!(write(8, 9).is_err());
        assert_eq!(std::hint::black_box(&*place), &[9, 9]);
        assert!(handles.handle(own).memory.is_some());
        handles.executed(own);
        assert!(handles.handle(own).memory.is_none());
    }
}
