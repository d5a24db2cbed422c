//! Every environment variable this program reads, in one place.
//! Deliberately absent: reading them (the callers do, once).

/// The trust file to use when `--trust` is not given; since 0.1.0.
pub(crate) const TRUST: &str = "COUNTERSEAL_TRUST";
/// Where per-user configuration lives (XDG base directories); since 0.1.0.
pub(crate) const CONFIG_HOME: &str = "XDG_CONFIG_HOME";
/// The fallback for the above is `$HOME/.config`; since 0.1.0.
pub(crate) const HOME: &str = "HOME";
/// No colours when set to anything but the empty text (no-color.org); since 0.1.0.
pub(crate) const NO_COLOR: &str = "NO_COLOR";
