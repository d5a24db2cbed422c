//! A record on a real disk, used as its callers use it, also by several
//! threads and processes at once.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use counterseal_record::{CheckReport, Receipt, Record, RecordError, silently};
use counterseal_tlog::checkpoint::Checkpoint;
use counterseal_tlog::leaf_hash;
use counterseal_tlog::note;
use counterseal_tlog::proof::check_inclusion;
use test_key::TestKey;

#[path = "../src/test_key.rs"]
mod test_key;

const ORIGIN: &str = "disk.record.example";

/// Checks a receipt like somebody who has only the entry and the key.
fn proves(receipt: &Receipt, entry: &[u8], key: &TestKey) {
    let opened = note::open(&receipt.checkpoint, &[&key.verifier()]).unwrap();
    let checkpoint = Checkpoint::parse(&opened.text).unwrap();
    assert_eq!(checkpoint.origin, ORIGIN);
    assert_eq!(
        (checkpoint.size, checkpoint.root),
        (receipt.tree_size, receipt.root)
    );
    let Receipt {
        index,
        tree_size,
        root,
        proof,
        ..
    } = receipt;
    check_inclusion(&leaf_hash(entry), *index, *tree_size, proof, root).unwrap();
}

fn check(directory: &Path, key: &TestKey) -> CheckReport {
    Record::check(directory, &key.verifier(), silently)
        .unwrap_or_else(|failure| panic!("{failure}"))
}

fn numbered(writer: usize, number: usize) -> Vec<u8> {
    format!("entry {number} of writer {writer}").into_bytes()
}

#[test]
fn entries_get_receipts_and_keep_their_index() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("record");
    let key = TestKey::new(ORIGIN);
    let record = Record::create(&directory, &key).unwrap();
    assert_eq!(record.origin(), ORIGIN);
    assert_eq!(record.append::<Vec<u8>>(&[], &key).unwrap(), []);
    assert_eq!(record.find(b"first").unwrap(), None);

    let batch = [
        b"first".to_vec(),
        b"second".to_vec(),
        b"first".to_vec(),
        Vec::new(),
    ];
    let receipts = record.append(&batch, &key).unwrap();
    assert_eq!(
        receipts.iter().map(|r| r.index).collect::<Vec<_>>(),
        [0, 1, 0, 2]
    );
    for (receipt, entry) in receipts.iter().zip(&batch) {
        proves(receipt, entry, &key);
    }

    // Another process, the same entry: the index it had, a proof for today.
    let again = Record::open(&directory).unwrap();
    let receipts = again.append(&[&b"third"[..], b"second"], &key).unwrap();
    assert_eq!((receipts[0].index, receipts[1].index), (3, 1));
    assert_eq!(receipts[1].tree_size, 4);
    proves(&receipts[1], b"second", &key);

    // The first one sees what the other did.
    assert_eq!(record.find(b"third").unwrap(), Some(3));
    assert_eq!(record.entry(3).unwrap(), b"third");
    proves(&record.receipt(0).unwrap(), b"first", &key);
    assert_eq!(record.checkpoint().unwrap().checkpoint.size, 4);
    assert!(matches!(
        record.entry(4),
        Err(RecordError::NoSuchEntry { index: 4, size: 4 })
    ));
    assert!(matches!(
        record.receipt(4),
        Err(RecordError::NoSuchEntry { .. })
    ));

    assert_eq!(check(&directory, &key).checkpoint.size, 4);
}

#[test]
fn a_large_batch_fills_tiles_on_two_levels() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("record");
    let key = TestKey::new(ORIGIN);
    let record = Record::create(&directory, &key).unwrap();
    let batch: Vec<Vec<u8>> = (0..1000).map(|number| numbered(0, number)).collect();
    record.append(&batch[..300], &key).unwrap();
    let receipts = record.append(&batch, &key).unwrap();
    for (index, (receipt, entry)) in receipts.iter().zip(&batch).enumerate() {
        assert_eq!(receipt.index, index as u64);
        proves(receipt, entry, &key);
    }
    for name in [
        "tile/0/000",
        "tile/0/003.p/232",
        "tile/1/000.p/3",
        "tile/entries/003.p/232",
    ] {
        assert!(directory.join(name).is_file(), "{name}");
    }
    // Partial tiles make room for full ones.
    assert!(!directory.join("tile/0/001.p").exists());
    assert!(!directory.join("tile/entries/001.p").exists());
    let report = check(&directory, &key);
    assert_eq!((report.tiles, report.bundles), (5, 4));
    assert!(report.unpublished.is_empty());
}

#[test]
fn the_longest_entry_fits_and_a_longer_one_does_not() {
    let parent = tempfile::tempdir().unwrap();
    let key = TestKey::new(ORIGIN);
    let record = Record::create(&parent.path().join("record"), &key).unwrap();
    let receipts = record.append(&[vec![1; 65_535]], &key).unwrap();
    proves(&receipts[0], &vec![1; 65_535], &key);
    let error = record
        .append(&[vec![2; 10], vec![1; 65_536]], &key)
        .unwrap_err();
    assert!(matches!(
        error,
        RecordError::EntryTooLong {
            position: 1,
            found_bytes: 65_536
        }
    ));
    assert_eq!(record.checkpoint().unwrap().checkpoint.size, 1);
}

#[test]
fn nothing_is_created_over_or_opened_from_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let key = TestKey::new(ORIGIN);
    let directory = parent.path().join("record");
    assert!(matches!(
        Record::open(&directory),
        Err(RecordError::Missing { .. })
    ));
    assert!(!directory.exists());

    Record::create(&directory, &key).unwrap();
    assert!(matches!(
        Record::create(&directory, &key),
        Err(RecordError::AlreadyExists { .. })
    ));

    let foreign = parent.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("notes.txt"), "mine").unwrap();
    assert!(matches!(
        Record::create(&foreign, &key),
        Err(RecordError::AlreadyExists { .. })
    ));
    assert_eq!(fs::read_dir(&foreign).unwrap().count(), 1);
}

