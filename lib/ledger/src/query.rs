//! Reading the view. Read-only connections; any number beside the one writer.

mod actors;
mod entry;
mod gaps;
mod inclusion;
mod latest;
mod laws;
mod list;
mod listing;
mod outcomes;
mod policies;
mod proof;
mod recount;
mod scope;
mod search;
mod series;
mod touched;

use crate::error::StoreError;
use crate::schema::{FileKind, file_kind};
use crate::state::for_each_state;
use rusqlite::{Connection, OpenFlags};
use search::Clock;
use std::path::Path;
use std::time::Duration;

pub use crate::row::Row;
pub use gaps::GapRow;
pub use inclusion::Inclusion;
pub use latest::{Latest, Latests};
pub use laws::LawFilter;
pub use list::{Filter, Page, Total};
pub use outcomes::{Case, Cases};
pub use policies::PolicyRow;
pub use proof::SaltedPart;
pub use scope::{Orgs, Plot, Scope};
pub use series::SeriesRow;
pub use touched::Touch;

pub use crate::words::Words;

/// A read-only connection. Each call sees one state of the ledger; several calls see the
/// same state inside [`Reader::snapshot`].
pub struct Reader {
    connection: Connection,
    clock: Clock,
}

impl Reader {
    /// Open for reading.
    ///
    /// # Errors
    /// If it is not a ledger.
    pub fn open(path: &Path) -> Result<Reader, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cache_size = -16384")?;
        match file_kind(&connection)? {
            FileKind::Ours => {}
            FileKind::Empty => return Err(StoreError::NotALedger),
        }
        Reader::over(connection)
    }

    /// Over tables that are there.
    pub(crate) fn over(mut connection: Connection) -> Result<Reader, StoreError> {
        connection.set_prepared_statement_cache_capacity(128);
        connection.execute_batch("PRAGMA query_only = ON; PRAGMA temp_store = MEMORY")?;
        search::add_functions(&connection)?;
        let clock = Clock::default();
        clock.watch(&mut connection)?;
        Ok(Reader { connection, clock })
    }

    /// Run several reads on one state of the ledger.
    ///
    /// # Errors
    /// What `reads` returns, or if SQLite fails.
    pub fn snapshot<T, E: From<StoreError>>(
        &self,
        reads: impl FnOnce(&Reader) -> Result<T, E>,
    ) -> Result<T, E> {
        if !self.connection.is_autocommit() {
            return reads(self);
        }
        // Ends when dropped. Nothing is ever written here, so how it ends is all one.
        let _transaction = self
            .connection
            .unchecked_transaction()
            .map_err(|error| E::from(error.into()))?;
        reads(self)
    }

    /// All state values, by key.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn states(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let mut states = Vec::new();
        for_each_state(&self.connection, |key, value| {
            states.push((key.into(), value.into()))
        })?;
        Ok(states)
    }
}
