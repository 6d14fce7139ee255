//! A view of entries that were checked elsewhere: of parts that a server handed out and
//! that fit the leaves of a signed tree. It answers the same questions as a store's view,
//! so that what a server lists can be held against it.

use crate::entry::Leaf;
use crate::error::StoreError;
use crate::fold::fold;
use crate::query::Reader;
use crate::row::to_i64;
use crate::schema;
use crate::view::ViewWriter;
use crate::words::Sieve;
use rusqlite::{Connection, params};

/// Lies in a temporary file without a name, in the directory that SQLite takes for such
/// (`SQLITE_TMPDIR`, `TMPDIR`, `/var/tmp`); gone when it is dropped.
pub struct VerifiedView {
    connection: Connection,
    sieve: Sieve,
}

/// One entry, with those of its parts that are there and fit its leaf.
#[derive(Clone, Debug)]
pub struct VerifiedEntry {
    /// Place in the tree.
    pub position: u64,
    /// What the tree holds of it.
    pub leaf: Leaf,
    /// Public part.
    pub public: Vec<u8>,
    /// Personal part.
    pub personal: Option<Vec<u8>>,
}

impl VerifiedView {
    /// Holds nothing yet.
    ///
    /// # Errors
    /// If there is no place for a temporary file.
    pub fn new() -> Result<VerifiedView, StoreError> {
        // A name without letters is a file that SQLite makes and removes by itself.
        let connection = Connection::open("")?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536",
        )?;
        schema::create_all(&connection)?;
        Ok(VerifiedView {
            connection,
            sieve: Sieve::default(),
        })
    }

    /// Adds entries, in the order of their positions; returns the positions of those whose
    /// id an earlier one has: the ledger never holds one twice.
    ///
    /// # Errors
    /// If there is no room for them.
    pub fn add(&mut self, entries: &[VerifiedEntry]) -> Result<Vec<u64>, StoreError> {
        self.connection.execute_batch("BEGIN")?;
        let mut twice = Vec::new();
        let mut view = ViewWriter::new(&self.connection, std::mem::take(&mut self.sieve));
        for entry in entries {
            let position = to_i64(entry.position);
            let public = Some(&*entry.public);
            let folded = fold(position, &entry.leaf, public, entry.personal.as_deref());
            let known = "SELECT EXISTS (SELECT 1 FROM record WHERE id = ?1)";
            let mut known = self.connection.prepare_cached(known)?;
            if known.query_row([&*folded.record.id], |row| row.get(0))? {
                twice.push(entry.position);
                continue;
            }
            let sql =
                "INSERT INTO entry (position, leaf, public, personal) VALUES (?1, ?2, ?3, ?4)";
            let mut insert = self.connection.prepare_cached(sql)?;
            insert.execute(params![
                position,
                entry.leaf.to_bytes(),
                entry.public,
                entry.personal
            ])?;
            view.add(&folded)?;
        }
        self.sieve = view.finish()?;
        self.connection.execute_batch("COMMIT")?;
        Ok(twice)
    }

    /// To ask it. Nothing can be added any more, and what is about the tree (checkpoint,
    /// tiles, proofs) is not there to be asked for.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn reader(self) -> Result<Reader, StoreError> {
        Reader::over(self.connection)
    }
}
