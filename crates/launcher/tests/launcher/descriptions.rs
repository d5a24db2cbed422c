//! Hostile and mistaken descriptions: refused before anything runs, with the reason.

use std::fs;
use std::os::unix::fs::symlink;

use counterseal_launcher::{Description, Kind};

use crate::stage::Stage;

/// The stage's description with `from` replaced by `to`.
fn altered(stage: &Stage, from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(stage.description.to_bytes().unwrap()).unwrap();
    assert!(text.contains(from), "{from}");
    text.replace(from, to).into_bytes()
}

#[test]
fn texts_that_are_no_description() {
    let stage = Stage::new("print x").output("build/x", Kind::File, "x");
    for (from, to, named) in [
        ("\"format\":1", "\"format\":2", "format 2"),
        ("\"format\":1,", "", "format"),
        ("\"format\":1", "\"format\":1,\"formal\":1", "formal"),
        ("\"format\":1", "\"format\":1,\"format\":1", "twice"),
        ("\"umask\":18", "\"umask\":18,\"extra\":1", "extra"),
        ("\"inputTime\":1234567890,", "", "inputTime"),
        ("\"sorted\"", "\"shuffled:1\"", "shuffled"),
        ("\"seeded\"", "\"some\"", "some"),
        ("\"inodeSalt\":\"0", "\"inodeSalt\":\"x", "hexadecimal"),
        ("\"wallSeconds\":60", "\"wallSeconds\":-1", "wallSeconds"),
        (
            "\"inputTime\":1234567890",
            "\"inputTime\":9007199254740992",
            "inputTime",
        ),
        ("\"waived\":[]", "\"waived\":[\"everything\"]", "everything"),
        ("\"kind\":\"file\"", "\"kind\":\"pipe\"", "pipe"),
        ("\"name\":\"only\"", "\"name\":\"../only\"", "step name"),
        ("\"root\":\"root\"", "\"root\":\"../root\"", "root"),
        ("\"root\":\"root\"", "\"root\":\"/etc\"", "root"),
        ("\"root\":\"root\"", "\"root\":\"root/../..\"", "root"),
        ("\"root\":\"root\"", "\"root\":\"\"", "root"),
        (
            "\"root\":\"root\"",
            "\"root\":\"out/root\"",
            "inside one another",
        ),
        (
            "\"outputDirectory\":\"out\"",
            "\"outputDirectory\":\"../out\"",
            "output directory",
        ),
        (
            "\"from\":\"build/x\"",
            "\"from\":\"build/../../x\"",
            "output",
        ),
        (
            "\"from\":\"build/x\"",
            "\"from\":\"proc/x\"",
            "below build or tmp",
        ),
        ("\"to\":\"x\"", "\"to\":\"a/../../x\"", "destination"),
        ("\"to\":\"x\"", "\"to\":\"/x\"", "destination"),
    ] {
        let told = stage.refuses_text(&altered(&stage, from, to));
        assert!(told.starts_with("counterseal-launch: error: "), "{told}");
        assert!(told.contains(named), "{to}: {told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
    for (text, named) in [
        (&b""[..], "json"),
        (b"[]", "not acceptable"),
        (b"{}{}", "more data"),
        (b"\xff", "utf-8"),
    ] {
        let told = stage.refuses_text(text);
        assert!(told.contains(named), "{told}");
    }
    let large = vec![b' '; Description::bytes_max() + 1];
    assert!(stage.refuses_text(&large).contains("too large"));
}

#[test]
fn destinations_that_are_one_another_s() {
    for (first, second) in [("a", "a"), ("a", "a/b"), ("a/b/c", "a/b")] {
        let stage = Stage::new("print x")
            .output("build/x", Kind::File, first)
            .output("build/y", Kind::File, second)
            .output("build/z", Kind::File, "a-b");
        assert!(stage.description.to_bytes().is_err(), "{first} {second}");
    }
    let stage = Stage::new("print x")
        .output("build/x", Kind::File, "a")
        .output("build/y", Kind::File, "a-b");
    assert!(stage.description.to_bytes().is_ok());
}

#[test]
fn more_steps_or_none() {
    let mut stage = Stage::new("print x");
    let step = stage.description.steps.pop().unwrap();
    assert!(stage.description.to_bytes().is_err());
    stage.description.steps = vec![step.clone(), step];
    let told = stage.description.to_bytes().unwrap_err().to_string();
    assert!(told.contains("unique"), "{told}");
}

#[test]
fn no_file_no_description() {
    let stage = Stage::new("print x");
    let mut command = stage.command();
    fs::remove_file(stage.path("action.json")).unwrap();
    assert_eq!(crate::stage::start(&mut command).status.code(), Some(124));
    fs::create_dir(stage.path("action.json")).unwrap();
    let output = crate::stage::start(&mut command);
    assert_eq!(output.status.code(), Some(120));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not a regular file"));
}

#[test]
fn directories_that_are_elsewhere_or_not_there() {
    let stage = Stage::new("print x");
    fs::rename(stage.path("root"), stage.path("moved")).unwrap();
    assert!(stage.refuses(120).contains("root `root` is not there"));
    stage.forget();
    symlink("moved", stage.path("root")).unwrap();
    assert!(stage.refuses(120).contains("symbolic link"));
    fs::remove_file(stage.path("root")).unwrap();
    fs::rename(stage.path("moved"), stage.path("root")).unwrap();

    stage.forget();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), stage.path("out")).unwrap();
    assert!(stage.refuses(120).contains("symbolic link"));
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    fs::remove_file(stage.path("out")).unwrap();

    stage.ends(0);
    assert!(stage.refuses(120).contains("holds something already"));
}
