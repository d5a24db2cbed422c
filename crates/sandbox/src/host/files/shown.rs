//! A file's status in the kernel's layouts: `struct stat` of x86-64 and `struct statx`.

use rustix::fs::StatxFlags;

use crate::host::process::memory::Words;
use crate::host::time::times::NS;

/// A status as the action sees it, times in nanoseconds since 1970.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(in crate::host) device: (u32, u32),
    pub(in crate::host) inode: u64,
    pub(in crate::host) mode: u32,
    pub(super) links: u64,
    pub(in crate::host) user: u32,
    pub(in crate::host) group: u32,
    pub(super) special: (u32, u32),
    pub(super) size_bytes: u64,
    pub(super) accessed_ns: i128,
    pub(super) modified_ns: i128,
    pub(super) changed_ns: i128,
    pub(super) born_ns: i128,
}

pub(super) const BLOCK_BYTES: u64 = 4096;
const STAT_BYTES: usize = 144;
const STATX_BYTES: usize = 256;

impl Shown {
    pub(super) fn owned_by(mut self, user: u32) -> Self {
        (self.user, self.group) = (user, user);
        self
    }

    fn blocks(&self) -> u64 {
        self.size_bytes.div_ceil(BLOCK_BYTES) * (BLOCK_BYTES / 512)
    }

    /// `struct stat` of x86-64.
    pub(in crate::host) fn stat(&self) -> Vec<u8> {
        Words::with_capacity(STAT_BYTES)
            .u64(device_number(self.device))
            .u64(self.inode)
            .u64(self.links)
            .u32(self.mode)
            .u32(self.user)
            .u32(self.group)
            .u32(0)
            .u64(device_number(self.special))
            .u64(self.size_bytes)
            .u64(BLOCK_BYTES)
            .u64(self.blocks())
            .u64(seconds(self.accessed_ns).cast_unsigned())
            .u64(nanoseconds(self.accessed_ns).into())
            .u64(seconds(self.modified_ns).cast_unsigned())
            .u64(nanoseconds(self.modified_ns).into())
            .u64(seconds(self.changed_ns).cast_unsigned())
            .u64(nanoseconds(self.changed_ns).into())
            .padded_to(STAT_BYTES)
            .0
    }

    /// `struct statx`.
    pub(super) fn statx(&self) -> Vec<u8> {
        let time = |words: Words, ns: i128| {
            words
                .u64(seconds(ns).cast_unsigned())
                .u32(nanoseconds(ns))
                .u32(0)
        };
        let mask = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        let mut words = Words::with_capacity(STATX_BYTES)
            .u32(mask.bits())
            .u32(u32::try_from(BLOCK_BYTES).unwrap_or(0))
            .u64(0)
            .u32(u32::try_from(self.links).unwrap_or(u32::MAX))
            .u32(self.user)
            .u32(self.group)
            .u16(u16::try_from(self.mode).unwrap_or(0))
            .u16(0)
            .u64(self.inode)
            .u64(self.size_bytes)
            .u64(self.blocks())
            .u64(0);
        for ns in [
            self.accessed_ns,
            self.born_ns,
            self.changed_ns,
            self.modified_ns,
        ] {
            words = time(words, ns);
        }
        words
            .u32(self.special.0)
            .u32(self.special.1)
            .u32(self.device.0)
            .u32(self.device.1)
            .padded_to(STATX_BYTES)
            .0
    }
}

fn seconds(ns: i128) -> i64 {
    i64::try_from(ns.div_euclid(i128::from(NS))).unwrap_or(0)
}

fn nanoseconds(ns: i128) -> u32 {
    u32::try_from(ns.rem_euclid(i128::from(NS))).unwrap_or(0)
}

/// A device number as the kernel's `stat` encodes it (`new_encode_dev`).
fn device_number((major, minor): (u32, u32)) -> u64 {
    u64::from((minor & 0xff) | (major << 8) | ((minor & !0xff) << 12))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_have_the_kernels_length_and_order() {
        let shown = Shown {
            device: (8, 1),
            inode: 7,
            mode: 0o100_644,
            links: 1,
            user: 1,
            group: 2,
            special: (0, 0),
            size_bytes: 4097,
            accessed_ns: -1,
            modified_ns: 5_000_000_006,
            changed_ns: 0,
            born_ns: 0,
        };
        let stat = shown.stat();
        assert_eq!(stat.len(), size_of::<libc::stat>());
        let word = |at: usize| u64::from_le_bytes(stat[at..at + 8].try_into().unwrap());
        assert_eq!(word(0), 0x801);
        assert_eq!(word(64), 16);
        assert_eq!((word(72).cast_signed(), word(80)), (-1, 999_999_999));
        assert_eq!((word(88), word(96)), (5, 6));
        let statx = shown.statx();
        assert_eq!(statx.len(), size_of::<libc::statx>());
        assert_eq!(&statx[112..120], &5_u64.to_le_bytes());
        assert_eq!(&statx[136..144], &[8, 0, 0, 0, 1, 0, 0, 0]);
    }
}
