//! Random bytes that are none, and the device that gives them.

pub(super) mod device;
pub(super) mod sockets;
pub(super) mod stream;
