//! What an execution engine does not preserve, or does in its own way, does not matter: users,
//! masks, environments, directories, limits, signals, and how the inputs are kept.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, SystemTime};

use counterseal_launcher::Kind;

use crate::stage::{EPOCH, Stage, set_mode, start, step};

/// Where every area of the leak probe that looks at files, processes and machine writes down what
/// it sees, beside outputs with modes of their own.
fn action() -> Stage {
    let mut stage = Stage::new("print x")
        .step("look", "stat /inputs/declared then stat /inputs then stat /inputs/inner/c then \
             stat /inputs/link then surroundings then environment then descriptors then list / then \
             list-as-given /inputs")
        .step("leave", "write-text /build/x text then chmod 0600 /build/x then \
             mkdir /build/tree then create-mode 0777 /build/tree/y then symlink y /build/tree/z")
        .output("build/seen", Kind::File, "seen")
        .output("build/x", Kind::File, "x")
        .output("build/tree", Kind::Tree, "tree")
        .output("build/tree", Kind::TarZst, "tree.tar.zst");
    let mut probe = step("probe", "");
    let words = [
        "/leak-probe",
        "--output",
        "/build/seen",
        "inputs",
        "files",
        "descriptors",
        "machine",
    ];
    probe.argv = words.map(String::from).to_vec();
    stage.description.steps[0] = probe;
    stage
}

/// What the launcher left, line by line, without how root's identity is given up, which the result
/// says.
fn left(stage: &Stage) -> Vec<String> {
    let mut result = stage.result();
    for step in result["steps"].as_array_mut().unwrap() {
        step["isolation"]["fixed-user"]["mechanism"].take();
    }
    let mut lines = vec![result.to_string()];
    for (path, (mode, content)) in stage.made() {
        lines.push(format!("{path} {mode:o}"));
        if path != "result.json" {
            let text = String::from_utf8_lossy(&content).into_owned();
            lines.extend(text.lines().map(|line| format!("{path}: {line}")));
        }
    }
    lines
}

#[track_caller]
fn assert_same(stage: &Stage, expected: &[String], circumstance: &str) {
    let found = left(stage);
    let lines = expected.iter().zip(&found);
    let differing: Vec<_> = lines.filter(|(a, b)| a != b).take(20).collect();
    assert!(differing.is_empty(), "{circumstance}: {differing:#?}");
    assert_eq!(found.len(), expected.len(), "{circumstance}");
}

/// Runs the launcher below a shell's words in a directory of the host's.
fn run_below(stage: &Stage, words: &str, user: Option<u32>) -> String {
    let launcher = stage.command();
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &format!("{words} exec \"$0\" \"$@\"")])
        .arg(launcher.get_program())
        .args(launcher.get_args())
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "tr_TR.UTF-8")
        .env("TMPDIR", "/nonexistent")
        .env("SOURCE_DATE_EPOCH", "1")
        .current_dir("/");
    if let Some(user) = user {
        std::os::unix::fs::chown(stage.path(""), Some(user), Some(user)).unwrap();
        command.uid(user).gid(user);
    }
    let output = start(&mut command);
    assert!(
        output.status.success(),
        "{words}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_launcher_s_own_circumstances_do_not_show() {
    let plain = action();
    let printed = String::from_utf8(plain.ends(0).stdout).unwrap();
    let expected = left(&plain);
    for words in [
        "umask 077;",
        "umask 000; exec 7</etc/passwd 9>/dev/null;",
        "trap '' HUP INT PIPE TERM USR1 CHLD;",
        "cd /usr; exec </dev/zero;",
        "ulimit -S -n 256; ulimit -S -s 4096; ulimit -S -c 0;",
    ] {
        let stage = action();
        assert_eq!(run_below(&stage, words, None), printed, "{words}");
        assert_same(&stage, &expected, words);
    }
    let is_root = fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0);
    let is_open = std::env::temp_dir()
        .ancestors()
        .all(|ancestor| fs::metadata(ancestor).is_ok_and(|meta| meta.mode() & 0o001 != 0));
    if is_root && is_open {
        let stage = action();
        assert_eq!(run_below(&stage, "", Some(54_321)), printed);
        assert_same(&stage, &expected, "another user");
    } else {
        println!("skipped: another user: this one is not root, or the way is closed");
    }
}

/// Gives every input another time, mode and number of links, as far as an engine may.
fn disturb(stage: &Stage, directory: &str) {
    for entry in fs::read_dir(stage.path(directory)).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        let below = format!("{directory}/{}", entry.file_name().to_str().unwrap());
        if kind.is_dir() {
            disturb(stage, &below);
        } else if kind.is_file() {
            let path = entry.path();
            let is_executable = fs::metadata(&path).unwrap().mode() & 0o111 != 0;
            // A hard link, as engines keep their inputs.
            fs::hard_link(
                &path,
                stage.path(&format!("kept-{}", below.replace('/', "-"))),
            )
            .unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(EPOCH * 2);
            File::open(&path).unwrap().set_modified(time).unwrap();
            set_mode(&path, if is_executable { 0o555 } else { 0o664 });
        }
    }
    set_mode(&stage.path(directory), 0o775);
}

#[test]
fn how_the_inputs_are_kept_does_not_show() {
    let plain = action();
    let printed = plain.ends(0).stdout;
    let disturbed = action();
    disturb(&disturbed, "root");
    // In another order, on most file systems.
    for name in ["a", "b", "declared"] {
        let path = disturbed.path("root/inputs").join(name);
        let content = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, content).unwrap();
    }
    assert_eq!(
        String::from_utf8(disturbed.ends(0).stdout).unwrap(),
        String::from_utf8(printed).unwrap()
    );
    assert_same(&disturbed, &left(&plain), "inputs");
}
