//! The random device: it reads as the kernel's does, the same in every run, and a step can neither
//! exhaust the process that supervises it with it nor see by it whether something else has.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::host_limits::on_host_with;
use crate::stage::Stage;

fn stage() -> Stage {
    Stage::with_program(counterseal_static_programs::FILE_PROBE)
}

fn reads(words: &str) -> String {
    stage().prints(words).trim_end().to_owned()
}

#[test]
fn a_read_brings_what_it_asks_for_and_the_same_in_every_run() {
    for (sizes, lengths) in [
        ("32", "32"),
        ("40000 1 65536", "40000 1 65536"),
        ("1000000 8192 8192 8192", "1000000 8192 8192 8192"),
        ("16777216", "16777216"),
    ] {
        for path in ["/dev/urandom", "/dev/random"] {
            let first = reads(&format!("read {path} {sizes}"));
            assert!(first.starts_with(&format!("{lengths} ")), "{first}");
            assert_eq!(first, reads(&format!("read {path} {sizes}")), "{sizes}");
        }
    }
}

#[test]
fn in_whatever_parts_it_is_read_it_is_the_same_stream() {
    let sum = |printed: String| printed.rsplit(' ').next().unwrap().to_owned();
    let parts = ["8192"; 16].join(" ");
    let whole = sum(reads("read /dev/urandom 131072"));
    assert_eq!(sum(reads(&format!("read /dev/urandom {parts}"))), whole);
    // As with the kernel's device that flag means nothing.
    let without_waiting = reads("read-without-waiting /dev/urandom 131072");
    assert!(without_waiting.starts_with("131072 "), "{without_waiting}");
    assert_eq!(sum(without_waiting), whole);
}

#[test]
fn it_can_be_opened_through_a_descriptor_and_be_written_to() {
    let first = reads("read-as-input /dev/urandom 20000");
    assert!(first.starts_with("20000 "), "{first}");
    assert_eq!(reads("read-as-input /dev/urandom 20000"), first);
    let first = reads("read-and-write /dev/urandom 1000000");
    assert_eq!(reads("read-and-write /dev/urandom 1000000"), first);
    assert_eq!(
        first.rsplit(' ').next(),
        reads("read /dev/urandom 32").rsplit(' ').next()
    );
}

#[test]
fn a_step_has_so_many_open_at_once_and_any_number_in_turn() {
    let shown = reads("open-together /dev/urandom 1001 /inputs then open-in-turn /dev/urandom 600");
    let mut lines = shown.lines();
    let first = lines.next().unwrap();
    assert!(first.starts_with("256 ") && first.contains("23"), "{first}");
    assert_eq!(lines.collect::<Vec<_>>(), ["declared", "declared"]);
    // Together they take no more of this process than one thread and those descriptors.
    assert_eq!(reads("read /dev/urandom 8"), reads("read /dev/urandom 8"));
}

/// What such a host gives is an error, and nothing of the kernel's own.
#[test]
fn a_host_without_descriptors_shows_no_order_of_its_own() {
    let test = "devices::a_host_without_descriptors_shows_no_order_of_its_own";
    if on_host_with("nofile=4096", test).is_none() {
        return;
    }
    let mut stage = stage();
    for name in ["b", "a", "c"] {
        std::fs::write(stage.root.path().join("inputs").join(name), name).unwrap();
    }
    let limit = Rlimit {
        current: Some(120),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    let shown = stage.prints("open-together /dev/urandom 1001 /inputs");
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].contains("os error 23"), "{shown}");
    assert!(lines[1].contains("os error 23"), "{shown}");
    assert_eq!(lines[2], "a b c declared", "{shown}");
}
