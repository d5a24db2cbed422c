//! The verifier: evidence, an artifact's digest, a trust file and the time go in, a verdict comes
//! out, with every check listed as passed, failed or not checked. Nothing else is touched: no
//! network, no file, no clock, no randomness.
//!
//! # What is checked
//!
//! The evidence is a file of Sigstore bundles, one a line: provenance, and the replay verdicts
//! that others appended. The codes are stable and stand in the JSON document:
//!
//! | code | passes when |
//! |---|---|
//! | `evidence.present` | there is evidence, and provenance in it |
//! | `evidence.readable` | it is JSON Lines within the bounds of the format |
//! | `trust.fresh` | the trust file states no expiry, or one that lies ahead |
//! | `envelope.parse` | the line is a Sigstore bundle v0.3 with a public key and one signature |
//! | `envelope.keyid` | hint and keyid are the SHA-256 of the key that signed |
//! | `signature.valid` | the P-256 signature over the DSSE encoding holds |
//! | `statement.parse` | the payload is an in-toto Statement v1, strictly read |
//! | `predicate.type` | the predicate is SLSA provenance v1 |
//! | `signer.builder-allowed` | the signer is a trusted builder, and the builder id is its own |
//! | `subject.digest` | the artifact's SHA-256 is among the subjects |
//! | `build.type` | the trust file lets this builder use this build type |
//! | `parameters.known` | every external parameter is one that the build type defines |
//! | `build.time` | the stated times are in order, and not in the future |
//! | `record.entry-matches` | the log entry is the one this envelope and key must have |
//! | `record.inclusion` | the inclusion proof leads from that entry to the checkpoint's root |
//! | `record.checkpoint-signature` | the record's key signed the checkpoint |
//! | `record.origin` | the checkpoint is of a trusted record, and the entry names the same key |
//! | `record.consistent` | no two signed checkpoints of one size have different roots |
//! | `replay.quorum` | as many auditors reproduced the artifact as the trust file demands |
//! | `replay.verdict` | an auditor reproduced the artifact, and none found a difference |
//!
//! # How the outcome follows
//!
//! *Failed* when a required check failed; *verified* when every required check passed; *no
//! conclusion* when none failed but some could not be made; *unreadable* when the file is no
//! evidence at all. Two checks do not decide: `replay.verdict` always, and `replay.quorum` unless
//! the trust file has `replays-required`. So a trusted auditor's "differs" is shown as a failed
//! check and leaves the outcome as it is: what the provenance says is still true, and whether a
//! replay is demanded is for the trust file to say. With `replays-required = k` fewer than k
//! distinct auditors fail the artifact, and an auditor that ever reported a difference is not
//! one of the k; without an accepted provenance there is nothing to replay, and the quorum is not
//! checked.
//!
//! One provenance decides: the one that passes everything, or else the one that came closest.
//! Lines that are whole but do not matter here (another artifact, another kind of attestation, a
//! signer that the trust file does not list) are set aside and listed. Lines that are damaged
//! fail the verdict, whatever the other lines say: flipping any byte of a line that a trusted
//! party signed never leaves the outcome at verified.
//!
//! Deliberately absent: hashing the artifact and reading files (the command line does), witness
//! cosignatures, certificates, signed policies, memory of earlier checkpoints.
//!
//! # Examples
//!
//! ```
//! use counterseal_attestation::{Sha256Digest, UnixSeconds};
//! use counterseal_verify::{Outcome, Request, Trust, pure_rust::PureRust, verify};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let trust = Trust::parse(include_str!("../tests/data/trust.toml"))?;
//! let verdict = verify(
//!     &Request {
//!         evidence: b"",
//!         artifact: Sha256Digest::of(b"an installer"),
//!         artifact_name: Some("installer.deb"),
//!         trust: &trust,
//!         now: UnixSeconds(1_790_000_000),
//!     },
//!     &PureRust,
//! );
//! assert_eq!(verdict.outcome, Outcome::NoConclusion, "no evidence is never verified");
//! # Ok(())
//! # }
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod checks;
pub mod codes;
mod display;
mod evaluate;
mod lines;
mod provenance;
mod provider;
mod public_key;
pub mod pure_rust;
mod replays;
mod seal;
mod trust;
mod verdict;

pub use display::clean;
pub use evaluate::{Request, verify};
pub use provider::{CryptoProvider, P256_POINT_BYTES, SignatureError, p256_point};
pub use public_key::{KeyError, PublicKey};
pub use trust::{Auditor, Builder, PARTIES_MAX, TRUST_BYTES_MAX, Trust, TrustError};
pub use verdict::{Artifact, Check, Outcome, Product, ReplayFinding, SetAside, State, Verdict};
