//! Takes trapped calls and answers them, one after the other, on a thread of its own.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::VirtualHost;
use crate::host::files::inputs::Inputs;
use crate::host::files::listing::Listings;
use crate::host::files::paths::Paths;
use crate::host::files::stamps::Stamps;
use crate::host::files::status::Identities;
use crate::host::network::Names;
use crate::host::process::kinship::Started;
use crate::host::process::memory::Memory;
use crate::host::process::task::Task;
use crate::host::process::tasks::Tasks;
use crate::host::process::vdso::Patch;
use crate::host::random::device::Devices;
use crate::host::time::deadlines::Mend;
use crate::host::time::sleepers::{Later, Sleepers};
use crate::host::time::times::{CUT_SHORT_NS, used_up_limit};
use crate::host::time::tracer::Launch;
use crate::serving::HostOrder;
use crate::settings::is_kernel_since;
use crate::sys::{self, Errno, Notification};

/// How a trapped call ends.
pub(super) enum Reply {
    /// With this value.
    Value(i64),
    /// The kernel does it after all.
    Proceed,
    /// The kernel does it, and what it would see or show of the host is mended.
    Mend(Mend),
    /// With a copy of this descriptor.
    Descriptor {
        descriptor: OwnedFd,
        close_on_exec: bool,
    },
    /// Not yet: it is to be asked again after this much of the host's time.
    Again(Duration),
    /// With zero when this much of the host's time has passed, or as interrupted by a signal; what is
    /// left then is written at an address, if there is one.
    After(Duration, Option<u64>),
}

pub(super) type Answer = Result<Reply, Errno>;

/// The call did what it should and says so with zero.
pub(super) const DONE: Answer = Ok(Reply::Value(0));

/// One trapped call, as the handlers see it.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub(super) id: u64,
    pub(super) thread: i32,
    pub(super) number: i64,
    pub(super) arguments: [u64; 6],
    /// Where the thread goes on behind it.
    pub(super) instruction: u64,
}

impl Call {
    pub(super) const fn memory(&self) -> Memory {
        Memory(self.thread)
    }

    /// An argument as the kernel sees an `int`: its low half.
    #[allow(clippy::cast_possible_truncation)] // That is what the kernel does, too.
    pub(super) const fn int(&self, index: usize) -> i32 {
        self.arguments[index] as i32
    }
}

/// What a run found out by answering.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Absolute paths that were opened or executed, as they were named, sorted.
    pub(crate) opened: Vec<Vec<u8>>,
    /// Whether a program ran that had the host's clocks and random bytes before it.
    pub(crate) is_uncovered: bool,
    pub(crate) traces: Traces,
    /// What the next step of the same assembly goes on from.
    pub(crate) carried: Carried,
}

/// What a step has tried to make, of all that stays in a namespace when its processes are gone.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Traces {
    /// In its network.
    pub(crate) sockets: bool,
    /// One of them not local.
    pub(crate) network: bool,
    /// Queues of messages and sets of semaphores: all that there is in an ipc namespace.
    pub(crate) queues: bool,
}

/// What the steps of an assembly share: the clock goes on, and files keep their times.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    elapsed_ns: u64,
    stamps: Stamps,
}

/// Where a step will run, as far as it is known before the step can trap.
pub(crate) struct Ground {
    root: OwnedFd,
    identities: Identities,
}

impl Ground {
    /// For a thread of its own, whose file accesses become those of `file_user`, if there is
    /// one: root must see no more files than the action.
    pub(crate) fn enter(root: OwnedFd, host: &VirtualHost, file_user: Option<u32>) -> Self {
        // One that interrupts a descriptor on its way to the step would leave it with number 0
        // (SECCOMP_IOCTL_NOTIF_ADDFD); whoever else there is in this process takes signals.
        let _ = sys::set_signal_mask(u64::MAX);
        if let Some(user) = file_user {
            sys::take_file_user(user);
        }
        Self {
            identities: Identities::new(&root, host.inode_salt),
            root,
        }
    }
}

