//! Strict JSON: accepts a part of what the lenient reader accepts, with the same meaning, and its
//! canonical form is a fixed point.
#![no_main]

use counterseal_attestation::json::{Limits, canonical, parse_value};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits {
    bytes_max: 1 << 16,
    depth_max: 16,
};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = parse_value(bytes, LIMITS) {
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(bytes)
                .ok()
                .as_ref(),
            Some(&value)
        );
        if let Ok(text) = canonical(&value) {
            let again = parse_value(&text, LIMITS).expect("canonical text is strict JSON");
            assert_eq!(canonical(&again).as_ref(), Ok(&text));
        }
    }
});
