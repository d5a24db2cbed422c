//! The whole command line as one text, `reference.txt`: what a change of arguments changes for
//! people shows in the review of that file. (This test also makes cargo build the program for the
//! journeys in `tests/`.)
//!
//! After a change that is meant, write the file anew and review it:
//! `COUNTERSEAL_UPDATE=1 cargo test -p counterseal-cli --test reference`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

const UPDATE: &str = "COUNTERSEAL_UPDATE";

/// What `counterseal WORDS --help` prints.
fn help(words: &[String]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_counterseal"))
        .args(words)
        .arg("--help")
        // No width, no colour and no language of the terminal that the test runs in.
        .env_clear()
        .output()
        .expect("cargo builds the program before its tests");
    assert!(output.status.success(), "{words:?}: {}", output.status);
    assert!(
        output.stderr.is_empty(),
        "help is a result: it goes to standard output"
    );
    String::from_utf8(output.stdout).expect("help is text")
}

/// The verbs that a help text lists, `help` itself left out.
fn verbs(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    listed
        .take_while(|line| !line.is_empty())
        // Longer descriptions go on further to the right.
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .map(str::to_owned)
        .collect()
}

fn write(words: &[String], text: &mut String) {
    let help = help(words);
    let title = std::iter::once("counterseal").chain(words.iter().map(String::as_str));
    let title = title.collect::<Vec<_>>().join(" ");
    write!(text, "{title}\n{}\n\n", "=".repeat(title.len())).expect("a String takes everything");
    for line in help.trim_end().lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push('\n');
    for verb in verbs(&help) {
        write(&[words, &[verb]].concat(), text);
    }
}

#[test]
fn reference_is_up_to_date() {
    let mut found = String::new();
    write(&[], &mut found);
    let found = format!("{}\n", found.trim_end());
    assert!(
        found.matches("====").count() > 20,
        "every verb has its part"
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference.txt");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, &found).expect("the reference can be written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    if let Some((index, line)) = found
        .lines()
        .enumerate()
        .find(|(index, line)| expected.lines().nth(*index) != Some(line))
    {
        panic!(
            "the command line changed: line {} of crates/cli/tests/reference.txt would be\n  \
             {line}\nIf that is meant: {UPDATE}=1 cargo test -p counterseal-cli --test reference",
            index + 1
        );
    }
    assert_eq!(
        found, expected,
        "reference.txt has lines that the program does not print"
    );
}

#[test]
fn usage_is_an_error_and_help_is_not() {
    let run = |words: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_counterseal"))
            .args(words)
            .env_clear()
            .output()
            .unwrap()
    };
    for words in [&["--help"][..], &["--version"], &["help", "assemble"]] {
        let output = run(words);
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        assert!(
            !output.stdout.is_empty() && output.stderr.is_empty(),
            "{words:?}"
        );
    }
    for words in [
        &[][..],
        &["assemble", "--nonsense"],
        &["verify"],
        &["keys", "new"],
    ] {
        let output = run(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(
            output.stdout.is_empty() && !output.stderr.is_empty(),
            "{words:?}"
        );
    }
}
