//! Rule text: what passes the checks compiles, and the pack reads back.
#![no_main]

use counterseal_rules::{Pack, Stamp, check, compile, source};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let Ok(rules) = source::parse("fuzz.rule", text) else {
        return;
    };
    let Ok(rules) = check(rules) else { return };
    let stamp = Stamp::new("2026.1", 1_700_000_000).expect("a valid stamp");
    let Ok(pack) = compile(&rules, &stamp) else {
        return;
    };
    let pack = Pack::parse(&pack).expect("what we compile is a pack");
    for rule in pack.rules() {
        assert!(pack.rule(rule.id()).is_some());
    }
});
