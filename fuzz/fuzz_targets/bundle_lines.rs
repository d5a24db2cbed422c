//! A file of bundles: every line is a part of the file, none has a line feed or is blank.
#![no_main]

use counterseal_attestation::bundle::{LINES_MAX, split_lines};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(lines) = split_lines(bytes) {
        assert!(lines.len() <= LINES_MAX);
        for line in lines {
            assert!(!line.trim_ascii().is_empty());
            assert!(!line.contains(&b'\n'));
        }
    }
});
