//! The order of directory entries and their inode numbers (getdents64(2)). The kernel's order
//! depends on the file system; here a directory lists its entries in the order that the host's
//! description states.
//!
//! The place in a listing is kept where the kernel keeps it, in the open file, as the number of
//! entries that were given out; it survives `lseek`, `dup` and `fork`. What a listing holds is
//! fixed when it begins, so that entries that are removed meanwhile shift nothing.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, OFlags, RawDir, SeekFrom, Statx, openat, seek};

use super::Map;
use super::memory::Words;
use super::paths::{descriptor_path, errno, join};
use super::random::word;
use super::service::{Answer, Call, Reply, Service};
use super::status::{Place, look};
use super::{DirectoryOrder, VirtualHost};
use crate::sys::Errno;

/// Listings in progress that are remembered; more begin anew at each call.
const LISTINGS_MAX: usize = 4096;
const BUFFER_BYTES: usize = 64 << 10;

/// One entry.
#[derive(Clone, Debug)]
struct Entry {
    name: Vec<u8>,
    inode: u64,
    kind: u8,
}

/// The listings in progress, by process and descriptor.
#[derive(Debug, Default)]
pub(super) struct Listings {
    begun: Map<(i32, i32), (u64, Vec<Entry>)>,
}

impl Service {
    pub(super) fn listing(&mut self, call: &Call) -> Answer {
        let descriptor = call.int(0);
        let process = self.task(call).process;
        self.task(call).clock.work(LISTING_NS);
        let Ok(directory) = self.tasks.handles.descriptor(process, descriptor) else {
            return Ok(Reply::Proceed); // Not open, and the kernel says so.
        };
        let found = look(&directory, "", AtFlags::EMPTY_PATH)?;
        if u32::from(found.stx_mode) & libc::S_IFMT != libc::S_IFDIR {
            return Err(Errno(libc::ENOTDIR));
        }
        let position = seek(&directory, SeekFrom::Current(0)).map_err(errno)?;
        let key = (process, descriptor);
        let begun = self.listings.begun.remove(&key);
        let entries = match begun {
            Some((inode, entries)) if position > 0 && inode == found.stx_ino => entries,
            _ => {
                let path = descriptor_path(call.thread, descriptor)?;
                let place = self.identities.place(&found);
                let mut entries = self.entries(call, &directory, &path, place)?;
                sort(&mut entries, &self.host);
                entries
            }
        };
        let start = usize::try_from(position).unwrap_or(usize::MAX);
        let space = usize::try_from(call.arguments[2]).unwrap_or(usize::MAX);
        let is_old = call.number == libc::SYS_getdents;
        let mut given = Vec::new();
        let mut next = start;
        for entry in entries.get(start..).unwrap_or_default() {
            let record = entry.record(next as u64 + 1, is_old);
            if given.len() + record.len() > space.min(BUFFER_BYTES) {
                break;
            }
            given.extend(record);
            next += 1;
        }
        if given.is_empty() && next < entries.len() {
            return Err(Errno(libc::EINVAL)); // The buffer is too small for one entry.
        }
        call.memory().write(call.arguments[1], &given)?;
        seek(&directory, SeekFrom::Start(next as u64)).map_err(errno)?;
        // Kept until a call has found nothing more: it must not see what came meanwhile.
        if !given.is_empty() && self.listings.begun.len() < LISTINGS_MAX {
            self.listings.begun.insert(key, (found.stx_ino, entries));
        }
        Ok(Reply::Value(i64::try_from(given.len()).unwrap_or(0)))
    }

    /// Where a directory ends (`SEEK_END`) is a number of its file system's own; memory file systems
    /// have none (`simple_offset_dir_operations`).
    pub(super) fn seeking_from_end(&mut self, call: &Call) -> Answer {
        let is_directory = |found: Statx| u32::from(found.stx_mode) & libc::S_IFMT == libc::S_IFDIR;
        if self
            .descriptor_status(call, call.int(0))
            .is_ok_and(is_directory)
        {
            return Err(Errno(libc::EINVAL));
        }
        Ok(Reply::Proceed) // If it is not open, the kernel says so.
    }

    fn entries(
        &mut self,
        call: &Call,
        directory: &OwnedFd,
        path: &[u8],
        place: Place,
    ) -> Result<Vec<Entry>, Errno> {
        // A description of its own, because the position belongs to the action's.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let own = openat(directory, c".", flags, rustix::fs::Mode::empty()).map_err(errno)?;
        let mut buffer = Vec::with_capacity(BUFFER_BYTES);
        let mut listed = RawDir::new(&own, buffer.spare_capacity_mut());
        let mut entries = Vec::new();
        while let Some(entry) = listed.next() {
            let entry = entry.map_err(errno)?;
            entries.push(Entry {
                name: entry.file_name().to_bytes().to_vec(),
                inode: entry.ino(),
                kind: kind(entry.file_type()),
            });
        }
        if place == Place::Processes {
            return Ok(self.process_entries(call, path, entries));
        }
        for entry in &mut entries {
            entry.inode = self.entry_inode(path, entry, place, directory);
        }
        Ok(entries)
    }

