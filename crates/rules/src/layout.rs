//! The pack, format version 1: what stands at which byte.
//!
//! All numbers are little endian. A pack is a header, a directory, the header digest and the
//! sections, nothing before, between or after but zero bytes that align each section to 8.
//!
//! ```text
//!   0  magic "CSRULES\0"
//!   8  u32 format version, 1
//!  12  u32 number of sections, 7
//!  16  u64 build epoch: Unix seconds, from SOURCE_DATE_EPOCH
//!  24  u64 length of the whole pack in bytes
//!  32  string reference: product version
//!  40  24 zero bytes
//!  64  7 × 64 directory: u32 kind, u32 record length, u64 offset, u64 length, u64 number of records,
//!                        SHA-256 of the section's bytes
//! 512  SHA-256 of the bytes 0 … 511
//! 544  sections, in the order of the directory
//! ```
//!
//! | kind | section | record | sorted by |
//! |---|---|---|---|
//! | 1 | strings | UTF-8, every string once, no separators (record length 1) | bytes |
//! | 2 | rules | 48: id, title, u32 revision, u8 severity, u8 condition, u16 0, then (u32 first, u32 number) of tags, of references, of patterns | id |
//! | 3 | labels | 8: string; a rule's tags, then its references | rule |
//! | 4 | patterns | 16: u32 offset of the value, u32 length, u32 anchor, u8 form, u8 anchored, u16 0 | rule |
//! | 5 | pattern bytes | value and, behind it, mask of each pattern (record length 1) | pattern |
//! | 6 | file digests | 36: SHA-256, u32 rule | digest |
//! | 7 | domain names | 12: string, u32 rule | name |
//!
//! A string reference is u32 offset and u32 length in section 1. Rules are numbered by their place
//! in section 2. Severities count from 1 (informational) to 5 (critical); conditions are 1 all,
//! 2 any; forms are 1 bytes, 2 text, 3 text in either case. Sections 2, 6 and 7 are binary-searched.
//!
//! Why digests in two levels: the header digest vouches for the section digests and so for every
//! byte, and an update that carries only changed sections can be put together and checked against
//! the same digests without hashing what did not change. The pack as a whole is attested by the
//! SHA-256 of its bytes, like any artifact.
//!
//! Deliberately absent: floating-point numbers, compression, pointers, optional sections. A change
//! of any of this takes a new format version.

use crate::rule::{Condition, PatternForm, Severity};

/// First bytes of every pack.
pub const MAGIC: [u8; 8] = *b"CSRULES\0";
/// The version of this layout.
pub const FORMAT: u32 = 1;
/// Where the directory begins, in bytes.
pub const DIRECTORY_AT: usize = 64;
/// Length of one directory entry, in bytes.
pub const DIRECTORY_ENTRY_BYTES: usize = 64;
/// Number of sections.
pub const SECTIONS: usize = SECTIONS_FIELD as usize;
const SECTIONS_FIELD: u32 = 7;
/// Where the header digest begins, in bytes.
pub const HEADER_DIGEST_AT: usize = DIRECTORY_AT + SECTIONS * DIRECTORY_ENTRY_BYTES;
/// Where the first section begins, in bytes.
pub const SECTIONS_AT: usize = HEADER_DIGEST_AT + 32;
/// Sections begin at multiples of this.
const ALIGNMENT_BYTES: usize = 8;
/// Record length of each section, in bytes, in the order of kinds 1 … 7.
pub const RECORD_BYTES: [usize; SECTIONS] = [
    1,
    RULE_RECORD_BYTES,
    LABEL_RECORD_BYTES,
    PATTERN_RECORD_BYTES,
    1,
    SHA256_RECORD_BYTES,
    DOMAIN_RECORD_BYTES,
];
/// Names of the sections for messages, in the order of kinds.
pub(crate) const SECTION_NAMES: [&str; SECTIONS] = [
    "strings",
    "rules",
    "labels",
    "patterns",
    "pattern bytes",
    "file digests",
    "domain names",
];

pub(crate) const RULE_RECORD_BYTES: usize = 48;
pub(crate) const LABEL_RECORD_BYTES: usize = 8;
pub(crate) const PATTERN_RECORD_BYTES: usize = 16;
pub(crate) const SHA256_RECORD_BYTES: usize = 36;
pub(crate) const DOMAIN_RECORD_BYTES: usize = 12;

/// A run of things: bytes of the string section, or records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: u32,
    pub(crate) count: u32,
}

impl Span {
    /// As a range of indices; on a 32-bit machine the end saturates and the range is out of bounds.
    pub(crate) fn range(self) -> std::ops::Range<usize> {
        let first = usize::try_from(self.first).unwrap_or(usize::MAX);
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        first..first.saturating_add(count)
    }

