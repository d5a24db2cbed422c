//! Signed notes and the text form of verifier keys.
//!
//! C2SP signed-note. A note is a text of whole lines, an empty line, and one
//! or more signature lines `— <key name> <base64 of key id ‖ signature>`. The
//! key id is four bytes and only a hint; it is never taken for the key.
//!
//! A note opens when at least one signature of a known key holds and none of a
//! known key fails; lines of unknown keys are passed over, so that witnesses
//! can add theirs. Deliberately absent: the signature arithmetic, which comes
//! in through [`NoteSigner`] and [`NoteVerifier`]; key files.

use alloc::borrow::ToOwned as _;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

mod key;

pub use key::{Ed25519Verifier, VerifierKey, VerifierKeyError};

/// The longest note that is read, in bytes.
pub const NOTE_BYTES_MAX: usize = 1 << 20;
/// The most signature lines that are read.
pub const SIGNATURES_MAX: usize = 100;

/// A reason that comes from outside, such as a token that was pulled.
pub type BoxedError = Box<dyn core::error::Error + Send + Sync>;

/// Somebody who signs notes.
pub trait NoteSigner {
    /// Name of the key, as it stands on the signature line.
    fn name(&self) -> &str;
    /// Key id, the first four bytes of the key's hash, big-endian.
    fn key_id(&self) -> u32;
    /// Signs the text of a note.
    ///
    /// # Errors
    /// When the key can not be used.
    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, BoxedError>;
}

/// A key that is known to the reader of a note.
pub trait NoteVerifier {
    /// Name of the key, as it stands on the signature line.
    fn name(&self) -> &str;
    /// Key id, the first four bytes of the key's hash, big-endian.
    fn key_id(&self) -> u32;
    /// Whether `signature` is this key's signature over `text`.
    fn verify(&self, text: &[u8], signature: &[u8]) -> bool;
}

/// Why a note does not open or can not be signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// The note is longer than [`NOTE_BYTES_MAX`].
    #[error("the note is too long: {found_bytes} bytes, at most {NOTE_BYTES_MAX} are read")]
    TooLong {
        /// Length of the note, in bytes.
        found_bytes: usize,
    },
    /// A note holds no control character but the newline.
    #[error("the note contains the control character U+{code:04X}")]
    ControlCharacter {
        /// Code point of the character.
        code: u32,
    },
    /// The text must be whole lines, followed by an empty line and signatures.
    #[error("the note is not a text, an empty line and signature lines")]
    Structure,
    /// A signature line is not what it should be.
    #[error("signature line {line} of the note is malformed")]
    SignatureLine {
        /// Number of the line among the signature lines, from 1.
        line: usize,
    },
    /// More signature lines than [`SIGNATURES_MAX`].
    #[error("the note has more than {SIGNATURES_MAX} signatures")]
    TooManySignatures,
    /// The signature of a known key does not hold.
    #[error("the signature of `{name}` on the note does not hold")]
    BadSignature {
        /// Name of the key.
        name: String,
        /// Its key id.
        key_id: u32,
    },
    /// No known key signed the note.
    #[error("no known key signed the note; it carries signatures of: {}", .found.join(", "))]
    NoKnownSignature {
        /// Names of the keys that did, each with its key id.
        found: Vec<String>,
    },
    /// A key name is not empty and has neither white space nor `+`.
    #[error("not a key name: `{name}`")]
    KeyName {
        /// The name as found.
        name: String,
    },
    /// The signer could not sign.
    #[error("the key `{name}` could not sign")]
    Signer {
        /// Name of the key.
        name: String,
        /// Why.
        #[source]
        source: BoxedError,
    },
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// Name of the key.
    pub name: String,
    /// Key id, a hint.
    pub key_id: u32,
    /// The signature without the key id.
    pub signature: Vec<u8>,
}

/// A note taken apart. Nothing in it has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The signed text, ended by a newline.
    pub text: String,
    /// The signature lines in their order.
    pub signatures: Vec<NoteSignature>,
}

/// A note whose signatures were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The signed text, ended by a newline.
    pub text: String,
    /// The signatures that hold, at least one, each key once.
    pub verified: Vec<NoteSignature>,
}

