//! Content-addressed blobs and trees on disk: deduplicated, crash-safe, shared by processes.
//!
//! # What lies where
//! ```text
//! DIR/format                      one line: which layout this is
//! DIR/lock                        flock: shared while in use, exclusive to collect garbage
//! DIR/blobs/ab/ab12…              a blob under its SHA-256, mode 0444
//! DIR/actions/HASH-SIZE           action cache: action digest → result
//! DIR/derived/KIND/HASH           derived objects: digest of a source → what was made of it
//! DIR/pins/NAME                   roots of garbage collection
//! DIR/checkouts/BOOT/KEY/tree     trees as files, read-only
//! DIR/incoming/                   everything that is not finished
//! ```
//! Blobs stand in two levels, 256 directories and the files; a third would cost a `mkdir` for
//! nearly every file that is unpacked and pays off only beyond millions of blobs.
//!
//! # Why a crash cannot corrupt it
//! A blob's name appears only after its bytes are on disk: it is written under `incoming/`,
//! flushed, and then renamed. Hence whatever is visible is whole, and killing a process or
//! losing power leaves at most unfinished files in `incoming/`, which the next process to have
//! the store to itself sweeps away. A full disk shows while writing to `incoming/`, before
//! anything is named.
//!
//! *Durable* means: bytes flushed **and** the directory entry flushed. [`Store::put_bytes`] and
//! its relatives give both before they return, with two `fsync`s for each blob. A [`Batch`]
//! gives the same for thousands of blobs at once: all are written, one `syncfs` flushes their
//! bytes, all are renamed, and one more flush makes the names durable. A blob that was already
//! present may have been renamed an instant ago by another process that has not flushed its
//! directory yet, so its directory is flushed here, too.
//!
//! Records (action results, derived objects, pins) refer to blobs and are written only after
//! these are durable, in the same manner (flush, then rename), so a record never refers to
//! something that a power cut takes away. That the record itself is lost costs repeated work;
//! only pins flush their directory entry.
//!
//! Checkouts are not flushed at all. They live under the running kernel's boot identifier:
//! within one boot, what a process wrote is what every process reads, killed or not; after a
//! restart no old checkout is believed, and the next collection removes it.
//!
//! # What keeps things
//! Whatever a pin names stays, and if it is a directory object, everything below it. A cached
//! record stays as long as everything that it names stays. Everything else goes. See
//! [`Store::gc`].
//!
//! Absent on purpose: compression (staging wants plain files), other hash functions, network.

mod batch;
mod blobs;
mod check;
mod checkout;
mod digest;
mod error;
mod gc;
mod layout;
mod records;
pub mod remote_execution;
pub mod tree;
mod wire;

pub use batch::Batch;
pub use check::{CheckReport, Problem};
pub use checkout::{Checkout, remove_tree};
pub use digest::{Digest, ParseDigestError};
pub use error::StoreError;
pub use gc::GcReport;
pub use layout::Store;
