//! The usher lets go of the memory that its fork copied: heap, stacks, and whatever else was never a file.
//! What is left is the program, with its libraries and their static variables, and the board.

use std::os::fd::RawFd;

use crate::plan::ABSENT;
use crate::sys;

/// Unmaps it, read from `/proc/self/maps` (proc(5)). Runs on a stack of the board.
///
/// # Errors
/// `/proc` cannot be read.
pub(super) fn let_go() -> sys::Result<()> {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    let maps = sys::open(ABSENT, c"/proc/self/maps", flags, 0)?;
    let mut reading = Reading::default();
    let result = reading.follow(maps);
    sys::close(maps);
    result
}

/// What has been read of the table.
#[derive(Default)]
struct Reading {
    line: Line,
    /// Where the last mapping of a file ended: what begins there are the static variables that the file
    /// has no bytes for.
    file_end: usize,
}

impl Reading {
    fn follow(&mut self, maps: RawFd) -> sys::Result<()> {
        let mut bytes = [0; 4096];
        loop {
            let count = match sys::read(maps, &mut bytes) {
                Err(sys::Errno(libc::EINTR)) => continue,
                count => count?,
            };
            if count == 0 {
                return Ok(());
            }
            for byte in bytes.iter().take(count) {
                if let Some((start, end)) = self.take(*byte) {
                    // SAFETY: nothing that this process will use lies there: its stack and what it is
                    // told are on the board, which is shared, and it calls nothing but this crate's
                    // functions over system calls.
                    unsafe { sys::unmap(start, end - start) };
                }
            }
        }
    }

    /// One more byte; what to unmap, if it was the end of the line that tells so.
    fn take(&mut self, byte: u8) -> Option<(usize, usize)> {
        if byte != b'\n' {
            self.line.take(byte);
            return None;
        }
        let line = std::mem::take(&mut self.line);
        if line.inode != 0 {
            self.file_end = line.end;
            return None;
        }
        // The kernel's own: `[vdso]`, `[vvar]` and `[vsyscall]`.
        let is_kernel_s = line.name == *b"[v";
        let is_static = line.start == self.file_end && line.name == [0; 2];
        let is_to_go = line.is_private && !is_kernel_s && !is_static;
        is_to_go.then_some((line.start, line.end))
    }
}

/// One line: `start-end perms offset device inode name`.
#[derive(Default)]
struct Line {
    start: usize,
    end: usize,
    is_private: bool,
    inode: u64,
    /// How it begins.
    name: [u8; 2],
    field: Field,
    /// How many bytes of the field were read.
    read: usize,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Field {
    #[default]
    Start,
    End,
    Permissions,
    Offset,
    Device,
    Inode,
    Name,
}

impl Line {
    fn take(&mut self, byte: u8) {
        let next = match self.field {
            Field::Start => Field::End,
            Field::End => Field::Permissions,
            Field::Permissions => Field::Offset,
            Field::Offset => Field::Device,
            Field::Device => Field::Inode,
            Field::Inode | Field::Name => Field::Name,
        };
        let ends = if self.field == Field::Start {
            b'-'
        } else {
            b' '
        };
        if byte == ends {
            if self.field != Field::Name {
                (self.field, self.read) = (next, 0);
            }
            return;
        }
        let digit = || (byte as char).to_digit(16).unwrap_or(0);
        match self.field {
            Field::Start => self.start = self.start << 4 | digit() as usize,
            Field::End => self.end = self.end << 4 | digit() as usize,
            Field::Permissions => self.is_private |= self.read == 3 && byte == b'p',
            Field::Inode => self.inode = self.inode.wrapping_mul(10).wrapping_add(digit().into()),
            Field::Name => {
                if let Some(place) = self.name.get_mut(self.read) {
                    *place = byte;
                }
            }
            Field::Offset | Field::Device => {}
        }
        self.read += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What goes of these lines, by the digits of its start.
    fn gone(maps: &str) -> Vec<usize> {
        let mut reading = Reading::default();
        let gone = maps.bytes().filter_map(|byte| reading.take(byte));
        gone.map(|(start, _)| start).collect()
    }

    #[test]
    fn what_was_never_a_file_goes() {
        let maps = "\
55d0000-55d1000 r--p 00000000 fe:00 1234                               /usr/bin/program
55d1000-55d2000 rw-p 00001000 fe:00 1234                               /usr/bin/program
55d2000-55d3000 rw-p 00000000 00:00 0 
55d3000-55f3000 rw-p 00000000 00:00 0                                  [heap]
7f00000-7f10000 rw-p 00000000 00:00 0 
7f10000-7f11000 ---p 00000000 00:00 0 
7f20000-7f21000 rw-s 00000000 00:01 77                                 /dev/zero (deleted)
7f21000-7f22000 rw-p 00000000 00:00 0                                  [anon: a name]
7f30000-7f34000 r--p 00000000 00:00 0                                  [vvar]
7f34000-7f36000 r-xp 00000000 00:00 0                                  [vdso]
7ff0000-7ff1000 rw-p 00000000 00:00 0                                  [stack]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                [vsyscall]
";
        assert_eq!(
            gone(maps),
            [0x55d_3000, 0x7f0_0000, 0x7f1_0000, 0x7f2_1000, 0x7ff_0000]
        );
    }
}
