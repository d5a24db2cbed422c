//! Names of tiles and entry bundles: one spelling each.
#![no_main]

use counterseal_tlog::tile::{EntriesPath, TilePath};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(path) = TilePath::parse(text) {
        assert_eq!(path.to_path(), text);
    }
    if let Ok(path) = EntriesPath::parse(text) {
        assert_eq!(path.to_path(), text);
    }
});
