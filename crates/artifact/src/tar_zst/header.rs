//! Header blocks as POSIX ustar defines them, preceded by a pax header where ustar is too small.

use crate::tar::{BLOCK_BYTES, padding_bytes};

/// Stands in the plain header when the real path or target is in the pax header.
const PLACEHOLDER: &str = "see-pax-header";

pub(super) fn directory(path: &str, mtime_unix_seconds: u64) -> Vec<u8> {
    encode(b'5', &format!("{path}/"), "", 0o755, 0, mtime_unix_seconds)
}

pub(super) fn symlink(path: &str, target: &str, mtime_unix_seconds: u64) -> Vec<u8> {
    encode(b'2', path, target, 0o777, 0, mtime_unix_seconds)
}

pub(super) fn file(
    path: &str,
    size_bytes: u64,
    executable: bool,
    mtime_unix_seconds: u64,
) -> Vec<u8> {
    let mode = if executable { 0o755 } else { 0o644 };
    encode(b'0', path, "", mode, size_bytes, mtime_unix_seconds)
}

/// What fills the last block of a file's content.
pub(super) fn padding(size_bytes: u64) -> Vec<u8> {
    // Fewer bytes than a block has.
    vec![0; usize::try_from(padding_bytes(size_bytes)).unwrap_or(0)]
}

fn encode(
    type_flag: u8,
    path: &str,
    target: &str,
    mode: u32,
    size_bytes: u64,
    mtime_unix_seconds: u64,
) -> Vec<u8> {
    // In the order of their keys.
    let mut records = Vec::new();
    let mut plain_target = target;
    if target.len() > 100 || !target.is_ascii() {
        records.extend(pax_record("linkpath", target));
        plain_target = PLACEHOLDER;
    }
    let plain_mtime = fit(mtime_unix_seconds, "mtime", &mut records);
    let (prefix, name) = split(path).unwrap_or_else(|| {
        records.extend(pax_record("path", path));
        ("", PLACEHOLDER)
    });
    let plain_size = fit(size_bytes, "size", &mut records);

    let mut bytes = Vec::new();
    if !records.is_empty() {
        let size = records.len() as u64;
        bytes.extend(block(b'x', "", "pax-header", "", 0o644, size, plain_mtime));
        bytes.extend(&records);
        bytes.extend(padding(size));
    }
    bytes.extend(block(
        type_flag,
        prefix,
        name,
        plain_target,
        mode,
        plain_size,
        plain_mtime,
    ));
    bytes
}

/// A number that fits into eleven octal digits stays, any other moves to the pax header.
fn fit(value: u64, key: &str, records: &mut Vec<u8>) -> u64 {
    if value < 1 << 33 {
        return value;
    }
    records.extend(pax_record(key, &value.to_string()));
    0
}

/// Splits a path into ustar's prefix and name, if it fits: the shortest possible prefix.
fn split(path: &str) -> Option<(&str, &str)> {
    if !path.is_ascii() {
        return None;
    }
    if path.len() <= 100 {
        return Some(("", path));
    }
    path.match_indices('/')
        .map(|(slash, _)| (&path[..slash], &path[slash + 1..]))
        .find(|(prefix, name)| prefix.len() <= 155 && name.len() <= 100 && !name.is_empty())
}

/// `LENGTH KEY=VALUE\n`, where the length counts its own digits.
fn pax_record(key: &str, value: &str) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length += 1;
    }
    format!("{length} {key}={value}\n").into_bytes()
}

fn block(
    type_flag: u8,
    prefix: &str,
    name: &str,
    target: &str,
    mode: u32,
    size_bytes: u64,
    mtime_unix_seconds: u64,
) -> [u8; BLOCK_BYTES] {
    let mut block = [0; BLOCK_BYTES];
    let mut put = |offset: usize, bytes: &[u8]| {
        block[offset..offset + bytes.len()].copy_from_slice(bytes);
    };
    put(0, name.as_bytes());
    put(100, format!("{mode:07o}\0").as_bytes());
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size_bytes:011o}\0").as_bytes());
    put(136, format!("{mtime_unix_seconds:011o}\0").as_bytes());
    put(148, b"        ");
    put(156, &[type_flag]);
    put(157, target.as_bytes());
    put(257, b"ustar\x0000");
    put(329, b"0000000\0");
    put(337, b"0000000\0");
    put(345, prefix.as_bytes());
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}
