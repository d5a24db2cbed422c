//! Who answers a step's trapped calls: a thread that does so for the steps of a site's rooms, one after
//! the other. Starting one for each step made further steps a tenth slower.
//!
//! It sees files as the step's user on the host, and takes no signals, from its first step on.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};

use crate::error::{SandboxError, io};
use crate::host::{Carried, Findings, Ground, Patch, Service, VirtualHost};
use crate::room::{HostUser, NOBODY, Room, receive_report};
use crate::usher::Usher;

/// What a step's service has to know.
pub(crate) struct HostOrder {
    pub(crate) host: VirtualHost,
    pub(crate) patch: &'static Patch,
    pub(crate) carried: Carried,
    /// Paths at which the step's program is tried, in this order.
    pub(crate) programs: Vec<Vec<u8>>,
    /// Whether the step may go on if its calls could not be trapped.
    pub(crate) is_waived: bool,
}

/// The thread. It ends when this is dropped and its last step is over; or by a panic. The usher ends with
/// it at the latest.
#[derive(Debug)]
pub(crate) struct Servant {
    steps: Sender<Step>,
}

/// One step to be served.
struct Step {
    order: HostOrder,
    file_user: Option<u32>,
    traps: OwnedFd,
    room_mounts: OwnedFd,
    findings: SyncSender<Option<Findings>>,
    is_over: Receiver<()>,
}

impl Servant {
    /// With an usher, whose parent is the thread.
    pub(crate) fn hire() -> Result<(Self, Usher), SandboxError> {
        let (steps, received) = mpsc::channel::<Step>();
        let (sender, usher) = mpsc::sync_channel(1);
        std::thread::Builder::new()
            .name("virtual host".to_owned())
            .spawn(move || {
                let _ = sender.send(Usher::hire());
                received.into_iter().for_each(Step::serve);
            })
            .map_err(|source| io("starting to answer system calls", source))?;
        let usher = usher.recv().map_err(|_| SandboxError::SetupKilled)??;
        Ok((Self { steps }, usher))
    }
}

impl Step {
    fn serve(self) {
        let Some([step_root, mounts]) = descriptors_from(&self.traps) else {
            let _ = self.findings.send(None);
            return;
        };
        let ground = Ground::enter(step_root, &self.order.host, self.file_user);
        let found = descriptors_from(&self.traps)
            .map(|[listener]| Service::new(self.order, ground, listener).serve());
        // Nobody waits for what the service leaves behind to be taken down …
        let _ = self.findings.send(found);
        // … nor for mounts: whoever lets go of them last waits for the kernel, and that is neither
        // process 1 nor whoever drops the room.
        let _: Result<(), _> = self.is_over.recv();
        drop((mounts, self.room_mounts));
    }
}

/// A step that is being served.
pub(crate) struct Serving {
    /// One message at its end: none if there was nothing to answer.
    pub(crate) findings: Receiver<Option<Findings>>,
    pub(crate) is_waived: bool,
    /// Its end tells the thread that process 1 is gone.
    _over: Sender<()>,
}

impl Serving {
    /// From here on the thread waits for the step's means to trap, or for the step's end.
    pub(crate) fn start(
        order: HostOrder,
        traps: OwnedFd,
        room: &Room,
    ) -> Result<Self, SandboxError> {
        let (sender, findings) = mpsc::sync_channel(1);
        let (over, is_over) = mpsc::channel();
        let is_waived = order.is_waived;
        let step = Step {
            order,
            file_user: (room.site.base.host_user == HostUser::Nobody).then_some(NOBODY),
            traps,
            room_mounts: room.mounts()?,
            findings: sender,
            is_over,
        };
        // One that has panicked takes no step any more, and its usher is gone.
        let taken = room.site.base.servant.steps.send(step);
        taken.map_err(|_| SandboxError::SetupKilled)?;
        Ok(Self {
            findings,
            is_waived,
            _over: over,
        })
    }
}

/// What a step sends with its next message; none if it ends without.
fn descriptors_from<const N: usize>(socket: &OwnedFd) -> Option<[OwnedFd; N]> {
    loop {
        match receive_report(socket.as_fd()) {
            Ok((_, descriptors)) => return descriptors.try_into().ok(),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}
