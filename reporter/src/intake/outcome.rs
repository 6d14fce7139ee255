//! What happened next: an admitted write of a denied object becomes an outcome.
//!
//! ```text
//!  denial ──▶ open, by object and by series ◀──▶ recent admitted writes ◀── write
//!                            │ settle: once a batch, asked against the ledger
//!                            ▼
//!                   one entry a write (and actor denied)
//! ```
//!
//! Events come in any order, by several ways, again, and from other days. So both sides
//! are remembered, each finds the other whichever comes first, and of all writes after a
//! denial (by stage time) the first one counts, that of the object itself before one of
//! its series. An earlier write that arrives late makes a second entry; readers take the
//! one that counts ([`docket_ledger::store::Answer`] is ordered so). Which pairs of denial
//! and write result does not depend on the order of arrival, as long as nothing had to be
//! forgotten.
//!
//! | remembered | at most | beyond |
//! |---|---|---|
//! | denials | [`DENIALS`] | the oldest go; those still open are counted as `forgotten` |
//! | denials of one object, or of one series | [`NAMED`] | only counted |
//! | admitted writes | [`writes::WRITES`] | the oldest go, silently: they only help against disorder |
//!
//! Denials are taken up again from the ledger at start-up, writes are not. Dry runs,
//! `unknown` denials and CONNECT open nothing: there is no later write that would show what
//! became of them. `unavailable` does: what is tried again when the enforcer is back passes.

mod entry;
mod keys;
mod settle;
mod writes;

pub use keys::Waiting;

use docket_ledger::store::{Answer, Denied as Stored, Store, StoreError};
use docket_record::denial::{DenialId, Record, Verdict};
use docket_record::write::Write;
use jiff::Timestamp;
use keys::{Keys, Object};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use writes::Writes;

/// Denials remembered.
pub const DENIALS: usize = 32_768;
/// Denials of one object, or of one series, that are remembered one by one and named in
/// an outcome. 14 KB of ids.
pub const NAMED: usize = 256;
/// A write of another object of the series counts for this long after the denial,
/// microseconds: a day.
const SERIES_SPAN: i64 = 24 * 3600 * 1_000_000;

/// A denial that has, or may get, an outcome.
struct Denied {
    time: i64,
    keys: Keys,
    /// Only a deletion answers a denied deletion.
    deletion: bool,
    verdict: Verdict,
    actor: String,
    stem: String,
    best: Option<Answer>,
}

/// Denials of one object, or of one series.
#[derive(Default)]
struct Item {
    /// Those that the next write answers.
    open: BTreeSet<(i64, DenialId)>,
    /// Those that only an earlier write could answer better.
    answered: BTreeSet<(i64, DenialId)>,
    /// The latest write that answered one of those.
    latest: i64,
    others: Option<Others>,
}

/// Denials that are only counted.
#[derive(Clone)]
struct Others {
    count: u32,
    first: i64,
    last: i64,
    actor: String,
    verdict: Verdict,
    deletion: bool,
}

impl Item {
    fn is_empty(&self) -> bool {
        self.open.is_empty() && self.answered.is_empty() && self.others.is_none()
    }
}

/// Both sides, and what one batch has joined.
pub(super) struct Outcomes {
    denials: HashMap<DenialId, Denied>,
    items: HashMap<u64, Item>,
    order: VecDeque<DenialId>,
    writes: Writes,
    /// Denials with a new answer in this batch.
    fresh: BTreeMap<DenialId, Arc<Write>>,
    /// Denials that are only counted, answered in this batch.
    counted: Vec<(Arc<Write>, bool, Others)>,
    touched: HashSet<u64>,
    waiting: Arc<Waiting>,
    forgotten: u64,
    room: usize,
}

impl Outcomes {
    /// Take up the newest denials of the ledger.
    pub(super) fn load(store: &Store) -> Result<Outcomes, StoreError> {
        let mut outcomes = Outcomes {
            denials: HashMap::new(),
            items: HashMap::new(),
            order: VecDeque::new(),
            writes: Writes::default(),
            fresh: BTreeMap::new(),
            counted: Vec::new(),
            touched: HashSet::new(),
            waiting: Arc::default(),
            forgotten: 0,
            room: DENIALS,
        };
        store.newest_denials(DENIALS as u64, |stored| outcomes.take_up(&stored))?;
        Ok(outcomes)
    }

    /// Share what is open with those who ask the witnesses.
    pub(super) fn share(&mut self, waiting: Arc<Waiting>) {
        self.waiting = waiting;
        for (&key, item) in &self.items {
            self.waiting.set(key, !item.open.is_empty());
        }
    }

