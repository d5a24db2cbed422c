//! What the processes of a sandbox use, read from the host's `/proc` (proc(5)). A snapshot
//! of moving targets: a process that ends meanwhile counts as nothing.
//!
//! Absent on purpose: control groups. Where one is delegated they would bound memory exactly;
//! ordinary users on most machines have none.

use std::fs;

use crate::proc_text::proc_text;

/// More than any process limit allows; bounds the walk.
const PROCESSES_MAX: usize = 1 << 16;

/// The unit of `statm` on the one architecture that this crate builds for.
const PAGE_BYTES: u64 = 4096;

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) processes: u32,
    /// Resident memory, each process's shared pages counted in full.
    pub(crate) resident_bytes: u64,
}

/// Whether this kernel lists children (`CONFIG_PROC_CHILDREN`).
pub(crate) fn can_list_children() -> bool {
    fs::exists("/proc/thread-self/children").unwrap_or(false)
}

/// Everything below process 1 of a sandbox, given its process id on the host.
pub(crate) fn measure(first_process: i32) -> Usage {
    let mut usage = Usage::default();
    for pid in descendants(first_process) {
        usage.processes += 1;
        usage.resident_bytes += resident_pages(pid).unwrap_or(0) * PAGE_BYTES;
    }
    usage
}

/// Memory with every shared page divided among its sharers; dearer than [`measure`].
pub(crate) fn proportional_bytes(first_process: i32) -> u64 {
    descendants(first_process)
        .into_iter()
        .filter_map(proportional_kib)
        .sum::<u64>()
        * 1024
}

/// How many processes are named.
const NAMES_MAX: usize = 16;

/// `name (process id)` of the processes below process 1; if there are many, of some, and how many more
/// there are.
pub(crate) fn names(first_process: i32) -> Vec<String> {
    let mut names: Vec<_> = descendants(first_process)
        .into_iter()
        .filter_map(|pid| {
            let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
            let name: String = String::from_utf8_lossy(&name)
                .trim_end()
                .chars()
                .map(|c| if c.is_control() { '?' } else { c })
                .collect();
            Some(format!("{name} ({})", inner_pid(pid).unwrap_or(pid)))
        })
        .collect();
    let more = names.len().saturating_sub(NAMES_MAX);
    if more > 0 {
        names.truncate(NAMES_MAX);
        names.push(format!("and {more} more"));
    }
    names
}

/// The process id inside: the last number of `NSpid`.
fn inner_pid(pid: i32) -> Option<i32> {
    let status = proc_text(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_ascii_whitespace().last()?.parse().ok()
}

pub(crate) fn descendants(first_process: i32) -> Vec<i32> {
    let mut found = Vec::new();
    let mut unvisited = vec![first_process];
    while let Some(parent) = unvisited.pop() {
        for child in children(parent) {
            if found.len() == PROCESSES_MAX {
                return found;
            }
            found.push(child);
            unvisited.push(child);
        }
    }
    found
}

/// All threads of a process.
pub(crate) fn threads(pid: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let numbers = threads.into_iter().flatten().flatten();
    numbers
        .filter_map(|thread| thread.file_name().to_str()?.parse().ok())
        .collect()
}

/// Children of all threads of a process.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    let mut children = Vec::new();
    for thread in threads(pid) {
        let listed = proc_text(format!("/proc/{pid}/task/{thread}/children")).unwrap_or_default();
        children.extend(
            listed
                .split_ascii_whitespace()
                .filter_map(|pid| pid.parse::<i32>().ok()),
        );
    }
    children
}

fn resident_pages(pid: i32) -> Option<u64> {
    let sizes = proc_text(format!("/proc/{pid}/statm")).ok()?;
    sizes.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn proportional_kib(pid: i32) -> Option<u64> {
    let rollup = proc_text(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_children_and_their_memory() {
        if !can_list_children() {
            eprintln!("skipped: this kernel does not list children");
            return;
        }
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let me = i32::try_from(std::process::id()).unwrap();
        let usage = measure(me);
        assert!(
            usage.processes >= 1 && usage.resident_bytes > 0,
            "{usage:?}"
        );
        assert!(descendants(me).contains(&i32::try_from(child.id()).unwrap()));
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn of_many_processes_some_are_named() {
        if !can_list_children() {
            eprintln!("skipped: this kernel does not list children");
            return;
        }
        let mut many: Vec<_> = (0..NAMES_MAX + 2)
            .map(|_| {
                let mut command = std::process::Command::new("cat");
                command.stdin(std::process::Stdio::piped()).spawn().unwrap()
            })
            .collect();
        // Other tests may have children, too.
        let names = names(i32::try_from(std::process::id()).unwrap());
        assert_eq!(names.len(), NAMES_MAX + 1, "{names:?}");
        let more: usize = names[NAMES_MAX]
            .strip_prefix("and ")
            .and_then(|rest| rest.strip_suffix(" more")?.parse().ok())
            .unwrap();
        assert!(more >= 2, "{names:?}");
        for child in &mut many {
            drop(child.stdin.take());
            child.wait().unwrap();
        }
    }

    #[test]
    fn a_process_that_is_gone_uses_nothing() {
        assert_eq!(measure(i32::MAX), Usage::default());
    }
}
