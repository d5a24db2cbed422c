//! The door to the kernel: system calls by their number and without the C library, forked
//! children, and memory that the kernel writes into. Beside it what no safe code can do:
//! instructions (`instructions.rs`) and functions that the kernel maps (`kernel_code.rs`).
//!
//! All unsafe code of the leak probe is in this folder: what a build could see without the
//! standard library, the probe must see, too. Absent on purpose: meaning. What is asked and what
//! an answer says is the areas' business.

#![allow(unsafe_code)] // A probe cannot see without it; each block states its invariant.

use std::cell::Cell;
use std::ffi::CStr;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

pub(crate) mod instructions;
pub(crate) mod kernel_code;

/// An error number of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) i32);

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "errno {}", self.0)
    }
}

pub(crate) type Answer = Result<u64, Errno>;

/// Zeroed memory that the kernel may write, larger than anything that the probe asks for.
pub(crate) struct Memory(Box<[Cell<u8>]>);

impl Memory {
    /// More than any structure, and than any text that is asked for by a system call.
    pub(crate) const BYTES: usize = 1 << 16;

    pub(crate) fn new() -> Self {
        Self(vec![Cell::new(0); Self::BYTES].into_boxed_slice())
    }

    /// The part that begins at `offset`, as an argument.
    pub(crate) fn at(&self, offset: usize) -> Arg<'_> {
        Arg::Memory(&self.0[offset..])
    }

    /// Where a part lies, for structures that hold pointers.
    pub(crate) fn address(&self, offset: usize) -> u64 {
        self.at(offset).value()
    }

    /// The first bytes.
    pub(crate) fn bytes(&self, length: usize) -> Vec<u8> {
        self.0.iter().take(length).map(Cell::get).collect()
    }

    pub(crate) fn array<const N: usize>(&self, offset: usize) -> [u8; N] {
        std::array::from_fn(|index| self.0[offset + index].get())
    }

    pub(crate) fn u64(&self, offset: usize) -> u64 {
        u64::from_le_bytes(self.array(offset))
    }

    pub(crate) fn i64(&self, offset: usize) -> i64 {
        i64::from_le_bytes(self.array(offset))
    }

    pub(crate) fn u32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.array(offset))
    }

    pub(crate) fn i32(&self, offset: usize) -> i32 {
        i32::from_le_bytes(self.array(offset))
    }

    pub(crate) fn u16(&self, offset: usize) -> u16 {
        u16::from_le_bytes(self.array(offset))
    }

    /// Up to the first zero byte.
    pub(crate) fn text(&self, offset: usize) -> String {
        let bytes = self.0[offset..].iter().map(Cell::get);
        let bytes: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
        bytes.escape_ascii().to_string()
    }

    pub(crate) fn put(&self, offset: usize, bytes: &[u8]) -> &Self {
        for (cell, byte) in self.0[offset..].iter().zip(bytes) {
            cell.set(*byte);
        }
        self
    }

    pub(crate) fn put_u64(&self, offset: usize, value: u64) -> &Self {
        self.put(offset, &value.to_le_bytes())
    }

    pub(crate) fn put_u32(&self, offset: usize, value: u32) -> &Self {
        self.put(offset, &value.to_le_bytes())
    }
}

/// One argument of a call.
#[derive(Clone, Copy)]
pub(crate) enum Arg<'a> {
    Number(u64),
    Memory(&'a [Cell<u8>]),
    Bytes(&'a [u8]),
}

impl Arg<'_> {
    fn value(self) -> u64 {
        match self {
            Self::Number(number) => number,
            Self::Memory(cells) => cells.as_ptr() as u64,
            Self::Bytes(bytes) => bytes.as_ptr() as u64,
        }
    }
}

impl From<u64> for Arg<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Arg<'_> {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<usize> for Arg<'_> {
    fn from(number: usize) -> Self {
        Self::Number(number as u64)
    }
}

impl From<i32> for Arg<'_> {
    fn from(number: i32) -> Self {
        Self::Number(i64::from(number).cast_unsigned())
    }
}

impl From<i64> for Arg<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number.cast_unsigned())
    }
}

impl<'a> From<&'a Memory> for Arg<'a> {
    fn from(memory: &'a Memory) -> Self {
        Self::Memory(&memory.0)
    }
}

impl<'a> From<&'a CStr> for Arg<'a> {
    fn from(text: &'a CStr) -> Self {
        Self::Bytes(text.to_bytes_with_nul())
    }
}

impl<'a> From<&'a [u8]> for Arg<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

/// `call!(number, argument, …)`: a system call with arguments of any kind that [`Arg`] takes.
macro_rules! call {
    ($number:expr $(, $argument:expr)* $(,)?) => {
        $crate::raw::system_call($number, &[$($crate::raw::Arg::from($argument)),*])
    };
}
pub(crate) use call;