#[test]
fn damage_of_other_kinds_than_bytes_is_found() {
    let parent = tempfile::tempdir().unwrap();
    let key = TestKey::new(ORIGIN);
    let directory = parent.path().join("record");
    let record = Record::create(&directory, &key).unwrap();
    record.append(&[b"entry"], &key).unwrap();
    let bundle = directory.join("tile/entries/000.p/1");

    // A link, even to the right bytes, under a name of the record.
    let link = directory.join("tile/0/link");
    std::os::unix::fs::symlink(&bundle, &link).unwrap();
    assert!(Record::check(&directory, &key.verifier(), silently).is_err());
    fs::remove_file(&link).unwrap();

    // A directory in the place of a file.
    let bytes = fs::read(&bundle).unwrap();
    fs::remove_file(&bundle).unwrap();
    fs::create_dir(&bundle).unwrap();
    assert!(Record::check(&directory, &key.verifier(), silently).is_err());
    fs::remove_dir(&bundle).unwrap();
    fs::write(&bundle, bytes).unwrap();
    check(&directory, &key);
}

#[test]
fn threads_that_append_at_once_neither_lose_nor_double() {
    let parent = tempfile::tempdir().unwrap();
    let key = TestKey::new(ORIGIN);
    let directory = parent.path().join("record");
    // Two threads share one open record, two have their own.
    let shared = Record::create(&directory, &key).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (key, directory, shared) = (&key, &directory, &shared);
            scope.spawn(move || {
                let own;
                let record = if writer < 2 {
                    shared
                } else {
                    own = Record::open(directory).unwrap();
                    &own
                };
                for number in 0..20 {
                    // Every other entry is one that all of them bring.
                    let entry = numbered(if number % 2 == 0 { writer } else { 99 }, number);
                    let receipts = record.append(&[&entry], key).unwrap();
                    proves(&receipts[0], &entry, key);
                }
            });
        }
    });
    assert_eq!(check(&directory, &key).checkpoint.size, 4 * 10 + 10);
    each_entry_once(&directory);
}

fn each_entry_once(directory: &Path) -> BTreeSet<Vec<u8>> {
    let record = Record::open(directory).unwrap();
    let size = record.checkpoint().unwrap().checkpoint.size;
    let entries: BTreeSet<_> = (0..size)
        .map(|index| record.entry(index).unwrap())
        .collect();
    assert_eq!(
        entries.len() as u64,
        size,
        "an entry is in the record twice"
    );
    entries
}

/// What the processes started below run; does nothing in a normal test run.
#[test]
fn writer_process() {
    let Ok(directory) = std::env::var(WRITER_DIRECTORY) else {
        return;
    };
    let writer: usize = std::env::var(WRITER_NUMBER).unwrap().parse().unwrap();
    let key = TestKey::new(ORIGIN);
    let record = Record::open(Path::new(&directory)).unwrap();
    for number in 0..WRITER_ENTRIES {
        record.append(&[numbered(writer, number)], &key).unwrap();
        // Past the test harness, which would keep it until the end.
        writeln!(std::io::stderr(), "{RECORDED}{number}").unwrap();
    }
}

const WRITER_DIRECTORY: &str = "COUNTERSEAL_TEST_RECORD_DIRECTORY";
const WRITER_NUMBER: &str = "COUNTERSEAL_TEST_RECORD_WRITER";
const WRITER_ENTRIES: usize = 60;
const RECORDED: &str = "recorded ";

fn start_writer(directory: &Path, writer: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writer_process", "--nocapture"])
        .env(WRITER_DIRECTORY, directory)
        .env(WRITER_NUMBER, writer.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn processes_that_append_at_once_neither_lose_nor_double() {
    let parent = tempfile::tempdir().unwrap();
    let key = TestKey::new(ORIGIN);
    let directory = parent.path().join("record");
    Record::create(&directory, &key).unwrap();
    // The first two bring the same entries.
    let writers = [1, 1, 2].map(|writer| start_writer(&directory, writer));
    for writer in writers {
        assert!(writer.wait_with_output().unwrap().status.success());
    }
    assert_eq!(
        check(&directory, &key).checkpoint.size,
        2 * WRITER_ENTRIES as u64
    );
    each_entry_once(&directory);
}

#[test]
fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let parent = tempfile::tempdir().unwrap();
    let key = TestKey::new(ORIGIN);
    let directory = parent.path().join("record");
    Record::create(&directory, &key).unwrap();
    for (writer, acknowledged) in [1, 7, 2, 23, 13].into_iter().enumerate() {
        let mut child = start_writer(&directory, writer);
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let recorded = lines
            .map(Result::unwrap)
            .filter(|line| line.starts_with(RECORDED));
        assert_eq!(recorded.take(acknowledged).count(), acknowledged);
        // Wherever it is by now.
        child.kill().unwrap();
        child.wait().unwrap();

        check(&directory, &key);
        let entries = each_entry_once(&directory);
        for number in 0..acknowledged {
            assert!(
                entries.contains(&numbered(writer, number)),
                "{number} of {writer} is lost"
            );
        }
        // The next one brings the same again, and what is missing.
        assert!(
            start_writer(&directory, writer)
                .wait_with_output()
                .unwrap()
                .status
                .success()
        );
        let size = check(&directory, &key).checkpoint.size;
        assert_eq!(size, ((writer + 1) * WRITER_ENTRIES) as u64);
    }
    each_entry_once(&directory);
}
