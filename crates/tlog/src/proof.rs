//! Inclusion and consistency proofs, made and checked.
//!
//! RFC 9162 sections 2.1.3 (inclusion) and 2.1.4 (consistency). In a tree of n
//! leaves an inclusion proof holds at most ⌈log₂ n⌉ hashes, a consistency proof
//! at most one more; both lengths follow from the position and the sizes.
//!
//! The two sides do not share their arithmetic: the prover walks the tree from
//! its root as the recursive definition does, the checker folds the proof from
//! the leaf upwards with the iterative algorithm. A mistake in one shows
//! against the other. Deliberately absent: where the nodes come from; that is
//! what [`NodeSource`] is for.

use alloc::vec::Vec;

use crate::{NodeHash, empty_root, node_hash};

/// Where a prover reads the hashes of complete subtrees.
pub trait NodeSource {
    /// Why a node could not be read.
    type Error;

    /// The hash over the leaves `index · 2^level` up to, but not including,
    /// `(index + 1) · 2^level`.
    ///
    /// Provers ask only for subtrees that lie wholly inside the tree.
    ///
    /// # Errors
    /// When the node is not there or can not be read.
    fn node(&self, level: u8, index: u64) -> Result<NodeHash, Self::Error>;
}

/// Why a proof does not hold, or was asked for something that is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The leaf lies outside the tree.
    #[error("leaf {index} is not in a tree of {size} leaves")]
    IndexOutOfRange {
        /// Index of the leaf, from 0.
        index: u64,
        /// Size of the tree, in leaves.
        size: u64,
    },
    /// A tree can not be consistent with a later, smaller one.
    #[error("the tree shrank: from {old_size} leaves to {new_size}")]
    Shrunk {
        /// Size of the earlier tree, in leaves.
        old_size: u64,
        /// Size of the later tree, in leaves.
        new_size: u64,
    },
    /// The position of the leaf, or the two sizes, fix the length of a proof.
    #[error("the proof has the wrong length: expected {expected} hashes, found {found}")]
    Length {
        /// Hashes that the position calls for.
        expected: usize,
        /// Hashes in the proof.
        found: usize,
    },
    /// The proof leads to another root.
    #[error("the proof leads to another root: expected {expected}, found {found}")]
    Root {
        /// The root that was to be proved.
        expected: NodeHash,
        /// The root that the proof leads to.
        found: NodeHash,
    },
    /// The consistency proof does not contain the earlier tree.
    #[error("the proof leads to another earlier root: expected {expected}, found {found}")]
    OldRoot {
        /// The earlier root that was to be proved.
        expected: NodeHash,
        /// The earlier root that the proof leads to.
        found: NodeHash,
    },
}

/// Why a proof could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProveError<E> {
    /// What was asked for does not exist.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// A node could not be read.
    #[error("a node of the tree could not be read")]
    Source(#[source] E),
}

/// Proves that the leaf at `index` is in the tree of `size` leaves.
///
/// Reads at most 2 · log₂ `size` nodes.
///
/// # Errors
/// [`ProofError::IndexOutOfRange`], or what the source reports.
pub fn prove_inclusion<S: NodeSource + ?Sized>(
    source: &S,
    index: u64,
    size: u64,
) -> Result<Vec<NodeHash>, ProveError<S::Error>> {
    if index >= size {
        return Err(ProofError::IndexOutOfRange { index, size }.into());
    }
    hash_spans(source, &inclusion_spans(index, size))
}