/// A system call of this architecture, by the instruction.
pub(crate) fn system_call(number: i64, arguments: &[Arg<'_>]) -> Answer {
    let argument = |index: usize| arguments.get(index).map_or(0, |argument| argument.value());
    let answer: i64;
    // SAFETY: memory that the kernel writes is given as `Arg::Memory` only, whose cells may
    // change at any time and of which the areas give more than the call fills; numbers are never
    // addresses of this program's memory. No area unmaps, moves or protects memory.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number => answer,
            in("rdi") argument(0),
            in("rsi") argument(1),
            in("rdx") argument(2),
            in("r10") argument(3),
            in("r8") argument(4),
            in("r9") argument(5),
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    match i32::try_from(-answer) {
        Ok(errno) if (1..4096).contains(&errno) => Err(Errno(errno)),
        _ => Ok(answer.cast_unsigned()),
    }
}

/// The child's process id, or none in the child.
pub(crate) fn fork() -> Result<Option<i32>, Errno> {
    // SAFETY: whoever calls this has no other thread running, so the child may do everything.
    match unsafe { libc::fork() } {
        -1 => Err(Errno(
            std::io::Error::last_os_error().raw_os_error().unwrap_or(0),
        )),
        0 => Ok(None),
        child => Ok(Some(child)),
    }
}

/// Makes a signal interrupt a call instead of ending the program.
pub(crate) fn catch(signal: i32) {
    extern "C" fn nothing(_: i32) {}
    set_handler(signal, nothing as *const () as usize, 0);
}

static COUNTED: AtomicU64 = AtomicU64::new(0);

/// Counts how often a signal comes. Its handler does not ask for interrupted calls to go on.
pub(crate) fn count(signal: i32) {
    set_handler(signal, one_more as *const () as usize, 0);
}

/// The same, but calls that can go on do.
pub(crate) fn count_and_go_on(signal: i32) {
    set_handler(signal, one_more as *const () as usize, libc::SA_RESTART);
}

extern "C" fn one_more(_: i32) {
    COUNTED.fetch_add(1, Ordering::Relaxed);
}

/// Signals counted so far.
pub(crate) fn counted() -> u64 {
    COUNTED.load(Ordering::Relaxed)
}

static EXPECTED: AtomicUsize = AtomicUsize::new(0);

/// Ends the process with 42 when it touches this address where nothing is mapped, and with 43 for
/// any other fault.
pub(crate) fn exit_on_fault(address: usize) {
    extern "C" fn leave(_: i32, signal: *const libc::siginfo_t, _: usize) {
        const NOT_MAPPED: i32 = 1;
        // SAFETY: the kernel passes the signal's description, which for this signal has an
        // address.
        let (code, address) = unsafe { ((*signal).si_code, (*signal).si_addr().addr()) };
        let is_expected = code == NOT_MAPPED && address == EXPECTED.load(Ordering::Relaxed);
        let _ = system_call(
            libc::SYS_exit_group,
            &[Arg::from(if is_expected { 42 } else { 43 })],
        );
    }
    EXPECTED.store(address, Ordering::Relaxed);
    set_handler(libc::SIGSEGV, leave as *const () as usize, libc::SA_SIGINFO);
}

fn set_handler(signal: i32, handler: usize, flags: i32) {
    // SAFETY: all zeros are a valid structure: numbers, and no handler.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    // SAFETY: the structure is initialised; the handlers of this file fit their flags, and touch
    // atomic numbers only.
    unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
}

/// Reads a byte at an address.
pub(crate) fn touch(address: usize) {
    // SAFETY: nothing is mapped at the addresses that areas try, and the fault is theirs to
    // expect.
    unsafe {
        std::arch::asm!("mov {0:l}, [{0}]", inout(reg) address => _, options(nostack, readonly));
    }
}

/// A value of the vector that the kernel gives to every program, 0 if it is not there.
pub(crate) fn auxiliary(key: u64) -> usize {
    // SAFETY: reads the vector, which stays where it is.
    let value = unsafe { libc::getauxval(key) };
    // A word of this architecture.
    usize::try_from(value).unwrap_or(0)
}

/// The bytes at an address of the auxiliary vector, up to the first zero, at most 256.
pub(crate) fn text_at(address: usize) -> String {
    let mut text = Vec::new();
    for offset in 0..256 {
        if address == 0 {
            break;
        }
        // SAFETY: the kernel put a terminated text at this address of the initial stack.
        let byte = unsafe { *(std::ptr::with_exposed_provenance::<u8>(address).add(offset)) };
        if byte == 0 {
            break;
        }
        text.push(byte);
    }
    text.escape_ascii().to_string()
}

/// The sixteen bytes that the kernel gives to every program (`AT_RANDOM`).
pub(crate) fn sixteen_bytes_at(address: usize) -> Option<[u8; 16]> {
    if address == 0 {
        return None;
    }
    let pointer = std::ptr::with_exposed_provenance::<[u8; 16]>(address);
    // SAFETY: the kernel put sixteen bytes at this address of the initial stack.
    Some(unsafe { pointer.read_unaligned() })
}
