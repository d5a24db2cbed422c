//! The store as its users see it: one linked program for all of its black-box tests.

mod blobs;
mod checkouts;
mod collection;
mod full_disk;
mod records;
mod trees;

use std::path::Path;

use counterseal_store::{Digest, Store};

/// A store in a directory that goes when the value does.
struct Fixture {
    // Field order matters: the store closes before its directory goes.
    store: Store,
    home: Home,
}

/// A directory that goes when the value does.
struct Home(tempfile::TempDir);

impl Home {
    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Checkouts are closed to their owner, too, unless that is root.
        open_up(self.path());
    }
}

fn open_up(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    if std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
        // What cannot be opened stays: a test that fails says why it failed, not this.
        let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700));
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            open_up(&entry.path());
        }
    }
}

impl Fixture {
    fn new() -> Self {
        let home = Home(tempfile::tempdir().unwrap());
        let store = Store::create(&home.path().join("store")).unwrap();
        Self { store, home }
    }

    /// Like another process: a second, independent value on the same directory.
    fn another(&self) -> Store {
        Store::open(self.store.path()).unwrap()
    }

    fn blob_file(&self, digest: &Digest) -> std::path::PathBuf {
        let hash = digest.hash.to_string();
        self.store.path().join("blobs").join(&hash[..2]).join(hash)
    }

    /// Overwrites a blob's file, as a failing disk might.
    fn damage(&self, digest: &Digest, bytes: &[u8]) {
        let path = self.blob_file(digest);
        // Absent if the store has taken it away already.
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, bytes).unwrap();
        set_mode(&path, 0o444);
    }

    /// Puts something that is no file of its own in a blob's place: each time something else,
    /// until there is nothing more.
    fn replace(&self, digest: &Digest, kind: usize) -> bool {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        use std::os::unix::fs::symlink;
        let path = self.blob_file(digest);
        let copy = self.home.path().join("copy");
        let _ = std::fs::remove_file(&copy);
        std::fs::rename(&path, &copy).unwrap();
        match kind {
            0 => symlink("/dev/zero", path).unwrap(),
            // To what would be right.
            1 => symlink(copy, path).unwrap(),
            2 => symlink("nowhere", path).unwrap(),
            3 => mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap(),
            4 => {
                std::fs::create_dir_all(path.join("inner")).unwrap();
                set_mode(&path, 0o555);
            }
            _ => {
                std::fs::rename(copy, path).unwrap();
                return false;
            }
        }
        true
    }

    fn incoming_count(&self) -> usize {
        std::fs::read_dir(self.store.path().join("incoming"))
            .unwrap()
            .count()
    }
}

/// Remembers `value` as what was made of `source`.
fn derive(store: &Store, kind: &str, source: &Digest, value: &Digest) {
    let batch = store.batch().unwrap();
    batch.put_derived(kind, &source.hash, value).unwrap();
    batch.commit().unwrap();
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::symlink_metadata(path)
        .unwrap()
        .permissions()
        .mode()
        & 0o7777
}
