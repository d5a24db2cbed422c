//! The parent's side of a room: orders it once, keeps its namespaces open, and gives the
//! caller a way to read the scratch space. No process stays in a room between runs, and what others
//! can use of it goes back to its [`Premises`] in the end.

use std::ffi::CString;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType,
};

use crate::action::Action;
use crate::error::{SandboxError, SetupStep, io, io_at};
use crate::furnish::Order;
use crate::groundwork::Groundwork;
use crate::host::Carried;
use crate::plan;
use crate::premises::{Premises, Site};
use crate::proc_text::proc_text;
use crate::report::Report;
use crate::sys::Identity;
use crate::{root, settings, sys};

/// The memory file system behind `/build`, `/tmp` and `/dev/shm`, shared by the steps of one
/// assembly, together with the namespaces that those steps run in.
///
/// Its size is a hard limit of the kernel. Everything is given back when this is dropped and
/// no descriptor of [`Scratch::outputs`] is open any more.
#[derive(Debug, Default)]
pub struct Scratch {
    premises: Premises,
    room: Option<Room>,
    /// Where the clock stands, and the times of the files.
    pub(crate) carried: Carried,
}

impl Scratch {
    /// A scratch space that comes into being with the first run that uses it, in premises of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same in premises in which other scratch spaces have been or will be.
    pub fn within(premises: &Premises) -> Self {
        Self {
            premises: premises.clone(),
            room: None,
            carried: Carried::default(),
        }
    }

    /// An open directory with the entries `build`, `tmp` and `shm`: what the steps left.
    /// Read it with `openat2` and `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS`: its contents are
    /// the step's own choice. No process of the sandbox is alive between runs. It is for
    /// reading only: the kernel refuses files of users that the sandbox does not know.
    ///
    /// # Errors
    /// [`SandboxError::ScratchUnused`] before the first run.
    pub fn outputs(&self) -> Result<OwnedFd, SandboxError> {
        self.made()?
            .scratch
            .try_clone()
            .map_err(|source| io("opening the scratch space", source))
    }

    /// Whether the room that an action with this root runs in has been made.
    pub(crate) fn has_room(&self, root: &Path) -> Result<bool, SandboxError> {
        match &self.room {
            Some(made) if made.root != root => Err(SandboxError::RootChanged {
                expected: made.root.clone(),
                found: root.to_owned(),
            }),
            made => Ok(made.is_some()),
        }
    }

    /// Keeps a room that has been made.
    pub(crate) fn keep(&mut self, room: Room) -> &mut Room {
        self.room.insert(room)
    }

    pub(crate) fn made_mut(&mut self) -> Result<&mut Room, SandboxError> {
        self.room.as_mut().ok_or(SandboxError::ScratchUnused)
    }

    /// The room that has been made.
    pub(crate) fn made(&self) -> Result<&Room, SandboxError> {
        self.room.as_ref().ok_or(SandboxError::ScratchUnused)
    }

    /// The site for the room that this action needs, as far as it is there.
    pub(crate) fn groundwork(&self, action: &Action<'_>) -> Result<Groundwork, SandboxError> {
        match self.premises.take(action.host) {
            Some(vacant) => vacant.resume(action.host, action.waived),
            None => Groundwork::begin(action.host, action.waived),
        }
    }

    /// Whether no socket was ever made in the room's network, if there is a room. From here on that is
    /// unknown, until [`Self::hand_on`] says it again.
    pub(crate) fn doubt_network(&mut self) -> bool {
        let Some(room) = &mut self.room else {
            return true;
        };
        std::mem::take(&mut room.is_network_unused)
    }

