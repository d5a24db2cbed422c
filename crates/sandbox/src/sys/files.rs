//! System calls on files and descriptors.

use core::ffi::CStr;
use std::os::fd::RawFd;

use super::{Result, call, syscall};

pub(crate) fn read(fd: RawFd, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: the buffer is valid for writes of its length.
    unsafe { call!(libc::SYS_read, fd, buffer.as_mut_ptr(), buffer.len()) }
}

pub(crate) fn write(fd: RawFd, bytes: &[u8]) -> Result<usize> {
    // SAFETY: the slice is valid for reads of its length.
    unsafe { call!(libc::SYS_write, fd, bytes.as_ptr(), bytes.len()) }
}

pub(crate) fn open(directory: RawFd, path: &CStr, flags: i32, mode: u32) -> Result<RawFd> {
    // SAFETY: the path is terminated.
    let fd = unsafe { call!(libc::SYS_openat, directory, path.as_ptr(), flags, mode) }?;
    Ok(fd as RawFd)
}

pub(crate) fn close(fd: RawFd) {
    // SAFETY: takes no pointer. Only descriptors of this module's callers come here.
    let _ = unsafe { call!(libc::SYS_close, fd) };
}

/// How many bytes a pipe holds that is made now.
pub(crate) fn new_pipe_bytes() -> Result<usize> {
    let mut ends = [-1_i32; 2];
    // SAFETY: the kernel writes the two words of `ends`; the other call takes no pointer.
    unsafe {
        call!(libc::SYS_pipe2, ends.as_mut_ptr(), libc::O_CLOEXEC)?;
        let size = call!(libc::SYS_fcntl, ends[0], libc::F_GETPIPE_SZ);
        ends.into_iter().for_each(close);
        size
    }
}

pub(crate) fn close_range(first: RawFd, last: RawFd) -> Result<()> {
    // SAFETY: takes no pointer.
    unsafe { call!(libc::SYS_close_range, first, last, 0) }.map(drop)
}

pub(crate) fn duplicate_onto(from: RawFd, onto: RawFd, flags: i32) -> Result<()> {
    // SAFETY: takes no pointer.
    unsafe { call!(libc::SYS_dup3, from, onto, flags) }.map(drop)
}

pub(crate) fn make_directory(path: &CStr, mode: u32) -> Result<()> {
    // SAFETY: the path is terminated.
    unsafe { call!(libc::SYS_mkdirat, libc::AT_FDCWD, path.as_ptr(), mode) }.map(drop)
}

pub(crate) fn make_link(target: &CStr, path: &CStr) -> Result<()> {
    // SAFETY: both strings are terminated.
    unsafe {
        call!(
            libc::SYS_symlinkat,
            target.as_ptr(),
            libc::AT_FDCWD,
            path.as_ptr()
        )
    }
    .map(drop)
}

/// Sets access and modification time of the path itself, link or not.
pub(crate) fn set_times(path: &CStr, seconds: i64) -> Result<()> {
    let times = [libc::timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    }; 2];
    let flags = libc::AT_SYMLINK_NOFOLLOW;
    // SAFETY: the path is terminated, the array holds the two times that the call reads.
    unsafe {
        call!(
            libc::SYS_utimensat,
            libc::AT_FDCWD,
            path.as_ptr(),
            times.as_ptr(),
            flags
        )
    }
    .map(drop)
}

pub(crate) fn change_directory(path: &CStr) -> Result<()> {
    // SAFETY: the path is terminated.
    unsafe { call!(libc::SYS_chdir, path.as_ptr()) }.map(drop)
}

pub(crate) fn change_directory_to(fd: RawFd) -> Result<()> {
    // SAFETY: takes no pointer.
    unsafe { call!(libc::SYS_fchdir, fd) }.map(drop)
}

/// Whether the other end of a pipe is closed.
pub(crate) fn is_hung_up(fd: RawFd) -> bool {
    let mut watched = libc::pollfd {
        fd,
        events: 0,
        revents: 0,
    };
    // SAFETY: one writable pollfd, as the count says; a timeout of 0 does not wait.
    let ready = unsafe { call!(libc::SYS_poll, &raw mut watched, 1, 0) };
    matches!(ready, Ok(1..)) && watched.revents & (libc::POLLHUP | libc::POLLERR) != 0
}

/// The most descriptors that one message carries here.
pub(crate) const DESCRIPTORS_MAX: usize = 8;

/// Flags by which the filter knows the message that hands its own listener over, which nobody could
/// answer if it trapped. The second means nothing to a local socket and next to nothing to others.
pub(crate) const HAND_OVER: i32 = libc::MSG_NOSIGNAL | libc::MSG_CONFIRM;

/// Sends bytes and open descriptors over a local socket (unix(7), `SCM_RIGHTS`).
pub(crate) fn send_descriptors(socket: RawFd, bytes: &[u8], descriptors: &[RawFd]) -> Result<()> {
    #[repr(C)]
    struct Control {
        header: libc::cmsghdr,
        descriptors: [RawFd; DESCRIPTORS_MAX],
    }
    let count = descriptors.len().min(DESCRIPTORS_MAX);
    let length = size_of::<libc::cmsghdr>() + count * size_of::<RawFd>();
    let mut control = Control {
        header: libc::cmsghdr {
            cmsg_len: length,
            cmsg_level: libc::SOL_SOCKET,
            cmsg_type: libc::SCM_RIGHTS,
        },
        descriptors: [0; DESCRIPTORS_MAX],
    };
    for (slot, descriptor) in control.descriptors.iter_mut().zip(descriptors) {
        *slot = *descriptor;
    }
    let mut part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: an all-zero msghdr is valid: integers and null pointers.
    let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = length;
    // SAFETY: the message points to live structures whose lengths it states; the kernel only
    // reads them.
    unsafe { call!(libc::SYS_sendmsg, socket, &raw const message, HAND_OVER) }.map(drop)
}
