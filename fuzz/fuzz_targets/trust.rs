//! A trust file: whatever is accepted keeps its bounds and asks for no more than it can get.
#![no_main]

use counterseal_verify::{PARTIES_MAX, Trust};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(trust) = Trust::parse(text) {
        assert!(trust.builders().len() <= PARTIES_MAX);
        assert!(trust.replays_required() <= trust.auditors().len());
    }
});
