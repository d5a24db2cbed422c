//! Tests of the package reader, against packages put together byte by byte.

use std::io::Write;

use proptest::prelude::*;

use super::*;

fn member(name: &str, content: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
        0,
        0,
        0,
        100_644,
        content.len()
    )
    .into_bytes();
    bytes.extend_from_slice(content);
    if content.len() % 2 == 1 {
        bytes.push(b'\n');
    }
    bytes
}

type Members<'a> = &'a [(&'a str, &'a [u8])];

fn package(members: Members<'_>) -> Vec<u8> {
    let members = members.iter().map(|(name, content)| member(name, content));
    [b"!<arch>\n".to_vec(), members.collect::<Vec<_>>().concat()].concat()
}

fn xz(content: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 6);
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zst(content: &[u8]) -> Vec<u8> {
    zstd::encode_all(content, 3).unwrap()
}

fn read(bytes: &[u8]) -> Result<Vec<(MemberKind, Vec<u8>)>, String> {
    let limits = Limits {
        control_bytes_max: 1 << 16,
        data_bytes_max: 1 << 16,
    };
    let mut reader = Reader::open(bytes, limits).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    while let Some(mut member) = reader.next_member().map_err(|error| error.to_string())? {
        let mut content = Vec::new();
        member
            .read_to_end(&mut content)
            .map_err(|error| error.to_string())?;
        found.push((member.kind(), content));
    }
    Ok(found)
}

const VERSION: (&str, &[u8]) = ("debian-binary", b"2.0\n");
const CONTROL: (&str, &[u8]) = ("control.tar", b"c");
const DATA: (&str, &[u8]) = ("data.tar", b"data");

#[test]
fn every_compression_is_read() {
    let expected = Ok(vec![
        (MemberKind::Control, b"control".to_vec()),
        (MemberKind::Data, b"the data".to_vec()),
    ]);
    let (control, data) = (b"control", b"the data");
    for (suffix, compress) in [
        (
            "",
            (|content: &[u8]| content.to_vec()) as fn(&[u8]) -> Vec<u8>,
        ),
        (".gz", gzip),
        (".xz", xz),
        (".zst", zst),
    ] {
        let (control, data) = (compress(control), compress(data));
        let bytes = package(&[
            VERSION,
            ("_early", b"odd"),
            (&format!("control.tar{suffix}"), &control),
            ("_between", b""),
            (&format!("data.tar{suffix}/"), &data),
            ("_late", b"!"),
        ]);
        assert_eq!(read(&bytes), expected);
    }
}

#[test]
fn a_member_need_not_be_read() {
    let bytes = package(&[VERSION, ("control.tar.xz", &xz(b"c")), DATA]);
    let mut reader = Reader::open(&bytes[..], Limits::default()).unwrap();
    drop(reader.next_member().unwrap().unwrap());
    assert_eq!(
        reader.next_member().unwrap().unwrap().kind(),
        MemberKind::Data
    );
    assert!(reader.next_member().unwrap().is_none());
    assert!(reader.next_member().unwrap().is_none());
}

#[test]
fn other_shapes_are_refused() {
    let cases: [(Members<'_>, &str); 10] = [
        (&[], "package has no debian-binary"),
        (&[CONTROL, DATA], "package has no debian-binary"),
        (&[VERSION], "package has no control.tar"),
        (&[VERSION, CONTROL], "package has no data.tar"),
        (
            &[VERSION, DATA, CONTROL],
            "unexpected package member \"data.tar\"",
        ),
        (
            &[VERSION, CONTROL, CONTROL],
            "unexpected package member \"control.tar\"",
        ),
        (
            &[VERSION, CONTROL, DATA, DATA],
            "unexpected package member \"data.tar\"",
        ),
        (
            &[VERSION, CONTROL, ("x", b"")],
            "unexpected package member \"x\"",
        ),
        (
            &[VERSION, CONTROL, ("data.tar.bz2", b"")],
            "compression of package member \"data.tar.bz2\" is not supported",
        ),
        (
            &[("debian-binary", b"3.0\n")],
            "package format is not supported: expected 2.0, found \"3.0\"",
        ),
    ];
    for (members, message) in cases {
        assert_eq!(read(&package(members)).unwrap_err(), message);
    }
    assert!(
        read(b"not a package")
            .unwrap_err()
            .starts_with("not a Debian package")
    );
    assert!(read(b"").unwrap_err().starts_with("not a Debian package"));
}

#[test]
fn what_is_cut_short_is_refused() {
    let bytes = package(&[VERSION, CONTROL, DATA]);
    assert!(read(&bytes).is_ok());
    for length in 0..bytes.len() {
        assert!(read(&bytes[..length]).is_err(), "{length}");
    }
}

#[test]
fn headers_are_checked() {
    let good = package(&[VERSION, CONTROL, DATA]);
    for (offset, value, field) in [
        (8 + 58, b'x', "end mark"),
        (8 + 48, b'-', "size"),
        (8 + 48, b' ', "size"),
        (8, b'\0', "name"),
    ] {
        let mut bytes = good.clone();
        bytes[offset] = value;
        let message = read(&bytes).unwrap_err();
        assert_eq!(
            message,
            format!("header of a package member is malformed: {field}")
        );
    }
}

#[test]
fn compressed_streams_are_bounded_and_alone() {
    for compress in [gzip, xz, zst] {
        let name = match compress(b"")[0] {
            0x1f => "data.tar.gz",
            0xfd => "data.tar.xz",
            _ => "data.tar.zst",
        };
        let bomb = compress(&vec![0; (1 << 16) + 1]);
        let message = read(&package(&[VERSION, CONTROL, (name, &bomb)])).unwrap_err();
        assert_eq!(message, "decompressed data is larger than allowed");
        let full = compress(&vec![0; 1 << 16]);
        assert!(read(&package(&[VERSION, CONTROL, (name, &full)])).is_ok());
        let twice = [compress(b"a"), compress(b"b")].concat();
        let message = read(&package(&[VERSION, CONTROL, (name, &twice)])).unwrap_err();
        assert_eq!(message, "compressed data is followed by something else");
        let short = &full[..full.len() - 1];
        assert!(read(&package(&[VERSION, CONTROL, (name, short)])).is_err());
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(tail in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = read(&[b"!<arch>\n".to_vec(), tail.clone()].concat());
        let _ = read(&[package(&[VERSION]), tail.clone()].concat());
        for name in ["data.tar.xz", "data.tar.zst", "data.tar.gz"] {
            let _ = read(&package(&[VERSION, CONTROL, (name, &tail)]));
        }
    }
}
