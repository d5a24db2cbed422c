//! The threat-detection rule database: text in, one binary pack out, lookups on the pack.
//!
//! | step | module | input → result |
//! |---|---|---|
//! | read | [`source`] | a `*.rule` file → [`source::SourceRule`]s, each part with its line and column |
//! | check | [`check`] | all rules of a database → [`RuleSet`], or every finding |
//! | compile | [`compile`] | [`RuleSet`] + [`Stamp`] → pack bytes |
//! | use | [`Pack`], [`Scanner`] | pack bytes → rules by id, by indicator, by content |
//!
//! The text form is specified in [`source`], the pack in [`layout`]. The program `rulec` puts files
//! and arguments around this library.
//!
//! A pack is a function of the *set* of rules and of the [`Stamp`]: neither the names nor the order
//! of the source files can be seen in it. Every byte of it is covered by a digest that
//! [`Pack::parse`] recomputes.
//!
//! Deliberately absent: files, clocks, environment (all in `rulec`), signatures (a pack is an
//! artifact like any other; its provenance lies beside it), and decompression or unpacking of what
//! is scanned.
//!
//! # Examples
//! ```
//! use counterseal_rules::{Indicator, Pack, Stamp, check, compile, source};
//!
//! let text = "rule EX-1\nrevision 1\nseverity low\ntitle \"An example\"\ndomain bad.example\nend\n";
//! let rules = check(source::parse("one.rule", text.as_bytes()).unwrap()).unwrap();
//! let bytes = compile(&rules, &Stamp::new("2026.1", 1_700_000_000).unwrap()).unwrap();
//! let pack = Pack::parse(&bytes).unwrap();
//! let found = pack.lookup(&Indicator::parse("www.bad.example").unwrap());
//! assert_eq!(found[0].id(), "EX-1");
//! ```

mod check;
mod compile;
pub mod layout;
pub mod limits;
mod pack;
mod problem;
mod rule;
mod scan;
pub mod source;

pub use check::{RuleSet, check};
pub use compile::{CompileError, Stamp, compile};
pub use pack::{Pack, PackError, RuleView};
pub use problem::Problem;
pub use rule::{Condition, Indicator, Pattern, PatternForm, Rule, Severity};
pub use scan::{Hit, ScanError, Scanner};