    pub(crate) fn encode(self) -> [u8; 8] {
        (u64::from(self.first) | u64::from(self.count) << 32).to_le_bytes()
    }

    /// Reads the span at `at`; `at + 8` must lie within `N`.
    pub(crate) fn decode<const N: usize>(record: &[u8; N], at: usize) -> Self {
        Self {
            first: u32_at(record, at),
            count: u32_at(record, at + 4),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub(crate) build_epoch: u64,
    pub(crate) pack_bytes: u64,
    pub(crate) version: Span,
}

impl Header {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(FORMAT.to_le_bytes());
        bytes.extend(SECTIONS_FIELD.to_le_bytes());
        bytes.extend(self.build_epoch.to_le_bytes());
        bytes.extend(self.pack_bytes.to_le_bytes());
        bytes.extend(self.version.encode());
        bytes.resize(DIRECTORY_AT, 0);
        bytes
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct RuleRecord {
    pub(crate) id: Span,
    pub(crate) title: Span,
    pub(crate) revision: u32,
    pub(crate) severity: Severity,
    pub(crate) condition: Condition,
    pub(crate) tags: Span,
    pub(crate) references: Span,
    pub(crate) patterns: Span,
}

impl RuleRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(RULE_RECORD_BYTES);
        bytes.extend(self.id.encode());
        bytes.extend(self.title.encode());
        bytes.extend(self.revision.to_le_bytes());
        bytes.extend([self.severity as u8 + 1, self.condition as u8 + 1, 0, 0]);
        bytes.extend(self.tags.encode());
        bytes.extend(self.references.encode());
        bytes.extend(self.patterns.encode());
        bytes
    }

    /// `None` when a code is unknown or the reserved bytes are not zero.
    pub(crate) fn decode(record: &[u8; RULE_RECORD_BYTES]) -> Option<Self> {
        let severity = usize::from(record[20]).checked_sub(1)?;
        let condition = match record[21] {
            1 => Condition::All,
            2 => Condition::Any,
            _ => return None,
        };
        if record[22] != 0 || record[23] != 0 {
            return None;
        }
        Some(Self {
            id: Span::decode(record, 0),
            title: Span::decode(record, 8),
            revision: u32_at(record, 16),
            severity: *Severity::ALL.get(severity)?,
            condition,
            tags: Span::decode(record, 24),
            references: Span::decode(record, 32),
            patterns: Span::decode(record, 40),
        })
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct PatternRecord {
    pub(crate) value: Span,
    pub(crate) offset_bytes: Option<u32>,
    pub(crate) form: PatternForm,
}

impl PatternRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.value.encode().to_vec();
        bytes.extend(self.offset_bytes.unwrap_or(0).to_le_bytes());
        bytes.extend([
            self.form as u8 + 1,
            u8::from(self.offset_bytes.is_some()),
            0,
            0,
        ]);
        bytes
    }

    /// `None` when a code is unknown or a byte without meaning is not zero.
    pub(crate) fn decode(record: &[u8; PATTERN_RECORD_BYTES]) -> Option<Self> {
        let form = match record[12] {
            1 => PatternForm::Bytes,
            2 => PatternForm::Text,
            3 => PatternForm::TextAnyCase,
            _ => return None,
        };
        let offset_bytes = match (record[13], u32_at(record, 8)) {
            (0, 0) => None,
            (1, offset) => Some(offset),
            _ => return None,
        };
        if record[14] != 0 || record[15] != 0 {
            return None;
        }
        Some(Self {
            value: Span::decode(record, 0),
            offset_bytes,
            form,
        })
    }
}

pub(crate) fn domain_record(name: Span, rule: u32) -> [u8; DOMAIN_RECORD_BYTES] {
    let mut record = [0; DOMAIN_RECORD_BYTES];
    record[..8].copy_from_slice(&name.encode());
    record[8..].copy_from_slice(&rule.to_le_bytes());
    record
}

pub(crate) fn sha256_record(digest: &[u8; 32], rule: u32) -> [u8; SHA256_RECORD_BYTES] {
    let mut record = [0; SHA256_RECORD_BYTES];
    record[..32].copy_from_slice(digest);
    record[32..].copy_from_slice(&rule.to_le_bytes());
    record
}

/// Reads the number at `at`; `at + 4` must lie within `N`.
pub(crate) fn u32_at<const N: usize>(record: &[u8; N], at: usize) -> u32 {
    u32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]])
}

/// Reads the number at `at`; `at + 8` must lie within `N`.
pub(crate) fn u64_at<const N: usize>(record: &[u8; N], at: usize) -> u64 {
    u64::from(u32_at(record, at)) | u64::from(u32_at(record, at + 4)) << 32
}

/// The next multiple of [`ALIGNMENT_BYTES`].
pub(crate) fn aligned(offset: usize) -> usize {
    offset.next_multiple_of(ALIGNMENT_BYTES)
}