impl Note {
    /// Takes a note apart.
    ///
    /// # Errors
    /// A [`NoteError`] about the form of the note.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong {
                found_bytes: note.len(),
            });
        }
        if let Some(control) = note.chars().find(|c| *c < ' ' && *c != '\n') {
            return Err(NoteError::ControlCharacter {
                code: control.into(),
            });
        }
        // The last empty line: the text itself may contain others.
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::Structure)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Structure)?;
        let mut signatures = Vec::new();
        for (index, line) in lines.split('\n').enumerate() {
            if index == SIGNATURES_MAX {
                return Err(NoteError::TooManySignatures);
            }
            let signature = NoteSignature::parse(line);
            signatures.push(signature.ok_or(NoteError::SignatureLine { line: index + 1 })?);
        }
        Ok(Self {
            text: format!("{text}\n"),
            signatures,
        })
    }

    /// The note as text.
    pub fn to_text(&self) -> String {
        let mut note = format!("{}\n", self.text);
        for signature in &self.signatures {
            note.push_str(&signature.to_line());
        }
        note
    }
}

impl NoteSignature {
    fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix("— ")?.split_once(' ')?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let (key_id, signature) = bytes.split_first_chunk::<4>()?;
        (is_key_name(name) && !signature.is_empty()).then(|| Self {
            name: name.into(),
            key_id: u32::from_be_bytes(*key_id),
            signature: signature.to_vec(),
        })
    }

    fn to_line(&self) -> String {
        let mut bytes = self.key_id.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.signature);
        format!("— {} {}\n", self.name, STANDARD.encode(bytes))
    }
}

/// Signs a text with every signer, in their order.
///
/// # Errors
/// When the text is not whole lines, contains control characters, there is no
/// signer, or one of them fails.
pub fn sign(text: &str, signers: &[&dyn NoteSigner]) -> Result<String, NoteError> {
    if !text.ends_with('\n') || signers.is_empty() {
        return Err(NoteError::Structure);
    }
    let mut note = Note {
        text: text.to_owned(),
        signatures: Vec::new(),
    };
    for signer in signers {
        let name = signer.name();
        if !is_key_name(name) {
            return Err(NoteError::KeyName { name: name.into() });
        }
        let signature = signer
            .sign(text.as_bytes())
            .map_err(|source| NoteError::Signer {
                name: name.into(),
                source,
            })?;
        note.signatures.push(NoteSignature {
            name: name.into(),
            key_id: signer.key_id(),
            signature,
        });
    }
    let signed = note.to_text();
    // What we would not read we do not write.
    Note::parse(&signed)?;
    Ok(signed)
}

/// Checks the signatures of a note against the keys that the reader knows.
///
/// A line belongs to a key when name and key id agree; where several known
/// keys share both, one of them has to verify it.
///
/// # Errors
/// The form of the note, [`NoteError::BadSignature`] when a line of a known key
/// does not hold, [`NoteError::NoKnownSignature`] when there is none.
pub fn open(note: &str, verifiers: &[&dyn NoteVerifier]) -> Result<Opened, NoteError> {
    let Note { text, signatures } = Note::parse(note)?;
    let mut verified: Vec<NoteSignature> = Vec::new();
    for line in &signatures {
        let mut candidates = verifiers
            .iter()
            .filter(|verifier| verifier.name() == line.name && verifier.key_id() == line.key_id)
            .peekable();
        if candidates.peek().is_none() {
            continue;
        }
        if !candidates.any(|verifier| verifier.verify(text.as_bytes(), &line.signature)) {
            return Err(NoteError::BadSignature {
                name: line.name.clone(),
                key_id: line.key_id,
            });
        }
        let seen = |other: &NoteSignature| other.name == line.name && other.key_id == line.key_id;
        if !verified.iter().any(seen) {
            verified.push(line.clone());
        }
    }
    if verified.is_empty() {
        let found = signatures
            .iter()
            .map(|line| format!("{}+{:08x}", line.name, line.key_id));
        return Err(NoteError::NoKnownSignature {
            found: found.collect(),
        });
    }
    Ok(Opened { text, verified })
}

/// Whether a text may be the name of a key: not empty, no white space, no `+`,
/// no control character.
fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

#[cfg(test)]
mod tests;
