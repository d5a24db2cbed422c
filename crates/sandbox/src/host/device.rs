//! The random device: a pipe that a thread of its own fills from the action's seed.
//!
//! Absent on purpose: what is written to the device, which goes to the kernel's and changes nothing
//! that the action sees.

use super::paths::errno;
use super::service::{Answer, Call, Reply, Service};
use crate::sys::Errno;

/// What the device has ready.
const READY_BYTES: usize = 8192;

pub(super) fn is_random_device(path: &[u8]) -> bool {
    matches!(path, b"/dev/urandom" | b"/dev/random")
}

impl Service {
    pub(super) fn open_random(&mut self, call: &Call, flags: i32, close_on_exec: bool) -> Answer {
        if flags & libc::O_ACCMODE != libc::O_RDONLY {
            return Ok(Reply::Proceed); // What is written to it changes nothing that is seen.
        }
        let mut stream = self
            .tasks
            .draws(call.thread, self.patch)
            .device(&self.host.seed);
        let (reader, writer) = crate::room::pipe().map_err(|_| Errno(libc::EMFILE))?;
        let _ = rustix::pipe::fcntl_setpipe_size(&reader, READY_BYTES);
        self.identities.note_random_device(&reader);
        // There before the first read, so that a short one is answered whole.
        let mut ready = [0; READY_BYTES];
        stream.fill(&mut ready);
        rustix::io::write(&writer, &ready).map_err(errno)?;
        let started = std::thread::Builder::new()
            .name("random device".to_owned())
            .spawn(move || {
                let mut buffer = [0; 512];
                loop {
                    stream.fill(&mut buffer);
                    let mut rest = buffer.as_slice();
                    while !rest.is_empty() {
                        match rustix::io::write(&writer, rest) {
                            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                            Err(rustix::io::Errno::INTR) => {}
                            Err(_) => return, // Nobody reads any more.
                        }
                    }
                }
            });
        started.map_err(|_| Errno(libc::ENOMEM))?;
        Ok(Reply::Descriptor {
            descriptor: reader,
            close_on_exec,
        })
    }

    /// How much waits to be read (`FIONREAD`): the pipe behind the random device would tell how far
    /// its thread is.
    pub(super) fn asking_what_waits(&mut self, call: &Call) -> Answer {
        match self.descriptor_status(call, call.int(0)) {
            // As the kernel's device answers (random(4)).
            Ok(found) if self.identities.is_random_device(&found) => Err(Errno(libc::EINVAL)),
            // What cannot be looked at is not open, and the kernel says so, or is not ours.
            _ => Ok(Reply::Proceed),
        }
    }
}
