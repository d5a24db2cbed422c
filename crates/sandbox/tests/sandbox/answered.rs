//! Calls that the service answers in the kernel's place answer what the kernel would: to threads that
//! signals wake, to parents that wait, about memory that is not there.

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

#[test]
fn who_waits_for_nothing_sleeps() {
    for seen in observed("sleepers") {
        for wait in ["poll", "ppoll", "select", "pselect"] {
            let (answer, passed) = (
                format!("for-nothing.{wait}"),
                format!("for-nothing.{wait}.passed"),
            );
            check(&seen, &[(&answer, "= 0"), (&passed, "1000")]);
        }
        check(
            &seen,
            &[
                ("for-nothing.select.left", "0 0"),
                ("for-nothing.microseconds", "= 0"),
                ("for-nothing.microseconds.passed", "1500"),
                ("for-nothing.negative", "errno 22"),
                ("clock.3", "errno 95"),
                ("clock.6", "errno 95"),
                ("clock.9", "errno 95"),
                ("clock.10", "errno 22"),
                ("clock.99", "errno 22"),
            ],
        );
    }
}

#[test]
fn answers_are_the_kernel_s() {
    for seen in observed("answers") {
        check(
            &seen,
            &[
                ("wait4.unknown-option", "errno 22"),
                ("waitid.nothing", "errno 22"),
                ("wait4.not-yet", "= 0"),
                ("wait4.second", "true exit 5"),
                ("waitid.process", "true 5"),
                ("waitid.handle", "true 5"),
                ("waitid.group", "true 5"),
                ("wait4.first", "exit 4"),
                ("wait4.none", "errno 10"),
                ("children.end", "exit 0"),
                ("wait4.stopped", "137f"),
                ("wait4.continued", "ffff"),
                ("wait4.ended", "f"),
                ("stopped-child.end", "exit 0"),
                ("mincore.mapped", "true"),
                ("mincore.nothing", "= 0"),
                ("mincore.nothing.pages", "0"),
                ("mincore.all", "= 0"),
                ("mincore.all.pages", "2"),
                ("mincore.part", "errno 12"),
                ("mincore.part.pages", "2"),
                ("mincore.none", "errno 12"),
                ("mincore.none.pages", "0"),
                ("mincore.null", "errno 12"),
                ("mincore.odd", "errno 22"),
                ("mincore.endless", "errno 12"),
                ("mincore.long", "errno 12"),
                ("mincore.kernel", "errno 12"),
                ("sent.sendmsg", "= 4"),
                ("sent.sendmsg.port", "32768"),
                ("sent.sendmmsg", "= 1"),
                ("sent.sendmmsg.port", "32769"),
                ("sent.sendto.port", "32770"),
                ("sent.nowhere", "errno 89"),
                ("sent.nowhere.port", "32771"),
                ("bound.short", "errno 22"),
                ("bound.endless", "errno 22"),
                ("bound.unspecified", "= 0"),
                ("bound.unspecified.port", "32772"),
                ("bound.unspecified-host", "errno 97"),
                ("bound.plain.port", "32773"),
                ("timers.refused", "true"),
                ("timers.endless", "= 0"),
                ("timers.endless.left", "true"),
            ],
        );
    }
}
