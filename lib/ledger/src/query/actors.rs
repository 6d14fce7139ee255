//! How many there are behind the denials of a policy.

use super::listing::Selection;
use super::{Filter, Reader};
use crate::error::StoreError;
use rusqlite::params_from_iter;
use rusqlite::types::Value;
use std::collections::BTreeMap;

impl Reader {
    /// Actors of the denials within the filter, by namespace and policy. Policy, rule and
    /// enforcer are those of the first attribution, as in [`Reader::series`].
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn actors(&self, filter: &Filter) -> Result<BTreeMap<(String, String), u64>, StoreError> {
        let by_series = filter.of_records();
        self.snapshot(|_| {
            let mut actors = BTreeMap::new();
            for piece in filter.scope.pieces(filter.namespace.as_deref()) {
                let records = Selection::new(&by_series, piece);
                let mut binds = records.binds;
                let mut sql = format!(
                    "SELECT s.namespace, s.policy, count(DISTINCT n.actor) FROM \
                     (SELECT r.series, r.actor {} GROUP BY r.series, r.actor) n \
                     JOIN series s ON s.id = n.series WHERE true",
                    records.sql
                );
                for (column, value) in [
                    ("policy", &filter.policy),
                    ("rule", &filter.rule),
                    ("enforcer", &filter.enforcer),
                ] {
                    if let Some(value) = value {
                        binds.push(Value::from(value.clone()));
                        sql += &format!(" AND s.{column} = ?{}", binds.len());
                    }
                }
                sql += " GROUP BY s.namespace, s.policy";
                let mut statement = self.connection.prepare_cached(&sql)?;
                let mut rows = statement.query(params_from_iter(&binds))?;
                while let Some(row) = rows.next()? {
                    let count: i64 = row.get(2)?;
                    let place = (row.get(0)?, row.get(1)?);
                    *actors.entry(place).or_default() += count.cast_unsigned();
                }
            }
            Ok(actors)
        })
    }
}
