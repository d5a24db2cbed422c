//! Storage in memory that can be stopped at any step and forgets what was not
//! synced.
//!
//! It is more hostile than a real file system: after a power cut, every name
//! in every directory that changed since the directory was last synced is kept
//! or lost on its own, even the two halves of one rename.

use std::collections::BTreeMap;
use std::io::{self, Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Item, ItemKind, Lock, LockKind, Storage};
use crate::Waiting;

/// What happens at the step that was chosen to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The step fails, and so does every later one: the process is gone.
    Death,
    /// The step fails because the disk is full; later ones succeed.
    DiskFull,
    /// The step fails with an input/output error; later ones succeed.
    Failure,
}

/// The content of files that were not written to the end.
const TORN: &[u8] = b"torn";

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    File(Arc<Vec<u8>>),
    Directory,
}

/// Directories by name, each with the nodes in it by name.
type Names = BTreeMap<String, BTreeMap<String, Node>>;

#[derive(Debug, Default)]
struct Disk {
    live: Names,
    durable: Names,
    steps: usize,
    fault: Option<(usize, Fault)>,
}

/// A disk in memory; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    disk: Arc<Mutex<Disk>>,
}

struct NoLock;

impl Lock for NoLock {}

impl Memory {
    /// An empty directory.
    pub(crate) fn new() -> Self {
        let memory = Self::default();
        memory.disk().live.insert(String::new(), BTreeMap::new());
        memory.disk().durable.insert(String::new(), BTreeMap::new());
        memory
    }

    /// An independent copy without faults.
    pub(crate) fn fork(&self) -> Self {
        let disk = self.disk();
        let copy = Self::default();
        copy.disk().live = disk.live.clone();
        copy.disk().durable = disk.durable.clone();
        copy
    }

    /// Makes the changing step number `step`, from 0, fail; counting starts anew.
    pub(crate) fn fail_at(&self, step: usize, fault: Fault) {
        let mut disk = self.disk();
        disk.steps = 0;
        disk.fault = Some((step, fault));
    }

    /// Changing steps since [`Memory::fail_at`].
    pub(crate) fn steps(&self) -> usize {
        self.disk().steps
    }

    /// The disk after a power cut. For each name whose fate is open, `keeps` is
    /// asked whether its change reached the disk.
    pub(crate) fn after_power_cut(&self, mut keeps: impl FnMut() -> bool) -> Self {
        let disk = self.disk();
        let mut survived: Names = BTreeMap::new();
        let mut pending = vec![String::new()];
        while let Some(directory) = pending.pop() {
            let empty = BTreeMap::new();
            let live = disk.live.get(&directory).unwrap_or(&empty);
            let durable = disk.durable.get(&directory).unwrap_or(&empty);
            let mut names = BTreeMap::new();
            for name in live.keys().chain(durable.keys()) {
                let (new, old) = (live.get(name), durable.get(name));
                let node = if new == old || keeps() { new } else { old };
                if let Some(node) = node {
                    names.insert(name.clone(), node.clone());
                }
            }
            let directories = names.iter().filter(|(_, node)| **node == Node::Directory);
            pending.extend(directories.map(|(name, _)| join(&directory, name)));
            survived.insert(directory, names);
        }
        let after = Self::default();
        after.disk().live = survived.clone();
        after.disk().durable = survived;
        after
    }

    /// Names of all files.
    pub(crate) fn files(&self) -> Vec<String> {
        let disk = self.disk();
        let files = disk.live.iter().flat_map(|(directory, names)| {
            let files = names.iter().filter(|(_, node)| **node != Node::Directory);
            files.map(|(name, _)| join(directory, name))
        });
        files.collect()
    }

    /// Writes a file past all rules, as damage or an attacker would.
    pub(crate) fn overwrite(&self, name: &str, bytes: &[u8]) {
        let (directory, base) = split(name);
        let file = Node::File(Arc::new(bytes.to_vec()));
        self.disk()
            .live
            .get_mut(directory)
            .expect("a directory")
            .insert(base.into(), file);
    }

    /// Removes a file, or a directory and everything in it, past all rules.
    pub(crate) fn erase(&self, name: &str) {
        let (directory, base) = split(name);
        let mut disk = self.disk();
        disk.live
            .get_mut(directory)
            .expect("a directory")
            .remove(base);
        let below = format!("{name}/");
        disk.live
            .retain(|other, _| other != name && !other.starts_with(&below));
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().expect("no test panics while holding it")
    }

