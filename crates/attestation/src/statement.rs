//! in-toto Statement v1, with its `DigestSet` and `ResourceDescriptor`.
//!
//! Fields that the specification does not know are ignored, as it demands; what it does define is
//! read strictly. Subjects are matched by digest, never by name.
//!
//! Deliberately absent: trust. A statement read from an envelope means nothing until the
//! envelope's signature has been checked over the bytes it was read from.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::digest::check_lower_hex;
use crate::json::{self, JsonError, Limits};
use crate::shown::shown;
use crate::{DigestError, Sha256Digest};

/// The only `_type` that is read or written.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// What a payload may cost: 4 MiB, 32 levels.
pub const PAYLOAD_LIMITS: Limits = Limits {
    bytes_max: 4 << 20,
    depth_max: 32,
};

/// A statement has at least one subject and at most this many.
pub const SUBJECTS_MAX: usize = 4096;

/// A predicate with a type of its own.
pub trait Predicate: Serialize + DeserializeOwned {
    /// The `predicateType` that announces it.
    const TYPE: &'static str;
}

/// A claim (the predicate) about artifacts (the subjects).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement<P> {
    /// [`STATEMENT_TYPE`].
    #[serde(rename = "_type")]
    pub type_: String,
    /// What the claim is about: 1 to [`SUBJECTS_MAX`].
    pub subject: Vec<Subject>,
    /// Names the format of `predicate`.
    pub predicate_type: String,
    /// The claim.
    pub predicate: P,
}

/// An artifact, identified by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// A name for people; empty if the statement gives none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// At least one digest.
    pub digest: DigestSet,
}

/// Reads a statement whatever its predicate is.
///
/// # Errors
/// [`StatementError`]; never for an unknown `predicateType`.
pub fn parse_any(payload: &[u8]) -> Result<Statement<Value>, StatementError> {
    let statement: Statement<Value> = json::parse(payload, PAYLOAD_LIMITS)?;
    statement.check()?;
    Ok(statement)
}

impl<P: Predicate> Statement<P> {
    /// Makes a statement with the predicate's own type.
    pub fn new(subject: Vec<Subject>, predicate: P) -> Self {
        Self {
            type_: STATEMENT_TYPE.to_string(),
            subject,
            predicate_type: P::TYPE.to_string(),
            predicate,
        }
    }

    /// Reads a statement that must carry this predicate.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn parse(payload: &[u8]) -> Result<Self, StatementError> {
        parse_any(payload)?.typed()
    }
}

impl<P: Serialize> Statement<P> {
    /// The canonical bytes to be signed.
    ///
    /// # Errors
    /// [`StatementError`] where [`parse_any`] would refuse the bytes, or where a value has no
    /// canonical form (a fraction in an annotation).
    pub fn to_payload(&self) -> Result<Vec<u8>, StatementError> {
        self.check()?;
        let payload = json::canonical(self)?;
        if payload.len() > PAYLOAD_LIMITS.bytes_max {
            return Err(StatementError::Json(JsonError::TooLarge {
                bytes_max: PAYLOAD_LIMITS.bytes_max,
                found_bytes: payload.len(),
            }));
        }
        Ok(payload)
    }
}

impl<P> Statement<P> {
    pub(crate) fn check(&self) -> Result<(), StatementError> {
        if self.type_ != STATEMENT_TYPE {
            return Err(StatementError::Type {
                found: self.type_.clone(),
            });
        }
        if !(1..=SUBJECTS_MAX).contains(&self.subject.len()) {
            return Err(StatementError::Subjects {
                found: self.subject.len(),
            });
        }
        Ok(())
    }
}

impl Statement<Value> {
    /// Gives the predicate its type.
    ///
    /// # Errors
    /// [`StatementError::PredicateType`] if the statement announces another one,
    /// [`StatementError::Json`] if the predicate does not have the form of its type.
    pub fn typed<P: Predicate>(self) -> Result<Statement<P>, StatementError> {
        if self.predicate_type != P::TYPE {
            return Err(StatementError::PredicateType {
                expected: P::TYPE,
                found: self.predicate_type,
            });
        }
        Ok(Statement {
            type_: self.type_,
            subject: self.subject,
            predicate_type: self.predicate_type,
            predicate: json::from_value(self.predicate)?,
        })
    }
}

