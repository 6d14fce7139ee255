//! The writer. One process holds a store; one transaction a batch.

use crate::entry::NewEntry;
use jiff::Timestamp;
use std::path::Path;

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

/// Where a batch landed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// For each entry of the batch its position; `Err` holds the position of the
    /// entry that was there before under the same id.
    pub positions: Vec<Result<u64, u64>>,
    /// Tree size afterwards.
    pub size: u64,
}

/// Outside inputs of the store.
pub struct Options {
    /// Origin line of checkpoints, such as `docket.a5c.ai/<cluster>`.
    pub origin: String,
    /// Ed25519 seed (32 bytes).
    pub signing_seed: [u8; 32],
    /// Fills a buffer with randomness for salts; seeded in tests.
    pub random: Box<dyn FnMut(&mut [u8]) + Send>,
}

/// The one writer of a ledger.
pub struct Store {}

/// Why the store could not do it. After a failed commit the store is poisoned: every
/// later call fails until it is opened again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process holds it.
    #[error("the store is held by another process; stop that reporter first")]
    Held,
    /// SQLite said no.
    #[error("the store could not be read or written")]
    Sqlite(#[from] rusqlite::Error),
}

impl Store {
    /// Open or create.
    ///
    /// # Errors
    /// If another process holds it, the file system is a network one, the file is not a
    /// ledger, or its head does not agree with its rows.
    pub fn open(_path: &Path, _options: Options) -> Result<Store, StoreError> {
        unimplemented!()
    }
    /// Append one batch durably: when this returns, a crash loses none of it.
    ///
    /// # Errors
    /// Nothing of the batch was stored.
    pub fn append(&mut self, _batch: &Batch, _recorded_at: Timestamp) -> Result<Appended, StoreError> {
        unimplemented!()
    }
    /// One state value.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn state(&self, _key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        unimplemented!()
    }
    /// All state values whose key starts with `prefix`, by key.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn states(&self, _prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        unimplemented!()
    }
    /// The signed checkpoint of the present tree.
    #[must_use]
    pub fn checkpoint(&self) -> String {
        unimplemented!()
    }
    /// Public key as a C2SP note verifier key, `<origin>+<hash>+<base64>`.
    #[must_use]
    pub fn verifier_key(&self) -> String {
        unimplemented!()
    }
    /// Tree size.
    #[must_use]
    pub fn size(&self) -> u64 {
        unimplemented!()
    }
}
