//! The one door to the disk: few operations, each of which may fail.
//!
//! Names are relative to the record and use `/`. The trait exists so that the
//! crash tests can stop the world at every single step and take away what was
//! not yet durable; the real implementation is [`posix::Posix`].

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::Waiting;

#[cfg(test)]
pub(crate) mod memory;
pub(crate) mod posix;

/// What a directory holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// Name within the directory.
    pub(crate) name: String,
    /// What it is.
    pub(crate) kind: ItemKind,
}

/// What a directory entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ItemKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// Anything else, or a name that is not UTF-8.
    Other,
}

/// Who else may hold the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LockKind {
    /// Nobody: an appender.
    Exclusive,
    /// Other readers: the integrity check.
    Shared,
}

/// A lock; released when dropped, also by the death of the process.
pub(crate) trait Lock {}

/// Files and directories of one record.
pub(crate) trait Storage: Send + Sync + fmt::Debug {
    /// The name as a person would write it.
    fn display(&self, name: &str) -> PathBuf;
    /// Waits for the lock on an existing file, and says so if somebody else holds it.
    fn lock(&self, name: &str, kind: LockKind, waiting: Waiting) -> io::Result<Box<dyn Lock>>;
    /// Reads a file of at most `bytes_max` bytes; a longer one is `InvalidData`.
    fn read(&self, name: &str, bytes_max: usize) -> io::Result<Vec<u8>>;
    /// Lists a directory in the order of names; the record itself is "".
    fn list(&self, name: &str) -> io::Result<Vec<Item>>;
    /// Creates a directory in an existing one; one that exists is fine.
    fn create_directory(&self, name: &str) -> io::Result<()>;
    /// Writes a file anew. Its content, not its name, is durable on return.
    fn write_synced(&self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Gives a file another name, replacing what was there. Atomic, not durable.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_directory(&self, name: &str) -> io::Result<()>;
    /// Removes a file. Not durable.
    fn remove_file(&self, name: &str) -> io::Result<()>;
    /// Removes an empty directory. Not durable.
    fn remove_directory(&self, name: &str) -> io::Result<()>;
}
