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
use core::fmt;
use core::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// The longest note that is read, in bytes.
pub const NOTE_BYTES_MAX: usize = 1 << 20;
/// The most signature lines that are read.
pub const SIGNATURES_MAX: usize = 100;
/// The algorithm byte of Ed25519 in key ids and verifier keys.
pub const ALGORITHM_ED25519: u8 = 0x01;

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
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

/// The public half of an Ed25519 note key: `<name>+<8 hex digits>+<base64>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifierKey {
    name: String,
    public_key: [u8; 32],
}

/// Why a text is not a verifier key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifierKeyError {
    /// The text must be a name, a key id and a key, joined by `+`.
    #[error("not a verifier key of the form `name+key id+key`: `{text}`")]
    Form {
        /// The text as found.
        text: String,
    },
    /// A key name is not empty and has neither white space nor `+`.
    #[error("not a key name: `{name}`")]
    Name {
        /// The name as found.
        name: String,
    },
    /// Only Ed25519 (`01`) is known.
    #[error("the verifier key `{name}` has the unknown algorithm {algorithm:#04x}")]
    Algorithm {
        /// Name of the key.
        name: String,
        /// The algorithm byte.
        algorithm: u8,
    },
    /// The key id does not belong to this name and key.
    #[error("the key id of `{name}` does not match: expected {expected:08x}, found {found:08x}")]
    KeyId {
        /// Name of the key.
        name: String,
        /// The key id of this name and key.
        expected: u32,
        /// The key id in the text.
        found: u32,
    },
}

impl VerifierKey {
    /// A key from its parts.
    ///
    /// # Errors
    /// [`VerifierKeyError::Name`].
    pub fn new(name: &str, public_key: [u8; 32]) -> Result<Self, VerifierKeyError> {
        if !is_key_name(name) {
            return Err(VerifierKeyError::Name { name: name.into() });
        }
        Ok(Self {
            name: name.into(),
            public_key,
        })
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// A [`VerifierKeyError`].
    pub fn parse(text: &str) -> Result<Self, VerifierKeyError> {
        let form = || VerifierKeyError::Form { text: text.into() };
        // Base64 may contain `+`, so only the first two separate.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(key_id), Some(key)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(form());
        };
        let lower_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if key_id.len() != 8 || !key_id.bytes().all(lower_hex) {
            return Err(form());
        }
        let found = u32::from_str_radix(key_id, 16).map_err(|_| form())?;
        let bytes = STANDARD.decode(key).map_err(|_| form())?;
        let (algorithm, key) = bytes.split_first().ok_or_else(form)?;
        if *algorithm != ALGORITHM_ED25519 {
            return Err(VerifierKeyError::Algorithm {
                name: name.into(),
                algorithm: *algorithm,
            });
        }
        let key = Self::new(name, key.try_into().map_err(|_| form())?)?;
        let expected = key.key_id();
        if found != expected {
            return Err(VerifierKeyError::KeyId {
                name: name.into(),
                expected,
                found,
            });
        }
        Ok(key)
    }

    /// Name of the key.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The Ed25519 public key.
    pub fn public_key(&self) -> &[u8; 32] {
        &self.public_key
    }

    /// The key id: the first four bytes of [`VerifierKey::full_key_hash`], big-endian.
    pub fn key_id(&self) -> u32 {
        let [a, b, c, d, ..] = self.full_key_hash();
        u32::from_be_bytes([a, b, c, d])
    }

    /// `SHA-256(name ‖ "\n" ‖ 0x01 ‖ key)`, all of it: Sigstore's log id.
    pub fn full_key_hash(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.name.as_bytes());
        hasher.update([b'\n', ALGORITHM_ED25519]);
        hasher.update(self.public_key);
        hasher.finalize().into()
    }

    /// This key as a [`NoteVerifier`], with the caller's Ed25519 check of
    /// (public key, message, signature).
    pub fn verifier<F>(self, check: F) -> Ed25519Verifier<F>
    where
        F: Fn(&[u8; 32], &[u8], &[u8; 64]) -> bool,
    {
        Ed25519Verifier { key: self, check }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = [ALGORITHM_ED25519; 33];
        key[1..].copy_from_slice(&self.public_key);
        write!(
            f,
            "{}+{:08x}+{}",
            self.name,
            self.key_id(),
            STANDARD.encode(key)
        )
    }
}

impl FromStr for VerifierKey {
    type Err = VerifierKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// A [`VerifierKey`] together with somebody's Ed25519; from [`VerifierKey::verifier`].
#[derive(Debug, Clone)]
pub struct Ed25519Verifier<F> {
    key: VerifierKey,
    check: F,
}

impl<F> NoteVerifier for Ed25519Verifier<F>
where
    F: Fn(&[u8; 32], &[u8], &[u8; 64]) -> bool,
{
    fn name(&self) -> &str {
        self.key.name()
    }

    fn key_id(&self) -> u32 {
        self.key.key_id()
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        signature
            .try_into()
            .is_ok_and(|signature| (self.check)(self.key.public_key(), text, signature))
    }
}
