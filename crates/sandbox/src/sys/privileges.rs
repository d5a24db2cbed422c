//! System calls on who a process is, what it may do, and which namespaces it is in.

use core::ffi::c_char;
use std::os::fd::RawFd;

use super::{Result, call, close, open, process_id, syscall};

pub(crate) fn set_umask(mask: u32) -> u32 {
    // SAFETY: takes no pointer; never fails.
    unsafe { call!(libc::SYS_umask, mask) }.map_or(mask, |old| old as u32)
}

pub(crate) fn set_user_and_group(id: u32) -> Result<()> {
    // SAFETY: neither call takes a pointer.
    unsafe {
        call!(libc::SYS_setresgid, id, id, id)?;
        call!(libc::SYS_setresuid, id, id, id).map(drop)
    }
}

/// Whether real, effective and saved user and group are all `id`.
pub(crate) fn is_user_and_group(id: u32) -> bool {
    let mut found = [[0_u32; 3]; 2];
    for (call, ids) in [libc::SYS_getresuid, libc::SYS_getresgid]
        .into_iter()
        .zip(&mut found)
    {
        let [real, effective, saved] = ids;
        // SAFETY: three distinct writable words, which is what both calls fill.
        let answer = unsafe { call!(call, &raw mut *real, &raw mut *effective, &raw mut *saved) };
        if answer.is_err() {
            return false;
        }
    }
    found == [[id; 3]; 2]
}

pub(crate) fn drop_supplementary_groups() -> Result<()> {
    // SAFETY: a count of zero means that the null pointer is not read.
    unsafe { call!(libc::SYS_setgroups, 0, 0) }.map(drop)
}

pub(crate) fn set_host_name(name: &[u8]) -> Result<()> {
    // SAFETY: the slice is valid for reads of its length.
    unsafe { call!(libc::SYS_sethostname, name.as_ptr(), name.len()) }.map(drop)
}

pub(crate) fn set_domain_name(name: &[u8]) -> Result<()> {
    // SAFETY: the slice is valid for reads of its length.
    unsafe { call!(libc::SYS_setdomainname, name.as_ptr(), name.len()) }.map(drop)
}

pub(crate) fn host_name_is(expected: &[u8]) -> bool {
    // SAFETY: an all-zero utsname is valid: it is arrays of bytes.
    let mut names: libc::utsname = unsafe { core::mem::zeroed() };
    // SAFETY: the structure is writable and of the size that the call fills.
    if unsafe { call!(libc::SYS_uname, &raw mut names) }.is_err() {
        return false;
    }
    let shown = names
        .nodename
        .iter()
        .take_while(|c| **c != 0)
        .map(|c| *c as u8);
    shown.eq(expected.iter().copied())
}

pub(crate) fn unshare(flags: i32) -> Result<()> {
    // SAFETY: takes no pointer.
    unsafe { call!(libc::SYS_unshare, flags) }.map(drop)
}

pub(crate) fn enter_namespace(fd: RawFd, kind: i32) -> Result<()> {
    // SAFETY: takes no pointer.
    unsafe { call!(libc::SYS_setns, fd, kind) }.map(drop)
}

/// A namespace of the calling process: its file below `/proc/self/ns`, and the request of a process
/// descriptor that opens it (`PIDFD_GET_..._NAMESPACE`, `linux/pidfd.h`).
#[derive(Clone, Copy)]
pub(crate) enum Namespace {
    User,
    Mounts,
    Network,
    HostName,
    Cgroup,
    Ipc,
}

/// Opens a namespace of the calling process. Without `/proc` from Linux 6.11 on, which saves most
/// of the time: a new process has to be made visible there first.
pub(crate) fn own_namespace(namespace: Namespace) -> Result<RawFd> {
    /// `_IO(0xff, 0)`.
    const PIDFD_REQUEST: usize = 0xff00;
    let (request, path) = match namespace {
        Namespace::Cgroup => (1, c"/proc/self/ns/cgroup"),
        Namespace::Ipc => (2, c"/proc/self/ns/ipc"),
        Namespace::Mounts => (3, c"/proc/self/ns/mnt"),
        Namespace::Network => (4, c"/proc/self/ns/net"),
        Namespace::User => (9, c"/proc/self/ns/user"),
        Namespace::HostName => (10, c"/proc/self/ns/uts"),
    };
    // SAFETY: neither call takes a pointer.
    let opened = unsafe {
        call!(libc::SYS_pidfd_open, process_id(), 0).and_then(|own| {
            let opened = call!(libc::SYS_ioctl, own, PIDFD_REQUEST + request, 0);
            close(own as RawFd);
            opened
        })
    };
    match opened {
        Ok(descriptor) => Ok(descriptor as RawFd),
        Err(_) => open(-1, path, libc::O_RDONLY | libc::O_CLOEXEC, 0),
    }
}

/// `prctl` with integer arguments only.
pub(crate) fn process_control(option: i32, value: usize) -> Result<usize> {
    // SAFETY: every option used in this crate takes integers in these places.
    unsafe { call!(libc::SYS_prctl, option, value, 0, 0, 0) }
}

/// What `prctl(PR_GET_TSC)` answers for this thread.
pub(crate) fn timestamp_counter_state() -> Result<i32> {
    let mut state = 0_i32;
    // SAFETY: this option fills the word that its argument points to.
    unsafe { call!(libc::SYS_prctl, libc::PR_GET_TSC, &raw mut state, 0, 0, 0) }?;
    // The parent may have filled it, out of the compiler's sight.
    Ok(core::hint::black_box(state))
}

