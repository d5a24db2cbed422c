//! What the action sees of files: where paths lead and what is opened, statuses and times, the order of
//! directories, and `/proc`.
//!
//! Not here: the random device (`random/device.rs`), and names of sockets (`network.rs`).

pub(super) mod announced;
pub(super) mod census;
pub(super) mod inputs;
pub(super) mod lead;
pub(super) mod listing;
pub(super) mod paths;
pub(super) mod procfs;
pub(super) mod shown;
pub(super) mod stamps;
pub(super) mod status;
