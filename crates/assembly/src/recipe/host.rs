//! `[host]`: the machine that the steps see, as far as it is not the same for every recipe.
//!
//! A recipe that says nothing gets [`VirtualHost::standard`]. What stands here is part of each
//! action's digest. Absent on purpose: what no recipe may choose (host name, user, time zone, …),
//! and how many processors really work: a step uses those that there are.

use counterseal_sandbox::{Guarantee, Randomness, VirtualHost};
use serde::Deserialize;

use super::{LIMIT_MAX, RecipeError};

/// Most processors that a recipe may show: what readers of `/proc/cpuinfo` and masks handle.
const PROCESSORS_MAX: u32 = 1024;
/// Least memory, in bytes; programs divide by it.
const MEMORY_BYTES_MIN: u64 = 1 << 20;
/// Memory is shown in pages of this size.
const PAGE_BYTES: u64 = 4096;
/// Longest release or version, in bytes (uname(2)).
const TEXT_BYTES_MAX: usize = 64;

/// The checked table `[host]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Host {
    /// Processors that a step counts, from 1 to 1024.
    pub processors: u32,
    /// Memory that a step sees, in bytes; a multiple of 4096, at least 1 MiB.
    pub memory_bytes: u64,
    /// The kernel's release, as uname(2) shows it.
    pub kernel_release: String,
    /// The kernel's version, as uname(2) shows it.
    pub kernel_version: String,
    /// Where random numbers come from.
    pub randomness: RecipeRandomness,
    /// What the processor's time stamp counter shows.
    pub timestamp_counter: TimestampCounter,
}

/// Where random numbers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecipeRandomness {
    /// From the action's digest: the same in every run.
    Seeded,
    /// From the kernel: never the same, and the provenance says so.
    Real,
}

/// What the processor's time stamp counter shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimestampCounter {
    /// The machine's, and the provenance says so.
    Real,
    /// The action's own time; each reading costs some microseconds.
    Virtual,
}

impl Default for Host {
    fn default() -> Self {
        let standard = VirtualHost::standard(0, [0; 32]);
        Self {
            processors: standard.processors,
            memory_bytes: standard.memory_bytes,
            kernel_release: standard.kernel_release,
            kernel_version: standard.kernel_version,
            randomness: RecipeRandomness::Seeded,
            timestamp_counter: TimestampCounter::Real,
        }
    }
}

impl Host {
    /// The machine that an action sees, whose clock starts at `clock_start` (seconds since 1970)
    /// and whose random numbers follow from `seed`.
    pub(crate) fn seen(&self, clock_start: u64, seed: [u8; 32]) -> VirtualHost {
        VirtualHost {
            processors: self.processors,
            memory_bytes: self.memory_bytes,
            kernel_release: self.kernel_release.clone(),
            kernel_version: self.kernel_version.clone(),
            randomness: match self.randomness {
                RecipeRandomness::Seeded => Randomness::Seeded,
                RecipeRandomness::Real => Randomness::Real,
            },
            virtual_timestamp_counter: self.timestamp_counter == TimestampCounter::Virtual,
            ..VirtualHost::standard(clock_start, seed)
        }
    }

    /// What the recipe does not ask for; a run without it is no less than what was wanted.
    pub(crate) fn is_given_up(&self, guarantee: Guarantee) -> bool {
        match guarantee {
            Guarantee::Randomness => self.randomness == RecipeRandomness::Real,
            Guarantee::TimestampCounter => self.timestamp_counter == TimestampCounter::Real,
            _ => false,
        }
    }

