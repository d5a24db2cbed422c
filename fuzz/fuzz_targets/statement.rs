//! A statement with any predicate, and with ours: what is read has a canonical form, which reads
//! as the same again.
#![no_main]

use counterseal_attestation::provenance::Provenance;
use counterseal_attestation::replay_verdict::ReplayVerdict;
use counterseal_attestation::runtime_trace::RuntimeTrace;
use counterseal_attestation::statement::{Predicate, Statement, parse_any};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| {
    // A predicate of others may hold fractions, which have no canonical form here.
    if let Ok(statement) = parse_any(payload)
        && let Ok(canonical) = statement.to_payload()
    {
        assert_eq!(parse_any(&canonical), Ok(statement));
    }
    round_trip::<Provenance>(payload);
    round_trip::<ReplayVerdict>(payload);
    round_trip::<RuntimeTrace>(payload);
});

fn round_trip<P: Predicate + PartialEq + std::fmt::Debug>(payload: &[u8]) {
    if let Ok(statement) = Statement::<P>::parse(payload)
        && let Ok(canonical) = statement.to_payload()
    {
        assert_eq!(Statement::<P>::parse(&canonical), Ok(statement));
    }
}
