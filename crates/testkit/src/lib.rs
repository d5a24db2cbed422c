//! Fixtures for the other crates' tests; a dev-dependency only.
//!
//! The program `probe` (`src/bin/probe.rs`) is the hostile and curious step: statically
//! built, it is the only content of a test's root.
