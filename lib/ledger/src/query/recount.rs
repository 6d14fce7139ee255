//! Series as one reader may count them: what a row says of its series must not tell of
//! denials that are out of scope.

use super::listing::Selection;
use super::scope::Piece;
use super::{Filter, Reader, Row, Scope};
use crate::error::StoreError;
use rusqlite::types::Value;
use std::collections::BTreeMap;

/// Denials looked at for the series of one page, the newest of each piece of the scope.
const LOOK: u32 = 10_000;

/// Count, first and last time, of a series by its id.
type Counts = BTreeMap<i64, (u64, i64, i64)>;

impl Reader {
    /// Sets `series` of rows that are within the scope to what of their series is within it
    /// too: among its newest 10,000 denials, where that has to be counted at all.
    ///
    pub(super) fn recount(&self, scope: &Scope, rows: &mut [Row]) -> Result<(), StoreError> {
        if scope.is_all() {
            return Ok(());
        }
        self.snapshot(|_| {
            let mut astray: BTreeMap<&str, Vec<(usize, i64)>> = BTreeMap::new();
            for (at, row) in rows.iter().enumerate() {
                if scope.counts_whole(row) {
                    continue;
                }
                let sql = "SELECT series FROM record WHERE position = ?1";
                let mut statement = self.connection.prepare_cached(sql)?;
                let position = row.position.cast_signed();
                let series: Option<i64> = statement.query_row([position], |row| row.get(0))?;
                if let Some(series) = series {
                    astray.entry(&row.namespace).or_default().push((at, series));
                }
            }
            let mut counted = Vec::new();
            for (namespace, wanted) in astray {
                let mut counts = Counts::new();
                for piece in scope.pieces(Some(namespace)) {
                    self.count_series(piece, &wanted, &mut counts)?;
                }
                let count = |(at, series)| (at, counts.get(&series).copied());
                counted.extend(wanted.into_iter().map(count));
            }
            for (at, count) in counted {
                let row = &mut rows[at];
                let (count, first, last) = count.unwrap_or((1, row.time, row.time));
                row.series = Some((count, first.min(row.time), last.max(row.time)));
            }
            Ok(())
        })
    }

    fn count_series(
        &self,
        piece: Piece<'_>,
        wanted: &[(usize, i64)],
        counts: &mut Counts,
    ) -> Result<(), StoreError> {
        let selection = Selection::new(&Filter::default(), piece);
        let mut binds = selection.binds;
        let mut places = Vec::new();
        for (_, series) in wanted {
            binds.push(Value::from(*series));
            places.push(format!("?{}", binds.len()));
        }
        let sql = format!(
            "SELECT series, count(*), min(time), max(time) FROM (SELECT r.series AS series, \
             r.time AS time {} ORDER BY r.time DESC LIMIT {LOOK}) WHERE series IN ({}) \
             GROUP BY series",
            selection.sql,
            places.join(", ")
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let found = statement.query_map(rusqlite::params_from_iter(&binds), |row| {
            let count: i64 = row.get(1)?;
            Ok((
                row.get(0)?,
                (count.cast_unsigned(), row.get(2)?, row.get(3)?),
            ))
        })?;
        for one in found {
            let (series, count) = one?;
            counts.insert(series, count);
        }
        Ok(())
    }
}