/// Why bytes are not a statement, or a statement cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// Not the JSON that is wanted.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Another kind of statement, or another version.
    #[error(
        "statement type is not acceptable: expected {STATEMENT_TYPE}, found {}",
        shown(found)
    )]
    Type {
        /// The `_type` found.
        found: String,
    },
    /// No subject, or too many.
    #[error("statement has {found} subjects: expected 1 to {SUBJECTS_MAX}")]
    Subjects {
        /// How many.
        found: usize,
    },
    /// The predicate is of another type.
    #[error(
        "predicate type does not match: expected {expected}, found {}",
        shown(found)
    )]
    PredicateType {
        /// The type asked for.
        expected: &'static str,
        /// The type found.
        found: String,
    },
}

/// Digests of one thing by algorithm; never empty.
///
/// `sha256`, `sha384` and `sha512` are lower-case hexadecimal of the right length. Other algorithms
/// are carried along and identify nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct DigestSet(BTreeMap<String, String>);

impl DigestSet {
    /// A set of one.
    pub fn from_sha256(digest: Sha256Digest) -> Self {
        Self(BTreeMap::from([("sha256".to_string(), digest.to_string())]))
    }

    /// Takes digests by algorithm.
    ///
    /// # Errors
    /// [`DigestSetError`].
    pub fn from_map(digests: BTreeMap<String, String>) -> Result<Self, DigestSetError> {
        if digests.is_empty() {
            return Err(DigestSetError::Empty);
        }
        for (algorithm, digits) in [("sha256", 64), ("sha384", 96), ("sha512", 128)] {
            if let Some(text) = digests.get(algorithm) {
                check_lower_hex(text, digits)
                    .map_err(|reason| DigestSetError::Digest { algorithm, reason })?;
            }
        }
        Ok(Self(digests))
    }

    /// The SHA-256 digest, if the set has one.
    pub fn sha256(&self) -> Option<Sha256Digest> {
        // `from_map` has checked the text: parsing fails only if it is absent.
        self.0.get("sha256")?.parse().ok()
    }
}

impl<'de> Deserialize<'de> for DigestSet {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        Self::from_map(BTreeMap::deserialize(input)?).map_err(D::Error::custom)
    }
}

/// Why digests are not a [`DigestSet`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestSetError {
    /// There is none.
    #[error("digest set is empty")]
    Empty,
    /// The text does not fit the algorithm.
    #[error("{algorithm}: {reason}")]
    Digest {
        /// The algorithm's name.
        algorithm: &'static str,
        /// What is wrong with the text.
        reason: DigestError,
    },
}

/// in-toto's description of something a statement refers to. At least one of `uri`, `digest` and
/// `content` is present in everything that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceDescriptor {
    /// A name for people or machines, unique in its list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is; for packages a package URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Which bytes it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<DigestSet>,
    /// The bytes themselves, if few (base64 in JSON).
    #[serde(
        skip_serializing_if = "Option::is_none",
        with = "crate::base64_text::optional"
    )]
    pub content: Option<Vec<u8>>,
    /// Where it can be had, if that differs from `uri`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download_location: Option<String>,
    /// Its media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Whatever else is said about it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, Value>,
}

/// The fields as they stand, before the rule across them is checked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UncheckedDescriptor {
    name: Option<String>,
    uri: Option<String>,
    digest: Option<DigestSet>,
    #[serde(default, with = "crate::base64_text::optional")]
    content: Option<Vec<u8>>,
    download_location: Option<String>,
    media_type: Option<String>,
    #[serde(default)]
    annotations: BTreeMap<String, Value>,
}

impl<'de> Deserialize<'de> for ResourceDescriptor {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let found = UncheckedDescriptor::deserialize(input)?;
        if found.uri.is_none() && found.digest.is_none() && found.content.is_none() {
            return Err(D::Error::custom(
                "a descriptor needs one of uri, digest and content",
            ));
        }
        Ok(Self {
            name: found.name,
            uri: found.uri,
            digest: found.digest,
            content: found.content,
            download_location: found.download_location,
            media_type: found.media_type,
            annotations: found.annotations,
        })
    }
}
