//! The directory that a description lies in: its root is found there, its output directory made.
//! No name leads out of it, and no symbolic link is followed on the way.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::description::Description;
use crate::error::LaunchError;

/// Bounds of a root: more entries and levels than any has.
const ENTRIES_MAX: usize = 10_000_000;
const DEPTH_MAX: usize = 256;

/// The open directory of a description.
pub(crate) struct Place {
    path: PathBuf,
    directory: OwnedFd,
}

impl Place {
    /// Reads the description in the file `path`.
    pub(crate) fn open(path: &Path) -> Result<(Self, Description), LaunchError> {
        let bytes = read_bounded(path, Description::bytes_max())?;
        let description =
            Description::parse(&bytes).map_err(|source| LaunchError::Description {
                path: path.to_owned(),
                source,
            })?;
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        // Absolute from here on, whatever the working directory.
        let parent = parent
            .canonicalize()
            .map_err(|error| LaunchError::io("open", parent, error))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&parent, flags, Mode::empty())
            .map_err(|errno| LaunchError::io("open", &parent, errno))?;
        let place = Self {
            path: parent,
            directory,
        };
        Ok((place, description))
    }

    /// The root, checked to be what the steps' user can read.
    pub(crate) fn root(&self, name: &str) -> Result<PathBuf, LaunchError> {
        drop(self.find("root", name, OFlags::PATH)?);
        let path = self.path.join(name);
        check_readable(&path, Path::new(""), 0, &mut 0)?;
        Ok(path)
    }

    /// The output directory, made with its parents if it is absent, empty in either case.
    pub(crate) fn output_directory(&self, name: &str) -> Result<(PathBuf, OwnedFd), LaunchError> {
        const WHAT: &str = "output directory";
        let made_with = Mode::from_raw_mode(0o755);
        let ends = name.match_indices('/').map(|(at, _)| at);
        for end in ends.chain([name.len()]) {
            let ancestor = name.get(..end).unwrap_or(name);
            match rustix::fs::mkdirat(&self.directory, ancestor, made_with) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => {
                    return Err(LaunchError::io("make", &self.path.join(ancestor), errno));
                }
            }
            // Each before the next, so that nothing is made behind a link.
            drop(self.find(WHAT, ancestor, OFlags::PATH)?);
        }
        let directory = self.find(WHAT, name, OFlags::RDONLY)?;
        let path = self.path.join(name);
        let listing = rustix::fs::Dir::read_from(&directory)
            .map_err(|errno| LaunchError::io("list", &path, errno))?;
        for entry in listing {
            let entry = entry.map_err(|errno| LaunchError::io("list", &path, errno))?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                return Err(LaunchError::NotEmpty {
                    path: name.to_owned(),
                    found: entry.file_name().to_string_lossy().into_owned(),
                });
            }
        }
        Ok((path, directory))
    }

    fn find(&self, what: &'static str, name: &str, access: OFlags) -> Result<OwnedFd, LaunchError> {
        let found = rustix::fs::openat2(
            self.directory.as_fd(),
            name,
            access | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
        );
        let path = || name.to_owned();
        found.map_err(|errno| match errno {
            Errno::NOENT => LaunchError::Missing { what, path: path() },
            Errno::NOTDIR | Errno::LOOP => LaunchError::NotADirectory { what, path: path() },
            _ => LaunchError::io("open", &self.path.join(name), errno),
        })
    }
}

/// Reads a regular file of at most so many bytes, and one more if it has more.
fn read_bounded(path: &Path, bytes_max: usize) -> Result<Vec<u8>, LaunchError> {
    let failed = |source: std::io::Error| LaunchError::io("read", path, source);
    // A pipe is not waited for.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file =
        rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?;
    let file = File::from(file);
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(LaunchError::NotAFile {
            path: path.to_owned(),
        });
    }
    let mut bytes = Vec::new();
    let bytes_max = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    file.take(bytes_max.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}

/// Refuses a root of which a step could not read everything, or not execute what another user could:
/// a step would see that, and behave in another way than elsewhere. `below` leads from `root` to
/// the directory that is looked at.
fn check_readable(
    root: &Path,
    below: &Path,
    depth: usize,
    seen: &mut usize,
) -> Result<(), LaunchError> {
    let here = root.join(below);
    let failed = |error: std::io::Error| LaunchError::io("read", &here, error);
    for entry in fs::read_dir(&here).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = below.join(entry.file_name());
        *seen += 1;
        if *seen > ENTRIES_MAX || depth >= DEPTH_MAX {
            return Err(LaunchError::RootTooLarge { path });
        }
        let metadata = entry.metadata().map_err(failed)?;
        if metadata.is_symlink() {
            continue;
        }
        if !is_readable(&entry.path(), metadata.mode()) {
            return Err(LaunchError::Unreadable {
                path,
                mode: metadata.mode() & 0o7777,
            });
        }
        if metadata.is_dir() {
            check_readable(root, &path, depth + 1, seen)?;
        }
    }
    Ok(())
}

fn is_readable(path: &Path, mode: u32) -> bool {
    let is_directory = mode & 0o170_000 == 0o040_000;
    let is_executable = is_directory || mode & 0o111 != 0;
    if rustix::process::geteuid().is_root() {
        // The steps run as nobody, whom the last three bits are for.
        return mode & 0o4 != 0 && (!is_executable || mode & 0o1 != 0);
    }
    let mut access = Access::READ_OK;
    access.set(Access::EXEC_OK, is_executable);
    rustix::fs::accessat(rustix::fs::CWD, path, access, AtFlags::EACCESS).is_ok()
}
