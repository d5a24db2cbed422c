//! What a launch leaves beside its outputs, as canonical JSON: how it ended, how each step was
//! isolated, what it opened. Times of the real clock are absent, so that the same action leaves the
//! same result.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use counterseal_attestation::Sha256Digest;
use counterseal_attestation::provenance::GuaranteeState;
use counterseal_sandbox::{Captured, Exit, Outcome};
use serde::Serialize;

/// The result of a launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LaunchResult {
    /// [`FORMAT`](crate::FORMAT).
    pub format: u64,
    /// How it ended.
    pub outcome: Ending,
    /// The launcher's own error, if it ended with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// The steps that came to an end of their own, in order.
    pub steps: Vec<Taken>,
    /// What was delivered, in the order of the description.
    pub outputs: Vec<Delivered>,
}

/// How a launch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Every step succeeded and every output is there.
    Success,
    /// The last step listed failed; the exit code is its own.
    StepFailed,
    /// The launcher could not run the steps or take the outputs; the exit code is the launcher's.
    Refused,
}

/// One step that came to an end of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    /// The step.
    pub name: String,
    /// How it ended.
    pub exit: Exit,
    /// Standard output.
    pub stdout: Stream,
    /// Standard error.
    pub stderr: Stream,
    /// The state of each guarantee, by its name.
    pub isolation: BTreeMap<String, GuaranteeState>,
    /// Absolute paths that it opened for reading or executed, sorted; bytes that are not UTF-8
    /// (and `%` itself) are written as `%` and two hexadecimal digits.
    pub opened: Vec<String>,
}

/// What a step printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stream {
    /// Digest of all of it.
    pub sha256: Sha256Digest,
    /// Its length, in bytes.
    pub size_bytes: u64,
}

/// One delivered output.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivered {
    /// Where it is, below `outputs`.
    pub to: String,
    /// Each file of the tree by its path in it; a file that is no tree has an empty path.
    pub files: BTreeMap<String, File>,
    /// Targets of the tree's symbolic links, by their path in it.
    pub links: BTreeMap<String, String>,
    /// The tree's directories, itself left out.
    pub directories: Vec<String>,
}

/// One delivered file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// Digest of its content.
    pub sha256: Sha256Digest,
    /// Its length, in bytes.
    pub size_bytes: u64,
    /// Whether it can be executed.
    pub executable: bool,
}

impl Taken {
    pub(crate) fn new(name: &str, outcome: &Outcome) -> Self {
        let isolation = outcome.isolation.iter();
        Self {
            name: name.to_owned(),
            exit: outcome.exit,
            stdout: Stream::from(&outcome.stdout),
            stderr: Stream::from(&outcome.stderr),
            isolation: isolation
                .map(|(guarantee, (state, mechanism))| {
                    let state = GuaranteeState {
                        state: (*state).into(),
                        mechanism: mechanism.clone(),
                    };
                    (guarantee.name().to_owned(), state)
                })
                .collect(),
            opened: outcome.opened.iter().map(|path| text(path)).collect(),
        }
    }
}

impl From<&Captured> for Stream {
    fn from(captured: &Captured) -> Self {
        Self {
            sha256: captured.sha256,
            size_bytes: captured.size_bytes,
        }
    }
}

/// Bytes as text that can be turned back.
fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(&chunk.valid().replace('%', "%25"));
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn paths_that_are_no_text_can_be_told_apart() {
        assert_eq!(text("/usr/ä b".as_bytes()), "/usr/ä b");
        assert_eq!(text(b"/a\xffb%"), "/a%ffb%25");
        assert_ne!(text(b"\xff"), text(b"%ff"));
    }
}
