//! No byte of the evidence may be changed without the verdict changing: a small evidence file
//! (provenance and a replay) is judged again for every byte with a bit flipped, for replacements
//! that change the structure of the file, and for bytes lost and doubled.

mod fixture;

use std::collections::BTreeMap;

use counterseal_attestation::replay_verdict::Verdict;
use counterseal_verify::pure_rust::PureRust;
use counterseal_verify::{CryptoProvider, Outcome, Request, SignatureError, State, Trust, verify};
use proptest::test_runner::{Config, TestRunner};

use fixture::{NAME, NOW, World, artifact, evidence};

/// What every altered file must give: exit code 1 and a failed check that says where. Never
/// "verified", and never a shrug either.
fn check(trust: &Trust, file: &[u8], provider: &dyn CryptoProvider, what: &str) {
    let request = Request {
        evidence: file,
        artifact: artifact(),
        artifact_name: Some(NAME),
        trust,
        now: NOW,
    };
    let verdict = verify(&request, provider);
    assert_eq!(
        verdict.outcome,
        Outcome::Failed,
        "{what}: {:#?}",
        verdict.checks
    );
    assert!(
        verdict
            .checks
            .iter()
            .any(|check| check.required && check.state == State::Failed),
        "{what}: no check says why"
    );
}

fn two_lines(world: &World) -> Vec<u8> {
    let provenance = world.provenance();
    let replay = world.replay(&world.auditor_a, &provenance, Verdict::Differs);
    evidence(&[&provenance, &replay])
}

/// Which bit rotates with the position, so that a run costs one verdict a byte; the property
/// test below draws from all bits.
#[test]
fn every_byte_with_a_flipped_bit() {
    let world = World::new();
    let trust = Trust::parse(&world.trust_text()).unwrap();
    let good = two_lines(&world);
    let provider = Remembering::default();
    for at in 0..good.len() {
        let mut file = good.clone();
        file[at] ^= 1 << (at % 8);
        check(
            &trust,
            &file,
            &provider,
            &format!("bit {} of byte {at}", at % 8),
        );
    }
}

#[test]
fn every_byte_replaced_by_structure() {
    const STRUCTURE: &[u8] = b"\n\r \t\"}{,\\0\0\xff";
    let world = World::new();
    let trust = Trust::parse(&world.trust_text()).unwrap();
    let good = two_lines(&world);
    let provider = Remembering::default();
    for at in 0..good.len() {
        let mut file = good.clone();
        let new = STRUCTURE[at % STRUCTURE.len()];
        file[at] = if good[at] == new { b'x' } else { new };
        check(
            &trust,
            &file,
            &provider,
            &format!("byte {at} replaced by {new:#04x}"),
        );
    }
}

#[test]
fn any_byte_replaced_by_any_other_lost_or_doubled() {
    let world = World::new();
    let trust = Trust::parse(&world.trust_text()).unwrap();
    let good = two_lines(&world);
    // The last line feed may be missing, and a line feed more is a blank line.
    let length = good.len() - 1;
    let mut runner = TestRunner::new(Config::with_cases(512));
    let case = (0..length, 1..=u8::MAX, 0..3_u8);
    runner
        .run(&case, |(at, mask, kind)| {
            let mut file = good.clone();
            match kind {
                0 => file[at] ^= mask,
                1 => drop(file.remove(at)),
                _ => file.insert(at, file[at]),
            }
            if file == good || good[at] == b'\n' {
                return Ok(());
            }
            // Losing or doubling a byte inside the file is found like any other change.
            check(
                &trust,
                &file,
                &PureRust,
                &format!("byte {at}, kind {kind}, mask {mask:#x}"),
            );
            Ok(())
        })
        .unwrap();
}

/// The pure provider, which answers a question it has been asked before from memory: most
/// altered files leave one of the two signatures as it was.
#[derive(Default)]
struct Remembering {
    answers: std::sync::Mutex<BTreeMap<Vec<u8>, Result<(), SignatureError>>>,
}

impl Remembering {
    fn ask(
        &self,
        parts: [&[u8]; 3],
        answer: impl FnOnce() -> Result<(), SignatureError>,
    ) -> Result<(), SignatureError> {
        let mut question = Vec::new();
        for part in parts {
            question.extend((part.len() as u64).to_be_bytes());
            question.extend(part);
        }
        *self
            .answers
            .lock()
            .unwrap()
            .entry(question)
            .or_insert_with(answer)
    }
}

impl CryptoProvider for Remembering {
    fn verify_p256_sha256(
        &self,
        spki_der: &[u8],
        message: &[u8],
        signature_der: &[u8],
    ) -> Result<(), SignatureError> {
        self.ask([spki_der, message, signature_der], || {
            PureRust.verify_p256_sha256(spki_der, message, signature_der)
        })
    }

    fn verify_ed25519(
        &self,
        key: &[u8; 32],
        message: &[u8],
        signature: &[u8; 64],
    ) -> Result<(), SignatureError> {
        self.ask([key, message, signature], || {
            PureRust.verify_ed25519(key, message, signature)
        })
    }
}
