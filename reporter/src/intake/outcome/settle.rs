//! The end of a batch: what was joined, as entries, after a look at what the ledger
//! already says.

use super::entry::{Answered, entry};
use super::{NAMED, Others, Outcomes};
use docket_ledger::entry::NewEntry;
use docket_ledger::store::{Store, StoreError};
use docket_record::denial::DenialId;
use docket_record::exhibit::Digests;
use docket_record::write::Write;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Exhibits of denials that are looked at for one outcome, newest first.
const LOOKED_AT: usize = 4;

/// By stage time and id of the write, whether of the series, whether a deletion was
/// denied, and who was denied.
type Group = (i64, DenialId, bool, bool, String);

/// Denials that one write answers.
struct Joined {
    write: Arc<Write>,
    named: Vec<(i64, DenialId)>,
    others: Option<Others>,
}

#[derive(Deserialize)]
struct Exhibit {
    digests: Option<Digests>,
}

impl Outcomes {
    /// Entries of this batch, whose other entries are `beside`; and how many open denials
    /// had to be forgotten.
    pub(in crate::intake) fn settle(
        &mut self,
        store: &Store,
        beside: &[NewEntry],
    ) -> Result<(Vec<NewEntry>, u64), StoreError> {
        let groups = self.groups(store)?;
        // Denials of this very batch are not in the store yet.
        let exhibits: HashMap<&str, &[u8]> = if groups.is_empty() {
            HashMap::new()
        } else {
            let exhibit = |entry: &'_ NewEntry| entry.exhibit.is_some();
            let with = beside.iter().filter(|entry| exhibit(entry));
            with.map(|entry| {
                (
                    entry.id.as_str(),
                    entry.exhibit.as_deref().unwrap_or_default(),
                )
            })
            .collect()
        };
        let mut entries = Vec::with_capacity(groups.len());
        for ((_, _, series, deletion, actor), mut joined) in groups {
            joined.named.sort_unstable();
            let mut digests = None;
            if joined.write.digests.is_some() {
                for (_, id) in joined.named.iter().rev().take(LOOKED_AT) {
                    let id = id.to_string();
                    let kept = match exhibits.get(id.as_str()) {
                        Some(bytes) => Some(bytes.to_vec()),
                        None => store.exhibit(&id)?,
                    };
                    digests = kept.and_then(|bytes| read(&bytes));
                    if digests.is_some() {
                        break;
                    }
                }
            }
            let verdicts = joined
                .named
                .iter()
                .filter_map(|(_, id)| self.denials.get(id));
            let verdicts = verdicts.map(|denied| denied.verdict);
            let others = joined.others.as_ref();
            let verdicts = verdicts.chain(others.map(|others| others.verdict));
            entries.push(entry(&Answered {
                write: &joined.write,
                series,
                deletion,
                actor: &actor,
                named: &joined.named,
                others: others.map(|others| (others.count, others.first, others.last)),
                verdicts: verdicts.collect(),
                digests: digests.as_ref(),
            }));
        }
        let touched = std::mem::take(&mut self.touched);
        let items = &self.items;
        self.waiting.set_all(touched.into_iter().map(|key| {
            let item = items.get(&key);
            let open = item.is_some_and(|item| !item.open.is_empty() || item.others.is_some());
            (key, open)
        }));
        Ok((entries, std::mem::take(&mut self.forgotten)))
    }

    /// Only what is better than what the ledger says: it remembers longer.
    fn groups(&mut self, store: &Store) -> Result<BTreeMap<Group, Joined>, StoreError> {
        let mut groups: BTreeMap<Group, Joined> = BTreeMap::new();
        let new = |write: &Arc<Write>| Joined {
            write: Arc::clone(write),
            named: Vec::with_capacity(1),
            others: None,
        };
        for (id, write) in std::mem::take(&mut self.fresh) {
            let Some(denied) = self.denials.get_mut(&id) else {
                continue;
            };
            let known = store.answer(&id.to_string())?;
            let Some(best) = denied.best.clone() else {
                continue;
            };
            if let Some(known) = known.filter(|known| *known <= best) {
                denied.best = Some(known.clone());
                let (time, keys) = (denied.time, denied.keys);
                self.file(id, time, keys, Some(&known));
                continue;
            }
            let actor = denied.actor.clone();
            let group = (best.time, write.event, best.series, denied.deletion, actor);
            let joined = groups.entry(group).or_insert_with(|| new(&write));
            joined.named.push((denied.time, id));
        }
        for (write, series, others) in std::mem::take(&mut self.counted) {
            let actor = others.actor.clone();
            let time = write.time.as_microsecond();
            let group = (time, write.event, series, others.deletion, actor);
            // With the denials that are named beside them; alone they may be told again
            // after a restart, and then the ledger has an entry that counts them.
            if !groups.contains_key(&group) && store.counts_others(&write.event.to_string())? {
                continue;
            }
            groups.entry(group).or_insert_with(|| new(&write)).others = Some(others);
        }
        debug_assert!(
            groups
                .values()
                .all(|joined| joined.named.len() <= 2 * NAMED)
        );
        Ok(groups)
    }
}

fn read(exhibit: &[u8]) -> Option<Digests> {
    serde_json::from_slice::<Exhibit>(exhibit).ok()?.digests
}
