//! What of a host's settings a step can find out by how far its calls go before they are refused:
//! the sentence that the isolation manifest has for it, with the values.
//!
//! Absent on purpose: settings that a step cannot tell (`sysctl(8)` has hundreds).

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use crate::proc_text::proc_text;

const SETTINGS: [&str; 11] = [
    "fs.aio-max-nr",
    "fs.file-max",
    "fs.pipe-user-pages-soft",
    "net.core.rmem_default",
    "net.core.rmem_max",
    "net.core.wmem_default",
    "net.core.wmem_max",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "vm.max_map_count",
    "vm.overcommit_memory",
];
const FORMATS: &str = "/proc/sys/fs/binfmt_misc";

/// The settings, and formats of programs, as this process found them first.
pub(crate) fn what_shows() -> &'static str {
    static SENTENCE: OnceLock<String> = OnceLock::new();
    SENTENCE.get_or_init(|| {
        // Where users can have formats of their own, a room has none.
        if is_kernel_since(6, 7) {
            sentence(&[])
        } else {
            sentence(&formats(Path::new(FORMATS)))
        }
    })
}

/// Whether the kernel is this release or a later one.
pub(crate) fn is_kernel_since(major: u32, minor: u32) -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut numbers = release.split(|digit: char| !digit.is_ascii_digit());
    let mut number = || numbers.next().and_then(|digits| digits.parse::<u32>().ok());
    (number(), number()) >= (Some(major), Some(minor))
}

fn sentence(formats: &[String]) -> String {
    let values = SETTINGS.map(|name| {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        let value = proc_text(path).unwrap_or_default();
        let value: Vec<_> = value.split_ascii_whitespace().collect();
        format!(
            "{name}={}",
            if value.is_empty() {
                "unknown".to_owned()
            } else {
                value.join(",")
            }
        )
    });
    let mut text = format!(
        "not masked by this version: how far some calls go is a setting of the host's kernel ({})",
        values.join(" ")
    );
    if !formats.is_empty() {
        text.push_str(
            ", and it runs programs of other kinds by programs of the host (binfmt_misc: ",
        );
        text.push_str(&formats.join(" "));
        text.push(')');
    }
    text
}

/// Kinds of programs that the host's kernel runs by others, sorted.
fn formats(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !matches!(name.as_str(), "register" | "status"))
        .collect();
    names.sort();
    names
}

/// Whether the kernel knows formats of users' own at all; if it does not, asking for some would make
/// it look for a module every time.
pub(crate) fn has_formats() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| {
        let known = proc_text("/proc/filesystems").unwrap_or_default();
        known.lines().any(|line| line.ends_with("\tbinfmt_misc"))
    })
}

/// Whether the host lays addresses out in another way than every other (`vm.legacy_va_layout`).
pub(crate) fn has_legacy_layout() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| {
        let value = proc_text("/proc/sys/vm/legacy_va_layout");
        value.is_ok_and(|value| value.trim() != "0")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_has_a_value_for_each_setting() {
        let text = sentence(&[]);
        for name in SETTINGS {
            assert!(text.contains(&format!("{name}=")), "{text}");
        }
        assert!(!text.contains("binfmt_misc"));
        assert!(sentence(&["qemu-arm".to_owned()]).ends_with("(binfmt_misc: qemu-arm)"));
    }

    #[test]
    fn formats_are_those_that_the_kernel_lists() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["status", "register", "qemu-b", "qemu-a"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        assert_eq!(formats(directory.path()), ["qemu-a", "qemu-b"]);
        assert!(formats(&directory.path().join("absent")).is_empty());
    }
}
