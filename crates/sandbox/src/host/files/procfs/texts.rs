//! The texts of `/proc`, as functions of the host's description and of what the kernel says.
//! Formats: proc(5).

use std::fmt::Write as _;

use crate::host::VirtualHost;

pub(super) fn cpuinfo(processors: u32) -> String {
    let mut text = String::new();
    for number in 0..processors {
        let _ = write!(
            text,
            "processor\t: {number}\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 15\n\
             model name\t: x86-64\nstepping\t: 1\ncpu MHz\t\t: 2000.000\n\
             cache size\t: 4096 KB\nphysical id\t: 0\nsiblings\t: {processors}\n\
             core id\t\t: {number}\ncpu cores\t: {processors}\napicid\t\t: {number}\n\
             fpu\t\t: yes\nflags\t\t: fpu cx8 cmov mmx fxsr sse sse2 syscall lm\n\
             bogomips\t: 4000.00\nclflush size\t: 64\ncache_alignment\t: 64\n\
             address sizes\t: 40 bits physical, 48 bits virtual\n\n"
        );
    }
    text
}

pub(super) fn meminfo(bytes: u64) -> String {
    let total = bytes / 1024;
    let free = total / 2;
    format!(
        "MemTotal:       {total:>8} kB\nMemFree:        {free:>8} kB\n\
         MemAvailable:   {free:>8} kB\nBuffers:        {:>8} kB\nCached:         {:>8} kB\n\
         SwapCached:     {:>8} kB\nSwapTotal:      {:>8} kB\nSwapFree:       {:>8} kB\n",
        0, 0, 0, 0, 0
    )
}

pub(super) fn stat(processors: u32, clock_start: u64) -> String {
    let mut text = "cpu  0 0 0 0 0 0 0 0 0 0\n".to_owned();
    for number in 0..processors {
        let _ = writeln!(text, "cpu{number} 0 0 0 0 0 0 0 0 0 0");
    }
    let boot = clock_start.saturating_sub(1000);
    let _ = write!(
        text,
        "intr 0\nctxt 0\nbtime {boot}\nprocesses 2\nprocs_running 1\nprocs_blocked 0\n\
         softirq 0 0 0 0 0 0 0 0 0 0 0\n"
    );
    text
}

pub(super) fn uuid(bits: [u8; 16]) -> String {
    let bits = u128::from_be_bytes(bits);
    // Version 4, the variant of RFC 9562.
    let bits = bits & !(0xf << 76 | 0x3 << 62) | 4 << 76 | 2 << 62;
    let text = format!("{bits:032x}");
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
    format!(
        "{}-{}-{}-{}-{}\n",
        part(0..8),
        part(8..12),
        part(12..16),
        part(16..20),
        part(20..32)
    )
}

pub(super) const MOUNTINFO: &str = "\
1 0 0:30 / / ro,nosuid,nodev - tmpfs tmpfs ro\n\
2 1 0:31 / /build rw,nosuid,nodev - tmpfs tmpfs rw\n\
3 1 0:31 / /tmp rw,nosuid,nodev - tmpfs tmpfs rw\n\
4 1 0:32 / /proc ro,nosuid,nodev,noexec - proc proc ro\n";
pub(super) const MOUNTS: &str = "\
tmpfs / tmpfs ro,nosuid,nodev 0 0\n\
tmpfs /build tmpfs rw,nosuid,nodev 0 0\n\
tmpfs /tmp tmpfs rw,nosuid,nodev 0 0\n\
proc /proc proc ro,nosuid,nodev,noexec 0 0\n";

/// `/proc/PID/stat` (`proc_pid_stat(5)`): identity, state and signals are real; counters, times,
/// sizes and addresses are not.
pub(super) fn process_stat(real: &str, is_own: bool) -> Option<String> {
    let end = real.rfind(')')?;
    let (name, rest) = real.split_at(end.checked_add(1)?);
    let mut text = name.to_owned();
    // The fields behind the name, numbered as in the manual, from 3.
    for (number, field) in (3..).zip(rest.split_ascii_whitespace()) {
        let shown = match number {
            // Whoever asks runs; that it waits for an answer is the host's way of running it.
            3 if is_own => "R",
            // State, parent, group, session, threads, signals, exit signal.
            3..=6 | 20 | 31..=34 | 38 => field,
            8 => "-1",
            18 => "20",
            22 => "100000",
            23 => "4194304",
            24 => "512",
            25 => "18446744073709551615",
            _ => "0",
        };
        text.push(' ');
        text.push_str(shown);
    }
    text.push('\n');
    Some(text)
}

/// `/proc/PID/status`: the lines that a program's own doing decides are real.
pub(super) fn process_status(real: &str, is_own: bool, host: &VirtualHost) -> String {
    const REAL: &[&str] = &[
        "Name",
        "Umask",
        "State",
        "Tgid",
        "Pid",
        "PPid",
        "FDSize",
        "NStgid",
        "NSpid",
        "NSpgid",
        "NSsid",
        "Threads",
        "SigPnd",
        "ShdPnd",
        "SigBlk",
        "SigIgn",
        "SigCgt",
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
        "NoNewPrivs",
        "Seccomp",
    ];
    const FIXED: &[(&str, &str)] = &[
        ("Ngid", "0"),
        ("TracerPid", "0"),
        ("Groups", ""),
        ("VmPeak", "    4096 kB"),
        ("VmSize", "    4096 kB"),
        ("VmHWM", "    2048 kB"),
        ("VmRSS", "    2048 kB"),
        ("SigQ", "0/1024"),
        ("Seccomp_filters", "1"),
        ("Mems_allowed", "1"),
        ("Mems_allowed_list", "0"),
        ("voluntary_ctxt_switches", "0"),
        ("nonvoluntary_ctxt_switches", "0"),
    ];
    let mut text = String::new();
    for line in real.lines() {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if matches!(name, "NStgid" | "NSpid" | "NSpgid" | "NSsid") {
            // One number for each namespace between the mount's and the process's own.
            let last = value.split_ascii_whitespace().last().unwrap_or("0");
            let _ = writeln!(text, "{name}:\t{last}");
        } else if name == "State" && is_own {
            text.push_str("State:\tR (running)\n");
        } else if REAL.contains(&name) {
            let _ = writeln!(text, "{line}");
        } else if let Some((_, fixed)) = FIXED.iter().find(|(known, _)| *known == name) {
            let _ = writeln!(text, "{name}:\t{fixed}");
        } else if matches!(name, "Uid" | "Gid") {
            let user = host.user_id;
            let _ = writeln!(text, "{name}:\t{user}\t{user}\t{user}\t{user}");
        } else if name == "Cpus_allowed_list" {
            let last = host.processors.saturating_sub(1);
            let range = if last == 0 {
                "0".to_owned()
            } else {
                format!("0-{last}")
            };
            let _ = writeln!(text, "{name}:\t{range}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_stat_keeps_identity_and_signals_only() {
        let real = std::fs::read_to_string("/proc/self/stat").unwrap();
        let shown = process_stat(&real, false).unwrap();
        let count = |text: &str| text.split_ascii_whitespace().count();
        assert_eq!(count(&real), count(&shown));
        assert_eq!(process_stat("no name", false), None);
        let odd = process_stat("7 (a ) b) S 1 1", true).unwrap();
        assert_eq!(odd, "7 (a ) b) R 1 1\n");
    }

    #[test]
    fn a_uuid_has_version_and_variant() {
        let text = uuid([7; 16]);
        assert_eq!(text.len(), 37);
        assert_eq!(text.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&text.as_bytes()[19]));
    }
}
