//! Properties that hold for trees of every size and shape.
//!
//! The tree is computed here a second time, straight from the recursive
//! definition in RFC 9162 section 2.1.1, and everything is compared with that.

use std::collections::BTreeMap;
use std::convert::Infallible;

use counterseal_tlog::edge::RightEdge;
use counterseal_tlog::proof::{
    NodeSource, ProofError, ProveError, check_consistency, check_inclusion, prove_consistency,
    prove_inclusion,
};
use counterseal_tlog::tile::{Tile, TileError, TilePath, encode_tile, tiles_for};
use counterseal_tlog::{NodeHash, empty_root, leaf_hash, node_hash};
use proptest::prelude::*;
use proptest::sample::Index;

/// The definition: MTH of RFC 9162 section 2.1.1.
fn naive_root(leaves: &[NodeHash]) -> NodeHash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let mut middle = 1;
            while middle * 2 < leaves.len() {
                middle *= 2;
            }
            node_hash(
                &naive_root(&leaves[..middle]),
                &naive_root(&leaves[middle..]),
            )
        }
    }
}

fn leaves(count: u64) -> Vec<NodeHash> {
    (0..count)
        .map(|number| leaf_hash(&number.to_be_bytes()))
        .collect()
}

/// Reads nodes straight from the leaves.
struct Leaves<'a>(&'a [NodeHash]);

impl NodeSource for Leaves<'_> {
    type Error = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<NodeHash, Infallible> {
        let begin = usize::try_from(index << level).unwrap();
        Ok(naive_root(&self.0[begin..begin + (1 << level)]))
    }
}

/// Reads nodes from tiles, as a client of a published log does.
struct Tiles {
    size: u64,
    tiles: BTreeMap<TilePath, Vec<u8>>,
}

impl NodeSource for Tiles {
    type Error = TileError;

    fn node(&self, level: u8, index: u64) -> Result<NodeHash, TileError> {
        let (path, place) = TilePath::for_node(level, index, self.size)?;
        let tile = Tile::parse(&self.tiles[&path], path.width())?;
        Ok(tile
            .node(place)
            .expect("the tile is as wide as its name says"))
    }
}

/// Grows a log through these sizes, keeping every tile that was ever written.
fn grow(sizes: &[u64], leaves: &[NodeHash]) -> (RightEdge, BTreeMap<TilePath, Vec<u8>>) {
    let mut edge = RightEdge::empty();
    let mut tiles = BTreeMap::new();
    for size in sizes {
        let before = edge.size();
        let mut written = BTreeMap::new();
        for leaf in &leaves[usize::try_from(before).unwrap()..usize::try_from(*size).unwrap()] {
            written.extend(
                edge.push(*leaf)
                    .into_iter()
                    .map(|tile| (tile.path, tile.bytes)),
            );
        }
        let expected: Vec<TilePath> = tiles_for(before, *size).collect();
        let partial = edge
            .partial_tiles()
            .filter(|tile| expected.contains(&tile.path));
        written.extend(partial.map(|tile| (tile.path, tile.bytes)));
        // Exactly the tiles that are announced are written.
        assert_eq!(written.keys().copied().collect::<Vec<_>>(), {
            let mut sorted = expected.clone();
            sorted.sort();
            sorted
        });
        tiles.extend(written);
    }
    (edge, tiles)
}

#[test]
fn every_proof_of_every_small_tree_holds() {
    let leaves = leaves(40);
    for size in 0..=40 {
        let tree = &leaves[..size];
        let (source, root, size) = (Leaves(tree), naive_root(tree), size as u64);
        for index in 0..size {
            let proof = prove_inclusion(&source, index, size).unwrap();
            let leaf = &tree[usize::try_from(index).unwrap()];
            check_inclusion(leaf, index, size, &proof, &root).unwrap();
        }
        for old_size in 0..=size {
            let old_root = naive_root(&tree[..usize::try_from(old_size).unwrap()]);
            let proof = prove_consistency(&source, old_size, size).unwrap();
            check_consistency(old_size, size, &old_root, &root, &proof).unwrap();
        }
    }
}

#[test]
fn what_is_not_in_the_tree_is_not_proved() {
    let tree = leaves(5);
    let out_of_range = ProofError::IndexOutOfRange { index: 5, size: 5 };
    assert_eq!(
        prove_inclusion(&Leaves(&tree), 5, 5),
        Err(ProveError::Proof(out_of_range.clone()))
    );
    assert_eq!(
        check_inclusion(&tree[0], 5, 5, &[], &tree[0]),
        Err(out_of_range)
    );
    let shrunk = ProofError::Shrunk {
        old_size: 5,
        new_size: 4,
    };
    assert_eq!(
        prove_consistency(&Leaves(&tree), 5, 4),
        Err(ProveError::Proof(shrunk.clone()))
    );
    assert_eq!(
        check_consistency(5, 4, &tree[0], &tree[0], &[]),
        Err(shrunk)
    );
}

#[test]
fn an_empty_tree_is_the_beginning_of_all_but_not_under_any_root() {
    let tree = leaves(5);
    let root = naive_root(&tree);
    check_consistency(0, 5, &empty_root(), &root, &[]).unwrap();
    check_consistency(0, 0, &empty_root(), &empty_root(), &[]).unwrap();
    assert!(check_consistency(0, 5, &root, &root, &[]).is_err());
    assert!(check_consistency(0, 0, &empty_root(), &root, &[]).is_err());
    assert!(check_consistency(0, 5, &empty_root(), &root, &[root]).is_err());
}

