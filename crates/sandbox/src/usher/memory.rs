//! The usher lets go of the memory that its fork copied or shares: heap, stacks, mapped files, and the
//! boards of other ushers. What is left are the program, its libraries and their static variables, and its
//! own board.

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::sync::OnceLock;

use crate::proc_text::proc_text;
use crate::sys;

/// Memory that stays, from page to page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    start: usize,
    end: usize,
}

/// What the kernel maps by.
const PAGE_BYTES: usize = 4096;
/// Where the addresses of processes end that did not ask for more (`Documentation/arch/x86/x86_64/mm.rst`).
const ADDRESSES_END: usize = 0x7fff_ffff_f000;

/// The segments of the program and of all libraries that are loaded now, and a board; in the order of
/// their addresses.
pub(super) fn to_be_kept(board: Range<usize>) -> Vec<Kept> {
    let mut kept = vec![pages(board)];
    // SAFETY: the function gets the list, which outlives the call and which nobody else uses meanwhile.
    unsafe { libc::dl_iterate_phdr(Some(add_segments), (&raw mut kept).cast()) };
    kept.extend(mapped_by_the_kernel());
    kept.sort_by_key(|range| range.start);
    kept
}

/// `[vdso]` and its data, which some kernels do not let go (`mseal(2)`), nor what is unmapped with them.
/// They stay where they are as long as the process lives.
fn mapped_by_the_kernel() -> &'static [Kept] {
    static RANGES: OnceLock<Vec<Kept>> = OnceLock::new();
    RANGES.get_or_init(|| {
        let maps = proc_text("/proc/self/maps").unwrap_or_default();
        let range = |line: &str| {
            let (start, end) = line.split_once(' ')?.0.split_once('-')?;
            let number = |digits| usize::from_str_radix(digits, 16).ok();
            let range = number(start)?..number(end)?;
            (range.end <= ADDRESSES_END).then(|| pages(range))
        };
        let lines = maps.lines().filter(|line| line.contains(" [v"));
        lines.filter_map(range).collect()
    })
}

/// Adds those of one program or library.
extern "C" fn add_segments(
    object: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    kept: *mut c_void,
) -> c_int {
    // SAFETY: `dl_iterate_phdr` passes on the pointer to the list, and describes an object that stays
    // loaded during the call: so many headers, whose addresses are relative to the object's.
    let (kept, base, headers) = unsafe {
        let object = &*object;
        let headers = std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into());
        (&mut *kept.cast::<Vec<Kept>>(), object.dlpi_addr, headers)
    };
    for header in headers
        .iter()
        .filter(|header| header.p_type == libc::PT_LOAD)
    {
        // Their sum is an address, as a 64-bit number that may wrap.
        let start = base.wrapping_add(header.p_vaddr);
        let end = start.wrapping_add(header.p_memsz);
        if let (Ok(start), Ok(end)) = (usize::try_from(start), usize::try_from(end)) {
            kept.push(pages(start..end));
        }
    }
    0
}

fn pages(bytes: Range<usize>) -> Kept {
    Kept {
        start: bytes.start / PAGE_BYTES * PAGE_BYTES,
        end: bytes.end.next_multiple_of(PAGE_BYTES),
    }
}

/// Unmaps everything else. Runs on a stack of the board.
pub(super) fn let_go(kept: &[Kept]) {
    for (start, end) in between(kept) {
        // SAFETY: nothing that this process will use lies there: its stack and what it is told are on
        // the board, and it calls nothing but this crate's functions over system calls, and those that
        // the compiler calls by itself (`memcpy`), which keep nothing outside of their library.
        unsafe { sys::unmap(start, end - start) };
    }
}

/// The gaps between ranges that are in order, and those before and behind them.
fn between(kept: &[Kept]) -> impl Iterator<Item = (usize, usize)> {
    let mut end = 0;
    let beyond = Kept {
        start: ADDRESSES_END,
        end: ADDRESSES_END,
    };
    kept.iter()
        .copied()
        .chain(std::iter::once(beyond))
        .filter_map(move |range| {
            let gap = (end, range.start);
            end = end.max(range.end);
            (gap.0 < gap.1).then_some(gap)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps() {
        let kept = [
            pages(0x5000..0x7001),
            pages(0x6000..0x6001),
            pages(0x7fff..0x8000),
            pages(0x1_0010..0x1_0020),
        ];
        let gaps: Vec<_> = between(&kept).collect();
        assert_eq!(
            gaps,
            [(0, 0x5000), (0x8000, 0x1_0000), (0x1_1000, ADDRESSES_END)]
        );
    }

    #[test]
    fn this_function_s_code_and_variables_stay() {
        static VARIABLE: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);
        let kept = to_be_kept(0x1000..0x2000);
        assert_eq!(kept.first(), Some(&pages(0x1000..0x2000)));
        let on_the_heap = Box::new(0_u8);
        let is_kept = |place: usize| kept.iter().any(|at| (at.start..at.end).contains(&place));
        assert!(is_kept(gaps as fn() as usize));
        assert!(is_kept(std::ptr::from_ref(&VARIABLE).addr()));
        assert!(!is_kept(std::ptr::from_ref(&*on_the_heap).addr()));
        assert!(!is_kept(std::ptr::from_ref(&kept).addr()));
    }
}
