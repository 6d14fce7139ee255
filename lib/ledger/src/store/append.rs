//! Appending: leaf, tree, state, head and view of one batch, in one transaction.

use super::state::set_state;
use super::{Store, StoreError};
use crate::entry::{Hash, Leaf, NO_PART, NewEntry, Part, commitment};
use crate::fold;
use crate::row::to_i64;
use crate::state::Undo;
use crate::tree::{Tree, leaf_hash};
use crate::view::ViewWriter;
use crate::words::Sieve;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

/// What one transaction does: all of it or nothing.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Entries in order; those whose id is already in the ledger are skipped.
    pub entries: Vec<NewEntry>,
    /// Working state that must not part from the entries (source positions, numbers
    /// seen, publication cursors): key, and value or `None` to delete. Not in the tree,
    /// but covered by the signed head.
    pub state: Vec<(String, Option<Vec<u8>>)>,
}

/// One for each entry of a batch: where it stands, or (`Err`) where one of the same id
/// stood before.
pub type Positions = Vec<Result<u64, u64>>;

/// Where a batch landed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// For each entry of the batch its position; `Err` holds the position of the
    /// entry that was there before under the same id.
    pub positions: Positions,
    /// Tree size afterwards.
    pub size: u64,
}

impl Store {
    /// Append one batch durably: when this returns, a crash loses none of it. The time
    /// in the leaf never runs backwards: if the clock does, the last time is used again.
    ///
    /// # Errors
    /// Nothing of the batch was stored.
    pub fn append(
        &mut self,
        batch: &Batch,
        recorded_at: Timestamp,
    ) -> Result<Appended, StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        let recorded_at = recorded_at.as_microsecond().max(self.last_recorded_at);
        let mut undo = Vec::new();
        let done = self.write(batch, recorded_at, &mut undo);
        if done.is_err() {
            self.state.restore(undo);
        }
        // Still open: it failed before the commit, or there was nothing to write.
        if !self.connection.is_autocommit() && self.connection.execute_batch("ROLLBACK").is_err() {
            self.poisoned = true;
        }
        let (positions, written) = done?;
        if let Some(Written {
            tree,
            sieve,
            checkpoint,
            store_head,
        }) = written
        {
            self.sieve = sieve;
            if tree.size() > self.tree.size() {
                self.last_recorded_at = recorded_at;
            }
            (self.tree, self.checkpoint, self.store_head) = (tree, checkpoint, store_head);
        }
        Ok(Appended {
            positions,
            size: self.tree.size(),
        })
    }

    fn write(
        &mut self,
        batch: &Batch,
        recorded_at: i64,
        undo: &mut Vec<Undo>,
    ) -> Result<(Positions, Option<Written>), StoreError> {
        let Store {
            connection, random, ..
        } = self;
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let mut tree = self.tree.clone();
        let mut view = ViewWriter::new(connection, self.sieve.clone());
        let mut positions = Vec::with_capacity(batch.entries.len());
        for (index, entry) in batch.entries.iter().enumerate() {
            if fold::id(&entry.public).as_deref() != Some(&entry.id) {
                return Err(StoreError::Entry(index));
            }
            if let Some(before) = position_of(connection, &entry.id)? {
                positions.push(Err(before));
                continue;
            }
            let position = tree.size();
            let row = to_i64(position);
            let (public, personal, exhibit) = (
                Sealed::new(random, Part::Public, Some(&entry.public)),
                Sealed::new(random, Part::Personal, entry.personal.as_deref()),
                Sealed::new(random, Part::Exhibit, entry.exhibit.as_deref()),
            );
            let leaf = Leaf {
                class: entry.class,
                recorded_at,
                public: public.commitment,
                personal: personal.commitment,
                exhibit: exhibit.commitment,
            };
            let bytes = leaf.to_bytes();
            connection
                .prepare_cached("INSERT INTO entry VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
                .execute(params![
                    row,
                    bytes,
                    public.salt,
                    public.bytes,
                    personal.salt,
                    personal.bytes,
                    exhibit.salt,
                    exhibit.bytes
                ])?;
            view.add(&fold::fold(
                row,
                &leaf,
                Some(&entry.public),
                entry.personal.as_deref(),
            ))?;
            let mut tiles = Ok(());
            tree.push(leaf_hash(&bytes), |level, index, hashes| {
                if tiles.is_ok() {
                    tiles = insert_tile(connection, level, index, hashes);
                }
            });
            tiles?;
            positions.push(Ok(position));
        }
        let sieve = view.finish()?;
        for (key, value) in &batch.state {
            undo.push(self.state.set(key, value.as_deref()));
            set_state(connection, key, value.as_deref())?;
        }
        let grown = tree.size() > self.tree.size();
        if !grown && batch.state.is_empty() {
            return Ok((positions, None));
        }
        let (size, root) = (tree.size(), tree.root());
        let checkpoint = if grown {
            self.signer.checkpoint(size, root)
        } else {
            self.checkpoint.clone()
        };
        let store_head = self
            .signer
            .store_head(size, root, self.meta, self.state.hash());
        let sql = "UPDATE head SET size = ?1, edge = ?2, checkpoint = ?3, store_head = ?4 \
                   WHERE id = 0 AND size = ?5 AND store_head = ?6";
        let (before, edge) = (to_i64(self.tree.size()), tree.edge_bytes());
        let moved = connection.prepare_cached(sql)?.execute(params![
            to_i64(size),
            edge,
            checkpoint,
            store_head,
            before,
            self.store_head
        ])?;
        if moved != 1 {
            self.poisoned = true;
            return Err(StoreError::Fenced);
        }
        if let Err(error) = connection.execute_batch("COMMIT") {
            let error = StoreError::from(error);
            // A full disk is known to have stored nothing: the commit frame is the last
            // to be written. After any other failure (a sync above all) the pages may or
            // may not be on disk.
            self.poisoned = !matches!(error, StoreError::Full);
            return Err(error);
        }
        Ok((
            positions,
            Some(Written {
                tree,
                sieve,
                checkpoint,
                store_head,
            }),
        ))
    }
}

/// What a committed batch changes in memory.
struct Written {
    tree: Tree,
    sieve: Sieve,
    checkpoint: String,
    store_head: String,
}

/// A part with its salt.
struct Sealed<'a> {
    salt: Option<[u8; 32]>,
    bytes: Option<&'a [u8]>,
    commitment: Hash,
}

impl<'a> Sealed<'a> {
    fn new(random: &mut dyn FnMut(&mut [u8]), part: Part, bytes: Option<&'a [u8]>) -> Sealed<'a> {
        let Some(bytes) = bytes else {
            return Sealed {
                salt: None,
                bytes: None,
                commitment: NO_PART,
            };
        };
        let mut salt = [0; 32];
        random(&mut salt);
        let commitment = commitment(part, &salt, bytes);
        Sealed {
            salt: Some(salt),
            bytes: Some(bytes),
            commitment,
        }
    }
}

fn position_of(connection: &Connection, id: &str) -> rusqlite::Result<Option<u64>> {
    let mut statement = connection.prepare_cached("SELECT position FROM record WHERE id = ?1")?;
    let position: Option<i64> = statement.query_row([id], |row| row.get(0)).optional()?;
    Ok(position.map(i64::cast_unsigned))
}

fn insert_tile(
    connection: &Connection,
    level: u8,
    index: u64,
    hashes: &[Hash],
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("INSERT INTO tile VALUES (?1, ?2, ?3)")?;
    statement.execute(params![level, to_i64(index), hashes.as_flattened()])?;
    Ok(())
}
