//! Stored trees as files on disk, made once and then only read.
//!
//! Every file is a copy of its own: a hard link to a blob would let whoever can write to the
//! checkout change the store. While it is copied, each file is hashed, so a damaged blob never
//! reaches an action; and since the copy may be changed afterwards, by accident or by hand, it is
//! compared with its tree each time it is used again. Absent on purpose: writable checkouts,
//! owners, extended attributes.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use counterseal_attestation::UnixSeconds;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use crate::inspection::inspect;
use crate::layout::{StoreLock, open_lock_file};
use crate::parallel::{self, Threads};
use crate::tree::{WalkEntry, WalkKind, walk};
use crate::{Digest, Store, StoreError};

/// Files up to this size are copied through memory and hashed there.
const MEMORY_BYTES_MAX: u64 = 1024 * 1024;

/// A tree on disk: files 0444 or 0555, directories 0555, all times as asked for.
///
/// Shared: the same tree with the same time is the same directory for everybody. The store
/// cannot be garbage-collected while it lives.
#[derive(Debug)]
pub struct Checkout {
    path: PathBuf,
    _lock: Arc<StoreLock>,
}

impl Checkout {
    /// The root of the tree, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A checkout of which nothing is known yet but that it was whole when it was made. What is made
/// in it is to be believed only if [`Unread::is_its_tree`] says so, before or afterwards: reading
/// every file takes a while, in which one can begin.
#[derive(Debug)]
pub struct Unread {
    checkout: Checkout,
    entries: Vec<WalkEntry>,
    mtime: UnixSeconds,
    /// Made just now, and each file hashed while it was copied.
    is_new: bool,
    /// Which directory it was, when somebody could begin to use it.
    identity: Option<(u64, u64)>,
}

impl Unread {
    /// The root of the tree, absolute.
    pub fn path(&self) -> &Path {
        self.checkout.path()
    }

    /// Compares the checkout with its tree, down to the hash of each file, on this thread alone.
    /// If it is another tree, [`Store::checkout`] makes it anew. Where another process has done so
    /// already, what is read is not what was used, and the answer is no.
    pub fn is_its_tree(&self) -> bool {
        self.is_new
            || inspect(&self.entries, self.mtime, self.path(), Threads::One).is_ok()
                && self.identity.is_some()
                && identity(self.path()) == self.identity
    }
}

impl Store {
    /// A tree as it was materialised before, not looked at yet; or materialised now.
    ///
    /// # Errors
    /// As [`Store::checkout`].
    pub fn checkout_unread(&self, tree: &Digest, mtime: UnixSeconds) -> Result<Unread, StoreError> {
        let place = self.checkouts_home()?.join(key(tree, mtime));
        let found = Checkout {
            path: place.join("tree"),
            _lock: self.lock(),
        };
        let entries = walk(self, tree)?;
        let is_new = !found.path.is_dir();
        let checkout = if is_new {
            self.check_out(tree, &entries, mtime)?
        } else {
            found
        };
        Ok(Unread {
            identity: identity(checkout.path()),
            checkout,
            entries,
            mtime,
            is_new,
        })
    }

    /// Materialises a tree, or finds it materialised already.
    ///
    /// One that is found is compared with the tree, down to the hash of each file. If anything
    /// deviates it is moved aside and made anew; see the crate's documentation.
    /// If several processes want the same one, one makes it and the others wait.
    ///
    /// # Errors
    /// A missing, damaged or hostile object anywhere in the tree; whatever writing reports. A
    /// half-made checkout is never used.
    pub fn checkout(&self, tree: &Digest, mtime: UnixSeconds) -> Result<Checkout, StoreError> {
        self.check_out(tree, &walk(self, tree)?, mtime)
    }

    /// [`Store::checkout`] of a tree with these entries.
    fn check_out(
        &self,
        tree: &Digest,
        entries: &[WalkEntry],
        mtime: UnixSeconds,
    ) -> Result<Checkout, StoreError> {
        let home = self.checkouts_home()?;
        fs::create_dir_all(&home).map_err(StoreError::at("create", &home))?;
        let key = key(tree, mtime);
        let place = home.join(&key);
        let checkout = Checkout {
            path: place.join("tree"),
            _lock: self.lock(),
        };
        if inspect(entries, mtime, &checkout.path, Threads::All).is_ok() {
            return Ok(checkout);
        }

        let _turn = take_turn(&home, &key)?;
        // Made, or made anew, by whoever had the turn before?
        if inspect(entries, mtime, &checkout.path, Threads::All).is_err() {
            self.move_aside(&place)?;
            self.make(entries, mtime, &place)?;
        }
        Ok(checkout)
    }

