//! Actions and commands in the Remote Execution API's form, and their digests.
//!
//! Source: REAPI v2 (`build.bazel.remote.execution.v2`), messages `Action`, `Command`,
//! `Platform`, and `google.protobuf.Duration`. An action's digest is the SHA-256 of its encoded
//! message, so what a local run is keyed by is what a remote engine would be asked for.
//!
//! Encoding is canonical by construction: variables, platform properties and output paths live in
//! ordered collections, fields are written in ascending order of their numbers, and default values
//! are left out. Absent on purpose: decoding (nobody sends us actions), the flag not to cache, the
//! deprecated output lists, node properties.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use prost::Message;

use crate::Digest;
use crate::wire;

/// The longest time-out that `google.protobuf.Duration` may carry, in seconds (10,000 years).
const TIMEOUT_SECONDS_MAX: u64 = 315_576_000_000;

/// What is run: REAPI message `Command`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    /// The program and its arguments.
    pub arguments: Vec<String>,
    /// The whole environment.
    pub environment: BTreeMap<String, String>,
    /// Relative to the input root; empty means the root itself.
    pub working_directory: String,
    /// Relative to the working directory.
    pub output_paths: BTreeSet<String>,
}

impl Command {
    /// The message's canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        wire::Command {
            arguments: self.arguments.clone(),
            environment_variables: self
                .environment
                .iter()
                .map(|(name, value)| wire::NameValue {
                    name: name.clone(),
                    value: value.clone(),
                })
                .collect(),
            working_directory: self.working_directory.clone(),
            output_paths: self.output_paths.iter().cloned().collect(),
        }
        .encode_to_vec()
    }

    /// SHA-256 and size of [`Command::encode`].
    pub fn digest(&self) -> Digest {
        Digest::of(&self.encode())
    }
}

/// A command together with everything that it can see: REAPI message `Action`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Digest of the [`Command`].
    pub command: Digest,
    /// Digest of the root directory's `Directory` message.
    pub input_root: Digest,
    /// Wall-time limit; more than 10,000 years are encoded as that.
    pub timeout: Option<Duration>,
    /// Sets otherwise equal actions apart.
    pub salt: Vec<u8>,
    /// What the executing machine must offer.
    pub platform: BTreeMap<String, String>,
}

impl Action {
    /// An action without time-out, salt or platform demands.
    pub fn new(command: Digest, input_root: Digest) -> Self {
        Self {
            command,
            input_root,
            timeout: None,
            salt: Vec::new(),
            platform: BTreeMap::new(),
        }
    }

    /// The message's canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let platform = (!self.platform.is_empty()).then(|| wire::Platform {
            properties: self
                .platform
                .iter()
                .map(|(name, value)| wire::NameValue {
                    name: name.clone(),
                    value: value.clone(),
                })
                .collect(),
        });
        wire::Action {
            command_digest: Some((&self.command).into()),
            input_root_digest: Some((&self.input_root).into()),
            timeout: self.timeout.map(wire_duration),
            salt: self.salt.clone(),
            platform,
        }
        .encode_to_vec()
    }

    /// SHA-256 and size of [`Action::encode`].
    pub fn digest(&self) -> Digest {
        Digest::of(&self.encode())
    }
}

fn wire_duration(timeout: Duration) -> wire::Duration {
    let bounded = timeout.min(Duration::from_secs(TIMEOUT_SECONDS_MAX));
    wire::Duration {
        // Both casts are exact: the seconds are bounded above, nanoseconds stay below 10^9.
        seconds: i64::try_from(bounded.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(bounded.subsec_nanos()).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Field by field, as protoc's `--encode` would write it.
    #[test]
    fn command_bytes_are_those_of_the_specification() {
        let command = Command {
            arguments: vec!["/bin/true".into(), String::new()],
            environment: [("B".into(), "2".into()), ("A".into(), String::new())].into(),
            working_directory: "src".into(),
            output_paths: ["z".into(), "a".into()].into(),
        };
        let expected = [
            b"\x0a\x09/bin/true\x0a\x00".as_slice(), // arguments = 1, the empty one included
            b"\x12\x03\x0a\x01A\x12\x06\x0a\x01B\x12\x012", // environment_variables = 2, sorted
            b"\x32\x03src",                          // working_directory = 6
            b"\x3a\x01a\x3a\x01z",                   // output_paths = 7, sorted
        ]
        .concat();
        assert_eq!(command.encode(), expected);
        assert_eq!(command.digest(), Digest::of(&expected));
    }

    #[test]
    fn action_bytes_are_those_of_the_specification() {
        let empty = Digest::of(b"");
        let mut action = Action::new(empty, Digest::of(b"abc"));
        action.timeout = Some(Duration::new(60, 5));
        action.salt = b"s".to_vec();
        action.platform.insert("os".into(), "linux".into());
        let digest_field = |digest: &Digest| {
            let mut field = b"\x0a\x40".to_vec();
            field.extend_from_slice(digest.hash.to_string().as_bytes());
            if digest.size_bytes != 0 {
                field.push(0x10);
                field.push(u8::try_from(digest.size_bytes).unwrap());
            }
            field
        };
        let expected = [
            b"\x0a\x42".to_vec(), // command_digest = 1: size 0 is left out
            digest_field(&empty),
            b"\x12\x44".to_vec(), // input_root_digest = 2
            digest_field(&Digest::of(b"abc")),
            b"\x32\x04\x08\x3c\x10\x05".to_vec(), // timeout = 6
            b"\x4a\x01s".to_vec(),                // salt = 9
            b"\x52\x0d\x0a\x0b\x0a\x02os\x12\x05linux".to_vec(), // platform = 10
        ]
        .concat();
        assert_eq!(action.encode(), expected);
    }

    #[test]
    fn each_part_of_an_action_counts() {
        let base = Action::new(Digest::of(b"c"), Digest::of(b"r"));
        let variants = [
            Action {
                command: Digest::of(b"C"),
                ..base.clone()
            },
            Action {
                input_root: Digest::of(b"R"),
                ..base.clone()
            },
            Action {
                timeout: Some(Duration::ZERO),
                ..base.clone()
            },
            Action {
                timeout: Some(Duration::MAX),
                ..base.clone()
            },
            Action {
                salt: vec![0],
                ..base.clone()
            },
            Action {
                platform: [("a".into(), "b".into())].into(),
                ..base.clone()
            },
        ];
        let mut digests: BTreeSet<Digest> = variants.iter().map(Action::digest).collect();
        digests.insert(base.digest());
        assert_eq!(digests.len(), variants.len() + 1);
    }
}
