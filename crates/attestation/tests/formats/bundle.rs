//! Sigstore bundles: one spelling, one signature, at most one entry.

use counterseal_attestation::bundle::{
    Bundle, BundleError, FILE_BYTES_MAX, InclusionProof, LINE_BYTES_MAX, LINES_MAX, LogEntry,
    numbered_lines, split_lines,
};
use counterseal_attestation::dsse::{Envelope, IN_TOTO_PAYLOAD_TYPE};
use counterseal_attestation::hashedrekord;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::samples::spoilt;

pub(crate) fn sample() -> Bundle {
    let envelope = Envelope {
        payload_type: IN_TOTO_PAYLOAD_TYPE.into(),
        payload: b"{}".to_vec(),
        signature: b"signature".to_vec(),
        keyid: "ab".repeat(32),
    };
    let body = hashedrekord::leaf(&envelope.pae_digest(), &envelope.signature, b"public key");
    let proof = InclusionProof {
        tree_size: 6,
        root_hash: [7; 32],
        hashes: vec![[8; 32], [9; 32]],
        checkpoint: "zurich.record.example\n6\nroot\n\n— zurich.record.example sig\n".into(),
    };
    let entry = LogEntry {
        log_index: 5,
        log_id: [1; 32],
        proof,
        canonicalized_body: body,
    };
    Bundle {
        entry: Some(entry),
        envelope,
    }
}

pub(crate) const ENTRY: &str = "/verificationMaterial/tlogEntries/0";

#[test]
fn json_names_and_forms_are_those_of_sigstore() {
    let value: Value = serde_json::from_str(&sample().to_line()).unwrap();
    let at = |rest: &str| {
        value
            .pointer(&format!("{ENTRY}{rest}"))
            .unwrap_or(&Value::Null)
    };
    assert_eq!(
        value["mediaType"],
        "application/vnd.dev.sigstore.bundle.v0.3+json"
    );
    assert_eq!(
        value["verificationMaterial"]["publicKey"]["hint"],
        "ab".repeat(32)
    );
    assert_eq!(at("/logIndex"), "5");
    assert_eq!(at("/integratedTime"), "0");
    assert_eq!(
        at("/kindVersion"),
        &json!({"kind": "hashedrekord", "version": "0.0.2"})
    );
    assert_eq!(at("/inclusionProof/treeSize"), "6");
    assert!(at("/inclusionProof/checkpoint/envelope").is_string());
    assert_eq!(value["dsseEnvelope"]["payload"], "e30=");
    assert_eq!(
        value["dsseEnvelope"]["signatures"][0]["sig"],
        "c2lnbmF0dXJl"
    );
}

#[test]
fn a_bundle_without_a_receipt_is_a_bundle() {
    let bundle = Bundle {
        entry: None,
        ..sample()
    };
    assert!(!bundle.to_line().contains("tlogEntries"));
    assert_eq!(
        Bundle::parse(bundle.to_line().as_bytes()),
        Ok(bundle.clone())
    );
    let empty = spoilt(
        bundle.to_line().as_bytes(),
        "/verificationMaterial/tlogEntries",
        Some(json!([])),
    );
    assert_eq!(Bundle::parse(&empty), Ok(bundle));
}

#[test]
fn empty_and_endless_hints_are_refused() {
    for (length, accepted) in [(0, false), (1, true), (256, true), (257, false)] {
        let mut bundle = sample();
        bundle.envelope.keyid = "h".repeat(length);
        assert_eq!(
            Bundle::parse(bundle.to_line().as_bytes()).is_ok(),
            accepted,
            "{length}"
        );
    }
}

