//! Two hosts on one machine: what a caller of the sandbox brings along, in two versions. Each run
//! is a process of its own, so that it can be another user, and nothing stays behind.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit};
use rustix::thread::CpuSet;

use crate::runners::{self, Runner};

/// What a caller brings along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// As the tests were started.
    Plain,
    /// Another user where that is possible, and everything else different in any case.
    Odd,
}

/// Tell a started run what is asked of it. None is read in the sandbox.
const ASKED: &str = "COUNTERSEAL_LEAKS_RUN";
const ANSWER: &str = "COUNTERSEAL_LEAKS_ANSWER";

/// The test that does the run.
const TEST: &str = "the_probe_looks_everywhere";
/// An ordinary user whom every system has.
const NOBODY: u32 = 65534;

/// What the probe printed, run by a process of its own on that host.
#[track_caller]
pub(crate) fn run_on(host: Host, runner: Runner) -> String {
    let place = tempfile::tempdir().unwrap();
    let answer = place.path().join("answer");
    // A copy, since another user may not reach the directory of the build.
    let program = place.path().join("leaks");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    if host == Host::Odd && is_root {
        fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::chown(place.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        if run_with(host, runner, place.path(), Some(NOBODY)) {
            return fs::read_to_string(&answer).unwrap();
        }
        println!("the other host has the same user: an ordinary one cannot reach this place");
    }
    assert!(run_with(host, runner, place.path(), None));
    fs::read_to_string(&answer).unwrap()
}

/// False if the program cannot be started as that user.
#[track_caller]
fn run_with(host: Host, runner: Runner, place: &Path, user: Option<u32>) -> bool {
    let mut command = Command::new(place.join("leaks"));
    command
        .args(["--exact", TEST, "--nocapture"])
        .env(ASKED, format!("{host:?} {runner:?}"))
        .env(ANSWER, place.join("answer"));
    if host == Host::Odd {
        command
            .current_dir("/")
            .env_remove("LANG")
            .env("TMPDIR", place)
            .env("LC_ALL", "de_CH.UTF-8")
            .env("TZ", "Asia/Tokyo")
            .env("SOURCE_DATE_EPOCH", "1")
            .env("A_VARIABLE", "of the other host");
    }
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    match command.output() {
        Err(error) if error.kind() == ErrorKind::PermissionDenied && user.is_some() => false,
        Err(error) => panic!("{}: {error}", place.display()),
        Ok(output) => {
            assert!(
                output.status.success(),
                "{host:?} {runner:?}: {}\n{}\n{}",
                output.status,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            true
        }
    }
}

/// Does what this process was started for, or a plain run in the sandbox if nobody asked.
pub(crate) fn run_as_asked() -> (Runner, String) {
    let asked = std::env::var(ASKED).unwrap_or_default();
    if asked.starts_with("Odd") {
        become_odd();
    }
    let (runner, text) = if asked.ends_with("Bubblewrap") {
        (Runner::Bubblewrap, runners::under_bubblewrap())
    } else {
        (Runner::Sandbox, runners::in_sandbox().text)
    };
    if let Some(path) = std::env::var_os(ANSWER) {
        fs::write(path, &text).unwrap();
    }
    (runner, text)
}

/// Changes whatever this process may change about itself, and its children inherit.
fn become_odd() {
    rustix::process::umask(Mode::from_raw_mode(0o027));
    rustix::process::nice(7).unwrap();
    let usable = rustix::thread::sched_getaffinity(None).unwrap();
    let last = (0..CpuSet::MAX_CPU).rev().find(|cpu| usable.is_set(*cpu));
    let mut only = CpuSet::new();
    only.set(last.expect("a processor to run on"));
    rustix::thread::sched_setaffinity(None, &only).unwrap();
    for (resource, soft) in [
        (Resource::As, 1 << 40),
        (Resource::Core, 0),
        (Resource::Cpu, 100_000),
        (Resource::Data, 1 << 39),
        (Resource::Fsize, 1 << 38),
        (Resource::Memlock, 32 << 10),
        (Resource::Msgqueue, 400_000),
        (Resource::Nofile, 900),
        (Resource::Sigpending, 500),
        (Resource::Stack, 4 << 20),
    ] {
        let limit = rustix::process::getrlimit(resource);
        let current = limit.maximum.map_or(soft, |hard| hard.min(soft));
        let limit = Rlimit {
            current: Some(current),
            maximum: limit.maximum,
        };
        rustix::process::setrlimit(resource, limit).unwrap();
    }
    // Refused to nobody: a process may always make itself the likelier victim.
    fs::write("/proc/self/oom_score_adj", "300").unwrap();
}
