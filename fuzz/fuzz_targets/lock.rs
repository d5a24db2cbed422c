//! A lock: what is read is written as the same text that reads the same.
#![no_main]

use counterseal_inputs::Lock;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(lock) = Lock::parse(text) {
        let written = lock.to_toml();
        let again = Lock::parse(&written).expect("what we write is a lock");
        assert_eq!(again.to_toml(), written);
    }
});
