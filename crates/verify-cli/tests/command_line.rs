//! The program `counterseal-verify` as a person meets it: exit codes, what stands on which
//! stream, and where it looks for things.

#[path = "../../verify/tests/fixture/mod.rs"]
mod fixture;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use counterseal_attestation::replay_verdict::Verdict;
use serde_json::Value;

use fixture::{ARTIFACT, NAME, World, evidence};

/// A directory with an artifact, its evidence and a trust file.
struct Desk {
    directory: tempfile::TempDir,
    world: World,
}

impl Desk {
    fn new() -> Self {
        let world = World::new();
        let desk = Self {
            directory: tempfile::tempdir().unwrap(),
            world,
        };
        desk.write(NAME, ARTIFACT);
        desk.write(
            &format!("{NAME}.sigstore.jsonl"),
            &evidence(&[&desk.world.provenance()]),
        );
        desk.write("trust.toml", desk.world.trust_text().as_bytes());
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.path(name), content).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_counterseal-verify"));
        command
            .env_clear()
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs with `--trust trust.toml` and a fixed time in front of `args`.
    fn run(&self, args: &[&str]) -> Output {
        let fixed = ["--trust", "trust.toml", "--now", "2026-09-21T00:00:00Z"];
        self.command().args(fixed).args(args).output().unwrap()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn check_text(output: &Output, code: i32, expected: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(output.stdout.is_empty(), "text belongs on standard error");
    for expected in expected {
        assert!(text.contains(expected), "no {expected:?} in:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "colours without a terminal");
}

/// One line, one document, and the same exit code inside as outside.
#[track_caller]
fn document(output: &Output, code: i32) -> Value {
    assert_eq!(output.status.code(), Some(code), "{}", stderr(output));
    assert!(output.stderr.is_empty(), "{}", stderr(output));
    let text = std::str::from_utf8(&output.stdout).unwrap();
    assert_eq!(text.matches('\n').count(), 1);
    let document: Value = serde_json::from_str(text).unwrap();
    assert_eq!(document["format"], "counterseal-verify/1");
    assert_eq!(document["exitCode"], code);
    document
}

#[test]
fn verified_file() {
    let desk = Desk::new();
    let output = desk.run(&[NAME]);
    check_text(
        &output,
        0,
        &[
            "verified hello.deb",
            "This is hello 2.10, unchanged since 'Builder' assembled it",
            "passed       signature.valid",
            "not checked  replay.verdict",
        ],
    );
    let document = document(&desk.run(&["--json", NAME]), 0);
    let verdict = &document["files"][0]["verdict"];
    assert_eq!(verdict["outcome"], "verified");
    assert_eq!(verdict["reproducedBy"], 0);
    let codes: Vec<&str> = verdict["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, counterseal_verify::codes::ALL);
}

#[test]
fn altered_file() {
    let desk = Desk::new();
    desk.write(NAME, b"the installer, altered");
    check_text(
        &desk.run(&[NAME]),
        1,
        &[
            "FAILED hello.deb",
            "subject.digest: artifact digest does not match",
            "hint: this file",
        ],
    );
    let document = document(&desk.run(&["--json", NAME]), 1);
    assert_eq!(document["files"][0]["verdict"]["outcome"], "failed");
}

#[test]
fn altered_evidence() {
    let desk = Desk::new();
    let path = desk.path("hello.deb.sigstore.jsonl");
    let mut bytes = fs::read(&path).unwrap();
    bytes[200] ^= 1;
    fs::write(&path, bytes).unwrap();
    check_text(&desk.run(&[NAME]), 1, &["FAILED hello.deb"]);
}

#[test]
fn no_evidence() {
    let desk = Desk::new();
    fs::remove_file(desk.path("hello.deb.sigstore.jsonl")).unwrap();
    check_text(
        &desk.run(&[NAME]),
        3,
        &[
            "no conclusion hello.deb",
            "evidence.present",
            "hint: evidence is named like the file",
        ],
    );
    let document = document(&desk.run(&["--json", NAME]), 3);
    assert_eq!(document["files"][0]["verdict"]["outcome"], "no-conclusion");
    // Evidence that was asked for by name and is not there is a mistake in the command.
    let output = desk.run(&["--evidence", "missing.jsonl", NAME]);
    check_text(
        &output,
        2,
        &["cannot read missing.jsonl: there is no such file"],
    );
}

#[test]
fn evidence_that_is_none() {
    let desk = Desk::new();
    desk.write("hello.deb.sigstore.jsonl", b"\x89PNG\r\n");
    check_text(
        &desk.run(&[NAME]),
        2,
        &["unreadable hello.deb", "evidence.readable"],
    );
    assert_eq!(
        document(&desk.run(&["--json", NAME]), 2)["error"],
        Value::Null
    );
}

#[test]
fn no_file_is_a_usage_error() {
    let desk = Desk::new();
    assert_eq!(desk.run(&[]).status.code(), Some(2));
    assert_eq!(desk.run(&["--json"]).status.code(), Some(2));
    assert_eq!(desk.run(&["--surprise", NAME]).status.code(), Some(2));
    let mut out = Vec::new();
    let mut err = Vec::new();
    let none = counterseal_verify_cli::VerifyArgs::default();
    assert_eq!(
        counterseal_verify_cli::execute_to(&none, false, &mut out, &mut err),
        2
    );
}

#[test]
fn unreadable_files() {
    let desk = Desk::new();
    check_text(
        &desk.run(&["missing"]),
        2,
        &["error: cannot read missing: there is no such file"],
    );
    check_text(&desk.run(&["."]), 2, &["error: . is not a regular file"]);
    let document = document(&desk.run(&["--json", "missing"]), 2);
    assert_eq!(document["files"][0]["error"]["code"], "input.unreadable");
}

#[test]
fn the_worst_of_several_files_decides_and_all_are_reported() {
    let desk = Desk::new();
    desk.write("other.deb", b"something else");
    desk.write(
        "other.deb.sigstore.jsonl",
        &evidence(&[&desk.world.provenance()]),
    );
    desk.write("bare.deb", b"no evidence");
    let output = desk.run(&[NAME, "bare.deb"]);
    check_text(
        &output,
        3,
        &["verified hello.deb", "no conclusion bare.deb"],
    );
    let output = desk.run(&["missing", NAME, "other.deb", "bare.deb"]);
    check_text(
        &output,
        1,
        &[
            "verified hello.deb",
            "FAILED other.deb",
            "cannot read missing",
        ],
    );
    let document = document(&desk.run(&["--json", "bare.deb", NAME]), 3);
    assert_eq!(document["files"].as_array().unwrap().len(), 2);
    assert_eq!(document["files"][1]["exitCode"], 0);
}

#[test]
fn evidence_may_hold_a_whole_release() {
    let desk = Desk::new();
    fs::rename(
        desk.path("hello.deb.sigstore.jsonl"),
        desk.path("release.jsonl"),
    )
    .unwrap();
    let output = desk.run(&["--evidence", "release.jsonl", NAME]);
    check_text(&output, 0, &["verified hello.deb"]);
}

#[test]
fn trust_file_from_the_environment_and_the_configuration_directory() {
    let desk = Desk::new();
    let run = |set: &[(&str, &Path)]| {
        let mut command = desk.command();
        command
            .args(["--now", "2026-09-21T00:00:00Z", NAME])
            .envs(set.iter().copied());
        command.output().unwrap()
    };
    check_text(
        &run(&[]),
        2,
        &["error: no trust file", "hint: name one with --trust"],
    );
    check_text(
        &run(&[("COUNTERSEAL_TRUST", Path::new("trust.toml"))]),
        0,
        &["verified"],
    );
    check_text(
        &run(&[("COUNTERSEAL_TRUST", Path::new("gone"))]),
        2,
        &["cannot read gone"],
    );

    let home = desk.path("home");
    fs::create_dir_all(home.join(".config/counterseal")).unwrap();
    fs::copy(
        desk.path("trust.toml"),
        home.join(".config/counterseal/trust.toml"),
    )
    .unwrap();
    check_text(&run(&[("HOME", &home)]), 0, &["verified"]);
    check_text(
        &run(&[("XDG_CONFIG_HOME", &home.join(".config"))]),
        0,
        &["verified"],
    );
    check_text(&run(&[("XDG_CONFIG_HOME", &home)]), 2, &["no trust file"]);
}

/// A trust file that is there and cannot be reached is not the same as none.
#[test]
fn unreachable_trust_file() {
    let desk = Desk::new();
    let directory = desk.path("counterseal");
    fs::create_dir(&directory).unwrap();
    let run = || {
        let mut command = desk.command();
        command.arg(NAME).env("XDG_CONFIG_HOME", desk.path(""));
        command.output().unwrap()
    };
    let trust = directory.join("trust.toml");
    std::os::unix::fs::symlink("trust.toml", &trust).unwrap();
    check_text(&run(), 2, &["error: cannot read", "trust.toml: "]);
    fs::remove_file(&trust).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o000)).unwrap();
    let closed = trust.try_exists().is_err();
    let output = run();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
    if closed {
        check_text(&output, 2, &["trust.toml: permission denied"]);
    } else {
        println!("skipped: permissions do not bind this user");
    }
}

#[test]
fn bad_trust_file() {
    let desk = Desk::new();
    desk.write("trust.toml", b"format = 1\nsurprise = 2\n");
    let expected = ["trust.toml: trust file, line 2: unknown field `surprise`"];
    check_text(&desk.run(&[NAME]), 2, &expected);
    let document = document(&desk.run(&["--json", NAME]), 2);
    assert_eq!(document["error"]["code"], "trust.invalid");
    desk.write("trust.toml", b"\xff\xfe");
    check_text(&desk.run(&[NAME]), 2, &["trust.toml is not UTF-8 text"]);
}

#[test]
fn replays_are_told_good_and_bad() {
    let desk = Desk::new();
    let world = &desk.world;
    let provenance = world.provenance();
    let good = world.replay(&world.auditor_a, &provenance, Verdict::Reproduced);
    let bad = world.replay(&world.auditor_b, &provenance, Verdict::Differs);
    desk.write("hello.deb.sigstore.jsonl", &evidence(&[&provenance, &good]));
    check_text(
        &desk.run(&[NAME]),
        0,
        &["1 auditor reproduced it bit for bit", "by 'Auditor A'"],
    );
    desk.write(
        "hello.deb.sigstore.jsonl",
        &evidence(&[&provenance, &good, &bad]),
    );
    check_text(
        &desk.run(&[NAME]),
        0,
        &[
            "warning: auditor 'Auditor B' rebuilt it and got different bytes: a reason",
            "FAILED       replay.verdict",
            "differs           by 'Auditor B'",
        ],
    );
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
fn a_verdict_that_cannot_be_written_is_no_success() {
    let desk = Desk::new();
    let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") else {
        println!("skipped: this system has no /dev/full");
        return;
    };
    let mut command = desk.command();
    command.args(["--trust", "trust.toml", "--now", "2026-09-21T00:00:00Z"]);
    command.args(["--json", NAME]).stdout(full);
    check_text(
        &command.output().unwrap(),
        2,
        &["error: cannot write the result: "],
    );
}

#[test]
fn a_reader_that_has_gone_away_changes_no_exit_code() {
    let desk = Desk::new();
    for (content, code) in [(ARTIFACT, 0), (b"altered", 1)] {
        desk.write(NAME, content);
        for json in [true, false] {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let mut command = desk.command();
            command.args(["--trust", "trust.toml", "--now", "2026-09-21T00:00:00Z"]);
            if json {
                command.arg("--json").stdout(writer);
            } else {
                command.stderr(writer);
            }
            assert_eq!(command.arg(NAME).status().unwrap().code(), Some(code));
        }
    }
}

/// Without a writer, opening any of these the ordinary way would wait for ever.
#[test]
fn pipes_and_devices_are_refused() {
    let desk = Desk::new();
    let made = Command::new("mkfifo").arg(desk.path("pipe")).status();
    if !made.is_ok_and(|status| status.success()) {
        println!("skipped: no mkfifo here");
        return;
    }
    let refused = |args: &[&str], name: &str| {
        let expected = format!("error: {name} is not a regular file");
        let output = desk.command().args(args).output().unwrap();
        check_text(&output, 2, &[&expected, "hint: directories, pipes"]);
    };
    let trust = ["--trust", "trust.toml"];
    for name in ["pipe", "/dev/zero"] {
        refused(&["--trust", name, NAME], name);
        refused(&[&trust[..], &["--evidence", name, NAME]].concat(), name);
        refused(&[&trust[..], &[name]].concat(), name);
    }
    fs::rename(desk.path("pipe"), desk.path("bare.deb.sigstore.jsonl")).unwrap();
    desk.write("bare.deb", b"pipe beside it");
    refused(
        &[&trust[..], &["bare.deb"]].concat(),
        "bare.deb.sigstore.jsonl",
    );
}

#[test]
fn a_quorum_leaves_missing_evidence_without_conclusion() {
    let desk = Desk::new();
    let trust = desk.world.trust_text_with("replays-required = 1");
    desk.write("trust.toml", trust.as_bytes());
    check_text(
        &desk.run(&[NAME]),
        1,
        &["replay.quorum", "expected at least 1, found 0"],
    );
    let evidence = desk.path("hello.deb.sigstore.jsonl");
    fs::write(&evidence, b"").unwrap();
    let expected = ["no conclusion hello.deb", "not checked  replay.quorum"];
    check_text(&desk.run(&[NAME]), 3, &expected);
    fs::remove_file(&evidence).unwrap();
    check_text(&desk.run(&[NAME]), 3, &expected);
}

#[test]
fn a_private_key_in_a_trust_file_is_not_printed() {
    let desk = Desk::new();
    for trust in [
        "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMG\n-----END PRIVATE KEY-----\n",
        "format = '''-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMG\n-----END PRIVATE KEY-----'''\n",
        "format = 1\n'-----BEGIN PRIVATE KEY-----MIGHAgEAMBMG' = 2\n",
        "format = 1\n[[record]]\nkey = '-----BEGIN PRIVATE KEY-----MIGHAgEAMBMG'\n",
        "format = 1\n[[auditor]]\nname = 'A'\nkey = '-----BEGIN PRIVATE KEY-----MIGHAgEAMBMG'\n",
    ] {
        desk.write("trust.toml", trust.as_bytes());
        let output = desk.run(&[NAME]);
        check_text(&output, 2, &["error: trust.toml: trust file"]);
        let text = stderr(&output);
        assert!(!text.contains("MIGH") && !text.contains("BEGIN"), "{text}");
    }
    desk.write(
        "trust.toml",
        format!("format = '{}'", "x".repeat(4096)).as_bytes(),
    );
    let text = stderr(&desk.run(&[NAME]));
    assert!(text.len() < 250, "{text}");
}

#[test]
fn help_lists_the_exit_codes() {
    let desk = Desk::new();
    let output = desk.command().arg("--help").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "Exit codes:",
        "  0   every file is verified",
        "  70  a fault in this program",
    ] {
        assert!(text.contains(line), "{text}");
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
        .args(["--exact", "a_fault_is_exit_code_70", "--nocapture"])
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