pub(crate) fn clear_ambient_capabilities() -> Result<()> {
    // SAFETY: takes integers only.
    unsafe {
        call!(
            libc::SYS_prctl,
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_CLEAR_ALL,
            0,
            0,
            0
        )
    }
    .map(drop)
}

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// Empties the effective, permitted and inheritable sets.
pub(crate) fn drop_capabilities() -> Result<()> {
    let header = [CAPABILITY_VERSION_3, 0];
    let sets = [0_u32; 6];
    // SAFETY: version 3 reads a header of two words and two sets of three words.
    unsafe { call!(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) }.map(drop)
}

/// Whether no set holds any capability, the bounding set included.
pub(crate) fn has_no_capabilities() -> bool {
    let mut header = [CAPABILITY_VERSION_3, 0];
    let mut sets = [u32::MAX; 6];
    // SAFETY: version 3 writes at most the header's two words and six words of sets.
    let read = unsafe { call!(libc::SYS_capget, header.as_mut_ptr(), sets.as_mut_ptr()) };
    if read.is_err() || sets != [0; 6] {
        return false;
    }
    // The kernel refuses numbers it does not know; ambient is a subset of permitted.
    (0..64).all(|capability| {
        !matches!(process_control(libc::PR_CAPBSET_READ, capability), Ok(held) if held != 0)
    })
}

/// A seccomp program as the kernel wants it.
#[repr(C)]
struct FilterProgram {
    length: u16,
    instructions: *const libc::sock_filter,
}

/// Installs a filter whose trapped calls whoever holds the returned descriptor answers. A thread
/// whose call was taken is disturbed by deadly signals only (Linux 5.19).
pub(crate) fn install_filter(instructions: &[libc::sock_filter]) -> Result<RawFd> {
    let program = FilterProgram {
        length: instructions.len() as u16,
        instructions: instructions.as_ptr(),
    };
    let flags =
        libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    // SAFETY: the kernel copies the program during the call; length and pointer agree, and
    // the filter's builder keeps it below 4096 instructions.
    let listener = unsafe {
        call!(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const program
        )
    }?;
    Ok(listener as RawFd)
}

pub(crate) fn set_resource_limit(resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = [soft, hard];
    // SAFETY: the kernel reads the two words of `limit`; null means no old value wanted.
    unsafe { call!(libc::SYS_prlimit64, 0, resource, limit.as_ptr(), 0) }.map(drop)
}

/// The hard limit of this process.
pub(crate) fn hard_resource_limit(resource: u32) -> Result<u64> {
    let mut limit = [0_u64; 2];
    // SAFETY: the kernel writes the two words of `limit`; null means that nothing is set.
    unsafe { call!(libc::SYS_prlimit64, 0, resource, 0, limit.as_mut_ptr()) }?;
    Ok(limit[1])
}

/// Raises this process's own limit as far as it may.
pub(crate) fn raise_soft_resource_limit(resource: u32) -> Result<()> {
    let mut limit = [0_u64; 2];
    // SAFETY: the kernel writes the two words of `limit`, or reads them; the other pointer is null.
    unsafe {
        call!(libc::SYS_prlimit64, 0, resource, 0, limit.as_mut_ptr())?;
        if limit[0] < limit[1] {
            limit[0] = limit[1];
            call!(libc::SYS_prlimit64, 0, resource, limit.as_ptr(), 0)?;
        }
    }
    Ok(())
}

/// Real-time processes have another timer slack; and memory is placed as by default.
pub(crate) fn leave_real_time() {
    let parameter = libc::sched_param { sched_priority: 0 };
    // SAFETY: the first call takes no pointer, the second reads the structure, the third takes a null
    // mask of no nodes.
    unsafe {
        let policy = call!(libc::SYS_sched_getscheduler, 0).unwrap_or(0) as i32;
        if matches!(
            policy & !libc::SCHED_RESET_ON_FORK,
            libc::SCHED_FIFO | libc::SCHED_RR
        ) {
            let usual = libc::SCHED_OTHER;
            let _ = call!(libc::SYS_sched_setscheduler, 0, usual, &raw const parameter);
        }
        let _ = call!(libc::SYS_set_mempolicy, libc::MPOL_DEFAULT, 0, 0);
    }
}

pub(crate) fn set_personality(personality: usize) -> Result<()> {
    // SAFETY: takes no pointer.
    unsafe { call!(libc::SYS_personality, personality) }.map(drop)
}

/// Brings the loopback device of this network namespace up.
pub(crate) fn raise_loopback() -> Result<()> {
    // SAFETY: takes no pointer.
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    let socket = unsafe { call!(libc::SYS_socket, libc::AF_INET, kind, 0) }? as RawFd;
    // SAFETY: an all-zero ifreq is valid: bytes and integers.
    let mut request: libc::ifreq = unsafe { core::mem::zeroed() };
    request.ifr_name[0] = b'l' as c_char;
    request.ifr_name[1] = b'o' as c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    // SAFETY: the request is an ifreq, which this ioctl reads.
    let raised = unsafe {
        call!(
            libc::SYS_ioctl,
            socket,
            libc::SIOCSIFFLAGS,
            &raw mut request
        )
    };
    close(socket);
    raised.map(drop)
}