/// Checks that `leaf` is at `index` in the tree of `size` leaves under `root`.
///
/// # Errors
/// A [`ProofError`] naming what does not fit.
pub fn check_inclusion(
    leaf: &NodeHash,
    index: u64,
    size: u64,
    proof: &[NodeHash],
    root: &NodeHash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::IndexOutOfRange { index, size });
    }
    check_length(inclusion_spans(index, size).len(), proof)?;

    // RFC 9162 section 2.1.3.2: `position` is our node on the way up, `last`
    // the rightmost node of the same level.
    let mut position = index;
    let mut last = size - 1;
    let mut hash = *leaf;
    for sibling in proof {
        if position & 1 == 1 || position == last {
            hash = node_hash(sibling, &hash);
            // A last node without a right sibling climbs until it is a right child.
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    check_root(root, hash)
}

/// Proves that the tree of `old_size` leaves is the beginning of that of `new_size`.
///
/// The proof is empty when the sizes are equal or the old tree was empty.
///
/// # Errors
/// [`ProofError::Shrunk`], or what the source reports.
pub fn prove_consistency<S: NodeSource + ?Sized>(
    source: &S,
    old_size: u64,
    new_size: u64,
) -> Result<Vec<NodeHash>, ProveError<S::Error>> {
    if old_size > new_size {
        return Err(ProofError::Shrunk { old_size, new_size }.into());
    }
    hash_spans(source, &consistency_spans(old_size, new_size))
}

/// Checks that the tree under `old_root` is the beginning of that under `new_root`.
///
/// An empty old tree is the beginning of every tree, provided that `old_root`
/// is the root of the empty tree.
///
/// # Errors
/// A [`ProofError`] naming what does not fit.
pub fn check_consistency(
    old_size: u64,
    new_size: u64,
    old_root: &NodeHash,
    new_root: &NodeHash,
    proof: &[NodeHash],
) -> Result<(), ProofError> {
    if old_size > new_size {
        return Err(ProofError::Shrunk { old_size, new_size });
    }
    check_length(consistency_spans(old_size, new_size).len(), proof)?;
    if old_size == 0 {
        check_old_root(old_root, empty_root())?;
        return if new_size == 0 {
            check_root(new_root, empty_root())
        } else {
            Ok(())
        };
    }
    if old_size == new_size {
        return check_root(new_root, *old_root);
    }

    // RFC 9162 section 2.1.4.2: `position` is the last node of the old tree,
    // `last` that of the new one. Both proofs start at the largest complete
    // subtree that ends the old tree; if that is the whole old tree, its hash
    // is the old root and the proof does not repeat it.
    let shift = (old_size - 1).trailing_ones();
    let mut position = (old_size - 1) >> shift;
    let mut last = (new_size - 1) >> shift;
    let (mut old_hash, rest) = match proof.split_first() {
        Some((first, rest)) if !old_size.is_power_of_two() => (*first, rest),
        _ => (*old_root, proof),
    };
    let mut new_hash = old_hash;
    for hash in rest {
        if position & 1 == 1 || position == last {
            old_hash = node_hash(hash, &old_hash);
            new_hash = node_hash(hash, &new_hash);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, hash);
        }
        position >>= 1;
        last >>= 1;
    }
    check_old_root(old_root, old_hash)?;
    check_root(new_root, new_hash)
}

/// Leaves from `begin` up to, not including, `end`: never empty, and `begin` a
/// multiple of a power of two that is at least the length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    begin: u64,
    end: u64,
}

impl Span {
    /// Where RFC 9162 splits: after the largest power of two below the length.
    /// Callers have made sure that there are at least two leaves.
    fn split(self) -> (Span, Span) {
        let height = (self.end - self.begin - 1).ilog2();
        let middle = self.begin + (1 << height);
        (
            Span {
                begin: self.begin,
                end: middle,
            },
            Span {
                begin: middle,
                end: self.end,
            },
        )
    }
}

/// The subtrees whose hashes make up an inclusion proof, leaf first.
fn inclusion_spans(index: u64, size: u64) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut here = Span {
        begin: 0,
        end: size,
    };
    while here.end - here.begin > 1 {
        let (left, right) = here.split();
        if index < left.end {
            spans.push(right);
            here = left;
        } else {
            spans.push(left);
            here = right;
        }
    }
    spans.reverse();
    spans
}

/// The subtrees whose hashes make up a consistency proof, lowest first.
fn consistency_spans(old_size: u64, new_size: u64) -> Vec<Span> {
    let mut spans = Vec::new();
    if old_size == 0 || old_size == new_size {
        return spans;
    }
    let mut here = Span {
        begin: 0,
        end: new_size,
    };
    while here.end != old_size {
        let (left, right) = here.split();
        if old_size <= left.end {
            spans.push(right);
            here = left;
        } else {
            spans.push(left);
            here = right;
        }
    }
    if here.begin > 0 {
        spans.push(here);
    }
    spans.reverse();
    spans
}

fn hash_spans<S: NodeSource + ?Sized>(
    source: &S,
    spans: &[Span],
) -> Result<Vec<NodeHash>, ProveError<S::Error>> {
    spans
        .iter()
        .map(|span| span_root(source, *span).map_err(ProveError::Source))
        .collect()
}

fn span_root<S: NodeSource + ?Sized>(source: &S, span: Span) -> Result<NodeHash, S::Error> {
    // The complete subtrees from left to right, each half or less of the one before.
    let mut subtrees = Vec::new();
    let mut begin = span.begin;
    while begin < span.end {
        let level = (span.end - begin).ilog2();
        // ilog2 of a u64 is at most 63.
        subtrees.push(source.node(u8::try_from(level).unwrap_or(63), begin >> level)?);
        begin += 1 << level;
    }
    Ok(subtrees
        .into_iter()
        .rev()
        .reduce(|right, left| node_hash(&left, &right))
        .unwrap_or_else(empty_root))
}

fn check_length(expected: usize, proof: &[NodeHash]) -> Result<(), ProofError> {
    if proof.len() == expected {
        Ok(())
    } else {
        Err(ProofError::Length {
            expected,
            found: proof.len(),
        })
    }
}

fn check_root(expected: &NodeHash, found: NodeHash) -> Result<(), ProofError> {
    if *expected == found {
        Ok(())
    } else {
        Err(ProofError::Root {
            expected: *expected,
            found,
        })
    }
}

fn check_old_root(expected: &NodeHash, found: NodeHash) -> Result<(), ProofError> {
    if *expected == found {
        Ok(())
    } else {
        Err(ProofError::OldRoot {
            expected: *expected,
            found,
        })
    }
}
