//! How the probe is run: in our sandbox, or under bubblewrap.
//!
//! Both get the same root: the probe, an input in a directory, and a link to it, with the time that
//! a lock would give them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, FileTimes};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use counterseal_sandbox::{Action, Isolation, Limits, Premises, Scratch, VirtualHost, run};
use tempfile::TempDir;

/// Where the clock starts, and the time of the inputs.
const EPOCH: u64 = 1_234_567_890;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    Sandbox,
    /// With a time stamp counter that shows the action's own time.
    Traced,
    Bubblewrap,
}

/// What a run in the sandbox left.
pub(crate) struct Looked {
    pub(crate) text: String,
    pub(crate) isolation: Isolation,
}

/// Inputs beside the declared one, for the order of their directory.
const OTHERS: [&str; 6] = ["Zebra", "apple", "a", "m.c", "0", "mm"];

/// A directory with the probe and its inputs; the odd host makes them the other way round.
fn root(is_odd: bool) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let inputs = root.path().join("inputs");
    fs::create_dir(&inputs).unwrap();
    let mut names = [OTHERS.as_slice(), &["declared"]].concat();
    if is_odd {
        names.reverse();
        // Numbers of files that others take.
        fs::write(root.path().join("earlier"), "").unwrap();
        fs::remove_file(root.path().join("earlier")).unwrap();
    }
    for name in names {
        let path = inputs.join(name);
        fs::write(&path, format!("{name}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
        settle(&path);
    }
    for name in ["proc", "dev", "tmp", "build"] {
        fs::create_dir(root.path().join(name)).unwrap();
    }
    let probe = root.path().join("leak-probe");
    fs::write(&probe, counterseal_static_programs::LEAK_PROBE).unwrap();
    std::os::unix::fs::symlink("inputs/declared", root.path().join("link")).unwrap();
    for (path, mode) in [
        (inputs.as_path(), 0o755),
        (&probe, 0o755),
        (root.path(), 0o755),
    ] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        settle(path);
    }
    root
}

/// Gives a file the time that inputs have.
fn settle(path: &Path) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(EPOCH);
    let times = FileTimes::new().set_modified(time);
    File::open(path).unwrap().set_times(times).unwrap();
}

/// Areas in which the host's time still shows, and with it in the clock of whoever looks: in a step
/// of their own, behind the others.
const LATE: &[&str] = &["waits", "storms"];

/// Looked at only where the counter is the action's own.
const COUNTER: &str = "counter";

pub(crate) fn in_sandbox(is_odd: bool, is_traced: bool) -> Looked {
    let root = root(is_odd);
    let logs = tempfile::tempdir().unwrap();
    let premises = Premises::new();
    let look = |scratch: &mut Scratch, words: &[&str]| {
        let argv: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let action = Action {
            root: root.path(),
            argv: &argv,
            environment: &BTreeMap::new(),
            working_directory: "/build",
            limits: &Limits::default(),
            source_date_epoch: EPOCH,
            host: &VirtualHost {
                virtual_timestamp_counter: is_traced,
                ..VirtualHost::standard(EPOCH, [7; 32])
            },
            waived: &BTreeSet::new(),
        };
        let outcome = run(&action, scratch, logs.path()).unwrap_or_else(|error| panic!("{error}"));
        let text = fs::read_to_string(&outcome.stdout.path).unwrap();
        let complaints = fs::read_to_string(&outcome.stderr.path).unwrap();
        assert!(outcome.exit.is_success(), "{}: {complaints}", outcome.exit);
        (text, outcome.isolation)
    };
    if is_odd {
        // Somebody else was there before, and left what can be left: its network, too.
        look(&mut Scratch::within(&premises), &["/leak-probe", "memory"]);
    }
    let mut scratch = Scratch::within(&premises);
    let mut look = |words: &[&str]| look(&mut scratch, words);
    let (mut text, isolation) = look(&[&["/leak-probe", "--without"], LATE].concat());
    if is_traced {
        text.push_str(&look(&["/leak-probe", COUNTER]).0);
    }
    text.push_str(&look(&[&["/leak-probe"], LATE].concat()).0);
    Looked { text, isolation }
}

/// Bubblewrap with everything that it offers to hide the host, or why it cannot be had.
pub(crate) fn bubblewrap() -> Result<Command, String> {
    let hardened = || {
        let mut command = Command::new("bwrap");
        command
            .env_clear()
            .args([
                "--unshare-all",
                "--die-with-parent",
                "--new-session",
                "--clearenv",
            ])
            .args(["--uid", "1000", "--gid", "1000", "--hostname", "assembly"])
            .args(["--cap-drop", "ALL"]);
        command
    };
    let root = root(false);
    let tried = hardened()
        .arg("--ro-bind")
        .arg(root.path())
        .args(["/", "/leak-probe", "memory"])
        .output();
    match tried {
        Err(error) => Err(format!("bwrap cannot be started: {error}")),
        Ok(output) if !output.status.success() => Err(format!(
            "bwrap does not work here: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Ok(_) => Ok(hardened()),
    }
}

pub(crate) fn under_bubblewrap(is_odd: bool) -> String {
    let root = root(is_odd);
    let output = bubblewrap()
        .unwrap_or_else(|reason| panic!("{reason}"))
        .arg("--ro-bind")
        .arg(root.path())
        .args(["/", "--proc", "/proc", "--dev", "/dev"])
        .args(["--tmpfs", "/tmp", "--tmpfs", "/build"])
        .args(["--setenv", "PATH", "/usr/bin:/bin", "--setenv", "TZ", "UTC"])
        .args(["--chdir", "/build", "/leak-probe"])
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {complaints}", output.status);
    String::from_utf8(output.stdout).unwrap()
}
