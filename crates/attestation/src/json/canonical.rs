//! Writing: RFC 8785, the JSON Canonicalization Scheme, for values without fractions.
//!
//! Deliberately absent: section 3.2.2.3's floating-point texts.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::Serialize;
use serde_json::{Number, Value};

use super::{DEPTH_CEILING, INTEGER_MAX, JsonError, Step, render_path};

pub(super) fn to_bytes<T: Serialize>(value: &T) -> Result<Vec<u8>, JsonError> {
    let value = serde_json::to_value(value).map_err(|error| JsonError::NotSerialisable {
        reason: error.to_string(),
    })?;
    let mut out = Vec::new();
    write(&value, 0, &mut out).map_err(|refusal| {
        let path = render_path(&refusal.inside_out);
        match refusal.fault {
            Fault::TooDeep => JsonError::TooDeep {
                depth_max: DEPTH_CEILING,
                path,
            },
            Fault::Number(number) => JsonError::NotCanonical { path, number },
        }
    })?;
    Ok(out)
}

struct Refusal {
    inside_out: Vec<Step>,
    fault: Fault,
}

enum Fault {
    TooDeep,
    Number(String),
}

impl Refusal {
    fn new(fault: Fault) -> Self {
        Self {
            inside_out: Vec::new(),
            fault,
        }
    }

    fn passing(mut self, step: Step) -> Self {
        self.inside_out.push(step);
        self
    }
}

/// Recursion is bounded by [`DEPTH_CEILING`].
fn write(value: &Value, depth: usize, out: &mut Vec<u8>) -> Result<(), Refusal> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => write_number(number, out)?,
        Value::String(text) => write_string(text, out),
        Value::Array(_) | Value::Object(_) if depth == DEPTH_CEILING => {
            return Err(Refusal::new(Fault::TooDeep));
        }
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, depth + 1, out)
                    .map_err(|refusal| refusal.passing(Step::Index(index)))?;
            }
            out.push(b']');
        }
        Value::Object(object) => {
            let mut members: Vec<(&String, &Value)> = object.iter().collect();
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push(b'{');
            for (index, (key, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_string(key, out);
                out.push(b':');
                write(member, depth + 1, out)
                    .map_err(|refusal| refusal.passing(Step::Key(key.clone())))?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn write_number(number: &Number, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let magnitude = number
        .as_u64()
        .or_else(|| number.as_i64().map(i64::unsigned_abs));
    if magnitude.is_none_or(|magnitude| magnitude > INTEGER_MAX) {
        return Err(Refusal::new(Fault::Number(number.to_string())));
    }
    out.extend_from_slice(number.to_string().as_bytes());
    Ok(())
}

/// Section 3.2.2.2: two-character escapes where JSON has them, `\u00xx` in lower case for the other
/// control characters, everything else as it is.
fn write_string(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for &byte in text.as_bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0x00..=0x1f => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
