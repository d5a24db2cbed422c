//! Calls that the service answers in the kernel's place answer what the kernel would: to threads that
//! signals wake.

use std::collections::BTreeMap;

use crate::stage::Stage;

/// What the leak probe sees in an area, with and without a tracer.
fn observed(area: &str) -> Vec<BTreeMap<String, String>> {
    [false, true]
        .into_iter()
        .map(|is_traced| {
            let mut stage = Stage::with_program(counterseal_static_programs::LEAK_PROBE);
            stage.host.virtual_timestamp_counter = is_traced;
            let shown = stage.prints(area);
            let pairs = shown.lines().filter_map(|line| line.split_once(' '));
            pairs
                .map(|(name, value)| {
                    let name = name.strip_prefix(area).unwrap().trim_start_matches('.');
                    (name.to_owned(), value.to_owned())
                })
                .collect()
        })
        .collect()
}

#[track_caller]
fn check(seen: &BTreeMap<String, String>, cases: &[(&str, &str)]) {
    for (name, expected) in cases {
        let found = seen.get(*name).map(String::as_str);
        assert_eq!(found, Some(*expected), "{name}: {seen:#?}");
    }
}

#[test]
fn a_signal_wakes_the_thread_that_takes_it_and_no_other() {
    for seen in observed("sleepers") {
        for number in 0..4 {
            check(
                &seen,
                &[
                    (&format!("handled.{number}"), "errno 4"),
                    (&format!("handled.{number}.short"), "true"),
                ],
            );
        }
        check(
            &seen,
            &[("handled.by-each", "true"), ("handled.end", "exit 0")],
        );
    }
}

#[test]
fn who_was_stopped_sleeps_on_for_the_rest() {
    for seen in observed("sleepers") {
        let undisturbed = seen["undisturbed.passed"].as_str();
        for name in [
            "stopped.0",
            "stopped.several.0",
            "stopped.several.1",
            "stopped.several.2",
        ] {
            let passed = format!("{name}.passed");
            check(&seen, &[(name, "= 0"), (&passed, undisturbed)]);
        }
        check(
            &seen,
            &[("stopped.end", "exit 0"), ("stopped.several.end", "exit 0")],
        );
    }
}
