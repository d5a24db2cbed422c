//! A `Packages` index, and the closure of what it holds.
#![no_main]

use counterseal_inputs::packages::PackageIndex;
use counterseal_inputs::resolver::closure;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(index) = PackageIndex::parse(text, "amd64") {
        for name in ["a", "b", "hello", "libc6"] {
            let _ = closure(&index, &[name.to_string()]);
        }
    }
});
