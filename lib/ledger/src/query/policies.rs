//! Denials by the policies that they name: how many, of how many people, and of how many
//! of them nothing came yet.

use super::list::selections;
use super::{Filter, Reader};
use crate::error::StoreError;
use crate::row::outcome_of_r;
use std::collections::{BTreeMap, BTreeSet};

/// What is on record of one policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyRow {
    /// Denials that name it, denied or unavailable; no dry runs.
    pub denials: u64,
    /// How many different user names were denied.
    pub actors: u64,
    /// Denials without an outcome.
    pub unresolved: u64,
    /// Stage time of the newest, microseconds.
    pub last: i64,
}

impl Reader {
    /// By name of the policy, over the newest `look` denials of each piece of the scope
    /// that the filter takes. Second: there are older ones.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn policies(
        &self,
        filter: &Filter,
        look: u32,
    ) -> Result<(BTreeMap<String, PolicyRow>, bool), StoreError> {
        self.snapshot(|_| {
            let mut rows = BTreeMap::<String, (PolicyRow, BTreeSet<String>)>::new();
            let mut limited = false;
            for selection in selections(filter) {
                let sql = format!(
                    "SELECT DISTINCT a.policy, r.position, r.actor, r.time, {} IS NULL FROM \
                     (SELECT r.position AS place {} ORDER BY r.time DESC LIMIT {look}) d \
                     JOIN record r ON r.position = d.place \
                     JOIN attribution a ON a.position = r.position \
                     WHERE a.policy IS NOT NULL AND r.dry_run IS NOT 1 \
                     AND r.verdict IN ('denied', 'unavailable')",
                    outcome_of_r(),
                    selection.sql
                );
                let mut statement = self.connection.prepare_cached(&sql)?;
                let mut found = statement.query(rusqlite::params_from_iter(&selection.binds))?;
                let mut seen = BTreeSet::new();
                while let Some(found) = found.next()? {
                    seen.insert(found.get::<_, i64>(1)?);
                    let (row, actors) = rows.entry(found.get(0)?).or_default();
                    row.denials += 1;
                    row.unresolved += u64::from(found.get::<_, bool>(4)?);
                    row.last = row.last.max(found.get(3)?);
                    actors.extend(found.get::<_, Option<String>>(2)?);
                }
                limited |= seen.len() >= look as usize;
            }
            let counted = rows.into_iter().map(|(policy, (row, actors))| {
                let actors = actors.len() as u64;
                (policy, PolicyRow { actors, ..row })
            });
            Ok((counted.collect(), limited))
        })
    }
}
