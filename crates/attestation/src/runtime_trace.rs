//! What a build was seen to open: in-toto's runtime trace v0.1
//! (<https://github.com/in-toto/attestation/blob/main/spec/predicates/runtime-trace.md>), with one
//! field of ours that counts by input. `attestations/assembly-v1.md` explains both.
//!
//! A trace is not signed: the provenance of the same build, which is, names its digest. Deliberately
//! absent: processes and network (there is none), and times, so that the same build leaves the
//! same trace.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::json::{self, Limits};
use crate::statement::{Predicate, ResourceDescriptor, Statement, StatementError};

/// The predicate type.
pub const PREDICATE_TYPE: &str = "https://in-toto.io/attestation/runtime-trace/v0.1";

/// `monitor.type`: the sandbox, which sees the path of every file that is opened or executed.
pub const MONITOR_TYPE: &str = "https://counterseal.dev/attestations/assembly/v1#runtime-trace";

/// What the trace beside an artifact is called: the artifact's name with this appended.
pub const TRACE_SUFFIX: &str = ".runtime-trace.json";

/// What a trace may cost: 64 MiB, more than a payload, because it names every file.
pub const TRACE_LIMITS: Limits = Limits {
    bytes_max: 64 << 20,
    depth_max: 16,
};

/// The predicate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeTrace {
    /// Who watched.
    pub monitor: Monitor,
    /// What was watched.
    pub monitored_process: MonitoredProcess,
    /// What was seen.
    pub monitor_log: MonitorLog,
    /// Every declared input, in the order of the provenance's dependencies, with counts.
    #[serde(rename = "counterseal_inputs", default)]
    pub inputs: Vec<InputUse>,
}

impl Predicate for RuntimeTrace {
    const TYPE: &'static str = PREDICATE_TYPE;
}

/// Who watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Monitor {
    /// [`MONITOR_TYPE`].
    #[serde(rename = "type")]
    pub type_: String,
}

/// What was watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitoredProcess {
    /// The provenance's `builder.id`.
    #[serde(rename = "hostID")]
    pub host_id: String,
    /// The provenance's build type.
    #[serde(rename = "type")]
    pub type_: String,
    /// `sha256:` and the digest of the last step's action, which stands for the whole assembly.
    pub event: String,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MonitorLog {
    /// Every file of the declared inputs that was opened, by its path in the root.
    pub file_access: Vec<ResourceDescriptor>,
}

/// How much of one declared input was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InputUse {
    /// The item's name, as in the provenance's dependencies.
    pub name: String,
    /// Its package URL; the recipe, whose own files are an input, too, has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Files that it brings into the root.
    pub files_declared: u64,
    /// How many of them were opened.
    pub files_opened: u64,
    /// How many of its symbolic links led to an opened file, of this or another input.
    pub links_followed: u64,
}

impl Statement<RuntimeTrace> {
    /// The canonical bytes, which the provenance names by digest.
    ///
    /// # Errors
    /// More than [`TRACE_LIMITS`], no subject.
    pub fn to_document(&self) -> Result<Vec<u8>, StatementError> {
        self.check()?;
        let document = json::canonical(self)?;
        if document.len() > TRACE_LIMITS.bytes_max {
            return Err(StatementError::Json(json::JsonError::TooLarge {
                bytes_max: TRACE_LIMITS.bytes_max,
                found_bytes: document.len(),
            }));
        }
        Ok(document)
    }

    /// Reads a trace.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn of_document(document: &[u8]) -> Result<Self, StatementError> {
        let statement: Statement<serde_json::Value> = json::parse(document, TRACE_LIMITS)?;
        statement.check()?;
        statement.typed()
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned;
    use alloc::vec;

    use super::*;
    use crate::Sha256Digest;
    use crate::statement::{DigestSet, Subject};

    fn trace() -> Statement<RuntimeTrace> {
        let digest = DigestSet::from_sha256(Sha256Digest::of(b"x"));
        let subject = Subject {
            name: "artifact".to_owned(),
            digest: digest.clone(),
        };
        let predicate = RuntimeTrace {
            monitor: Monitor {
                type_: MONITOR_TYPE.to_owned(),
            },
            monitored_process: MonitoredProcess {
                host_id: "https://builder.example".to_owned(),
                type_: crate::provenance::BUILD_TYPE.to_owned(),
                event: "sha256:00".to_owned(),
            },
            monitor_log: MonitorLog {
                file_access: vec![ResourceDescriptor {
                    name: Some("bin/sh".to_owned()),
                    digest: Some(digest),
                    ..ResourceDescriptor::default()
                }],
            },
            inputs: vec![InputUse {
                name: "shell.deb".to_owned(),
                uri: Some("pkg:deb/debian/dash@1".to_owned()),
                files_declared: 2,
                files_opened: 1,
                links_followed: 1,
            }],
        };
        Statement::new(vec![subject], predicate)
    }

    #[test]
    fn what_is_written_is_read() {
        let document = trace().to_document().unwrap();
        assert_eq!(Statement::of_document(&document), Ok(trace()));
    }

    #[test]
    fn another_predicate_is_refused() {
        let mut other = trace();
        other.predicate_type = "https://in-toto.io/attestation/runtime-trace/v9".to_owned();
        let document = other.to_document().unwrap();
        assert!(matches!(
            Statement::<RuntimeTrace>::of_document(&document),
            Err(StatementError::PredicateType { .. })
        ));
    }

    #[test]
    fn a_trace_without_our_field_is_a_trace() {
        let document = trace().to_document().unwrap();
        let mut value: serde_json::Value = serde_json::from_slice(&document).unwrap();
        value["predicate"]
            .as_object_mut()
            .unwrap()
            .remove("counterseal_inputs");
        let document = serde_json::to_vec(&value).unwrap();
        let read = Statement::<RuntimeTrace>::of_document(&document).unwrap();
        assert_eq!(read.predicate.inputs, []);
    }
}
