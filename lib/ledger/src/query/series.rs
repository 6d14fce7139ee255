//! Series: denials counted by who denied what.

use super::listing::Selection;
use super::scope::Piece;
use super::{Filter, Orgs, Reader};
use crate::entry::Class;
use crate::error::StoreError;
use rusqlite::Row as SqlRow;
use rusqlite::params;
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
            for piece in filter.scope.pieces(filter.namespace.as_deref()) {
                let whole = self.counted_whole(piece)?;
                let (sql, binds) = series_sql(filter, piece, whole, limit);
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

    /// Do the series of this piece's namespace count nothing beyond the piece? A series is
    /// of one namespace and one repository; time, orgs and actors it does not know.
    fn counted_whole(&self, piece: Piece<'_>) -> Result<bool, StoreError> {
        let Some(plot) = piece.plot else {
            return Ok(piece.actor.is_none());
        };
        match (&plot.orgs, plot.since, piece.namespace) {
            (Orgs::Any, Some(since), Some(namespace)) => Ok(!self.holds_before(namespace, since)?),
            (Orgs::Any, None, _) => Ok(true),
            _ => Ok(false),
        }
    }

    /// Is there a record of this namespace from before this time (microseconds)?
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn holds_before(&self, namespace: &str, time: i64) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM record WHERE namespace = ?1 AND time < ?2)";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row(params![namespace, time], |row| row.get(0))?)
    }
}

/// Series from their table where its columns say all that is asked and count nothing out
/// of scope, else counted from the records.
fn series_sql(filter: &Filter, piece: Piece<'_>, whole: bool, limit: u32) -> (String, Vec<Value>) {
    let by_series = filter.of_records();
    let table = whole
        && filter.since.is_none()
        && filter.until.is_none()
        && filter.dry_run.is_none()
        && filter.text.is_none()
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
        let records = Selection::new(&by_series, piece);
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
        equal("namespace", piece.namespace);
        let own = piece.plot.and_then(|plot| plot.repository.as_deref());
        equal("repository", own);
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
