//! A Debian package by anyone, down to the entries of both archives.
#![no_main]

use std::io;

use counterseal_artifact::{deb, tar};
use libfuzzer_sys::fuzz_target;

const LIMITS: deb::Limits = deb::Limits {
    control_bytes_max: 1 << 16,
    data_bytes_max: 1 << 18,
};

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut package) = deb::Reader::open(bytes, LIMITS) else {
        return;
    };
    let mut members = 0;
    while let Ok(Some(member)) = package.next_member() {
        members += 1;
        assert!(members <= 2);
        let mut archive = tar::Reader::new(io::BufReader::new(member), tar::Limits::default());
        while let Ok(Some(_)) = archive.next_entry() {
            let read = io::copy(&mut archive.content(), &mut io::sink());
            assert!(read.unwrap_or(0) <= LIMITS.data_bytes_max);
        }
    }
});
