//! Protocol buffer messages of the Remote Execution API v2, field numbers as published there.
//!
//! Only the fields that this store writes are declared; anything else in an encoded message is
//! lost on decoding, which is how the canonical check of [`crate::tree`] notices it.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Digest {
    #[prost(string, tag = "1")]
    pub(crate) hash: String,
    #[prost(int64, tag = "2")]
    pub(crate) size_bytes: i64,
}

impl From<&crate::Digest> for Digest {
    fn from(digest: &crate::Digest) -> Self {
        Self {
            hash: digest.hash.to_string(),
            // No file system holds more than 2^63 - 1 bytes in one file.
            size_bytes: i64::try_from(digest.size_bytes).unwrap_or(i64::MAX),
        }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FileNode {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) digest: Option<Digest>,
    #[prost(bool, tag = "4")]
    pub(crate) is_executable: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DirectoryNode {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) digest: Option<Digest>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SymlinkNode {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) target: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Directory {
    #[prost(message, repeated, tag = "1")]
    pub(crate) files: Vec<FileNode>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) directories: Vec<DirectoryNode>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) symlinks: Vec<SymlinkNode>,
}

/// `Command.EnvironmentVariable` and `Platform.Property` share this shape.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct NameValue {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Platform {
    #[prost(message, repeated, tag = "1")]
    pub(crate) properties: Vec<NameValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Command {
    #[prost(string, repeated, tag = "1")]
    pub(crate) arguments: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) environment_variables: Vec<NameValue>,
    #[prost(string, tag = "6")]
    pub(crate) working_directory: String,
    #[prost(string, repeated, tag = "7")]
    pub(crate) output_paths: Vec<String>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Duration {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(crate) nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Action {
    #[prost(message, optional, tag = "1")]
    pub(crate) command_digest: Option<Digest>,
    #[prost(message, optional, tag = "2")]
    pub(crate) input_root_digest: Option<Digest>,
    #[prost(message, optional, tag = "6")]
    pub(crate) timeout: Option<Duration>,
    #[prost(bytes = "vec", tag = "9")]
    pub(crate) salt: Vec<u8>,
    #[prost(message, optional, tag = "10")]
    pub(crate) platform: Option<Platform>,
}
