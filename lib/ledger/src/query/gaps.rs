//! Gaps: where the record may be incomplete.

use super::{Reader, Row};
use crate::error::StoreError;
use crate::row::{ROW, row};
use std::collections::BTreeMap;

/// A span in which the record may be incomplete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GapRow {
    /// The entry of class gap.
    pub row: Row,
    /// Start, microseconds; `None` if not known.
    pub from: Option<i64>,
    /// End, microseconds; `None` if not known.
    pub to: Option<i64>,
    /// Name of the source, or `witness`.
    pub source: String,
    /// Why.
    pub cause: String,
}

impl Reader {
    /// How many gaps nothing has closed, by cause.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn open_gaps(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let sql = "SELECT cause, count(*) FROM gap WHERE closed_by IS NULL GROUP BY cause";
        let mut statement = self.connection.prepare_cached(sql)?;
        let causes = statement.query_map((), |row| {
            let count: i64 = row.get(1)?;
            Ok((row.get(0)?, count.cast_unsigned()))
        })?;
        Ok(causes.collect::<Result<_, _>>()?)
    }

    /// All gaps, newest first; `open` takes only those that nothing has closed.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn gaps(&self, open: bool) -> Result<Vec<GapRow>, StoreError> {
        let sql = format!(
            "{} WHERE g.position IS NOT NULL{} ORDER BY r.time DESC, r.position DESC",
            ROW.replacen(
                "r.imported",
                "r.imported, g.from_time, g.to_time, g.source, g.cause",
                1
            ),
            if open { " AND g.closed_by IS NULL" } else { "" }
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let gaps = statement.query_map((), |found| {
            let (from, to) = (found.get("from_time")?, found.get("to_time")?);
            let (source, cause) = (found.get("source")?, found.get("cause")?);
            Ok(GapRow {
                row: row(found)?,
                from,
                to,
                source,
                cause,
            })
        })?;
        Ok(gaps.collect::<Result<_, _>>()?)
    }
}
