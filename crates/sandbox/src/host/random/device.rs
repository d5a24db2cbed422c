//! The random device: a socket into which one thread, for all of them, writes the action's stream.
//!
//! As with the kernel's device, a read gets as many bytes as it asks for, however many that are
//! (random(4)): the socket makes it wait until they are there (`SO_RCVLOWAT`), and their number does
//! not depend on how far the thread is. What does: whether a device that has just been read empty is
//! ready (poll(2)), and what is read after `O_NONBLOCK` has been set later (fcntl(2)); when it is
//! opened that flag means nothing, as with the kernel's. Nothing of either happens as long as less is
//! read at once than what is ready, [`READY_BYTES`].
//!
//! A step has at most [`OPEN_MAX`] of them open at once; opening more ends with `ENFILE`, and so does
//! opening one when this process has no descriptors left: each takes one.
//!
//! Absent on purpose: a way to write to the device, which changes nothing that the action sees: who
//! opens it for writing only gets the kernel's, what is written to one that is also read is thrown
//! away. Positions: it cannot be moved in (`ESPIPE`).

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, epoll, eventfd, poll};
use rustix::fs::{AtFlags, OFlags, Statx};
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown, sockopt};

use super::sockets::Workshop;
use super::stream::Stream;
use crate::host::files::status::look;
use crate::host::service::{Answer, Call, Reply, Service};
use crate::sys::{self, Errno};

/// What a device has ready before it is read for the first time.
const READY_BYTES: usize = 8192;
/// The size that its buffer is asked to have; the kernel doubles it, for what it needs itself. It
/// counts as full enough when a quarter is used, so that who reads little never wakes the thread.
const BUFFER_BYTES: usize = 2 * READY_BYTES;
/// Devices that a step has open at once.
const OPEN_MAX: usize = 256;
/// What is written for one device before the next has its turn.
const TURN_BYTES: usize = 4 * READY_BYTES;

pub(in crate::host) fn is_random_device(path: &[u8]) -> bool {
    matches!(path, b"/dev/urandom" | b"/dev/random")
}

/// Whether this is one of the kernel's two.
fn is_kernel_s(found: &Statx) -> bool {
    u32::from(found.stx_mode) & libc::S_IFMT == libc::S_IFCHR
        && found.stx_rdev_major == 1
        && matches!(found.stx_rdev_minor, 8 | 9)
}

/// Those that are open, and the thread that writes into them.
#[derive(Default)]
pub(in crate::host) struct Devices {
    workshop: Option<Workshop>,
    filler: Option<Filler>,
}

struct Filler {
    shared: Arc<Shared>,
    /// Written to when the thread is to end.
    end: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    watch: OwnedFd,
    /// By the inode number of the end that the step has: unique as long as that is open.
    open: Mutex<BTreeMap<u64, Device>>,
}

struct Device {
    end: OwnedFd,
    stream: Stream,
    drawn: Box<[u8; READY_BYTES]>,
    /// How much of it has been written.
    written: usize,
}

/// Among the inode numbers of sockets there is no zero.
const END: u64 = 0;

impl Devices {
    /// A device with this stream, for a thread of the step.
    fn open(
        &mut self,
        thread: i32,
        mut stream: Stream,
        is_written: bool,
    ) -> rustix::io::Result<OwnedFd> {
        let from = |Errno(errno)| rustix::io::Errno::from_raw_os_error(errno);
        let filler = match &mut self.filler {
            Some(filler) => filler,
            none => none.insert(Filler::start()?),
        };
        if !filler.shared.has_room() {
            return Err(rustix::io::Errno::NFILE);
        }
        let workshop = match &mut self.workshop {
            Some(workshop) => workshop,
            none => none.insert(Workshop::at(thread).map_err(|_| rustix::io::Errno::NFILE)?),
        };
        let [near, far] = workshop.pair().map_err(from)?;
        sys::read_whole(near.as_raw_fd()).map_err(from)?;
        let mut events = epoll::EventFlags::OUT;
        if is_written {
            events |= epoll::EventFlags::IN;
        } else {
            shutdown(&near, Shutdown::Write)?;
        }
        sockopt::set_socket_send_buffer_size(&far, BUFFER_BYTES)?;
        let mut drawn = Box::new([0; READY_BYTES]);
        stream.fill(&mut drawn[..]);
        let mut device = Device {
            end: far,
            stream,
            drawn,
            written: 0,
        };
        // There before the first read.
        device.write(READY_BYTES);
        let found = look(&near, "", AtFlags::EMPTY_PATH).map_err(from)?;
        let shared = &filler.shared;
        let mut open = shared.open();
        epoll::add(
            &shared.watch,
            &device.end,
            epoll::EventData::new_u64(found.stx_ino),
            events,
        )?;
        open.insert(found.stx_ino, device);
        drop(open);
        Ok(near)
    }

    /// Whether one was ever made, in the step's network.
    pub(in crate::host) const fn has_sockets(&self) -> bool {
        self.workshop.is_some()
    }

    /// Whether this is one of them.
    pub(in crate::host) fn is_random(&self, found: &Statx) -> bool {
        u32::from(found.stx_mode) & libc::S_IFMT == libc::S_IFSOCK
            && self
                .filler
                .as_ref()
                .is_some_and(|filler| filler.shared.open().contains_key(&found.stx_ino))
    }
}

