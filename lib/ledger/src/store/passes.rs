//! What the writer must know of passes that are already there.

use super::{Store, StoreError};
use crate::entry::Class;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

impl Store {
    /// Id of the newest pass of one object with this verdict, not after `until`.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn last_pass(
        &self,
        verdict: &str,
        (namespace, kind, name): (&str, &str, &str),
        until: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let pass = Class::Pass as u8;
        let sql = format!(
            "SELECT id FROM record WHERE name = ?1 AND time <= ?2 AND namespace = ?3 \
             AND kind = ?4 AND verdict = ?5 AND class = {pass} ORDER BY time DESC LIMIT 1"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let until = until.as_microsecond();
        let found = statement.query_row(params![name, until, namespace, kind, verdict], |row| {
            row.get(0)
        });
        Ok(found.optional()?)
    }
}
