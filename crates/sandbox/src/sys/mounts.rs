//! System calls on mounts: the calls that work on descriptors, as far as possible, so that
//! nothing is attached before it is restricted.

use core::ffi::CStr;
use std::os::fd::RawFd;

use super::{Result, call, change_directory, close, syscall};

const FSCONFIG_SET_FLAG: u32 = 0;

const FSCONFIG_SET_STRING: u32 = 1;

const FSCONFIG_CREATE: u32 = 6;

/// A new file system of the named type, not attached anywhere. An option without a value is
/// a flag.
pub(crate) fn new_file_system(
    kind: &CStr,
    options: &[(&CStr, &CStr)],
    attributes: u64,
) -> Result<RawFd> {
    let context = create_file_system(kind, options)?;
    // SAFETY: takes no pointer.
    let mounted = unsafe {
        call!(
            libc::SYS_fsmount,
            context,
            libc::FSMOUNT_CLOEXEC,
            attributes
        )
    };
    close(context);
    mounted.map(|fd| fd as RawFd)
}

/// The same without a mount: what the kernel has of it from then on. The descriptor is good for a
/// mount only.
pub(crate) fn create_file_system(kind: &CStr, options: &[(&CStr, &CStr)]) -> Result<RawFd> {
    // SAFETY: the string is terminated.
    let context = unsafe { call!(libc::SYS_fsopen, kind.as_ptr(), libc::FSOPEN_CLOEXEC) }? as RawFd;
    let configured = options.iter().try_for_each(|(key, value)| {
        let (command, pointer) = if value.is_empty() {
            (FSCONFIG_SET_FLAG, core::ptr::null())
        } else {
            (FSCONFIG_SET_STRING, value.as_ptr())
        };
        // SAFETY: both strings are terminated; a flag takes no value.
        unsafe {
            call!(
                libc::SYS_fsconfig,
                context,
                command,
                key.as_ptr(),
                pointer,
                0
            )
        }
        .map(drop)
    });
    let created = configured.and_then(|()| {
        // SAFETY: takes no pointer here.
        unsafe { call!(libc::SYS_fsconfig, context, FSCONFIG_CREATE, 0, 0, 0) }
    });
    if created.is_err() {
        close(context);
    }
    created.map(|_| context)
}

/// A detached copy of the mounts at and below a path, which is not followed if it is a link.
pub(crate) fn copy_tree(directory: RawFd, path: &CStr) -> Result<RawFd> {
    let flags = libc::OPEN_TREE_CLONE as i32
        | libc::OPEN_TREE_CLOEXEC as i32
        | libc::AT_RECURSIVE
        | libc::AT_SYMLINK_NOFOLLOW;
    // SAFETY: the path is terminated.
    let fd = unsafe { call!(libc::SYS_open_tree, directory, path.as_ptr(), flags) }?;
    Ok(fd as RawFd)
}

/// How far [`restrict`] reaches.
#[derive(Clone, Copy)]
pub(crate) enum Reach {
    /// One mount.
    Mount,
    /// A mount and all mounts below it.
    Tree,
}

/// Sets attributes on open mounts.
pub(crate) fn restrict(fd: RawFd, reach: Reach, attributes: u64) -> Result<()> {
    let change = libc::mount_attr {
        attr_set: attributes,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let flags = match reach {
        Reach::Mount => libc::AT_EMPTY_PATH,
        Reach::Tree => libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
    };
    let size = size_of::<libc::mount_attr>();
    // SAFETY: an empty terminated path and a structure of the stated size.
    unsafe {
        call!(
            libc::SYS_mount_setattr,
            fd,
            c"".as_ptr(),
            flags,
            &raw const change,
            size
        )
    }
    .map(drop)
}

/// Attaches a detached tree at a path below the working directory.
pub(crate) fn attach(tree: RawFd, path: &CStr) -> Result<()> {
    let flags = libc::MOVE_MOUNT_F_EMPTY_PATH;
    let here = libc::AT_FDCWD;
    // SAFETY: both paths are terminated.
    unsafe {
        call!(
            libc::SYS_move_mount,
            tree,
            c"".as_ptr(),
            here,
            path.as_ptr(),
            flags
        )
    }
    .map(drop)
}

/// Attaches a detached tree over an open directory.
pub(crate) fn attach_over(tree: RawFd, directory: RawFd) -> Result<()> {
    let flags = libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH;
    // SAFETY: both paths are terminated.
    unsafe {
        call!(
            libc::SYS_move_mount,
            tree,
            c"".as_ptr(),
            directory,
            c"".as_ptr(),
            flags
        )
    }
    .map(drop)
}

/// Cuts every mount off from the host's: nothing propagates either way.
pub(crate) fn make_mounts_private() -> Result<()> {
    let flags = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: the target is terminated; the kernel ignores source, type and data here.
    unsafe { call!(libc::SYS_mount, 0, c"/".as_ptr(), 0, flags, 0) }.map(drop)
}

/// Makes the working directory's mount the root and detaches the old root.
pub(crate) fn swap_root() -> Result<()> {
    let here = c".".as_ptr();
    // SAFETY: both paths are terminated. pivot_root(".", ".") stacks the old root on the new
    // one (pivot_root(2), NOTES), so that detaching "." takes the old one away.
    unsafe {
        call!(libc::SYS_pivot_root, here, here)?;
        call!(libc::SYS_umount2, here, libc::MNT_DETACH)?;
    }
    change_directory(c"/")
}

/// Whether the file system mounted at the path is read-only.
pub(crate) fn is_read_only(path: &CStr) -> bool {
    // The kernel's struct statfs: fifteen words on this architecture, the flags eleventh.
    let mut answer = [0_u64; 15];
    // SAFETY: the path is terminated, the array writable and of the structure's size.
    let read = unsafe { call!(libc::SYS_statfs, path.as_ptr(), answer.as_mut_ptr()) };
    read.is_ok() && answer[10] & libc::ST_RDONLY != 0
}
