//! A bundle: what is read can be written, and reads as the same again.
#![no_main]

use counterseal_attestation::bundle::Bundle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(bundle) = Bundle::parse(bytes) {
        let line = bundle.to_line();
        assert!(!line.contains('\n'));
        assert_eq!(Bundle::parse(line.as_bytes()).as_ref(), Ok(&bundle));
    }
});