    /// After a run that left its ipc namespace like this, and its network.
    pub(crate) fn hand_on(&mut self, ipc: Option<OwnedFd>, is_network_unused: bool) {
        if let Some(room) = &mut self.room {
            room.site.ipc = ipc;
            room.is_network_unused = is_network_unused;
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(Room {
            mut site,
            is_network_unused,
            ..
        }) = self.room.take()
        {
            if !is_network_unused {
                site.network = None;
            }
            self.premises.give_back(site);
        }
    }
}

/// The namespaces of an assembly, kept open by their descriptors alone.
#[derive(Debug)]
pub(crate) struct Room {
    root: PathBuf,
    pub(crate) site: Site,
    mounts: OwnedFd,
    scratch: OwnedFd,
    /// Whether it is known that no socket was ever made in its network.
    is_network_unused: bool,
}

/// What the process that makes a room has to know.
pub(crate) fn order<'b>(
    action: &Action<'_>,
    root: &Path,
    site: &'b Site,
) -> Result<Order<'b>, SandboxError> {
    let board = &site.base.usher.board;
    let mut entries = Vec::new();
    for entry in root::root_entries(root)? {
        entries.push(entry.written_on(board)?);
    }
    let status = rustix::fs::stat(root).map_err(|errno| io_at("opening the root", root, errno))?;
    let root_identity = Identity {
        device: status.st_dev,
        inode: status.st_ino,
    };
    let root =
        CString::new(root.as_os_str().as_bytes()).map_err(|_| SandboxError::InvalidAction {
            problem: "the root's path holds a zero byte",
        })?;
    let second_build_place = plan::second_build_place(action.host)?;
    Ok(Order {
        formats: (!site.had_rooms && settings::has_formats()).then_some(c"binfmt_misc"),
        entries: board.list(&entries)?,
        root: board.text(&root)?,
        root_identity,
        scratch_bytes: board.text(&decimal(action.limits.scratch_bytes.max(PAGE_BYTES)))?,
        scratch_inodes: board.text(&decimal(inodes_for(action.limits.scratch_bytes)))?,
        second_build_place: match &second_build_place {
            Some(place) => Some(board.text(place)?),
            None => None,
        },
        user: action.host.user_id,
        user_option: board.text(&decimal(action.host.user_id.into()))?,
        epoch: i64::try_from(action.source_date_epoch).map_err(|_| {
            SandboxError::InvalidAction {
                problem: "the source date epoch is out of range",
            }
        })?,
    })
}

impl Room {
    /// Takes over what a process has made by an [`order`].
    pub(crate) fn new(
        root: &Path,
        mut site: Site,
        mut descriptors: impl Iterator<Item = OwnedFd>,
    ) -> Result<Self, SandboxError> {
        let mut next = || {
            let descriptor = descriptors.next();
            descriptor.ok_or_else(|| SetupStep::OpenNamespace.failed(0))
        };
        site.had_rooms = true;
        Ok(Self {
            root: root.to_owned(),
            site,
            mounts: next()?,
            scratch: next()?,
            is_network_unused: false,
        })
    }

    /// For the process that enters.
    pub(crate) fn mount_door(&self) -> &OwnedFd {
        &self.mounts
    }

    /// The mounts, for who lets go of them when nobody waits for it.
    pub(crate) fn mounts(&self) -> Result<OwnedFd, SandboxError> {
        let copy = self.mounts.try_clone();
        copy.map_err(|source| io("keeping a room's mounts", source))
    }

    /// What the scratch space has no room left for worth speaking of.
    pub(crate) fn lack(&self) -> Option<Lack> {
        let space = rustix::fs::fstatvfs(&self.scratch).ok()?;
        let free_bytes = space.f_bavail * space.f_frsize;
        let total_bytes = space.f_blocks * space.f_frsize;
        if space.f_ffree == 0 {
            let limit = space.f_files;
            return Some(Lack::Files { limit });
        }
        (free_bytes <= total_bytes / 1000).then_some(Lack::Bytes)
    }
}

/// What a full scratch space has run out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lack {
    Bytes,
    /// It holds as many files as it may.
    Files {
        limit: u64,
    },
}

const PAGE_BYTES: u64 = 4096;

/// One file for every page, within bounds that keep the kernel's own memory small (about
/// 1 KiB a file) and small scratch spaces usable.
fn inodes_for(scratch_bytes: u64) -> u64 {
    (scratch_bytes / PAGE_BYTES).clamp(4096, 4 << 20)
}

fn decimal(number: u64) -> CString {
    // Digits hold no zero byte, so the fallback is never taken.
    CString::new(number.to_string()).unwrap_or_default()
}

/// A pipe that programs executed by other threads do not inherit.
pub(crate) fn pipe() -> Result<(OwnedFd, OwnedFd), SandboxError> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|errno| io("making a pipe", errno))
}

