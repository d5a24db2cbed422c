//! Where two files begin to differ.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use counterseal_attestation::Sha256Digest;
use counterseal_store::{Digest, open_regular};

/// Offset of the first byte in which the vendor's file and the rebuild differ; the length of the
/// shorter one if it is a prefix of the other. `None` when the file at `original` cannot be read
/// or is not the one that the provenance is about.
pub(crate) fn first_difference(
    original: &Path,
    expected: &Sha256Digest,
    rebuilt: File,
) -> Option<u64> {
    let mut original = open_regular(original).ok()?;
    let found = Digest::of_reader(&mut original).ok()?;
    if found.hash != *expected {
        return None;
    }
    original.rewind().ok()?;
    let original = BufReader::new(original).bytes();
    let mut rebuilt = BufReader::new(rebuilt).bytes();
    let mut offset = 0;
    for byte in original {
        match (byte.ok()?, rebuilt.next().transpose().ok()?) {
            (ours, Some(theirs)) if ours == theirs => offset += 1,
            _ => return Some(offset),
        }
    }
    rebuilt.next().is_some().then_some(offset)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn offset(original: &[u8], rebuilt: &[u8]) -> Option<u64> {
        let mut first = tempfile::NamedTempFile::new().unwrap();
        first.write_all(original).unwrap();
        let mut second = tempfile::tempfile().unwrap();
        second.write_all(rebuilt).unwrap();
        second.rewind().unwrap();
        first_difference(first.path(), &Sha256Digest::of(original), second)
    }

    #[test]
    fn first_difference_is_found() {
        assert_eq!(offset(b"abc", b"abd"), Some(2));
        assert_eq!(offset(b"abc", b"ab"), Some(2));
        assert_eq!(offset(b"ab", b"abc"), Some(2));
        assert_eq!(offset(b"", b"a"), Some(0));
        assert_eq!(offset(b"same", b"same"), None);
    }

    #[test]
    fn another_file_than_the_original_tells_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let original = directory.path().join("original");
        let first = || {
            let rebuilt = File::open(directory.path().join("rebuilt")).unwrap();
            first_difference(&original, &Sha256Digest::of(b"abc"), rebuilt)
        };
        std::fs::write(directory.path().join("rebuilt"), b"abd").unwrap();
        assert_eq!(first(), None);
        let pipe = std::process::Command::new("mkfifo").arg(&original).status();
        if pipe.is_ok_and(|status| status.success()) {
            assert_eq!(first(), None);
            std::fs::remove_file(&original).unwrap();
        }
        std::fs::write(&original, b"xbc").unwrap();
        assert_eq!(first(), None);
        std::fs::write(&original, b"abc").unwrap();
        assert_eq!(first(), Some(2));
    }
}
