//! Journeys through the whole, with the built programs: one for each persona, then hostile steps
//! and inputs, sudden ends, full disks, identical bytes, and the examples in `attestations/`.
//!
//! Everything runs on a bench of its own (`harness`), in parallel, without a network, as root or
//! as an ordinary user. A check that cannot run on this machine prints `skipped:` and why.

mod anew;
mod auditor;
mod builder;
mod customer;
mod examples;
mod full_disk;
mod harness;
mod hostile_evidence;
mod hostile_recipes;
mod hostile_records;
mod hostile_steps;
mod hostile_texts;
mod interrupted;
mod opened;
mod operator;
mod same_bytes;
mod variation;
