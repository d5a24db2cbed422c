//! Hosts with lower resource limits: a step sees the same ones, or does not run.
//!
//! Each such host is a copy of this test program, started anew, that lowers its own limits first:
//! they cannot be raised again.

use std::process::Command;

use counterseal_sandbox::{Guarantee, Premises, SandboxError, Scratch, State, doctor};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::stage::{MIB, Stage};

/// Set in a copy, to the names of the limits that it is to lower and to what.
const LOWERED: &str = "COUNTERSEAL_TEST_LOWERED";

const NAMES: [(&str, Resource); 16] = [
    ("as", Resource::As),
    ("core", Resource::Core),
    ("cpu", Resource::Cpu),
    ("data", Resource::Data),
    ("fsize", Resource::Fsize),
    ("locks", Resource::Locks),
    ("memlock", Resource::Memlock),
    ("msgqueue", Resource::Msgqueue),
    ("nice", Resource::Nice),
    ("nofile", Resource::Nofile),
    ("nproc", Resource::Nproc),
    ("rss", Resource::Rss),
    ("rtprio", Resource::Rtprio),
    ("rttime", Resource::Rttime),
    ("sigpending", Resource::Sigpending),
    ("stack", Resource::Stack),
];

/// Not limits, and as little to be shaken off (`PR_SET_MDWE`), or inherited like them.
const WRITE_EXECUTE_DENIED: &str = "write-execute-denied";
const CHILDREN_IGNORED: &str = "children-ignored";
const SOFTLY: &str = "softly";

/// Whether this is one of those.
#[allow(unsafe_code)]
fn become_odd(what: &str) -> bool {
    let done = match what {
        // SAFETY: takes integers only.
        WRITE_EXECUTE_DENIED => unsafe { libc::prctl(libc::PR_SET_MDWE, 1, 0, 0, 0) == 0 },
        // SAFETY: no handler is installed, and none was.
        CHILDREN_IGNORED => unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) != libc::SIG_ERR },
        SOFTLY => {
            let maximum = rustix::process::getrlimit(Resource::Sigpending).maximum;
            let current = Some(100);
            setrlimit(Resource::Sigpending, Rlimit { current, maximum }).is_ok()
        }
        _ => return false,
    };
    assert!(done, "{what}: {}", std::io::Error::last_os_error());
    true
}

