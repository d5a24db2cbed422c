//! The names of everything below the directory of a record.
//!
//! What is published has the names that C2SP tlog-tiles gives: `checkpoint`
//! and everything below `tile/`. What only the appender needs stands below
//! `.state/` and can be left out when a record is served or copied.

use std::path::Path;

/// The signed checkpoint: what it covers is recorded, nothing else is.
pub(crate) const CHECKPOINT: &str = "checkpoint";
/// Tiles and entry bundles.
pub(crate) const TILES: &str = "tile";
/// What belongs to the appender.
pub(crate) const STATE: &str = ".state";
/// The file that appenders lock. It is empty.
pub(crate) const LOCK: &str = ".state/lock";
/// Files on their way to their name. Emptied by every appender.
pub(crate) const STAGING: &str = ".state/staging";

/// Whether a name is of what others read, now or once it has been published: everything but what
/// belongs to the appender alone.
pub(crate) fn is_for_everybody(name: &str) -> bool {
    let is_in = |directory: &str| Path::new(name).starts_with(directory);
    !is_in(STATE) || is_in(STAGING) && name != STAGING
}

/// The directories above a name, from the nearest up to the record itself ("").
pub(crate) fn ancestors(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| {
        if name.is_empty() {
            None
        } else {
            Some(name.rsplit_once('/').map_or("", |(above, _)| above))
        }
    })
    .skip(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_published_is_for_everybody() {
        for name in ["", CHECKPOINT, TILES, "tile/0/000", ".state/staging/0"] {
            assert!(is_for_everybody(name), "{name}");
        }
        for name in [STATE, LOCK, STAGING] {
            assert!(!is_for_everybody(name), "{name}");
        }
    }

    #[test]
    fn ancestors_end_at_the_record_itself() {
        assert_eq!(
            ancestors("tile/0/000").collect::<Vec<_>>(),
            ["tile/0", "tile", ""]
        );
        assert_eq!(ancestors(CHECKPOINT).collect::<Vec<_>>(), [""]);
        assert_eq!(ancestors("").count(), 0);
    }
}
