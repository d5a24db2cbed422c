//! A tar archive by anyone: paths stay inside, bounds hold.
#![no_main]

use std::io;

use counterseal_artifact::tar::{Limits, Reader};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits {
    entries_max: 64,
    file_bytes_max: 1 << 16,
    total_bytes_max: 1 << 18,
};

fuzz_target!(|bytes: &[u8]| {
    let mut archive = Reader::new(bytes, LIMITS);
    let mut entries = 0;
    while let Ok(Some(entry)) = archive.next_entry() {
        entries += 1;
        assert!(entries <= LIMITS.entries_max);
        assert!(!entry.path.starts_with('/'), "{}", entry.path);
        assert!(
            entry.path.split('/').all(|part| part != ".."),
            "{}",
            entry.path
        );
        let read = io::copy(&mut archive.content(), &mut io::sink());
        assert!(read.unwrap_or(0) <= LIMITS.file_bytes_max);
    }
});