/// The same files under numbers at which nothing is placed inside.
pub(crate) fn moved<const N: usize>(
    descriptors: [OwnedFd; N],
) -> Result<[OwnedFd; N], SandboxError> {
    let mut failure = None;
    let moved = descriptors.map(|fd| match rustix::io::fcntl_dupfd_cloexec(&fd, 10) {
        Ok(moved) => moved,
        Err(errno) => {
            failure = Some(io("moving a descriptor", errno));
            fd
        }
    });
    failure.map_or(Ok(moved), Err)
}

/// Whom the steps are on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostUser {
    /// Whoever runs the assembly.
    Caller,
    /// `nobody`, in place of root.
    Nobody,
    /// Root without any capability: the caller is root but may not map another user. The
    /// kernel exempts this user from process limits.
    Root,
}

/// Gives a pipe to whom the step is on the host. Inside nobody else is known, so that the step could
/// not open by name what it has open.
pub(crate) fn hand_pipe_over(end: &OwnedFd, user: HostUser) -> Result<(), SandboxError> {
    if user != HostUser::Nobody {
        return Ok(()); // The caller's, who made it.
    }
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    rustix::fs::fchown(end, Some(user), Some(group))
        .map_err(|errno| io("giving a pipe away", errno))
}

/// A user who has no other business on the host: `nobody`, which every user database has.
pub(crate) const NOBODY: u32 = 65_534;

/// Maps user and group inside to one user and group of the host: the caller's own, or,
/// if the caller is root and may do so, to `nobody`, so that the step is not even root's
/// unprivileged shadow (the kernel lets user 0 do some things without any capability).
pub(crate) fn map_user(pid: i32, inside: u32) -> Result<HostUser, SandboxError> {
    let user = rustix::process::geteuid();
    let group = rustix::process::getegid();
    let write = |file: &str, text: String| {
        std::fs::write(format!("/proc/{pid}/{file}"), text)
            .map_err(|error| SetupStep::MapUser.failed(error.raw_os_error().unwrap_or(libc::EIO)))
    };
    if user.is_root() {
        let nobody = format!("{inside} {NOBODY} 1");
        if write("gid_map", nobody.clone()).is_ok() {
            write("uid_map", nobody)?;
            return Ok(HostUser::Nobody);
        }
    }
    write("setgroups", "deny".to_owned())?;
    write("gid_map", format!("{inside} {} 1", group.as_raw()))?;
    write("uid_map", format!("{inside} {} 1", user.as_raw()))?;
    let map = proc_text("/proc/self/uid_map").unwrap_or_default();
    let is_root = user.is_root() && outer_root(&map);
    Ok(if is_root {
        HostUser::Root
    } else {
        HostUser::Caller
    })
}

/// Whether user 0 of this namespace is user 0 of the one around it (`user_namespaces(7)`), read
/// from its map; yes if that cannot be told.
fn outer_root(map: &str) -> bool {
    map.lines().next().is_none_or(|line| {
        let mut fields = line.split_ascii_whitespace();
        (fields.next(), fields.next()) == (Some("0"), Some("0"))
    })
}

/// One message and the descriptors that came with it; no report at the end, or if it is none.
pub(crate) fn receive_report(
    socket: BorrowedFd<'_>,
) -> Result<(Option<Report>, Vec<OwnedFd>), Errno> {
    let mut bytes = [0; Report::SIZE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(sys::DESCRIPTORS_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::net::recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut bytes)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let descriptors = ancillary
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect();
    let report = (received.bytes == Report::SIZE)
        .then(|| Report::decode(bytes))
        .flatten();
    Ok((report, descriptors))
}

/// A pair of connected local sockets for reports.
pub(crate) fn report_sockets() -> Result<(OwnedFd, OwnedFd), SandboxError> {
    rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(|errno| io("making a socket pair", errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inodes_follow_the_size_within_bounds() {
        assert_eq!(inodes_for(0), 4096);
        assert_eq!(inodes_for(1 << 30), 262_144);
        assert_eq!(inodes_for(u64::MAX), 4 << 20);
    }

    #[test]
    fn root_is_recognised_by_its_map() {
        assert!(outer_root("         0          0 4294967295\n"));
        assert!(!outer_root("         0       1000          1\n"));
        assert!(outer_root(""));
    }

    #[test]
    fn an_unused_scratch_has_no_outputs() {
        assert!(matches!(
            Scratch::new().outputs(),
            Err(SandboxError::ScratchUnused)
        ));
    }
}
