//! Who changed the law, and which records it puts in doubt.
//!
//! The watch tells of a version, the audit stream of the write that made it; either may
//! come first. A write belongs to a version of the same object if it lies in the time in
//! which that version came: not long before it was observed, not after it, and not so
//! that it made the version before. Where several writes do, each is named,
//! and readers are told of all.
//!
//! A record that was attributed before the watch told of a change of that moment says
//! more than is known: it is amended, or not written so in the first place.
//!
//! Bounded, the oldest goes first: what falls out keeps its law and loses the name. The
//! laws and writes of the last minutes are kept over a restart in one state row.

use super::json;
use crate::gaps::id;
use docket_ledger::entry::{Class, NewEntry};
use docket_ledger::store::{Store, StoreError};
use docket_record::attribution::EITHER;
use docket_record::audit::User;
use docket_record::denial::{self, Attribution, Grade, Record};
use docket_record::entry::amendment::{AmendmentKind, Personal, Public};
use docket_record::law::{Change, Entry, Kind, WITHIN};
use docket_record::write::Write;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// State row.
const NEAR: &str = "law/near";
/// How long a law or a write waits for the other: an API server tries for minutes.
const KEPT: SignedDuration = SignedDuration::from_mins(15);
/// Laws, and writes of laws, kept.
const MOST: usize = 128;
/// Exact attributions kept, for the laws that come late.
const RECORDS: usize = 16_384;
/// Newest entries whose attributions are remembered again after a restart.
const AGAIN: u32 = 4096;
/// How far the clocks of reporter and API server may differ.
const SKEW: SignedDuration = SignedDuration::from_secs(2);

/// A version that was observed not long ago.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Seen {
    law: String,
    place: [String; 4],
    change: Change,
    /// It came after this …
    after: Timestamp,
    /// … and was observed then.
    at: Timestamp,
}

/// A write of an object that is law.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Wrote {
    event: String,
    /// Name and namespace may be empty: a generated name, or a whole collection.
    place: [String; 4],
    verb: String,
    received: Timestamp,
    time: Timestamp,
    actor: User,
}

/// An exact attribution, and an object that it rests on: its policy, or the binding that
/// let it refuse.
struct Owed {
    record: String,
    time: Timestamp,
    /// Name of the policy.
    policy: String,
    /// Kind, namespace, name of the object.
    place: [String; 3],
    laws: Vec<String>,
}

#[derive(Default, Serialize, Deserialize)]
struct Near {
    laws: VecDeque<Seen>,
    writes: VecDeque<Wrote>,
}

/// What is remembered of laws and those who wrote them.
#[derive(Default)]
pub(super) struct Lawgivers {
    near: Near,
    dirty: bool,
    records: VecDeque<Owed>,
}

impl Lawgivers {
    pub(super) fn load(store: &Store) -> Result<Lawgivers, StoreError> {
        let near = store.state(NEAR)?;
        let near = near.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let mut lawgivers = Lawgivers {
            near: near.unwrap_or_default(),
            ..Lawgivers::default()
        };
        // What changed while nobody watched is told now, and they may be of that time.
        let from = store.size().saturating_sub(AGAIN.into());
        for row in store.scan(from, AGAIN)? {
            let of_record = matches!(row.class, Class::Denial | Class::Pass);
            let read = || serde_json::from_slice::<denial::Public>(&row.public).ok();
            let Some(record) = of_record.then(read).flatten() else {
                continue;
            };
            let Ok(time) = record.time.parse() else {
                continue;
            };
            for attribution in &record.attributions {
                lawgivers.remember(&record.id, time, attribution);
            }
        }
        Ok(lawgivers)
    }

    /// The state row, if it has changed.
    pub(super) fn state(&mut self) -> Option<(String, Option<Vec<u8>>)> {
        std::mem::take(&mut self.dirty).then(|| (NEAR.to_owned(), Some(json(&self.near))))
    }

    /// A law entry is about to be written. Gives it back if it may have come late.
    pub(super) fn law(
        &mut self,
        entry: &NewEntry,
        now: Timestamp,
        entries: &mut Vec<NewEntry>,
    ) -> Option<Seen> {
        let law = serde_json::from_slice::<Entry>(&entry.public).ok()?;
        let place = law.place()?;
        // A recorded day has no one who came late.
        if now.duration_since(law.time) > KEPT {
            return None;
        }
        let seen = Seen {
            law: law.id,
            place: [
                place.kind.group.to_owned(),
                place.kind.kind.to_owned(),
                place.namespace,
                place.name,
            ],
            change: law.change,
            after: law.after.unwrap_or(law.time),
            at: law.time,
        };
        self.doubt(&seen, now, entries);
        let earlier = self.earlier(&seen);
        let writes = self.near.writes.iter();
        let by = writes.filter(|write| write.made(&seen, earlier));
        entries.extend(by.map(|write| changed_by(&seen, write, earlier, now)));
        push(&mut self.near.laws, seen.clone());
        self.forget(now);
        self.dirty = true;
        Some(seen)
    }

