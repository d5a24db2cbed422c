//! One file a verb.

pub(crate) mod assemble;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod fetch;
pub(crate) mod inputs;
pub(crate) mod keys;
pub(crate) mod lock;
pub(crate) mod manual;
pub(crate) mod record;
pub(crate) mod replay;
pub(crate) mod show;
pub(crate) mod store;
pub(crate) mod trust;
pub(crate) mod vary;
