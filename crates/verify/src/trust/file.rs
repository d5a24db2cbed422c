//! The trust file's TOML, table by table, and the way from it to the types of the parent module.
//! Deliberately absent: rules across entries, which the parent checks.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use counterseal_attestation::UnixSeconds;
use counterseal_tlog::note::VerifierKey;
use serde::Deserialize;

use super::{Auditor, Builder, PARTIES_MAX, TEXT_BYTES_MAX, Trust, TrustError};
use crate::display::excerpt;
use crate::public_key::{KeyError, PublicKey};

const FORMAT: u32 = 1;

/// Reads the file's tables; each entry is good by itself when this returns.
pub(super) fn read(toml: &str) -> Result<Trust, TrustError> {
    let file: File = toml::from_str(toml).map_err(|error| syntax(toml, &error))?;
    if file.format != FORMAT {
        return Err(TrustError::Format {
            expected: FORMAT,
            found: file.format,
        });
    }
    Ok(Trust {
        builders: each("builder", &file.builder, read_builder)?,
        auditors: each("auditor", &file.auditor, read_auditor)?,
        records: each("record", &file.record, read_record)?,
        replays_required: file.replays_required,
        expires: file.expires.as_deref().map(read_time).transpose()?,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    format: u32,
    #[serde(default)]
    replays_required: usize,
    expires: Option<String>,
    #[serde(default)]
    builder: Vec<BuilderTable>,
    #[serde(default)]
    auditor: Vec<AuditorTable>,
    #[serde(default)]
    record: Vec<RecordTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct BuilderTable {
    name: String,
    key: String,
    builder_ids: Vec<String>,
    build_types: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct AuditorTable {
    name: String,
    key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RecordTable {
    key: String,
}

/// Where in the file an entry stands, for messages.
#[derive(Clone, Copy)]
struct Place {
    what: &'static str,
    number: usize,
}

fn each<T, U>(
    what: &'static str,
    tables: &[T],
    read: impl Fn(Place, &T) -> Result<U, TrustError>,
) -> Result<Vec<U>, TrustError> {
    if tables.len() > PARTIES_MAX {
        return Err(TrustError::TooMany {
            what,
            max: PARTIES_MAX,
            found: tables.len(),
        });
    }
    tables
        .iter()
        .enumerate()
        .map(|(index, table)| {
            read(
                Place {
                    what,
                    number: index + 1,
                },
                table,
            )
        })
        .collect()
}

fn read_builder(place: Place, table: &BuilderTable) -> Result<Builder, TrustError> {
    Ok(Builder {
        name: read_text(place, "name", &table.name)?,
        key: read_key(place, &table.key)?,
        builder_ids: read_texts(place, "builder-ids", &table.builder_ids)?,
        build_types: read_texts(place, "build-types", &table.build_types)?,
    })
}

fn read_auditor(place: Place, table: &AuditorTable) -> Result<Auditor, TrustError> {
    Ok(Auditor {
        name: read_text(place, "name", &table.name)?,
        key: read_key(place, &table.key)?,
    })
}

fn read_record(place: Place, table: &RecordTable) -> Result<VerifierKey, TrustError> {
    VerifierKey::parse(table.key.trim()).map_err(|_| TrustError::Key {
        what: place.what,
        number: place.number,
        reason: KeyError::VerifierKey,
    })
}

fn read_key(place: Place, pem: &str) -> Result<PublicKey, TrustError> {
    PublicKey::from_pem(pem).map_err(|reason| TrustError::Key {
        what: place.what,
        number: place.number,
        reason,
    })
}

fn read_texts(
    place: Place,
    field: &'static str,
    texts: &[String],
) -> Result<Vec<String>, TrustError> {
    if texts.is_empty() || texts.len() > PARTIES_MAX {
        return Err(TrustError::List {
            what: place.what,
            number: place.number,
            field,
            max: PARTIES_MAX,
            found: texts.len(),
        });
    }
    texts
        .iter()
        .map(|text| read_text(place, field, text))
        .collect()
}

fn read_text(place: Place, field: &'static str, text: &str) -> Result<String, TrustError> {
    let fits = (1..=TEXT_BYTES_MAX).contains(&text.len());
    if !fits || text.trim() != text || text.chars().any(char::is_control) {
        return Err(TrustError::Text {
            what: place.what,
            number: place.number,
            field,
            max: TEXT_BYTES_MAX,
        });
    }
    Ok(text.to_string())
}

fn read_time(text: &str) -> Result<UnixSeconds, TrustError> {
    UnixSeconds::parse_rfc3339(text).map_err(|_| TrustError::Expires)
}

fn syntax(text: &str, error: &toml::de::Error) -> TrustError {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    // A line begins after each line feed before the fault.
    let line = text.as_bytes()[..start]
        .split(|byte| *byte == b'\n')
        .count();
    TrustError::Syntax {
        line,
        message: excerpt(error.message()),
    }
}