    /// One changing step: fails if it was chosen to.
    fn step(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let mut disk = self.disk();
        let step = disk.steps;
        disk.steps += 1;
        match disk.fault {
            Some((chosen, Fault::Death)) if step >= chosen => Err(Error::other("stopped")),
            Some((chosen, Fault::DiskFull)) if step == chosen => {
                Err(Error::from(ErrorKind::StorageFull))
            }
            Some((chosen, Fault::Failure)) if step == chosen => Err(Error::other("failed")),
            _ => Ok(disk),
        }
    }
}

impl Storage for Memory {
    fn display(&self, name: &str) -> PathBuf {
        Path::new("/record").join(name)
    }

    fn lock(&self, name: &str, _kind: LockKind, _waiting: Waiting) -> io::Result<Box<dyn Lock>> {
        self.read(name, 0)?;
        Ok(Box::new(NoLock))
    }

    fn read(&self, name: &str, bytes_max: usize) -> io::Result<Vec<u8>> {
        let (directory, base) = split(name);
        match self
            .disk()
            .live
            .get(directory)
            .and_then(|names| names.get(base))
        {
            Some(Node::File(bytes)) if bytes.len() > bytes_max => {
                Err(Error::from(ErrorKind::InvalidData))
            }
            Some(Node::File(bytes)) => Ok(bytes.to_vec()),
            Some(Node::Directory) => Err(Error::from(ErrorKind::IsADirectory)),
            None => Err(Error::from(ErrorKind::NotFound)),
        }
    }

    fn list(&self, name: &str) -> io::Result<Vec<Item>> {
        let disk = self.disk();
        let names = disk.live.get(name).ok_or(ErrorKind::NotFound)?;
        let kind = |node: &Node| match node {
            Node::File(_) => ItemKind::File,
            Node::Directory => ItemKind::Directory,
        };
        Ok(names
            .iter()
            .map(|(name, node)| Item {
                name: name.clone(),
                kind: kind(node),
            })
            .collect())
    }

    fn create_directory(&self, name: &str) -> io::Result<()> {
        let mut disk = self.step()?;
        let (directory, base) = split(name);
        let names = disk.live.get_mut(directory).ok_or(ErrorKind::NotFound)?;
        match names.insert(base.into(), Node::Directory) {
            Some(Node::File(_)) => return Err(Error::from(ErrorKind::AlreadyExists)),
            Some(Node::Directory) => {}
            None => {
                disk.live.insert(name.into(), BTreeMap::new());
            }
        }
        Ok(())
    }

    fn write_synced(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let (directory, base) = split(name);
        let step = self.step().map(drop);
        // A write that fails leaves a beginning behind.
        let content = if step.is_ok() { bytes } else { TORN };
        let mut disk = self.disk();
        let names = disk.live.get_mut(directory).ok_or(ErrorKind::NotFound)?;
        names.insert(base.into(), Node::File(Arc::new(content.to_vec())));
        step
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.step()?;
        let ((old, old_base), (new, new_base)) = (split(from), split(to));
        if !disk.live.contains_key(new) {
            return Err(Error::from(ErrorKind::NotFound));
        }
        let names = disk.live.get_mut(old).ok_or(ErrorKind::NotFound)?;
        let node = names.remove(old_base).ok_or(ErrorKind::NotFound)?;
        let names = disk.live.get_mut(new).ok_or(ErrorKind::NotFound)?;
        names.insert(new_base.into(), node);
        Ok(())
    }

    fn sync_directory(&self, name: &str) -> io::Result<()> {
        let mut disk = self.step()?;
        let names = disk.live.get(name).cloned().ok_or(ErrorKind::NotFound)?;
        disk.durable.insert(name.into(), names);
        Ok(())
    }

    fn remove_file(&self, name: &str) -> io::Result<()> {
        let mut disk = self.step()?;
        let (directory, base) = split(name);
        let names = disk.live.get_mut(directory).ok_or(ErrorKind::NotFound)?;
        names
            .remove(base)
            .map(drop)
            .ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn remove_directory(&self, name: &str) -> io::Result<()> {
        let mut disk = self.step()?;
        if disk.live.get(name).is_some_and(|names| !names.is_empty()) {
            return Err(Error::from(ErrorKind::DirectoryNotEmpty));
        }
        let (directory, base) = split(name);
        let names = disk.live.get_mut(directory).ok_or(ErrorKind::NotFound)?;
        names.remove(base);
        disk.live.remove(name);
        Ok(())
    }
}

fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('/').unwrap_or(("", name))
}

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.into()
    } else {
        format!("{directory}/{name}")
    }
}
