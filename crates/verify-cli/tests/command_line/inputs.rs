//! What is read: the files and the trust file, where they are looked for, and what is refused.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::desk::{Desk, check_text, document, stderr};
use crate::fixture::NAME;

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