    /// Makes a checkout under `incoming/` and moves it to its place.
    fn make(
        &self,
        entries: &[WalkEntry],
        mtime: UnixSeconds,
        place: &Path,
    ) -> Result<(), StoreError> {
        let unfinished = self.unfinished("checkout-")?;
        let made = self.materialise(entries, mtime, &unfinished.path().join("tree"));
        // Taken away only now: a blob that vanished under the other threads' hands would be
        // reported as missing.
        let made = self.healing(made);
        // Moved as a whole, wrapped in a directory that is writable: moving a read-only
        // directory to another parent is refused to ordinary users.
        let moved = made.and_then(|()| {
            fs::rename(unfinished.path(), place).map_err(StoreError::at("move", place))
        });
        let unfinished = unfinished.keep();
        if moved.is_err() {
            // The first error is the one to report; what stays is swept on the next opening.
            let _ = remove_tree(&unfinished);
        }
        moved
    }

    /// Moves a checkout that deviates out of the way. It is not removed: somebody may be running
    /// in it, and files that vanish one by one change what runs without a trace. It is swept
    /// away by the next process to have the store to itself.
    fn move_aside(&self, place: &Path) -> Result<(), StoreError> {
        match fs::symlink_metadata(place) {
            Ok(metadata) if metadata.is_dir() => {
                fs::set_permissions(place, Permissions::from_mode(0o700))
                    .map_err(StoreError::at("unlock", place))?;
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(StoreError::io("inspect", place, error)),
        }
        let aside = self.unfinished("deviating-")?.keep();
        fs::rename(place, aside.join("checkout")).map_err(StoreError::at("move", place))
    }

    /// Where the checkouts of the running boot are.
    fn checkouts_home(&self) -> Result<PathBuf, StoreError> {
        let checkouts = self.path().join("checkouts");
        if let Some(boot) = boot_identifier() {
            return Ok(checkouts.join(boot));
        }
        // Without the kernel's word, nothing older than this call is believed.
        tempfile::Builder::new()
            .prefix("unknown-boot-")
            .tempdir_in(&checkouts)
            .map(tempfile::TempDir::keep)
            .map_err(StoreError::at("create a directory in", &checkouts))
    }

    fn materialise(
        &self,
        entries: &[WalkEntry],
        mtime: UnixSeconds,
        root: &Path,
    ) -> Result<(), StoreError> {
        let mut directories = vec![root.to_path_buf()];
        make_directory(root)?;
        for entry in entries {
            if let WalkKind::Directory { .. } = entry.kind {
                let path = root.join(&entry.path);
                make_directory(&path)?;
                directories.push(path);
            }
        }
        self.fill(entries, mtime, root)?;
        // Innermost first: setting a directory's time last keeps it.
        for path in directories.iter().rev() {
            fs::set_permissions(path, Permissions::from_mode(0o555))
                .map_err(StoreError::at("protect", path))?;
            set_mtime(path, mtime)?;
        }
        Ok(())
    }

    /// Writes files and links, several threads at once.
    fn fill(
        &self,
        entries: &[WalkEntry],
        mtime: UnixSeconds,
        root: &Path,
    ) -> Result<(), StoreError> {
        parallel::for_each(entries.len(), Threads::All, || {
            |index| {
                let entry = &entries[index];
                let path = root.join(&entry.path);
                match &entry.kind {
                    WalkKind::Directory { .. } => Ok(()),
                    WalkKind::Symlink { target } => symlink(target, &path)
                        .map_err(StoreError::at("create", &path))
                        .and_then(|()| set_mtime(&path, mtime)),
                    WalkKind::File { digest, executable } => {
                        self.copy_out(digest, *executable, mtime, &path)
                    }
                }
            }
        })
    }

    fn copy_out(
        &self,
        digest: &Digest,
        executable: bool,
        mtime: UnixSeconds,
        path: &Path,
    ) -> Result<(), StoreError> {
        let mode = if executable { 0o555 } else { 0o444 };
        let mut file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)
            .map_err(StoreError::at("create", path))?;
        if digest.size_bytes <= MEMORY_BYTES_MAX {
            let bytes = self.load_blob(digest, MEMORY_BYTES_MAX)?;
            file.write_all(&bytes)
                .map_err(StoreError::at("write", path))?;
        } else {
            let mut blob = self.open_unhashed(digest)?;
            // Uses copy_file_range, which shares extents where the file system can.
            io::copy(&mut blob, &mut file).map_err(StoreError::at("write", path))?;
            file.seek(SeekFrom::Start(0))
                .map_err(StoreError::at("read", path))?;
            let found = Digest::of_reader(&mut file).map_err(StoreError::at("read", path))?;
            if found != *digest {
                let path = self.blob_path(digest);
                return Err(StoreError::BlobDamaged {
                    digest: *digest,
                    path,
                });
            }
        }
        // The mode given on creation went through the umask.
        file.set_permissions(Permissions::from_mode(mode))
            .map_err(StoreError::at("protect", path))?;
        rustix::fs::futimens(&file, &timestamps(mtime)).map_err(StoreError::at("date", path))
    }
}

/// Removes a directory with everything in it, read-only directories included, or a file. Links
/// are removed, not followed. A missing path is no error.
pub(crate) fn remove_tree(path: &Path) -> Result<(), StoreError> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::io("inspect", path, error)),
    };
    if !metadata.is_dir() {
        return fs::remove_file(path).map_err(StoreError::at("remove", path));
    }
    if metadata.permissions().mode() & 0o700 != 0o700 {
        fs::set_permissions(path, Permissions::from_mode(0o700))
            .map_err(StoreError::at("unlock", path))?;
    }
    for entry in fs::read_dir(path).map_err(StoreError::at("list", path))? {
        remove_tree(&entry.map_err(StoreError::at("list", path))?.path())?;
    }
    fs::remove_dir(path).map_err(StoreError::at("remove", path))
}

