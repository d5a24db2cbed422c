//! The first half of reading: text to value, with the refusals that a value can no longer show
//! (duplicate keys) or that must come before memory is spent (depth, size).
//!
//! Deliberately absent: a grammar of our own. `serde_json` reads the text; a visitor watches.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{DEPTH_CEILING, JsonError, Limits, Step, render_path};
use crate::shown::shown;

pub(super) fn parse_value(bytes: &[u8], limits: Limits) -> Result<Value, JsonError> {
    if bytes.len() > limits.bytes_max {
        return Err(JsonError::TooLarge {
            bytes_max: limits.bytes_max,
            found_bytes: bytes.len(),
        });
    }
    let text = core::str::from_utf8(bytes).map_err(|error| JsonError::NotUtf8 {
        offset: error.valid_up_to(),
    })?;
    if text.starts_with('\u{feff}') {
        return Err(JsonError::ByteOrderMark);
    }
    let watch = Watch {
        depth_max: limits.depth_max.min(DEPTH_CEILING),
        fault: RefCell::new(None),
        inside_out: RefCell::new(Vec::new()),
    };
    let mut input = serde_json::Deserializer::from_str(text);
    let value = match (Node {
        watch: &watch,
        depth: 0,
    })
    .deserialize(&mut input)
    {
        Ok(value) => value,
        Err(error) => return Err(watch.explain(&error)),
    };
    match input.end() {
        Ok(()) => Ok(value),
        Err(error) => Err(JsonError::TrailingData {
            line: error.line(),
            column: error.column(),
        }),
    }
}

/// What serde's error type cannot carry: which refusal of ours stopped the reading, and where.
struct Watch {
    depth_max: usize,
    fault: RefCell<Option<Fault>>,
    inside_out: RefCell<Vec<Step>>,
}

enum Fault {
    TooDeep,
    DuplicateKey(String),
}

impl Watch {
    fn stop<E: serde::de::Error>(&self, fault: Fault) -> E {
        *self.fault.borrow_mut() = Some(fault);
        E::custom("refused")
    }

    fn passing(&self, step: Step) {
        if self.fault.borrow().is_some() {
            self.inside_out.borrow_mut().push(step);
        }
    }

    fn explain(self, error: &serde_json::Error) -> JsonError {
        let path = render_path(&self.inside_out.into_inner());
        match self.fault.into_inner() {
            Some(Fault::TooDeep) => JsonError::TooDeep {
                depth_max: self.depth_max,
                path,
            },
            Some(Fault::DuplicateKey(key)) => JsonError::DuplicateKey {
                path,
                key: shown(&key),
            },
            None => JsonError::Syntax {
                line: error.line(),
                column: error.column(),
                reason: without_position(&error.to_string()),
            },
        }
    }
}

/// `serde_json` ends its messages with the position, which stands in fields of its own here.
fn without_position(message: &str) -> String {
    message
        .rsplit_once(" at line ")
        .map_or(message, |(reason, _)| reason)
        .to_string()
}

/// One value to be read, `depth` containers below the root.
#[derive(Clone, Copy)]
struct Node<'w> {
    watch: &'w Watch,
    depth: usize,
}

impl<'w> Node<'w> {
    fn inner<E: serde::de::Error>(self) -> Result<Node<'w>, E> {
        if self.depth == self.watch.depth_max {
            return Err(self.watch.stop(Fault::TooDeep));
        }
        Ok(Node {
            watch: self.watch,
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a json value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut array = Vec::new();
        loop {
            match items.next_element_seed(inner) {
                Ok(Some(item)) => array.push(item),
                Ok(None) => return Ok(Value::Array(array)),
                Err(error) => {
                    self.watch.passing(Step::Index(array.len()));
                    return Err(error);
                }
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(self.watch.stop(Fault::DuplicateKey(key)));
            }
            match members.next_value_seed(inner) {
                Ok(value) => object.insert(key, value),
                Err(error) => {
                    self.watch.passing(Step::Key(key));
                    return Err(error);
                }
            };
        }
        Ok(Value::Object(object))
    }
}
