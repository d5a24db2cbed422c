//! The edges of the program: its help and usage, streams that fail, and faults of its own.

use std::fs;
use std::process::Command;

use crate::desk::{Desk, check_text, stderr};
use crate::fixture::{ARTIFACT, NAME};

#[test]
fn no_file_is_a_usage_error() {
    let desk = Desk::new();
    assert_eq!(desk.run(&[]).status.code(), Some(2));
    assert_eq!(desk.run(&["--json"]).status.code(), Some(2));
    assert_eq!(desk.run(&["--surprise", NAME]).status.code(), Some(2));
}

#[test]
fn help_lists_the_exit_codes() {
    let desk = Desk::new();
    let output = desk.command().arg("--help").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "Exit codes:",
        "  0   every file is verified",
        "  70  a fault in this program",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn file_names_cannot_drive_the_terminal() {
    let desk = Desk::new();
    let name = "x\u{1b}[2Jy\u{202e}.deb";
    desk.write(name, ARTIFACT);
    let output = desk.run(&[name]);
    check_text(&output, 3, &["x\\u{1b}[2Jy\\u{202e}.deb"]);
}

#[test]
fn what_cannot_be_written_is_no_success() {
    let desk = Desk::new();
    for args in [&["--json", NAME][..], &[NAME], &["--help"], &["--version"]] {
        let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") else {
            println!("skipped: this system has no /dev/full");
            return;
        };
        let output = desk.trusting().args(args).stdout(full).output().unwrap();
        check_text(&output, 2, &["error: cannot write the result: "]);
    }
}

#[test]
fn a_reader_that_has_gone_away_changes_no_exit_code() {
    let desk = Desk::new();
    for (content, code) in [(ARTIFACT, 0), (b"altered", 1)] {
        desk.write(NAME, content);
        for json in [true, false] {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let mut command = desk.trusting();
            command.stdout(writer);
            if json {
                command.arg("--json");
            }
            assert_eq!(command.arg(NAME).status().unwrap().code(), Some(code));
        }
    }
}

/// The same test program again, as a process that panics under the fault handler.
#[test]
fn a_fault_is_exit_code_70() {
    const CHILD: &str = "COUNTERSEAL_TEST_FAULT";
    if std::env::var_os(CHILD).is_some() {
        counterseal_verify_cli::install_fault_handler();
        panic!("on purpose");
    }
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program)
        .args(["--exact", "output::a_fault_is_exit_code_70", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(70));
    let text = stderr(&output);
    assert!(
        text.contains("error: internal fault at ") && text.contains("hint: "),
        "{text}"
    );
}
