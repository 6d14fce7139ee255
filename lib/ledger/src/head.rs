//! The head: what is signed of the store, in one row.

use crate::entry::Hash;
use crate::error::StoreError;
use crate::note::Signer;
use crate::tree::Tree;
use rusqlite::{Connection, OptionalExtension};

/// The one row of `head`.
pub(crate) struct Head {
    pub size: i64,
    pub edge: Vec<u8>,
    pub checkpoint: String,
    pub store_head: String,
}

impl Head {
    pub fn read(connection: &Connection) -> Result<Head, StoreError> {
        let sql = "SELECT size, edge, checkpoint, store_head FROM head WHERE id = 0";
        let head = connection.prepare_cached(sql)?.query_row((), |row| {
            let (size, edge) = (row.get(0)?, row.get(1)?);
            Ok(Head {
                size,
                edge,
                checkpoint: row.get(2)?,
                store_head: row.get(3)?,
            })
        });
        head.optional()?
            .ok_or_else(|| StoreError::Damaged("it has no head".to_owned()))
    }

    pub fn tree(&self) -> Option<Tree> {
        Tree::from_edge(u64::try_from(self.size).ok()?, &self.edge)
    }

    /// Signing is deterministic: the notes must be exactly those that we would write.
    pub fn check(&self, signer: &Signer, meta: Hash, state: Hash) -> Result<Tree, String> {
        let tree = self.tree().ok_or("the right edge does not fit the size")?;
        let (size, root) = (tree.size(), tree.root());
        if self.checkpoint != signer.checkpoint(size, root) {
            return Err("the checkpoint does not fit the right edge".to_owned());
        }
        if self.store_head != signer.store_head(size, root, meta, state) {
            return Err("the state rows are not those that were signed".to_owned());
        }
        Ok(tree)
    }
}
