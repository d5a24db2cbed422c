//! Random bytes that are none, and the device that gives them.
//!
//! Not here: `getrandom(2)`, which is one look at a stream (`service.rs`).

pub(super) mod device;
pub(super) mod sockets;
pub(super) mod stream;
