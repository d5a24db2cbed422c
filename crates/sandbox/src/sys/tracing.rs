//! `ptrace(2)`: one thread held for a moment ([`Held`]), or every thread of a step for as long as
//! it lives. A request is only taken from the thread of ours that seized, so the two never mix.
//! Called by the parent's threads only, never between fork and execute.

use super::{Errno, Result, call, syscall};

/// `ptrace(2)` of one thread, with the two words that a request takes.
///
/// # Safety
/// The words must be valid for what the request does with them.
unsafe fn trace(request: u32, thread: i32, address: usize, data: usize) -> Result<()> {
    // SAFETY: the caller vouches for the words.
    unsafe { call!(libc::SYS_ptrace, request, thread, address, data) }.map(drop)
}

/// A thread that is about to stop on its way out of the kernel. It goes on when this is dropped.
pub(crate) struct Held {
    thread: i32,
}

impl Held {
    /// Makes a thread stop as soon as the system call that it is in has ended or is about to be
    /// restarted. The thread must be waiting for an answer, and the same thread of ours must
    /// hold it until the end.
    pub(crate) fn seize(thread: i32) -> Result<Self> {
        // SAFETY: neither request takes a pointer.
        unsafe {
            trace(libc::PTRACE_SEIZE, thread, 0, 0)?;
            let held = Self { thread };
            trace(libc::PTRACE_INTERRUPT, thread, 0, 0)?;
            Ok(held)
        }
    }

    /// Waits until it has stopped; false if it is gone.
    pub(crate) fn has_stopped(&self) -> bool {
        wait_traced(self.thread, 0).is_ok_and(|(_, status)| libc::WIFSTOPPED(status))
    }

    /// Sets what the call returns, now that the thread has stopped behind it.
    pub(crate) fn set_result(&self, value: i64) {
        set_result(self.thread, value);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: takes no pointer; the last word is the signal to deliver: none. It fails if
        // the thread has not stopped, which `has_stopped` has waited for, or is gone.
        let _ = unsafe { trace(libc::PTRACE_DETACH, self.thread, 0, 0) };
    }
}

/// What happens to a thread that is traced for good.
const OPTIONS: i32 = libc::PTRACE_O_EXITKILL
    | libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_TRACESECCOMP;

/// Why a traced thread stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It does not: it is gone.
    Ended,
    /// This signal is about to be delivered.
    Signal(i32),
    /// Its process was stopped by a signal and waits for `SIGCONT`.
    Group,
    /// It begins, was interrupted, or was continued.
    Passing,
    /// It has started another, and goes on when it may.
    Started,
    /// It executes another program; its number may have changed.
    Executed,
    /// The filter leaves the call that it makes to the tracer.
    CallBegins,
    /// The call that it was let into has ended.
    CallEnds,
}

impl Stop {
    /// Decodes a wait status (ptrace(2), "Stopped states").
    fn from_status(status: i32) -> Self {
        const CALL: i32 = libc::SIGTRAP | 0x80;
        if !libc::WIFSTOPPED(status) {
            return Self::Ended;
        }
        let signal = libc::WSTOPSIG(status);
        match (status >> 16, signal) {
            (0, CALL) => Self::CallEnds,
            (0, signal) => Self::Signal(signal),
            (libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE, _) => {
                Self::Started
            }
            (libc::PTRACE_EVENT_EXEC, _) => Self::Executed,
            (libc::PTRACE_EVENT_SECCOMP, _) => Self::CallBegins,
            (
                libc::PTRACE_EVENT_STOP,
                libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU,
            ) => Self::Group,
            _ => Self::Passing,
        }
    }
}

/// Traces a thread and everything that it starts, from now on; the kernel kills them all if the
/// calling thread ends before them.
pub(crate) fn seize(thread: i32) -> Result<()> {
    // SAFETY: takes no pointer; the last word is the options.
    unsafe { trace(libc::PTRACE_SEIZE, thread, 0, OPTIONS as usize) }
}

/// Waits for any thread that the calling thread traces. An error if there is none left.
pub(crate) fn next_stop() -> Result<(i32, Stop)> {
    // Not those of other threads, nor their children.
    wait_traced(-1, libc::__WNOTHREAD).map(|(thread, status)| (thread, Stop::from_status(status)))
}

fn wait_traced(thread: i32, flags: i32) -> Result<(i32, i32)> {
    let mut status = 0_i32;
    loop {
        // SAFETY: the status is a writable word; no resource usage is asked for.
        let waited = unsafe {
            call!(
                libc::SYS_wait4,
                thread as isize,
                &raw mut status,
                libc::__WALL | flags,
                0
            )
        };
        match waited {
            Err(Errno(libc::EINTR)) => {}
            other => return other.map(|thread| (thread as i32, status)),
        }
    }
}

/// How a stopped thread goes on. If it is gone, nobody is left to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Onward {
    /// With this signal, or none: 0.
    Run(i32),
    /// To the end of the call that it is about to make.
    ThroughCall,
    /// Not: it stays stopped until its process is continued.
    Listen,
}

