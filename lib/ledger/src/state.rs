//! The state rows, and one hash over all of them that is cheap to keep up to date.

use crate::entry::{Hash, sha256};
use rusqlite::Connection;
use std::collections::BTreeMap;

/// Rows fall into 256 buckets by the first byte of the hash of their key, so that a
/// change costs the hashing of one bucket and not of all rows.
const BUCKETS: usize = 256;

/// Hashes of all state rows.
#[derive(Clone)]
pub(crate) struct StateDigest {
    buckets: Vec<Bucket>,
}

#[derive(Clone, Default)]
struct Bucket {
    rows: BTreeMap<Hash, Hash>,
    hash: Option<Hash>,
}

impl Default for StateDigest {
    fn default() -> StateDigest {
        StateDigest {
            buckets: vec![Bucket::default(); BUCKETS],
        }
    }
}

impl StateDigest {
    /// Set or remove one row. Returns what stood there, for [`StateDigest::restore`].
    pub fn set(&mut self, key: &str, value: Option<&[u8]>) -> Undo {
        let key_hash = sha256(&[key.as_bytes()]);
        let row = value.map(|value| row_hash(key, value));
        Undo {
            key_hash,
            row: self.put(key_hash, row),
        }
    }

    /// Take back changes, last first.
    pub fn restore(&mut self, undo: Vec<Undo>) {
        for Undo { key_hash, row } in undo.into_iter().rev() {
            self.put(key_hash, row);
        }
    }

    fn put(&mut self, key_hash: Hash, row: Option<Hash>) -> Option<Hash> {
        let bucket = &mut self.buckets[usize::from(key_hash[0])];
        bucket.hash = None;
        match row {
            Some(row) => bucket.rows.insert(key_hash, row),
            None => bucket.rows.remove(&key_hash),
        }
    }

    /// SHA-256 over the 256 bucket hashes.
    pub fn hash(&mut self) -> Hash {
        let mut all = Vec::with_capacity(BUCKETS * 32);
        for bucket in &mut self.buckets {
            let rows = &bucket.rows;
            all.extend(*bucket.hash.get_or_insert_with(|| {
                let rows: Vec<&[u8]> = rows.values().map(Hash::as_slice).collect();
                sha256(&rows)
            }));
        }
        sha256(&[&all])
    }
}

/// One row as it stood before a change.
pub(crate) struct Undo {
    key_hash: Hash,
    row: Option<Hash>,
}

fn row_hash(key: &str, value: &[u8]) -> Hash {
    sha256(&[&(key.len() as u64).to_be_bytes(), key.as_bytes(), value])
}

/// Calls `each` with every row, by key.
pub(crate) fn for_each_state(
    connection: &Connection,
    mut each: impl FnMut(&str, &[u8]),
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("SELECT key, value FROM state ORDER BY key")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        each(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_blob()?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_depends_on_the_rows_and_not_on_the_way_there() {
        let mut one = StateDigest::default();
        let empty = one.hash();
        one.set("a", Some(b"1"));
        one.set("b", Some(b"2"));
        let mut other = StateDigest::default();
        other.set("b", Some(b"3"));
        other.set("c", Some(b"4"));
        other.set("b", Some(b"2"));
        other.set("c", None);
        other.set("a", Some(b"1"));
        assert_eq!(one.hash(), other.hash());
        assert_ne!(one.hash(), empty);
        let before = one.hash();
        let undo = vec![
            one.set("a", None),
            one.set("a", Some(b"9")),
            one.set("d", Some(b"")),
        ];
        assert_ne!(one.hash(), before);
        one.restore(undo);
        assert_eq!(one.hash(), before);
    }

    #[test]
    fn key_and_value_do_not_run_into_each_other() {
        let (mut one, mut other) = (StateDigest::default(), StateDigest::default());
        one.set("ab", Some(b"c"));
        other.set("a", Some(b"bc"));
        assert_ne!(one.hash(), other.hash());
    }
}
