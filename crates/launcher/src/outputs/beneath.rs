//! How a name of a step's is opened: below the scratch directory, through no link, and only what its
//! owner could open.
//!
//! Absent on purpose: what becomes of it ([`super`]).

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::{OutputDefect, OutputError, io_error, missing, refused};

/// What its owner may do with a file that can be taken; the superuser could read it without.
const READABLE: u32 = 0o400;
/// The same of a directory.
const SEARCHABLE: u32 = 0o500;
/// Permission bits that make a program run as somebody else.
const SET_ID: u32 = 0o6000;

/// How a name of a step's is opened: it leads nowhere but down, in the scratch space.
const RESOLUTION: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);

/// Opens what a declaration names. The directories on the way to it are the step's, too: what
/// their owner could not pass, the superuser does not pass either.
pub(super) fn open_declared(
    scratch: BorrowedFd<'_>,
    path: &str,
) -> Result<(OwnedFd, rustix::fs::Stat), OutputError> {
    for (end, _) in path.match_indices('/') {
        let parent = path.get(..end).unwrap_or_default();
        require(&examine(scratch, parent, path)?, 0o100, path)?;
    }
    open(scratch, path, path)
}

pub(super) fn examine(
    directory: BorrowedFd<'_>,
    name: &str,
    path: &str,
) -> Result<rustix::fs::Stat, OutputError> {
    let looked = rustix::fs::openat2(
        directory,
        name,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
        RESOLUTION,
    );
    let found = match looked {
        Ok(found) => found,
        Err(Errno::NOENT | Errno::NOTDIR) => return Err(missing(path)),
        // On the way; at the end, a link is what is looked at.
        Err(Errno::LOOP) => return Err(refused(path, OutputDefect::EscapingLink)),
        Err(errno) => return Err(io_error("examine", path, errno.into())),
    };
    rustix::fs::fstat(&found).map_err(|errno| io_error("examine", path, errno.into()))
}

/// Refuses what lacks permissions for its owner.
fn require(stat: &rustix::fs::Stat, bits: u32, path: &str) -> Result<(), OutputError> {
    if stat.st_mode & bits == bits {
        Ok(())
    } else {
        Err(refused(path, OutputDefect::Unreadable))
    }
}

pub(super) fn open(
    directory: BorrowedFd<'_>,
    name: &str,
    path: &str,
) -> Result<(OwnedFd, rustix::fs::Stat), OutputError> {
    let opened = rustix::fs::openat2(
        directory,
        name,
        // Opening a pipe without this would wait for a writer that will never come.
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC,
        Mode::empty(),
        RESOLUTION,
    );
    let file = match opened {
        Ok(file) => file,
        Err(Errno::NOENT | Errno::NOTDIR) => return Err(missing(path)),
        Err(Errno::LOOP) => return Err(refused(path, OutputDefect::EscapingLink)),
        Err(Errno::NXIO) => return Err(refused(path, OutputDefect::Special)),
        Err(Errno::ACCESS) => return Err(refused(path, OutputDefect::Unreadable)),
        Err(errno) => return Err(io_error("open", path, errno.into())),
    };
    let stat = rustix::fs::fstat(&file).map_err(|errno| io_error("examine", path, errno.into()))?;
    let needed = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => READABLE,
        FileType::Directory => SEARCHABLE,
        _ => return Err(refused(path, OutputDefect::Special)),
    };
    require(&stat, needed, path)?;
    // tmpfs directories inherit set-group-id only when a step set it: refused all the same.
    if stat.st_mode & SET_ID != 0 {
        return Err(refused(path, OutputDefect::SetId));
    }
    Ok((file, stat))
}
