//! The machine's package configuration, in both of its forms. The reader takes a folder, so each
//! input is written to one.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use counterseal_inputs::apt::read_configuration;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder for the input");
    fs::create_dir(folder.path().join("sources.list.d")).expect("a folder for the input");
    folder
});

fuzz_target!(|texts: (&str, &str)| {
    let (one_line, deb822) = texts;
    let folder = FOLDER.path();
    fs::write(folder.join("sources.list"), one_line).expect("room for the input");
    fs::write(folder.join("sources.list.d/a.sources"), deb822).expect("room for the input");
    for entry in read_configuration(folder).expect("both files can be read") {
        assert!(!entry.url.ends_with('/'));
    }
});
