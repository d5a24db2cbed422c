//! The three hashes of a Merkle tree: empty tree, leaf, inner node.
//!
//! RFC 6962 section 2.1 (unchanged in RFC 9162 section 2.1.1), always with
//! SHA-256. Deliberately absent: any other hash function, any tree.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// The hash of a leaf, an inner node or a whole tree: 32 bytes of SHA-256.
///
/// Shown to people in base64, as it stands in a checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeHash(pub [u8; 32]);

impl NodeHash {
    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads 32 bytes; `None` when there are more or fewer.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

/// The hash of an entry as a leaf: `SHA-256(0x00 ‖ entry)`.
pub fn leaf_hash(entry: &[u8]) -> NodeHash {
    let mut hasher = Sha256::new();
    hasher.update([0x00]);
    hasher.update(entry);
    NodeHash(hasher.finalize().into())
}

/// The hash of an inner node: `SHA-256(0x01 ‖ left ‖ right)`.
pub fn node_hash(left: &NodeHash, right: &NodeHash) -> NodeHash {
    // One buffer, one call: this is the innermost loop of everything here.
    let mut preimage = [0x01; 65];
    preimage[1..33].copy_from_slice(&left.0);
    preimage[33..].copy_from_slice(&right.0);
    NodeHash(Sha256::digest(preimage).into())
}

/// The root of the tree without leaves: SHA-256 of nothing.
pub fn empty_root() -> NodeHash {
    NodeHash(Sha256::digest([]).into())
}

impl fmt::Display for NodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for NodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeHash({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString as _;

    #[test]
    fn the_empty_tree_and_the_empty_leaf_have_their_well_known_hashes() {
        assert_eq!(
            empty_root().to_string(),
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        );
        assert_eq!(
            leaf_hash(b"").to_string(),
            "bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0="
        );
    }

    #[test]
    fn a_leaf_can_not_pass_for_a_node() {
        let left = leaf_hash(b"left");
        let right = leaf_hash(b"right");
        let mut children = [0; 64];
        children[..32].copy_from_slice(&left.0);
        children[32..].copy_from_slice(&right.0);
        assert_ne!(leaf_hash(&children), node_hash(&left, &right));
    }

    #[test]
    fn only_32_bytes_are_a_hash() {
        assert!(NodeHash::from_slice(&[0; 31]).is_none());
        assert!(NodeHash::from_slice(&[0; 33]).is_none());
        assert_eq!(NodeHash::from_slice(&[7; 32]), Some(NodeHash([7; 32])));
    }
}
