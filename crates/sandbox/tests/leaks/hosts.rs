//! Two hosts on one machine: what a caller of the sandbox brings along, in two versions. Each run
//! is a process of its own, so that it can be another user, and nothing stays behind.

use std::fs;
use std::num::NonZero;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

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

/// A memory file system that most systems have: the odd host keeps its files there.
const MEMORY: &str = "/dev/shm";
/// Starts a program with signals ignored and descriptors open, as some callers do.
const CARELESS_SHELL: &str = "trap '' HUP USR1 TERM; exec 7</dev/null 8>/dev/null; exec \"$@\"";

/// What the probe printed, run by a process of its own on that host.
#[track_caller]
pub(crate) fn run_on(host: Host, runner: Runner) -> String {
    if host == Host::Plain {
        let place = tempfile::tempdir().unwrap();
        return run_in(place.path(), host, runner, None)
            .unwrap_or_else(|why| panic!("{}: {why}", place.path().display()));
    }
    let is_root = rustix::process::geteuid().is_root();
    let mut reasons = Vec::new();
    for user in [Some(NOBODY).filter(|_| is_root), None] {
        for place in [tempfile::tempdir_in(MEMORY), tempfile::tempdir()] {
            match place
                .map_err(|error| error.to_string())
                .and_then(|place| run_in(place.path(), host, runner, user))
            {
                Ok(text) => return text,
                Err(why) => reasons.push(why),
            }
        }
        println!("the other host has no other user: {}", reasons.join("; "));
    }
    panic!("{}", reasons.join("; "))
}

/// Why the program cannot be started there as that user is the error; that it fails is a panic.
#[track_caller]
fn run_in(place: &Path, host: Host, runner: Runner, user: Option<u32>) -> Result<String, String> {
    // A copy, since another user may not reach the directory of the build. By another process: a file
    // that this one has written cannot be executed while a process that another test has just started
    // still has it open.
    let program = place.join("leaks");
    let copied = Command::new("cp")
        .arg(std::env::current_exe().unwrap())
        .arg(&program)
        .output()
        .map_err(|error| error.to_string())?;
    if !copied.status.success() {
        return Err(String::from_utf8_lossy(&copied.stderr).trim().to_owned());
    }
    if let Some(user) = user {
        std::os::unix::fs::chown(place, Some(user), Some(user)).unwrap();
    }
    let started = |arguments: &[&str]| {
        let mut command = match host {
            Host::Plain => Command::new(&program),
            Host::Odd => odd_command(&program, place),
        };
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        command
            .args(arguments)
            .env(ASKED, format!("{host:?} {runner:?}"))
            .env(ANSWER, place.join("answer"))
            .output()
    };
    let tried = started(&["--list"]).map_err(|error| error.to_string())?;
    if !tried.status.success() {
        let complaint = String::from_utf8_lossy(&tried.stderr).trim().to_owned();
        return Err(format!("{}: {complaint}", tried.status));
    }
    let output = started(&["--exact", TEST, "--nocapture"]).unwrap();
    assert!(
        output.status.success(),
        "{host:?} {runner:?}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(fs::read_to_string(place.join("answer")).unwrap())
}

fn odd_command(program: &Path, place: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", CARELESS_SHELL, "sh"])
        .arg(program)
        .current_dir("/")
        .stdin(Stdio::piped())
        .env_remove("LANG")
        .env("TMPDIR", place)
        .env("LC_ALL", "de_CH.UTF-8")
        .env("TZ", "Asia/Tokyo")
        .env("SOURCE_DATE_EPOCH", "1")
        .env("A_VARIABLE", "of the other host");
    command
}

/// Does what this process was started for, or a plain run in the sandbox if nobody asked.
pub(crate) fn run_as_asked() -> (Runner, String) {
    let asked = std::env::var(ASKED).unwrap_or_default();
    let is_odd = asked.starts_with("Odd");
    if is_odd {
        become_odd();
    }
    let (runner, text) = if asked.ends_with("Bubblewrap") {
        (Runner::Bubblewrap, runners::under_bubblewrap(is_odd))
    } else if asked.ends_with("Traced") {
        (Runner::Traced, runners::in_sandbox(is_odd, true).text)
    } else {
        (Runner::Sandbox, runners::in_sandbox(is_odd, false).text)
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
    rustix::thread::set_current_timer_slack(NonZero::new(200_000)).unwrap();
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
