//! Series: denials counted by who denied what.

use super::list::distinct;
use super::{Filter, Reader};
use crate::entry::Class;
use crate::listing::Selection;
use crate::store::StoreError;
use rusqlite::Row as SqlRow;
use rusqlite::types::Value;

/// Denials counted by one series key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesRow {
    /// Namespace.
    pub namespace: String,
    /// Enforcer.
    pub enforcer: String,
    /// Policy or empty.
    pub policy: String,
    /// Rule or empty.
    pub rule: String,
    /// Kind.
    pub kind: String,
    /// Operation.
    pub operation: String,
    /// Repository or empty.
    pub repository: String,
    /// How many.
    pub count: u64,
    /// First stage time.
    pub first: i64,
    /// Last stage time.
    pub last: i64,
}

/// Columns of a [`SeriesRow`] in the table; counted from the records they are the same.
const SERIES: &str = "SELECT namespace, enforcer, policy, rule, kind, operation, repository, \
                      count, first_time, last_time FROM series";

impl Reader {
    /// Series within the filter, largest first. Policy, rule and enforcer are those of the
    /// first attribution here, because that is what a series is counted by.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn series(&self, filter: &Filter, limit: u32) -> Result<Vec<SeriesRow>, StoreError> {
        if !(filter.classes.is_empty() || filter.classes.contains(&Class::Denial)) {
            return Ok(Vec::new());
        }
        self.snapshot(|_| {
            let mut series = Vec::new();
            let scopes: Vec<Option<&str>> = match &filter.namespaces {
                None => vec![None],
                Some(namespaces) => distinct(namespaces).into_iter().map(Some).collect(),
            };
            for namespace in scopes {
                let (sql, binds) = series_sql(filter, namespace, limit);
                let mut statement = self.connection.prepare_cached(&sql)?;
                let binds = rusqlite::params_from_iter(&binds);
                for row in statement.query_map(binds, series_row)? {
                    series.push(row?);
                }
            }
            series.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| b.last.cmp(&a.last)));
            series.truncate(limit as usize);
            Ok(series)
        })
    }
}

/// Series from their table where its columns say all that the filter asks, else counted
/// from the records.
fn series_sql(filter: &Filter, namespace: Option<&str>, limit: u32) -> (String, Vec<Value>) {
    let by_series = Filter {
        classes: Vec::new(),
        policy: None,
        rule: None,
        enforcer: None,
        ..filter.clone()
    };
    let table = filter.since.is_none()
        && filter.until.is_none()
        && filter.dry_run.is_none()
        && [
            &filter.name,
            &filter.surface,
            &filter.actor,
            &filter.verdict,
        ]
        .iter()
        .all(|f| f.is_none());
    let (mut sql, mut binds) = if table {
        (format!("{SERIES} WHERE true"), Vec::new())
    } else {
        let records = Selection::new(&by_series, namespace);
        let counted = "SELECT s.namespace, s.enforcer, s.policy, s.rule, s.kind, s.operation, \
                       s.repository, n.count, n.first_time, n.last_time FROM (SELECT r.series, \
                       count(*) AS count, min(r.time) AS first_time, max(r.time) AS last_time";
        let sql = format!(
            "{counted} {} GROUP BY r.series) n JOIN series s ON s.id = n.series WHERE true",
            records.sql
        );
        (sql, records.binds)
    };
    let mut equal = |column: &str, value: Option<&str>| {
        if let Some(value) = value {
            binds.push(Value::from(value.to_owned()));
            sql += &format!(" AND {column} = ?{}", binds.len());
        }
    };
    equal("enforcer", filter.enforcer.as_deref());
    equal("policy", filter.policy.as_deref());
    equal("rule", filter.rule.as_deref());
    if table {
        equal("namespace", namespace);
        equal("kind", filter.kind.as_deref());
        equal("operation", filter.operation.as_deref());
        equal("repository", filter.repository.as_deref());
    }
    let order = if table {
        "count DESC, last_time DESC"
    } else {
        "8 DESC, 10 DESC"
    };
    (format!("{sql} ORDER BY {order} LIMIT {limit}"), binds)
}

fn series_row(row: &SqlRow<'_>) -> rusqlite::Result<SeriesRow> {
    let count: i64 = row.get(7)?;
    Ok(SeriesRow {
        namespace: row.get(0)?,
        enforcer: row.get(1)?,
        policy: row.get(2)?,
        rule: row.get(3)?,
        kind: row.get(4)?,
        operation: row.get(5)?,
        repository: row.get(6)?,
        count: count.cast_unsigned(),
        first: row.get(8)?,
        last: row.get(9)?,
    })
}
