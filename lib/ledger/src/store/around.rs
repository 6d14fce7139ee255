//! What the writer must know of records that are already there: those near a time.

use super::{Store, StoreError};
use crate::entry::Class;
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};

/// Records looked at on each side of the time asked about.
const NEAREST: i64 = 2048;

/// A record that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Near {
    /// Its id.
    pub id: String,
    /// Public part, as stored.
    pub public: Vec<u8>,
    /// Personal part, as stored; `None` where it was erased.
    pub personal: Option<Vec<u8>>,
}

impl Store {
    /// When the entry with this id was recorded; `None` if there is none.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn recorded_at(&self, id: &str) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT recorded_at FROM record WHERE id = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let at: Option<i64> = statement.query_row([id], |row| row.get(0)).optional()?;
        Ok(at.and_then(|at| Timestamp::from_microsecond(at).ok()))
    }

    /// Denials and passes of one namespace whose time lies within `span` of `time` and
    /// whose personal part holds one of `words` as it stands. Of very many only the
    /// nearest are looked at.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn near(
        &self,
        namespace: &str,
        time: Timestamp,
        span: jiff::SignedDuration,
        words: &[&[u8]],
    ) -> Result<Vec<Near>, StoreError> {
        let (denial, pass) = (Class::Denial as u8, Class::Pass as u8);
        // Each side from the index, nearest first, so that a flood costs a bounded look.
        let side = |range: &str, order: &str| {
            format!(
                "SELECT * FROM (SELECT position FROM record WHERE namespace = ?1 AND {range} \
                 AND class IN ({denial}, {pass}) ORDER BY time {order} LIMIT {NEAREST})"
            )
        };
        let sql = format!(
            "SELECT r.id, e.public, e.personal FROM ({} UNION ALL {}) n \
             JOIN record r ON r.position = n.position JOIN entry e ON e.position = n.position \
             WHERE instr(e.personal, ?5) > 0",
            side("time BETWEEN ?2 AND ?3", "DESC"),
            side("time > ?3 AND time <= ?4", "ASC"),
        );
        let at = |time: Timestamp| time.as_microsecond();
        let from = at(time.checked_sub(span).unwrap_or(Timestamp::MIN));
        let to = at(time.checked_add(span).unwrap_or(Timestamp::MAX));
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut found: Vec<Near> = Vec::new();
        for word in words {
            let rows =
                statement.query_map(params![namespace, from, at(time), to, word], |row| {
                    Ok(Near {
                        id: row.get(0)?,
                        public: row.get(1)?,
                        personal: row.get(2)?,
                    })
                })?;
            for row in rows {
                let row = row?;
                if found.iter().all(|known| known.id != row.id) {
                    found.push(row);
                }
            }
        }
        Ok(found)
    }
}
