//! Paragraphs of fields: everything found is a part of the text.
#![no_main]

use counterseal_inputs::deb822::{paragraphs, single};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for paragraph in paragraphs(text).flatten() {
        for name in ["Package", "Version", "Depends", "SHA256"] {
            if let Some(value) = paragraph.field(name) {
                assert!(text.contains(value));
            }
            paragraph
                .lines(name)
                .for_each(|line| assert!(text.contains(line)));
        }
    }
    let _ = single(text);
});
