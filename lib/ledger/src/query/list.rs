//! Lists: what a filter takes, page by page.

use super::listing::Selection;
use super::{Reader, Row, Scope};
use crate::entry::Class;
use crate::error::StoreError;
use crate::row::{ROW, row};
use crate::words::Words;

/// What to list. Empty fields do not filter. All given must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Which classes; empty: denials only.
    pub classes: Vec<Class>,
    /// What the reader may see; nothing beyond it is listed, counted or told.
    pub scope: Scope,
    /// Namespace.
    pub namespace: Option<String>,
    /// Stage time, microseconds since the epoch, inclusive.
    pub since: Option<i64>,
    /// Exclusive.
    pub until: Option<i64>,
    /// Any attribution's policy. Where rule and enforcer are given too, one attribution
    /// must have them all.
    pub policy: Option<String>,
    /// Any attribution's rule.
    pub rule: Option<String>,
    /// Any attribution's enforcer.
    pub enforcer: Option<String>,
    /// Kind, as in the public part.
    pub kind: Option<String>,
    /// Object name.
    pub name: Option<String>,
    /// Krate context.
    pub repository: Option<String>,
    /// Krate context.
    pub surface: Option<String>,
    /// Actor's user name.
    pub actor: Option<String>,
    /// denied, unavailable, unknown, failedOpen.
    pub verdict: Option<String>,
    /// CREATE, UPDATE, DELETE, CONNECT.
    pub operation: Option<String>,
    /// Dry runs only, or none.
    pub dry_run: Option<bool>,
    /// Full text.
    pub text: Option<Words>,
    /// Only those of these positions; `None` does not filter.
    pub positions: Option<Vec<u64>>,
}

impl Filter {
    /// Of denials, without what a series says by itself: policy, rule and enforcer.
    pub(super) fn of_records(&self) -> Filter {
        Filter {
            classes: Vec::new(),
            policy: None,
            rule: None,
            enforcer: None,
            ..self.clone()
        }
    }
}

/// Where a page starts. Newest first, by (time, position).
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// At most this many rows.
    pub limit: u32,
    /// Skip this many.
    pub offset: u64,
    /// Continue after this (time, position).
    pub after: Option<(i64, u64)>,
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// As many as were counted.
    pub count: u64,
    /// Counting ended before the last one.
    pub capped: bool,
}

impl Reader {
    /// One page.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn list(&self, filter: &Filter, page: &Page) -> Result<Vec<Row>, StoreError> {
        self.snapshot(|_| {
            let limit = u64::from(page.limit);
            let reach = limit.saturating_add(page.offset).min(i64::MAX as u64);
            let mut keys = Vec::new();
            for selection in selections(filter) {
                keys.extend(selection.keys(&self.connection, page.after, reach)?);
            }
            // One piece comes in order; of several the newest are among the newest of each.
            keys.sort_unstable_by(|a, b| b.cmp(a));
            let offset = usize::try_from(page.offset).unwrap_or(usize::MAX);
            let keys = keys.into_iter().skip(offset).take(page.limit as usize);
            let sql = format!("{ROW} WHERE r.position = ?1");
            let mut statement = self.connection.prepare_cached(&sql)?;
            let rows = keys.map(|(_, position)| statement.query_row([position], row));
            let mut rows: Vec<Row> = rows.collect::<Result<_, _>>()?;
            self.recount(&filter.scope, &mut rows)?;
            Ok(rows)
        })
    }

    /// How many match.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn count(&self, filter: &Filter) -> Result<u64, StoreError> {
        Ok(self.count_to(filter, u64::MAX)?.count)
    }

    /// How many match; counting ends at `most`, or when [`Reader::within`] says so.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn count_to(&self, filter: &Filter, most: u64) -> Result<Total, StoreError> {
        self.snapshot(|_| {
            let mut total = Total::default();
            for selection in selections(filter) {
                let more = selection.count(&self.connection, most - total.count)?;
                total.count += more.count;
                total.capped |= more.capped;
                if total.capped {
                    break;
                }
            }
            Ok(total)
        })
    }

    /// Names of namespaces with entries, at most `limit`, in order.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn namespaces(&self, limit: u32) -> Result<Vec<String>, StoreError> {
        // One seek in the index for each name, however many entries it has.
        let sql = "WITH RECURSIVE n(name) AS (\
                   SELECT min(namespace) FROM record WHERE namespace > '' UNION ALL \
                   SELECT (SELECT min(namespace) FROM record WHERE namespace > n.name) \
                   FROM n WHERE n.name IS NOT NULL) \
                   SELECT name FROM n WHERE name IS NOT NULL LIMIT ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement
            .query_map([limit], |row| row.get(0))?
            .collect::<Result<_, _>>()?)
    }
}

/// One selection for each piece of the scope, so that each is read from the end of its
/// own index.
pub(super) fn selections(filter: &Filter) -> Vec<Selection> {
    let pieces = filter.scope.pieces(filter.namespace.as_deref());
    pieces
        .into_iter()
        .map(|piece| Selection::new(filter, piece))
        .collect()
}
