//! The usher: a process beside each site that starts the processes of its rooms. It was forked when the
//! site was begun, so that a start takes no copy of the parent's memory, and has let go of that memory but
//! for static variables, so that process 1, which shares the usher's, has none of it either.
//!
//! Its rooms live as long as it does: process 1 dies with it, and so does everything inside. It lives as
//! long as its parent has the other end of its socket, and dies with the thread that hired it, which is
//! the one that answers its steps' calls (`serving.rs`): the kernel counts a thread's end as a parent's.
//!
//! Absent on purpose: membership of the site. The usher would count among the step's processes.

use std::ffi::c_void;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown};

use crate::board::{Board, StackOf};
use crate::error::{SandboxError, SetupStep};
use crate::inside::{LIFE, REPORT, Start, entrant};
use crate::plan::{ABSENT, Plan, SignalsBlocked};
use crate::report::Report;
use crate::room::report_sockets;
use crate::sys;

mod memory;

use memory::Kept;

/// The parent's side.
#[derive(Debug)]
pub(crate) struct Usher {
    /// When this closes, the process ends.
    orders: OwnedFd,
    /// Its process id.
    pub(crate) process: i32,
    /// What its processes read.
    pub(crate) board: Board,
}

impl Drop for Usher {
    fn drop(&mut self) {
        self.dismiss();
        sys::wait_for_silent(self.process);
    }
}

/// How long an usher may take to end by itself: one that somebody has stopped does not.
const END_GRACE: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// What the processes of a run get, in the order of their numbers there.
pub(crate) struct Handed<'a>(Vec<BorrowedFd<'a>>);

impl<'a> Handed<'a> {
    /// The user namespace, both logs, the ends of the sockets for reports and for traps.
    pub(crate) fn new(user: &'a OwnedFd, ends: [&'a OwnedFd; 4]) -> Self {
        Self([user].into_iter().chain(ends).map(OwnedFd::as_fd).collect())
    }

    /// One more, and its number.
    pub(crate) fn add(&mut self, descriptor: &'a OwnedFd) -> RawFd {
        // The usher's own, `LIFE`, takes a place.
        let number = RawFd::try_from(self.0.len() + 1).unwrap_or(ABSENT);
        self.0.push(descriptor.as_fd());
        number
    }
}

/// Where a plan is on the board, and how many descriptors come with this message.
type Order = [usize; 2];
const ORDER_BYTES: usize = size_of::<Order>();

impl Usher {
    /// Forks it. It ends with the calling thread at the latest.
    pub(crate) fn hire() -> Result<Self, SandboxError> {
        let mut board = Board::new()?;
        let (orders, orders_inside) = report_sockets()?;
        let process = Contract {
            orders: orders_inside.as_raw_fd(),
            entrant_stack: board.stack(StackOf::Entrant),
            usher_stack: board.stack(StackOf::Usher),
            kept: board.list(&memory::to_be_kept(board.range()))?,
            process: AtomicI32::new(0),
            errno: AtomicI32::new(libc::EIO),
        }
        .conclude()?;
        // Whether the usher has read its contract nobody hears.
        board.keep();
        let usher = Self {
            orders,
            process,
            board,
        };
        usher.board.hide()?;
        Ok(usher)
    }

    /// Has a plan, whose parts are on the board, carried out. Whoever does it reports.
    pub(crate) fn start(&self, plan: Plan<'_>, handed: &Handed<'_>) -> Result<(), SandboxError> {
        let plan = std::ptr::from_ref(self.board.value(plan)?);
        let Handed(descriptors) = handed;
        let order: Order = [plan.expose_provenance(), descriptors.len()];
        let mut message = [0; ORDER_BYTES];
        for (bytes, word) in message.chunks_exact_mut(size_of::<usize>()).zip(order) {
            bytes.copy_from_slice(&word.to_ne_bytes());
        }
        let mut space =
            [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(sys::DESCRIPTORS_MAX))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        // More than fit would not be carried out, since the usher counts them.
        ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
        let parts = [IoSlice::new(&message)];
        match rustix::net::sendmsg(&self.orders, &parts, &mut ancillary, SendFlags::NOSIGNAL) {
            Ok(_) => Ok(()),
            // It is gone.
            Err(Errno::PIPE | Errno::CONNRESET) => Err(SandboxError::SetupKilled),
            Err(errno) => Err(SetupStep::Fork.failed(errno.raw_os_error())),
        }
    }

