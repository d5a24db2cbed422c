//! Makes a room from the inside: a mount namespace in its site, the scratch file system, and the root
//! assembled from read-only binds. Runs once per assembly, in the entrant
//! that then goes on to start the first step there; it holds every capability in a user namespace
//! without anybody else and nothing outside it.
//!
//! Mounts are made with the file-descriptor calls (`fsopen`, `open_tree`, `move_mount`,
//! `mount_setattr`): what comes from the host is opened first, restricted while it is still
//! detached, and only then attached. Layout of the room's base afterwards:
//!
//! ```text
//! /root      the assembled root, a mount of its own of this directory: binds of the given
//!            root's entries, /dev, /build, /tmp
//! /scratch   the bounded memory file system that /build, /tmp and /dev/shm are parts of
//! /proc      the host's, because the kernel grants a new one only to who sees one
//! ```
//!
//! Each run works on a copy of this mount table and drops all but `/root`. Absent on
//! purpose: allocation, and anything of the host that is not in this list.

use std::ffi::CStr;
use std::os::fd::RawFd;

use crate::error::SetupStep;
use crate::inside::{Made, open_namespace};
use crate::plan::ABSENT;
use crate::report::{During, Failure};
use crate::root::{RootEntry, RootEntryKind};
use crate::sys::{self, Identity, Namespace, Reach};

/// Where the root is assembled, below the base.
pub(crate) const ROOT_PLACE: &str = "root";

const READ_ONLY_INPUT: u64 =
    libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
const DEVICE: u64 = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC;
const SCRATCH: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;

/// The host's devices that a build sees, and where.
const DEVICES: [(&CStr, &CStr); 5] = [
    (c"/dev/null", c"root/dev/null"),
    (c"/dev/zero", c"root/dev/zero"),
    (c"/dev/full", c"root/dev/full"),
    (c"/dev/random", c"root/dev/random"),
    (c"/dev/urandom", c"root/dev/urandom"),
];

const DEVICE_LINKS: [(&CStr, &CStr); 4] = [
    (c"/proc/self/fd", c"root/dev/fd"),
    (c"/proc/self/fd/0", c"root/dev/stdin"),
    (c"/proc/self/fd/1", c"root/dev/stdout"),
    (c"/proc/self/fd/2", c"root/dev/stderr"),
];

/// A room to be made; prepared by the parent.
pub(crate) struct Order<'b> {
    /// The file system by which a new site gets formats of programs of its own, if there are any.
    pub(crate) formats: Option<&'static CStr>,
    pub(crate) root: &'b CStr,
    /// What the caller finds at that path.
    pub(crate) root_identity: Identity,
    pub(crate) entries: &'b [RootEntry<&'b CStr>],
    pub(crate) scratch_bytes: &'b CStr,
    pub(crate) scratch_inodes: &'b CStr,
    /// Where the build directory appears a second time.
    pub(crate) second_build_place: Option<&'b CStr>,
    /// User and group inside, as a number and as a mount option.
    pub(crate) user: u32,
    pub(crate) user_option: &'b CStr,
    pub(crate) epoch: i64,
}

/// Makes the room and enters it. The process is in its site and has all of its descriptors in place.
pub(crate) fn make(order: &Order<'_>, made: &mut Made) -> Result<(), Failure> {
    sys::set_umask(0);
    sys::unshare(libc::CLONE_NEWNS).during(SetupStep::CreateMountNamespace)?;
    sys::make_mounts_private().during(SetupStep::PrivateMounts)?;
    made.add(open_namespace(Namespace::Mounts)?);
    made.add(furnish(order)?);
    Ok(())
}

