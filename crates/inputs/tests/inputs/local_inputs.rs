//! Files and directories beside the recipe, and files behind a URL.

use std::fs;

use counterseal_attestation::Sha256Digest;
use counterseal_inputs::{InputSpec, InputsError, Location, write_archive};

use crate::mini_archive::MiniArchive;
use crate::server::Answer;
use crate::workplace::Workplace;

fn place() -> Workplace {
    let place = Workplace::with(MiniArchive::default());
    fs::create_dir_all(place.recipe_file("src/deep")).unwrap();
    fs::write(place.recipe_file("src/deep/a.c"), "int a;").unwrap();
    fs::write(place.recipe_file("src/.gitignore"), "deep\n").unwrap();
    std::os::unix::fs::symlink("deep/a.c", place.recipe_file("src/link")).unwrap();
    fs::write(place.recipe_file("notes.txt"), "notes").unwrap();
    place
}

fn directory() -> Vec<(String, InputSpec)> {
    let location = "src".parse().unwrap();
    vec![("tree".to_owned(), InputSpec::Directory { location })]
}

fn file(location: &str, sha256: Option<Sha256Digest>) -> Vec<(String, InputSpec)> {
    let location = Location::try_from(location.to_owned()).unwrap();
    vec![(
        "one".to_owned(),
        InputSpec::File {
            location,
            sha256,
            size_bytes: None,
        },
    )]
}

#[test]
fn a_directory_is_its_tree_and_ignore_files_are_content() {
    let place = place();
    let lock = place.resolve(&directory()).unwrap();
    let root = lock.inputs[0].items[0].digest();
    let paths: Vec<_> = counterseal_store::tree::walk(&place.store, &root)
        .unwrap()
        .into_iter()
        .map(|entry| entry.path)
        .collect();
    for path in [".gitignore", "deep", "deep/a.c", "link"] {
        assert!(paths.iter().any(|found| found == path), "{paths:?}");
    }
    assert_eq!(place.fetch(&directory(), &lock).unwrap().present_items, 1);
    // A copy elsewhere, made in another order, is the same tree.
    let copy = Workplace::with(MiniArchive::default());
    fs::create_dir_all(copy.recipe_file("src/deep")).unwrap();
    std::os::unix::fs::symlink("deep/a.c", copy.recipe_file("src/link")).unwrap();
    fs::write(copy.recipe_file("src/.gitignore"), "deep\n").unwrap();
    fs::write(copy.recipe_file("src/deep/a.c"), "int a;").unwrap();
    assert_eq!(copy.resolve(&directory()).unwrap(), lock);
}

#[test]
fn a_directory_that_changed_since_the_lock_is_refused() {
    let place = place();
    let lock = place.resolve(&directory()).unwrap();
    fs::write(place.recipe_file("src/deep/a.c"), "int b;").unwrap();
    let error = place.fetch(&directory(), &lock).unwrap_err();
    assert!(matches!(error, InputsError::Changed { .. }), "{error}");
    assert!(error.hint().unwrap().contains("counterseal lock"));
}

#[test]
fn an_archive_carries_whole_trees() {
    let place = place();
    let declared = [directory(), file("notes.txt", None)].concat();
    let lock = place.resolve(&declared).unwrap();
    let archive = place.directory.path().join("archive");
    // Two directory messages, two files below, and the notes.
    assert_eq!(
        write_archive(&lock, &place.store, &archive).unwrap().items,
        5
    );

    let mut place = place.with_empty_store();
    place.sources.base_directory = None;
    place.sources.is_offline = true;
    let error = place.fetch(&declared, &lock).unwrap_err();
    assert!(matches!(error, InputsError::NotHere { .. }), "{error}");
    place.sources.archives = vec![archive.clone()];
    place.fetch(&declared, &lock).unwrap();
    assert!(
        place
            .store
            .contains_tree(&lock.inputs[0].items[0].digest())
            .unwrap()
    );

    let mut place = place;
    place.store = counterseal_store::Store::create(&place.directory.path().join("third")).unwrap();
    let leaf = Sha256Digest::of(b"int a;").to_string();
    fs::remove_file(archive.join("sha256").join(&leaf)).unwrap();
    let error = place.fetch(&declared, &lock).unwrap_err();
    // As if the whole were missing, and not as if the archive could not be read.
    assert!(!error.is_unreadable(), "{error}");
    assert!(error.to_string().contains(&leaf), "{error}");
}

