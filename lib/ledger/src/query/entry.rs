//! Entries: by id, by position, by what they amend.

use super::{Reader, Scope};
use crate::entry::Class;
use crate::store::StoreError;
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};

/// One entry as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Place in the tree.
    pub position: u64,
    /// Entry id.
    pub id: String,
    /// Class.
    pub class: Class,
    /// Stage time, microseconds.
    pub time: i64,
    /// When the ledger took it, microseconds.
    pub recorded_at: i64,
    /// Namespace; empty for what belongs to none.
    pub namespace: String,
    /// Repository that it names.
    pub repository: Option<String>,
    /// Org that it names.
    pub org: Option<String>,
    /// User name of who acted, if that was not erased.
    pub actor: Option<String>,
    /// Brought by an import, and not by the API server itself.
    pub imported: bool,
    /// Public part, as stored.
    pub public: Vec<u8>,
    /// Personal part, as stored; `None` when there is none (or it was erased).
    pub personal: Option<Vec<u8>>,
    /// How many denials of the same series, and its first and last time.
    pub series: Option<(u64, i64, i64)>,
    /// For gaps: position of the amendment that closed it.
    pub closed_by: Option<u64>,
}

/// Columns that a [`Row`] is made of.
pub(super) const ROW: &str = "SELECT r.position, r.id, r.class, r.time, r.recorded_at, \
                              e.public, e.personal, s.count, s.first_time, s.last_time, \
                              g.closed_by, r.namespace, r.repository, \
                              r.org, r.actor, r.imported \
                              FROM record r JOIN entry e ON e.position = r.position \
                              LEFT JOIN series s ON s.id = r.series \
                              LEFT JOIN gap g ON g.position = r.position";

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

/// Entries by position, from `from` on, at most `limit`, all classes.
pub(crate) fn scan(connection: &Connection, from: u64, limit: u32) -> Result<Vec<Row>, StoreError> {
    let sql = format!("{ROW} WHERE r.position >= ?1 ORDER BY r.position LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let from = i64::try_from(from).unwrap_or(i64::MAX);
    Ok(statement
        .query_map(params![from, limit], row)?
        .collect::<Result<_, _>>()?)
}

/// Position of the entry that the newest amendment of kind `others-through` reaches.
pub(crate) fn reached(connection: &Connection) -> Result<Option<u64>, StoreError> {
    let sql = "SELECT d.position FROM amendment m CROSS JOIN record d ON d.id = m.amends \
               WHERE m.kind = 'others-through' ORDER BY m.position DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let reached: Option<i64> = statement.query_row((), |row| row.get(0)).optional()?;
    Ok(reached.map(i64::cast_unsigned))
}

pub(super) fn row(row: &SqlRow<'_>) -> rusqlite::Result<Row> {
    let position: i64 = row.get(0)?;
    let number: u8 = row.get(2)?;
    let series: Option<i64> = row.get(7)?;
    let closed_by: Option<i64> = row.get(10)?;
    let series = match series {
        Some(count) => Some((count.cast_unsigned(), row.get(8)?, row.get(9)?)),
        None => None,
    };
    Ok(Row {
        position: position.cast_unsigned(),
        id: row.get(1)?,
        class: Class::from_number(number).ok_or(rusqlite::Error::IntegralValueOutOfRange(
            2,
            i64::from(number),
        ))?,
        time: row.get(3)?,
        recorded_at: row.get(4)?,
        namespace: row.get(11)?,
        repository: row.get(12)?,
        org: row.get(13)?,
        actor: row.get(14)?,
        imported: row.get(15)?,
        public: row.get(5)?,
        personal: row.get(6)?,
        series,
        closed_by: closed_by.map(i64::cast_unsigned),
    })
}
