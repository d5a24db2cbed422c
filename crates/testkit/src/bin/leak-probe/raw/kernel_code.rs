//! Functions that the kernel maps into every process: the vDSO (vdso(7)) and the old page at a
//! fixed address.

use super::Arg;

/// Offsets in ELF structures (System V gABI, chapters 4 and 5).
const PROGRAM_HEADERS: usize = 0x20;
const PROGRAM_HEADER_COUNT: usize = 0x38;
const PROGRAM_HEADER_BYTES: usize = 56;
const SYMBOL_BYTES: usize = 24;
const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
/// Larger than any vDSO.
const IMAGE_BYTES_MAX: usize = 1 << 16;

/// The vDSO as bytes, with its address.
pub(crate) fn image() -> Option<(usize, &'static [u8])> {
    let base = super::auxiliary(libc::AT_SYSINFO_EHDR);
    if base == 0 {
        return None;
    }
    let pointer = std::ptr::with_exposed_provenance::<u8>(base);
    // SAFETY: the kernel maps at least a page there, for as long as the program runs, and this
    // program does not write to it.
    let page = unsafe { std::slice::from_raw_parts(pointer, 4096) };
    let length = load_bytes(page)?;
    // SAFETY: the image's own header says that it is so long.
    Some((base, unsafe { std::slice::from_raw_parts(pointer, length) }))
}

fn load_bytes(page: &[u8]) -> Option<usize> {
    let headers = program_headers(page)?;
    let end = headers
        .filter(|header| header[0] & 0xffff_ffff == PT_LOAD)
        .map(|header| header[2].saturating_add(header[5]))
        .max()?;
    usize::try_from(end)
        .ok()
        .filter(|end| *end <= IMAGE_BYTES_MAX)
}

/// Each program header as its seven words.
fn program_headers(image: &[u8]) -> Option<impl Iterator<Item = [u64; 7]>> {
    let start = usize::try_from(word(image, PROGRAM_HEADERS)?).ok()?;
    let count = usize::try_from(word(image, PROGRAM_HEADER_COUNT)? & 0xffff).ok()?;
    let headers = (0..count).filter_map(move |index| {
        let mut header = [0; 7];
        for (part, value) in header.iter_mut().enumerate() {
            *value = word(image, start + index * PROGRAM_HEADER_BYTES + part * 8)?;
        }
        Some(header)
    });
    Some(headers)
}

fn word(image: &[u8], at: usize) -> Option<u64> {
    let bytes = image.get(at..at.checked_add(8)?)?;
    bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// The address of a function of the vDSO.
pub(crate) fn symbol(name: &str) -> Option<usize> {
    let (base, image) = image()?;
    let dynamic = program_headers(image)?.find(|header| header[0] & 0xffff_ffff == PT_DYNAMIC)?;
    let dynamic = usize::try_from(dynamic[2]).ok()?;
    let entry = |tag: u64| {
        let mut entries = (0..64).map_while(|index| {
            let at = dynamic + index * 16;
            Some((word(image, at)?, word(image, at + 8)?))
        });
        let (_, value) = entries.find(|(found, _)| *found == tag)?;
        usize::try_from(value).ok()
    };
    let (symbols, names) = (entry(DT_SYMTAB)?, entry(DT_STRTAB)?);
    // The linker puts the names behind the symbols.
    let count = names.checked_sub(symbols)? / SYMBOL_BYTES;
    (0..count).find_map(|index| {
        let at = symbols + index * SYMBOL_BYTES;
        let name_at = usize::try_from(word(image, at)? & 0xffff_ffff).ok()?;
        let found = image.get(names + name_at..)?;
        let is_it = found.strip_prefix(name.as_bytes())?.first() == Some(&0);
        let value = usize::try_from(word(image, at + 8)?).ok()?;
        is_it.then_some(base + value)
    })
}

/// Calls a function that the kernel maps.
pub(crate) fn call(address: usize, arguments: [Arg<'_>; 3]) -> i64 {
    type Function = extern "C" fn(u64, u64, u64) -> i64;
    let pointer = std::ptr::with_exposed_provenance::<()>(address);
    // SAFETY: the address is a function of the kernel's that takes at most three words by the C
    // convention; where there is none the fault ends the child in which this is called. Memory is
    // given as in `system_call`.
    let function = unsafe { std::mem::transmute::<*const (), Function>(pointer) };
    let [first, second, third] = arguments.map(Arg::value);
    function(first, second, third)
}
