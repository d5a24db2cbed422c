//! How a launch ends: the step's code, or one of the launcher's own, which the result tells apart.

use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;

use counterseal_launcher::Kind;

use crate::stage::{Stage, set_mode, step};

#[test]
fn a_step_s_code_is_its_own() {
    for (words, code) in [("exit 3", 3), ("exit 121", 121), ("crash", 134)] {
        let stage =
            Stage::new(words)
                .step("never", "print never")
                .output("build/x", Kind::File, "x");
        let output = stage.ends(code);
        assert!(output.stdout.is_empty(), "{words}");
        let result = stage.result();
        assert_eq!(result["outcome"], "step-failed", "{words}");
        assert_eq!(result["steps"].as_array().unwrap().len(), 1);
        assert!(!stage.path("out/outputs").exists());
    }
}

#[test]
fn limits_end_steps() {
    let mut stage = Stage::new("flood 4000000");
    let output = stage.ends(122);
    // What fitted is passed on.
    assert_eq!(output.stdout.len(), 1 << 20);
    let result = stage.result();
    assert_eq!(result["outcome"], "refused");
    assert!(result["refusal"].as_str().unwrap().contains("only"));
    stage.forget();
    stage.description.steps = vec![step("only", "leave-behind")];
    assert!(stage.refuses(122).contains("left processes behind"));
}

#[test]
fn what_cannot_start_is_the_description_s_fault() {
    let mut stage = Stage::new("print x");
    stage.description.steps[0].argv = vec!["/absent".to_owned()];
    let told = stage.refuses(120);
    assert!(
        told.contains("/absent") && told.contains("\nhint: "),
        "{told}"
    );
    assert_eq!(stage.result()["outcome"], "refused");
    stage.forget();
    stage.description.steps = vec![step("only", "print x")];
    stage.description.steps[0].host.processors = 0;
    assert!(stage.refuses(120).contains("processors"));
}

#[test]
fn outputs_that_may_not_leave() {
    for (words, kind, named) in [
        ("print x", Kind::File, "was not produced"),
        ("mkdir /build/x", Kind::File, "not of the declared kind"),
        (
            "write-text /build/x y",
            Kind::Tree,
            "not of the declared kind",
        ),
        ("symlink /etc/passwd /build/x", Kind::File, "leads out"),
        (
            "mkdir /build/x then symlink ../../y /build/x/l",
            Kind::Tree,
            "leads out",
        ),
        (
            "mkdir /build/x then symlink /etc /build/x/l",
            Kind::TarZst,
            "leads out",
        ),
        ("socket /build/x", Kind::File, "socket"),
    ] {
        let stage = Stage::new(words).output("build/x", kind, "x");
        let told = stage.refuses(123);
        assert!(told.contains(named), "{words}: {told}");
        let result = stage.result();
        assert_eq!(result["outcome"], "refused");
        assert_eq!(result["outputs"].as_array().unwrap().len(), 0);
    }
}

#[test]
fn a_root_that_the_steps_could_not_read_is_refused() {
    let stage = Stage::new("print x");
    set_mode(&stage.path("root/inputs/inner/c"), 0o000);
    let told = stage.refuses(120);
    assert!(
        told.contains("inputs/inner/c") && told.contains("mode 0000"),
        "{told}"
    );
}

/// Processes of this host that were started with this word.
fn processes_with(word: &str) -> usize {
    let has_word = |process: &Path| {
        fs::read(process.join("cmdline")).is_ok_and(|line| {
            line.split(|byte| *byte == 0)
                .any(|found| found == word.as_bytes())
        })
    };
    fs::read_dir("/proc")
        .unwrap()
        .filter(|entry| entry.as_ref().is_ok_and(|entry| has_word(&entry.path())))
        .count()
}

#[test]
fn killed_it_leaves_no_process_and_no_result() {
    let mut stage = Stage::new("print x").output("build/x", Kind::File, "x");
    // A word that no other process of this machine has.
    let word = stage
        .path("")
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    stage.description.steps[0] = step("only", &format!("write-text /build/x {word} then hold 1"));
    let mut command = stage.command();
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = loop {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {}
            spawned => break spawned.unwrap(),
        }
    };
    while processes_with(&word) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    // Process 1 dies with the launcher and takes the step along.
    while processes_with(&word) > 0 {
        std::thread::yield_now();
    }
    let made = stage.made();
    let left: Vec<&String> = made.keys().collect();
    assert_eq!(left, ["logs", "logs/only"]);
}
