//! The bytes of a key file: PEM, PBES2, permissions, and never replacing anything.
//! RFC 7468 (PEM, lax about text before the block), RFC 5958 (PKCS#8), RFC 8018 (PBES2).
//! Deliberately absent: other ciphers on writing, other containers (PKCS#12, JWK, SSH).

use std::ffi::OsString;
use std::fs::{File, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use pkcs8::der::Decode;
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef, SecretDocument};
use zeroize::Zeroizing;

use crate::{KeyKind, Passphrase, PublicPart, SigningError};

/// No key file written here comes near this; more is not read.
const FILE_BYTES_MAX: usize = 64 * 1024;
const PLAIN_LABEL: &str = "PRIVATE KEY";
const ENCRYPTED_LABEL: &str = "ENCRYPTED PRIVATE KEY";
const ORIGIN_PREFIX: &str = "record-origin: ";

/// scrypt with N = 2^14, r = 8, p = 5: the work OWASP asks for, in 16 MiB, which is what
/// other programs agree to spend on opening a key file.
const SCRYPT_LOG_N: u8 = 14;
const SCRYPT_R: u32 = 8;
const SCRYPT_P: u32 = 5;

/// An opened key file.
pub(crate) struct KeyFile {
    /// The record's origin, when the file names one.
    pub(crate) origin: Option<String>,
    /// The PKCS#8 document, decrypted.
    secret: SecretDocument,
}

impl KeyFile {
    /// The key in the document, which must be of the algorithm that keys for `expected` have.
    pub(crate) fn key<'a, K>(&'a self, path: &Path, expected: KeyKind) -> Result<K, SigningError>
    where
        K: TryFrom<PrivateKeyInfoRef<'a>>,
    {
        let info = PrivateKeyInfoRef::from_der(self.secret.as_bytes()).map_err(|_| {
            SigningError::Malformed {
                path: path.to_owned(),
                detail: "damaged PKCS#8 document",
            }
        })?;
        K::try_from(info).map_err(|_| SigningError::WrongKind {
            path: path.to_owned(),
            expected,
        })
    }
}

/// `PATH.pub`, whatever `PATH` ends in.
pub(crate) fn public_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".pub");
    PathBuf::from(name)
}

/// Makes a key with `make` and writes both halves, under names that must be free.
///
/// What `make` returns: the private half, and the text of the public one.
pub(crate) fn create(
    path: &Path,
    origin: Option<&str>,
    passphrase: Option<&Passphrase>,
    make: impl FnOnce() -> Result<(SecretDocument, String), SigningError>,
) -> Result<PublicPart, SigningError> {
    let public_path = public_path(path);
    for candidate in [path, public_path.as_path()] {
        // `symlink_metadata`, so that a dangling link counts as something that exists.
        if candidate.symlink_metadata().is_ok() {
            return Err(SigningError::Exists {
                path: candidate.to_owned(),
            });
        }
    }
    let (secret, text) = make()?;
    write_private(path, origin, &secret, passphrase)?;
    write_new(&public_path, text.as_bytes(), 0o644)?;
    Ok(PublicPart {
        text,
        path: public_path,
    })
}

/// Writes a private key under a name that must be free.
///
/// The bytes go to a new file of mode 0600 (`O_EXCL`) beside the target, are flushed, and
/// get their name by a link that fails if the name is taken: a crash leaves either no key
/// file or a whole one.
fn write_private(
    path: &Path,
    origin: Option<&str>,
    secret: &SecretDocument,
    passphrase: Option<&Passphrase>,
) -> Result<(), SigningError> {
    let block = match passphrase {
        None => secret.to_pem(PLAIN_LABEL, LineEnding::LF),
        Some(passphrase) => encrypt(secret, passphrase)?.to_pem(ENCRYPTED_LABEL, LineEnding::LF),
    }
    .map_err(|error| SigningError::Encoding {
        source: error.into(),
    })?;
    let mut text = Zeroizing::new(String::with_capacity(block.len() + 300));
    if let Some(origin) = origin {
        text.push_str(ORIGIN_PREFIX);
        text.push_str(origin);
        text.push('\n');
    }
    text.push_str(&block);
    write_new(path, text.as_bytes(), 0o600)
}