    /// Has it end whatever it has started, and itself. Returns when that is done, or when the kernel has
    /// been told to do it, since the usher was stopped.
    pub(crate) fn dismiss(&self) {
        // Closing would not do: others may have a copy of the descriptor.
        let _ = rustix::net::shutdown(&self.orders, Shutdown::Write);
        if self.is_there_after(END_GRACE) {
            sys::kill_child(self.process);
        }
    }

    /// Whether nobody has ended it.
    pub(crate) fn is_there(&self) -> bool {
        self.is_there_after(Timespec::default())
    }

    /// Whether it has not ended within this time.
    fn is_there_after(&self, time: Timespec) -> bool {
        let mut watched = [PollFd::new(&self.orders, PollFlags::IN)];
        loop {
            match rustix::event::poll(&mut watched, Some(&time)) {
                Err(Errno::INTR) => {}
                ready => return ready == Ok(0),
            }
        }
    }
}

/// What it takes to fork an usher.
struct Contract<'b> {
    orders: RawFd,
    /// The memory that it does not let go of.
    kept: &'b [Kept],
    entrant_stack: *mut u8,
    usher_stack: *mut u8,
    /// What came of it: a process id, or why there is none.
    process: AtomicI32,
    errno: AtomicI32,
}

impl Contract<'_> {
    /// By a process between the two. What a thread has registered with the kernel for restartable
    /// sequences (rseq(2)) a forked process would have, too, in memory that the usher lets go of; who
    /// shares memory has none, nor has who is forked from it.
    fn conclude(&self) -> Result<i32, SandboxError> {
        let failed = |errno| SetupStep::Fork.failed(errno);
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES;
        let blocked = SignalsBlocked::new();
        // SAFETY: this thread is suspended until the process has exited (CLONE_VFORK), so that `self`
        // outlives it; its stack, the entrant's, nobody else has yet. It changes atomic values only.
        let between = unsafe {
            sys::clone_silently_onto(
                self.entrant_stack,
                flags,
                fork_usher,
                std::ptr::from_ref(self).cast(),
            )
        };
        drop(blocked);
        sys::wait_for_silent(between.map_err(|sys::Errno(errno)| failed(errno))?);
        match self.process.load(Ordering::Acquire) {
            0 => Err(failed(self.errno.load(Ordering::Acquire))),
            process => Ok(process),
        }
    }
}