    /// The number that the entry's status shows, too.
    fn entry_inode(
        &mut self,
        path: &[u8],
        entry: &Entry,
        place: Place,
        directory: &OwnedFd,
    ) -> u64 {
        let child = match entry.name.as_slice() {
            b"." => path.to_vec(),
            b".." => super::paths::lexical(&join(path, b"..")),
            name => join(path, name),
        };
        match place {
            // An input's number follows from its path, and no mount begins below an input.
            Place::Input if entry.name != b".." => self.identities.input_number(&child),
            Place::Scratch if entry.name != b".." => entry.inode,
            _ => {
                let name = String::from_utf8_lossy(&entry.name);
                look(directory, &name, AtFlags::SYMLINK_NOFOLLOW).map_or(entry.inode, |found| {
                    self.identities.number_at(&found, || child)
                })
            }
        }
    }

    /// The entries of a directory of `/proc` that exist for the action.
    fn process_entries(&mut self, call: &Call, path: &[u8], real: Vec<Entry>) -> Vec<Entry> {
        let mut shown: Vec<Entry> = real
            .into_iter()
            .filter(|entry| !Self::is_hidden(call, &join(path, &entry.name)))
            .collect();
        for (name, kind) in super::procfs::made_up_entries(path) {
            if !shown.iter().any(|entry| entry.name == name.as_bytes()) {
                shown.push(Entry {
                    name: name.as_bytes().to_vec(),
                    inode: 0,
                    kind: *kind,
                });
            }
        }
        for entry in &mut shown {
            let child = super::paths::lexical(&join(path, &entry.name));
            entry.inode = self.identities.input_number(&child);
        }
        shown
    }
}

const LISTING_NS: u64 = 5_000;

/// `.` and `..` come first in every order.
fn sort(entries: &mut [Entry], host: &VirtualHost) {
    entries.sort_by(|a, b| {
        let first = |entry: &Entry| !matches!(entry.name.as_slice(), b"." | b"..");
        let by_name = match host.directory_order {
            DirectoryOrder::Sorted => a.name.cmp(&b.name),
            DirectoryOrder::Reversed => b.name.cmp(&a.name),
            DirectoryOrder::Shuffled(salt) => {
                let key = |entry: &Entry| word(&[&salt.to_le_bytes(), &entry.name]);
                key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
            }
        };
        first(a).cmp(&first(b)).then(by_name)
    });
}

fn kind(file_type: FileType) -> u8 {
    match file_type {
        FileType::RegularFile => libc::DT_REG,
        FileType::Directory => libc::DT_DIR,
        FileType::Symlink => libc::DT_LNK,
        FileType::Fifo => libc::DT_FIFO,
        FileType::Socket => libc::DT_SOCK,
        FileType::CharacterDevice => libc::DT_CHR,
        FileType::BlockDevice => libc::DT_BLK,
        FileType::Unknown => libc::DT_UNKNOWN,
    }
}

impl Entry {
    /// `struct linux_dirent64`, or `struct linux_dirent` for the old call.
    fn record(&self, next: u64, is_old: bool) -> Vec<u8> {
        // Three numbers, the kind, and the end of the name, in either form.
        let length = (18 + 2 + self.name.len()).next_multiple_of(8);
        // A name has at most 255 bytes.
        let length_field = u16::try_from(length).unwrap_or(u16::MAX);
        let mut words = Words::default().u64(self.inode).u64(next).u16(length_field);
        if !is_old {
            words.0.push(self.kind);
        }
        words.0.extend_from_slice(&self.name);
        let mut record = words.padded_to(length).0;
        if is_old && let Some(last) = record.last_mut() {
            *last = self.kind;
        }
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str) -> Entry {
        Entry {
            name: name.into(),
            inode: 1,
            kind: libc::DT_REG,
        }
    }

    #[test]
    fn orders() {
        let mut host = VirtualHost::standard(0, [0; 32]);
        let names = |host: &VirtualHost| {
            let mut entries = ["b", "..", "a", ".", "c"].map(entry);
            sort(&mut entries, host);
            entries.map(|entry| String::from_utf8(entry.name).unwrap())
        };
        assert_eq!(names(&host), [".", "..", "a", "b", "c"]);
        host.directory_order = DirectoryOrder::Reversed;
        assert_eq!(names(&host), ["..", ".", "c", "b", "a"]);
        host.directory_order = DirectoryOrder::Shuffled(1);
        let shuffled = names(&host);
        assert_eq!(names(&host), shuffled);
    }

    #[test]
    fn records_are_aligned() {
        for length in 1..=255 {
            let record = entry(&"x".repeat(length)).record(3, false);
            assert_eq!(record.len() % 8, 0);
            assert_eq!(
                usize::from(record[16]) + 256 * usize::from(record[17]),
                record.len()
            );
            assert_eq!((record[18], record[19]), (libc::DT_REG, b'x'));
            let old = entry(&"x".repeat(length)).record(3, true);
            assert_eq!((old.last(), old[18]), (Some(&libc::DT_REG), b'x'));
        }
    }
}
