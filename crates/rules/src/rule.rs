//! One rule and its parts, as both the text form and the pack mean them.
//!
//! [`Rule`]'s `Display` writes the text form of [`crate::source`], so that what comes out of a pack
//! can be read, compared and compiled again. Deliberately absent: positions in files
//! ([`crate::source::SourceRule`]) and byte offsets in packs ([`crate::layout`]).

use std::fmt;

pub(crate) mod forms;
pub(crate) mod pattern;

use crate::problem::Problem;

pub use pattern::{Pattern, PatternForm};

use forms::{Hex, Quoted};

/// How much a match of a rule matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing: test files, inventory.
    Informational,
    /// Unwanted.
    Low,
    /// Suspicious; a person should look.
    Medium,
    /// Malicious.
    High,
    /// Malicious, and spreading or destructive.
    Critical,
}

impl Severity {
    /// All severities, mildest first.
    pub const ALL: [Self; 5] = [
        Self::Informational,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::Critical,
    ];

    /// The word of the text form.
    pub fn word(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The severity that `word` names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.word() == word)
    }
}

/// How the patterns of one rule combine. File digests and domain names each match on their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// Every pattern occurs.
    All,
    /// At least one pattern occurs.
    Any,
}

impl Condition {
    /// The word of the text form.
    pub fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Any => "any",
        }
    }
}

/// One detection rule. Lists are sorted and hold nothing twice, except in rules made by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name for ever: upper-case words of letters and digits joined by hyphens.
    pub id: String,
    /// Counts the changes of this rule, from 1.
    pub revision: u32,
    /// How much a match matters.
    pub severity: Severity,
    /// One line for people.
    pub title: String,
    /// Lower-case words to group rules by.
    pub tags: Vec<String>,
    /// `https` addresses with background.
    pub references: Vec<String>,
    /// How `patterns` combine; [`Condition::All`] when there are none.
    pub condition: Condition,
    /// What to find in contents.
    pub patterns: Vec<Pattern>,
    /// SHA-256 of whole files that match.
    pub sha256: Vec<[u8; 32]>,
    /// Domain names that match, each with every name below it.
    pub domains: Vec<String>,
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "rule {}", self.id)?;
        writeln!(out, "revision {}", self.revision)?;
        writeln!(out, "severity {}", self.severity.word())?;
        writeln!(out, "title {}", Quoted(self.title.as_bytes()))?;
        for tag in &self.tags {
            writeln!(out, "tag {tag}")?;
        }
        for reference in &self.references {
            writeln!(out, "reference {reference}")?;
        }
        if !self.patterns.is_empty() {
            writeln!(out, "condition {}", self.condition.word())?;
        }
        for pattern in &self.patterns {
            writeln!(out, "{pattern}")?;
        }
        for digest in &self.sha256 {
            writeln!(out, "sha256 {}", Hex(digest))?;
        }
        for domain in &self.domains {
            writeln!(out, "domain {domain}")?;
        }
        writeln!(out, "end")
    }
}

/// Something observed that can be looked up exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Indicator {
    /// The SHA-256 of a whole file.
    Sha256([u8; 32]),
    /// A domain name in lower case; names above it are looked up too.
    Domain(String),
}

impl Indicator {
    /// Reads 64 lower-case hexadecimal digits as a digest, anything else as a domain name.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if let Some(digest) = forms::parse_sha256(text) {
            return Ok(Self::Sha256(digest));
        }
        if forms::is_domain(text) {
            return Ok(Self::Domain(text.to_owned()));
        }
        Err(Problem::Malformed {
            expected: "SHA-256 in lower-case hexadecimal or a lower-case domain name",
            found: text.to_owned(),
        })
    }
}
