//! A relation field (`Depends` and its like).
#![no_main]

use counterseal_inputs::relation::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|field: &str| {
    for relation in parse(field).into_iter().flatten().flatten() {
        relation.accepts("1.0-1");
    }
});
