//! What extension headers say about the entry that follows them, and the records of those in pax
//! form: `LENGTH KEY=VALUE\n`, over and over.

use super::TarError;

/// What is taken from them, GNU's and those of pax alike.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Extension {
    pub(super) path: Option<Vec<u8>>,
    pub(super) target: Option<Vec<u8>>,
    pub(super) size_bytes: Option<u64>,
}

impl Extension {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Adds what the records say. Unknown keys are passed over, as the standard demands; those that
/// change what the content means are refused.
pub(super) fn read_pax(mut bytes: &[u8], extension: &mut Extension) -> Result<(), TarError> {
    while !bytes.is_empty() {
        let (key, value, rest) = split(bytes).ok_or(TarError::Header {
            field: "pax record",
        })?;
        bytes = rest;
        match key {
            b"path" => set_once(&mut extension.path, value.to_vec())?,
            b"linkpath" => set_once(&mut extension.target, value.to_vec())?,
            b"size" => set_once(&mut extension.size_bytes, size(value)?)?,
            _ if key.starts_with(b"GNU.sparse.") => {
                return Err(TarError::Header {
                    field: "sparse file",
                });
            }
            b"hdrcharset" => {
                return Err(TarError::Header {
                    field: "character set",
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Two headers, or two records of one, that speak of the same thing are refused.
pub(super) fn set_once<T>(slot: &mut Option<T>, value: T) -> Result<(), TarError> {
    if slot.replace(value).is_some() {
        return Err(TarError::Header {
            field: "two extensions say the same",
        });
    }
    Ok(())
}

/// The first record's key and value, and what follows it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    let length = decimal(&bytes[..space])?;
    let length = usize::try_from(length).ok()?;
    // The length counts itself, the space and the line feed.
    if length > bytes.len() || length < space + 2 || bytes[length - 1] != b'\n' {
        return None;
    }
    let record = &bytes[space + 1..length - 1];
    let equals = record.iter().position(|byte| *byte == b'=')?;
    if equals == 0 {
        return None;
    }
    Some((&record[..equals], &record[equals + 1..], &bytes[length..]))
}

fn size(value: &[u8]) -> Result<u64, TarError> {
    decimal(value).ok_or(TarError::Header { field: "pax size" })
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}
