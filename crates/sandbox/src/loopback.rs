//! The network namespace of a room, made by a process of its own beside the one that makes the
//! mounts: it takes the kernel about as long as all of those together. The two share memory and
//! descriptors. The process stays in the mount namespace of the host, whose `/proc` shows it.
//!
//! Absent on purpose: any device but the loopback, which every network namespace is born with.

use std::ffi::c_void;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use crate::error::SetupStep;
use crate::plan::{ABSENT, Stack};
use crate::report::{During, Failure};
use crate::sys::{self, Namespace};

/// A network namespace to be made, and what came of it.
pub(crate) struct Loopback {
    stack: Stack,
    /// The open namespace, or [`ABSENT`]; then the next two say why.
    descriptor: AtomicI32,
    step: AtomicU32,
    errno: AtomicI32,
}

impl Loopback {
    pub(crate) fn new() -> Self {
        Self {
            stack: Stack::new(),
            descriptor: AtomicI32::new(ABSENT),
            step: AtomicU32::new(SetupStep::CreateNetworkNamespace as u32),
            errno: AtomicI32::new(0),
        }
    }

    /// Starts to make it, with the capabilities of the calling process, which must have no other
    /// child and must call [`Self::end`] after this has succeeded or exit.
    pub(crate) fn begin(&self) -> Result<(), Failure> {
        // SAFETY: the stack is used by the new process alone; `self` lies in memory of the
        // calling process, which both share and which stays as long as either does; what the new
        // process changes is atomic.
        unsafe {
            sys::clone_onto(
                self.stack.top(),
                libc::CLONE_VM | libc::CLONE_FILES,
                network_process,
                std::ptr::from_ref(self).cast(),
            )
        }
        .map(drop)
        .during(SetupStep::CreateNetworkNamespace)
    }

    /// Waits until it is made and enters it.
    pub(crate) fn end(&self) -> Result<RawFd, Failure> {
        sys::wait_any().during(SetupStep::CreateNetworkNamespace)?;
        let descriptor = self.descriptor.load(Ordering::Acquire);
        if descriptor == ABSENT {
            return Err(Failure {
                step: SetupStep::from_code(self.step.load(Ordering::Acquire))
                    .unwrap_or(SetupStep::CreateNetworkNamespace),
                errno: self.errno.load(Ordering::Acquire),
            });
        }
        sys::enter_namespace(descriptor, libc::CLONE_NEWNET)
            .during(SetupStep::CreateNetworkNamespace)?;
        Ok(descriptor)
    }
}

extern "C" fn network_process(order: *const c_void) -> ! {
    // SAFETY: `begin` passes a pointer to a `Loopback` that outlives this process.
    let order = unsafe { &*order.cast::<Loopback>() };
    match make() {
        Ok(descriptor) => order.descriptor.store(descriptor, Ordering::Release),
        Err(Failure { step, errno }) => {
            order.step.store(step as u32, Ordering::Release);
            order.errno.store(errno, Ordering::Release);
        }
    }
    sys::exit(0)
}

fn make() -> Result<RawFd, Failure> {
    sys::unshare(libc::CLONE_NEWNET).during(SetupStep::CreateNetworkNamespace)?;
    sys::raise_loopback().during(SetupStep::RaiseLoopback)?;
    sys::own_namespace(Namespace::Network).during(SetupStep::OpenNamespace)
}
