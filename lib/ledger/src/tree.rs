//! The Merkle tree of RFC 6962, kept as its right edge in tiles of 256 hashes.
//!
//! Level 0 of the tiles holds leaf hashes; a hash on level n+1 is the root of a full
//! tile on level n. The edge is what each level has beyond its last full tile: all that
//! is needed to append and to know the root.

use crate::entry::{Hash, sha256};

/// Hashes in a full tile.
pub const TILE_WIDTH: usize = 256;

/// Hash of a leaf.
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    sha256(&[&[0], leaf])
}

/// Hash of an inner node.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// The root over leaf hashes in their order.
#[must_use]
pub fn root_from_leaf_hashes(hashes: impl IntoIterator<Item = Hash>) -> Hash {
    let mut tree = Tree::default();
    for hash in hashes {
        tree.push(hash, |_, _, _| {});
    }
    tree.root()
}

/// How many hashes a level of the tiles has in a tree of `size` leaves.
#[must_use]
pub fn level_width(size: u64, level: u8) -> u64 {
    size.checked_shr(8 * u32::from(level)).unwrap_or(0)
}

/// The right edge of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    edge: Vec<Vec<Hash>>,
}

impl Tree {
    /// How many leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Add one leaf hash. Each tile that it fills is given to `full` (level, index, hashes).
    pub fn push(&mut self, leaf: Hash, mut full: impl FnMut(u8, u64, &[Hash])) {
        self.size += 1;
        let mut hash = leaf;
        for level in 0.. {
            if self.edge.len() == level {
                self.edge.push(Vec::with_capacity(TILE_WIDTH));
            }
            let tile = &mut self.edge[level];
            tile.push(hash);
            if tile.len() < TILE_WIDTH {
                return;
            }
            let index = (self.size >> (8 * (level + 1))) - 1;
            full(u8::try_from(level).unwrap_or(u8::MAX), index, tile);
            hash = perfect_root(tile);
            tile.clear();
        }
    }

    /// The root. That of the empty tree is the hash of nothing.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut right: Option<Hash> = None;
        for tile in &self.edge {
            // Perfect subtrees within the level, from the right: smallest first.
            let mut end = tile.len();
            while end > 0 {
                let width = 1 << end.trailing_zeros();
                let left = perfect_root(&tile[end - width..end]);
                right = Some(right.map_or(left, |right| node_hash(&left, &right)));
                end -= width;
            }
        }
        right.unwrap_or_else(|| sha256(&[]))
    }

    /// The edge as bytes: the partial tile of each level, lowest first.
    #[must_use]
    pub fn edge_bytes(&self) -> Vec<u8> {
        self.edge.iter().flatten().flatten().copied().collect()
    }

    /// The inverse of [`Tree::edge_bytes`]; `None` if the length does not fit the size.
    #[must_use]
    pub fn from_edge(size: u64, bytes: &[u8]) -> Option<Tree> {
        let mut edge = Vec::new();
        let mut rest = bytes;
        for level in 0..8 {
            let width = level_width(size, level);
            if width == 0 {
                break;
            }
            let (tile, after) = rest.split_at_checked((width % 256) as usize * 32)?;
            let mut hashes = Vec::with_capacity(TILE_WIDTH);
            hashes.extend(tile.as_chunks::<32>().0);
            edge.push(hashes);
            rest = after;
        }
        rest.is_empty().then_some(Tree { size, edge })
    }

    /// The partial tile of a level, if the level has been reached.
    #[must_use]
    pub fn partial(&self, level: u8) -> Option<&[Hash]> {
        self.edge.get(usize::from(level)).map(Vec::as_slice)
    }
}

/// Root over a power of two of hashes.
fn perfect_root(hashes: &[Hash]) -> Hash {
    let mut level = hashes.to_vec();
    while level.len() > 1 {
        level = level
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[left, right]| node_hash(left, right))
            .collect();
    }
    level.first().copied().unwrap_or(NOTHING)
}

const NOTHING: Hash = [0; 32];

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962 section 2.1, word for word.
    fn by_definition(hashes: &[Hash]) -> Hash {
        match hashes {
            [] => sha256(&[]),
            [one] => *one,
            many => {
                let split = many.len().next_power_of_two() / 2;
                node_hash(
                    &by_definition(&many[..split]),
                    &by_definition(&many[split..]),
                )
            }
        }
    }

    #[test]
    fn the_root_is_that_of_the_definition_at_every_size() {
        let mut tree = Tree::default();
        let mut hashes = Vec::new();
        assert_eq!(tree.root(), by_definition(&[]));
        for n in 0..700_u32 {
            let hash = leaf_hash(&n.to_be_bytes());
            hashes.push(hash);
            tree.push(hash, |_, _, _| {});
            assert_eq!(tree.root(), by_definition(&hashes), "at {n}");
        }
    }

    #[test]
    fn a_third_level_is_reached_and_full_tiles_come_in_order() {
        let mut tree = Tree::default();
        let mut full = Vec::new();
        for n in 0..65_537_u32 {
            tree.push(leaf_hash(&n.to_be_bytes()), |level, index, hashes| {
                assert_eq!(hashes.len(), TILE_WIDTH);
                full.push((level, index));
            });
        }
        let low: Vec<u64> = full
            .iter()
            .filter(|(l, _)| *l == 0)
            .map(|(_, i)| *i)
            .collect();
        assert_eq!(low, (0..256).collect::<Vec<_>>());
        assert_eq!(full.last(), Some(&(1, 0)));
        assert_eq!(tree.partial(2).map(<[Hash]>::len), Some(1));
        assert_eq!(
            Tree::from_edge(tree.size(), &tree.edge_bytes()),
            Some(tree.clone())
        );
        assert_eq!(Tree::from_edge(tree.size() + 1, &tree.edge_bytes()), None);
    }
}