/// The state of one run's host.
pub(crate) struct Service {
    /// Paths at which the action's program will be executed until one is there.
    pub(super) programs: VecDeque<Vec<u8>>,
    pub(super) listener: Arc<OwnedFd>,
    pub(super) host: VirtualHost,
    pub(super) patch: &'static Patch,
    pub(super) tasks: Tasks,
    pub(super) paths: Paths,
    pub(super) stamps: Stamps,
    pub(super) identities: Identities,
    pub(super) inputs: Inputs,
    pub(super) listings: Listings,
    pub(super) devices: Devices,
    pub(super) names: Names,
    pub(super) traces: Traces,
    /// Until the step is traced, if it is to be.
    pub(super) launch: Option<Launch>,
    /// Whether calls that are mended come to the tracer, and not here.
    pub(super) is_traced: bool,
    /// Whether a program has run that was not on its detour.
    pub(super) is_uncovered: bool,
    pub(super) sleepers: Sleepers,
}

impl Service {
    pub(crate) fn new(order: HostOrder, ground: Ground, listener: OwnedFd) -> Self {
        let Ground { root, identities } = ground;
        let HostOrder {
            host,
            patch,
            carried,
            programs,
            is_waived: _,
        } = order;
        Self {
            listener: Arc::new(listener),
            programs: programs.into(),
            patch,
            tasks: Tasks::starting_at(carried.elapsed_ns),
            stamps: carried.stamps,
            identities,
            inputs: Inputs::default(),
            paths: Paths::new(root),
            listings: Listings::default(),
            devices: Devices::default(),
            names: Names::default(),
            traces: Traces::default(),
            launch: None,
            is_traced: false,
            is_uncovered: false,
            sleepers: Sleepers::none(),
            host,
        }
    }

    /// Answers until every thread that can trap is gone.
    pub(crate) fn serve(self) -> Findings {
        let listener = Arc::clone(&self.listener);
        sys::wake_synchronously(&listener);
        let taking_ends = taking_ends();
        let wants_tracer = self.host.virtual_timestamp_counter;
        let service = Arc::new(Mutex::new(self));
        if wants_tracer {
            // Without it the step is told so when it asks, and ends.
            let launch = Launch::prepare(&service).ok();
            lock(&service).launch = launch;
        }
        loop {
            let timeout = lock(&service).answer_due();
            if !taking_ends || timeout.is_some() {
                match poll_listener(&listener, timeout.as_ref()) {
                    Listener::HasCall => {}
                    Listener::IsQuiet => continue,
                    Listener::IsOver => break,
                }
            }
            match sys::next_notification(&listener) {
                Ok(notification) => lock(&service).take(notification),
                // Its thread was killed, or there are no threads any more.
                Err(_) => {
                    if poll_listener(&listener, Some(&Timespec::default())) == Listener::IsOver {
                        break;
                    }
                }
            }
        }
        lock(&service).conclude()
    }

    fn conclude(&mut self) -> Findings {
        // A tracer that nobody has called has nothing to wait for any more.
        self.launch = None;
        Findings {
            opened: self.paths.take_opened(),
            // Those that are left were killed before they said anything.
            is_uncovered: self.is_uncovered || !self.tasks.executing.is_empty(),
            traces: Traces {
                sockets: self.traces.sockets || self.devices.has_sockets(),
                ..self.traces
            },
            carried: Carried {
                elapsed_ns: self.tasks.latest_ns(),
                stamps: std::mem::take(&mut self.stamps),
            },
        }
    }

    fn take(&mut self, notification: Notification) {
        let Notification {
            id,
            thread,
            number,
            arguments,
            instruction,
        } = notification;
        let call = Call {
            id,
            thread,
            number,
            arguments,
            instruction,
        };
        self.sleepers.hear(thread);
        if self.continue_sleep(&call) {
            return;
        }
        let reply = self.handle(&call);
        self.answer(call, reply);
    }