#[test]
fn a_local_file_is_pinned_and_compared() {
    let place = place();
    let declared = file("notes.txt", None);
    let lock = place.resolve(&declared).unwrap();
    assert_eq!(lock.inputs[0].items[0].sha256, Sha256Digest::of(b"notes"));
    place.fetch(&declared, &lock).unwrap();
    for content in ["other", "notes and more"] {
        fs::write(place.recipe_file("notes.txt"), content).unwrap();
        let error = place.fetch(&declared, &lock).unwrap_err();
        let InputsError::Changed { found, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(found, Sha256Digest::of(content.as_bytes()));
    }

    let stated = file("notes.txt", Some(Sha256Digest::of(b"notes")));
    let error = place.resolve(&stated).unwrap_err();
    assert!(matches!(error, InputsError::Changed { .. }), "{error}");
    let error = place.resolve(&file("absent.txt", None)).unwrap_err();
    assert!(matches!(error, InputsError::Io { .. }), "{error}");
}

#[test]
fn a_file_behind_a_url_needs_the_stated_digest() {
    let place = place();
    place
        .server
        .answer("/a.tar", Answer::Bytes(b"tar".to_vec()));
    let url = place.server.url("/a.tar");
    let declared = file(&url, Some(Sha256Digest::of(b"tar")));
    let lock = place.resolve(&declared).unwrap();
    assert!(!lock.to_toml().contains("127.0.0.1"));
    assert_eq!(lock.inputs[0].items[0].path, None);
    place.fetch(&declared, &lock).unwrap();

    let blobs = place.blobs();
    let error = place
        .resolve(&file(&url, Some(Sha256Digest::of(b"rat"))))
        .unwrap_err();
    assert!(error.to_string().contains("does not match"), "{error}");
    assert_eq!(place.blobs(), blobs, "nothing may be stored");

    let place = place.with_empty_store();
    assert_eq!(place.fetch(&declared, &lock).unwrap().fetched_items, 1);
}

#[test]
fn bytes_pinned_twice_come_from_wherever_one_of_them_is() {
    let place = place();
    place
        .server
        .answer("/notes", Answer::Bytes(b"notes".to_vec()));
    let digest = Some(Sha256Digest::of(b"notes"));
    let named = |name: &str, location: &str| {
        let spec = file(location, digest).remove(0).1;
        (name.to_owned(), spec)
    };
    let url = place.server.url("/notes");
    let declared = [named("behind-url", &url), named("local", "notes.txt")];
    let lock = place.resolve(&declared).unwrap();
    fs::remove_file(place.recipe_file("notes.txt")).unwrap();
    let place = place.with_empty_store();
    assert_eq!(place.fetch(&declared, &lock).unwrap().fetched_items, 1);
}

#[test]
fn a_stated_size_is_held_against_the_file() {
    let place = place();
    place.server.answer("/a.tar", Answer::Endless);
    let location = Location::try_from(place.server.url("/a.tar")).unwrap();
    let sha256 = Some(Sha256Digest::of(b"tar"));
    let spec = InputSpec::File {
        location,
        sha256,
        size_bytes: Some(3),
    };
    let error = place.resolve(&[("one".to_owned(), spec)]).unwrap_err();
    assert!(
        error.to_string().contains("more than the expected 3 bytes"),
        "{error}"
    );
    assert_eq!(place.blobs(), 0);

    let location = Location::try_from("notes.txt".to_owned()).unwrap();
    let spec = InputSpec::File {
        location,
        sha256: None,
        size_bytes: Some(4),
    };
    let error = place.resolve(&[("one".to_owned(), spec)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "notes.txt has 5 bytes; the recipe says 4"
    );
}

#[test]
fn names_of_inputs_are_checked() {
    let place = place();
    let spec = || file("notes.txt", None).remove(0).1;
    for names in [["a", "a"], ["a", "../b"], ["a", ""]] {
        let declared: Vec<_> = names
            .iter()
            .map(|name| ((*name).to_owned(), spec()))
            .collect();
        let error = place.resolve(&declared).unwrap_err();
        assert!(matches!(error, InputsError::InputName { .. }), "{error}");
    }
}
