//! What may be taken out of a scratch directory, tried on directories that no sandbox made: some of
//! this a step cannot make, and would be refused all the same.

use std::fs;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use counterseal_launcher::outputs::{LeftKind, OutputDefect, OutputError, open_file, open_tree};
use rustix::fs::{FileType, Mode};

use crate::stage::set_mode;

/// A scratch directory with an empty directory `build/out` in it.
fn scratch() -> tempfile::TempDir {
    let scratch = tempfile::tempdir().unwrap();
    fs::create_dir_all(scratch.path().join("build/out")).unwrap();
    scratch
}

fn open(path: &Path) -> File {
    File::open(path).unwrap()
}

#[track_caller]
fn defect<T: std::fmt::Debug>(result: Result<T, OutputError>) -> (String, OutputDefect) {
    match result {
        Err(OutputError::Refused { path, defect }) => (path, defect),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn pipes_are_refused_without_waiting_for_a_writer() {
    let scratch = scratch();
    let top = open(scratch.path());
    let mode = Mode::from_raw_mode(0o644);
    rustix::fs::mknodat(&top, "build/out/pipe", FileType::Fifo, mode, 0).unwrap();
    let (path, refused) = defect(open_file(top.as_fd(), "build/out/pipe"));
    assert_eq!((&*path, refused), ("build/out/pipe", OutputDefect::Special));
    let (path, refused) = defect(open_tree(top.as_fd(), "build/out"));
    assert_eq!((&*path, refused), ("pipe", OutputDefect::Special));
}

#[test]
fn what_its_owner_could_not_read_is_refused_for_everybody() {
    let scratch = scratch();
    let top = open(scratch.path());
    let out = scratch.path().join("build/out");
    fs::write(out.join("file"), "x").unwrap();
    set_mode(&out.join("file"), 0o044);
    let (path, refused) = defect(open_file(top.as_fd(), "build/out/file"));
    assert_eq!(
        (&*path, refused),
        ("build/out/file", OutputDefect::Unreadable)
    );
    let (path, refused) = defect(open_tree(top.as_fd(), "build/out"));
    assert_eq!((&*path, refused), ("file", OutputDefect::Unreadable));
    // A directory that can be passed but not listed hides nothing that was named.
    set_mode(&out.join("file"), 0o400);
    set_mode(&out, 0o100);
    assert_eq!(
        open_file(top.as_fd(), "build/out/file").unwrap().size_bytes,
        1
    );
    let (path, refused) = defect(open_tree(top.as_fd(), "build/out"));
    assert_eq!((&*path, refused), ("build/out", OutputDefect::Unreadable));
    set_mode(&out, 0o600);
    let (path, refused) = defect(open_file(top.as_fd(), "build/out/file"));
    assert_eq!(
        (&*path, refused),
        ("build/out/file", OutputDefect::Unreadable)
    );
    set_mode(&out, 0o700);
}

#[test]
fn names_are_kept_as_they_are() {
    let scratch = scratch();
    let names = ["\n", " ", "-", "a\u{1b}[2J", "ü", "\\"];
    for name in names {
        fs::write(scratch.path().join("build/out").join(name), name).unwrap();
    }
    let top = open(scratch.path());
    let tree = open_tree(top.as_fd(), "build/out").unwrap();
    let mut expected = names.map(|name| (name.to_owned(), LeftKind::File));
    expected.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert_eq!(tree.entries(), expected);
}

#[test]
fn names_that_are_no_text_are_refused_by_name() {
    use std::os::unix::ffi::OsStrExt;

    let scratch = scratch();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
    fs::create_dir(scratch.path().join("build/out/in")).unwrap();
    fs::write(scratch.path().join("build/out/in").join(name), "").unwrap();
    let top = open(scratch.path());
    let (path, refused) = defect(open_tree(top.as_fd(), "build/out"));
    assert_eq!((&*path, refused), ("in/caf\\xe9", OutputDefect::Name));
}

/// What stands behind a link on the way is not even looked at.
#[test]
fn a_link_on_the_way_tells_nothing_of_the_host() {
    let (scratch, host) = (scratch(), tempfile::tempdir().unwrap());
    std::os::unix::fs::symlink(host.path(), scratch.path().join("build/link")).unwrap();
    fs::create_dir(host.path().join("there")).unwrap();
    set_mode(&host.path().join("there"), 0o000);
    let top = open(scratch.path());
    for name in ["there", "none"] {
        let path = format!("build/link/{name}/file");
        let (_, refused) = defect(open_file(top.as_fd(), &path));
        assert_eq!(refused, OutputDefect::EscapingLink, "{path}");
    }
}
