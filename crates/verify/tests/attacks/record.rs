//! The log entry, its proof, the checkpoint: missing, for something else, or forged.

use counterseal_attestation::Sha256Digest;
use counterseal_attestation::bundle::Bundle;
use counterseal_attestation::hashedrekord;
use counterseal_tlog::checkpoint::Checkpoint;
use counterseal_tlog::{leaf_hash, note};

use crate::fixture::{World, evidence};
use crate::{assert_failed_by, judge};

/// Judges good provenance after `alter` has been at it.
#[track_caller]
fn check(world: &World, alter: impl FnOnce(&mut Bundle), codes: &[&str]) {
    let mut bundle = world.provenance();
    alter(&mut bundle);
    assert_failed_by(&judge(world, &evidence(&[&bundle])), codes);
}

// CVE-2022-36056, CVE-2024-51746: a missing entry was accepted.
#[test]
fn no_log_entry() {
    check(
        &World::new(),
        |bundle| bundle.entry = None,
        &["record.entry-matches"],
    );
}

// CVE-2022-23649, CVE-2026-22703: the entry was genuine, but of something else.
#[test]
fn log_entry_of_other_content() {
    let world = World::new();
    let other = world.recorded(&world.builder, b"{}");
    check(
        &world,
        |bundle| bundle.entry = other.entry,
        &["record.entry-matches"],
    );
}

#[test]
fn log_entry_with_another_signature() {
    let world = World::new();
    check(
        &world,
        |bundle| {
            let digest = Sha256Digest::of(&bundle.envelope.pae());
            let other = world.builder.sign_envelope("x", b"y").signature;
            let leaf = hashedrekord::leaf(&digest, &other, world.builder.spki_der());
            bundle.entry = Some(world.entry_in(&world.record, leaf));
        },
        &["record.entry-matches"],
    );
}

#[test]
fn log_entry_with_another_key() {
    let world = World::new();
    check(
        &world,
        |bundle| {
            let digest = Sha256Digest::of(&bundle.envelope.pae());
            let signature = &bundle.envelope.signature;
            let leaf = hashedrekord::leaf(&digest, signature, world.stranger.spki_der());
            bundle.entry = Some(world.entry_in(&world.record, leaf));
        },
        &["record.entry-matches"],
    );
}

#[test]
fn log_entry_that_is_not_canonical() {
    let world = World::new();
    check(
        &world,
        |bundle| {
            let entry = bundle.entry.take().unwrap();
            let text = String::from_utf8(entry.canonicalized_body).unwrap();
            let spaced = text.replacen("\":", "\": ", 1).into_bytes();
            bundle.entry = Some(world.entry_in(&world.record, spaced));
        },
        &["record.entry-matches"],
    );
}

fn alter_proof(alter: impl FnOnce(&mut counterseal_attestation::bundle::LogEntry)) {
    check(
        &World::new(),
        |bundle| alter(bundle.entry.as_mut().unwrap()),
        &["record.inclusion"],
    );
}

#[test]
fn proof_with_a_hash_too_many() {
    alter_proof(|entry| entry.proof.hashes.push([0; 32]));
}

#[test]
fn proof_with_a_hash_too_few() {
    alter_proof(|entry| {
        entry.proof.hashes.pop();
    });
}

#[test]
fn proof_with_hashes_in_another_order() {
    alter_proof(|entry| entry.proof.hashes.reverse());
}

#[test]
fn proof_for_another_index() {
    alter_proof(|entry| {
        entry.log_index -= 1;
    });
}

#[test]
fn index_beyond_the_tree() {
    alter_proof(|entry| {
        entry.log_index = 7;
    });
}

#[test]
fn proof_for_another_tree_size() {
    alter_proof(|entry| entry.proof.tree_size += 1);
}

#[test]
fn proof_for_another_root() {
    alter_proof(|entry| entry.proof.root_hash[0] ^= 1);
}

/// Gives the bundle a checkpoint over a tree that holds only its own leaf.
fn own_tree(bundle: &mut Bundle, origin: &str, sign: impl FnOnce(&str) -> String) {
    let entry = bundle.entry.as_mut().unwrap();
    let root = leaf_hash(&entry.canonicalized_body);
    let text = Checkpoint {
        origin: origin.into(),
        size: 1,
        root,
    }
    .to_text();
    entry.log_index = 0;
    entry.proof.tree_size = 1;
    entry.proof.root_hash = *root.as_bytes();
    entry.proof.hashes.clear();
    entry.proof.checkpoint = sign(&text);
}

#[test]
fn checkpoint_of_a_record_nobody_trusts() {
    let world = World::new();
    check(
        &world,
        |bundle| {
            own_tree(bundle, "other.test", |text| {
                note::sign(text, &[&world.other_record]).unwrap()
            });
        },
        &["record.origin"],
    );
}

#[test]
fn trusted_origin_signed_by_another_records_key() {
    let world = World::new();
    check(
        &world,
        |bundle| {
            own_tree(bundle, "record.test", |text| {
                note::sign(text, &[&world.other_record]).unwrap()
            });
        },
        &["record.checkpoint-signature"],
    );
}

#[test]
fn trusted_name_with_another_key_on_the_signature_line() {
    let world = World::new();
    let impostor = crate::fixture::record_key("record.test");
    check(
        &world,
        |bundle| {
            own_tree(bundle, "record.test", |text| {
                note::sign(text, &[&impostor]).unwrap()
            });
        },
        &["record.checkpoint-signature"],
    );
}

#[test]
fn checkpoint_signature_of_another_checkpoint() {
    let world = World::new();
    check(
        &world,
        |bundle| {
            let genuine = bundle.entry.as_ref().unwrap().proof.checkpoint.clone();
            let (_, signature) = genuine.rsplit_once("\n\n").unwrap();
            let signature = signature.to_owned();
            own_tree(bundle, "record.test", |text| format!("{text}\n{signature}"));
        },
        &["record.checkpoint-signature"],
    );
}

#[test]
fn checkpoint_without_a_signature() {
    let world = World::new();
    check(
        &world,
        |bundle| own_tree(bundle, "record.test", str::to_owned),
        &["record.checkpoint-signature"],
    );
}

#[test]
fn checkpoint_with_two_blank_lines() {
    let world = World::new();
    check(
        &world,
        |bundle| {
            let checkpoint = &mut bundle.entry.as_mut().unwrap().proof.checkpoint;
            *checkpoint = checkpoint.replace("\n\n", "\n\n\n");
        },
        &["record.checkpoint-signature"],
    );
}

#[test]
fn log_id_of_another_key() {
    let world = World::new();
    check(
        &world,
        |bundle| {
            bundle.entry.as_mut().unwrap().log_id =
                world.other_record.verifier_key().full_key_hash();
        },
        &["record.origin"],
    );
}

/// The record signs two trees of one size: proof enough that it lies to somebody.
#[test]
fn split_view_inside_the_evidence() {
    let world = World::new();
    let first = world.provenance();
    world.fork_record();
    let second = world.recorded(&world.auditor_a, &first.envelope.payload);
    let verdict = judge(&world, &evidence(&[&first, &second]));
    assert_failed_by(&verdict, &["record.consistent"]);
}
