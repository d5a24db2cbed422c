//! Puts outputs into the output directory, which was empty: everything is made new, with modes that
//! do not depend on the mask, and nothing that is there is written to or followed.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{BorrowedFd, OwnedFd};

use counterseal_attestation::Sha256Digest;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use crate::description::{Kind, Output};
use crate::error::LaunchError;
use crate::outputs::{LeftFile, LeftKind, OutputError, open_file, open_tree};
use crate::result::{self, Delivered};

/// Where outputs are put, below the output directory.
pub(crate) const OUTPUTS: &str = "outputs";
const COPY_BYTES: usize = 256 * 1024;

/// Takes one output from the scratch space and delivers it.
pub(crate) fn deliver(
    output: &Output,
    scratch: BorrowedFd<'_>,
    epoch: u64,
    outputs: BorrowedFd<'_>,
) -> Result<Delivered, LaunchError> {
    let refused = |source: OutputError| LaunchError::Output {
        to: output.to.clone(),
        source,
    };
    let mut delivered = Delivered {
        to: output.to.clone(),
        ..Delivered::default()
    };
    // What may not leave is refused before anything of it is written.
    let mut delivery = Delivery {
        outputs,
        to: &output.to,
    };
    match output.kind {
        Kind::File => {
            let left = open_file(scratch, &output.from).map_err(refused)?;
            delivery.make_parents()?;
            let file = delivery.file("", left)?;
            delivered.files.insert(String::new(), file);
        }
        Kind::TarZst => {
            let tree = open_tree(scratch, &output.from).map_err(refused)?;
            delivery.make_parents()?;
            let out = delivery.create("", false)?;
            let packed = tree.pack(epoch, out).map_err(refused)?;
            let file = delivery.measured("", packed)?;
            delivered.files.insert(String::new(), file);
        }
        Kind::Tree => {
            let tree = open_tree(scratch, &output.from).map_err(refused)?;
            delivery.make_parents()?;
            delivery.directory("")?;
            for (path, kind) in tree.entries() {
                match kind {
                    LeftKind::Directory => {
                        delivery.directory(path)?;
                        delivered.directories.push(path.clone());
                    }
                    LeftKind::Symlink { target } => {
                        delivery.link(path, target)?;
                        delivered.links.insert(path.clone(), target.clone());
                    }
                    LeftKind::File => {
                        let left = tree.open(path).map_err(refused)?;
                        delivered
                            .files
                            .insert(path.clone(), delivery.file(path, left)?);
                    }
                }
            }
        }
    }
    Ok(delivered)
}

/// One destination.
struct Delivery<'a> {
    outputs: BorrowedFd<'a>,
    to: &'a str,
}

impl Delivery<'_> {
    fn place(&self, path: &str) -> String {
        if path.is_empty() {
            self.to.to_owned()
        } else {
            format!("{}/{path}", self.to)
        }
    }

    fn failed(
        &self,
        action: &'static str,
        path: &str,
        source: impl Into<io::Error>,
    ) -> LaunchError {
        LaunchError::Io {
            action,
            path: format!("{OUTPUTS}/{}", self.place(path)),
            source: source.into(),
        }
    }

    /// Directories that the destination lies in; another output may have made them.
    fn make_parents(&self) -> Result<(), LaunchError> {
        for (end, _) in self.to.match_indices('/') {
            let parent = self.to.get(..end).unwrap_or_default();
            match make_directory(self.outputs, parent) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(self.failed("make the way to", "", errno)),
            }
        }
        Ok(())
    }

    fn directory(&self, path: &str) -> Result<(), LaunchError> {
        make_directory(self.outputs, &self.place(path))
            .map_err(|errno| self.failed("make", path, errno))
    }

    fn link(&self, path: &str, target: &str) -> Result<(), LaunchError> {
        rustix::fs::symlinkat(target, self.outputs, self.place(path))
            .map_err(|errno| self.failed("make", path, errno))
    }

    fn create(&self, path: &str, executable: bool) -> Result<File, LaunchError> {
        let file = create(self.outputs, &self.place(path), executable)
            .map_err(|errno| self.failed("create", path, errno))?;
        Ok(File::from(file))
    }

    fn file(&mut self, path: &str, mut left: LeftFile) -> Result<result::File, LaunchError> {
        let mut out = self.create(path, left.executable)?;
        let (sha256, size_bytes) =
            hashed(&mut left.file, &mut out).map_err(|error| self.failed("write", path, error))?;
        Ok(result::File {
            sha256,
            size_bytes,
            executable: left.executable,
        })
    }

    /// The digest of a file that was just written.
    fn measured(&self, path: &str, mut written: File) -> Result<result::File, LaunchError> {
        let (sha256, size_bytes) = written
            .rewind()
            .and_then(|()| hashed(&mut written, &mut io::sink()))
            .map_err(|error| self.failed("read", path, error))?;
        Ok(result::File {
            sha256,
            size_bytes,
            executable: false,
        })
    }
}

/// Copies and hashes.
fn hashed(from: &mut impl Read, to: &mut impl Write) -> io::Result<(Sha256Digest, u64)> {
    let mut hasher = Sha256::new();
    let mut size_bytes = 0;
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let part = buffer.get(..count).unwrap_or_default();
        hasher.update(part);
        to.write_all(part)?;
        size_bytes += count as u64;
    }
    Ok((
        Sha256Digest::from_bytes(hasher.finalize().into()),
        size_bytes,
    ))
}

/// Makes a directory that everybody can read, whatever the mask.
pub(crate) fn make_directory(below: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(0o755);
    rustix::fs::mkdirat(below, name, mode)?;
    let directory = open_beneath(
        below,
        name,
        OFlags::RDONLY | OFlags::DIRECTORY,
        Mode::empty(),
    )?;
    rustix::fs::fchmod(directory, mode)
}

/// Creates a file that everybody can read, whatever the mask.
pub(crate) fn create(
    below: BorrowedFd<'_>,
    name: &str,
    executable: bool,
) -> Result<OwnedFd, Errno> {
    let mode = Mode::from_raw_mode(if executable { 0o755 } else { 0o644 });
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
    let file = open_beneath(below, name, flags, mode)?;
    rustix::fs::fchmod(&file, mode)?;
    Ok(file)
}

fn open_beneath(
    below: BorrowedFd<'_>,
    name: &str,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let way = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(
        below,
        name,
        flags | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        mode,
        way,
    )
}
