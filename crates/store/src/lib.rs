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
//! # What is believed about bytes on disk
//! Nothing that was not hashed since it was asked for. Ordinary tools, people and failing disks
//! change files without asking, and whoever assembles from what is here signs what it was.
//!
//! - A blob is hashed whenever it is read, opened or copied out. One that is damaged is an error,
//!   and is taken away at once, so that whoever comes with its bytes next stores them anew; the
//!   records that name it no longer count. A damaged action result or derived object goes the
//!   same way; a damaged pin stays, and nothing is collected until it is put right.
//! - Whoever brings bytes that are stored already has the stored ones hashed, and replaced if
//!   they are damaged: hashing what is in memory anyway costs less than a wrong answer.
//! - A checkout is compared with its tree, file by file, each time it is handed out, or while it
//!   is used and before anything that was made in it is believed ([`Unread`]). One that deviates is moved aside, never mended in place, and made anew. Somebody may still be
//!   running in the old one, so it stays under `incoming/` until the next process to have the
//!   store to itself sweeps it away.
//!
//! This finds damage, not an attacker who may write to the store while it is in use: what is
//! changed between being looked at and being used is noticed only the next time.
//! [`Store::contains`] and its relatives look at name and size alone; they decide whether to
//! fetch, and whatever is used is hashed afterwards.
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
mod draft;
mod error;
mod gc;
mod inspection;
mod layout;
mod parallel;
mod records;
mod regular;
pub mod remote_execution;
pub mod tree;
mod wire;

pub use batch::Batch;
pub use check::{CheckReport, Problem};
pub use checkout::{Checkout, Unread};
pub use digest::{Digest, ParseDigestError};
pub use draft::{Draft, remove_abandoned_drafts};
pub use error::StoreError;
pub use gc::GcReport;
pub use layout::Store;
pub use records::ACTION_RESULT_BYTES_MAX;
pub use regular::open_regular;
