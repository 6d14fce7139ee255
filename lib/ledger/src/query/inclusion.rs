//! That an entry is in the tree: the hashes from its leaf to the root (RFC 6962, 2.1.1).

use super::Reader;
use crate::entry::Hash;
use crate::error::StoreError;
use crate::head::Head;
use crate::row::to_i64;
use crate::tree::{TILE_WIDTH, node_hash, root_from_leaf_hashes};
use rusqlite::OptionalExtension;

/// What proves one entry to whoever trusts the signature on a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// Place in the tree.
    pub position: u64,
    /// Bytes of the leaf.
    pub leaf: Vec<u8>,
    /// Hashes beside the way from the leaf to the root, the lowest first.
    pub path: Vec<Hash>,
    /// Size of the tree that the path leads through.
    pub size: u64,
    /// The signed note over that tree's root.
    pub checkpoint: String,
}

impl Reader {
    /// The proof of the entry at a position, in the newest tree. `None` if there is no such
    /// entry. A few dozen look-ups, however large the tree.
    ///
    /// # Errors
    /// If SQLite fails, or the tree is not whole.
    pub fn inclusion(&self, position: u64) -> Result<Option<Inclusion>, StoreError> {
        self.snapshot(|_| {
            let head = Head::read(&self.connection)?;
            let size = head.size.cast_unsigned();
            if position >= size {
                return Ok(None);
            }
            let sql = "SELECT leaf FROM entry WHERE position = ?1";
            let mut statement = self.connection.prepare_cached(sql)?;
            let leaf = statement.query_row([to_i64(position)], |row| row.get(0));
            let torn = || StoreError::Damaged("an entry within the tree is missing".to_owned());
            Ok(Some(Inclusion {
                position,
                leaf: leaf.optional()?.ok_or_else(torn)?,
                path: self.path(position, size)?,
                size,
                checkpoint: head.checkpoint,
            }))
        })
    }

    fn path(&self, position: u64, size: u64) -> Result<Vec<Hash>, StoreError> {
        let (mut low, mut high) = (0, size);
        let mut path = Vec::new();
        while high - low > 1 {
            let middle = low + half(high - low);
            if position < middle {
                path.push(self.root_over(middle, high)?);
                high = middle;
            } else {
                path.push(self.root_over(low, middle)?);
                low = middle;
            }
        }
        path.reverse();
        Ok(path)
    }

    /// The root over the leaves from `low` on and before `high`, as RFC 6962 splits them:
    /// full subtrees, each half as large as what is left at most, from the left.
    fn root_over(&self, low: u64, high: u64) -> Result<Hash, StoreError> {
        let mut subtrees = Vec::new();
        let mut from = low;
        while from < high {
            let length = 1 << (high - from).ilog2();
            subtrees.push(self.full(from, length)?);
            from += length;
        }
        let last = subtrees.pop();
        let last = last.ok_or_else(|| StoreError::Damaged("an empty subtree".to_owned()))?;
        Ok(subtrees
            .iter()
            .rev()
            .fold(last, |right, left| node_hash(left, &right)))
    }

    /// The root over `length` leaves, a power of two, at a multiple of it: it stands in a
    /// tile, or is made of hashes that do.
    fn full(&self, from: u64, length: u64) -> Result<Hash, StoreError> {
        let height = length.ilog2();
        let (level, above) = (height / 8, height % 8);
        let first = from >> (8 * level);
        let width = TILE_WIDTH as u64;
        let (tile, start) = (first / width, first % width);
        let end = start + (1 << above);
        let torn = || StoreError::Damaged(format!("tile {level}/{tile} is not whole"));
        let level = u8::try_from(level).map_err(|_| torn())?;
        let end = u16::try_from(end).map_err(|_| torn())?;
        let bytes = self.tile(level, tile, end)?.ok_or_else(torn)?;
        let (hashes, rest) = bytes.as_chunks::<{ size_of::<Hash>() }>();
        let start = usize::try_from(start).map_err(|_| torn())?;
        let hashes = hashes.get(start..).filter(|_| rest.is_empty());
        Ok(root_from_leaf_hashes(
            hashes.ok_or_else(torn)?.iter().copied(),
        ))
    }
}

/// The largest power of two below `n`, which is at least 2.
fn half(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}
