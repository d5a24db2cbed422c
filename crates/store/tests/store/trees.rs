//! Directory objects, trees built, imported, merged and walked.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use counterseal_attestation::UnixSeconds;
use counterseal_store::tree::{
    Directory, DirectoryNode, FileNode, SymlinkNode, TreeBuilder, TreeError, WalkKind, merge,
    put_tree_from_dir, walk,
};
use counterseal_store::{Digest, StoreError};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::{Fixture, set_mode};

fn file(name: &str) -> FileNode {
    FileNode {
        name: name.into(),
        digest: Digest::of(b"content"),
        is_executable: false,
    }
}

fn link(name: &str, target: &str) -> SymlinkNode {
    SymlinkNode {
        name: name.into(),
        target: target.into(),
    }
}

/// One protocol buffer field of wire type 2.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
    bytes.extend_from_slice(content);
    bytes
}

fn digest_bytes(size: u8) -> Vec<u8> {
    let hash = Digest::of(b"content").hash.to_string();
    let mut bytes = field(1, hash.as_bytes());
    if size != 0 {
        bytes.extend([0x10, size]);
    }
    bytes
}

fn file_bytes(name: &[u8]) -> Vec<u8> {
    field(1, &[field(1, name), field(2, &digest_bytes(7))].concat())
}

fn directory_bytes(name: &[u8]) -> Vec<u8> {
    field(2, &[field(1, name), field(2, &digest_bytes(7))].concat())
}

fn link_bytes(name: &[u8], target: &[u8]) -> Vec<u8> {
    field(3, &[field(1, name), field(2, target)].concat())
}

#[test]
fn the_encoding_is_that_of_the_specification() {
    let directory = Directory {
        files: vec![
            FileNode {
                is_executable: true,
                ..file("b")
            },
            file("a"),
        ],
        directories: vec![DirectoryNode {
            name: "d".into(),
            digest: Digest::of(b"content"),
        }],
        symlinks: vec![link("l", "/t")],
    };
    let executable = [field(1, b"b"), field(2, &digest_bytes(7)), vec![0x20, 1]].concat();
    let expected = [
        file_bytes(b"a"),
        field(1, &executable),
        directory_bytes(b"d"),
        link_bytes(b"l", b"/t"),
    ]
    .concat();
    let encoded = directory.encode().unwrap();
    assert_eq!(encoded, expected);
    assert_eq!(
        Directory::decode(&encoded).unwrap().encode().unwrap(),
        encoded
    );
    assert_eq!(Directory::default().encode().unwrap(), b"");
    assert_eq!(Directory::decode(b"").unwrap(), Directory::default());
}

#[test]
fn hostile_names_are_refused() {
    let long = "n".repeat(256);
    for name in ["", ".", "..", "a/b", "/", "a\0b", &long] {
        let invalid = Err(TreeError::NameInvalid { name: name.into() });
        let directory = Directory {
            files: vec![file(name)],
            ..Directory::default()
        };
        assert_eq!(directory.encode().map(drop), invalid);
        if name.len() < 100 && !name.is_empty() {
            for bytes in [
                file_bytes(name.as_bytes()),
                directory_bytes(name.as_bytes()),
                link_bytes(name.as_bytes(), b"t"),
            ] {
                assert_eq!(Directory::decode(&bytes).map(drop), invalid);
            }
        }
    }
    assert!(matches!(
        Directory::decode(&file_bytes(b"\xff")),
        Err(TreeError::Malformed { .. })
    ));
}

