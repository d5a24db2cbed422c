//! A `Sources` index, and a `.dsc` that is held against it.
#![no_main]

use counterseal_inputs::debian_source::SourcePackage;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|texts: (&str, &[u8])| {
    let (index, dsc) = texts;
    if let Ok(Some(package)) = SourcePackage::find(index, "hello", None) {
        let _ = package.check_dsc(dsc);
    }
});
