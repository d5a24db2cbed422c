//! An input as a recipe declares it.
#![no_main]

use counterseal_inputs::InputSpec;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = toml::from_str::<InputSpec>(text);
});
