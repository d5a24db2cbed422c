//! The vDSO (vdso(7)) is code that the kernel maps into every process and that reads the host's
//! clocks without a system call. Each of its functions is overwritten by the system call that
//! it stands for, which then traps. Its ELF tables stay, so that C libraries still find it.
//!
//! The image is the same for every process of a kernel, so the patch is made once, from our
//! own. The same page keeps the *slot*: a few bytes in which a process that forks leaves a note
//! for its child, who inherits it with the memory; and the detour (`entry.rs`).

use std::ops::Range;
use std::sync::OnceLock;

use super::entry::DETOUR_BYTES;
use crate::proc_text::proc_text;

/// More than any kernel's vDSO has.
const IMAGE_BYTES_MAX: usize = 64 << 10;

/// System calls behind the functions, x86-64 table; none for those that are turned off.
const FUNCTIONS: [(&str, Option<i64>); 7] = [
    ("__vdso_clock_gettime", Some(libc::SYS_clock_gettime)),
    ("__vdso_gettimeofday", Some(libc::SYS_gettimeofday)),
    ("__vdso_time", Some(libc::SYS_time)),
    ("__vdso_clock_getres", Some(libc::SYS_clock_getres)),
    ("__vdso_getcpu", Some(libc::SYS_getcpu)),
    // Its state lives in the caller; without it C libraries make the system call.
    ("__vdso_getrandom", None),
    // SGX enclaves: nothing to do with time, and nothing that a build has.
    ("__vdso_sgx_enter_enclave", None),
];

/// `mov eax, number; syscall; ret`.
const fn call_stub(number: i64) -> [u8; 8] {
    let [a, b, c, d, ..] = number.to_le_bytes();
    [0xb8, a, b, c, d, 0x0f, 0x05, 0xc3]
}

/// The length of the slot in bytes.
pub(super) const SLOT_BYTES: usize = 40;

/// What to write where, relative to the address at which a process has its vDSO.
#[derive(Debug)]
pub(crate) struct Patch {
    /// Offset of `text`.
    pub(in crate::host) offset: u64,
    /// The functions' range with the stubs in it, and with an empty slot.
    pub(in crate::host) text: Vec<u8>,
    /// Offset of the slot.
    pub(in crate::host) slot: u64,
    /// The pages with the host's clocks.
    pub(super) clocks: Clocks,
}

/// The kernel's data pages before its image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Clocks {
    /// How far before it they begin, and how many bytes they are: 0 if the kernel maps none.
    pub(in crate::host) before: u64,
    pub(in crate::host) bytes: u32,
}

impl Patch {
    /// The patch for this kernel; none if its vDSO cannot be read or has no clock.
    pub(crate) fn of_this_kernel() -> Option<&'static Self> {
        static PATCH: OnceLock<Option<Patch>> = OnceLock::new();
        PATCH
            .get_or_init(|| {
                let maps = proc_text("/proc/self/maps").ok()?;
                Some(Self {
                    clocks: clocks(&maps)?,
                    ..Self::of_image(&crate::sys::own_vdso(IMAGE_BYTES_MAX))?
                })
            })
            .as_ref()
    }

    /// Whether a program's functions have been overwritten, from what stands in their place.
    pub(super) fn is_applied(&self, found: &[u8]) -> bool {
        self.text.starts_with(found)
    }

    /// The offset of the detour.
    pub(in crate::host) const fn detour(&self) -> u64 {
        self.slot + SLOT_BYTES as u64
    }

    fn of_image(image: &[u8]) -> Option<Self> {
        let symbols = symbols(image)?;
        let mut patched = image.to_vec();
        let mut covered: Option<Range<usize>> = None;
        let mut slot = None;
        for (name, range) in symbols {
            let Some((_, call)) = FUNCTIONS.iter().find(|(known, _)| *known == name) else {
                continue;
            };
            let stub = match call {
                Some(number) => call_stub(*number),
                // mov eax, -ENOSYS; ret
                None => [0xb8, 0xda, 0xff, 0xff, 0xff, 0xc3, 0xcc, 0xcc],
            };
            let body = patched.get_mut(range.clone())?;
            // A function shorter than the stub cannot be what it is taken for.
            body.get_mut(..stub.len())?.copy_from_slice(&stub);
            if name == "__vdso_clock_gettime" {
                let start = (range.start + stub.len()).next_multiple_of(8);
                let place = start..start + SLOT_BYTES + DETOUR_BYTES;
                if place.end > range.end {
                    return None;
                }
                patched.get_mut(place)?.fill(0);
                slot = u64::try_from(start).ok();
            }
            covered = Some(match covered {
                None => range,
                Some(other) => other.start.min(range.start)..other.end.max(range.end),
            });
        }
        let covered = covered?;
        Some(Self {
            offset: u64::try_from(covered.start).ok()?,
            text: patched.get(covered)?.to_vec(),
            slot: slot?,
            clocks: Clocks::default(),
        })
    }
}

