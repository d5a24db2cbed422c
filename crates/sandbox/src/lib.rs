//! Runs one action hermetically on Linux: no daemon, no external program, no
//! privilege. The action sees a read-only root with the declared inputs, a bounded
//! scratch space at `/build` and `/tmp`, a minimal `/dev`, its own processes in a
//! read-only `/proc`, a private loopback device, and nothing else.
//!
//! # How a run is made
//!
//! 1. The first run with a [`Scratch`] makes a *room*: a *site* of user, network, uts and cgroup
//!    namespaces (`groundwork.rs`), and in it a mount namespace, the scratch file system, and the root
//!    assembled from binds (`room.rs`, `furnish.rs`). The room lives as long as the [`Scratch`] and is
//!    shared by the steps of one assembly; no process stays in it. What looks the same after them as
//!    before is left to the next room (`premises.rs`). Beside the site a process is forked that starts
//!    all others (`usher.rs`).
//! 2. For each run it starts a process that enters the room or makes it, and which starts
//!    process 1 in fresh mount, pid and ipc namespaces (`inside.rs`). Process 1 mounts `/proc`, makes the
//!    assembled root the root, gives up every privilege, and starts the step, which
//!    installs the system call filter (`filter.rs`), checks what it can check, and
//!    executes the program.
//! 3. The calling thread hears of process 1 (`start.rs`) and supervises: logs, time, memory, leftovers
//!    (`supervise.rs`).
//!
//! What runs from there to execute is a function over a prepared plan (`plan.rs`), in memory that they
//! share with the parent for this alone (`board.rs`): no allocation, no C library, direct system calls
//! only.
//!
//! # The guarantees
//!
//! [`Guarantee`] lists them, [`Outcome::isolation`] reports each with its mechanism. One
//! that cannot be kept stops the run with [`SandboxError::NotEnforceable`], unless the
//! caller waived it by name. Absent on purpose: signing, recipes, network access,
//! remote execution.
//!
//! Needs Linux 5.19 on x86-64 with unprivileged user namespaces.

#![allow(unsafe_code)] // The one crate that has it; each block states its invariant.

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!(
    "counterseal-sandbox runs on x86-64 Linux; other systems can verify but not assemble"
);

mod action;
mod board;
mod capture;
mod doctor;
mod error;
mod filter;
mod furnish;
mod groundwork;
mod guarantee;
mod host;
mod inside;
mod limits;
mod manifest;
mod plan;
mod premises;
mod proc_text;
mod processor;
mod report;
mod room;
mod root;
mod run;
mod serving;
mod settings;
mod start;
mod supervise;
mod sys;
mod usage;
mod usher;
mod written;

pub use action::{
    Action, BUILD_DIRECTORY, Captured, Exit, HOME_DIRECTORY, HOST_NAME, Limits, Outcome,
    SEARCH_PATH, TEMPORARY_DIRECTORY, USER_ID,
};
pub use doctor::{Finding, doctor};
pub use error::{SandboxError, SetupStep};
pub use guarantee::{Guarantee, Isolation, State, UnknownGuarantee};
pub use host::{DirectoryOrder, Randomness, VirtualHost};
pub use premises::Premises;
pub use room::Scratch;
pub use root::OWN_ENTRIES;
pub use run::run;
