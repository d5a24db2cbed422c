//! Sleep takes the time that the action's clock says, and of the host's only if something else happens
//! meanwhile. Every step here would be ended by its limit, a minute, if it slept in the host's time.

use counterseal_sandbox::SandboxError;

use crate::stage::Stage;

/// With and without a virtual time stamp counter.
#[track_caller]
fn always_prints(words: &str, expected: &str) {
    let mut stage = Stage::new();
    for is_traced in [false, true] {
        stage.host.virtual_timestamp_counter = is_traced;
        assert_eq!(
            stage.prints(words),
            expected,
            "{words}, traced: {is_traced}"
        );
    }
}

#[test]
fn an_hour_passes_while_nothing_else_happens() {
    always_prints("sleep 3600 then sleep 1", "3600\n1\n");
}

#[test]
fn sleepers_wake_in_the_order_of_their_own_time() {
    always_prints("sleep-together", "1000\n2000\n3000\n4000\n5000\n");
}

#[test]
fn it_is_as_late_for_who_waits_as_for_who_sleeps() {
    always_prints("sleep-after-word", "10\ntrue\n15\n");
}

#[test]
fn who_fell_asleep_first_wakes_first() {
    let numbers: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    always_prints("sleep-alike 20", &format!("{}\n", numbers.join("\n")));
}

#[test]
fn nobody_waits_for_the_dead() {
    always_prints("sleep-after-death", "1\n3600\n");
}

#[test]
fn who_works_meanwhile_is_waited_for() {
    always_prints("sleep-beside-work", "1000\ntrue\n");
}

#[test]
fn sleep_ends_beside_a_random_device_that_is_open() {
    always_prints("sleep-beside-device", "3600\n3600\n");
}

#[test]
fn what_is_left_behind_is_not_helped_to_its_end() {
    let mut stage = Stage::new();
    let error = stage.fails("leave-asleep");
    assert!(matches!(error, SandboxError::LeftBehind { .. }), "{error}");
}
