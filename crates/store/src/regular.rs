//! Opening what should be a regular file, without waiting for whatever else has its place.
//!
//! Opening a pipe the ordinary way waits for somebody at its other end, for ever if nobody comes.
//! The kind is looked at after opening, so that nothing can be exchanged in between.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

/// Opens a regular file for reading; anything else is refused at once. A link to one is followed.
///
/// # Errors
/// Those of opening, and one that says that it is not a regular file. None names the path.
pub fn open_regular(path: &Path) -> io::Result<File> {
    open_regular_with(File::options().read(true), path)
}

/// [`open_regular`] in the way that `options` say; their custom flags are replaced.
pub(crate) fn open_regular_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = options.custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is not a regular file"))
    }
}

/// Opens a regular file that stands at `path` itself, for reading; `None` if something else does:
/// a link, too, since whatever the store wrote is a file of its own.
pub(crate) fn open_unlinked(path: &Path) -> io::Result<Option<File>> {
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
    let file = match File::options().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        // A link; a socket, or a device that nobody serves.
        Err(error)
            if matches!(
                Errno::from_io_error(&error),
                Some(Errno::LOOP | Errno::NXIO | Errno::NODEV)
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    Ok(file.metadata()?.is_file().then_some(file))
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read};
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, Mode};

    use super::*;

    #[test]
    fn only_a_regular_file_is_opened_and_nothing_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("file"), b"content").unwrap();
        symlink("file", at("link")).unwrap();
        std::fs::create_dir(at("directory")).unwrap();
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(CWD, at("pipe"), FileType::Fifo, mode, 0).unwrap();
        for name in ["file", "link"] {
            let mut found = String::new();
            let mut file = open_regular(&at(name)).unwrap();
            file.read_to_string(&mut found).unwrap();
            assert_eq!(found, "content");
        }
        for name in ["directory", "pipe"] {
            let error = open_regular(&at(name)).unwrap_err();
            assert_eq!(error.to_string(), "it is not a regular file", "{name}");
        }
        let error = open_regular(&at("missing")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(open_unlinked(&at("file")).unwrap().is_some());
        symlink("/dev/zero", at("endless")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        for name in ["link", "endless", "dangling", "directory", "pipe"] {
            assert!(open_unlinked(&at(name)).unwrap().is_none(), "{name}");
        }
        let error = open_unlinked(&at("missing")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        // For writing, the system itself refuses both.
        for name in ["directory", "pipe"] {
            open_regular_with(File::options().write(true), &at(name)).unwrap_err();
        }
    }
}
