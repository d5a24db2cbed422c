//! The outside of a pack: header, directory, digests, and where the sections lie.
//!
//! Deliberately absent: what is inside the sections ([`super`]).

use sha2::{Digest, Sha256};

use super::{PackError, malformed};
use crate::layout::{self, SECTIONS};
use crate::limits;

/// Checks the header and gives it back.
pub(super) fn header(bytes: &[u8]) -> Result<&[u8; layout::DIRECTORY_AT], PackError> {
    let found_bytes = bytes.len();
    if found_bytes > limits::PACK_BYTES_MAX {
        return Err(PackError::TooLong {
            found_bytes,
            max_bytes: limits::PACK_BYTES_MAX,
        });
    }
    if !bytes.starts_with(&layout::MAGIC) {
        return Err(PackError::Magic);
    }
    let (Some(header), Some(covered), Some(digest)) = (
        bytes.first_chunk::<{ layout::DIRECTORY_AT }>(),
        bytes.get(..layout::HEADER_DIGEST_AT),
        bytes.get(layout::HEADER_DIGEST_AT..layout::SECTIONS_AT),
    ) else {
        return Err(PackError::Length {
            expected_bytes: layout::SECTIONS_AT as u64,
            found_bytes,
        });
    };
    // The format comes before the digest: another format may well place its digest elsewhere.
    let found = layout::u32_at(header, 8);
    if found != layout::FORMAT {
        return Err(PackError::Format {
            expected: layout::FORMAT,
            found,
        });
    }
    if Sha256::digest(covered).as_slice() != digest {
        return Err(PackError::HeaderDigest);
    }
    let expected_bytes = layout::u64_at(header, 24);
    if expected_bytes != found_bytes as u64 {
        return Err(PackError::Length {
            expected_bytes,
            found_bytes,
        });
    }
    let wrong = |what| PackError::Malformed {
        section: "header",
        record: 0,
        what,
    };
    if layout::u32_at(header, 12) as usize != SECTIONS {
        return Err(wrong("wrong number of sections"));
    }
    if header[40..].iter().any(|byte| *byte != 0) {
        return Err(wrong("reserved bytes are not zero"));
    }
    Ok(header)
}

/// Checks the directory, alignment and digests, and cuts the sections out.
pub(super) fn sections(bytes: &[u8]) -> Result<[&[u8]; SECTIONS], PackError> {
    let mut sections: [&[u8]; SECTIONS] = [&[]; SECTIONS];
    let directory = &bytes[layout::DIRECTORY_AT..layout::HEADER_DIGEST_AT]; // `header` saw the length
    let (entries, _) = directory.as_chunks::<{ layout::DIRECTORY_ENTRY_BYTES }>();
    let mut end = layout::SECTIONS_AT;
    for (index, entry) in entries.iter().enumerate() {
        let wrong = |what| malformed(index, 0, what);
        let record_bytes = layout::RECORD_BYTES[index];
        if layout::u32_at(entry, 0) as usize != index + 1
            || layout::u32_at(entry, 4) as usize != record_bytes
        {
            return Err(wrong("wrong kind or record length"));
        }
        let size = |at| usize::try_from(layout::u64_at(entry, at)).unwrap_or(usize::MAX);
        let (offset, length, count) = (size(8), size(16), size(24));
        if offset != layout::aligned(end) || count.checked_mul(record_bytes) != Some(length) {
            return Err(wrong("wrong place or length"));
        }
        let section = bytes.get(offset..offset.saturating_add(length));
        let section = section.ok_or_else(|| wrong("ends behind the pack"))?;
        if bytes[end..offset].iter().any(|byte| *byte != 0) {
            return Err(wrong("bytes before the section are not zero"));
        }
        if Sha256::digest(section).as_slice() != &entry[32..] {
            return Err(PackError::SectionDigest {
                section: layout::SECTION_NAMES[index],
            });
        }
        end = offset + length;
        sections[index] = section;
    }
    if end == bytes.len() {
        Ok(sections)
    } else {
        Err(malformed(SECTIONS - 1, 0, "bytes behind"))
    }
}
