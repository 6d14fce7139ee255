//! The writer. One process holds a store; one transaction a batch.

mod append;
mod around;
mod head;
mod open;
mod outcome;
mod passes;
mod reindex;
mod state;

use crate::entry::Hash;
use crate::note::{NoteError, Signer};
use crate::place::Held;
use crate::query::{self, Row};
use crate::state::StateDigest;
use crate::tree::Tree;
use crate::words::Sieve;
use rusqlite::{Connection, ErrorCode};
use std::path::PathBuf;

pub use append::{Appended, Batch, Positions};
pub use around::Near;
pub use outcome::{Answer, Denied};
pub use reindex::reindex;

pub(crate) use head::Head;
pub(crate) use open::{Kind, kind};
pub(crate) use outcome::outcome_of_r;
pub(crate) use state::for_each_state;

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
    _held: Held,
}

/// Why the store could not do it. After a commit whose outcome is not known the store is
/// poisoned: every later call fails until it is opened again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process holds it.
    #[error("the store is held by another process; stop that reporter first")]
    Held,
    /// Locks and shared memory do not hold there.
    #[error("the store lies on a network file system ({0}); move it to a local disk")]
    NetworkFileSystem(&'static str),
    /// Some other file.
    #[error("the file is not a ledger; give the path of one, or of a file that does not exist")]
    NotALedger,
    /// Written by a later version.
    #[error("the store has format {0}, newer than this program knows; use a newer docket")]
    Newer(i64),
    /// Written under another name.
    #[error("the store was written as origin {0}; give that origin, or a new store")]
    OtherOrigin(String),
    /// The signing key is not the one that the store began with.
    #[error(
        "the signing key is not the one of this store; give the old key: a lost one can't be \
         replaced and needs a new store with a new origin"
    )]
    OtherKey,
    /// The origin or the key can't be used.
    #[error("the origin or the signing key can't be used")]
    Key(#[source] NoteError),
    /// Head and rows do not agree.
    #[error("the store is damaged: {0}; run docket verify")]
    Damaged(String),
    /// Tables or indices are not those of this version.
    #[error("the store's tables are not as expected: {0}; run docket verify, then docket reindex")]
    Schema(String),
    /// No space left; nothing of the batch is stored, and the store goes on working.
    #[error("no space is left for the store; free some, then try again")]
    Full,
    /// It took longer than [`Reader::within`](crate::query::Reader::within) allows.
    #[error("the question took too long; ask for less")]
    TooLong,
    /// A public part without the entry's id.
    #[error("the public part of entry {0} of the batch is not a JSON object with its id")]
    Entry(usize),
    /// Another process wrote, past the lock.
    #[error("the head of the store was moved by another process; open it again")]
    Fenced,
    /// A commit failed before, and what is on disk is not known.
    #[error("an earlier commit failed; open the store again")]
    Poisoned,
    /// A file operation beside SQLite failed.
    #[error("{} could not be used", .0.display())]
    Io(PathBuf, #[source] std::io::Error),
    /// SQLite said no.
    #[error("the store could not be read or written")]
    Sqlite(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        let Some(code) = error.sqlite_error() else {
            return StoreError::Sqlite(error);
        };
        match (code.code, code.extended_code) {
            // The second is how a full disk shows when the WAL index has to grow.
            (ErrorCode::DiskFull, _) | (_, rusqlite::ffi::SQLITE_IOERR_SHMSIZE) => StoreError::Full,
            (ErrorCode::NotADatabase, _) => StoreError::NotALedger,
            (ErrorCode::OperationInterrupted, _) => StoreError::TooLong,
            _ => StoreError::Sqlite(error),
        }
    }
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
        query::scan(&self.connection, from, limit)
    }

    /// Position of the entry that the newest amendment of kind `others-through` reaches;
    /// `None` before there is one.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn others_reached(&self) -> Result<Option<u64>, StoreError> {
        query::reached(&self.connection)
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

/// Positions stay far below 2^63: a store of that size would not fit any disk.
pub(crate) fn to_i64(number: u64) -> i64 {
    number.cast_signed()
}
