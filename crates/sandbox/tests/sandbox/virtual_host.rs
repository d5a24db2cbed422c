//! What a step sees of its host is what the host's description says: times, waits, processors,
//! and that under load, too. What is left to see of the real host is for `tests/leaks`.

use std::time::Duration;

use counterseal_sandbox::{DirectoryOrder, SandboxError, Scratch, VirtualHost};

use crate::stage::Stage;

const EPOCH: u64 = 1_234_567_890;

#[test]
fn the_clock_begins_at_the_recipe_s_time_and_goes_on() {
    let mut stage = Stage::new();
    let nanoseconds = |printed: String| printed.trim().parse::<u64>().unwrap();
    let first = nanoseconds(stage.prints("now"));
    assert_eq!(first / 1_000_000_000, EPOCH);
    let second = nanoseconds(stage.prints("now"));
    assert!(second > first, "{first} {second}");
    stage.scratch = Scratch::new();
    assert_eq!(nanoseconds(stage.prints("now")), first);
}

#[test]
fn the_clock_goes_on_when_a_program_was_open_for_writing() {
    let mut stage = Stage::new();
    crate::stage::install(
        stage.root.path(),
        "busy",
        counterseal_static_programs::PROBE,
    );
    let first: u64 = stage.prints("now").trim().parse().unwrap();
    let busy = std::fs::File::options()
        .write(true)
        .open(stage.root.path().join("busy"))
        .unwrap();
    let argv = ["/busy", "now"].map(str::to_owned);
    let error = stage.run_argv(&argv).unwrap_err();
    assert!(
        matches!(error, SandboxError::Program { .. }),
        "it is open for writing: {error}"
    );
    drop(busy);
    stage.run_argv(&argv).unwrap();
    let second: u64 = stage.stdout().trim().parse().unwrap();
    assert!(second > first, "{first} {second}");
}

#[test]
fn waits_take_their_time_by_either_clock() {
    let mut stage = Stage::new();
    let outcome = stage.run("waits").unwrap();
    let shown = stage.stdout();
    for wait in ["sleep", "channel", "condition", "park", "spin"] {
        assert!(shown.contains(&format!("{wait} 10\n")), "{wait}: {shown}");
    }
    assert!(shown.contains("read true\n"), "{shown}");
    // All but the sleep and the spinning really wait, and none for a time of the host's clock years
    // ahead.
    assert!(
        outcome.wall > Duration::from_millis(400),
        "{:?}",
        outcome.wall
    );
}

#[test]
fn times_of_files_are_the_action_s() {
    let mut stage = Stage::new();
    let shown = stage.prints("write-text /build/new x then stat /build/new then stat /inputs");
    let stated = format!("mtime={EPOCH}");
    assert_eq!(
        shown
            .lines()
            .filter(|line| line.contains("/build/new"))
            .count(),
        1
    );
    assert!(shown.lines().next().unwrap().contains(&stated), "{shown}");
}

#[test]
fn inputs_show_the_stated_time_and_no_more_of_their_mode_than_who_executes_them() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    let mut stage = Stage::new();
    stage.host.input_time = 42;
    let looks = "stat /inputs/declared then stat /inputs then stat /probe";
    let before = stage.prints(looks);
    assert_eq!(before.matches("mtime=42").count(), 3, "{before}");
    for (path, mode) in [
        ("inputs/declared", 0o664),
        ("inputs", 0o777),
        ("probe", 0o4775),
    ] {
        let path = stage.root.path().join(path);
        set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    assert_eq!(stage.prints(looks), before);
}

#[test]
fn processors_are_those_of_the_description() {
    let mut stage = Stage::new();
    for processors in [1, 3, 200] {
        stage.host.processors = processors;
        assert_eq!(stage.prints("processors"), format!("{processors}\n"));
    }
}

#[test]
fn directories_list_in_the_order_of_the_description() {
    let mut stage = Stage::new();
    for name in ["b", "a", "c"] {
        std::fs::write(stage.root.path().join("inputs").join(name), name).unwrap();
    }
    assert_eq!(stage.prints("list-as-given /inputs"), "a\nb\nc\ndeclared\n");
    stage.host.directory_order = DirectoryOrder::Reversed;
    assert_eq!(stage.prints("list-as-given /inputs"), "declared\nc\nb\na\n");
    stage.host.directory_order = DirectoryOrder::Shuffled(1);
    let shuffled = stage.prints("list-as-given /inputs");
    assert_eq!(stage.prints("list-as-given /inputs"), shuffled);
    assert_eq!(shuffled.lines().count(), 4);
}

#[test]
fn descriptions_out_of_bounds_are_refused() {
    for change in [
        (|host: &mut VirtualHost| host.processors = 0) as fn(&mut VirtualHost),
        |host| host.processors = 1025,
        |host| host.first_process = 1,
        |host| host.host_name = String::new(),
        |host| host.host_name = "x".repeat(65),
        |host| host.build_path = "elsewhere".to_owned(),
    ] {
        let mut stage = Stage::new();
        change(&mut stage.host);
        let error = stage.run("print x").unwrap_err();
        assert!(
            matches!(
                error,
                counterseal_sandbox::SandboxError::InvalidAction { .. }
            ),
            "{error}"
        );
    }
}

/// Whichever of them runs first, and although all share the memory in which their process left word
/// for them.
#[test]
fn threads_started_in_quick_succession_draw_each_its_own_numbers() {
    let draw = || Stage::new().prints("draw-in-threads 24");
    let first = draw();
    for _ in 0..5 {
        assert_eq!(draw(), first);
    }
    let numbers: std::collections::BTreeSet<_> = first.lines().collect();
    assert_eq!(numbers.len(), 24, "{first}");
}

#[test]
fn eight_threads_that_read_the_clock_in_a_loop() {
    Stage::new().prints("clock-storm 8 2000");
}

#[test]
fn many_threads_that_start_programs() {
    let mut stage = Stage::new();
    stage.prints("start-storm 8 25");
}
