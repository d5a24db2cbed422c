//! Resolve, pin and fetch what an assembly is made of.
//!
//! * [`spec`]: what a recipe may ask for, [`lock`]: what it came to, by package URL, SHA-256 and
//!   size, never by host.
//! * [`resolve`] turns the one into the other; Debian's index is believed only when it carries an
//!   `OpenPGP` signature by a key of the archive keyring.
//! * [`fetch`] brings every locked byte into the content store, in parallel, from input archives,
//!   the recipe's directory and the machine's mirrors. A byte that does not match its digest never
//!   gets in, and no transfer goes on beyond the locked size.
//! * [`write_archive`] keeps the bytes beside a release, so that a replay needs no network.
//!
//! The functions block; the asynchronous parts stay inside. Deliberately absent: unpacking, the
//! sandbox, signing, and any host name.

#![forbid(unsafe_code)]

mod archive;
mod beside;
mod debian_index;
mod error;
mod fetch;
mod lock_text;
mod names;
mod obtain;
mod progress;
mod resolve;
mod transfer;

pub mod apt;
pub mod deb822;
pub mod debian_source;
pub mod lock;
pub mod openpgp;
pub mod packages;
pub mod purl;
pub mod relation;
pub mod relative_path;
pub mod release;
pub mod resolver;
pub mod sources;
pub mod spec;
pub mod version;

pub use archive::{ArchiveReport, write_archive};
pub use error::{Failure, InputsError};
pub use fetch::{FetchReport, fetch};
pub use lock::{Lock, LockError, LockMismatch, LockedInput, LockedItem, LockedKind};
pub use names::{INPUT_NAME_BYTES_MAX, is_input_name, quoted};
pub use progress::Progress;
pub use purl::PackageUrl;
pub use relative_path::RelativePath;
pub use resolve::resolve;
pub use sources::{DebianSettings, Sources};
pub use spec::{FlatSpec, InputSpec, Location, SpecError};
pub use transfer::TransferError;
