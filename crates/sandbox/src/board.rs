//! Memory that the parent and one forked process see at the same place: what is written here after the
//! fork is read there. The parent never reads it back, so that nobody inside can tell the parent
//! anything by it.
//!
//! Absent on purpose: giving single things back. Who has read everything is told by a message, and the
//! writing begins anew.

use std::cell::Cell;
use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::{NonNull, null_mut};

use rustix::mm::{Advice, MapFlags, ProtFlags};

use crate::error::{SandboxError, SetupStep, io};

/// Four stacks, and a place for what is written.
#[derive(Debug)]
pub(crate) struct Board {
    memory: NonNull<u8>,
    /// Where free memory begins, in bytes from the start.
    free: Cell<usize>,
    /// Where it begins when the board is cleared.
    first_free: usize,
}

// SAFETY: the memory belongs to the board alone in this process, and what is written can be reached by
// references to the board only, which `Cell` keeps in one thread.
unsafe impl Send for Board {}

/// A process's stack on a board.
#[derive(Clone, Copy)]
pub(crate) enum StackOf {
    Usher,
    Entrant,
    FirstProcess,
    Step,
}

/// Several times what the deepest unoptimised path uses.
const STACK_BYTES: usize = 256 << 10;
const STACKS: usize = 4;
/// More than the kernel takes for arguments and environment of a program (a quarter of the stack limit,
/// execve(2)). Memory that nobody writes to is none.
const BOARD_BYTES: usize = 16 << 20;

impl Board {
    pub(crate) fn new() -> Result<Self, SandboxError> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::SHARED | MapFlags::NORESERVE;
        // SAFETY: a mapping of its own, wherever there is room.
        let memory =
            unsafe { rustix::mm::mmap_anonymous(null_mut(), BOARD_BYTES, protection, flags) }
                .map_err(|errno| io("sharing memory with the sandbox", errno))?;
        Ok(Self {
            memory: NonNull::new(memory.cast()).ok_or_else(full)?,
            free: Cell::new(STACKS * STACK_BYTES),
            first_free: STACKS * STACK_BYTES,
        })
    }

    /// Processes that are forked from here on do not see it.
    pub(crate) fn hide(&self) -> Result<(), SandboxError> {
        // SAFETY: it changes what forked processes have, and nothing here.
        unsafe {
            rustix::mm::madvise(
                self.memory.as_ptr().cast(),
                BOARD_BYTES,
                Advice::LinuxDontFork,
            )
        }
        .map_err(|errno| io("sharing memory with one process only", errno))
    }

    /// Where it is.
    pub(crate) fn range(&self) -> Range<usize> {
        let start = self.memory.addr().get();
        start..start + BOARD_BYTES
    }

    /// What was written so far stays for good.
    pub(crate) fn keep(&mut self) {
        self.first_free = self.free.get();
    }

    /// What was written since is not needed any more.
    pub(crate) fn clear(&mut self) {
        self.free.set(self.first_free);
    }

    /// The 16-byte aligned end of a stack, which is a process's alone.
    pub(crate) fn stack(&self, of: StackOf) -> *mut u8 {
        self.memory
            .as_ptr()
            .wrapping_add((of as usize + 1) * STACK_BYTES)
    }

    /// Copies values there, which are never dropped.
    ///
    /// # Errors
    /// No room, as the kernel says it of a program's arguments (`E2BIG`).
    pub(crate) fn list<T: Copy>(&self, values: &[T]) -> Result<&[T], SandboxError> {
        let start = self.reserve::<T>(values.len())?;
        // SAFETY: `reserve` gave aligned memory for so many values, which nobody else has.
        unsafe {
            std::ptr::copy_nonoverlapping(values.as_ptr(), start.as_ptr(), values.len());
            Ok(std::slice::from_raw_parts(start.as_ptr(), values.len()))
        }
    }

    /// Moves a value there, which is never dropped.
    pub(crate) fn value<T>(&self, value: T) -> Result<&T, SandboxError> {
        let place = self.reserve::<T>(1)?;
        // SAFETY: `reserve` gave aligned memory for one value, which nobody else has.
        unsafe {
            place.as_ptr().write(value);
            Ok(place.as_ref())
        }
    }

    pub(crate) fn text(&self, text: &CStr) -> Result<&CStr, SandboxError> {
        let bytes = self.list(text.to_bytes_with_nul())?;
        // They are what they were, so the error is never taken.
        CStr::from_bytes_with_nul(bytes).map_err(|_| full())
    }

    /// A null-terminated array of terminated strings, as `execve(2)` wants it.
    pub(crate) fn strings<'a>(
        &self,
        strings: impl IntoIterator<Item = &'a CStr>,
    ) -> Result<Strings<'_>, SandboxError> {
        let mut pointers = Vec::new();
        for string in strings {
            pointers.push(self.text(string)?.as_ptr());
        }
        pointers.push(std::ptr::null());
        Ok(Strings {
            first: self.list(&pointers)?.as_ptr(),
            of: PhantomData,
        })
    }

    /// Aligned memory for values, which lives as long as the board and is given to nobody else before
    /// the board is cleared.
    fn reserve<T>(&self, count: usize) -> Result<NonNull<T>, SandboxError> {
        let place = || {
            let start = self.free.get().checked_next_multiple_of(align_of::<T>())?;
            let end = start.checked_add(count.checked_mul(size_of::<T>())?)?;
            (end <= BOARD_BYTES).then_some((start, end))
        };
        let (start, end) = place().ok_or_else(full)?;
        self.free.set(end);
        // SAFETY: the offset lies within the mapping; its start is aligned to a page.
        Ok(unsafe { self.memory.add(start) }.cast())
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this size, and nothing that was written outlives the board.
        let _ = unsafe { rustix::mm::munmap(self.memory.as_ptr().cast(), BOARD_BYTES) };
    }
}

