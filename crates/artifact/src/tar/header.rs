//! One 512-byte header block.

use super::TarError;

/// Everything in a tar archive comes in blocks of this size.
pub(crate) const BLOCK_BYTES: usize = 512;

/// The fields of a header that mean something to us.
pub(super) struct Header {
    pub(super) path: Vec<u8>,
    pub(super) target: Vec<u8>,
    /// By its owner.
    pub(super) executable: bool,
    pub(super) size_bytes: u64,
    pub(super) type_flag: u8,
}

impl Header {
    /// Reads a header; `None` for a block of zeros, half of an archive's end mark.
    pub(super) fn parse(block: &[u8; BLOCK_BYTES]) -> Result<Option<Self>, TarError> {
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let expected = number(&block[148..156], "checksum")?;
        let found = block.iter().enumerate().fold(0, |sum, (offset, byte)| {
            // The checksum's own field counts as spaces.
            sum + u64::from(if (148..156).contains(&offset) {
                b' '
            } else {
                *byte
            })
        });
        if found != expected {
            return Err(TarError::Checksum { expected, found });
        }
        let is_posix = &block[257..263] == b"ustar\0";
        let is_gnu = &block[257..265] == b"ustar  \0";
        let is_old = block[257..265].iter().all(|byte| *byte == 0);
        if !is_posix && !is_gnu && !is_old {
            return Err(TarError::Header {
                field: "magic number",
            });
        }
        let mut path = Vec::new();
        // Only ustar has a prefix there; GNU keeps times and sparse maps in its place.
        if is_posix && block[345] != 0 {
            path.extend_from_slice(text(&block[345..500]));
            path.push(b'/');
        }
        path.extend_from_slice(text(&block[..100]));
        // Of no use here, but a header in which they are malformed is not to be believed.
        number(&block[108..116], "uid")?;
        number(&block[116..124], "gid")?;
        number(&block[136..148], "mtime")?;
        Ok(Some(Self {
            path,
            target: text(&block[157..257]).to_vec(),
            executable: number(&block[100..108], "mode")? & 0o100 != 0,
            size_bytes: number(&block[124..136], "size")?,
            type_flag: block[156],
        }))
    }
}

/// A field up to its first NUL, if it has one.
fn text(field: &[u8]) -> &[u8] {
    let end = field
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(field.len());
    &field[..end]
}

/// Octal digits between optional spaces and NULs, or GNU's base-256 form for large values.
fn number(field: &[u8], name: &'static str) -> Result<u64, TarError> {
    let malformed = TarError::Header { field: name };
    if field[0] & 0x80 != 0 {
        let mut value = u64::from(field[0] & 0x7f);
        for byte in &field[1..] {
            if value >> 56 != 0 {
                return Err(malformed);
            }
            value = value << 8 | u64::from(*byte);
        }
        return Ok(value);
    }
    let is_filler = |byte: &u8| matches!(byte, b' ' | 0);
    let Some(start) = field.iter().position(|byte| *byte != b' ') else {
        return Ok(0);
    };
    let digits = &field[start..];
    let end = digits.iter().position(is_filler).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    let proper = digits.iter().all(|byte| (b'0'..=b'7').contains(byte));
    if !proper || !rest.iter().all(is_filler) {
        return Err(malformed);
    }
    // Twelve digits of three bits each fit.
    Ok(digits
        .iter()
        .fold(0, |value, digit| value << 3 | u64::from(digit - b'0')))
}
