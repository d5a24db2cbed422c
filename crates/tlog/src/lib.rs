//! Transparency log formats and proofs, without a single input or output.
//!
//! | module | what | specification |
//! |---|---|---|
//! | crate root | hashing of leaves and nodes | RFC 6962 section 2.1, RFC 9162 section 2.1 |
//! | [`proof`] | inclusion and consistency, `prove_*` and `check_*` | RFC 9162 sections 2.1.3 and 2.1.4 |
//! | [`tile`] | tile and entry bundle names and bytes | C2SP tlog-tiles |
//! | [`edge`] | growing a tree tile by tile from its right edge | C2SP tlog-tiles |
//! | [`note`] | signed notes, verifier keys | C2SP signed-note |
//! | [`checkpoint`] | what a log signs: origin, size, root | C2SP tlog-checkpoint |
//!
//! Entries are opaque bytes: what they mean is somebody else's business.
//! Deliberately absent: files, sockets, clocks, randomness, and the arithmetic
//! of signatures. The world enters through three small traits,
//! [`proof::NodeSource`], [`note::NoteSigner`] and [`note::NoteVerifier`].
//! Witness cosignatures are not here yet; a note keeps the signature lines
//! that it does not know, so they can be added without a change of format.
//!
//! # Examples
//!
//! A log of two entries; the proof of each is the leaf of the other:
//!
//! ```
//! use counterseal_tlog::proof::check_inclusion;
//! use counterseal_tlog::{leaf_hash, node_hash};
//!
//! let (first, second) = (leaf_hash(b"first"), leaf_hash(b"second"));
//! let root = node_hash(&first, &second);
//! assert!(check_inclusion(&second, 1, 2, &[first], &root).is_ok());
//! assert!(check_inclusion(&second, 0, 2, &[first], &root).is_err());
//! ```
#![no_std]

extern crate alloc;

#[cfg(test)]
extern crate std;

pub mod checkpoint;
pub mod edge;
mod hash;
pub mod note;
pub mod proof;
pub mod tile;

pub use hash::{NodeHash, empty_root, leaf_hash, node_hash};
