//! A trust file: whatever is accepted has keys that parse and ids that are not empty.
#![no_main]

use counterseal_verify::{PARTIES_MAX, Trust};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(trust) = Trust::parse(text) {
        assert!(trust.builders().len() <= PARTIES_MAX);
        assert!(trust.replays_required() <= trust.auditors().len());
    }
});
