//! What every journey stands on: the built programs, a workbench of directories of its own, and
//! the small products that are assembled on it.
//!
//! Everything a journey writes lies below one temporary directory; the programs run with an empty
//! home and no inherited environment, so that no setting of the machine's user has a say.

mod bench;
mod defects;
mod forge;
mod products;
mod programs;

pub(crate) use bench::{Bench, copy_directory, files_below, remove_directory};
pub(crate) use defects::{defects, refused, with};
pub(crate) use forge::{append, publish, replace_recipe, sign};
pub(crate) use products::{PACK, Probe, rules};
pub(crate) use programs::{Program, Ran};