/// Builds the mount table and returns an open directory of the scratch file system.
fn furnish(order: &Order<'_>) -> Result<RawFd, Failure> {
    // What comes from the host is opened as the user who owns it …
    let path_only = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
    let given = sys::open(ABSENT, order.root, path_only, 0).during(SetupStep::OpenRoot)?;
    if sys::identity(given) != Ok(order.root_identity) {
        // The caller has gone to other mounts, or to another root, since the site was begun.
        let (step, errno) = (SetupStep::OpenRoot, libc::ESTALE);
        return Err(Failure { step, errno });
    }
    let host_proc = sys::copy_tree(ABSENT, c"/proc").during(SetupStep::OpenHostProc)?;
    let mut devices = [ABSENT; DEVICES.len()];
    for (tree, (path, _)) in devices.iter_mut().zip(DEVICES) {
        *tree = sys::copy_tree(ABSENT, path).during(SetupStep::OpenDevice)?;
        sys::restrict(*tree, Reach::Tree, DEVICE).during(SetupStep::OpenDevice)?;
    }
    // … and attached as the user of the sandbox, who owns what is made here. The entries of
    // the root are opened before the change, too, and attached after it: that takes a place
    // to hold their descriptors, and the place is the detached root itself.
    let open_entry = |entry: &RootEntry<&CStr>| -> Result<RawFd, Failure> {
        let tree = sys::copy_tree(given, entry.name).during(SetupStep::OpenRootEntry)?;
        sys::restrict(tree, Reach::Tree, READ_ONLY_INPUT).during(SetupStep::RestrictRootEntry)?;
        Ok(tree)
    };
    let mut trees = [ABSENT; crate::root::ROOT_ENTRIES_MAX];
    for (tree, entry) in trees.iter_mut().zip(order.entries) {
        if !matches!(entry.kind, RootEntryKind::Link { .. }) {
            *tree = open_entry(entry)?;
        }
    }
    // Refused where groups cannot be dropped (every user but root); the filter hides them.
    let _ = sys::drop_supplementary_groups();
    sys::set_user_and_group(order.user).during(SetupStep::TakeUser)?;

    let small = [
        (c"size", c"2m"),
        (c"mode", c"0755"),
        (c"uid", order.user_option),
        (c"gid", order.user_option),
    ];
    let base = sys::new_file_system(c"tmpfs", &small, SCRATCH).during(SetupStep::CreateTmpfs)?;
    let bounded = [
        (c"size", order.scratch_bytes),
        (c"nr_inodes", order.scratch_inodes),
        (c"mode", c"0755"),
        (c"uid", order.user_option),
        (c"gid", order.user_option),
    ];
    let scratch =
        sys::new_file_system(c"tmpfs", &bounded, SCRATCH).during(SetupStep::CreateScratch)?;

    sys::attach_over(base, given).during(SetupStep::SwapRoot)?;
    sys::change_directory_to(base).during(SetupStep::SwapRoot)?;

    sys::make_directory(c"root", 0o755).during(SetupStep::AssembleRoot)?;
    let root = sys::copy_tree(libc::AT_FDCWD, c"root").during(SetupStep::AssembleRoot)?;
    sys::attach(root, c"root").during(SetupStep::AssembleRoot)?;
    for (tree, place) in [(scratch, c"scratch"), (host_proc, c"proc")] {
        make_and_attach(tree, place)?;
    }
    make_scratch()?;
    sys::make_directory(c"root/dev", 0o755).during(SetupStep::AssembleRoot)?;
    sys::make_directory(c"root/proc", 0o755).during(SetupStep::AssembleRoot)?;
    let parts = [
        (c"scratch/build", c"root/build"),
        (c"scratch/tmp", c"root/tmp"),
        (c"scratch/shm", c"root/dev/shm"),
    ];
    let second = order.second_build_place;
    for (part, place) in parts
        .into_iter()
        .chain(second.map(|place| (c"scratch/build", place)))
    {
        let part = sys::copy_tree(libc::AT_FDCWD, part).during(SetupStep::AssembleRoot)?;
        make_and_attach(part, place)?;
    }
    for (tree, (_, place)) in devices.into_iter().zip(DEVICES) {
        make_file(place)?;
        sys::attach(tree, place).during(SetupStep::AssembleRoot)?;
    }
    for (target, place) in DEVICE_LINKS {
        sys::make_link(target, place).during(SetupStep::AssembleRoot)?;
    }
    for (tree, entry) in trees.into_iter().zip(order.entries) {
        place_entry(tree, entry)?;
    }
    seal(order, root)?;
    if let Some(formats) = order.formats {
        own_formats(formats);
    }
    // The base takes the place of the host's root.
    sys::swap_root().during(SetupStep::SwapRoot)?;
    let directory = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    sys::open(libc::AT_FDCWD, c"scratch", directory, 0).during(SetupStep::OpenScratch)
}

/// From Linux 6.7 on a user namespace can have formats of programs of its own, none to begin with: the
/// host's would run programs of the host inside. An older kernel refuses, and the manifest names them.
fn own_formats(file_system: &CStr) {
    // It stays when its file system goes; mounted, taking it down would wait for the kernel's readers.
    if let Ok(formats) = sys::create_file_system(file_system, &[]) {
        sys::close(formats);
    }
}

fn place_entry(tree: RawFd, entry: &RootEntry<&CStr>) -> Result<(), Failure> {
    match &entry.kind {
        RootEntryKind::Directory => return make_and_attach(tree, entry.place),
        RootEntryKind::Link { target } => sys::make_link(target, entry.place),
        RootEntryKind::File => {
            make_file(entry.place)?;
            sys::attach(tree, entry.place)
        }
    }
    .during(SetupStep::AssembleRoot)
}

fn make_and_attach(tree: RawFd, place: &CStr) -> Result<(), Failure> {
    sys::make_directory(place, 0o755).during(SetupStep::AssembleRoot)?;
    sys::attach(tree, place).during(SetupStep::AssembleRoot)
}

fn make_file(place: &CStr) -> Result<(), Failure> {
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_CLOEXEC;
    let file = sys::open(libc::AT_FDCWD, place, flags, 0o444).during(SetupStep::AssembleRoot)?;
    sys::close(file);
    Ok(())
}

fn make_scratch() -> Result<(), Failure> {
    for (place, mode) in [
        (c"scratch/build", 0o755),
        (c"scratch/build/home", 0o755),
        (c"scratch/tmp", 0o1777),
        (c"scratch/shm", 0o1777),
    ] {
        sys::make_directory(place, mode).during(SetupStep::CreateScratch)?;
    }
    Ok(())
}

/// Gives what was made for the root the recipe's time, and closes it to writes.
fn seal(order: &Order<'_>, root: RawFd) -> Result<(), Failure> {
    for entry in order.entries {
        if matches!(entry.kind, RootEntryKind::Link { .. }) {
            sys::set_times(entry.place, order.epoch).during(SetupStep::SealRoot)?;
        }
    }
    for (_, place) in DEVICE_LINKS {
        sys::set_times(place, order.epoch).during(SetupStep::SealRoot)?;
    }
    for place in [c"root/dev", c"root"] {
        sys::set_times(place, order.epoch).during(SetupStep::SealRoot)?;
    }
    let closed = SCRATCH | libc::MOUNT_ATTR_RDONLY;
    sys::restrict(root, Reach::Mount, closed).during(SetupStep::SealRoot)
}
