//! The Merkle proof vectors of transparency-dev, as far as they are at hand.
//!
//! They are read where they lie beside the project and are not part of it.
//! Without them the tests say so and check nothing.

// The bans of this crate are about the library; its tests may read a file.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros)]

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use counterseal_tlog::NodeHash;
use counterseal_tlog::proof::{check_consistency, check_inclusion};
use serde::Deserialize;
use serde::de::DeserializeOwned;

const VECTORS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../shared/vectors/merkle"
);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Inclusion {
    leaf_idx: u64,
    tree_size: u64,
    root: String,
    leaf_hash: String,
    proof: Option<Vec<String>>,
    desc: String,
    want_err: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Consistency {
    size1: u64,
    size2: u64,
    root1: String,
    root2: String,
    proof: Option<Vec<String>>,
    desc: String,
    want_err: bool,
}

/// A hash that is not 32 bytes can not even be written down in our types: that
/// is a refusal, too.
fn hash(text: &str) -> Option<NodeHash> {
    NodeHash::from_slice(&STANDARD.decode(text).ok()?)
}

fn hashes(texts: Option<&Vec<String>>) -> Option<Vec<NodeHash>> {
    texts.map_or(Some(Vec::new()), |texts| {
        texts.iter().map(|text| hash(text)).collect()
    })
}

impl Inclusion {
    fn holds(&self) -> bool {
        let parts = (
            hash(&self.leaf_hash),
            hash(&self.root),
            hashes(self.proof.as_ref()),
        );
        let (Some(leaf), Some(root), Some(proof)) = parts else {
            return false;
        };
        check_inclusion(&leaf, self.leaf_idx, self.tree_size, &proof, &root).is_ok()
    }
}

impl Consistency {
    fn holds(&self) -> bool {
        let parts = (
            hash(&self.root1),
            hash(&self.root2),
            hashes(self.proof.as_ref()),
        );
        let (Some(old), Some(new), Some(proof)) = parts else {
            return false;
        };
        check_consistency(self.size1, self.size2, &old, &new, &proof).is_ok()
    }
}

#[test]
fn inclusion_vectors() {
    let count = each_vector("inclusion", |path, vector: &Inclusion| {
        assert_eq!(
            vector.holds(),
            !vector.want_err,
            "{}: {}",
            path.display(),
            vector.desc
        );
    });
    assert!(
        count.is_none_or(|count| count >= 45),
        "only {count:?} vectors were found"
    );
}

#[test]
fn consistency_vectors() {
    let count = each_vector("consistency", |path, vector: &Consistency| {
        assert_eq!(
            vector.holds(),
            !vector.want_err,
            "{}: {}",
            path.display(),
            vector.desc
        );
    });
    assert!(
        count.is_none_or(|count| count >= 40),
        "only {count:?} vectors were found"
    );
}

/// Runs `check` over all vectors of a kind; `None` when there is no such folder.
fn each_vector<V: DeserializeOwned>(kind: &str, check: impl Fn(&Path, &V)) -> Option<usize> {
    let folder = Path::new(VECTORS).join(kind);
    if !folder.is_dir() {
        println!("skipped: no Merkle vectors of the kind `{kind}` are at hand");
        return None;
    }
    let mut count = 0;
    for group in listed(&folder) {
        for path in listed(&group) {
            let vector = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            check(&path, &vector);
            count += 1;
        }
    }
    Some(count)
}

fn listed(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}
