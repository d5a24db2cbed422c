//! What the workspace's own tests share: where the repository is and what belongs to it.
//!
//! The tests themselves are in `tests/tests/`, one folder or file for each subject. Fixtures that
//! a single crate's tests need live in that crate or in `testkit`, not here.

pub mod repository;