    pub(super) fn answer(&mut self, call: Call, reply: Answer) {
        let listener = &*self.listener;
        let id = call.id;
        match reply {
            Ok(Reply::Value(value)) => sys::answer(listener, id, value, 0, false),
            Ok(Reply::Proceed) => sys::answer(listener, id, 0, 0, true),
            Ok(Reply::Mend(mend)) => self.hold_and_mend(&call, mend),
            Ok(Reply::Again(delay)) => {
                let later = Later {
                    due: Instant::now() + delay,
                    call,
                    is_asked_again: true,
                    left: None,
                    due_ns: self.task(&call).clock.now(),
                    used_up: None,
                };
                self.sleepers.push(later);
            }
            Ok(Reply::Descriptor {
                descriptor,
                close_on_exec,
            }) => {
                let added = sys::answer_with_descriptor(listener, id, &descriptor, close_on_exec);
                if let Err(Errno(errno)) = added {
                    sys::answer(listener, id, 0, errno, false);
                }
            }
            Ok(Reply::After(delay, left)) => match Instant::now().checked_add(delay) {
                Some(due) => {
                    let delay_ns = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
                    let later = Later {
                        due,
                        call,
                        is_asked_again: false,
                        left: left.map(|address| (address, delay)),
                        due_ns: self.task(&call).clock.now().saturating_add(delay_ns),
                        used_up: used_up_limit(&call),
                    };
                    self.sleepers.push(later);
                }
                None => sys::answer(listener, id, 0, libc::EINVAL, false),
            },
            // The step has as many descriptors as other steps: this process has none left.
            Err(Errno(libc::EMFILE)) => sys::answer(listener, id, 0, libc::ENFILE, false),
            Err(Errno(errno)) => sys::answer(listener, id, 0, errno, false),
        }
    }

    /// The thread of a call.
    pub(super) fn task(&mut self, call: &Call) -> &mut Task {
        self.tasks.task(call.thread, self.patch)
    }

    /// Brings the clock of a thread that asks for something up to what it has learned since.
    pub(super) fn arrive(&mut self, call: &Call) {
        self.tasks.recognise(call.thread);
        let task = self.tasks.task(call.thread, self.patch);
        let timeout = task.timeout.take();
        let interrupted = timeout.filter(|timeout| Instant::now() < timeout.until);
        if interrupted.is_none()
            && let Some(timeout) = timeout
        {
            task.clock.sleep(timeout.ns);
        }
        let process = task.process;
        self.tasks.settle(call.thread, process);
        let has_gone_off = self.see_timers(call);
        if let Some(interrupted) = interrupted {
            if !has_gone_off && interrupted.left.is_some() {
                self.task(call)
                    .clock
                    .sleep(CUT_SHORT_NS.min(interrupted.ns));
            }
            self.mend_left(call, &interrupted);
        }
    }

