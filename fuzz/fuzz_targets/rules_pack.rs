//! A rule pack: whatever is accepted can be looked through. The digests that cover every byte are
//! put right first; otherwise nothing behind them would ever be reached.
#![no_main]

use counterseal_attestation::Sha256Digest;
use counterseal_rules::layout::{DIRECTORY_AT, DIRECTORY_ENTRY_BYTES, HEADER_DIGEST_AT, SECTIONS};
use counterseal_rules::{Indicator, Pack};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    look_through(bytes);
    let mut sealed = bytes.to_vec();
    if seal(&mut sealed).is_some() {
        look_through(&sealed);
    }
});

fn look_through(bytes: &[u8]) {
    let Ok(pack) = Pack::parse(bytes) else { return };
    for rule in pack.rules() {
        assert!(pack.rule(rule.id()).is_some());
    }
    if let Ok(indicator) = Indicator::parse("www.bad.example") {
        pack.lookup(&indicator);
    }
}

/// Recomputes the length, the digest of each section and the digest of the header; `None` where
/// the bytes are too short or a section lies outside.
fn seal(bytes: &mut [u8]) -> Option<()> {
    let length = u64::try_from(bytes.len()).ok()?;
    bytes
        .get_mut(24..32)?
        .copy_from_slice(&length.to_le_bytes());
    for section in 0..SECTIONS {
        let entry = DIRECTORY_AT + section * DIRECTORY_ENTRY_BYTES;
        let offset = number(bytes, entry + 8)?;
        let end = offset.checked_add(number(bytes, entry + 16)?)?;
        let digest = Sha256Digest::of(bytes.get(offset..end)?);
        bytes
            .get_mut(entry + 32..entry + 64)?
            .copy_from_slice(digest.as_bytes());
    }
    let digest = Sha256Digest::of(bytes.get(..HEADER_DIGEST_AT)?);
    bytes
        .get_mut(HEADER_DIGEST_AT..HEADER_DIGEST_AT + 32)?
        .copy_from_slice(digest.as_bytes());
    Some(())
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at + 8)?.try_into().ok()?;
    usize::try_from(u64::from_le_bytes(bytes)).ok()
}
