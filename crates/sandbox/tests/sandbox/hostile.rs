//! Steps that try to get out, to leave something behind, or to confuse the supervisor.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use counterseal_sandbox::{Exit, SandboxError};

use crate::stage::Stage;

#[test]
fn a_process_left_behind() {
    let mut stage = Stage::new();
    let error = stage.fails("leave-behind");
    let SandboxError::LeftBehind {
        exit: Exit::Code(0),
        processes,
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(processes.len(), 1);
    assert!(
        processes[0].starts_with("exe (") || processes[0].starts_with("probe ("),
        "{error}"
    );
    assert!(
        error
            .advice()
            .unwrap()
            .contains("wait for background processes")
    );
    // Nothing of it is alive: the next step has the sandbox for itself.
    assert!(!stage.prints("list /proc").lines().any(|name| name == "3"));
}

#[test]
fn a_process_that_ends_by_itself_is_no_leftover() {
    let mut stage = Stage::new();
    assert!(stage.run("leave-briefly").unwrap().exit.is_success());
}

#[test]
fn writing_to_inputs() {
    let mut stage = Stage::new();
    // World-writable on the host, and still.
    let writable = fs::Permissions::from_mode(0o777);
    for path in ["inputs", "inputs/declared", "top"] {
        fs::set_permissions(stage.root.path().join(path), writable.clone()).unwrap();
    }
    for experiment in [
        "append /inputs/declared x",
        "append /top x",
        "append /link x",
        "write-text /inputs/new x",
        "write-text /new x",
        "mkdir /inputs/new",
        "remove /inputs/declared",
        "chmod 600 /inputs/declared",
        "chmod 700 /",
        "mkdir /dev/new",
        "chmod 600 /dev/null",
    ] {
        let said = stage.refuses(experiment);
        assert!(
            said.contains("Read-only file system"),
            "{experiment}: {said}"
        );
    }
    let said = stage.refuses("hardlink /inputs/declared /build/link");
    assert!(said.contains("cross-device"), "{said}");
    assert_eq!(
        fs::read(stage.root.path().join("inputs/declared")).unwrap(),
        b"declared\n"
    );
    assert!(
        !stage.root.path().join("build").exists(),
        "the root itself was changed"
    );
}

#[test]
fn writing_to_the_kernel() {
    let mut stage = Stage::new();
    for experiment in [
        "append /proc/self/comm x",
        "append /proc/self/oom_score_adj 0",
    ] {
        assert!(
            stage.refuses(experiment).contains("Read-only file system"),
            "{experiment}"
        );
    }
}

#[test]
fn set_id_bits() {
    let mut stage = Stage::new();
    for experiment in [
        "write-text /build/f x then chmod 4755 /build/f",
        "mkdir /build/d then chmod 2755 /build/d",
        "create-mode 6755 /build/g",
    ] {
        let said = stage.refuses(experiment);
        assert!(
            said.contains("Operation not permitted"),
            "{experiment}: {said}"
        );
    }
    assert!(stage.prints("stat /build/f").contains("mode=100644"));
    assert!(stage.refuses("stat /build/g").contains("No such file"));
    stage.prints("chmod 1755 /build/d then create-mode 755 /build/h");
}

#[test]
fn a_crash_is_an_outcome_and_leaves_no_core() {
    let mut stage = Stage::new();
    let outcome = stage.run("crash").unwrap();
    assert_eq!(outcome.exit, Exit::Signal(6));
    assert_eq!(stage.prints("list /build"), "home\n");
}

#[test]
fn a_step_cannot_forge_reports() {
    // The number that reports travel through until the program starts.
    let mut stage = Stage::new();
    let said = stage.refuses("append /proc/self/fd/3 x");
    assert!(said.contains("No such file"), "{said}");
}

#[test]
fn a_missing_program_is_named() {
    let mut stage = Stage::new();
    let error = stage.run_argv(&["/absent".to_owned()]).unwrap_err();
    assert!(matches!(&error, SandboxError::Program { program, errno: 2 } if program == "/absent"));
    assert!(error.advice().unwrap().contains("interpreter"));

    let error = stage.run_argv(&["absent".to_owned()]).unwrap_err();
    assert!(
        matches!(error, SandboxError::Program { errno: 2, .. }),
        "{error}"
    );

    let error = stage.run_argv(&["/top".to_owned()]).unwrap_err();
    assert!(
        matches!(error, SandboxError::Program { errno: 13, .. }),
        "{error}"
    );
}

#[test]
fn a_missing_working_directory_is_named() {
    let mut stage = Stage::new();
    stage.working_directory = "/build/absent".to_owned();
    let error = stage.fails("print x");
    assert!(
        matches!(&error, SandboxError::WorkingDirectory { path, .. } if path == "/build/absent"),
        "{error}"
    );
}

#[test]
fn malformed_actions() {
    let mut stage = Stage::new();
    let invalid = |error: SandboxError| matches!(error, SandboxError::InvalidAction { .. });
    assert!(invalid(stage.run_argv(&[]).unwrap_err()));
    assert!(invalid(stage.run_argv(&["a\0b".to_owned()]).unwrap_err()));
    stage.working_directory = "build".to_owned();
    assert!(invalid(stage.fails("print x")));
    stage.working_directory = "/build".to_owned();
    stage.environment.insert("A=B".to_owned(), "x".to_owned());
    assert!(invalid(stage.fails("print x")));
    stage.environment.clear();
    stage
        .waived
        .insert(counterseal_sandbox::Guarantee::ReadOnlyRoot);
    assert!(invalid(stage.fails("print x")));
}

#[test]
fn links_of_the_root_lead_nowhere_outside() {
    let mut stage = Stage::new();
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::os::unix::fs::symlink(secret.path(), stage.root.path().join("leak")).unwrap();
    std::os::unix::fs::symlink("../../../../etc", stage.root.path().join("etc")).unwrap();
    assert!(stage.refuses("read /leak").contains("No such file"));
    assert!(
        stage.refuses("list /etc").contains("symbolic links"),
        "a loop onto itself"
    );
}

/// Set in the copy of this test program that is killed.
const VICTIM: &str = "COUNTERSEAL_TEST_VICTIM";

#[test]
fn nothing_outlives_a_killed_assembly() {
    if std::env::var_os(VICTIM).is_some() {
        // Never returns: the other copy kills this one.
        let _ = Stage::new().run("loop");
        return;
    }
    if !fs::exists("/proc/thread-self/children").unwrap() {
        eprintln!("skipped: this kernel does not list children");
        return;
    }
    for stops_usher in [false, true] {
        kill_assembly(stops_usher);
    }
}

/// Kills a copy of this program while a step runs, whose end is then waited for.
fn kill_assembly(stops_usher: bool) {
    let mut victim = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hostile::nothing_outlives_a_killed_assembly"])
        .env(VICTIM, "1")
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let step = loop {
        if let Some(step) = step_below(victim.id()) {
            break step;
        }
        assert!(
            victim.try_wait().unwrap().is_none(),
            "the copy ended by itself"
        );
        std::thread::yield_now();
    };
    if stops_usher {
        rustix::process::kill_process(usher_of(victim.id()), rustix::process::Signal::STOP)
            .unwrap();
    }
    victim.kill().unwrap();
    victim.wait().unwrap();
    let mut watched = [rustix::event::PollFd::new(
        &step,
        rustix::event::PollFlags::IN,
    )];
    // Returns the moment the step is gone; the bound is for a failing test only.
    let bound = rustix::event::Timespec {
        tv_sec: 60,
        tv_nsec: 0,
    };
    assert_eq!(
        rustix::event::poll(&mut watched, Some(&bound)),
        Ok(1),
        "the step lives on"
    );
}

#[test]
fn a_step_ends_with_its_usher() {
    const TEST: &str = "hostile::a_step_ends_with_its_usher";
    if !fs::exists("/proc/thread-self/children").unwrap() {
        eprintln!("skipped: this kernel does not list children");
        return;
    }
    if std::env::var_os(VICTIM).is_none() {
        // A copy that has no other children.
        let copy = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", TEST])
            .env(VICTIM, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&copy.stdout);
        assert!(copy.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let run = std::thread::spawn(|| Stage::new().fails("loop"));
    let own = std::process::id();
    while step_below(own).is_none() {
        assert!(!run.is_finished(), "{}", run.join().unwrap());
        std::thread::yield_now();
    }
    rustix::process::kill_process(usher_of(own), rustix::process::Signal::KILL).unwrap();
    let error = run.join().unwrap();
    assert!(
        matches!(error, counterseal_sandbox::SandboxError::Killed),
        "{error}"
    );
}

/// The one child that has children.
fn usher_of(process: u32) -> rustix::process::Pid {
    let has_children = |process: &u32| !children(*process).is_empty();
    let usher = children(process).into_iter().find(has_children).unwrap();
    rustix::process::Pid::from_raw(i32::try_from(usher).unwrap()).unwrap()
}

/// A hold on the running probe below a process: child of process 1, child of the usher, child of the
/// process.
fn step_below(process: u32) -> Option<std::os::fd::OwnedFd> {
    children(process)
        .into_iter()
        .flat_map(children)
        .flat_map(children)
        .find_map(|step| {
            let program = fs::read_to_string(format!("/proc/{step}/comm")).ok()?;
            let id = rustix::process::Pid::from_raw(i32::try_from(step).ok()?)?;
            (program == "probe\n").then(|| {
                rustix::process::pidfd_open(id, rustix::process::PidfdFlags::empty()).unwrap()
            })
        })
}

fn children(process: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{process}/task"))
        .into_iter()
        .flatten()
        .flatten();
    threads
        .flat_map(|thread| {
            let listed = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            listed
                .split_ascii_whitespace()
                .filter_map(|id| id.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}
