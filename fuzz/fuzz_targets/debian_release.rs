//! A `Release` file: the paths in it stay inside.
#![no_main]

use counterseal_attestation::UnixSeconds;
use counterseal_inputs::release::Release;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(release) = Release::parse(text, "bookworm", UnixSeconds(1_700_000_000))
        && let Ok(file) = release.index("main/binary-amd64/Packages")
    {
        for has_by_hash in [false, true] {
            let location = file.location(has_by_hash);
            assert!(
                !location.starts_with('/') && !location.contains("/../"),
                "{location}"
            );
        }
    }
});
