//! The switches of a variation: each makes one thing that a step can see another than in the first
//! build. The list is that of reprotest, as far as it is about the machine, and what else the
//! sandbox decides.
//!
//! Of what a recipe states only the year is here, to be asked for by name. Absent on purpose: the
//! rest of it (inputs, arguments, its own variables, `SOURCE_DATE_EPOCH`), and what the sandbox does
//! not hide.

use std::fmt;
use std::str::FromStr;

use counterseal_attestation::UnixSeconds;
use counterseal_sandbox::{BUILD_DIRECTORY, DirectoryOrder, TEMPORARY_DIRECTORY, VirtualHost};

use super::moved;

/// One thing that a second build sees otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Switch {
    /// The clock begins later in the same calendar year (UTC): on another day of the week, at another
    /// hour, minute and second, and before November in another month. Times of written files follow it.
    ///
    /// The year stays because the recipe states it with its epoch, as it states its version: what
    /// puts "2022" into a product depends on the recipe, not on when somebody builds it. Months,
    /// days and times are the epoch's as well, but nobody states these for a product to show.
    Clock,
    /// The clock begins a year later, to the day: shows what takes the year from the recipe's
    /// epoch. Only when named ([`Self::is_stated`]).
    Year,
    /// Random numbers follow from another seed.
    Seed,
    /// More processors.
    Processors,
    /// More memory.
    Memory,
    /// Another kernel release and version.
    Kernel,
    /// Addresses are random.
    Addresses,
    /// Directories list their entries backwards.
    DirectoryOrder,
    /// Inputs have other inode numbers.
    Inodes,
    /// Processes have other numbers.
    ProcessIds,
    /// Another host name.
    HostName,
    /// Another user and group.
    User,
    /// Another file creation mask.
    Umask,
    /// Another language.
    Locale,
    /// Another time zone.
    TimeZone,
    /// Another home directory.
    Home,
    /// One more directory in `PATH`.
    SearchPath,
    /// One more variable.
    Environment,
    /// The build happens in another directory, which is `/build` as well.
    BuildPath,
}

impl Switch {
    /// Every switch, also those that are turned only when they are named.
    pub const ALL: [Self; 19] = [
        Self::Clock,
        Self::Year,
        Self::Seed,
        Self::Processors,
        Self::Memory,
        Self::Kernel,
        Self::Addresses,
        Self::DirectoryOrder,
        Self::Inodes,
        Self::ProcessIds,
        Self::HostName,
        Self::User,
        Self::Umask,
        Self::Locale,
        Self::TimeZone,
        Self::Home,
        Self::SearchPath,
        Self::Environment,
        Self::BuildPath,
    ];

