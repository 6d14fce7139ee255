//! Entries: by id, by position, by what they amend.

use super::{Reader, Scope};
use crate::entry::Class;
use crate::error::StoreError;
use crate::row::{ROW, Row, row, scan};
use rusqlite::OptionalExtension;

impl Reader {
    /// One entry. Out of scope is as if not there.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn get(&self, id: &str, scope: &Scope) -> Result<Option<Row>, StoreError> {
        let sql = format!("{ROW} WHERE r.id = ?1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let found = statement.query_row([id], row).optional()?;
        let mut found = found.filter(|row| scope.covers(row));
        self.recount(scope, found.as_mut_slice())?;
        Ok(found)
    }

    /// Entries of these classes whose id begins so, at most `limit`.
    /// Those out of scope do not count.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn begins(
        &self,
        id: &str,
        classes: &[Class],
        scope: &Scope,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let classes: Vec<String> = classes.iter().map(|one| (*one as u8).to_string()).collect();
        let classes = classes.join(", ");
        let sql = format!(
            "{ROW} WHERE r.id >= ?1 AND r.id < ?2 AND r.class IN ({classes}) ORDER BY r.id"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut found = statement.query([id, &format!("{id}{}", char::MAX)])?;
        let mut rows = Vec::new();
        while rows.len() < limit
            && let Some(found) = found.next()?
        {
            let row = row(found)?;
            if scope.covers(&row) {
                rows.push(row);
            }
        }
        self.recount(scope, &mut rows)?;
        Ok(rows)
    }

    /// The entry at a position.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn at(&self, position: u64) -> Result<Option<Row>, StoreError> {
        let sql = format!("{ROW} WHERE r.position = ?1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        Ok(statement.query_row([position], row).optional()?)
    }

    /// Entries by position, from `from` on, at most `limit`, all classes.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn scan(&self, from: u64, limit: u32) -> Result<Vec<Row>, StoreError> {
        scan(&self.connection, from, limit)
    }

    /// The amendment of kind `others-through` that speaks of the entry at `position`: the
    /// first one written after it that reaches as far. `None` while there is none.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn others_through(&self, position: u64) -> Result<Option<Row>, StoreError> {
        let sql = format!(
            "{ROW} WHERE r.position = (SELECT m.position \
             FROM amendment m CROSS JOIN record d ON d.id = m.amends \
             WHERE m.kind = 'others-through' AND m.position > ?1 AND d.position >= ?1 \
             ORDER BY m.position LIMIT 1)"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        Ok(statement.query_row([position], row).optional()?)
    }

    /// Amendments of one entry, oldest first.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn amendments(&self, id: &str) -> Result<Vec<Row>, StoreError> {
        let sql = format!(
            "{ROW} JOIN amendment m ON m.position = r.position WHERE m.amends = ?1 \
             ORDER BY r.position"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_map([id], row)?.collect::<Result<_, _>>()?)
    }
}
