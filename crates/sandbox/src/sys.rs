//! System calls, made directly: what runs between fork and execute may use neither the
//! allocator nor a C library (another thread may have held their locks), and it shares
//! its thread-local storage with nobody it knows of, so `errno` is not available either.
//!
//! x86-64 Linux ABI (System V ABI, AMD64 supplement, appendix A.2). Absent on purpose:
//! everything that the parent does before and after; it uses rustix.

// The kernel's ABI is registers: every value becomes one, and comes out of one, by a cast.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::cast_lossless
)]

use core::arch::asm;
use core::ffi::{CStr, c_char, c_void};
use core::ptr::null_mut;
use std::os::fd::RawFd;

mod files;
mod mounts;
mod privileges;
mod sockets;
mod tracing;
mod traps;

pub(crate) use files::*;
pub(crate) use mounts::*;
pub(crate) use privileges::*;
pub(crate) use sockets::*;
pub(crate) use tracing::*;
pub(crate) use traps::*;

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
use call;

/// Starts a process that shares this one's memory on a stack of its own.
///
/// # Safety
/// As for [`clone_silently_onto`].
pub(crate) unsafe fn clone_onto(
    stack_top: *mut u8,
    flags: i32,
    entry: extern "C" fn(*const c_void) -> !,
    argument: *const c_void,
) -> Result<i32> {
    // SAFETY: the caller vouches for it.
    unsafe { clone_silently_onto(stack_top, flags | libc::SIGCHLD, entry, argument) }
}

/// The same as [`clone_silently_onto`], and a descriptor for the process (`pidfd_open(2)`), which closes
/// when a program is executed.
///
/// # Safety
/// As for [`clone_silently_onto`].
pub(crate) unsafe fn clone_watched_onto(
    stack_top: *mut u8,
    flags: i32,
    entry: extern "C" fn(*const c_void) -> !,
    argument: *const c_void,
) -> Result<(i32, RawFd)> {
    let mut process: RawFd = -1;
    let flags = flags | libc::CLONE_PIDFD;
    // SAFETY: the caller vouches for the rest; the kernel writes one descriptor.
    let pid = unsafe { clone_with(stack_top, flags, &raw mut process, entry, argument) }?;
    Ok((pid, process))
}

/// The same as [`clone_onto`], but no signal tells of its end, which is waited for with
/// [`wait_for_silent`].
///
/// # Safety
/// `stack_top` must be 16-byte aligned, the end of a region that nobody else uses while the child
/// lives, be it shared with others or not. With `CLONE_VM` in `flags` `argument` must outlive the child;
/// without, the child has a copy of what it points to, and may call nothing but functions over this module.
pub(crate) unsafe fn clone_silently_onto(
    stack_top: *mut u8,
    flags: i32,
    entry: extern "C" fn(*const c_void) -> !,
    argument: *const c_void,
) -> Result<i32> {
    // SAFETY: the caller vouches for it; without `CLONE_PIDFD` no descriptor is written.
    unsafe { clone_with(stack_top, flags, null_mut(), entry, argument) }
}

/// # Safety
/// As for [`clone_silently_onto`]; `process` must be writable if `flags` hold `CLONE_PIDFD`.
unsafe fn clone_with(
    stack_top: *mut u8,
    flags: i32,
    process: *mut RawFd,
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
            in("rdi") flags as usize,
            in("rsi") stack_top,
            in("rdx") process,
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

/// Takes memory away.
///
/// # Safety
/// Nobody may use it afterwards.
pub(crate) unsafe fn unmap(start: usize, length: usize) {
    // SAFETY: the caller vouches for it. Whole pages do not fail.
    let _ = unsafe { call!(libc::SYS_munmap, start, length) };
}

/// Ends a child that has not been waited for.
pub(crate) fn kill_child(process: i32) {
    // SAFETY: takes no pointer. The only failure is that it has ended.
    let _ = unsafe { call!(libc::SYS_kill, process, libc::SIGKILL) };
}

/// Ends a process.
pub(crate) fn kill(process: RawFd) {
    // SAFETY: without a description of the signal nothing is read. The only failure is that it is gone.
    let _ = unsafe { call!(libc::SYS_pidfd_send_signal, process, libc::SIGKILL, 0, 0) };
}

/// In the place of a process id.
pub(crate) const ALL: i32 = -1;

/// Waits for a process that was started silently; for all of them if it is [`ALL`]. An error means that
/// it is not there any more.
pub(crate) fn wait_for_silent(process: i32) {
    loop {
        // SAFETY: neither a status nor a usage is asked for.
        match unsafe { call!(libc::SYS_wait4, process, 0, libc::__WCLONE, 0) } {
            Ok(_) if process == ALL => {}
            Err(Errno(libc::EINTR)) => {}
            _ => return,
        }
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

pub(crate) fn new_session() -> Result<()> {
    // SAFETY: takes no pointer.
    unsafe { call!(libc::SYS_setsid) }.map(drop)
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

/// The kernel's own idea of a signal action, which is not the C library's.
#[repr(C)]
struct KernelSigaction {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

pub(crate) fn reset_signal_handlers() {
    (1..=64).for_each(reset_signal_handler);
}

/// What a signal does becomes the kernel's default.
pub(crate) fn reset_signal_handler(signal: i32) {
    let default = KernelSigaction {
        handler: libc::SIG_DFL,
        flags: 0,
        restorer: 0,
        mask: 0,
    };
    // SAFETY: the structure has the kernel's layout and 8 is the size of its mask. The calls for
    // SIGKILL and SIGSTOP fail, which is as good.
    let _ = unsafe { call!(libc::SYS_rt_sigaction, signal, &raw const default, 0, 8) };
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

pub(crate) fn process_id() -> i32 {
    // SAFETY: takes no pointer; never fails.
    unsafe { call!(libc::SYS_getpid) }.map_or(0, |pid| pid as i32)
}