#[test]
fn lines_are_found_whatever_separates_them() {
    let parts = [&b"{1}"[..], b"{2}"];
    for file in [
        "{1}\n{2}",
        "{1}\n{2}\n",
        "\n\n{1}\r\n \t\n{2}\n\n",
        " {1} \n{2}\r\n",
    ] {
        assert_eq!(split_lines(file.as_bytes()).unwrap(), parts, "{file:?}");
    }
    let numbered = numbered_lines(b"\n\n{1}\r\n \t\n{2}\n\n").unwrap();
    assert_eq!(numbered, [(3, parts[0]), (5, parts[1])]);
    for file in ["", "\n", " \r\n\n"] {
        assert!(split_lines(file.as_bytes()).unwrap().is_empty(), "{file:?}");
    }
}

#[test]
fn files_are_bounded() {
    let lines = "{}\n".repeat(LINES_MAX);
    assert_eq!(split_lines(lines.as_bytes()).unwrap().len(), LINES_MAX);
    assert_eq!(
        split_lines(format!("{lines}{{}}").as_bytes()),
        Err(BundleError::TooManyLines)
    );
    let mut long = vec![b'x'; LINE_BYTES_MAX];
    assert!(split_lines(&long).is_ok());
    long.push(b'x');
    assert_eq!(
        split_lines(&[b"\n{}\n", &long[..]].concat()),
        Err(BundleError::LineTooLarge {
            line: 3,
            found_bytes: LINE_BYTES_MAX + 1
        })
    );
    assert!(Bundle::parse(&long).is_err());
    let blank = vec![b'\n'; FILE_BYTES_MAX + 1];
    assert_eq!(split_lines(&blank[1..]), Ok(vec![]));
    assert_eq!(
        split_lines(&blank),
        Err(BundleError::FileTooLarge {
            found_bytes: FILE_BYTES_MAX + 1
        })
    );
}

#[test]
fn no_flipped_bit_goes_unseen() {
    let good = sample();
    let line = good.to_line().into_bytes();
    for at in 0..line.len() {
        for bit in 0..8 {
            let mut bad = line.clone();
            bad[at] ^= 1 << bit;
            assert_ne!(
                Bundle::parse(&bad),
                Ok(good.clone()),
                "bit {bit} of byte {at}"
            );
        }
    }
}

fn any_entry() -> impl Strategy<Value = LogEntry> {
    let index = 0..=i64::MAX as u64;
    let hashes = prop::collection::vec(any::<[u8; 32]>(), 0..=63);
    (
        index.clone(),
        index,
        any::<[[u8; 32]; 2]>(),
        hashes,
        ".{0,80}",
        any::<Vec<u8>>(),
    )
        .prop_map(
            |(
                log_index,
                tree_size,
                [log_id, root_hash],
                hashes,
                checkpoint,
                canonicalized_body,
            )| {
                let proof = InclusionProof {
                    tree_size,
                    root_hash,
                    hashes,
                    checkpoint,
                };
                LogEntry {
                    log_index,
                    log_id,
                    proof,
                    canonicalized_body,
                }
            },
        )
}

prop_compose! {
    fn any_bundle()(
        keyid in ".{1,60}",
        entry in prop::option::of(any_entry()),
        payload_type in ".{0,40}",
        payload: Vec<u8>,
        signature: Vec<u8>,
    ) -> Bundle {
        Bundle { entry, envelope: Envelope { payload_type, payload, signature, keyid } }
    }
}

proptest! {
    #[test]
    fn bundles_round_trip_on_one_line(bundle in any_bundle()) {
        let line = bundle.to_line();
        prop_assert!(!line.contains(['\n', '\r']));
        prop_assert_eq!(Bundle::parse(line.as_bytes()), Ok(bundle.clone()));
        let file = format!("\n{line}\n{line}");
        prop_assert_eq!(split_lines(file.as_bytes()).unwrap(), vec![line.as_bytes(); 2]);
    }

    #[test]
    fn no_input_panics(bytes: Vec<u8>, at: prop::sample::Index, cut: prop::sample::Index) {
        let _ = Bundle::parse(&bytes);
        let mut line = sample().to_line().into_bytes();
        let at = at.index(line.len());
        let cut = at + cut.index(line.len() - at);
        line.splice(at..cut, bytes);
        let _ = Bundle::parse(&line);
    }
}