impl Filler {
    fn start() -> rustix::io::Result<Self> {
        let watch = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let end = eventfd(0, EventfdFlags::CLOEXEC)?;
        let data = epoll::EventData::new_u64(END);
        epoll::add(&watch, &end, data, epoll::EventFlags::IN)?;
        let shared = Arc::new(Shared {
            watch,
            open: Mutex::default(),
        });
        let thread = std::thread::Builder::new().name("random devices".to_owned());
        let own = Arc::clone(&shared);
        let thread = thread
            .spawn(move || own.keep_filled())
            .map_err(|_| rustix::io::Errno::NFILE)?;
        Ok(Self {
            shared,
            end,
            thread: Some(thread),
        })
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        let _ = rustix::io::write(&self.end, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, Device>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one more may be open, now that those are forgotten that the step has closed: that
    /// must not depend on how far the thread is.
    fn has_room(&self) -> bool {
        let mut open = self.open();
        if !open.is_empty() {
            let mut watched: Vec<_> = open
                .values()
                .map(|device| PollFd::new(&device.end, PollFlags::empty()))
                .collect();
            let _ = poll(&mut watched, Some(&Timespec::default()));
            let closed: Vec<bool> = watched
                .iter()
                .map(|end| end.revents().intersects(PollFlags::HUP | PollFlags::ERR))
                .collect();
            let mut closed = closed.into_iter();
            open.retain(|_, _| closed.next() != Some(true));
        }
        open.len() < OPEN_MAX
    }

    fn keep_filled(&self) {
        let mut events = Vec::with_capacity(64);
        loop {
            let space = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(&self.watch, space, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
            for event in events.drain(..) {
                let number = event.data.u64();
                if number == END {
                    return;
                }
                let mut open = self.open();
                let Some(device) = open.get_mut(&number) else {
                    continue; // Closed while this was on its way.
                };
                let flags = event.flags;
                let is_closed = flags.intersects(epoll::EventFlags::HUP | epoll::EventFlags::ERR);
                if flags.contains(epoll::EventFlags::IN) && !is_closed {
                    device.throw_away();
                }
                if is_closed || !device.write(TURN_BYTES) {
                    open.remove(&number);
                }
            }
        }
    }
}

impl Device {
    /// Writes as much as there is space for, at most this much; whether anybody can read it.
    fn write(&mut self, bytes_max: usize) -> bool {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let mut left = bytes_max;
        while left > 0 {
            if self.written == READY_BYTES {
                self.stream.fill(&mut self.drawn[..]);
                self.written = 0;
            }
            let rest = self.drawn.get(self.written..).unwrap_or_default();
            match send(&self.end, rest, flags) {
                Ok(written) => {
                    self.written += written;
                    left = left.saturating_sub(written);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::NOBUFS) => return true,
                Err(_) => return false,
            }
        }
        true
    }

    /// What the step has written.
    fn throw_away(&self) {
        let mut buffer = [0; READY_BYTES];
        let _ = recv(&self.end, &mut buffer, RecvFlags::DONTWAIT);
    }
}

impl Service {
    pub(in crate::host) fn open_random(
        &mut self,
        call: &Call,
        flags: i32,
        close_on_exec: bool,
    ) -> Answer {
        // What is written to it changes nothing that is seen, and what is only named is not read.
        if flags & libc::O_ACCMODE == libc::O_WRONLY || flags & libc::O_PATH != 0 {
            return Ok(Reply::Proceed);
        }
        let stream = self
            .tasks
            .draws(call.thread, self.patch)
            .device(&self.host.seed);
        let is_written = flags & libc::O_ACCMODE != libc::O_RDONLY;
        // Whatever is missing, the step has no more of it than other steps: the host has.
        let descriptor = self
            .devices
            .open(call.thread, stream, is_written)
            .map_err(|_| Errno(libc::ENFILE))?;
        Ok(Reply::Descriptor {
            descriptor,
            close_on_exec,
        })
    }

    /// Whether a path leads through a descriptor to a random device, as `/dev/stdin` can: a socket
    /// cannot be opened so, and the kernel's own, which is there for who only writes to it or names
    /// it, must not be.
    pub(in crate::host) fn leads_to_random(&self, call: &Call, path: &[u8]) -> bool {
        // Most paths there lead elsewhere.
        let is_named = path.starts_with(b"/dev/") || path.windows(4).any(|part| part == b"/fd/");
        if !is_named {
            return false;
        }
        let Some(path) = crate::host::files::procfs::own_path(call.thread, path) else {
            return false;
        };
        let Some((directory, name)) = path.rsplit_once('/') else {
            return false;
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        directory.ends_with("/fd")
            && self
                .paths
                .open(directory.as_bytes(), flags)
                .and_then(|directory| look(&directory, name, AtFlags::empty()))
                .is_ok_and(|found| self.devices.is_random(&found) || is_kernel_s(&found))
    }

    /// How much waits to be read (`FIONREAD`): the socket behind the random device would tell how
    /// far its thread is.
    pub(in crate::host) fn asking_what_waits(&mut self, call: &Call) -> Answer {
        match self.descriptor_status(call, call.int(0)) {
            // As the kernel's device answers (random(4)).
            Ok(found) if self.devices.is_random(&found) => Err(Errno(libc::EINVAL)),
            // What cannot be looked at is not open, and the kernel says so, or is not ours.
            _ => Ok(Reply::Proceed),
        }
    }
}
