//! Our small static programs as bytes: a root that holds one of them and nothing else can run it.
//!
//! `build.rs` builds each with a nested cargo, linked statically against the C library, for the
//! same target as this crate. Three uses: the embedded product is compiled by [`RULEC`], the only
//! content of its root; `LAUNCH` (feature `launcher`) travels with exported actions; tests run `PROBE` and `PLANTED` (feature `probe`), which try what a sandbox
//! must refuse and what it must keep the same.
//!
//! Whoever mentions neither pays nothing: the linker leaves unused bytes out.
//!
//! Deliberately absent: what the programs do (`counterseal-rules`, `counterseal-launcher`, `counterseal-testkit`) and
//! writing them to disk.

/// The rule compiler `rulec`: an ELF executable without program interpreter.
pub static RULEC: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rulec"));

/// The launcher `counterseal-launch`: an ELF executable without program interpreter.
#[cfg(feature = "launcher")]
pub static LAUNCH: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/counterseal-launch"));

/// The sandbox probe `probe`: an ELF executable without program interpreter.
#[cfg(feature = "probe")]
pub static PROBE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/probe"));

/// The file probe `file-probe`: an ELF executable without program interpreter.
#[cfg(feature = "probe")]
pub static FILE_PROBE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/file-probe"));

/// The leak probe `leak-probe`: an ELF executable without program interpreter.
#[cfg(feature = "probe")]
pub static LEAK_PROBE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/leak-probe"));

/// The programs with planted dependences on their surroundings, `planted`: an ELF executable
/// without program interpreter.
#[cfg(feature = "probe")]
pub static PLANTED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/planted"));
