//! Locks written by somebody else.

use counterseal_inputs::Lock;
use counterseal_inputs::lock::LOCK_BYTES_MAX;

fn good() -> String {
    let (a, b) = ("aa".repeat(32), "bb".repeat(32));
    format!(
        r#"format = 1

[[input]]
name = "root"
kind = "debian-packages"
suite = "bookworm"
architecture = "amd64"
packages = ["aa"]

[[input.item]]
purl = "pkg:deb/debian/aa@1?arch=amd64&distro=bookworm"
sha256 = "{a}"
size = 1
path = "pool/a.deb"

[[input.item]]
purl = "pkg:deb/debian/bb@1?arch=all&distro=bookworm"
sha256 = "{b}"
size = 2
path = "pool/b.deb"

[[input]]
name = "notes"
kind = "file"

[[input.item]]
purl = "pkg:generic/notes.txt"
sha256 = "{b}"
size = 2
path = "notes.txt"
"#
    )
}

#[test]
fn writing_and_reading_agree() {
    let lock = Lock::parse(&good()).unwrap();
    let text = lock.to_toml();
    assert_eq!(Lock::parse(&text).unwrap(), lock);
    assert_eq!(Lock::parse(&text).unwrap().to_toml(), text);
    assert_eq!(Lock::parse("format = 1\n").unwrap().inputs, []);
}

const ITEM: &str = "pkg:deb/debian/aa@1?arch=amd64&distro=bookworm";

/// What is replaced, by what, and a part of the reason that must be given.
const CASES: &[(&str, &str, &str)] = &[
    ("format = 1", "format = 2", "format 2"),
    (
        "format = 1",
        "format = 1\nmirror = \"h.example\"",
        "unknown field `mirror`",
    ),
    (
        "name = \"root\"",
        "name = \"root\"\nurl = \"x\"",
        "unknown field `url`",
    ),
    (
        "size = 1",
        "size = 1\nurl = \"http://h.example\"",
        "unknown field `url`",
    ),
    ("size = 1", "size = 1\nsize = 1", "duplicate key"),
    ("size = 1", "size = -1", "invalid"),
    ("size = 1", "size = \"1\"", "invalid type"),
    ("size = 1", "size = 99999999999999", "`size` of item 0"),
    ("aaaaaaaa", "AAAAAAAA", "sha256"),
    (
        "path = \"pool/a.deb\"",
        "path = \"../a.deb\"",
        "`..` component",
    ),
    (
        "path = \"pool/a.deb\"",
        "path = \"/pool/a.deb\"",
        "absolute",
    ),
    (
        "path = \"pool/a.deb\"",
        "path = \"http://h.example/a\"",
        "not allowed",
    ),
    (
        "path = \"pool/a.deb\"",
        "path = \"h.example/a.deb\"",
        "`path` of item 0",
    ),
    ("path = \"pool/a.deb\"", "", "`path` of item 0"),
    (ITEM, "pkg:generic/aa", "`purl` of item 0"),
    (
        ITEM,
        "pkg:deb/debian/aa@1?arch=arm64&distro=bookworm",
        "`purl` of item 0",
    ),
    (
        ITEM,
        "pkg:deb/debian/aa@1?arch=amd64&distro=trixie",
        "`purl` of item 0",
    ),
    (
        ITEM,
        "pkg:deb/debian/cc@1?arch=amd64&distro=bookworm",
        "item 1 of",
    ),
    (
        ITEM,
        "pkg:deb/debian/bb@1?arch=all&distro=bookworm",
        "item 1 of",
    ),
    (
        ITEM,
        "pkg:deb/debian/aa@1?arch=amd64&distro=b&download_url=x",
        "not a package URL",
    ),
    ("packages = [\"aa\"]", "packages = [\"zz\"]", "`packages`"),
    ("packages = [\"aa\"]", "packages = []", "`packages`"),
    ("suite = \"bookworm\"", "suite = \"a/b\"", "`suite`"),
    ("suite = \"bookworm\"", "", "`suite`"),
    ("kind = \"file\"", "kind = \"socket\"", "`kind`"),
    (
        "kind = \"file\"",
        "kind = \"file\"\nsuite = \"bookworm\"",
        "`suite`",
    ),
    ("kind = \"file\"", "kind = \"debian-source\"", "`suite`"),
    ("name = \"notes\"", "name = \"root\"", "repeated name"),
    ("name = \"notes\"", "name = \"a b\"", "unusable or repeated"),
    (
        "path = \"notes.txt\"",
        "path = \"a\\u0000b\"",
        "not allowed",
    ),
];

#[test]
fn hostile_locks_are_refused_with_a_reason() {
    for (from, to, expected) in CASES {
        let text = good().replacen(from, to, 1);
        assert_ne!(text, good(), "{from}");
        let error = Lock::parse(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{from} -> {to}: {error}");
    }
    let good = good();
    let (head, _) = good.split_once("[[input.item]]").unwrap();
    assert!(
        Lock::parse(head)
            .unwrap_err()
            .to_string()
            .contains("number of items: 0")
    );
    let unknown = good.replacen("size = 1", "size = 1\ncolour = 3", 1);
    assert!(
        Lock::parse(&unknown)
            .unwrap_err()
            .to_string()
            .contains("line 14")
    );
}

#[test]
fn an_oversize_lock_is_not_read() {
    let text = format!("format = 1\n#{}", "x".repeat(LOCK_BYTES_MAX));
    assert!(
        Lock::parse(&text)
            .unwrap_err()
            .to_string()
            .contains("at most")
    );
}
