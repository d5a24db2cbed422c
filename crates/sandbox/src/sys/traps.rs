//! Seccomp user notification (`seccomp_unotify(2)`) and the memory of the processes that wait for
//! an answer. Called by the parent's threads only, never between fork and execute.

use std::os::fd::{AsFd, AsRawFd};

use super::{Errno, Result, call, syscall};

/// One trapped system call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notification {
    /// Names the call until it is answered.
    pub(crate) id: u64,
    /// The thread, in the process namespace of whoever asks.
    pub(crate) thread: i32,
    /// The call's number in the x86-64 table.
    pub(crate) number: i64,
    pub(crate) arguments: [u64; 6],
    /// The address behind the call's instruction.
    pub(crate) instruction: u64,
}

/// Hands the processor to the thread that an answer wakes (Linux 6.6); older kernels refuse,
/// which costs some time and nothing else.
pub(crate) fn wake_synchronously(listener: &impl AsFd) {
    const SYNC_WAKE_UP: usize = 1;
    let fd = listener.as_fd().as_raw_fd();
    // SAFETY: this ioctl takes its flags by value.
    let _ = unsafe {
        call!(
            libc::SYS_ioctl,
            fd,
            libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS,
            SYNC_WAKE_UP
        )
    };
}

/// Takes the next trapped call; `ENOENT` if its thread was killed meanwhile.
pub(crate) fn next_notification(listener: &impl AsFd) -> Result<Notification> {
    // SAFETY: an all-zero notification is valid, and what the kernel demands.
    let mut raw: libc::seccomp_notif = unsafe { core::mem::zeroed() };
    let fd = listener.as_fd().as_raw_fd();
    // SAFETY: the structure is writable and of the size that the ioctl's number states.
    unsafe {
        call!(
            libc::SYS_ioctl,
            fd,
            libc::SECCOMP_IOCTL_NOTIF_RECV,
            &raw mut raw
        )
    }?;
    Ok(Notification {
        id: raw.id,
        thread: raw.pid as i32,
        number: raw.data.nr.into(),
        arguments: raw.data.args,
        instruction: raw.data.instruction_pointer,
    })
}

/// Ends a trapped call with a value, an error (`value` is then ignored), or by letting the
/// kernel do it. The thread may be gone; nobody is left to care then.
pub(crate) fn answer(listener: &impl AsFd, id: u64, value: i64, error: i32, proceed: bool) {
    let flags = if proceed {
        libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32
    } else {
        0
    };
    let response = libc::seccomp_notif_resp {
        id,
        val: if error == 0 { value } else { 0 },
        error: -error,
        flags,
    };
    let fd = listener.as_fd().as_raw_fd();
    // SAFETY: the structure is of the size that the ioctl's number states; it is only read.
    let _ = unsafe {
        call!(
            libc::SYS_ioctl,
            fd,
            libc::SECCOMP_IOCTL_NOTIF_SEND,
            &raw const response
        )
    };
}

/// Whether a trapped call still waits for its answer: its thread may have been killed.
pub(crate) fn is_waiting(listener: &impl AsFd, id: u64) -> bool {
    let fd = listener.as_fd().as_raw_fd();
    // SAFETY: the ioctl reads one word.
    unsafe {
        call!(
            libc::SYS_ioctl,
            fd,
            libc::SECCOMP_IOCTL_NOTIF_ID_VALID,
            &raw const id
        )
    }
    .is_ok()
}

/// Puts a copy of a descriptor into the waiting process; its number there is the call's
/// answer.
pub(crate) fn answer_with_descriptor(
    listener: &impl AsFd,
    id: u64,
    descriptor: &impl AsFd,
    close_on_exec: bool,
) -> Result<()> {
    let request = libc::seccomp_notif_addfd {
        id,
        flags: libc::SECCOMP_ADDFD_FLAG_SEND as u32,
        srcfd: descriptor.as_fd().as_raw_fd() as u32,
        newfd: 0,
        newfd_flags: if close_on_exec {
            libc::O_CLOEXEC as u32
        } else {
            0
        },
    };
    let fd = listener.as_fd().as_raw_fd();
    // SAFETY: the structure is of the size that the ioctl's number states; it is only read.
    unsafe {
        call!(
            libc::SYS_ioctl,
            fd,
            libc::SECCOMP_IOCTL_NOTIF_ADDFD,
            &raw const request
        )
    }
    .map(drop)
}

/// Reads a process's memory; fewer bytes than asked for if the rest is not mapped.
pub(crate) fn read_memory(process: i32, address: u64, buffer: &mut [u8]) -> Result<usize> {
    let local = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    let remote = libc::iovec {
        iov_base: address as usize as *mut _,
        iov_len: buffer.len(),
    };
    // SAFETY: the local part is the exclusive slice; the remote address means memory of the
    // other process, where the kernel checks it.
    unsafe {
        call!(
            libc::SYS_process_vm_readv,
            process,
            &raw const local,
            1,
            &raw const remote,
            1,
            0
        )
    }
}

/// Writes to a process's writable memory; `EFAULT` unless all of it could be written.
pub(crate) fn write_memory(process: i32, address: u64, bytes: &[u8]) -> Result<()> {
    let local = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let remote = libc::iovec {
        iov_base: address as usize as *mut _,
        iov_len: bytes.len(),
    };
    // SAFETY: the local part is only read; the remote address means memory of the other
    // process, where the kernel checks it.
    let written = unsafe {
        call!(
            libc::SYS_process_vm_writev,
            process,
            &raw const local,
            1,
            &raw const remote,
            1,
            0
        )
    }?;
    if written == bytes.len() {
        Ok(())
    } else {
        Err(Errno(libc::EFAULT))
    }
}

/// Makes this thread's file accesses those of another user, who has no capability over files.
/// Lasts as long as the thread.
pub(crate) fn take_file_user(id: u32) {
    // SAFETY: neither call takes a pointer. Both answer the old id, never an error; the group
    // goes first because the user's change gives up the right to it.
    unsafe {
        let _ = call!(libc::SYS_setfsgid, id);
        let _ = call!(libc::SYS_setfsuid, id);
    }
}

/// The first bytes of this process's own vDSO, or nothing if the kernel maps none.
pub(crate) fn own_vdso(length: usize) -> Vec<u8> {
    // SAFETY: getauxval takes no pointer.
    let base = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) };
    let mut image = vec![0; length];
    if base == 0 {
        return Vec::new();
    }
    // Through the kernel, so that an image shorter than `length` ends the copy and no more.
    let process = rustix::process::getpid().as_raw_nonzero().get();
    let read = read_memory(process, base, &mut image).unwrap_or(0);
    image.truncate(read);
    image
}
