//! System calls, made directly: what runs between fork and execute may use neither the
//! allocator nor a C library (another thread may have held their locks), and it shares
//! its thread-local storage with nobody it knows of, so `errno` is not available either.
//!
//! x86-64 Linux ABI (System V ABI, AMD64 supplement, appendix A.2). Absent on purpose:
//! everything that the parent does before and after; it uses rustix.

use core::arch::asm;
use core::ffi::{CStr, c_char, c_void};
use std::os::fd::RawFd;

/// An error number of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) i32);

pub(crate) type Result<T> = core::result::Result<T, Errno>;

/// One system call.
///
/// # Safety
/// Every argument that the call takes as a pointer must be valid for what the call does.
unsafe fn syscall(number: i64, arguments: [usize; 6]) -> Result<usize> {
    let result: isize;
    // SAFETY: the register assignment is the kernel's ABI; the kernel changes rcx, r11,
    // rax and memory reachable from the arguments only, for which the caller vouches.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            in("r8") arguments[4],
            in("r9") arguments[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    if (-4095..0).contains(&result) {
        // In range, so it fits.
        Err(Errno(-result as i32))
    } else {
        Ok(result as usize)
    }
}

/// Passes up to six values of any integer or pointer type.
macro_rules! call {
    ($number:expr $(, $argument:expr)* $(,)?) => {{
        let given = [$($argument as usize),*];
        let mut arguments = [0_usize; 6];
        let mut next = 0;
        while next < given.len() {
            arguments[next] = given[next];
            next += 1;
        }
        syscall($number, arguments)
    }};
}

/// Forks without running any handler of the C library. Returns 0 in the child, which then
/// must call nothing but this module until it exits.
///
/// # Safety
/// `flags` must hold neither `CLONE_VM` nor `CLONE_SETTLS`; the child must not return into
/// code that allocates, locks or unwinds.
pub(crate) unsafe fn fork(flags: i32) -> Result<i32> {
    // SAFETY: without CLONE_VM the child has its own copy of this stack; null pointers are
    // not followed without the flags that ask for it.
    let pid = unsafe { call!(libc::SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0) }?;
    Ok(pid as i32)
}

/// Starts a process that shares this one's memory on a stack of its own.
///
/// # Safety
/// `flags` must hold `CLONE_VM`; `stack_top` must be 16-byte aligned, the end of a region
/// that nobody else uses while the child lives; `argument` must outlive the child.
pub(crate) unsafe fn clone_onto(
    stack_top: *mut u8,
    flags: i32,
    entry: extern "C" fn(*const c_void) -> !,
    argument: *const c_void,
) -> Result<i32> {
    let result: isize;
    // SAFETY: the parent's half is a plain system call. The child starts at the label's
    // fall-through with the new stack and the parent's registers, calls `entry`, which
    // never returns, and so never touches the parent's frame.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone as isize => result,
            in("rdi") (flags | libc::SIGCHLD) as usize,
            in("rsi") stack_top,
            in("rdx") 0_usize,
            in("r10") 0_usize,
            in("r8") 0_usize,
            in("r12") entry,
            in("r13") argument,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    if result < 0 {
        Err(Errno(-result as i32))
    } else {
        Ok(result as i32)
    }
}

pub(crate) fn exit(code: i32) -> ! {
    loop {
        // SAFETY: takes no pointer and does not return.
        let _ = unsafe { call!(libc::SYS_exit_group, code) };
    }
}

pub(crate) fn execute(
    program: &CStr,
    argv: *const *const c_char,
    envp: *const *const c_char,
) -> Errno {
    // SAFETY: `program` is terminated; the plan keeps both arrays, null-terminated, and the
    // strings they point to until the process is replaced.
    match unsafe { call!(libc::SYS_execve, program.as_ptr(), argv, envp) } {
        Err(errno) => errno,
        Ok(_) => Errno(libc::EINVAL),
    }
}

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

pub(crate) fn close_from(first: RawFd) -> Result<()> {
    // SAFETY: takes no pointer.
    unsafe { call!(libc::SYS_close_range, first, u32::MAX, 0) }.map(drop)
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

pub(crate) fn set_umask(mask: u32) -> u32 {
    // SAFETY: takes no pointer; never fails.
    unsafe { call!(libc::SYS_umask, mask) }.map_or(mask, |old| old as u32)
}

pub(crate) fn new_session() -> Result<()> {
    // SAFETY: takes no pointer.
    unsafe { call!(libc::SYS_setsid) }.map(drop)
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
    let mut users = [0_u32; 3];
    let mut groups = [0_u32; 3];
    let [ruid, euid, suid] = &mut users;
    let [rgid, egid, sgid] = &mut groups;
    // SAFETY: six distinct writable words.
    let read = unsafe {
        call!(
            libc::SYS_getresuid,
            ruid as *mut u32,
            euid as *mut u32,
            suid as *mut u32
        )
        .is_ok()
            && call!(
                libc::SYS_getresgid,
                rgid as *mut u32,
                egid as *mut u32,
                sgid as *mut u32
            )
            .is_ok()
    };
    read && users == [id; 3] && groups == [id; 3]
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

/// Waits for any child; the process id, the wait status and its largest resident set in KiB.
pub(crate) fn wait_any() -> Result<(i32, i32, i64)> {
    let mut status = 0_i32;
    // SAFETY: an all-zero rusage is valid: it is integers.
    let mut usage: libc::rusage = unsafe { core::mem::zeroed() };
    loop {
        // SAFETY: both out-parameters are writable and of the expected type.
        let waited = unsafe {
            call!(
                libc::SYS_wait4,
                -1_isize,
                &raw mut status,
                0,
                &raw mut usage
            )
        };
        match waited {
            Err(Errno(libc::EINTR)) => {}
            Err(errno) => return Err(errno),
            Ok(pid) => return Ok((pid as i32, status, usage.ru_maxrss)),
        }
    }
}

/// `prctl` with integer arguments only.
pub(crate) fn process_control(option: i32, value: usize) -> Result<usize> {
    // SAFETY: every option used in this crate takes integers in these places.
    unsafe { call!(libc::SYS_prctl, option, value, 0, 0, 0) }
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

pub(crate) fn install_filter(instructions: &[libc::sock_filter]) -> Result<()> {
    let program = FilterProgram {
        length: instructions.len() as u16,
        instructions: instructions.as_ptr(),
    };
    // SAFETY: the kernel copies the program during the call; length and pointer agree, and
    // the filter's builder keeps it below 4096 instructions.
    unsafe {
        call!(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &raw const program
        )
    }
    .map(drop)
}

/// The kernel's own idea of a signal action, which is not the C library's.
#[repr(C)]
struct KernelSigaction {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

pub(crate) fn reset_signal_handlers() {
    let default = KernelSigaction {
        handler: libc::SIG_DFL,
        flags: 0,
        restorer: 0,
        mask: 0,
    };
    for signal in 1..=64 {
        // SAFETY: the structure has the kernel's layout and 8 is the size of its mask. The
        // calls for SIGKILL and SIGSTOP fail, which is as good.
        let _ = unsafe { call!(libc::SYS_rt_sigaction, signal, &raw const default, 0, 8) };
    }
}

/// Sets the mask of blocked signals and returns the old one.
pub(crate) fn set_signal_mask(mask: u64) -> u64 {
    let mut old = 0_u64;
    // SAFETY: both masks are eight bytes, which is the size stated.
    let _ = unsafe {
        call!(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            &raw mut old,
            8
        )
    };
    old
}

pub(crate) fn set_resource_limit(resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = [soft, hard];
    // SAFETY: the kernel reads the two words of `limit`; null means no old value wanted.
    unsafe { call!(libc::SYS_prlimit64, 0, resource, limit.as_ptr(), 0) }.map(drop)
}

pub(crate) fn set_personality(personality: usize) -> Result<()> {
    // SAFETY: takes no pointer.
    unsafe { call!(libc::SYS_personality, personality) }.map(drop)
}

pub(crate) fn process_id() -> i32 {
    // SAFETY: takes no pointer; never fails.
    unsafe { call!(libc::SYS_getpid) }.map_or(0, |pid| pid as i32)
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
    unsafe {
        call!(
            libc::SYS_sendmsg,
            socket,
            &raw const message,
            libc::MSG_NOSIGNAL
        )
    }
    .map(drop)
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

const FSCONFIG_SET_FLAG: u32 = 0;
const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CREATE: u32 = 6;

/// A new file system of the named type, not attached anywhere. An option without a value is
/// a flag.
pub(crate) fn new_file_system(
    kind: &CStr,
    options: &[(&CStr, &CStr)],
    attributes: u64,
) -> Result<RawFd> {
    // SAFETY: the string is terminated.
    let context = unsafe { call!(libc::SYS_fsopen, kind.as_ptr(), libc::FSOPEN_CLOEXEC) }? as RawFd;
    let configured = options.iter().try_for_each(|(key, value)| {
        let (command, pointer) = if value.is_empty() {
            (FSCONFIG_SET_FLAG, core::ptr::null())
        } else {
            (FSCONFIG_SET_STRING, value.as_ptr())
        };
        // SAFETY: both strings are terminated; a flag takes no value.
        unsafe {
            call!(
                libc::SYS_fsconfig,
                context,
                command,
                key.as_ptr(),
                pointer,
                0
            )
        }
        .map(drop)
    });
    let mounted = configured.and_then(|()| {
        // SAFETY: neither call takes a pointer here.
        unsafe {
            call!(libc::SYS_fsconfig, context, FSCONFIG_CREATE, 0, 0, 0)?;
            call!(
                libc::SYS_fsmount,
                context,
                libc::FSMOUNT_CLOEXEC,
                attributes
            )
        }
    });
    close(context);
    mounted.map(|fd| fd as RawFd)
}

/// A detached copy of the mounts at and below a path, which is not followed if it is a link.
pub(crate) fn copy_tree(directory: RawFd, path: &CStr) -> Result<RawFd> {
    let flags = libc::OPEN_TREE_CLONE as i32
        | libc::OPEN_TREE_CLOEXEC as i32
        | libc::AT_RECURSIVE
        | libc::AT_SYMLINK_NOFOLLOW;
    // SAFETY: the path is terminated.
    let fd = unsafe { call!(libc::SYS_open_tree, directory, path.as_ptr(), flags) }?;
    Ok(fd as RawFd)
}

/// How far [`restrict`] reaches.
#[derive(Clone, Copy)]
pub(crate) enum Reach {
    /// One mount.
    Mount,
    /// A mount and all mounts below it.
    Tree,
}

/// Sets attributes on open mounts.
pub(crate) fn restrict(fd: RawFd, reach: Reach, attributes: u64) -> Result<()> {
    let change = libc::mount_attr {
        attr_set: attributes,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let flags = match reach {
        Reach::Mount => libc::AT_EMPTY_PATH,
        Reach::Tree => libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
    };
    let size = size_of::<libc::mount_attr>();
    // SAFETY: an empty terminated path and a structure of the stated size.
    unsafe {
        call!(
            libc::SYS_mount_setattr,
            fd,
            c"".as_ptr(),
            flags,
            &raw const change,
            size
        )
    }
    .map(drop)
}

/// Attaches a detached tree at a path below the working directory.
pub(crate) fn attach(tree: RawFd, path: &CStr) -> Result<()> {
    let flags = libc::MOVE_MOUNT_F_EMPTY_PATH;
    let here = libc::AT_FDCWD;
    // SAFETY: both paths are terminated.
    unsafe {
        call!(
            libc::SYS_move_mount,
            tree,
            c"".as_ptr(),
            here,
            path.as_ptr(),
            flags
        )
    }
    .map(drop)
}

/// Attaches a detached tree over an open directory.
pub(crate) fn attach_over(tree: RawFd, directory: RawFd) -> Result<()> {
    let flags = libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH;
    // SAFETY: both paths are terminated.
    unsafe {
        call!(
            libc::SYS_move_mount,
            tree,
            c"".as_ptr(),
            directory,
            c"".as_ptr(),
            flags
        )
    }
    .map(drop)
}

/// Cuts every mount off from the host's: nothing propagates either way.
pub(crate) fn make_mounts_private() -> Result<()> {
    let flags = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: the target is terminated; the kernel ignores source, type and data here.
    unsafe { call!(libc::SYS_mount, 0, c"/".as_ptr(), 0, flags, 0) }.map(drop)
}

/// Makes the working directory's mount the root and detaches the old root.
pub(crate) fn swap_root() -> Result<()> {
    let here = c".".as_ptr();
    // SAFETY: both paths are terminated. pivot_root(".", ".") stacks the old root on the new
    // one (pivot_root(2), NOTES), so that detaching "." takes the old one away.
    unsafe {
        call!(libc::SYS_pivot_root, here, here)?;
        call!(libc::SYS_umount2, here, libc::MNT_DETACH)?;
    }
    change_directory(c"/")
}

/// Whether the file system mounted at the path is read-only.
pub(crate) fn is_read_only(path: &CStr) -> bool {
    // The kernel's struct statfs: fifteen words on this architecture, the flags eleventh.
    let mut answer = [0_u64; 15];
    // SAFETY: the path is terminated, the array writable and of the structure's size.
    let read = unsafe { call!(libc::SYS_statfs, path.as_ptr(), answer.as_mut_ptr()) };
    read.is_ok() && answer[10] & libc::ST_RDONLY != 0
}
