//! What the workspace's own tests share: where the repository is and what belongs to it.
//!
//! The tests themselves are in `tests/tests/`, one folder for each subject. Fixtures that a single
//! crate's tests need live in that crate, not here.

pub mod repository;
