//! What a replayer states about its machine, so that readers can tell two apart.

use std::collections::BTreeMap;

/// Kernel, processor model and operating system of this machine, as far as they can be read.
pub(crate) fn environment() -> BTreeMap<String, String> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let value = |text: Option<String>, key: &str, separator: char| {
        text?.lines().find_map(|line| {
            let (name, value) = line.split_once(separator)?;
            (name.trim() == key).then(|| value.trim().trim_matches('"').to_owned())
        })
    };
    let found = [
        (
            "kernel",
            read("/proc/sys/kernel/osrelease").map(|text| text.trim().to_owned()),
        ),
        ("processor", value(read("/proc/cpuinfo"), "model name", ':')),
        (
            "operating-system",
            value(read("/etc/os-release"), "PRETTY_NAME", '='),
        ),
    ];
    found
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}
