//! Holds the repository against ARCHITECTURE.md and CONTRIBUTING.md.
//!
//! Rules that are only written down erode; these are the ones that a program can check. Every
//! failure lists all offenders at once and says what to change. What needs judgement (names,
//! comments, the quality of a message) is left to review.

mod code;
mod documents;
mod graph;
mod sources;

/// Fails with `rule` and every finding on a line of its own.
fn expect_none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}\n  {}\n", findings.join("\n  "));
}
