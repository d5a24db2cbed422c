//! The formats as a stranger meets them: through the public interface, as whole texts.
//!
//! Each module makes valid texts, then spoils one thing at a time; the tables name the defect.

mod bundle;
mod bundle_refusals;
mod leaf;
mod provenance;
mod replay_verdict;
mod samples;
mod schemas;
mod statement;
