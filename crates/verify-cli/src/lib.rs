//! Verifying files from the command line: the `counterseal-verify` program, and the `verify` verb
//! of the big one. Both take [`VerifyArgs`] and call [`execute`]; where there are no arguments to
//! take, [`explain`] says why.
//!
//! The artifact is streamed once, through one open handle; the evidence is the file beside it
//! with `.sigstore.jsonl` appended. Verdicts go to standard output, what kept one from being made to
//! standard error; with `--json` all of it goes to standard output, as one versioned document.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | every file is verified |
//! | 1 | checked, and false |
//! | 2 | usage, a file that cannot be read, or a result that cannot be written |
//! | 3 | no conclusion: no evidence, an expired trust file, a check that could not be made |
//! | 70 | a fault in this program |
//!
//! With several files the worst decides, in the order 70, 1, 2, 3, 0. No evidence is never 0,
//! and neither is no file.
//!
//! Deliberately absent: the network, by construction (nothing in the dependency tree opens a
//! socket), any judgement (that is `counterseal-verify`, the library), writing anything.

mod args;
mod document;
mod environment;
mod fault;
mod files;
pub mod native_provider;
mod run;
mod text;

pub use args::VerifyArgs;
pub use fault::install_fault_handler;
pub use files::open_regular;
pub use run::{execute, explain};