    /// An event came, for the first time as far as is remembered.
    pub(super) fn event(&mut self, record: Option<&Record>, write: Option<Box<Write>>) {
        if let Some(record) = record {
            self.denied(record);
        }
        if let Some(write) = write {
            self.admitted(Arc::from(write), false);
        }
    }

    /// An event came again: its denial is known, its write may have been forgotten.
    pub(super) fn again(&mut self, record: Option<&Record>, write: Option<Box<Write>>) {
        if let Some(record) = record {
            let keys = Object::denied(&record.public, &record.personal.name)
                .keys(&record.personal.actor.username);
            self.touched.extend(keys.all());
        }
        if let Some(write) = write {
            self.admitted(Arc::from(write), true);
        }
    }

    fn denied(&mut self, record: &Record) {
        let (public, personal) = (&record.public, &record.personal);
        if !opens(public) {
            return;
        }
        let Ok(time) = public.time.parse::<Timestamp>() else {
            return;
        };
        let object = Object::denied(public, &personal.name);
        let denied = Denied {
            time: time.as_microsecond(),
            keys: object.keys(&personal.actor.username),
            deletion: public.operation == "DELETE",
            verdict: public.verdict,
            actor: personal.actor.username.clone(),
            stem: keys::stem(&personal.name).to_owned(),
            best: None,
        };
        let keys = denied.keys;
        self.touched.extend(keys.all());
        if self.denials.contains_key(&record.id) || !self.remember(record.id, denied) {
            return;
        }
        for (key, series) in keys.with_relation() {
            let denied = self.denials.get(&record.id);
            let first = denied.and_then(|denied| {
                let after = self.writes.of(key);
                let after = after.filter(|write| fits(denied, write, series));
                after.min_by(|a, b| {
                    a.time
                        .cmp(&b.time)
                        .then_with(|| written_by(a).cmp(&written_by(b)))
                })
            });
            if let Some(write) = first.cloned() {
                self.join(record.id, &write, series);
            }
        }
    }

    fn admitted(&mut self, write: Arc<Write>, again: bool) {
        if write.dry_run || !matches!(write.operation.as_str(), "CREATE" | "UPDATE" | "DELETE") {
            return;
        }
        let keys = Object::admitted(&write).keys(&write.actor.username);
        let time = write.time.as_microsecond();
        for (key, series) in keys.with_relation() {
            if let Some(item) = self.items.get_mut(&key) {
                let late = time <= item.latest;
                let answered = late.then_some(&item.answered).into_iter().flatten();
                let before = item.open.iter().chain(answered);
                let before: Vec<DenialId> = before
                    .filter(|(at, _)| *at <= time)
                    .map(|(_, id)| *id)
                    .collect();
                let answers = |others: &Others| {
                    others.first <= time && (!others.deletion || write.operation == "DELETE")
                };
                if item.others.as_ref().is_some_and(answers)
                    && let Some(others) = item.others.take()
                {
                    self.counted.push((Arc::clone(&write), series, others));
                    self.touched.insert(key);
                }
                for id in before {
                    self.join(id, &write, series);
                }
            }
            self.writes.put(key, &write, again);
        }
    }

    /// This write answers this denial, if it fits and none better is known.
    fn join(&mut self, id: DenialId, write: &Arc<Write>, series: bool) {
        let Some(denied) = self.denials.get_mut(&id) else {
            return;
        };
        if !fits(denied, write, series) {
            return;
        }
        let answer = Answer {
            series,
            time: write.time.as_microsecond(),
            written_by: written_by(write),
        };
        if denied.best.as_ref().is_some_and(|b| *b <= answer) {
            return;
        }
        denied.best = Some(answer.clone());
        let (time, keys) = (denied.time, denied.keys);
        self.fresh.insert(id, Arc::clone(write));
        self.touched.extend(keys.all());
        self.file(id, time, keys, Some(&answer));
    }

    /// Put a denial where its answer, or the lack of one, belongs.
    fn file(&mut self, id: DenialId, time: i64, keys: Keys, answer: Option<&Answer>) {
        for (key, series) in keys.with_relation() {
            let Some(item) = self.items.get_mut(&key) else {
                continue;
            };
            let place = (time, id);
            if !item.open.remove(&place) && !item.answered.remove(&place) {
                continue;
            }
            match answer {
                None => _ = item.open.insert(place),
                // Nothing of a series can better the object itself.
                Some(answer) if series && !answer.series => {}
                Some(answer) if answer.series && !series => _ = item.open.insert(place),
                Some(answer) => {
                    item.latest = item.latest.max(answer.time);
                    item.answered.insert(place);
                }
            }
            if item.is_empty() {
                self.items.remove(&key);
            }
        }
    }