/// The data pages by a process's list of mappings; none if they do not end where the image begins.
fn clocks(maps: &str) -> Option<Clocks> {
    let range = |line: &str| {
        let (start, end) = line.split_once(' ')?.0.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        Some(number(start)?..number(end)?)
    };
    let named = |name: &str| -> Vec<_> {
        let lines = maps.lines().filter(|line| line.contains(name));
        lines.filter_map(range).collect()
    };
    let image = named("[vdso]").first()?.start;
    let pages = named("[vvar");
    let Some(first) = pages.first() else {
        return Some(Clocks::default());
    };
    let mut next = first.start;
    for range in &pages {
        if range.start != next {
            return None;
        }
        next = range.end;
    }
    (next == image).then_some(Clocks {
        before: image - first.start,
        bytes: u32::try_from(image - first.start).ok()?,
    })
}

/// The functions that an image exports under their `__vdso_` names: ELF-64, dynamic symbol
/// table found through the section headers that the kernel keeps in the image, or through the
/// dynamic section.
fn symbols(image: &[u8]) -> Option<Vec<(String, Range<usize>)>> {
    let elf = Elf(image);
    if image.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let headers_at = elf.word8(0x20)?;
    let header_size = elf.word2(0x36)?;
    let mut dynamic = None;
    let mut load_address = None;
    for index in 0..elf.word2(0x38)? {
        let at = headers_at.checked_add(index.checked_mul(header_size)?)?;
        match elf.word4(at)? {
            1 if load_address.is_none() => {
                load_address = Some(elf.word8(at + 16)?.checked_sub(elf.word8(at + 8)?)?);
            }
            2 => dynamic = Some(elf.word8(at + 8)?),
            _ => {}
        }
    }
    let load_address = load_address?;
    let mut table = None;
    let mut strings = None;
    let mut hash = None;
    let mut at = dynamic?;
    loop {
        let value = elf.word8(at + 8)?.checked_sub(load_address);
        match elf.word8(at)? {
            0 => break,
            4 => hash = value,
            5 => strings = value,
            6 => table = value,
            _ => {}
        }
        at += 16;
    }
    let (table, strings) = (table?, strings?);
    // Without the old hash table the symbols end where their strings begin.
    let count = match hash {
        Some(hash) => elf.word4(hash + 4)?,
        None => strings.checked_sub(table)? / 24,
    };
    let mut found = Vec::new();
    for index in 0..count {
        let at = table.checked_add(index.checked_mul(24)?)?;
        let name = elf.string(strings.checked_add(elf.word4(at)?)?)?;
        let start = elf.word8(at + 8)?.checked_sub(load_address);
        let size = elf.word8(at + 16)?;
        if let Some(start) = start
            && name.starts_with("__vdso_")
            && size > 0
        {
            found.push((name, start..start.checked_add(size)?));
        }
    }
    Some(found)
}

struct Elf<'a>(&'a [u8]);

impl Elf<'_> {
    fn bytes<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..)?.first_chunk().copied()
    }

    fn word2(&self, at: usize) -> Option<usize> {
        Some(u16::from_le_bytes(self.bytes(at)?).into())
    }

    fn word4(&self, at: usize) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.bytes(at)?)).ok()
    }

    fn word8(&self, at: usize) -> Option<usize> {
        usize::try_from(u64::from_le_bytes(self.bytes(at)?)).ok()
    }

    fn string(&self, at: usize) -> Option<String> {
        let rest = self.0.get(at..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        String::from_utf8(rest.get(..end)?.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_has_a_clock_to_patch() {
        let patch = Patch::of_this_kernel().unwrap();
        let stub = call_stub(libc::SYS_clock_gettime);
        assert!(patch.text.windows(8).any(|window| window == stub));
        let within = patch.offset..patch.offset + patch.text.len() as u64;
        assert!(within.contains(&patch.slot) && patch.slot.is_multiple_of(8));
    }

    #[test]
    fn clocks_lie_before_the_image() {
        let vvar = "7f00-9f00 r--p 0 00:00 0 [vvar]\n";
        let more = "9f00-af00 r--p 0 00:00 0 [vvar_vclock]\n";
        let image = "af00-cf00 r-xp 0 00:00 0 [vdso]\n";
        let (before, bytes) = (0x3000, 0x3000);
        for (maps, expected) in [
            (
                format!("{vvar}{more}{image}"),
                Some(Clocks { before, bytes }),
            ),
            (image.to_owned(), Some(Clocks::default())),
            (format!("{vvar}{image}"), None),
            (vvar.to_owned(), None),
        ] {
            assert_eq!(clocks(&maps), expected, "{maps}");
        }
    }

    #[test]
    fn garbage_is_no_image() {
        assert!(Patch::of_image(b"").is_none());
        assert!(Patch::of_image(b"\x7fELF\x02\x01").is_none());
        let mut image = crate::sys::own_vdso(IMAGE_BYTES_MAX);
        for cut in (0..image.len()).step_by(7) {
            let _ = Patch::of_image(&image[..cut]);
        }
        for at in 0..image.len().min(2048) {
            image[at] ^= 0xff;
            let _ = Patch::of_image(&image);
            image[at] ^= 0xff;
        }
    }
}
