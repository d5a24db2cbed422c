//! Our own archives, read strictly; the input is also packed as content and read back.
#![no_main]

use std::io::{self, Read};

use counterseal_artifact::tar::Limits;
use counterseal_artifact::tar_zst::{Packer, Reader};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits {
    entries_max: 64,
    file_bytes_max: 1 << 16,
    total_bytes_max: 1 << 18,
};

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    // Behind the compression, where a fuzzer would never get by itself.
    if let Ok(compressed) = compress(bytes) {
        read(&compressed);
    }
    round_trip(bytes);
});

fn read(bytes: &[u8]) {
    let Ok(mut archive) = Reader::new(bytes, LIMITS) else {
        return;
    };
    let mut previous = String::new();
    while let Ok(Some(entry)) = archive.next_entry() {
        assert!(entry.path > previous, "sorted, each path once");
        previous = entry.path;
        let read = io::copy(&mut archive.content(), &mut io::sink());
        assert!(read.unwrap_or(0) <= LIMITS.file_bytes_max);
    }
}

fn compress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    zstd::encode_all(bytes, 1)
}

fn round_trip(content: &[u8]) {
    if content.len() as u64 > LIMITS.file_bytes_max {
        return;
    }
    let mut packer = Packer::new(Vec::new(), 1_700_000_000).expect("memory takes everything");
    packer
        .file("content", content.len() as u64, false, content)
        .expect("memory takes everything");
    let packed = packer.finish().expect("memory takes everything");
    let mut archive = Reader::new(packed.as_slice(), LIMITS).expect("what we pack");
    let entry = archive
        .next_entry()
        .expect("reads back")
        .expect("one entry");
    assert_eq!(entry.path, "content");
    let mut found = Vec::new();
    archive
        .content()
        .read_to_end(&mut found)
        .expect("reads back");
    assert_eq!(found, content);
}
