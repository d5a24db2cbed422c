//! Tests of the packer: the `tar` crate reads what it writes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::tar;

#[derive(Debug, Clone, PartialEq)]
enum Item {
    Directory,
    Symlink(String),
    File(Vec<u8>, bool),
}

fn packed(items: &BTreeMap<String, Item>, mtime: u64, chunk: usize) -> Vec<u8> {
    let mut packer = Packer::new(Vec::new(), mtime).unwrap();
    for (path, item) in items {
        match item {
            Item::Directory => packer.directory(path),
            Item::Symlink(target) => packer.symlink(path, target),
            Item::File(content, executable) => {
                let size_bytes = content.len() as u64;
                packer.file(path, size_bytes, *executable, Chunked(content, chunk))
            }
        }
        .unwrap();
    }
    packer.finish().unwrap()
}

/// Yields at most so many bytes at a time.
struct Chunked<'a>(&'a [u8], usize);

impl Read for Chunked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(self.1);
        self.0.read(&mut buffer[..count])
    }
}

fn unpacked(bytes: &[u8]) -> Result<BTreeMap<String, Item>, tar::TarError> {
    let plain = zstd::decode_all(bytes).map_err(tar::TarError::Io)?;
    let mut reader = tar::Reader::new(&plain[..], tar::Limits::default());
    let mut items = BTreeMap::new();
    while let Some(entry) = reader.next_entry()? {
        let item = match entry.kind {
            tar::Kind::Directory => Item::Directory,
            tar::Kind::Symlink { target } => Item::Symlink(target),
            tar::Kind::File { executable, .. } => {
                let mut content = Vec::new();
                reader
                    .content()
                    .read_to_end(&mut content)
                    .map_err(tar::TarError::Io)?;
                Item::File(content, executable)
            }
            tar::Kind::Hardlink { .. } => unreachable!("none is packed"),
        };
        items.insert(entry.path, item);
    }
    Ok(items)
}

fn example() -> BTreeMap<String, Item> {
    let long = |letter: &str| letter.repeat(90);
    [
        ("bin".to_owned(), Item::Directory),
        ("bin/program".to_owned(), Item::File(vec![7; 300_000], true)),
        ("bin-extra".to_owned(), Item::File(Vec::new(), false)),
        (
            format!("{}/{}", long("d"), long("f")),
            Item::File(b"prefix".to_vec(), false),
        ),
        (
            format!("{}/{}/{}", long("d"), long("e"), long("f")),
            Item::File(b"pax".to_vec(), false),
        ),
        (
            "grüße".to_owned(),
            Item::Symlink("ziel/".to_owned() + &long("z") + &long("y")),
        ),
        ("link".to_owned(), Item::Symlink("/absolute".to_owned())),
    ]
    .into()
}

#[test]
fn an_independent_reader_agrees() {
    let bytes = packed(&example(), 1_700_000_000, usize::MAX);
    let plain = zstd::decode_all(&bytes[..]).unwrap();
    assert_eq!(plain.len() % 512, 0);
    let mut archive = ::tar::Archive::new(&plain[..]);
    let mut found = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let header = entry.header();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        assert_eq!(header.mtime().unwrap(), 1_700_000_000);
        assert_eq!(header.username_bytes(), Some(&b""[..]));
        let mode = header.mode().unwrap();
        let item = match header.entry_type() {
            ::tar::EntryType::Directory => Item::Directory,
            ::tar::EntryType::Symlink => Item::Symlink(
                String::from_utf8(entry.link_name_bytes().unwrap().into_owned()).unwrap(),
            ),
            _ => {
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                Item::File(content, mode == 0o755)
            }
        };
        found.insert(path.trim_end_matches('/').to_owned(), item);
    }
    assert_eq!(found, example());
}