    /// Names and values for the action's digest, complete.
    pub(crate) fn properties(&self) -> [(&'static str, String); 6] {
        let randomness = match self.randomness {
            RecipeRandomness::Seeded => "seeded",
            RecipeRandomness::Real => "real",
        };
        let timestamp_counter = match self.timestamp_counter {
            TimestampCounter::Real => "real",
            TimestampCounter::Virtual => "virtual",
        };
        [
            (
                "counterseal-host-kernel-release",
                self.kernel_release.clone(),
            ),
            (
                "counterseal-host-kernel-version",
                self.kernel_version.clone(),
            ),
            (
                "counterseal-host-memory-bytes",
                self.memory_bytes.to_string(),
            ),
            ("counterseal-host-processors", self.processors.to_string()),
            ("counterseal-host-randomness", randomness.to_owned()),
            (
                "counterseal-host-timestamp-counter",
                timestamp_counter.to_owned(),
            ),
        ]
    }

    pub(super) fn check(&self) -> Result<(), RecipeError> {
        if !(1..=PROCESSORS_MAX).contains(&self.processors) {
            return Err(RecipeError::HostProcessors {
                found: self.processors,
                max: PROCESSORS_MAX,
            });
        }
        let is_memory = (MEMORY_BYTES_MIN..=LIMIT_MAX).contains(&self.memory_bytes)
            && self.memory_bytes.is_multiple_of(PAGE_BYTES);
        if !is_memory {
            return Err(RecipeError::HostMemory {
                found: self.memory_bytes,
            });
        }
        for (name, text) in [
            ("kernel-release", &self.kernel_release),
            ("kernel-version", &self.kernel_version),
        ] {
            let is_shown = !text.is_empty()
                && text.len() <= TEXT_BYTES_MAX
                && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            // Kernel modules and headers lie in directories that are named by the release.
            let is_name = name != "kernel-release" || !text.contains([' ', '/']);
            if !(is_shown && is_name) {
                return Err(RecipeError::HostText {
                    name,
                    found: text.clone(),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Host, String> {
        let host: Host = toml::from_str(text).map_err(|error| error.to_string())?;
        host.check().map_err(|error| error.to_string())?;
        Ok(host)
    }

    #[test]
    fn nothing_stated_is_the_standard_host() {
        let seen = read("").unwrap().seen(7, [1; 32]);
        assert_eq!(seen, VirtualHost::standard(7, [1; 32]));
    }

    #[test]
    fn what_is_stated_is_seen() {
        let host = read(
            "processors = 4\nmemory-bytes = 1073741824\nkernel-release = \"5.10.0-x\"\n\
             kernel-version = \"#7 SMP x\"\nrandomness = \"real\"\ntimestamp-counter = \"virtual\"",
        )
        .unwrap();
        let expected = VirtualHost {
            processors: 4,
            memory_bytes: 1 << 30,
            kernel_release: "5.10.0-x".to_owned(),
            kernel_version: "#7 SMP x".to_owned(),
            randomness: Randomness::Real,
            virtual_timestamp_counter: true,
            ..VirtualHost::standard(7, [1; 32])
        };
        assert_eq!(host.seen(7, [1; 32]), expected);
        assert!(host.is_given_up(Guarantee::Randomness));
        assert!(!host.is_given_up(Guarantee::TimestampCounter));
    }

    #[test]
    fn every_value_is_a_property() {
        let standard = Host::default().properties();
        for change in [
            "processors = 2",
            "memory-bytes = 1048576",
            "kernel-release = \"x\"",
            "kernel-version = \"x\"",
            "randomness = \"real\"",
            "timestamp-counter = \"virtual\"",
        ] {
            let changed = read(change).unwrap().properties();
            let differing = standard.iter().zip(&changed).filter(|(a, b)| a != b);
            assert_eq!(differing.count(), 1, "{change}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, named) in [
            ("processors = 0", "processors"),
            ("processors = 1025", "1025"),
            ("processors = -1", "processors"),
            ("memory-bytes = 4096", "memory-bytes"),
            ("memory-bytes = 1048577", "4096"),
            ("memory-bytes = 9007199254740992", "memory-bytes"),
            ("kernel-release = \"\"", "kernel-release"),
            ("kernel-release = \"6.1 x\"", "kernel-release"),
            ("kernel-release = \"../x\"", "kernel-release"),
            ("kernel-version = \"a\\nb\"", "kernel-version"),
            ("randomness = \"some\"", "randomness"),
            ("timestamp-counter = 1", "timestamp-counter"),
            ("procesors = 1", "procesors"),
        ] {
            let message = read(text).unwrap_err();
            assert!(message.contains(named), "{text}: {message}");
        }
        let long = format!("kernel-version = \"{}\"", "x".repeat(TEXT_BYTES_MAX + 1));
        assert!(read(&long).is_err());
    }
}