    /// The stable kebab-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::Year => "year",
            Self::Seed => "seed",
            Self::Processors => "processors",
            Self::Memory => "memory",
            Self::Kernel => "kernel",
            Self::Addresses => "addresses",
            Self::DirectoryOrder => "directory-order",
            Self::Inodes => "inodes",
            Self::ProcessIds => "process-ids",
            Self::HostName => "host-name",
            Self::User => "user",
            Self::Umask => "umask",
            Self::Locale => "locale",
            Self::TimeZone => "time-zone",
            Self::Home => "home",
            Self::SearchPath => "search-path",
            Self::Environment => "environment",
            Self::BuildPath => "build-path",
        }
    }

    /// Whether a recipe states on purpose what this moves, so that a product may well depend on it:
    /// such a switch is turned only when it is named.
    pub const fn is_stated(self) -> bool {
        matches!(self, Self::Year)
    }

    /// Makes one thing of `host` another than it is.
    pub(crate) fn turn(self, host: &mut VirtualHost) {
        match self {
            Self::Clock => {
                host.clock_start = moved::within_year(UnixSeconds(host.clock_start)).0;
            }
            Self::Year => {
                host.clock_start = moved::to_other_year(UnixSeconds(host.clock_start)).0;
            }
            Self::Seed => host.seed = host.seed.map(|byte| !byte),
            Self::Processors => {
                host.processors = match host.processors {
                    few @ ..PROCESSORS_MANY => few + 3,
                    many => many - 3,
                }
            }
            Self::Memory => host.memory_bytes = host.memory_bytes.saturating_add(3 << 30),
            Self::Kernel => {
                let release = if host.kernel_release == OTHER_RELEASES[0] {
                    OTHER_RELEASES[1]
                } else {
                    OTHER_RELEASES[0]
                };
                release.clone_into(&mut host.kernel_release);
                // Long enough to be another, short enough for uname(2).
                let known = host.kernel_version.chars().take(50);
                host.kernel_version = known.chain(" VARIED".chars()).collect();
            }
            Self::Addresses => host.random_addresses = !host.random_addresses,
            Self::DirectoryOrder => {
                host.directory_order = match host.directory_order {
                    DirectoryOrder::Reversed => DirectoryOrder::Sorted,
                    _ => DirectoryOrder::Reversed,
                }
            }
            Self::Inodes => host.inode_salt ^= 0x5eed,
            Self::ProcessIds => host.first_process += 98,
            Self::HostName => host.host_name = format!("{}-varied", host.host_name),
            Self::User => host.user_id += 1729,
            // 002 for 022: what a group may write; tighter masks break tools that insist on modes.
            Self::Umask => host.umask ^= 0o020,
            Self::Locale => "et_EE.UTF-8".clone_into(&mut host.locale),
            Self::TimeZone => "VRY-13:45".clone_into(&mut host.time_zone),
            Self::Home => TEMPORARY_DIRECTORY.clone_into(&mut host.home),
            Self::SearchPath => host.search_path.push_str(":/varied/bin"),
            Self::Environment => {
                let value = "what a build takes over from its environment".to_owned();
                host.extra_environment.insert("VARIED".to_owned(), value);
            }
            Self::BuildPath => host.build_path = format!("{BUILD_DIRECTORY}-varied"),
        }
    }
}

/// From here on fewer processors are another number of them, not more.
const PROCESSORS_MANY: u32 = 1000;
const OTHER_RELEASES: [&str; 2] = ["6.12.41-varied", "5.15.170-varied"];

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is not a switch's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no switch is called {name}; the names are {}", Switch::ALL.map(Switch::name).join(", "))]
pub struct UnknownSwitch {
    /// What was given.
    pub name: String,
}

impl FromStr for Switch {
    type Err = UnknownSwitch;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|switch| switch.name() == name);
        found.ok_or_else(|| UnknownSwitch {
            name: name.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Host;

    #[test]
    fn names_parse_back() {
        for switch in Switch::ALL {
            assert_eq!(switch.name().parse(), Ok(switch));
        }
        let error = "clok".parse::<Switch>().unwrap_err().to_string();
        assert!(error.contains("clok") && error.contains("clock"), "{error}");
    }

    #[test]
    fn only_the_year_has_to_be_named() {
        let stated: Vec<Switch> = Switch::ALL.into_iter().filter(|s| s.is_stated()).collect();
        assert_eq!(stated, [Switch::Year]);
    }

    #[test]
    fn each_switch_changes_every_host_in_a_way_of_its_own() {
        let hosts = [
            Host::default(),
            Host {
                processors: 1024,
                memory_bytes: 1 << 52,
                kernel_release: OTHER_RELEASES[0].to_owned(),
                kernel_version: "x".repeat(64),
                ..Host::default()
            },
        ];
        for host in hosts.map(|host| host.seen(1_700_000_000, [7; 32])) {
            let mut seen = vec![host.clone()];
            for switch in Switch::ALL {
                let mut turned = host.clone();
                switch.turn(&mut turned);
                assert!(!seen.contains(&turned), "{switch}");
                assert!(turned.kernel_version.len() <= 64 && turned.host_name.len() <= 64);
                assert!((1..=1024).contains(&turned.processors));
                seen.push(turned);
            }
        }
    }
}