extern "C" fn fork_usher(contract: *const c_void) -> ! {
    // SAFETY: `conclude` passes on a pointer to what outlives this process.
    let contract = unsafe { &*contract.cast::<Contract<'_>>() };
    // SAFETY: the new process has a copy of this memory and a stack on the board that is its alone.
    let forked = unsafe {
        sys::clone_silently_onto(
            contract.usher_stack,
            libc::CLONE_PARENT,
            usher,
            std::ptr::from_ref(contract).cast(),
        )
    };
    match forked {
        Ok(process) => contract.process.store(process, Ordering::Release),
        Err(sys::Errno(errno)) => contract.errno.store(errno, Ordering::Release),
    }
    sys::exit(0)
}

extern "C" fn usher(contract: *const c_void) -> ! {
    // SAFETY: this process has a copy of what the pointer means to the one that forked it.
    let contract = unsafe { &*contract.cast::<Contract<'_>>() };
    // The contract is in memory that is let go of; what it holds is not.
    let Contract {
        orders,
        entrant_stack,
        kept,
        ..
    } = *contract;
    serve(orders, entrant_stack, kept)
}

/// Where the usher keeps its own descriptors: behind all that it is ever given.
const ORDERS: RawFd = 16;
const ALIVE: RawFd = 17;
const _: () = assert!(sys::DESCRIPTORS_MAX + 1 < ORDERS as usize);

fn serve(orders: RawFd, entrant_stack: *mut u8, kept: &[Kept]) -> ! {
    let mut running = None;
    if settle(orders, kept).is_ok() {
        while let Ok(plan) = next_order() {
            // Process 1 of the last run has ended; only now may its number mean another process, and it
            // does not count among the next step's any more.
            sys::wait_for_silent(sys::ALL);
            running = carry_out(plan, entrant_stack);
        }
    }
    if let Some(first_process) = running {
        sys::kill_child(first_process);
        sys::wait_for_silent(sys::ALL);
    }
    sys::exit(0)
}

/// Lets go of what the parent has: what is open and would be disturbed by a copy, terminal, and memory.
fn settle(orders: RawFd, kept: &[Kept]) -> sys::Result<()> {
    // If the parent is gone already, the first thing heard is that.
    sys::process_control(libc::PR_SET_PDEATHSIG, libc::SIGKILL as usize)?;
    if orders != ORDERS {
        sys::duplicate_onto(orders, ORDERS, libc::O_CLOEXEC)?;
    }
    sys::close_range(0, ORDERS - 1)?;
    sys::close_range(ORDERS + 1, RawFd::MAX)?;
    let [life, alive] = sys::pipe()?;
    sys::duplicate_onto(life, LIFE, libc::O_CLOEXEC)?;
    sys::duplicate_onto(alive, ALIVE, libc::O_CLOEXEC)?;
    sys::close_range(0, LIFE - 1)?;
    sys::new_session()?;
    sys::change_directory(c"/")?;
    prefer_in_out_of_memory();
    memory::let_go(kept);
    Ok(())
}

/// If memory runs out on the host, the sandbox goes first. Also hides the host's value.
fn prefer_in_out_of_memory() {
    let flags = libc::O_WRONLY | libc::O_CLOEXEC;
    if let Ok(file) = sys::open(ABSENT, c"/proc/self/oom_score_adj", flags, 0) {
        let _ = sys::write(file, b"1000");
        sys::close(file);
    }
}

/// The next order whose descriptors are all there; an error if there will be none.
fn next_order<'b>() -> sys::Result<&'b Plan<'b>> {
    loop {
        let mut message = [0; ORDER_BYTES];
        let (length, count) = match sys::receive_descriptors(ORDERS, &mut message) {
            Err(sys::Errno(libc::EINTR)) => continue,
            received => received?,
        };
        if length == 0 {
            return Err(sys::Errno(libc::EPIPE));
        }
        let mut order: Order = [0; 2];
        for (word, bytes) in order.iter_mut().zip(message.as_chunks().0) {
            *word = usize::from_ne_bytes(*bytes);
        }
        let [plan, expected] = order;
        if length == ORDER_BYTES && count == expected {
            let plan: *const Plan<'_> = std::ptr::with_exposed_provenance(plan);
            // SAFETY: the parent has placed a plan there, on the board, which it leaves alone before it
            // has heard that all who read it are gone.
            return Ok(unsafe { &*plan });
        }
        // The parent hears that nobody has the other ends any more.
        forget_descriptors();
    }
}

/// Starts process 1, whose id is returned.
fn carry_out(plan: &Plan<'_>, entrant_stack: *mut u8) -> Option<i32> {
    let start = Start {
        plan,
        first_process: AtomicI32::new(0),
    };
    // SAFETY: the stack is the entrant's alone, of which there is one at a time; its end is waited for
    // below, before `start` goes; what it runs neither allocates nor locks nor unwinds.
    let started = unsafe {
        sys::clone_silently_onto(
            entrant_stack,
            libc::CLONE_VM,
            entrant,
            std::ptr::from_ref(&start).cast(),
        )
    };
    if let Err(sys::Errno(errno)) = started {
        let step = SetupStep::Fork;
        Report::Failed { step, errno }.send(REPORT);
    }
    forget_descriptors();
    if let Ok(entrant) = started {
        sys::wait_for_silent(entrant);
    }
    match start.first_process.load(Ordering::Acquire) {
        0 => None,
        first_process => Some(first_process),
    }
}

/// All that came with an order.
fn forget_descriptors() {
    let _ = sys::close_range(0, LIFE - 1);
    let _ = sys::close_range(LIFE + 1, ORDERS - 1);
}