    /// An admitted write.
    pub(super) fn wrote(&mut self, write: &Write, now: Timestamp, entries: &mut Vec<NewEntry>) {
        let of_law = matches!(
            write.group.as_str(),
            "kyverno.io" | "policies.kyverno.io" | "admissionregistration.k8s.io"
        );
        if !of_law || write.dry_run || !write.subresource.is_empty() {
            return;
        }
        let Some(kind) = Kind::by_plural(&write.group, &write.resource) else {
            return;
        };
        let wrote = Wrote {
            event: write.event.to_string(),
            place: [
                kind.group.to_owned(),
                kind.kind.to_owned(),
                write.namespace.clone(),
                write.name.clone(),
            ],
            verb: write.verb.clone(),
            received: write.received,
            time: write.time,
            actor: write.actor.clone(),
        };
        if now.duration_since(wrote.time) > KEPT && self.near.laws.is_empty() {
            return;
        }
        for seen in &self.near.laws {
            let earlier = self.earlier(seen);
            if wrote.made(seen, earlier) {
                entries.push(changed_by(seen, &wrote, earlier, now));
            }
        }
        push(&mut self.near.writes, wrote);
        self.forget(now);
        self.dirty = true;
    }

    /// A record is about to be written: doubted if its law was superseded meanwhile, and
    /// remembered if not.
    pub(super) fn record(&mut self, record: &mut Record, time: Timestamp) {
        let id = record.public.id.clone();
        for owed in &mut record.public.attributions {
            self.attribution(&id, owed, time);
        }
    }

    /// The same of one attribution of a record.
    pub(super) fn attribution(&mut self, record: &str, owed: &mut Attribution, time: Timestamp) {
        if !self.superseded(owed, time) {
            self.remember(record, time, owed);
        }
    }

    fn remember(&mut self, record: &str, time: Timestamp, owed: &Attribution) {
        for (place, laws) in rests_on(owed) {
            if self.records.len() >= RECORDS {
                self.records.pop_front();
            }
            self.records.push_back(Owed {
                record: record.to_owned(),
                time,
                policy: owed.policy.clone().unwrap_or_default(),
                place,
                laws: laws.to_vec(),
            });
        }
    }

    /// Doubts an attribution whose law, as was told meanwhile, was not the only one that
    /// may have been in force.
    pub(super) fn superseded(&self, owed: &mut Attribution, time: Timestamp) -> bool {
        let newer = self.near.laws.iter();
        let newer: Vec<&Seen> = newer.filter(|seen| seen.is_of(owed, time)).collect();
        for seen in &newer {
            seen.cast_doubt(owed);
        }
        !newer.is_empty()
    }

    /// Records that were held to be exact, of the moment in which this law came.
    fn doubt(&self, seen: &Seen, now: Timestamp, entries: &mut Vec<NewEntry>) {
        if !seen.supersedes() {
            return;
        }
        let owed = self.records.iter().filter(|owed| {
            seen.place[1..] == owed.place && seen.near(owed.time) && !owed.laws.contains(&seen.law)
        });
        entries.extend(owed.map(|owed| {
            let kind = AmendmentKind::LawInDoubt;
            let id = id(&["amendment", kind.name(), &owed.record, &seen.law]);
            let public = Public {
                laws: vec![seen.law.clone()],
                policy: owed.policy.clone(),
                detail: EITHER.to_owned(),
                ..Public::new(kind, id, &owed.record, now)
            };
            NewEntry::new(Class::Amendment, &public.id, public.bytes())
        }));
    }

    /// When the version before was observed.
    fn earlier(&self, seen: &Seen) -> Option<Timestamp> {
        let same = |other: &&Seen| other.place == seen.place && other.law != seen.law;
        let before = self.near.laws.iter().filter(same).map(|other| other.at);
        before.filter(|at| *at <= seen.at).max()
    }

    fn forget(&mut self, now: Timestamp) {
        let old = |at: Timestamp| now.duration_since(at) > KEPT;
        self.near.laws.retain(|seen| !old(seen.at));
        // A late batch brings old writes: they are of use while they are near a law.
        let laws = &self.near.laws;
        let of_use =
            |write: &Wrote| !old(write.time) || laws.iter().any(|seen| write.place == seen.place);
        self.near.writes.retain(of_use);
    }
}

