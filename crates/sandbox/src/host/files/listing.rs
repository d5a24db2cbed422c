//! The order of directory entries and their inode numbers (getdents64(2)). The kernel's order
//! depends on the file system; here a directory lists its entries in the order that the host's
//! description states.
//!
//! The place in a listing is kept where the kernel keeps it, in the open file, as the number of
//! entries that were given out; it survives `lseek`, `dup` and `fork`. What a listing holds is
//! fixed when it begins, so that entries that are removed meanwhile shift nothing. It is kept by
//! process and descriptor; who goes on with another's, after `dup` or `fork`, goes on with what that
//! one holds if it stands at the same place. Whatever is not kept is listed anew, and the place then
//! counts the entries that are there now: after another program was executed, and of the listings
//! that were begun the longest ago if there are more than [`BYTES_MAX`].
//!
//! Where the open file cannot be reached the call fails: the kernel's own order is never shown.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, OFlags, RawDir, SeekFrom, Statx, openat, seek};

use super::paths::{descriptor_path, errno, join};
use super::status::{Place, look};
use crate::host::process::memory::Words;
use crate::host::random::stream::word;
use crate::host::service::{Answer, Call, Reply, Service};
use crate::host::{DirectoryOrder, VirtualHost};
use crate::sys::Errno;

/// How many bytes are spent on listings that are not finished, unless one alone takes more: a
/// directory is as large as it is.
const BYTES_MAX: usize = 64 << 20;
/// What a listing takes beside its entries, and an entry beside its name.
const LISTING_BYTES: usize = 256;
const ENTRY_BYTES: usize = 64;
const BUFFER_BYTES: usize = 64 << 10;

/// One entry.
#[derive(Clone, Debug)]
struct Entry {
    name: Vec<u8>,
    inode: u64,
    kind: u8,
}

/// A listing that is not finished.
#[derive(Clone, Debug)]
struct Listing {
    /// The directory.
    inode: u64,
    entries: Vec<Entry>,
    /// How many of them were given out.
    given: u64,
    /// When it was last continued, in calls.
    turn: u64,
    /// About what it takes.
    bytes: usize,
}

impl Listing {
    fn of(inode: u64, entries: Vec<Entry>) -> Self {
        let of_each = entries.iter().map(|entry| entry.name.len() + ENTRY_BYTES);
        Self {
            inode,
            bytes: of_each.sum::<usize>() + LISTING_BYTES,
            entries,
            given: 0,
            turn: 0,
        }
    }
}

/// The listings in progress.
#[derive(Debug, Default)]
pub(in crate::host) struct Listings {
    /// By process and descriptor.
    begun: BTreeMap<(i32, i32), Listing>,
    /// Which was continued when.
    turns: BTreeMap<u64, (i32, i32)>,
    turn: u64,
    bytes: usize,
}

impl Listings {
    /// What is kept of a directory's listing that has come to this place.
    fn take(&mut self, key: (i32, i32), inode: u64, given: u64) -> Option<Listing> {
        let own = self.remove(key);
        if given == 0 {
            return None; // It begins.
        }
        let fits = |listing: &Listing| listing.inode == inode && listing.given == given;
        if let Some(own) = own
            && own.inode == inode
        {
            return Some(own);
        }
        let others = self.begun.values().filter(|listing| fits(listing));
        others.max_by_key(|listing| listing.turn).cloned()
    }

    /// Keeps a listing until it goes on, and gives up others for it if need be.
    fn keep(&mut self, key: (i32, i32), mut listing: Listing) {
        self.remove(key);
        self.turn += 1;
        listing.turn = self.turn;
        self.bytes += listing.bytes;
        self.turns.insert(self.turn, key);
        self.begun.insert(key, listing);
        while self.bytes > BYTES_MAX && self.begun.len() > 1 {
            let Some((_, oldest)) = self.turns.pop_first() else {
                return;
            };
            self.remove(oldest);
        }
    }

    /// A process has ended, or executed another program.
    pub(in crate::host) fn forget(&mut self, process: i32) {
        let its = self.begun.range((process, i32::MIN)..=(process, i32::MAX));
        for key in its.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.remove(key);
        }
    }

    fn remove(&mut self, key: (i32, i32)) -> Option<Listing> {
        let listing = self.begun.remove(&key)?;
        self.turns.remove(&listing.turn);
        self.bytes = self.bytes.saturating_sub(listing.bytes);
        Some(listing)
    }
}

