//! The action's own time: what each thread's clock says, calls that ask for it or wait for some, timers,
//! and the processor's counter.
//!
//! Not here: the times that files show (`files/stamps.rs`), and waiting for a child
//! (`process/children.rs`).

pub(super) mod clock;
pub(super) mod deadlines;
pub(super) mod sleepers;
pub(super) mod stillness;
pub(super) mod timers;
pub(super) mod times;
pub(super) mod tracer;
