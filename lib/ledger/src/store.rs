//! The writer. One process holds a store; one transaction a batch.

mod append;
mod around;
mod open;
mod outcome;
mod passes;
mod reindex;
mod state;

use crate::entry::Hash;
use crate::file::FileLock;
use crate::note::Signer;
use crate::row::{self, Row};
use crate::state::StateDigest;
use crate::tree::Tree;
use crate::words::Sieve;
use rusqlite::Connection;

pub use crate::error::StoreError;
pub use append::{Appended, Batch, Positions};
pub use around::Near;
pub use outcome::{Answer, Denied};
pub use reindex::reindex;

/// Fills a buffer with randomness.
pub type Random = Box<dyn FnMut(&mut [u8]) + Send>;

/// Outside inputs of the store.
pub struct Options {
    /// Origin line of checkpoints, such as `docket.a5c.ai/<cluster>`.
    pub origin: String,
    /// Ed25519 seed (32 bytes).
    pub signing_seed: [u8; 32],
    /// Fills a buffer with randomness for salts; seeded in tests.
    pub random: Random,
}

/// The one writer of a ledger.
pub struct Store {
    connection: Connection,
    signer: Signer,
    random: Random,
    tree: Tree,
    /// Words of the entries since the last full tile.
    sieve: Sieve,
    meta: Hash,
    state: StateDigest,
    checkpoint: String,
    store_head: String,
    last_recorded_at: i64,
    poisoned: bool,
    _lock: FileLock,
}

impl Store {
    /// The signed checkpoint of the present tree.
    #[must_use]
    pub fn checkpoint(&self) -> String {
        self.checkpoint.clone()
    }

    /// Public key as a C2SP note verifier key, `<origin>+<hash>+<base64>`.
    #[must_use]
    pub fn verifier_key(&self) -> String {
        self.signer.verifier_key()
    }

    /// Tree size.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Entries by position, from `from` on, at most `limit`, all classes: for what the
    /// writer must know again after it was opened.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn scan(&self, from: u64, limit: u32) -> Result<Vec<Row>, StoreError> {
        row::scan(&self.connection, from, limit)
    }

    /// Position of the entry that the newest amendment of kind `others-through` reaches;
    /// `None` before there is one.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn others_reached(&self) -> Result<Option<u64>, StoreError> {
        row::reached(&self.connection)
    }

    /// Let the file grow to at most this many pages of 8 KiB; beyond, appending fails with
    /// [`StoreError::Full`]. Holds until the store is opened again.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn limit_pages(&self, pages: u32) -> Result<(), StoreError> {
        let sql = format!("PRAGMA max_page_count = {pages}");
        self.connection.query_row(&sql, (), |_| Ok(()))?;
        Ok(())
    }
}