/// Reads and, when needed, decrypts a private key file.
///
/// The permission bits are those of the handle that is read, so that a file swapped in
/// between is judged too.
pub(crate) fn read_private(
    path: &Path,
    passphrase: Option<&Passphrase>,
) -> Result<KeyFile, SigningError> {
    let (file, mode) = open(path)?;
    if mode & 0o077 != 0 {
        return Err(SigningError::Permissions {
            path: path.to_owned(),
            mode,
        });
    }
    // One buffer of the final size: a growing one would leave copies behind.
    let mut bytes = Zeroizing::new(vec![0; FILE_BYTES_MAX + 1]);
    let length = read_up_to(file, &mut bytes).map_err(|source| unreadable(path, source))?;
    if length > FILE_BYTES_MAX {
        return Err(SigningError::TooLarge {
            path: path.to_owned(),
            bytes_max: FILE_BYTES_MAX,
        });
    }
    let malformed = |detail| SigningError::Malformed {
        path: path.to_owned(),
        detail,
    };
    let text = std::str::from_utf8(&bytes[..length]).map_err(|_| malformed("not UTF-8 text"))?;
    let (origin, block) = split_origin(text).ok_or_else(|| malformed("no PEM block"))?;
    let (label, document) =
        SecretDocument::from_pem(block).map_err(|_| malformed("damaged PEM block"))?;
    let secret = match label {
        PLAIN_LABEL => document,
        ENCRYPTED_LABEL => {
            let passphrase = passphrase.ok_or_else(|| SigningError::PassphraseNeeded {
                path: path.to_owned(),
            })?;
            let info = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
                .map_err(|_| malformed("damaged encryption header"))?;
            info.decrypt(passphrase.as_bytes())
                .map_err(|_| SigningError::PassphraseWrong {
                    path: path.to_owned(),
                })?
        }
        _ => return Err(malformed("the PEM block is not a private key")),
    };
    Ok(KeyFile {
        origin: origin.map(str::to_owned),
        secret,
    })
}

/// The first line of `PATH.pub`, or nothing when there is no such file.
pub(crate) fn read_public(path: &Path) -> Result<Option<String>, SigningError> {
    let file = match open(path) {
        Ok((file, _)) => file,
        Err(SigningError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    file.take(FILE_BYTES_MAX as u64)
        .read_to_string(&mut text)
        .map_err(|source| unreadable(path, source))?;
    Ok(Some(text))
}

/// Opens a regular file and tells its permission bits. Opening never waits, so that a pipe under
/// that name is refused and not hung upon.
fn open(path: &Path) -> Result<(File, u32), SigningError> {
    // The bits fit: open(2) takes them as a C int.
    let no_waiting = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options()
        .read(true)
        .custom_flags(no_waiting)
        .open(path)
        .map_err(|source| unreadable(path, source))?;
    let metadata = file.metadata().map_err(|source| unreadable(path, source))?;
    if !metadata.is_file() {
        return Err(SigningError::NotAFile {
            path: path.to_owned(),
        });
    }
    Ok((file, metadata.mode() & 0o7777))
}

fn unreadable(path: &Path, source: io::Error) -> SigningError {
    SigningError::Io {
        operation: "read",
        path: path.to_owned(),
        source,
    }
}

fn encrypt(
    secret: &SecretDocument,
    passphrase: &Passphrase,
) -> Result<SecretDocument, SigningError> {
    use pkcs8::pkcs5::{pbes2, scrypt};

    let encoding = |source: pkcs8::Error| SigningError::Encoding { source };
    let info =
        PrivateKeyInfoRef::from_der(secret.as_bytes()).map_err(|error| encoding(error.into()))?;
    let mut salt = [0; 16];
    let mut iv = [0; 16];
    random(&mut salt)?;
    random(&mut iv)?;
    let work = scrypt::Params::new(SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P)
        .map_err(|_| encoding(pkcs8::Error::ParametersMalformed))?;
    let parameters = pbes2::Parameters::generate_scrypt_aes256cbc(work, &salt, iv)
        .map_err(|error| encoding(error.into()))?;
    info.encrypt_with_params(parameters, passphrase.as_bytes())
        .map_err(encoding)
}

/// Fills `out` from the operating system's generator.
pub(crate) fn random(out: &mut [u8]) -> Result<(), SigningError> {
    getrandom::fill(out).map_err(|source| SigningError::Randomness { source })
}

/// The PEM block with everything after it, and the origin if a line before it names one.
fn split_origin(text: &str) -> Option<(Option<&str>, &str)> {
    let start = text.find("-----BEGIN ")?;
    let (before, block) = text.split_at(start);
    let origin = before
        .lines()
        .find_map(|line| line.strip_prefix(ORIGIN_PREFIX))
        .map(str::trim);
    Some((origin, block))
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), SigningError> {
    let failed = |source| SigningError::Io {
        operation: "write",
        path: path.to_owned(),
        source,
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .prefix(".new-key-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(directory)
        .map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    // A public key is for everybody, whatever the mask.
    file.as_file()
        .set_permissions(Permissions::from_mode(mode))
        .map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist_noclobber(path)
        .map_err(|error| match error.error.kind() {
            ErrorKind::AlreadyExists => SigningError::Exists {
                path: path.to_owned(),
            },
            _ => failed(error.error),
        })?;
    File::open(directory)
        .and_then(|handle| handle.sync_all())
        .map_err(failed)
}

fn read_up_to(mut file: File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}
