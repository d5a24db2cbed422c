//! Our own archives, read strictly. Packing is left to the property tests: it is thorough, and so
//! too slow to fuzz.
#![no_main]

use std::io;

use counterseal_artifact::tar::Limits;
use counterseal_artifact::tar_zst::Reader;
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