/// Runs the named test of this program again, with these hard limits (and soft ones). In that
/// copy: what was asked of it, now in force, for the test to check.
pub(crate) fn on_host_with(lowered: &str, test: &str) -> Option<String> {
    if let Ok(asked) = std::env::var(LOWERED) {
        for limit in asked.split(' ') {
            if become_odd(limit) {
                continue;
            }
            let (name, value) = limit.split_once('=').unwrap();
            let (_, resource) = NAMES.iter().find(|(known, _)| *known == name).unwrap();
            let value = Some(value.parse().unwrap());
            let limit = Rlimit {
                current: value,
                maximum: value,
            };
            setrlimit(*resource, limit).unwrap_or_else(|errno| panic!("{name}: {errno}"));
        }
        return Some(asked);
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(LOWERED, lowered)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{lowered}: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    None
}

/// What every step has, as the kernel writes it (proc(5)); memory and processes are the recipe's.
const SEEN: [(&str, &str); 16] = [
    ("Max cpu time", "unlimited"),
    ("Max file size", "unlimited"),
    ("Max data size", "268435456"),
    ("Max stack size", "8388608"),
    ("Max core file size", "1"),
    ("Max resident set", "unlimited"),
    ("Max processes", "66"),
    ("Max open files", "4096"),
    ("Max locked memory", "65536"),
    ("Max address space", "unlimited"),
    ("Max file locks", "unlimited"),
    ("Max pending signals", "1024"),
    ("Max msgqueue size", "819200"),
    ("Max nice priority", "0"),
    ("Max realtime priority", "0"),
    ("Max realtime timeout", "unlimited"),
];

#[track_caller]
fn sees_what_every_step_sees() {
    let text = Stage::new().prints("read /proc/self/limits");
    let mut lines = text.lines().skip(1);
    for (name, value) in SEEN {
        let line = lines.next().unwrap();
        let values = line.strip_prefix(name).unwrap_or_else(|| panic!("{line}"));
        let mut values = values.split_ascii_whitespace();
        assert_eq!(
            (values.next(), values.next()),
            (Some(value), Some(value)),
            "{line}"
        );
    }
    assert_eq!(lines.next(), None);
}

#[test]
fn a_step_has_the_same_limits_on_every_host_that_has_as_much() {
    // Each as low as it may be.
    on_host_with(
        "core=1 nofile=4096 stack=8388608 memlock=65536 msgqueue=819200 sigpending=1024 nice=0 \
         rtprio=0 data=1073741824",
        "host_limits::a_step_has_the_same_limits_on_every_host_that_has_as_much",
    );
    // In the copy and here.
    sees_what_every_step_sees();
}

#[test]
fn a_host_that_lets_no_memory_become_executable_is_refused() {
    let test = "host_limits::a_host_that_lets_no_memory_become_executable_is_refused";
    if on_host_with(WRITE_EXECUTE_DENIED, test).is_some() {
        let error = Stage::new().fails("print x");
        assert!(error.to_string().contains("PR_SET_MDWE"), "{error}");
        let advice = error.advice().unwrap();
        assert!(advice.contains("MemoryDenyWriteExecute=no"), "{advice}");
    }
}

#[test]
fn a_host_that_forgets_its_children_will_do() {
    let test = "host_limits::a_host_that_forgets_its_children_will_do";
    if on_host_with(CHILDREN_IGNORED, test).is_some() {
        let mut stage = Stage::new();
        for _ in 0..2 {
            assert_eq!(stage.prints("print x"), "x\n");
        }
    }
}

/// A room is bounded by the soft limits of who makes it, which would show.
#[test]
fn soft_limits_that_would_bound_rooms_are_raised() {
    let test = "host_limits::soft_limits_that_would_bound_rooms_are_raised";
    if on_host_with(SOFTLY, test).is_some() {
        // A site that was prepared is bounded as well, before there is a run.
        let premises = Premises::new();
        let mut stage = Stage::with_program(counterseal_static_programs::LEAK_PROBE);
        premises.prepare(&stage.host);
        stage.scratch = Scratch::within(&premises);
        let seen = stage.prints("children");
        let pending = seen
            .lines()
            .find(|line| line.starts_with("children.pending "));
        assert_eq!(pending, Some("children.pending 1024"));
        let limit = rustix::process::getrlimit(Resource::Sigpending);
        assert_eq!(limit.current, limit.maximum);
    }
}

#[test]
fn a_host_that_allows_no_cores_will_do() {
    let test = "host_limits::a_host_that_allows_no_cores_will_do";
    if on_host_with("core=0", test).is_some() {
        let limits = Stage::new().prints("read /proc/self/limits");
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"));
        assert!(line.is_some_and(|line| line.contains(" 0 ")), "{limits}");
    }
}

#[test]
fn a_host_with_less_is_refused() {
    let test = "host_limits::a_host_with_less_is_refused";
    for (lowered, needed) in [
        ("as=1099511627776", "unlimited"),
        ("cpu=100000", "unlimited"),
        ("fsize=274877906944", "unlimited"),
        ("locks=1000", "unlimited"),
        ("memlock=32768", "65536"),
        ("msgqueue=400000", "819200"),
        ("nofile=1024", "4096"),
        ("rss=1099511627776", "unlimited"),
        ("rttime=1000000", "unlimited"),
        ("sigpending=500", "1024"),
        ("stack=4194304", "8388608"),
    ] {
        let Some(asked) = on_host_with(lowered, test) else {
            continue;
        };
        // In the copy only one of them is in force, whichever turn this is.
        if asked != lowered {
            continue;
        }
        let (name, has) = lowered.split_once('=').unwrap();
        let mut stage = Stage::new();
        stage.waived = Guarantee::ALL
            .into_iter()
            .filter(|guarantee| guarantee.is_waivable())
            .collect();
        let error = stage.fails("print x");
        assert_eq!(
            error.to_string(),
            format!("the host's hard limit {name} is {has}, the sandbox needs {needed}")
        );
        let advice = error.advice().unwrap();
        assert!(
            advice.contains(&format!("prlimit --{name}={needed}:{needed} COMMAND")),
            "{advice}"
        );
        assert_eq!(stage.stdout(), "");
        for finding in doctor() {
            assert_eq!(finding.state, State::Absent, "{}", finding.guarantee);
            if finding.guarantee.is_offered() {
                assert_eq!(finding.mechanism, error.to_string());
                assert_eq!(finding.advice.as_ref(), Some(&advice));
            }
        }
    }
}

#[test]
fn a_recipe_may_need_more_memory_than_the_host_gives() {
    let test = "host_limits::a_recipe_may_need_more_memory_than_the_host_gives";
    if on_host_with("data=134217728", test).is_none() {
        return;
    }
    let mut stage = Stage::new();
    stage.limits.memory_bytes = 256 * MIB;
    let error = stage.fails("print x");
    assert!(
        matches!(
            error,
            SandboxError::NotEnforceable {
                guarantee: Guarantee::MemoryLimit,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.advice().unwrap().contains("ulimit -d"));
    // Given up, the host's limit shows, and the manifest says so.
    stage.waived.insert(Guarantee::MemoryLimit);
    let isolation = stage.run("read /proc/self/limits").unwrap().isolation;
    assert!(stage.stdout().contains("134217728"), "{}", stage.stdout());
    let (found, mechanism) = &isolation[&Guarantee::MemoryLimit];
    assert_eq!(*found, State::Absent);
    assert!(mechanism.contains("given up by the user"), "{mechanism}");
    // Where the host gives enough, giving it up changes nothing.
    stage.limits.memory_bytes = 64 * MIB;
    let isolation = stage.run("print x").unwrap().isolation;
    assert_eq!(isolation[&Guarantee::MemoryLimit].0, State::Enforced);
}
