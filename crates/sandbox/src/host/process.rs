//! Who is who inside: threads and processes and their family tree, calls that wait for a child, and what
//! the service has of each of them (its memory, its descriptors, its vDSO).
//!
//! Not here: what a thread's clock says (`time.rs`), which bytes it draws (`random.rs`), and what `/proc`
//! says of it (`files/procfs.rs`).

pub(super) mod children;
pub(super) mod entry;
pub(super) mod handles;
pub(super) mod kinship;
pub(super) mod memory;
pub(super) mod task;
pub(super) mod tasks;
pub(super) mod vdso;