#[test]
fn the_largest_sizes_do_not_overflow() {
    let hash = leaf_hash(b"");
    for (index, size) in [(0, u64::MAX), (u64::MAX - 1, u64::MAX), (1 << 63, u64::MAX)] {
        for length in [0, 1, 62, 63, 64, 65, 200] {
            let proof = vec![hash; length];
            assert!(check_inclusion(&hash, index, size, &proof, &hash).is_err());
            assert!(check_consistency(index, size, &hash, &hash, &proof).is_err());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn appending_tile_by_tile_equals_the_definition(
        mut sizes in prop::collection::vec(0_u64..1500, 1..6),
    ) {
        sizes.sort_unstable();
        let size = sizes[sizes.len() - 1];
        let leaves = leaves(size);
        let (edge, tiles) = grow(&sizes, &leaves);
        prop_assert_eq!(edge.root(), naive_root(&leaves));
        // Whatever the batches were, the tiles of the last size are the same.
        let (_, at_once) = grow(&[size], &leaves);
        for (path, bytes) in &at_once {
            prop_assert_eq!(&tiles[path], bytes);
        }
    }

    #[test]
    fn proofs_from_tiles_equal_proofs_from_leaves(size in 1_u64..1500, pick: Index, old: Index) {
        let leaves = leaves(size);
        let (_, tiles) = grow(&[size], &leaves);
        let tiles = Tiles { size, tiles };
        let (index, old) = (pick.index(leaves.len()) as u64, old.index(leaves.len() + 1) as u64);
        prop_assert_eq!(
            prove_inclusion(&tiles, index, size).unwrap(),
            prove_inclusion(&Leaves(&leaves), index, size).unwrap()
        );
        prop_assert_eq!(
            prove_consistency(&tiles, old, size).unwrap(),
            prove_consistency(&Leaves(&leaves), old, size).unwrap()
        );
    }

    #[test]
    fn a_changed_inclusion_proof_fails(
        size in 1_u64..600, pick: Index, bit in 0_usize..256, victim: Index, delta in 1_u64..700,
    ) {
        let leaves = leaves(size);
        let root = naive_root(&leaves);
        let position = pick.index(leaves.len());
        let index = position as u64;
        let leaf = leaves[position];
        let proof = prove_inclusion(&Leaves(&leaves), index, size).unwrap();
        prop_assert!(check_inclusion(&leaf, index, size, &proof, &root).is_ok());

        prop_assert!(check_inclusion(&flip(leaf, bit), index, size, &proof, &root).is_err());
        prop_assert!(check_inclusion(&leaf, index, size, &proof, &flip(root, bit)).is_err());
        prop_assert!(check_inclusion(&leaf, index + delta, size, &proof, &root).is_err());
        for changed in changes(&proof, bit, victim) {
            prop_assert!(check_inclusion(&leaf, index, size, &changed, &root).is_err());
        }
    }

    #[test]
    fn a_changed_consistency_proof_fails(
        size in 1_u64..600, pick: Index, bit in 0_usize..256, victim: Index,
    ) {
        let leaves = leaves(size);
        let root = naive_root(&leaves);
        let old = pick.index(leaves.len()) + 1;
        let (old_size, old_root) = (old as u64, naive_root(&leaves[..old]));
        let proof = prove_consistency(&Leaves(&leaves), old_size, size).unwrap();
        prop_assert!(check_consistency(old_size, size, &old_root, &root, &proof).is_ok());

        let (old_flipped, flipped) = (flip(old_root, bit), flip(root, bit));
        prop_assert!(check_consistency(old_size, size, &old_flipped, &root, &proof).is_err());
        prop_assert!(check_consistency(old_size, size, &old_root, &flipped, &proof).is_err());
        for changed in changes(&proof, bit, victim) {
            prop_assert!(check_consistency(old_size, size, &old_root, &root, &changed).is_err());
        }
    }

    #[test]
    fn a_tile_holds_the_nodes_of_its_subtree(width in 1_usize..=256, height in 0_u8..8) {
        let hashes = leaves(width as u64);
        let tile = Tile::parse(&encode_tile(&hashes), u16::try_from(width).unwrap()).unwrap();
        prop_assert_eq!(tile.hashes(), &hashes[..]);
        for index in 0..(width as u64) >> height {
            let (path, place) = TilePath::for_node(height, index, width as u64).unwrap();
            prop_assert_eq!(usize::from(path.width()), width);
            let expected = Leaves(&hashes).node(height, index).unwrap();
            prop_assert_eq!(tile.node(place), Some(expected));
        }
    }
}

fn flip(mut hash: NodeHash, bit: usize) -> NodeHash {
    hash.0[bit / 8] ^= 1 << (bit % 8);
    hash
}

/// A proof with one bit flipped, one hash more at either end, one less.
fn changes(proof: &[NodeHash], bit: usize, victim: Index) -> Vec<Vec<NodeHash>> {
    let extra = leaf_hash(b"extra");
    let mut changed = vec![[proof, &[extra]].concat(), [&[extra], proof].concat()];
    if !proof.is_empty() {
        let mut flipped = proof.to_vec();
        let victim = victim.index(proof.len());
        flipped[victim] = flip(flipped[victim], bit);
        changed.extend([
            flipped,
            proof[1..].to_vec(),
            proof[..proof.len() - 1].to_vec(),
        ]);
    }
    changed
}
