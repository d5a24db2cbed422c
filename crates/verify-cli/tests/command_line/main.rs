//! The program `counterseal-verify` as a person meets it: exit codes, what stands on which
//! stream, and where it looks for things.

#[path = "../../../verify/tests/fixture/mod.rs"]
mod fixture;

mod desk;
mod inputs;
mod output;
mod verdicts;
