//! The memory of a thread that waits for an answer. Every address is the program's own choice:
//! nothing here trusts one, and the kernel checks them all.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use crate::sys::{self, Errno};

type Result<T> = std::result::Result<T, Errno>;

const FAULT: Errno = Errno(libc::EFAULT);
const PAGE_BYTES: usize = 4096;
/// `PATH_MAX`, the end included.
const PATH_BYTES_MAX: usize = 4096;

/// One thread's memory.
#[derive(Clone, Copy, Debug)]
pub(in crate::host) struct Memory(pub(in crate::host) i32);

impl Memory {
    pub(in crate::host) fn read<const N: usize>(self, address: u64) -> Result<[u8; N]> {
        let mut buffer = [0; N];
        if sys::read_memory(self.0, address, &mut buffer)? == N {
            Ok(buffer)
        } else {
            Err(FAULT)
        }
    }

    /// So many bytes, at most a page.
    pub(in crate::host) fn read_some(self, address: u64, length: usize) -> Result<Vec<u8>> {
        let mut buffer = vec![0; length.min(PAGE_BYTES)];
        if sys::read_memory(self.0, address, &mut buffer)? == buffer.len() {
            Ok(buffer)
        } else {
            Err(FAULT)
        }
    }

    /// Two words: a `timespec` or `timeval`.
    pub(in crate::host) fn read_pair(self, address: u64) -> Result<(i64, i64)> {
        let bytes: [u8; 16] = self.read(address)?;
        let (first, second) = bytes.split_at(8);
        let word = |part: &[u8]| part.try_into().map(i64::from_le_bytes).map_err(|_| FAULT);
        Ok((word(first)?, word(second)?))
    }

    /// A path without its end; `ENAMETOOLONG` as the kernel has it.
    pub(in crate::host) fn read_path(self, address: u64) -> Result<Vec<u8>> {
        const FIRST_BYTES: usize = 256;
        // Most paths are short: the first read is, too.
        let mut first = [0; FIRST_BYTES];
        let first = self.read_up_to_page(address, &mut first)?;
        if let Some(end) = first.iter().position(|byte| *byte == 0) {
            return Ok(first.get(..end).unwrap_or_default().to_vec());
        }
        let mut path = first.to_vec();
        let mut buffer = [0; PAGE_BYTES];
        while path.len() < PATH_BYTES_MAX {
            let at = address.checked_add(path.len() as u64).ok_or(FAULT)?;
            let part = self.read_up_to_page(at, &mut buffer)?;
            if let Some(end) = part.iter().position(|byte| *byte == 0) {
                path.extend_from_slice(part.get(..end).unwrap_or_default());
                return if path.len() < PATH_BYTES_MAX {
                    Ok(path)
                } else {
                    Err(Errno(libc::ENAMETOOLONG))
                };
            }
            path.extend_from_slice(part);
        }
        Err(Errno(libc::ENAMETOOLONG))
    }

    /// Fills the buffer, or less of it at the end of a page: that may be the end of what is
    /// mapped.
    fn read_up_to_page(self, address: u64, buffer: &mut [u8]) -> Result<&[u8]> {
        let page = PAGE_BYTES as u64;
        let in_page = usize::try_from(page - address % page).map_err(|_| FAULT)?;
        let length = in_page.min(buffer.len());
        let buffer = buffer.get_mut(..length).ok_or(FAULT)?;
        if sys::read_memory(self.0, address, buffer)? == length {
            Ok(buffer)
        } else {
            Err(FAULT)
        }
    }

    pub(in crate::host) fn write(self, address: u64, bytes: &[u8]) -> Result<()> {
        sys::write_memory(self.0, address, bytes)
    }

    /// Writes unless the program passed a null pointer.
    pub(in crate::host) fn write_unless_null(self, address: u64, bytes: &[u8]) -> Result<()> {
        if address == 0 {
            return Ok(());
        }
        self.write(address, bytes)
    }

    /// Writes where the program itself may not: its code.
    pub(in crate::host) fn write_code(self, address: u64, bytes: &[u8]) -> std::io::Result<()> {
        OpenOptions::new()
            .write(true)
            .open(format!("/proc/{}/mem", self.0))?
            .write_all_at(bytes, address)
    }
}

/// Integers in the machine's order, one behind the other: how the kernel lays structures out.
#[derive(Default)]
pub(in crate::host) struct Words(pub(in crate::host) Vec<u8>);

impl Words {
    /// Room for so many bytes.
    pub(in crate::host) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub(in crate::host) fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(in crate::host) fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(in crate::host) fn u16(mut self, value: u16) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Zeros up to this length.
    pub(in crate::host) fn padded_to(mut self, length: usize) -> Self {
        self.0.resize(length, 0);
        self
    }
}