fn full() -> SandboxError {
    SetupStep::Execute.failed(libc::E2BIG)
}

/// Strings on a board.
#[derive(Clone, Copy)]
pub(crate) struct Strings<'b> {
    first: *const *const c_char,
    of: PhantomData<&'b Board>,
}

impl Strings<'_> {
    pub(crate) fn as_ptr(self) -> *const *const c_char {
        self.first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_lies_apart_and_aligned() {
        let mut board = Board::new().unwrap();
        let first = board.text(c"a").unwrap();
        let numbers = board.list(&[1_u64, 2, 3]).unwrap();
        let second = board.value([7_u8; 3]).unwrap();
        assert_eq!((first, numbers, second), (c"a", &[1, 2, 3][..], &[7; 3]));
        assert!(numbers.as_ptr().is_aligned());
        let place = first.as_ptr();
        board.clear();
        assert_eq!(board.text(c"b").unwrap().as_ptr(), place);
        board.keep();
        board.clear();
        assert_ne!(board.text(c"c").unwrap().as_ptr(), place);
    }

    #[test]
    fn it_is_full_in_the_end() {
        let board = Board::new().unwrap();
        let half = vec![1_u8; BOARD_BYTES / 2];
        board.list(&half).unwrap();
        let error = board.list(&half).unwrap_err();
        assert!(matches!(
            error,
            SandboxError::Setup {
                doing: SetupStep::Execute,
                errno: libc::E2BIG
            }
        ));
        assert!(board.list(&half[..1]).is_ok());
    }

    #[test]
    fn stacks_lie_before_what_is_written() {
        let board = Board::new().unwrap();
        let written = board.value(0_u8).unwrap();
        for of in [
            StackOf::Usher,
            StackOf::Entrant,
            StackOf::FirstProcess,
            StackOf::Step,
        ] {
            assert!(board.stack(of).cast_const() <= std::ptr::from_ref(written));
        }
    }
}