#[test]
fn other_spellings_are_refused() {
    let refuse = |parts: &[Vec<u8>]| Directory::decode(&parts.concat()).unwrap_err();
    let (a, b) = (|| file_bytes(b"a"), || file_bytes(b"b"));
    assert_eq!(
        refuse(&[b(), a()]),
        TreeError::Unsorted { name: "a".into() }
    );
    assert_eq!(
        refuse(&[a(), a()]),
        TreeError::Duplicate { name: "a".into() }
    );
    assert_eq!(
        refuse(&[a(), directory_bytes(b"a")]),
        TreeError::Duplicate { name: "a".into() }
    );
    assert_eq!(
        refuse(&[a(), link_bytes(b"a", b"t")]),
        TreeError::Duplicate { name: "a".into() }
    );
    assert_eq!(
        refuse(&[link_bytes(b"l", b"t"), a()]),
        TreeError::NotCanonical
    );
    // Unknown field, default value written out, empty properties.
    assert_eq!(refuse(&[a(), vec![0x2a, 0]]), TreeError::NotCanonical);
    let spelled_out = [field(1, b"a"), field(2, &digest_bytes(7)), vec![0x20, 0]].concat();
    assert_eq!(refuse(&[field(1, &spelled_out)]), TreeError::NotCanonical);
    assert!(matches!(
        refuse(&[b"\xff\xff\xff".to_vec()]),
        TreeError::Malformed { .. }
    ));
    assert_eq!(
        refuse(&[field(1, &field(1, b"a"))]),
        TreeError::DigestInvalid { name: "a".into() }
    );
    let upper = field(
        1,
        Digest::of(b"").hash.to_string().to_uppercase().as_bytes(),
    );
    let node = [field(1, b"a"), field(2, &upper)].concat();
    assert_eq!(
        refuse(&[field(1, &node)]),
        TreeError::DigestInvalid { name: "a".into() }
    );
    assert!(matches!(
        refuse(&[field(3, &field(1, b"l"))]),
        TreeError::TargetInvalid { .. }
    ));
    assert!(matches!(
        refuse(&[link_bytes(b"l", b"a\0b")]),
        TreeError::TargetInvalid { .. }
    ));
}

#[test]
fn builder_refuses_what_cannot_be() {
    let mut builder = TreeBuilder::new();
    let (one, other) = (Digest::of(b"1"), Digest::of(b"2"));
    builder.add_file("a/b", one, false).unwrap();
    builder.add_file("a/b", one, false).unwrap();
    builder.add_dir("a").unwrap();
    builder.add_dir("").unwrap();
    for conflict in [
        builder.add_file("a/b", other, false),
        builder.add_file("a/b", one, true),
        builder.add_file("a", one, false),
        builder.add_symlink("a/b", "x"),
        builder.add_dir("a/b"),
        builder.add_file("a/b/c", one, false),
    ] {
        assert!(matches!(conflict, Err(TreeError::Conflict { .. })));
    }
    for path in ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a\0"] {
        assert!(matches!(
            builder.add_file(path, one, false),
            Err(TreeError::PathInvalid { .. })
        ));
    }
    assert_eq!(
        builder.add_dir(&"d/".repeat(257)[..513]),
        Err(TreeError::TooDeep)
    );
    assert!(matches!(
        builder.add_symlink("l", ""),
        Err(TreeError::TargetInvalid { .. })
    ));
    assert_eq!(builder.file("a/b"), Some((one, false)));
    assert_eq!(
        (builder.file("a"), builder.file("a/b/c"), builder.file("x")),
        (None, None, None)
    );
}

#[test]
fn an_import_equals_the_tree_built_by_hand() {
    let fixture = Fixture::new();
    let dir = fixture.home.path().join("source");
    fs::create_dir_all(dir.join("z/empty")).unwrap();
    fs::write(dir.join("z/tool"), "tool").unwrap();
    set_mode(&dir.join("z/tool"), 0o700);
    fs::write(dir.join(".gitignore"), "*").unwrap();
    set_mode(&dir.join(".gitignore"), 0o4606);
    symlink("/nowhere/..", dir.join("link")).unwrap();

    let mut builder = TreeBuilder::new();
    builder.add_symlink("link", "/nowhere/..").unwrap();
    builder
        .add_file("z/tool", Digest::of(b"tool"), true)
        .unwrap();
    builder
        .add_file(".gitignore", Digest::of(b"*"), false)
        .unwrap();
    builder.add_dir("z/empty").unwrap();

    let imported = put_tree_from_dir(&fixture.store, &dir).unwrap();
    assert_eq!(imported, builder.finish(&fixture.store).unwrap());
    let paths: Vec<String> = walk(&fixture.store, &imported)
        .unwrap()
        .into_iter()
        .map(|entry| entry.path)
        .collect();
    assert_eq!(paths, [".gitignore", "link", "z", "z/tool", "z/empty"]);
    assert!(fixture.store.contains_tree(&imported).unwrap());
    // Through a link to the directory.
    symlink(&dir, fixture.home.path().join("way")).unwrap();
    let again = put_tree_from_dir(&fixture.store, &fixture.home.path().join("way")).unwrap();
    assert_eq!(again, imported);
}