pub(crate) fn go_on(thread: i32, onward: Onward) {
    let (request, data) = match onward {
        Onward::Run(signal) => (libc::PTRACE_CONT, signal),
        Onward::ThroughCall => (libc::PTRACE_SYSCALL, 0),
        Onward::Listen => (libc::PTRACE_LISTEN, 0),
    };
    // SAFETY: no request takes a pointer; the last word is a signal.
    let _ = unsafe { trace(request, thread, 0, data as usize) };
}

/// A stopped thread will stop again soon, in the call that it is let into if that waits.
pub(crate) fn interrupt(thread: i32) {
    // SAFETY: takes no pointer.
    let _ = unsafe { trace(libc::PTRACE_INTERRUPT, thread, 0, 0) };
}

/// Sends a thread the one signal that it can neither block nor ignore and that need not end it.
/// Whoever traces it has to take it away again.
pub(crate) fn send_stop(process: i32, thread: i32) -> Result<()> {
    // SAFETY: takes no pointer.
    unsafe { call!(libc::SYS_tgkill, process, thread, libc::SIGSTOP) }.map(drop)
}

/// The thread that a thread has started, or the number that it had before it executed.
pub(crate) fn other_thread(thread: i32) -> Result<i32> {
    let mut message = 0_u64;
    // SAFETY: the request writes one word.
    unsafe {
        trace(
            libc::PTRACE_GETEVENTMSG,
            thread,
            0,
            &raw mut message as usize,
        )
    }?;
    Ok(message as i32)
}

/// Whether the signal that a thread has stopped for is the kernel's answer to an instruction
/// that is forbidden, not to an address, nor another program's doing.
pub(crate) fn is_forbidden_instruction(thread: i32) -> bool {
    // SAFETY: an all-zero siginfo is valid: integers.
    let mut signal: libc::siginfo_t = unsafe { core::mem::zeroed() };
    // SAFETY: the request writes one siginfo.
    let read = unsafe { trace(libc::PTRACE_GETSIGINFO, thread, 0, &raw mut signal as usize) };
    read.is_ok() && signal.si_code == libc::SI_KERNEL
}

pub(crate) fn registers(thread: i32) -> Result<libc::user_regs_struct> {
    // SAFETY: all-zero registers are valid: integers.
    let mut registers: libc::user_regs_struct = unsafe { core::mem::zeroed() };
    let place = &raw mut registers as usize;
    // SAFETY: the request writes one such structure.
    unsafe { trace(libc::PTRACE_GETREGS, thread, 0, place) }?;
    Ok(registers)
}

pub(crate) fn set_registers(thread: i32, registers: &libc::user_regs_struct) {
    let place = std::ptr::from_ref(registers) as usize;
    // SAFETY: the request reads one such structure. It fails if the thread is gone.
    let _ = unsafe { trace(libc::PTRACE_SETREGS, thread, 0, place) };
}

/// Sets what the call that a thread has stopped behind returns.
pub(crate) fn set_result(thread: i32, value: i64) {
    // The register's place in the kernel's `struct user`.
    const RAX: usize = 80;
    // SAFETY: the request takes a place in the thread's registers and a value.
    let _ = unsafe { trace(libc::PTRACE_POKEUSER, thread, RAX, value as usize) };
}

/// Eight bytes of a stopped thread's code, which it may be forbidden to read itself.
pub(crate) fn code_word(thread: i32, address: u64) -> Result<[u8; 8]> {
    let mut word = [0; 8];
    // SAFETY: the address is the other process's, where the kernel checks it; the request writes
    // one word.
    unsafe {
        trace(
            libc::PTRACE_PEEKTEXT,
            thread,
            address as usize,
            word.as_mut_ptr() as usize,
        )
    }?;
    Ok(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_are_told_apart() {
        let stopped = |event: i32, signal: i32| event << 16 | signal << 8 | 0x7f;
        for (status, stop) in [
            (0, Stop::Ended),
            (7 << 8, Stop::Ended),
            (libc::SIGKILL, Stop::Ended),
            (stopped(0, libc::SIGSEGV), Stop::Signal(libc::SIGSEGV)),
            (stopped(0, libc::SIGTRAP), Stop::Signal(libc::SIGTRAP)),
            (stopped(0, libc::SIGSTOP), Stop::Signal(libc::SIGSTOP)),
            (stopped(0, libc::SIGTRAP | 0x80), Stop::CallEnds),
            (stopped(libc::PTRACE_EVENT_STOP, libc::SIGTSTP), Stop::Group),
            (
                stopped(libc::PTRACE_EVENT_STOP, libc::SIGTRAP),
                Stop::Passing,
            ),
            (
                stopped(libc::PTRACE_EVENT_VFORK, libc::SIGTRAP),
                Stop::Started,
            ),
            (
                stopped(libc::PTRACE_EVENT_EXEC, libc::SIGTRAP),
                Stop::Executed,
            ),
            (
                stopped(libc::PTRACE_EVENT_SECCOMP, libc::SIGTRAP),
                Stop::CallBegins,
            ),
        ] {
            assert_eq!(Stop::from_status(status), stop, "{status:x}");
        }
    }
}
