//! What happened next: the outcome of one denial, and of all of a policy.

use super::{Reader, Row};
use crate::entry::Class;
use crate::error::StoreError;
use crate::row::{outcome_of_r, to_i64};
use rusqlite::{OptionalExtension, params};
use std::collections::{BTreeMap, BTreeSet};

/// One denial and the outcome that counts for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Stage time of the denial, microseconds.
    pub time: i64,
    /// Position of the outcome's entry, if there is one.
    pub outcome: Option<u64>,
}

/// Denials of one namespace with what came of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cases {
    /// The newest denials, newest first.
    pub cases: Vec<Case>,
    /// Their outcomes, by position.
    pub outcomes: BTreeMap<u64, Row>,
    /// There are older ones that were not looked at.
    pub more: bool,
}

impl Reader {
    /// The outcome of a denial, if there is one. Of the same namespace, always: whoever
    /// may read the denial may read it.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn outcome(&self, denial: &str) -> Result<Option<Row>, StoreError> {
        let sql = format!("SELECT {} FROM record r WHERE r.id = ?1", outcome_of_r());
        let mut statement = self.connection.prepare_cached(&sql)?;
        let found = statement.query_row([denial], |row| row.get::<_, Option<i64>>(0));
        match found.optional()?.flatten() {
            Some(position) => self.at(position.cast_unsigned()),
            None => Ok(None),
        }
    }

    /// Denials of one namespace (denied or unavailable, no dry runs) with their outcomes:
    /// of one policy or of all, at or after `since`, before `until`, the newest `most`.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn cases(
        &self,
        namespace: &str,
        policy: Option<&str>,
        since: Option<i64>,
        until: Option<i64>,
        most: u32,
    ) -> Result<Cases, StoreError> {
        // Each shape reads from the end of an index, as lists do.
        let (from, time) = match policy {
            Some(_) => (
                "attribution a JOIN record r ON r.position = a.position \
                 WHERE a.namespace = ?1 AND a.policy = ?2",
                "a.time",
            ),
            None => ("record r WHERE r.namespace = ?1 AND ?2 IS NULL", "r.time"),
        };
        let sql = format!(
            "SELECT DISTINCT r.position, {time}, {} FROM {from} AND {time} >= ?3 AND {time} < ?4 \
             AND r.class = {} AND r.dry_run IS NOT 1 AND r.verdict IN ('denied', 'unavailable') \
             ORDER BY {time} DESC, r.position DESC LIMIT ?5",
            outcome_of_r(),
            Class::Denial as u8
        );
        self.snapshot(|_| {
            let mut statement = self.connection.prepare_cached(&sql)?;
            let (since, until) = (since.unwrap_or(i64::MIN), until.unwrap_or(i64::MAX));
            let limit = to_i64(u64::from(most) + 1);
            let mut found = statement.query(params![namespace, policy, since, until, limit])?;
            let mut cases = Cases::default();
            let mut wanted = BTreeSet::new();
            while let Some(found) = found.next()? {
                if cases.cases.len() >= most as usize {
                    cases.more = true;
                    break;
                }
                let outcome: Option<i64> = found.get(2)?;
                wanted.extend(outcome);
                cases.cases.push(Case {
                    time: found.get(1)?,
                    outcome: outcome.map(i64::cast_unsigned),
                });
            }
            for position in wanted {
                let row = self.at(position.cast_unsigned())?;
                cases.outcomes.extend(row.map(|row| (row.position, row)));
            }
            Ok(cases)
        })
    }
}
