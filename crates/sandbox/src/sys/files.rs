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

/// Which file of which file system it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

pub(crate) fn identity(fd: RawFd) -> Result<Identity> {
    // SAFETY: an all-zero stat is valid: it is integers.
    let mut status: libc::stat = unsafe { core::mem::zeroed() };
    // SAFETY: the structure is writable and of the size that the call fills.
    unsafe { call!(libc::SYS_fstat, fd, &raw mut status) }?;
    Ok(Identity {
        device: status.st_dev,
        inode: status.st_ino,
    })
}

pub(crate) fn close(fd: RawFd) {
    // SAFETY: takes no pointer. Only descriptors of this module's callers come here.
    let _ = unsafe { call!(libc::SYS_close, fd) };
}

/// How many bytes a pipe holds that is made now.
pub(crate) fn new_pipe_bytes() -> Result<usize> {
    let ends = pipe()?;
    // SAFETY: takes no pointer.
    let size = unsafe { call!(libc::SYS_fcntl, ends[0], libc::F_GETPIPE_SZ) };
    ends.into_iter().for_each(close);
    size
}

pub(crate) fn close_range(first: RawFd, last: RawFd) -> Result<()> {
    // SAFETY: takes no pointer.
    unsafe { call!(libc::SYS_close_range, first, last, 0) }.map(drop)
}

/// Descriptors in this range, both ends included, close when a program is executed.
pub(crate) fn close_on_execute(first: RawFd, last: RawFd) -> Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: takes no pointer.
    unsafe { call!(libc::SYS_close_range, first, last, flags) }.map(drop)
}

pub(crate) fn pipe() -> Result<[RawFd; 2]> {
    let mut ends = [-1; 2];
    // SAFETY: the kernel writes two descriptors, for which there is room.
    unsafe { call!(libc::SYS_pipe2, ends.as_mut_ptr(), libc::O_CLOEXEC) }?;
    Ok(ends)
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
pub(crate) const DESCRIPTORS_MAX: usize = 12;

/// Flags by which the filter knows the message that hands its own listener over, which nobody could
/// answer if it trapped. The second means nothing to a local socket and next to nothing to others.
pub(crate) const HAND_OVER: i32 = libc::MSG_NOSIGNAL | libc::MSG_CONFIRM;

/// Open descriptors beside a message (unix(7), `SCM_RIGHTS`).
#[repr(C)]
struct Control {
    header: libc::cmsghdr,
    descriptors: [RawFd; DESCRIPTORS_MAX],
}

impl Control {
    fn length(count: usize) -> usize {
        size_of::<libc::cmsghdr>() + count * size_of::<RawFd>()
    }

    fn new(descriptors: &[RawFd]) -> Self {
        let count = descriptors.len().min(DESCRIPTORS_MAX);
        let mut control = Self {
            header: libc::cmsghdr {
                cmsg_len: Self::length(count),
                cmsg_level: libc::SOL_SOCKET,
                cmsg_type: libc::SCM_RIGHTS,
            },
            descriptors: [0; DESCRIPTORS_MAX],
        };
        for (slot, descriptor) in control.descriptors.iter_mut().zip(descriptors) {
            *slot = *descriptor;
        }
        control
    }
}

/// Sends bytes and open descriptors over a local socket.
pub(crate) fn send_descriptors(socket: RawFd, bytes: &[u8], descriptors: &[RawFd]) -> Result<()> {
    let mut control = Control::new(descriptors);
    let length = control.header.cmsg_len;
    let mut part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let message = message(&mut part, &mut control, length);
    // SAFETY: the message points to live structures whose lengths it states; the kernel only
    // reads them.
    unsafe { call!(libc::SYS_sendmsg, socket, &raw const message, HAND_OVER) }.map(drop)
}

/// Receives bytes, and descriptors under the lowest numbers that are free, in the order in which they
/// were sent; how many of both. They stay open when a program is executed.
pub(crate) fn receive_descriptors(socket: RawFd, bytes: &mut [u8]) -> Result<(usize, usize)> {
    let mut control = Control::new(&[]);
    let mut part = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let mut message = message(&mut part, &mut control, size_of::<Control>());
    // SAFETY: the message points to live structures whose lengths it states, and which nobody else uses.
    let received = unsafe { call!(libc::SYS_recvmsg, socket, &raw mut message, 0) }?;
    // The kernel has written both, out of the compiler's sight.
    let header = core::hint::black_box(&control).header;
    let count = if core::hint::black_box(&message).msg_controllen == 0 {
        0
    } else {
        header.cmsg_len.saturating_sub(Control::length(0)) / size_of::<RawFd>()
    };
    Ok((received, count))
}

fn message(part: &mut libc::iovec, control: &mut Control, control_length: usize) -> libc::msghdr {
    // SAFETY: an all-zero msghdr is valid: integers and null pointers.
    let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
    message.msg_iov = part;
    message.msg_iovlen = 1;
    message.msg_control = std::ptr::from_mut(control).cast();
    message.msg_controllen = control_length;
    message
}
