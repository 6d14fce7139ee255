//! Laws: the versions of policies, by place and by time.

use super::list::Page;
use super::{Reader, Row, Scope};
use crate::error::StoreError;
use crate::row::{ROW, row};
use rusqlite::params_from_iter;
use rusqlite::types::Value;

/// Which laws. Empty fields do not filter. All given must hold.
#[derive(Clone, Debug, Default)]
pub struct LawFilter {
    /// What the reader may see: laws of namespaces that are within it whole, in their time;
    /// those of the cluster only for who sees everything.
    pub scope: Scope,
    /// Name of the object.
    pub name: Option<String>,
    /// Kind.
    pub kind: Option<String>,
    /// Namespace of the object.
    pub namespace: Option<String>,
}

impl Reader {
    /// One page, newest first, and how many match in all.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn laws(&self, filter: &LawFilter, page: &Page) -> Result<(Vec<Row>, u64), StoreError> {
        self.snapshot(|_| {
            let (condition, mut values) = condition(filter);
            let sql = format!("SELECT count(*) FROM law l WHERE {condition}");
            let mut statement = self.connection.prepare_cached(&sql)?;
            let total: i64 = statement.query_row(params_from_iter(&values), |row| row.get(0))?;
            let (time, position) = page.after.unwrap_or((i64::MAX, i64::MAX as u64));
            values.extend([
                time.into(),
                position.cast_signed().into(),
                i64::from(page.limit).into(),
                i64::try_from(page.offset).unwrap_or(i64::MAX).into(),
            ]);
            let sql = format!(
                "{ROW} JOIN law l ON l.position = r.position \
                 WHERE {condition} AND (l.time, l.position) < (?, ?) \
                 ORDER BY l.time DESC, l.position DESC LIMIT ? OFFSET ?"
            );
            let mut statement = self.connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params_from_iter(&values), row)?;
            Ok((rows.collect::<Result<_, _>>()?, total.cast_unsigned()))
        })
    }

    /// All versions observed from `from` on and before `until` (microseconds), with the
    /// last of each object before them and the first after them; oldest first.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn laws_in_force(&self, from: i64, until: i64) -> Result<Vec<Row>, StoreError> {
        // Positions, and not times, say which of two is the newer: a clock may step.
        let sql = format!(
            "{ROW} WHERE r.position IN (\
             SELECT position FROM law WHERE time >= ?1 AND time < ?2 UNION \
             SELECT max(position) FROM law WHERE time < ?1 \
             GROUP BY api_group, kind, namespace, name UNION \
             SELECT min(position) FROM law WHERE time >= ?2 \
             GROUP BY api_group, kind, namespace, name) ORDER BY r.position"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement
            .query_map([from, until], row)?
            .collect::<Result<_, _>>()?)
    }
}

fn condition(filter: &LawFilter) -> (String, Vec<Value>) {
    let mut parts = vec!["1".to_owned()];
    let mut values: Vec<Value> = Vec::new();
    if let Some(namespaces) = filter.scope.whole_since() {
        let mut whole = Vec::new();
        for (namespace, since) in namespaces {
            whole.push("l.namespace = ? AND l.time >= ?");
            values.extend([
                namespace.to_owned().into(),
                since.unwrap_or(i64::MIN).into(),
            ]);
        }
        if whole.is_empty() {
            whole.push("0");
        }
        parts.push(format!("({})", whole.join(" OR ")));
    }
    for (column, wanted) in [
        ("name", &filter.name),
        ("kind", &filter.kind),
        ("namespace", &filter.namespace),
    ] {
        if let Some(wanted) = wanted {
            parts.push(format!("l.{column} = ?"));
            values.push(wanted.clone().into());
        }
    }
    (parts.join(" AND "), values)
}