#[test]
fn an_import_refuses_what_a_tree_cannot_hold() {
    let fixture = Fixture::new();
    let dir = fixture.home.path().join("source");
    let import = || put_tree_from_dir(&fixture.store, &dir);
    assert!(matches!(import(), Err(StoreError::Io { .. })));
    fs::create_dir_all(dir.join("sub")).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(dir.join("sub/socket")).unwrap();
    let error = import().unwrap_err();
    assert_eq!(
        error.to_string(),
        "neither a file, a directory nor a symbolic link: \"sub/socket\""
    );
    drop(socket);
    fs::remove_file(dir.join("sub/socket")).unwrap();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
    fs::write(dir.join("sub").join(name), "").unwrap();
    let error = import().unwrap_err();
    assert_eq!(
        error.to_string(),
        "name or link target is not UTF-8: \"sub/caf\u{fffd}\""
    );
    fs::remove_file(dir.join("sub").join(name)).unwrap();
    symlink(name, dir.join("sub/link")).unwrap();
    assert!(matches!(
        import(),
        Err(StoreError::Tree(TreeError::NotUtf8 { .. }))
    ));
    assert_eq!(
        fixture.store.check().unwrap().blobs_count,
        0,
        "nothing of it was stored"
    );
}

#[test]
fn merging_unites_directories_and_refuses_conflicts() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let tree = |entries: &[(&str, &str)]| {
        let mut builder = TreeBuilder::new();
        for (path, content) in entries {
            let digest = store.put_bytes(content.as_bytes()).unwrap();
            builder.add_file(path, digest, false).unwrap();
        }
        builder.finish(store).unwrap()
    };
    let one = tree(&[("usr/bin/a", "a"), ("usr/share/doc/same", "same")]);
    let two = tree(&[("usr/bin/b", "b"), ("usr/share/doc/same", "same")]);
    let moved = tree(&[("c", "c")]);
    let all = tree(&[
        ("usr/bin/a", "a"),
        ("usr/bin/b", "b"),
        ("usr/bin/c", "c"),
        ("usr/share/doc/same", "same"),
    ]);
    let parts = [("", one), ("", two), ("usr/bin", moved), ("", one)];
    assert_eq!(merge(store, &parts).unwrap(), all);
    let mut reversed = parts;
    reversed.reverse();
    assert_eq!(merge(store, &reversed).unwrap(), all);
    assert_eq!(merge(store, &[("", one)]).unwrap(), one);
    assert_eq!(merge(store, &[]).unwrap(), Digest::of(b""));

    let conflict = tree(&[("usr/bin/a", "another")]);
    let error = merge(store, &[("", one), ("", conflict)]).unwrap_err();
    assert_eq!(error.to_string(), "two different entries at \"usr/bin/a\"");
    let error = merge(store, &[("", one), ("usr/bin/a", moved)]).unwrap_err();
    assert_eq!(error.to_string(), "two different entries at \"usr/bin/a\"");
    assert!(merge(store, &[("../x", one)]).is_err());
    let missing = merge(store, &[("x", Digest::of(b"missing"))]).unwrap_err();
    assert!(matches!(missing, StoreError::BlobMissing { .. }));
}

/// Puts a tree below directories that hold one another, all under the same names.
fn wrapped(fixture: &Fixture, levels: usize, names: &[&str], mut tree: Digest) -> Digest {
    let batch = fixture.store.batch().unwrap();
    for _ in 0..levels {
        let node = |name: &&str| DirectoryNode {
            name: (*name).into(),
            digest: tree,
        };
        let directory = Directory {
            directories: names.iter().map(node).collect(),
            ..Directory::default()
        };
        tree = batch.put_bytes(&directory.encode().unwrap()).unwrap();
    }
    batch.commit().unwrap();
    tree
}

/// Each level names the one below it twice: 2^40 times a hundred links from 41 small objects.
fn bomb(fixture: &Fixture, link: &str) -> Digest {
    let mut builder = TreeBuilder::new();
    for number in 0..100 {
        builder
            .add_symlink(&format!("{link}{number}"), "t")
            .unwrap();
    }
    let tree = builder.finish(&fixture.store).unwrap();
    wrapped(fixture, 40, &["a", "b"], tree)
}

