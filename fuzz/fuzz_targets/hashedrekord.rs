//! A leaf of the record: there is one spelling for each entry.
#![no_main]

use counterseal_attestation::hashedrekord::{leaf, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(entry) = parse(bytes) {
        assert_eq!(
            leaf(&entry.digest, &entry.signature, &entry.spki_der),
            bytes
        );
    }
});
