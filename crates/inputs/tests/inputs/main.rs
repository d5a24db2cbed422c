//! Resolving and fetching against a small Debian archive on a loopback server: the ordinary way,
//! and every way in which a mirror, an archive, a lock or a neighbour may lie.

mod keys;
mod lock_texts;
mod mini_archive;
mod server;
mod workplace;

mod hostile_index;
mod hostile_transfers;
mod local_inputs;
mod signatures;
mod whole_way;
