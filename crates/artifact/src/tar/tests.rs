//! Tests of the archive reader. The `tar` crate writes, so that a misreading of the format
//! cannot hide in a writer of our own.

use std::io::Read;

use proptest::prelude::*;
use tar::{Builder, EntryType, Header};

use super::*;

fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_mtime(7);
    header.set_size(size);
    header
}

fn archive(write: impl FnOnce(&mut Builder<Vec<u8>>)) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    write(&mut builder);
    builder.into_inner().unwrap()
}

/// Puts a raw name into a header, which the `tar` crate would rightly refuse to do.
fn raw(kind: u8, name: &[u8], target: &[u8], content: &[u8]) -> Vec<u8> {
    let mut header = header(EntryType::new(kind), content.len() as u64);
    let bytes = header.as_mut_bytes();
    bytes[..name.len()].copy_from_slice(name);
    bytes[157..157 + target.len()].copy_from_slice(target);
    header.set_cksum();
    let mut block = header.as_bytes().to_vec();
    block.extend_from_slice(content);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

fn ended(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = parts.concat();
    bytes.extend([0; 1024]);
    bytes
}

fn read(bytes: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, TarError> {
    read_within(bytes, Limits::default())
}

fn read_within(bytes: &[u8], limits: Limits) -> Result<Vec<(Entry, Vec<u8>)>, TarError> {
    let mut reader = Reader::new(bytes, limits);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut content = Vec::new();
        reader
            .content()
            .read_to_end(&mut content)
            .map_err(TarError::from_io)?;
        entries.push((entry, content));
    }
    Ok(entries)
}

fn refusal(parts: &[Vec<u8>]) -> String {
    read(&ended(parts)).unwrap_err().to_string()
}

#[test]
fn every_kind_of_entry_comes_through() {
    let long = format!("{}/{}", "d".repeat(150), "f".repeat(150));
    let bytes = archive(|builder| {
        builder
            .append_data(&mut header(EntryType::Directory, 0), "./", &b""[..])
            .unwrap();
        builder
            .append_data(&mut header(EntryType::Directory, 0), "./bin/", &b""[..])
            .unwrap();
        let mut program = header(EntryType::Regular, 3);
        program.set_mode(0o4755);
        builder
            .append_data(&mut program, "bin/program", &b"abc"[..])
            .unwrap();
        builder
            .append_link(&mut header(EntryType::Link, 0), "bin/same", "./bin/program")
            .unwrap();
        builder
            .append_link(&mut header(EntryType::Symlink, 0), "sh", "/bin/../x")
            .unwrap();
        builder
            .append_data(&mut header(EntryType::Regular, 600), &long, &[9; 600][..])
            .unwrap();
    });
    let entries = read(&bytes).unwrap();
    let listed: Vec<_> = entries
        .iter()
        .map(|(e, _)| (e.path.as_str(), &e.kind))
        .collect();
    let file = |size_bytes, executable| Kind::File {
        size_bytes,
        executable,
    };
    assert_eq!(
        listed,
        [
            ("bin", &Kind::Directory),
            ("bin/program", &file(3, true)),
            (
                "bin/same",
                &Kind::Hardlink {
                    target: "bin/program".into()
                }
            ),
            (
                "sh",
                &Kind::Symlink {
                    target: "/bin/../x".into()
                }
            ),
            (long.as_str(), &file(600, false)),
        ]
    );
    assert_eq!(entries[1].1, b"abc");
    assert_eq!(entries[4].1, [9; 600]);
}

#[test]
fn pax_records_win_over_the_header() {
    let bytes = archive(|builder| {
        let records = [
            ("path", &b"real/name"[..]),
            ("comment", b"ignored"),
            ("size", b"5"),
        ];
        builder.append_pax_extensions(records).unwrap();
        // The header's size is too small on purpose; five bytes fit into the same block.
        builder
            .append_data(&mut header(EntryType::Regular, 2), "wrong", &b"ab"[..])
            .unwrap();
    });
    let entries = read(&bytes).unwrap();
    assert_eq!(entries[0].0.path, "real/name");
    assert_eq!(entries[0].1, b"ab\0\0\0");
}

#[test]
fn content_that_is_not_read_is_skipped() {
    let bytes = ended(&[raw(b'0', b"a", b"", &[1; 1000]), raw(b'0', b"b", b"", b"x")]);
    let mut reader = Reader::new(&bytes[..], Limits::default());
    reader.next_entry().unwrap().unwrap();
    reader.content().read_exact(&mut [0; 10]).unwrap();
    assert_eq!(reader.next_entry().unwrap().unwrap().path, "b");
    assert!(reader.next_entry().unwrap().is_none());
    assert!(reader.next_entry().unwrap().is_none());
}

#[test]
fn names_that_lead_out_are_refused() {
    let cases: [(&[u8], &str); 6] = [
        (b"/etc/passwd", "it is absolute"),
        (b"../x", "it leads upwards"),
        (b"a/../../x", "it leads upwards"),
        (b"a//x", "it is not in its shortest form"),
        (b"\xff\xfe", "it is not UTF-8"),
        (b"", "it is not in its shortest form"),
    ];
    for (name, defect) in cases {
        let message = refusal(&[raw(b'0', name, b"", b"")]);
        assert!(message.ends_with(defect), "{message}");
    }
    // The same through each way of giving a long name.
    let long = [
        raw(b'L', b"././@LongLink", b"", b"../../x\0"),
        raw(b'0', b"a", b"", b""),
    ];
    assert!(refusal(&long).ends_with("it leads upwards"));
    let pax = [
        raw(b'x', b"p", b"", b"11 path=/x\n"),
        raw(b'0', b"a", b"", b""),
    ];
    assert!(refusal(&pax).ends_with("it is absolute"));
    let nul = [
        raw(b'x', b"p", b"", b"12 path=a\0b\n"),
        raw(b'0', b"a", b"", b""),
    ];
    assert!(refusal(&nul).ends_with("it contains a NUL byte"));
}

#[test]
fn links_cannot_be_used_to_get_out() {
    let file = || raw(b'0', b"f", b"", b"");
    let below = [
        raw(b'2', b"l", b"/etc", b""),
        raw(b'0', b"l/passwd", b"", b"x"),
    ];
    assert_eq!(refusal(&below), "entry \"l/passwd\" collides with \"l\"");
    let replace = [raw(b'0', b"d/f", b"", b""), raw(b'2', b"d", b"/etc", b"")];
    assert_eq!(refusal(&replace), "entry \"d\" collides with \"d\"");
    assert_eq!(
        refusal(&[file(), file()]),
        "entry \"f\" collides with \"f\""
    );
    for target in [&b"/etc/shadow"[..], b"../x"] {
        assert!(refusal(&[file(), raw(b'1', b"h", target, b"")]).contains("not allowed"));
    }
    for target in [&b"missing"[..], b"h"] {
        let message = refusal(&[file(), raw(b'1', b"h", target, b"")]);
        assert!(
            message.starts_with("hard link \"h\" does not point"),
            "{message}"
        );
    }
    let through = [
        raw(b'2', b"l", b"/etc/shadow", b""),
        raw(b'1', b"h", b"l", b""),
    ];
    assert!(refusal(&through).starts_with("hard link \"h\" does not point"));
    assert!(refusal(&[raw(b'2', b"l", b"", b"")]).starts_with("target of symbolic link \"l\""));
}

#[test]
fn special_files_are_refused() {
    for kind in [b'3', b'4', b'6', b'7', b'S', b'M', b'V', b'D', b'A', b'?'] {
        let message = refusal(&[raw(kind, b"dev/x", b"", b"")]);
        assert!(
            message.starts_with("entry \"dev/x\" is of a kind"),
            "{message}"
        );
    }
    let sparse = [
        raw(b'x', b"p", b"", b"22 GNU.sparse.major=1\n"),
        raw(b'0', b"a", b"", b""),
    ];
    assert_eq!(refusal(&sparse), "archive header is malformed: sparse file");
    let global = [
        raw(b'g', b"p", b"", b"10 path=x\n"),
        raw(b'0', b"a", b"", b""),
    ];
    assert!(refusal(&global).contains("global path"));
}

#[test]
fn malformed_extensions_are_refused() {
    for records in [
        &b"3 a"[..],
        b"0 path=x\n",
        b"99 path=x\n",
        b"10 path=xy",
        b"10 path-xy\n",
        b"5 =x\n",
        b"path=x\n",
        b"99999999999999999999999 path=x\n",
        b" 9 path=x\n",
        b"2 ",
        b"+9 path=\n",
    ] {
        let parts = [raw(b'x', b"p", b"", records), raw(b'0', b"a", b"", b"")];
        assert_eq!(refusal(&parts), "archive header is malformed: pax record");
    }
    let negative = [
        raw(b'x', b"p", b"", b"11 size=-1\n"),
        raw(b'0', b"a", b"", b""),
    ];
    assert_eq!(refusal(&negative), "archive header is malformed: pax size");
    let twice = [
        raw(b'L', b"l", b"", b"a"),
        raw(b'L', b"l", b"", b"b"),
        raw(b'0', b"", b"", b""),
    ];
    assert!(refusal(&twice).contains("two extensions"));
    for records in [&b"9 path=a\n9 path=a\n"[..], b"9 size=1\n9 size=1\n"] {
        let twice = [raw(b'x', b"p", b"", records), raw(b'0', b"a", b"", b"")];
        assert!(refusal(&twice).contains("two extensions"));
    }
    let both = [
        raw(b'L', b"l", b"", b"a"),
        raw(b'x', b"p", b"", b"9 path=b\n"),
        raw(b'0', b"", b"", b""),
    ];
    assert!(refusal(&both).contains("two extensions"));
    assert!(refusal(&[raw(b'L', b"l", b"", b"a")]).contains("extension without an entry"));
    let huge = raw(b'L', b"l", b"", &vec![b'a'; 65 * 1024]);
    assert_eq!(
        refusal(&[huge]),
        "archive has more bytes in an extension than the 65536 allowed"
    );
}

#[test]
fn an_archive_must_end_properly() {
    let whole = ended(&[raw(b'0', b"a", b"", b"content")]);
    assert!(read(&whole).is_ok());
    for length in 0..whole.len() {
        assert!(
            matches!(read(&whole[..length]), Err(TarError::Truncated)),
            "{length}"
        );
    }
    let mut padded = whole.clone();
    padded.resize(10240, 0);
    assert!(read(&padded).is_ok());
    padded.push(1);
    assert!(matches!(read(&padded), Err(TarError::TrailingData)));
    let lone = [
        raw(b'0', b"a", b"", b""),
        vec![0; 512],
        raw(b'0', b"b", b"", b""),
    ]
    .concat();
    assert!(matches!(read(&lone), Err(TarError::TrailingData)));
}

#[test]
fn header_fields_are_checked() {
    let mut bytes = ended(&[raw(b'0', b"a", b"", b"")]);
    bytes[0] = b'b';
    assert!(matches!(read(&bytes), Err(TarError::Checksum { .. })));
    for (offset, value, field) in [
        (124, &b"9"[..], "size"),
        (124, b"-1", "size"),
        (
            124,
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            "size",
        ),
        (257, b"uxtar", "magic number"),
        (100, b"x", "mode"),
        (108, b"8", "uid"),
        (116, b"8", "gid"),
        (136, b"1 2", "mtime"),
    ] {
        let mut header = header(EntryType::Regular, 0);
        header.as_mut_bytes()[0] = b'a';
        header.as_mut_bytes()[offset..offset + value.len()].copy_from_slice(value);
        header.set_cksum();
        let message = refusal(&[header.as_bytes().to_vec()]);
        assert_eq!(message, format!("archive header is malformed: {field}"));
    }
    let directory = [raw(b'5', b"d", b"", b"content")];
    assert!(refusal(&directory).contains("no content"));
}

#[test]
fn limits_hold() {
    let bytes = ended(&[
        raw(b'0', b"a", b"", b"12345"),
        raw(b'0', b"b", b"", b"12345"),
    ]);
    let all = Limits {
        entries_max: 2,
        file_bytes_max: 5,
        total_bytes_max: 10,
    };
    assert!(read_within(&bytes, all).is_ok());
    for limits in [
        Limits {
            entries_max: 1,
            ..all
        },
        Limits {
            file_bytes_max: 4,
            ..all
        },
        Limits {
            total_bytes_max: 9,
            ..all
        },
    ] {
        assert!(matches!(
            read_within(&bytes, limits),
            Err(TarError::Limit { .. })
        ));
    }
    // Each directory that a path implies costs memory, in an archive that compresses well.
    let file = |number: u64| {
        let path = format!("{number}{}", "/a".repeat(45));
        raw(b'0', path.as_bytes(), b"", b"")
    };
    let deep = ended(&(0..10).map(file).collect::<Vec<_>>());
    let within = |entries_max| read_within(&deep, Limits { entries_max, ..all });
    assert_eq!(within(10 * 46).unwrap().len(), 10);
    assert!(matches!(
        within(10 * 46 - 1),
        Err(TarError::Limit {
            what: "entries",
            ..
        })
    ));
    // A size near 2^63, which only the limit stands in front of.
    let mut header = header(EntryType::Regular, 0);
    header.as_mut_bytes()[0] = b'a';
    header.as_mut_bytes()[124..136].copy_from_slice(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff");
    header.set_cksum();
    assert!(refusal(&[header.as_bytes().to_vec()]).contains("bytes in one file"));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        let _ = read(&bytes);
    }

    /// Whatever one byte is changed to, what comes out still keeps the promises.
    #[test]
    fn changed_archives_stay_inside(offset in 0usize..3072, value: u8, fix_sum: bool) {
        let mut bytes = ended(&[
            raw(b'x', b"p", b"", b"15 path=dir/ab\n"),
            raw(b'0', b"name", b"", b"content"),
            raw(b'2', b"link", b"name", b""),
        ]);
        bytes[offset] = value;
        if fix_sum {
            let start = offset / 512 * 512;
            let mut header = Header::from_byte_slice(&bytes[start..start + 512]).clone();
            header.set_cksum();
            bytes[start..start + 512].copy_from_slice(header.as_bytes());
        }
        if let Ok(entries) = read(&bytes) {
            for (entry, _) in entries {
                prop_assert!(crate::path::check(&entry.path).is_ok());
            }
        }
    }
}
