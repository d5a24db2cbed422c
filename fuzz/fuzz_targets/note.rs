//! A signed note: one spelling for what was read; nothing opens without a known key.
#![no_main]

use counterseal_tlog::note::{Note, NoteVerifier, open};
use libfuzzer_sys::fuzz_target;

struct Nobody;

impl NoteVerifier for Nobody {
    fn name(&self) -> &str {
        "zurich.record.example"
    }

    fn key_id(&self) -> u32 {
        0x6162_6364
    }

    fn verify(&self, _text: &[u8], _signature: &[u8]) -> bool {
        false
    }
}

fuzz_target!(|text: &str| {
    if let Ok(note) = Note::parse(text) {
        assert_eq!(note.to_text(), text);
    }
    assert!(open(text, &[&Nobody]).is_err());
});
