//! The formats of the evidence, as types: in-toto Statement v1, SLSA provenance v1 for this
//! project's build type, the replay verdict, the runtime trace, DSSE, the Sigstore bundle v0.3 and
//! the record's `hashedrekord` 0.0.2 leaf.
//!
//! Producer and verifier share these definitions, so each has exactly one reader and one writer.
//! Reading is strict ([`json::parse`]): fixed limits, no duplicate keys at any depth, one spelling
//! for every digest, number and base64 text. Writing is canonical ([`json::canonical`]).
//!
//! Deliberately absent: files, network, clocks, randomness, keys. Nothing here checks a signature
//! or a Merkle proof; [`bundle::Bundle`] only guarantees that what is to be checked is well formed.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod base64_text;
mod digest;
mod shown;
mod time;

pub mod bundle;
pub mod dsse;
pub mod hashedrekord;
pub mod json;
pub mod provenance;
pub mod replay_verdict;
pub mod runtime_trace;
pub mod statement;

pub(crate) use base64_text::decode_base64;
pub use base64_text::{Base64Error, encode_base64};
pub use digest::{DigestError, Sha256Digest};
pub use time::{CivilTime, TimeError, UnixSeconds};
