//! Container formats as pure bytes: what is inside an installer or a package, and how our own
//! archives are packed.
//!
//! - [`deb`]: reading Debian binary packages, `deb(5)`.
//! - [`tar`]: reading tar archives that nobody vouches for.
//! - [`tar_zst`]: packing the one `.tar.zst` that a set of files has.
//!
//! Everything works on `Read` and `Write`; this crate opens no file, knows no clock and starts
//! no thread. Every size, count and depth has a bound, because archives come from strangers.
//!
//! Absent on purpose: extracting to disk (paths that a file system resolves are how archives
//! escape; callers build trees in memory instead).

mod compression;
pub mod deb;
mod path;
pub mod tar;
pub mod tar_zst;
