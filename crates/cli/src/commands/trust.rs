//! `counterseal trust new|export`: public keys into files that verifiers read.

use std::fmt::Write as _;
use std::path::Path;

use counterseal_attestation::encode_base64;
use counterseal_attestation::provenance::BUILD_TYPE;
use counterseal_verify::Trust;

use crate::arguments::TrustVerb;
use crate::error::{CommandError, Exit};
use crate::session::checked_identity;
use crate::{keys, output};

/// DER of an Ed25519 `SubjectPublicKeyInfo` up to the key itself (RFC 8410, section 4).
const ED25519_SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

pub(crate) fn run(verb: &TrustVerb) -> Result<Exit, CommandError> {
    match verb {
        TrustVerb::New {
            builders,
            builder_ids,
            auditors,
            records,
            replays_required,
            output: path,
        } => {
            let mut text = "format = 1\n".to_owned();
            if let Some(count) = replays_required {
                line(&mut text, &format!("replays-required = {count}"));
            }
            for id in builder_ids {
                checked_identity(id)?;
            }
            for builder in builders {
                let (name, path) = named(builder)?;
                add_builder(&mut text, name, path, builder_ids)?;
            }
            for auditor in auditors {
                let (name, path) = named(auditor)?;
                add_party(&mut text, "auditor", name, path)?;
            }
            for record in records {
                add_record(&mut text, record)?;
            }
            // What this program writes, its own reader must accept.
            Trust::parse(&text).map_err(|error| CommandError::usage(error.to_string()))?;
            if path.exists() {
                return Err(CommandError::usage(format!(
                    "{} exists already",
                    path.display()
                )));
            }
            output::replace_bytes(path, text.as_bytes())?;
            Ok(Exit::Success)
        }
        TrustVerb::Export { record } => export(record),
    }
}

/// Trust in one builder and one record, by their public files.
pub(crate) fn in_own(builder: &Path, id: &str, record: &Path) -> Result<Trust, CommandError> {
    let mut text = "format = 1\n".to_owned();
    add_builder(&mut text, "own", builder, &[id.to_owned()])?;
    add_record(&mut text, record)?;
    Trust::parse(&text).map_err(|error| CommandError::usage(error.to_string()))
}

/// `NAME=FILE`.
fn named(argument: &str) -> Result<(&str, &Path), CommandError> {
    let Some((name, path)) = argument.split_once('=') else {
        return Err(CommandError::usage(format!(
            "{argument}: expected NAME=FILE"
        )));
    };
    Ok((name, Path::new(path)))
}

fn add_builder(
    text: &mut String,
    name: &str,
    path: &Path,
    ids: &[String],
) -> Result<(), CommandError> {
    add_party(text, "builder", name, path)?;
    line(text, &format!("builder-ids = {}", list(ids)));
    let types = list(&[BUILD_TYPE.to_owned()]);
    line(text, &format!("build-types = {types}"));
    Ok(())
}

/// A table with name and key.
fn add_party(text: &mut String, kind: &str, name: &str, path: &Path) -> Result<(), CommandError> {
    keys::public(path)?;
    let pem = keys::public_text(path)?;
    line(text, &format!("\n[[{kind}]]"));
    line(text, &format!("name = {}", quoted(name)));
    line(text, &format!("key = \"\"\"\n{}\n\"\"\"", pem.trim()));
    Ok(())
}

fn add_record(text: &mut String, path: &Path) -> Result<(), CommandError> {
    let key = keys::public_of_record(path)?.to_string();
    line(text, "\n[[record]]");
    line(text, &format!("key = {}", quoted(&key)));
    Ok(())
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

fn list(values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
    format!("[{}]", values.join(", "))
}

fn quoted(value: &str) -> String {
    toml::Value::String(value.to_owned()).to_string()
}

/// Sigstore's `trusted_root.json` with one transparency log (fields as in attestations' notes on
/// Sigstore clients: `logId.keyId` is the whole key hash, `baseUrl`'s host the origin).
fn export(record: &Path) -> Result<Exit, CommandError> {
    let key = keys::public_of_record(record)?;
    let spki = [&ED25519_SPKI_PREFIX[..], key.public_key()].concat();
    output::result(serde_json::json!({
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [{
            "baseUrl": format!("https://{}", key.name()),
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": encode_base64(&spki),
                "keyDetails": "PKIX_ED25519",
                "validFor": {"start": "1970-01-01T00:00:00Z"},
            },
            "logId": {"keyId": encode_base64(&key.full_key_hash())},
        }],
        "certificateAuthorities": [],
        "ctlogs": [],
        "timestampAuthorities": [],
    }))?;
    Ok(Exit::Success)
}