impl Seen {
    /// Doubts an attribution that was held to be exact, of the moment in which this law
    /// came.
    pub(super) fn doubts(&self, owed: &mut Attribution, time: Timestamp) -> bool {
        let doubted = self.supersedes() && self.is_of(owed, time);
        if doubted {
            self.cast_doubt(owed);
        }
        doubted
    }

    /// May another version have been in force before it?
    fn supersedes(&self) -> bool {
        match self.change {
            Change::Changed => true,
            // What there was before is known, if somebody watched.
            Change::Deleted => self.after < self.at,
            // The only version ever of its object is the one that denied.
            Change::FirstSeen | Change::Created => false,
        }
    }

    /// Is it a version of something that this rests on, of about that time, and not among
    /// those that are named?
    fn is_of(&self, owed: &Attribution, time: Timestamp) -> bool {
        let mut rests_on = rests_on(owed);
        self.near(time)
            && rests_on.any(|(place, laws)| self.place[1..] == place && !laws.contains(&self.law))
    }

    fn cast_doubt(&self, owed: &mut Attribution) {
        let laws = match self.place[1].ends_with("Binding") {
            true => &mut owed.binding_laws,
            false => &mut owed.laws,
        };
        laws.push(self.law.clone());
        owed.grade = Some(Grade::Ambiguous);
        EITHER.clone_into(&mut owed.doubt);
    }

    /// Could an earlier version have been in force then, or this one?
    fn near(&self, time: Timestamp) -> bool {
        time >= sooner(self.after, WITHIN) && time <= later(self.at, WITHIN)
    }
}

/// The objects by whose law an attribution is exact, each with the versions that it names:
/// kind, namespace and name of the policy, and of the binding that let it refuse.
fn rests_on(owed: &Attribution) -> impl Iterator<Item = ([String; 3], &[String])> {
    let kind = owed.policy_kind.as_ref();
    let kind = kind.filter(|_| owed.grade == Some(Grade::Exact));
    let policy = kind.zip(owed.policy.as_ref()).map(|(kind, name)| {
        let namespace = owed.policy_namespace.clone().unwrap_or_default();
        ([kind.clone(), namespace, name.clone()], &owed.laws[..])
    });
    let binding = kind.zip(owed.binding.as_ref()).map(|(kind, name)| {
        let place = [format!("{kind}Binding"), String::new(), name.clone()];
        (place, &owed.binding_laws[..])
    });
    let both = policy.into_iter().chain(binding);
    both.filter(|(_, laws)| !laws.is_empty())
}

impl Wrote {
    /// Can this write have made that version?
    fn made(&self, seen: &Seen, earlier: Option<Timestamp>) -> bool {
        let [group, kind, namespace, name] = &self.place;
        let there = *group == seen.place[0]
            && *kind == seen.place[1]
            && *namespace == seen.place[2]
            && (name.is_empty() || *name == seen.place[3]);
        let deletes = matches!(self.verb.as_str(), "delete" | "deletecollection");
        let verb = match seen.change {
            Change::FirstSeen => false,
            Change::Deleted => deletes,
            Change::Created => matches!(self.verb.as_str(), "create" | "patch"),
            Change::Changed => !deletes && !name.is_empty(),
        };
        // It made the first version that was observed after it, or one right behind that.
        // No allowance for clocks here: a version that was observed just before the write
        // must not take it away from the next one.
        let taken = earlier
            .is_some_and(|earlier| earlier >= self.received && later(earlier, SKEW) < seen.at);
        let from = sooner(seen.after, WITHIN);
        there && verb && !taken && self.time >= from && self.received <= later(seen.at, SKEW)
    }
}

fn sooner(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.saturating_sub(by).unwrap_or(Timestamp::MIN)
}

fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}

fn push<T>(queue: &mut VecDeque<T>, one: T) {
    if queue.len() >= MOST {
        queue.pop_front();
    }
    queue.push_back(one);
}

/// One for each write that may have made the version: their number says how sure it is.
/// `perhaps`: only if the clocks differ, for by their word it came before the version
/// that was observed earlier, or after this one.
fn changed_by(seen: &Seen, write: &Wrote, earlier: Option<Timestamp>, now: Timestamp) -> NewEntry {
    let kind = AmendmentKind::LawChangedBy;
    let id = id(&["amendment", kind.name(), &seen.law, &write.event]);
    let before = earlier.is_some_and(|earlier| write.received <= earlier);
    let public = Public {
        event: write.event.clone(),
        verb: write.verb.clone(),
        written_at: Some(write.time),
        perhaps: before || write.received > seen.at,
        ..Public::new(kind, id, &seen.law, now)
    };
    let personal = Personal {
        actor: Some(write.actor.clone()),
        ..Personal::default()
    };
    NewEntry::new(Class::Amendment, &public.id, public.bytes()).with_personal(personal.bytes())
}
