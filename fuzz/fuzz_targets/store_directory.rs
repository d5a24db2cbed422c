//! A Remote Execution API directory: one encoding.
#![no_main]

use counterseal_store::tree::Directory;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(directory) = Directory::decode(bytes) {
        assert_eq!(directory.encode().as_deref().ok(), Some(bytes));
    }
});
