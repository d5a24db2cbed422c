//! The host that an action sees: a clock, a kernel, a machine and files that are the same
//! whoever runs it, wherever and whenever.
//!
//! What the kernel can be told to do alone (namespaces, limits, a personality) it does; the few
//! calls whose answers would show the real host trap (`seccomp_unotify(2)`) and are answered by a
//! thread of the parent, the *service*. Everything else runs at full speed.
//!
//! * `service.rs` takes the calls and hands them out;
//! * `process/`: what each thread and process is, and its memory; calls that wait for a child;
//! * `time/`: clocks, timers, waits, and the processor's counter for an action that wants it;
//! * `files/`: paths, statuses and times, the order of directories, `/proc`;
//! * `random/`: what threads draw, and the device;
//! * `machine.rs`, `network.rs`: calls that ask for the machine, and names of sockets.
//!
//! Absent on purpose: security. A program that races its own memory against the service may see
//! a real value; what it can reach is bounded by namespaces and the filter, not by this.

mod files;
mod machine;
mod network;
mod process;
mod random;
mod service;
mod time;

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::action::{BUILD_DIRECTORY, HOME_DIRECTORY, HOST_NAME, SEARCH_PATH, USER_ID};

pub(crate) use process::vdso::Patch;
pub(crate) use service::{Carried, Findings, Ground, Service};

/// What the service remembers is looked up several times for each trapped call, by keys that the
/// action may choose: with a hash that is quick and cannot be guessed.
type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
type Set<K> = HashSet<K, foldhash::fast::RandomState>;

/// What an action sees of its host. Each field is a value of ours, none is the real host's.
///
/// In JSON every field is stated: what an action sees must not depend on which version of this
/// crate reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VirtualHost {
    /// The time at which every action begins, in seconds since 1970.
    pub clock_start: u64,
    /// The time that every input shows, in seconds since 1970, whatever the file system behind it
    /// says.
    pub input_time: u64,
    /// Where random bytes come from, for as long as `randomness` is [`Randomness::Seeded`].
    #[serde(with = "crate::written::seed")]
    pub seed: [u8; 32],
    /// Whether random bytes are the seed's or the kernel's.
    pub randomness: Randomness,
    /// Processors that the action may count, from 1 to 1024; it uses those that are there.
    pub processors: u32,
    /// Memory that the action sees, in bytes.
    pub memory_bytes: u64,
    /// The kernel's release (uname(2)).
    pub kernel_release: String,
    /// The kernel's version (uname(2)).
    pub kernel_version: String,
    /// In which order directories list their entries.
    pub directory_order: DirectoryOrder,
    /// Distinguishes the inode numbers of inputs from those of another host.
    #[serde(with = "crate::written::number")]
    pub inode_salt: u64,
    /// Whether addresses are random, by the kernel.
    pub random_addresses: bool,
    /// Whether the processor's time stamp counter shows the action's own time: nanoseconds of
    /// its `CLOCK_MONOTONIC`. A reading, a started process and a signal then cost some
    /// microseconds more.
    pub virtual_timestamp_counter: bool,
    /// The host name, at most 64 bytes.
    pub host_name: String,
    /// User and group of the action.
    pub user_id: u32,
    /// The file creation mask that the action begins with.
    pub umask: u32,
    /// The number of the action's first process, from 2 to 30,000.
    pub first_process: i32,
    /// Where the build directory appears a second time, if it is not `/build`: an absolute path
    /// of one component that the root does not have.
    pub build_path: String,
    /// `LANG` and `LC_ALL`.
    pub locale: String,
    /// `TZ`.
    pub time_zone: String,
    /// `HOME`, unless the recipe sets another; it must exist.
    pub home: String,
    /// `PATH`, unless the recipe sets another.
    pub search_path: String,
    /// More variables, unless the recipe sets them itself.
    pub extra_environment: BTreeMap<String, String>,
}

/// Where random bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Randomness {
    /// From the action's seed: the same in every run.
    Seeded,
    /// From the kernel: never the same.
    Real,
}

/// In which order directories list their entries; in JSON `sorted`, `reversed`, or `shuffled:` and
/// sixteen hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum DirectoryOrder {
    /// By their names' bytes.
    Sorted,
    /// By their names' bytes, backwards.
    Reversed,
    /// By a digest of name and number.
    Shuffled(u64),
}

impl VirtualHost {
    /// The host that an action sees if its recipe states nothing else.
    pub fn standard(clock_start: u64, seed: [u8; 32]) -> Self {
        Self {
            clock_start,
            input_time: clock_start,
            seed,
            randomness: Randomness::Seeded,
            processors: 1,
            memory_bytes: 8 << 30,
            kernel_release: "6.1.0".to_owned(),
            kernel_version: "#1 SMP".to_owned(),
            directory_order: DirectoryOrder::Sorted,
            inode_salt: 0,
            random_addresses: false,
            virtual_timestamp_counter: false,
            host_name: HOST_NAME.to_owned(),
            user_id: USER_ID,
            umask: 0o022,
            first_process: 2,
            build_path: BUILD_DIRECTORY.to_owned(),
            locale: "C.UTF-8".to_owned(),
            time_zone: "UTC".to_owned(),
            home: HOME_DIRECTORY.to_owned(),
            search_path: SEARCH_PATH.to_owned(),
            extra_environment: BTreeMap::new(),
        }
    }
}