/// Names the running kernel's boot; `None` where the kernel does not tell.
pub(crate) fn boot_identifier() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let text = text.trim();
    let plain = text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    plain.then(|| text.to_owned())
}

/// What tells a directory from every other that stands at its path later.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// The directory of a checkout.
fn key(tree: &Digest, mtime: UnixSeconds) -> String {
    format!("{}-{}-{}", tree.hash, tree.size_bytes, mtime.0)
}

fn make_directory(path: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(StoreError::at("create", path))
}

/// Waits until nobody else makes or moves the checkout with this key; until dropped, nobody does.
pub(crate) fn take_turn(home: &Path, key: &str) -> Result<File, StoreError> {
    let path = home.join(format!("{key}.lock"));
    // Opened anew each time: threads of one process exclude each other like processes do.
    let file = open_lock_file(&path)?;
    file.lock().map_err(StoreError::at("lock", &path))?;
    Ok(file)
}

fn timestamps(mtime: UnixSeconds) -> Timestamps {
    let time = Timespec {
        tv_sec: i64::try_from(mtime.0).unwrap_or(i64::MAX),
        tv_nsec: 0,
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

fn set_mtime(path: &Path, mtime: UnixSeconds) -> Result<(), StoreError> {
    utimensat(CWD, path, &timestamps(mtime), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(StoreError::at("date", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removing_follows_no_links() {
        let home = tempfile::tempdir().unwrap();
        let precious = home.path().join("precious");
        fs::create_dir(&precious).unwrap();
        fs::write(precious.join("file"), "").unwrap();
        let doomed = home.path().join("doomed");
        fs::create_dir_all(doomed.join("a/b")).unwrap();
        symlink(&precious, doomed.join("a/link")).unwrap();
        for path in ["a/b", "a", ""] {
            fs::set_permissions(doomed.join(path), Permissions::from_mode(0o000)).unwrap();
        }
        remove_tree(&doomed).unwrap();
        assert!(!doomed.exists() && precious.join("file").exists());
        remove_tree(&doomed).unwrap();
    }
}