#[test]
fn our_reader_agrees_and_the_bytes_are_fixed() {
    let bytes = packed(&example(), 1, usize::MAX);
    assert_eq!(unpacked(&bytes).unwrap(), example());
    assert_eq!(packed(&example(), 1, 1000), bytes);
    // Compressing is the library's business; the archive below it is ours and must not change.
    let plain = zstd::decode_all(&bytes[..]).unwrap();
    assert_eq!(&plain[..10], b"bin/\0\0\0\0\0\0");
    assert_eq!(
        &plain[100..157],
        b"0000755\x000000000\x000000000\x0000000000000\x0000000000001\x00007756\0 5"
    );
    assert_eq!(&plain[257..265], b"ustar\x0000");
}

#[test]
fn times_beyond_octal_move_to_pax() {
    let items = [("f".to_owned(), Item::File(b"x".to_vec(), false))].into();
    let plain = zstd::decode_all(&packed(&items, 1 << 33, 9)[..]).unwrap();
    assert_eq!(&plain[512..512 + 20], b"20 mtime=8589934592\n");
    assert_eq!(unpacked(&packed(&items, 1 << 33, 9)).unwrap(), items);
}

#[test]
fn what_a_reader_would_refuse_is_not_packed() {
    let mut packer = Packer::new(Vec::new(), 0).unwrap();
    packer.symlink("b", "x").unwrap();
    assert!(matches!(
        packer.directory("a"),
        Err(PackError::Order { .. })
    ));
    assert!(matches!(
        packer.directory("b"),
        Err(PackError::Order { .. })
    ));
    assert!(matches!(
        packer.directory("b/c"),
        Err(PackError::Collision { .. })
    ));
    for path in ["", ".", "../x", "/x", "c//d", "c/", "./c", "c\0"] {
        assert!(
            matches!(packer.directory(path), Err(PackError::Path { .. })),
            "{path}"
        );
    }
    assert!(matches!(
        packer.symlink("c", ""),
        Err(PackError::Target { .. })
    ));
    assert!(matches!(
        packer.file("d", 2, false, &b"1"[..]),
        Err(PackError::Size { .. })
    ));
    assert!(matches!(
        packer.file("e", 2, false, &b"123"[..]),
        Err(PackError::Size { .. })
    ));
}

#[test]
fn damage_is_noticed() {
    let bytes = packed(&example(), 0, usize::MAX);
    for length in (0..bytes.len()).step_by(7) {
        assert!(unpacked(&bytes[..length]).is_err(), "{length}");
    }
    for offset in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[offset] ^= 0x10;
        // A bit of the frame header that changes no content may pass; content never may.
        if let Ok(items) = unpacked(&changed) {
            assert_eq!(items, example(), "{offset}");
        }
    }
}

fn items() -> impl Strategy<Value = BTreeMap<String, Item>> {
    let item = prop_oneof![
        (
            proptest::collection::vec(any::<u8>(), 0..2000),
            any::<bool>()
        )
            .prop_map(|(content, executable)| Item::File(content, executable)),
        "[a-zü/.]{1,120}".prop_map(Item::Symlink),
        Just(Item::Directory),
    ];
    let path = "[a-cé]{1,60}(/[a-c]{1,90}){0,3}";
    proptest::collection::btree_map(path, item, 0..12).prop_map(|items| {
        // Keep only what does not stand below something else than a directory.
        let mut places = Places::default();
        let fits = |(path, item): &(String, Item)| {
            let occupant = match item {
                Item::Directory => Occupant::Directory,
                Item::Symlink(_) => Occupant::Link,
                Item::File(..) => Occupant::File,
            };
            places.take(path, occupant).is_ok()
        };
        items.into_iter().filter(fits).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn unpacking_undoes_packing(items in items(), mtime in 0u64..1 << 40, chunk in 1usize..5000) {
        let bytes = packed(&items, mtime, chunk);
        prop_assert_eq!(&unpacked(&bytes).unwrap(), &items);
        prop_assert_eq!(packed(&items, mtime, usize::MAX), bytes);
    }
}
