//! The bounds of the rule language and of the pack, in one place.
//!
//! They are part of both formats: the parser and the checker enforce them on the way in, the pack's
//! reader enforces them again on bytes from a stranger.

/// Longest source file, in bytes.
pub const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest source line without its line feed, in bytes.
pub const LINE_BYTES_MAX: usize = 8 * 1024;
/// Most rules in one database.
pub const RULES_MAX: usize = 1 << 20;
/// Longest rule id, in bytes.
pub const ID_BYTES_MAX: usize = 64;
/// Longest title, in bytes.
pub const TITLE_BYTES_MAX: usize = 200;
/// Longest tag, in bytes.
pub const TAG_BYTES_MAX: usize = 40;
/// Longest reference, in bytes.
pub const REFERENCE_BYTES_MAX: usize = 500;
/// Longest domain name, in bytes (RFC 1035 section 2.3.4, without the final dot).
pub const DOMAIN_BYTES_MAX: usize = 253;
/// Most tags, and most references, of one rule.
pub const LABELS_MAX: usize = 32;
/// Most byte and text patterns of one rule.
pub const PATTERNS_MAX: usize = 64;
/// Most file digests, and most domain names, of one rule.
pub const INDICATORS_MAX: usize = 4096;
/// Longest pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 1024;
/// Fewest fully given bytes in a pattern that can make its rule match on its own.
pub const PATTERN_FIXED_BYTES_MIN: usize = 4;
/// Largest start offset of an anchored pattern, in bytes.
pub const OFFSET_BYTES_MAX: u32 = 16 * 1024 * 1024;
/// Longest product version, in bytes.
pub const VERSION_BYTES_MAX: usize = 64;
/// Largest pack, in bytes.
pub const PACK_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Largest buffer that is scanned in one call, in bytes.
pub const SCAN_BYTES_MAX: usize = 16 * 1024 * 1024;
