//! The second half of reading: value to type.
//!
//! `serde_json::from_value` is not strict enough for signed data: it fills a structure from an
//! array, takes `null` for an absent field and a unit variant from an object. This deserializer
//! has one spelling for each, and knows the path to what it refuses.
//!
//! Deliberately absent: `bytes` (base64 text is a string), borrowed data, and variants with
//! content. Types with `#[serde(flatten)]` or internal tags go through serde's own buffer, where
//! the array form comes back: the formats of this crate use neither.

use alloc::string::{String, ToString as _};
use alloc::vec::{self, Vec};
use core::fmt;

use serde::de::value::{StrDeserializer, StringDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IntoDeserializer as _, MapAccess,
    SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use super::{JsonError, Step, render_path};
use crate::shown::shown;

pub(super) fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, JsonError> {
    T::deserialize(Typed(value)).map_err(|refusal| {
        let path = render_path(&refusal.inside_out);
        match refusal.fault {
            Fault::Missing(field) => JsonError::MissingField { path, field },
            Fault::Unknown(field) => JsonError::UnknownField { path, field },
            Fault::Unexpected(reason) => JsonError::UnexpectedValue { path, reason },
        }
    })
}

#[derive(Debug)]
struct Refusal {
    inside_out: Vec<Step>,
    fault: Fault,
}

#[derive(Debug)]
enum Fault {
    Missing(String),
    Unknown(String),
    Unexpected(String),
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

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            Fault::Missing(field) => write!(out, "missing field {field}"),
            Fault::Unknown(field) => write!(out, "unknown field {field}"),
            Fault::Unexpected(reason) => out.write_str(reason),
        }
    }
}

impl core::error::Error for Refusal {}

impl serde::de::Error for Refusal {
    fn custom<T: fmt::Display>(message: T) -> Self {
        // serde repeats what it found, whatever that is.
        Self::new(Fault::Unexpected(shown(&message.to_string())))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Fault::Missing(field.into()))
    }

    fn unknown_field(field: &str, _expected: &'static [&'static str]) -> Self {
        Self::new(Fault::Unknown(shown(field)))
    }
}

struct Typed(Value);

impl Typed {
    /// What stands here, for messages.
    fn unexpected(&self) -> Unexpected<'_> {
        match &self.0 {
            Value::Null => Unexpected::Other("null"),
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(value), _, _) => Unexpected::Unsigned(value),
                (_, Some(value), _) => Unexpected::Signed(value),
                (_, _, Some(value)) => Unexpected::Float(value),
                _ => Unexpected::Other("number"),
            },
            Value::String(text) => Unexpected::Str(text),
            Value::Array(_) => Unexpected::Other("array"),
            Value::Object(_) => Unexpected::Other("object"),
        }
    }

    fn object<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.0 {
            Value::Object(object) => visitor.visit_map(Members::new(object)),
            _ => Err(Refusal::invalid_type(self.unexpected(), &visitor)),
        }
    }

    fn array<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.0 {
            Value::Array(items) => {
                let mut items = Items {
                    items: items.into_iter(),
                    index: 0,
                };
                let value = visitor.visit_seq(&mut items)?;
                // A tuple takes as many as it has; what is left over is an error, not ignored.
                match items.items.len() {
                    0 => Ok(value),
                    left => Err(Refusal::invalid_length(items.index + left, &"fewer items")),
                }
            }
            _ => Err(Refusal::invalid_type(self.unexpected(), &visitor)),
        }
    }
}

impl<'de> Deserializer<'de> for Typed {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(number) => number.deserialize_any(visitor).map_err(Refusal::custom),
            Value::String(text) => visitor.visit_string(text),
            Value::Array(_) => self.array(visitor),
            Value::Object(_) => self.object(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        if self.0.is_null() {
            return Err(Refusal::custom("null does not stand for an absent field"));
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.object(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.object(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        match self.0 {
            Value::String(variant) => {
                let variant: StringDeserializer<Refusal> = variant.into_deserializer();
                visitor.visit_enum(variant)
            }
            _ => Err(Refusal::invalid_type(self.unexpected(), &visitor)),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct identifier ignored_any
    }
}

/// The members of an object, each error extended by its key.
struct Members {
    members: serde_json::map::IntoIter,
    pending: Option<(String, Value)>,
}

impl Members {
    fn new(object: Map<String, Value>) -> Self {
        Self {
            members: object.into_iter(),
            pending: None,
        }
    }
}

impl<'de> MapAccess<'de> for Members {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refusal> {
        self.pending = self.members.next();
        let Some((key, _)) = &self.pending else {
            return Ok(None);
        };
        let key: StrDeserializer<'_, Refusal> = key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refusal> {
        let Some((key, value)) = self.pending.take() else {
            return Err(Refusal::custom("a value was asked for before its key"));
        };
        seed.deserialize(Typed(value))
            .map_err(|refusal| refusal.passing(Step::Key(key)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.members.len())
    }
}

/// The items of an array, each error extended by its index.
struct Items {
    items: vec::IntoIter<Value>,
    index: usize,
}

impl<'de> SeqAccess<'de> for &mut Items {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Refusal> {
        let Some(item) = self.items.next() else {
            return Ok(None);
        };
        let index = self.index;
        self.index += 1;
        seed.deserialize(Typed(item))
            .map(Some)
            .map_err(|refusal| refusal.passing(Step::Index(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}