impl Service {
    pub(in crate::host) fn listing(&mut self, call: &Call) -> Answer {
        let descriptor = call.int(0);
        let process = self.task(call).process;
        self.task(call).clock.work(LISTING_NS);
        let handles = &mut self.tasks.handles;
        let directory = match handles.thread_descriptor(process, call.thread, descriptor) {
            Ok(directory) => directory,
            Err(Errno(errno @ (libc::EBADF | libc::EMFILE))) => return Err(Errno(errno)),
            Err(_) => return Err(Errno(libc::EIO)),
        };
        let found = look(&directory, "", AtFlags::EMPTY_PATH)?;
        if u32::from(found.stx_mode) & libc::S_IFMT != libc::S_IFDIR {
            return Err(Errno(libc::ENOTDIR));
        }
        let position = seek(&directory, SeekFrom::Current(0)).map_err(errno)?;
        let key = (process, descriptor);
        let kept = self.listings.take(key, found.stx_ino, position);
        let mut listing = if let Some(kept) = kept {
            kept
        } else {
            let place = self.identities.place(&found);
            let path = match descriptor_path(call.thread, descriptor) {
                // What the action has made may lie deeper than any path reaches; its numbers do not
                // follow from paths.
                Err(Errno(libc::ENAMETOOLONG)) if place == Place::Scratch => Vec::new(),
                path => path?,
            };
            let mut entries = self.entries(call, &directory, &path, place)?;
            sort(&mut entries, &self.host);
            Listing::of(found.stx_ino, entries)
        };
        let entries = &listing.entries;
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
        if !given.is_empty() {
            listing.given = next as u64;
            self.listings.keep(key, listing);
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

    fn at(inode: u64, given: u64, entries: Vec<Entry>) -> Listing {
        Listing {
            given,
            ..Listing::of(inode, entries)
        }
    }

    #[test]
    fn a_listing_goes_on_as_it_began_also_after_fork_and_dup() {
        let mut listings = Listings::default();
        let length = |listing: Option<Listing>| listing.map(|listing| listing.entries.len());
        listings.keep((1, 3), at(7, 2, vec![entry("a"), entry("b"), entry("c")]));
        listings.keep((1, 4), at(7, 1, vec![entry("a")]));
        // Its copies, of the place at which it stands.
        assert_eq!(length(listings.take((2, 3), 7, 2)), Some(3));
        assert_eq!(length(listings.take((1, 5), 7, 1)), Some(1));
        // Others.
        assert_eq!(length(listings.take((2, 3), 7, 3)), None);
        assert_eq!(length(listings.take((2, 3), 8, 2)), None);
        // Its own, wherever it was moved to, but for the beginning.
        assert_eq!(length(listings.take((1, 3), 7, 1)), Some(3));
        assert_eq!(length(listings.take((1, 4), 7, 0)), None);
        assert_eq!((listings.bytes, listings.turns.len()), (0, 0));
    }

    #[test]
    fn what_is_kept_is_bounded_and_goes_with_its_process() {
        let mut listings = Listings::default();
        let large = || vec![entry(&"x".repeat(200)); 4096];
        for process in 1..=200 {
            listings.keep((process, 3), at(7, 1, large()));
            listings.keep((process, 4), at(7, 1, vec![entry("y")]));
            assert!(listings.bytes <= BYTES_MAX);
        }
        // The oldest is gone, the latest is there.
        assert!(listings.take((1, 3), 9, 1).is_none());
        assert!(listings.take((200, 3), 7, 1).is_some());
        for descriptor in [3, 4] {
            assert!(listings.begun.contains_key(&(199, descriptor)));
        }
        listings.forget(199);
        for descriptor in [3, 4] {
            assert!(!listings.begun.contains_key(&(199, descriptor)));
        }
        // One alone is kept however large it is.
        let entries = BYTES_MAX / ENTRY_BYTES;
        listings.keep((1, 3), at(7, 1, vec![entry("z"); entries]));
        assert_eq!((listings.begun.len(), listings.turns.len()), (1, 1));
        assert!(listings.take((1, 3), 7, 1).is_some());
        assert_eq!(listings.bytes, 0);
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
