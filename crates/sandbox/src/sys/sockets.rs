//! Pairs of connected local sockets (unix(7)).

use std::os::fd::RawFd;

use super::{Result, call, syscall};

/// A pair of connected stream sockets of the calling process's network namespace, which programs
/// executed by other threads do not inherit.
pub(crate) fn socket_pair() -> Result<[RawFd; 2]> {
    let mut pair = [-1; 2];
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    // SAFETY: the kernel writes two descriptors, for which there is room.
    unsafe {
        call!(
            libc::SYS_socketpair,
            libc::AF_UNIX,
            kind,
            0,
            pair.as_mut_ptr()
        )
    }?;
    Ok(pair)
}

/// From now on reading from a socket waits until all is there that was asked for (`SO_RCVLOWAT`).
pub(crate) fn read_whole(socket: RawFd) -> Result<()> {
    let low_water = i32::MAX;
    // SAFETY: the kernel reads an integer of the size stated.
    unsafe {
        call!(
            libc::SYS_setsockopt,
            socket,
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            &raw const low_water,
            size_of::<i32>()
        )
    }
    .map(drop)
}