    pub(super) fn handle(&mut self, call: &Call) -> Answer {
        self.arrive(call);
        self.note_writes(call);
        match call.number {
            libc::SYS_arch_prctl => self.storage_set_up(call),
            libc::SYS_fork | libc::SYS_vfork | libc::SYS_clone => {
                let flags = if call.number == libc::SYS_clone {
                    call.int(0)
                } else {
                    0
                };
                self.task(call).clock.work(FORK_NS);
                self.start_here(call);
                let started = Started::by_flags(flags);
                let number_at =
                    (flags & libc::CLONE_PARENT_SETTID != 0).then_some(call.arguments[2]);
                let patch = self.patch;
                self.tasks
                    .before_fork(call.thread, started, number_at, patch);
                self.tasks.sweep();
                Ok(Reply::Proceed)
            }
            libc::SYS_rt_sigaction => Ok(self.child_handler(call)),
            // Only if they ask for that.
            libc::SYS_wait4 | libc::SYS_waitid => Ok(self.wait_with_usage(call)),
            libc::SYS_exit | libc::SYS_exit_group => {
                self.see_entry(call);
                let whole_process = call.number == libc::SYS_exit_group;
                if whole_process {
                    self.close_writes(call);
                }
                let process = self.task(call).process;
                self.tasks.end(call.thread, whole_process);
                if whole_process {
                    self.listings.forget(process);
                }
                Ok(Reply::Proceed)
            }
            libc::SYS_execve | libc::SYS_execveat => {
                self.before_execute(call);
                Ok(Reply::Proceed)
            }
            libc::SYS_getrandom => self.random(call),
            libc::SYS_socket | libc::SYS_socketpair => {
                self.traces.sockets = true;
                self.traces.network |= call.int(0) != libc::AF_UNIX;
                Ok(Reply::Proceed)
            }
            libc::SYS_msgget | libc::SYS_semget => {
                self.traces.queues = true;
                Ok(Reply::Proceed)
            }
            libc::SYS_prctl => self.timestamp_counter_state(call),
            _ => self
                .time_call(call)
                .or_else(|| self.machine_call(call))
                .or_else(|| self.network_call(call))
                .or_else(|| self.file_call(call))
                .unwrap_or(Ok(Reply::Proceed)),
        }
    }

    fn random(&mut self, call: &Call) -> Answer {
        const FLAGS: i32 = 0x7;
        const LENGTH_MAX: u64 = 32 << 20;
        let [address, length, ..] = call.arguments;
        if call.int(2) & !FLAGS != 0 {
            return Err(Errno(libc::EINVAL));
        }
        if self.host.randomness == super::Randomness::Real {
            return Ok(Reply::Proceed);
        }
        let stream = self
            .tasks
            .draws(call.thread, self.patch)
            .stream(&self.host.seed);
        let length = length.min(LENGTH_MAX);
        let mut done = 0;
        let mut buffer = [0; 4096];
        while done < length {
            let part = usize::try_from(length - done).unwrap_or(usize::MAX);
            let part = buffer.get_mut(..part.min(4096)).unwrap_or_default();
            stream.fill(part);
            Memory(call.thread).write(address.wrapping_add(done), part)?;
            done += part.len() as u64;
        }
        Ok(Reply::Value(i64::try_from(length).unwrap_or(i64::MAX)))
    }
}

/// Waits for a call so long, or without a limit.
fn poll_listener(listener: &OwnedFd, timeout: Option<&Timespec>) -> Listener {
    let mut watched = [PollFd::new(listener, PollFlags::IN)];
    match poll(&mut watched, timeout) {
        Ok(_) => {}
        Err(rustix::io::Errno::INTR) => return Listener::IsQuiet,
        Err(_) => return Listener::IsOver,
    }
    let ready = watched[0].revents();
    if ready.contains(PollFlags::IN) {
        Listener::HasCall
    } else if ready.is_empty() {
        Listener::IsQuiet
    } else {
        Listener::IsOver
    }
}

/// Whether a call waits to be taken.
pub(super) fn has_call(listener: &OwnedFd) -> bool {
    poll_listener(listener, Some(&Timespec::default())) == Listener::HasCall
}

pub(super) fn lock(service: &Mutex<Service>) -> MutexGuard<'_, Service> {
    // Whatever the other thread was doing when it panicked: the step ends with it.
    service.lock().unwrap_or_else(PoisonError::into_inner)
}

const FORK_NS: u64 = 50_000;

/// What there is to hear.
#[derive(PartialEq, Eq)]
enum Listener {
    HasCall,
    IsQuiet,
    IsOver,
}

/// Whether taking a call ends when there are no threads any more (Linux 6.11); else one has to
/// wait with poll(2), which is dearer.
fn taking_ends() -> bool {
    is_kernel_since(6, 11)
}
