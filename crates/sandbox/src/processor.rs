//! What programs learn from the processor itself, without the kernel that could hide it: the
//! sentences that the isolation manifest has for it on this machine.
//!
//! Absent on purpose: hiding any of it. Where the processor could trap the instruction the
//! sentence says so, so that nobody takes a choice of ours for a limit of the machine.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use crate::guarantee::Guarantee;

/// The kernel's names of what this processor has (`flags` in `/proc/cpuinfo`); empty if they
/// cannot be read.
fn features() -> &'static BTreeSet<String> {
    static FEATURES: OnceLock<BTreeSet<String>> = OnceLock::new();
    FEATURES
        .get_or_init(|| features_in(&std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default()))
}

fn features_in(text: &str) -> BTreeSet<String> {
    let line = text.lines().find(|line| line.starts_with("flags"));
    let names = line.and_then(|line| line.split_once(':'));
    let names = names
        .map_or("", |(_, names)| names)
        .split_ascii_whitespace();
    names.map(str::to_owned).collect()
}

/// What a step can see of the host as long as this guarantee is absent, if it is about the
/// processor.
pub(crate) fn what_shows(guarantee: Guarantee) -> Option<String> {
    what_shows_with(guarantee, features())
}

fn what_shows_with(guarantee: Guarantee, features: &BTreeSet<String>) -> Option<String> {
    let has = |name: &str| features.contains(name);
    let text = match guarantee {
        Guarantee::TimestampCounter => {
            "rdtsc and rdtscp show the machine's counter, and rdtscp the processor's number"
        }
        Guarantee::ProcessorIdentity if has("cpuid_fault") => {
            "not masked by this version, although this processor can trap it: CPUID shows model, \
             features and number of the processor"
        }
        Guarantee::ProcessorIdentity => {
            "not maskable on this machine, which does not trap CPUID: it shows model, features \
             and number of the processor"
        }
        Guarantee::ProcessorNumber if has("rdpid") => {
            "not maskable on this machine: rdpid and the segment limit (lsl) show the number of \
             the processor that a thread runs on"
        }
        Guarantee::ProcessorNumber => {
            "not maskable on this machine: the segment limit (lsl) shows the number of the \
             processor that a thread runs on"
        }
        Guarantee::HardwareRandomness => match (has("rdrand"), has("rdseed")) {
            (true, true) => "not maskable on this machine: rdrand and rdseed draw real randomness",
            (true, false) => "not maskable on this machine: rdrand draws real randomness",
            (false, true) => "not maskable on this machine: rdseed draws real randomness",
            (false, false) => {
                "not masked: the kernel lists neither rdrand nor rdseed for this processor, and \
                 would trap neither"
            }
        },
        Guarantee::CountingThreads => {
            "not maskable on this machine: how far a thread counts while another works is a clock \
             of the host's"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_name_what_the_processor_has() {
        let with = |flags: &str| features_in(&format!("processor\t: 0\nflags\t\t: {flags}\n"));
        for (guarantee, flags, named, unnamed) in [
            (
                Guarantee::ProcessorIdentity,
                "fpu",
                "not maskable",
                "can trap",
            ),
            (
                Guarantee::ProcessorIdentity,
                "cpuid_fault",
                "can trap",
                "not maskable",
            ),
            (Guarantee::ProcessorNumber, "rdpid fpu", "rdpid", "rdrand"),
            (Guarantee::ProcessorNumber, "fpu", "lsl", "rdpid"),
            (Guarantee::HardwareRandomness, "rdrand", "rdrand", "rdseed"),
            (
                Guarantee::HardwareRandomness,
                "rdseed rdrand",
                "rdseed",
                "neither",
            ),
            (Guarantee::CountingThreads, "", "thread", "rdtsc"),
            (Guarantee::TimestampCounter, "", "rdtscp", "maskable"),
        ] {
            let text = what_shows_with(guarantee, &with(flags)).unwrap();
            assert!(text.contains(named) && !text.contains(unnamed), "{text}");
        }
        assert_eq!(what_shows(Guarantee::Network), None);
        assert!(features_in("").is_empty());
    }
}
