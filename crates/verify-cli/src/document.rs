//! The JSON document. `format` names its version: members may be added within a version, never
//! renamed or removed. Deliberately absent: anything that differs between two runs over the
//! same input (no clock, no durations).

use counterseal_verify::Verdict;
use serde::Serialize;

/// The version of the document.
pub(crate) const FORMAT: &str = "counterseal-verify/1";

/// What `--json` prints: one line.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document<'a> {
    pub(crate) format: &'static str,
    /// Version of the program.
    pub(crate) version: &'static str,
    pub(crate) exit_code: u8,
    /// A failure before any file was looked at.
    pub(crate) error: Option<Failure>,
    pub(crate) files: &'a [FileReport],
}

/// One file of the command line: a verdict or a failure, never both.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FileReport {
    /// As it was named, with U+FFFD for what is not UTF-8; files stand in the order of the command
    /// line.
    pub(crate) file: String,
    pub(crate) exit_code: u8,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) error: Option<Failure>,
}

/// Something that kept a check from being made at all.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Failure {
    /// Stable.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Document<'_> {
    /// The document as one line, without its line feed.
    pub(crate) fn to_line(&self) -> String {
        // Strings, numbers and lists: serde_json has no way to fail on these.
        serde_json::to_string(self).unwrap_or_default()
    }
}
