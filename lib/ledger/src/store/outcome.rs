//! What the writer reads back, to know which denials still have no outcome.

use super::{Store, StoreError};
use crate::entry::Class;
use crate::row::{outcome_of_r, to_i64};
use rusqlite::{Connection, OptionalExtension};

/// The outcome of a denial: by which write, and how sure it is the same thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Answer {
    /// Only another object of the same series, not the object itself.
    pub series: bool,
    /// Stage time of the write, microseconds.
    pub time: i64,
    /// Id of the write's audit event.
    pub written_by: String,
}

/// One denial, as it stands in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Its public part.
    pub public: Vec<u8>,
    /// Its personal part, if it is there.
    pub personal: Option<Vec<u8>>,
    /// Its outcome, if it has one.
    pub answer: Option<Answer>,
}

impl Store {
    /// The outcome that counts of a denial.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn answer(&self, denial: &str) -> Result<Option<Answer>, StoreError> {
        Ok(answer(&self.connection, denial)?)
    }

    /// Is there an outcome by this write that counts denials it does not name?
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn counts_others(&self, written_by: &str) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM outcome WHERE denial IS NULL AND written_by = ?1)";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row([written_by], |row| row.get(0))?)
    }

    /// The exhibit of an entry, if both are there.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn exhibit(&self, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT e.exhibit FROM record r JOIN entry e ON e.position = r.position \
                   WHERE r.id = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement.query_row([id], |row| row.get::<_, Option<Vec<u8>>>(0));
        Ok(found.optional()?.flatten())
    }

    /// The newest `most` denials, oldest first; dry runs are not among them.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn newest_denials(
        &self,
        most: u64,
        mut each: impl FnMut(Denied),
    ) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT id, public, personal FROM (SELECT r.position, r.id, e.public, e.personal \
             FROM record r JOIN entry e ON e.position = r.position \
             WHERE r.class = {} AND r.dry_run IS NOT 1 ORDER BY r.position DESC LIMIT ?1) \
             ORDER BY position",
            Class::Denial as u8
        );
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query([to_i64(most)])?;
        while let Some(row) = rows.next()? {
            each(Denied {
                answer: answer(
                    &self.connection,
                    row.get_ref(0)?.as_str().unwrap_or_default(),
                )?,
                public: row.get(1)?,
                personal: row.get(2)?,
            });
        }
        Ok(())
    }
}

fn answer(connection: &Connection, denial: &str) -> rusqlite::Result<Option<Answer>> {
    let sql = format!(
        "SELECT o.series, o.time, o.written_by FROM record r JOIN outcome o \
         ON o.position = {} WHERE r.id = ?1 LIMIT 1",
        outcome_of_r()
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_row([denial], |row| {
        Ok(Answer {
            series: row.get(0)?,
            time: row.get(1)?,
            written_by: row.get(2)?,
        })
    });
    found.optional()
}