#[test]
fn trees_that_explode_or_nest_for_ever_are_refused() {
    let mut fixture = Fixture::new();
    let (wide, twin) = (bomb(&fixture, "x"), bomb(&fixture, "y"));
    let error = walk(&fixture.store, &wide).unwrap_err();
    assert!(
        matches!(error, StoreError::Tree(TreeError::TooManyEntries)),
        "{error}"
    );
    let error = merge(&fixture.store, &[("", wide), ("", twin)]).unwrap_err();
    assert!(
        matches!(error, StoreError::Tree(TreeError::TooManyEntries)),
        "{error}"
    );
    // Where every object is looked at once, the number of paths does not matter.
    assert!(fixture.store.contains_tree(&wide).unwrap());
    fixture.store.pin("bomb", &[wide]).unwrap();
    assert_eq!(fixture.store.gc().unwrap().kept_blobs_count, 41);

    let empty = fixture.store.put_bytes(b"").unwrap();
    let error = walk(&fixture.store, &wrapped(&fixture, 257, &["d"], empty)).unwrap_err();
    assert!(
        matches!(error, StoreError::Tree(TreeError::TooDeep)),
        "{error}"
    );

    let mut builder = TreeBuilder::new();
    for number in 0..2100 {
        builder.add_symlink(&number.to_string(), "t").unwrap();
    }
    let many = builder.finish(&fixture.store).unwrap();
    let long = wrapped(&fixture, 255, &[&"n".repeat(255)], many);
    let mut builder = TreeBuilder::new();
    builder.add_symlink("l", &"t".repeat(4095)).unwrap();
    let links = builder.finish(&fixture.store).unwrap();
    let links = wrapped(&fixture, 20, &["a", "b"], links);
    for tree in [long, links] {
        let error = walk(&fixture.store, &tree).unwrap_err();
        assert!(
            matches!(error, StoreError::Tree(TreeError::PathsTooLong)),
            "{error}"
        );
    }
}

#[test]
fn an_object_that_is_no_directory_is_refused_everywhere() {
    let fixture = Fixture::new();
    let hostile = fixture.store.put_bytes(&file_bytes(b"..")).unwrap();
    assert!(walk(&fixture.store, &hostile).is_err());
    assert!(merge(&fixture.store, &[("x", hostile)]).is_err());
    let checkout = fixture.store.checkout(&hostile, UnixSeconds(0));
    assert!(matches!(
        checkout,
        Err(StoreError::Tree(TreeError::NameInvalid { .. }))
    ));
    assert_eq!(fixture.incoming_count(), 0);
}

fn populate(dir: &Path, files: &std::collections::BTreeMap<String, (Vec<u8>, bool)>) {
    for (path, (content, executable)) in files {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        set_mode(&path, if *executable { 0o755 } else { 0o600 });
    }
}

/// Import, check out, import again: the digest does not change.
#[test]
fn a_checkout_imports_as_what_it_was() {
    let fixture = Fixture::new();
    let files = proptest::collection::btree_map(
        "[a-c]{1,2}(/[a-cé ]{1,3}){0,3}/f",
        (proptest::collection::vec(any::<u8>(), 0..40), any::<bool>()),
        0..10,
    );
    let mut runner = TestRunner::new(ProptestConfig::with_cases(16));
    let result = runner.run(&files, |files| {
        let dir = tempfile::tempdir().unwrap();
        populate(dir.path(), &files);
        let tree = put_tree_from_dir(&fixture.store, dir.path()).unwrap();
        let checkout = fixture.store.checkout(&tree, UnixSeconds(1)).unwrap();
        prop_assert_eq!(
            put_tree_from_dir(&fixture.store, checkout.path()).unwrap(),
            tree
        );
        let listed: Vec<String> = walk(&fixture.store, &tree)
            .unwrap()
            .into_iter()
            .filter(|entry| matches!(entry.kind, WalkKind::File { .. }))
            .map(|entry| entry.path)
            .collect();
        prop_assert_eq!(listed.len(), files.len());
        Ok(())
    });
    result.unwrap();
}

proptest! {
    #[test]
    fn decoding_accepts_only_what_encoding_writes(
        bytes in proptest::collection::vec(any::<u8>(), 0..200), flip in any::<(u8, u8)>()
    ) {
        let mut near = [file_bytes(b"a"), directory_bytes(b"d"), link_bytes(b"l", b"t")].concat();
        let offset = usize::from(flip.0) % near.len();
        near[offset] ^= flip.1;
        for bytes in [bytes, near] {
            if let Ok(directory) = Directory::decode(&bytes) {
                prop_assert_eq!(directory.encode().unwrap(), bytes);
            }
        }
    }
}
