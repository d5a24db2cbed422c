//! The program `rulec` from outside, on small databases and on the product in `products/rules`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// What a run left: exit code, standard output, standard error.
type Run = (i32, String, String);

fn rulec(folder: &Path, arguments: &[&str]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_rulec"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("SOURCE_DATE_EPOCH", "1793491200")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, contents) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }
    folder
}

fn rule(id: &str, matcher: &str) -> String {
    format!("rule {id}\nrevision 1\nseverity low\ntitle \"t\"\n{matcher}\nend\n")
}

fn product() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap()
        .join("products/rules/rules")
}

/// Compiles `source` into the pack `out` beside nothing else.
fn compiled(source: &Path) -> TempDir {
    let out = tempfile::tempdir().unwrap();
    let source = source.to_str().unwrap();
    let arguments = [
        "compile",
        "--source",
        source,
        "--output",
        "out",
        "--product-version",
        "2026.11.1",
    ];
    let (code, stdout, stderr) = rulec(out.path(), &arguments);
    assert_eq!((code, stdout.as_str()), (0, ""), "{stderr}");
    assert!(stderr.starts_with("compiled "), "{stderr}");
    out
}

#[test]
fn the_product_compiles_and_answers() {
    let out = compiled(&product());
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1);
    let (code, found, _) = rulec(
        out.path(),
        &["lookup", "out", "login.account-check.example"],
    );
    assert_eq!(code, 0);
    assert!(found.starts_with("CS-2026-0402 medium \""), "{found}");
    let (code, shown, _) = rulec(out.path(), &["show", "out", "CS-2026-0402"]);
    assert_eq!(code, 0);
    assert!(
        shown.starts_with("rule CS-2026-0402\n") && shown.ends_with("end\n"),
        "{shown}"
    );

    // In two halves, so that no scanner takes this test for the test file.
    let eicar = [
        r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD",
        "-ANTIVIRUS-TEST-FILE!$H+H*",
    ]
    .concat();
    fs::write(out.path().join("sample"), eicar).unwrap();
    let (code, found, _) = rulec(out.path(), &["scan", "out", "sample"]);
    assert_eq!(code, 0);
    assert_eq!(
        found,
        "CS-TEST-0001 informational \"EICAR anti-malware test file\"\n"
    );
    fs::write(out.path().join("clean"), "nothing to see").unwrap();
    let (code, none, _) = rulec(out.path(), &["scan", "out", "clean"]);
    assert_eq!((code, none.as_str()), (0, ""));
    let digest = "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f";
    assert_eq!(rulec(out.path(), &["lookup", "out", digest]).1, found);
}

#[test]
fn file_names_and_order_do_not_show() {
    let (a, b) = (
        rule("A-1", "domain a.example"),
        rule("B-1", "domain b.example"),
    );
    let one = folder(&[("a.rule", &a), ("b.rule", &b), ("README.md", "not a rule")]);
    let other = folder(&[("z/deep/first.rule", &b), ("second.rule", &a)]);
    let both = folder(&[("all.rule", &format!("{b}# between\n\n{a}"))]);
    let pack = |source: &TempDir| fs::read(compiled(source.path()).path().join("out")).unwrap();
    assert_eq!(pack(&one), pack(&other));
    assert_eq!(pack(&one), pack(&both));
}

#[test]
fn every_file_with_a_fault_is_reported() {
    let source = folder(&[("a.rule", "rule a\n"), ("b/c.rule", "\n colour\n")]);
    let (code, stdout, stderr) = rulec(source.path(), &["check", "."]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines[0], "a.rule:1:6: `a` is not a rule id");
    assert!(lines[1].starts_with("b/c.rule:2:2: unknown word `colour`"));
    assert_eq!(lines[2], "error: findings in .: 2");
}

#[test]
fn nothing_is_written_when_there_are_findings() {
    let source = folder(&[("a.rule", &rule("A-1", "tag a"))]);
    let arguments = [
        "compile",
        "--source",
        ".",
        "--output",
        "out",
        "--product-version",
        "1",
    ];
    let (code, _, stderr) = rulec(source.path(), &arguments);
    assert_eq!(code, 1);
    assert!(
        stderr.starts_with("a.rule:1:6: rule A-1 has no matcher"),
        "{stderr}"
    );
    assert!(!source.path().join("out").exists());
}

#[test]
fn wrong_questions_are_told_from_negative_answers() {
    let source = folder(&[("a.rule", &rule("A-1", "domain a.example"))]);
    let out = compiled(source.path());
    fs::write(out.path().join("damaged"), b"CSRULES\0").unwrap();
    fs::create_dir(out.path().join("empty")).unwrap();
    for (arguments, code, message) in [
        (&["show", "out", "A-2"][..], 1, "out has no rule A-2"),
        (
            &["lookup", "out", "b.example"],
            1,
            "out has no rule for b.example",
        ),
        (
            &["lookup", "damaged", "b.example"],
            1,
            "damaged: pack is cut short",
        ),
        (
            &["lookup", "out", "B.example"],
            2,
            "`B.example` is not a SHA-256",
        ),
        (&["show", "missing", "A-1"], 2, "cannot read missing: "),
        (&["check", "empty"], 2, "empty holds no rules"),
        (&["bake"], 2, "unknown command `bake`\n\nusage: rulec"),
    ] {
        let (found, stdout, stderr) = rulec(out.path(), arguments);
        assert_eq!((found, stdout.as_str()), (code, ""), "{stderr}");
        assert!(stderr.starts_with(&format!("error: {message}")), "{stderr}");
    }
}

#[test]
fn links_among_the_sources_are_refused() {
    let source = folder(&[("a.rule", &rule("A-1", "domain a.example"))]);
    symlink("/etc/hostname", source.path().join("b.rule")).unwrap();
    let (code, _, stderr) = rulec(source.path(), &["check", "."]);
    assert_eq!(code, 2);
    assert!(
        stderr.contains("b.rule is neither a plain file nor a folder"),
        "{stderr}"
    );
}

#[test]
fn the_epoch_comes_from_the_environment_or_not_at_all() {
    let source = folder(&[("a.rule", &rule("A-1", "domain a.example"))]);
    let run = |epoch: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rulec"));
        command.current_dir(source.path()).env_clear();
        command.args([
            "compile",
            "--source",
            ".",
            "--output",
            "out",
            "--product-version",
            "1",
        ]);
        command.envs(epoch.map(|epoch| ("SOURCE_DATE_EPOCH", epoch)));
        command.output().unwrap().status.code()
    };
    for epoch in [
        None,
        Some(""),
        Some("-1"),
        Some("+1"),
        Some("1.5"),
        Some("18446744073709551616"),
    ] {
        assert_eq!(run(epoch), Some(2), "{epoch:?}");
    }
    assert_eq!(run(Some("0")), Some(0));
}
