//! Working state, kept in the same transaction as the entries.

use super::{Store, StoreError};
use rusqlite::{Connection, OptionalExtension, params};

impl Store {
    /// One state value.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn state(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT value FROM state WHERE key = ?1")?;
        Ok(statement.query_row([key], |row| row.get(0)).optional()?)
    }

    /// All state values whose key starts with `prefix`, by key.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn states(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let sql = "SELECT key, value FROM state WHERE key >= ?1 ORDER BY key";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([prefix])?;
        let mut states = Vec::new();
        while let Some(row) = rows.next()? {
            let key: String = row.get(0)?;
            if !key.starts_with(prefix) {
                break;
            }
            states.push((key, row.get(1)?));
        }
        Ok(states)
    }
}

pub(super) fn set_state(
    connection: &Connection,
    key: &str,
    value: Option<&[u8]>,
) -> rusqlite::Result<()> {
    match value {
        Some(value) => {
            let sql = "INSERT INTO state VALUES (?1, ?2) \
                       ON CONFLICT (key) DO UPDATE SET value = excluded.value";
            connection
                .prepare_cached(sql)?
                .execute(params![key, value])?;
        }
        None => {
            connection
                .prepare_cached("DELETE FROM state WHERE key = ?1")?
                .execute([key])?;
        }
    }
    Ok(())
}
