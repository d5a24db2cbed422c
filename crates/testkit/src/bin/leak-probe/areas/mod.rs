//! The areas, in the order in which they look. Who comes first sees the least of the others'
//! traces.

mod again;
mod answers;
mod children;
mod clocks;
mod counter;
mod descriptors;
mod files;
mod inputs;
mod leaderless;
mod machine;
mod memory;
mod network;
mod new_files;
mod process;
mod processor;
mod procfs;
mod random;
mod sleepers;
mod surface;
mod waits;

use crate::report::Report;

/// Name, and what looks.
type Area = (&'static str, fn(&mut Report));

pub(crate) const ALL: [Area; 16] = [
    ("memory", memory::look),
    ("process", process::look),
    ("machine", machine::look),
    ("random", random::look),
    ("files", files::look),
    ("inputs", inputs::look),
    ("procfs", procfs::look),
    ("descriptors", descriptors::look),
    ("network", network::look),
    ("children", children::look),
    ("clocks", clocks::look),
    ("again", again::look),
    ("processor", processor::look),
    ("surface", surface::look),
    // The last, since what is seen of the host's time there stays in the clock of who has seen it.
    ("waits", waits::look),
    ("storms", children::under_signals),
];

/// Areas that are looked at by name only: what a program that was executed by the probe itself
/// looks at, and what makes sense in some sandboxes only.
pub(crate) const BY_NAME: [Area; 6] = [
    (again::WORD, again::answer),
    (counter::WORD, counter::look),
    (counter::EXECUTED, counter::answer),
    (leaderless::WORD, leaderless::look),
    (sleepers::WORD, sleepers::look),
    (answers::WORD, answers::look),
];
