//! Takes one output stream in: bounded, hashed while it comes, written to a file.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use counterseal_attestation::Sha256Digest;
use rustix::buffer::spare_capacity;
use sha2::{Digest as _, Sha256};

use crate::action::Captured;
use crate::error::{SandboxError, io_at};

/// What a pipe holds by default.
const READ_BYTES: usize = 64 * 1024;

/// One output stream of a step, on its way into a file.
pub(crate) struct Stream {
    /// None once it has ended.
    pub(crate) source: Option<OwnedFd>,
    path: PathBuf,
    /// Made when the first byte comes: most steps print nothing to one of their streams.
    file: Option<File>,
    hasher: Sha256,
    pub(crate) size_bytes: u64,
    buffer: Vec<u8>,
}

/// Whether all that came fitted.
pub(crate) enum Intake {
    Whole,
    Cut,
}

impl Stream {
    pub(crate) fn new(source: OwnedFd, path: PathBuf) -> Self {
        Self {
            source: Some(source),
            path,
            file: None,
            hasher: Sha256::new(),
            size_bytes: 0,
            // Not written to before there is something to read.
            buffer: Vec::with_capacity(READ_BYTES),
        }
    }

    /// Takes what is there, at most so much; the rest of it is lost.
    pub(crate) fn read(&mut self, room_bytes: u64) -> Result<Intake, SandboxError> {
        let Some(source) = &self.source else {
            return Ok(Intake::Whole);
        };
        self.buffer.clear();
        let count = match rustix::io::read(source, spare_capacity(&mut self.buffer)) {
            Ok(0) => {
                self.source = None;
                return Ok(Intake::Whole);
            }
            Ok(count) => count,
            Err(rustix::io::Errno::INTR) => return Ok(Intake::Whole),
            Err(errno) => {
                self.source = None;
                return Err(io_at("reading the output for", &self.path, errno));
            }
        };
        let fitting = usize::try_from(room_bytes).map_or(count, |room| count.min(room));
        let taken = self.buffer.get(..fitting).unwrap_or_default();
        self.hasher.update(taken);
        self.size_bytes += taken.len() as u64;
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(
                File::create(&self.path)
                    .map_err(|error| io_at("creating the log", &self.path, error))?,
            ),
        };
        file.write_all(taken)
            .map_err(|error| io_at("writing the log", &self.path, error))?;
        Ok(if fitting == count {
            Intake::Whole
        } else {
            Intake::Cut
        })
    }

    pub(crate) fn finish(self) -> Captured {
        let sha256 = Sha256Digest::from_bytes(self.hasher.finalize().into());
        Captured {
            path: match self.file {
                Some(_) => self.path,
                None => PathBuf::from("/dev/null"),
            },
            sha256,
            size_bytes: self.size_bytes,
        }
    }
}
