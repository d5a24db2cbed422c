//! Pairs of connected sockets that belong to the step's network and not to the host's: a socket
//! shows, and can be named in, the network namespace in which it was made.
//!
//! A thread cannot enter the namespaces of another user, and this process has many. So each pair is
//! made by a process that does nothing else, in this one's memory and descriptors, while the thread
//! that started it waits.

use std::ffi::c_void;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::plan::Stack;
use crate::sys::{self, Errno};

/// Where pairs are made.
pub(super) struct Workshop {
    user: File,
    network: File,
    /// Whether the step has given its own network up and is in the host's.
    is_hosts: bool,
    stack: Stack,
}

/// What a process is to make, and what it has made.
struct Work {
    user: RawFd,
    network: RawFd,
    made: [AtomicI32; 2],
    errno: AtomicI32,
}

impl Workshop {
    /// In the network of a thread of the step.
    pub(in crate::host) fn at(thread: i32) -> std::io::Result<Self> {
        let network = File::open(format!("/proc/{thread}/ns/net"))?;
        let is_hosts = network.metadata()?.ino() == std::fs::metadata("/proc/self/ns/net")?.ino();
        Ok(Self {
            user: File::open(format!("/proc/{thread}/ns/user"))?,
            network,
            is_hosts,
            stack: Stack::new(),
        })
    }

    /// One more pair. Takes the time of starting a process that shares its memory.
    #[allow(unsafe_code)]
    pub(in crate::host) fn pair(&self) -> Result<[OwnedFd; 2], Errno> {
        let own = |[a, b]: [RawFd; 2]| {
            // SAFETY: both were made just now, for nobody else.
            unsafe { [OwnedFd::from_raw_fd(a), OwnedFd::from_raw_fd(b)] }
        };
        if self.is_hosts {
            return sys::socket_pair().map(own);
        }
        let work = Work {
            user: self.user.as_raw_fd(),
            network: self.network.as_raw_fd(),
            made: [AtomicI32::new(-1), AtomicI32::new(-1)],
            errno: AtomicI32::new(libc::EIO),
        };
        // A handler of a signal must not run in the new process, which shares this one's memory;
        // nor may the new process's end be one, which would interrupt other threads' calls.
        let mask = sys::set_signal_mask(u64::MAX);
        // SAFETY: this thread is suspended until the process has exited (CLONE_VFORK), so that the
        // stack is used by it alone and `work` outlives it; what it changes there is atomic.
        let started = unsafe {
            sys::clone_silently_onto(
                self.stack.top(),
                libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES,
                make,
                std::ptr::from_ref(&work).cast(),
            )
        };
        sys::set_signal_mask(mask);
        sys::wait_for_silent(started?);
        match work.errno.load(Ordering::Acquire) {
            0 => Ok(own([0, 1].map(|end: usize| {
                work.made
                    .get(end)
                    .map_or(-1, |made| made.load(Ordering::Acquire))
            }))),
            errno => Err(Errno(errno)),
        }
    }
}

extern "C" fn make(work: *const c_void) -> ! {
    // SAFETY: `clone_onto` passes on the pointer that `pair` made.
    #[allow(unsafe_code)]
    let work = unsafe { &*work.cast::<Work>() };
    let made = enter(work).and_then(|()| sys::socket_pair());
    let errno = match made {
        Ok(pair) => {
            for (place, descriptor) in work.made.iter().zip(pair) {
                place.store(descriptor, Ordering::Release);
            }
            0
        }
        Err(Errno(errno)) => errno,
    };
    work.errno.store(errno, Ordering::Release);
    sys::exit(0)
}

/// Root needs not become the step's user for that.
fn enter(work: &Work) -> Result<(), Errno> {
    sys::enter_namespace(work.network, libc::CLONE_NEWNET).or_else(|_| {
        sys::enter_namespace(work.user, libc::CLONE_NEWUSER)?;
        sys::enter_namespace(work.network, libc::CLONE_NEWNET)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_one_s_own_network_pairs_are_made_without_any_process() {
        let own = rustix::thread::gettid().as_raw_nonzero().get();
        let [near, far] = Workshop::at(own).unwrap().pair().unwrap();
        rustix::io::write(&far, b"x").unwrap();
        assert_eq!(rustix::io::read(&near, &mut [0; 2]), Ok(1));
    }
}