    /// False if it is only counted.
    fn remember(&mut self, id: DenialId, denied: Denied) -> bool {
        let place = (denied.time, id);
        let keys = denied.keys;
        for (key, series) in keys.with_relation() {
            let item = self.items.entry(key).or_default();
            if item.open.len() + item.answered.len() < NAMED || item.answered.pop_first().is_some()
            {
                item.open.insert(place);
            } else if !series || keys.object.is_none() {
                count(&mut item.others, &denied);
                return false;
            }
        }
        let best = denied.best.clone();
        let time = denied.time;
        self.denials.insert(id, denied);
        self.order.push_back(id);
        if let Some(best) = best {
            self.file(id, time, keys, Some(&best));
        }
        while self.order.len() > self.room {
            self.forget_oldest();
        }
        true
    }

    fn forget_oldest(&mut self) {
        let Some((id, denied)) = self
            .order
            .pop_front()
            .and_then(|id| Some((id, self.denials.remove(&id)?)))
        else {
            return;
        };
        self.forgotten += u64::from(denied.best.is_none());
        self.touched.extend(denied.keys.all());
        for key in denied.keys.all() {
            if let Some(item) = self.items.get_mut(&key) {
                item.open.remove(&(denied.time, id));
                item.answered.remove(&(denied.time, id));
                if item.is_empty() {
                    self.items.remove(&key);
                }
            }
        }
    }

    fn take_up(&mut self, stored: &Stored) {
        let Ok(public) = serde_json::from_slice::<Public>(&stored.public) else {
            return;
        };
        let personal = stored.personal.as_deref().unwrap_or_default();
        let personal: Personal = serde_json::from_slice(personal).unwrap_or_default();
        let (Ok(id), Ok(time)) = (public.id.parse(), public.time.parse::<Timestamp>()) else {
            return;
        };
        if !waits(public.verdict, public.dry_run, &public.operation) {
            return;
        }
        let object = Object {
            namespace: &public.namespace,
            group: &public.group,
            resource: &public.resource,
            subresource: &public.subresource,
            name: &personal.name,
            repository: &public.context.repository,
            created: public.operation == "CREATE",
        };
        let denied = Denied {
            time: time.as_microsecond(),
            keys: object.keys(&personal.actor.username),
            deletion: public.operation == "DELETE",
            verdict: public.verdict,
            stem: keys::stem(&personal.name).to_owned(),
            actor: personal.actor.username,
            best: stored.answer.clone(),
        };
        self.remember(id, denied);
    }
}

/// Does a denial wait for what comes next?
#[must_use]
pub fn opens(public: &docket_record::denial::Public) -> bool {
    waits(public.verdict, public.dry_run, &public.operation)
}

fn waits(verdict: Verdict, dry_run: bool, operation: &str) -> bool {
    matches!(verdict, Verdict::Denied | Verdict::Unavailable)
        && !dry_run
        && matches!(operation, "CREATE" | "UPDATE" | "DELETE")
}

fn written_by(write: &Write) -> String {
    write.event.to_string()
}

fn fits(denied: &Denied, write: &Write, series: bool) -> bool {
    let time = write.time.as_microsecond();
    if denied.time > time || (denied.deletion && write.operation != "DELETE") {
        return false;
    }
    if !series {
        return true;
    }
    let stem = keys::stem(&write.name);
    time - denied.time <= SERIES_SPAN
        && (denied.stem.is_empty() || stem.is_empty() || denied.stem == stem)
}

fn count(others: &mut Option<Others>, denied: &Denied) {
    // Answered ones are counted in an entry already.
    if denied.best.is_some() {
        return;
    }
    let others = others.get_or_insert_with(|| Others {
        count: 0,
        first: denied.time,
        last: denied.time,
        actor: String::new(),
        verdict: denied.verdict,
        deletion: denied.deletion,
    });
    others.count = others.count.saturating_add(1);
    others.first = others.first.min(denied.time);
    others.last = others.last.max(denied.time);
    others.actor.clone_from(&denied.actor);
    others.verdict = denied.verdict;
    others.deletion = denied.deletion;
}

/// What start-up reads of a denial's public part.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Public {
    id: String,
    time: String,
    verdict: Verdict,
    operation: String,
    dry_run: bool,
    group: String,
    resource: String,
    #[serde(default)]
    subresource: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    context: docket_record::denial::Context,
}

/// And of its personal part.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Personal {
    name: String,
    actor: docket_record::audit::User,
}

#[cfg(test)]
mod tests;
