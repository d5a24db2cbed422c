//! Listings and times of files as a step sees them, also where it makes very many of them, or where
//! the thread is gone by which its process is known.

use counterseal_sandbox::DirectoryOrder;

use crate::stage::{MIB, Stage};

fn stage() -> Stage {
    Stage::with_program(counterseal_static_programs::FILE_PROBE)
}

#[test]
fn a_thread_that_outlives_its_process_s_first_sees_the_same_order() {
    let mut stage = Stage::with_program(counterseal_static_programs::LEAK_PROBE);
    for name in ["b", "a", "c"] {
        std::fs::write(stage.root.path().join("inputs").join(name), name).unwrap();
    }
    stage.host.directory_order = DirectoryOrder::Reversed;
    let shown = stage.prints("leaderless");
    for call in ["getdents64", "getdents"] {
        let names = format!("leaderless.{call}./inputs.names .. . declared c b a\n");
        assert!(shown.contains(&names), "{shown}");
    }
}

/// Each of the children leaves more listings unfinished than a process may have descriptors in all.
#[test]
fn however_many_listings_are_left_unfinished_the_next_is_whole() {
    let mut stage = stage();
    stage.limits.scratch_bytes = 64 * MIB;
    let hold = "then in-child hold-listings /build/held 2000";
    let shown = stage.prints(&format!(
        "make-files /build/held 150 then make-files /build/many 1500 \
         {hold} {hold} {hold} then remove-all /build/many then exists /build/many"
    ));
    assert_eq!(shown, "false\n");
}

#[test]
fn times_that_a_step_sets_show_until_the_next_change() {
    let mut stage = stage();
    let shown = stage.prints("set-times /build/file");
    assert_eq!(
        shown,
        "written: changed not later, modified not later, Equal\n\
         modification set: changed later, modified not later, Greater\n\
         mode set: changed later, modified not later, Greater\n\
         access set: changed later, modified not later, Greater\n\
         mode set: changed later, modified not later, Greater\n\
         written: changed later, modified later, Equal\n\
         set and written: changed later, modified later, Equal\n"
    );
}

#[test]
fn a_process_that_opens_very_many_files_shows_the_same_times_in_every_run() {
    let mut stage = stage();
    stage.limits.scratch_bytes = 64 * MIB;
    let first = stage.prints("write-many /build/first 2000");
    assert_eq!(first.lines().count(), 3);
    let mut again = self::stage();
    again.limits.scratch_bytes = 64 * MIB;
    assert_eq!(again.prints("write-many /build/first 2000"), first);
}
