//! Tiles and entry bundles: the first byte is the width, the rest the content.
#![no_main]

use counterseal_tlog::tile::{Tile, decode_entries, encode_entries, encode_tile};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((width, content)) = input.split_first() else {
        return;
    };
    let width = u16::from(*width) + 1;
    if let Ok(entries) = decode_entries(content, width) {
        assert_eq!(entries.len(), usize::from(width));
        assert_eq!(encode_entries(&entries).as_deref(), Ok(content));
    }
    if let Ok(tile) = Tile::parse(content, width) {
        assert_eq!(encode_tile(tile.hashes()), content);
    }
});
