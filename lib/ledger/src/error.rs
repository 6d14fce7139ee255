//! Why the ledger could not do it.

use crate::note::NoteError;
use rusqlite::ErrorCode;
use std::path::PathBuf;

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
