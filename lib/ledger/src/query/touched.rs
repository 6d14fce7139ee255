//! What was touched: which records an entry is, amends, or answers.

use super::Reader;
use crate::entry::Class;
use crate::error::StoreError;

/// An entry, and the record that reads differently since then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// Position of the entry.
    pub at: u64,
    /// Position of the denial or pass; the same where the entry is that record.
    pub record: u64,
    /// The record's namespace; empty for none.
    pub namespace: String,
    /// The record's actor, if it is known.
    pub actor: Option<String>,
}

impl Reader {
    /// What the entries from position `from` on and before `until` touch, in their order:
    /// new denials and passes, and those that an amendment or an outcome names.
    ///
    /// An `others-through` amendment speaks of every record before it; only the one that
    /// it names is told.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn touched(&self, from: u64, until: u64) -> Result<Vec<Touch>, StoreError> {
        let (denial, pass) = (Class::Denial as u8, Class::Pass as u8);
        let sql = format!(
            "SELECT d.position, d.position, d.namespace, d.actor FROM record d \
             WHERE d.position >= ?1 AND d.position < ?2 AND d.class IN ({denial}, {pass}) \
             UNION ALL \
             SELECT m.position, d.position, d.namespace, d.actor \
             FROM amendment m CROSS JOIN record d ON d.id = m.amends \
             WHERE m.position >= ?1 AND m.position < ?2 AND d.class IN ({denial}, {pass}) \
             UNION ALL \
             SELECT o.position, d.position, d.namespace, d.actor \
             FROM outcome o CROSS JOIN record d ON d.id = o.denial \
             WHERE o.position >= ?1 AND o.position < ?2 \
             ORDER BY 1, 2"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let bound = |position: u64| i64::try_from(position).unwrap_or(i64::MAX);
        let touches = statement.query_map([bound(from), bound(until)], |row| {
            let (at, record): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok(Touch {
                at: at.cast_unsigned(),
                record: record.cast_unsigned(),
                namespace: row.get(2)?,
                actor: row.get(3)?,
            })
        })?;
        Ok(touches.collect::<Result<_, _>>()?)
    }
}
