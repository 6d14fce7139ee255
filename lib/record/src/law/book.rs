//! Versions on their shelves, and what was in force at a time.

use super::{Binding, Body, Change, Kind, Place, Version, WITHIN};
use crate::policies::{Policy, PolicyList};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Why nothing is exact at a time in which the watch was away.
pub const AWAY: &str =
    "the watch of the policies was away: what was in force then is not known for sure";
/// Why nothing is exact once a newer version was observed, until it is on record.
pub const PENDING: &str =
    "the policy had been changed, and its newer version was not on record yet";
/// Lists of past moments that a book holds at one time.
const LISTS: usize = 8;

/// All versions that are remembered, and since when the watch of a kind is away.
#[derive(Clone, Debug, Default)]
pub struct Shelves {
    shelves: BTreeMap<Place, Vec<Arc<Version>>>,
    away: BTreeMap<&'static Kind, Timestamp>,
    /// Objects of which a newer version is known that is not on record yet, and since
    /// when it may have been in force.
    pending: BTreeMap<Place, Timestamp>,
    /// From then on all versions are here; of the time before only the last of each.
    begins: Option<Timestamp>,
}

/// Which versions may have been in force at a time, and why others may have been too.
struct Candidates<'a> {
    versions: Vec<&'a Version>,
    doubt: Option<&'static str>,
}

impl Shelves {
    /// A version that is newer than those of its place. One that is not newer is taken
    /// as observed with the last: time does not run backwards here.
    pub fn put(&mut self, place: Place, mut version: Version) {
        let shelf = self.shelves.entry(place).or_default();
        if let Some(last) = shelf.last() {
            version.at = version.at.max(last.at);
        }
        shelf.push(Arc::new(version));
    }

    /// More is known of what the newest version says: its text is the same.
    pub fn refresh(&mut self, place: &Place, body: Body) {
        let last = self
            .shelves
            .get_mut(place)
            .and_then(|shelf| shelf.last_mut());
        if let Some(last) = last
            && last.body != body
        {
            *last = Arc::new(Version {
                body,
                ..Version::clone(last)
            });
        }
    }

    /// All versions from `time` on are going to stand here, of the time before only the
    /// last of each.
    pub fn begin(&mut self, time: Timestamp) {
        self.begins = self.begins.max(Some(time));
    }

    /// The watch of a kind is away since then, or back.
    pub fn away(&mut self, kind: &'static Kind, since: Option<Timestamp>) {
        match since {
            Some(since) => {
                self.away.entry(kind).or_insert(since);
            }
            None => {
                self.away.remove(kind);
            }
        }
    }

    /// A newer version of this object was observed and is not on record yet: nothing can
    /// name it, and nothing is exact from `since` on.
    pub fn pending(&mut self, place: Place, since: Timestamp) {
        let known = self.pending.entry(place).or_insert(since);
        *known = since.min(*known);
    }

    /// What is not known for sure now is not known for sure here either.
    #[must_use]
    pub fn doubting_as(mut self, book: &LawBook) -> Shelves {
        self.away.clone_from(&book.shelves.away);
        self.pending.clone_from(&book.shelves.pending);
        self
    }

    /// Forgets what was over before `time`.
    pub fn forget(&mut self, time: Timestamp) {
        let mut begins = self.begins;
        for shelf in self.shelves.values_mut() {
            let over = |next: &Arc<Version>| later(next.at) < time;
            let past = shelf.iter().skip(1).take_while(|next| over(next)).count();
            if past > 0 {
                shelf.drain(..past);
                begins = begins.max(Some(time));
            }
        }
        self.begins = begins;
        self.shelves.retain(|_, shelf| {
            let over = shelf.len() == 1 && shelf[0].body == Body::Gone;
            !(over && later(shelf[0].at) < time)
        });
    }

    /// A book of what stands here now. `synced`: every watch has had its first list.
    #[must_use]
    pub fn book(&self, synced: bool) -> LawBook {
        let mut turns: Vec<Timestamp> = Vec::new();
        for shelf in self.shelves.values() {
            for (at, version) in shelf.iter().enumerate() {
                // The first of a place is judged by its window too: it may have been missed.
                let from = start(version);
                turns.extend([from, later(version.at)]);
                if at == 0 && version.change == Change::FirstSeen {
                    turns.push(version.at);
                }
            }
        }
        let doubted = self.away.values().chain(self.pending.values());
        turns.extend(doubted.map(|since| earlier(*since)));
        turns.sort_unstable();
        turns.dedup();
        LawBook {
            shelves: self.clone(),
            synced,
            turns,
            now: OnceLock::new(),
            lists: Mutex::default(),
        }
    }

    fn list(&self, time: Timestamp, synced: bool) -> PolicyList {
        let mut list = PolicyList {
            synced,
            ..PolicyList::default()
        };
        let mut bindings = Vec::new();
        for (place, shelf) in &self.shelves {
            let found = self.candidates(place, shelf, time);
            let doubt = found.doubt;
            let mut bound = Vec::new();
            for version in found.versions {
                let law_id = || version.id.clone();
                match &version.body {
                    Body::Policy(policy) => list.policies.push(Policy {
                        law_id: law_id(),
                        doubt,
                        ..Policy::clone(policy)
                    }),
                    Body::Binding(binding) => bound.push((binding, version.id.as_str())),
                    Body::Exception(exception) => {
                        let mut exception = exception.clone();
                        exception.law_id = law_id();
                        list.exceptions.push(exception);
                    }
                    Body::Configuration(configuration) => {
                        let mut configuration = configuration.clone();
                        configuration.law_id = law_id();
                        list.configurations.push(configuration);
                    }
                    Body::Other | Body::Gone => {}
                }
            }
            if !bound.is_empty() {
                bindings.push(Bound {
                    name: &place.name,
                    versions: bound,
                    doubt,
                });
            }
        }
        bind(&mut list.policies, &bindings);
        list
    }

    fn candidates<'a>(
        &self,
        place: &Place,
        shelf: &'a [Arc<Version>],
        time: Timestamp,
    ) -> Candidates<'a> {
        let since = |since: Option<&Timestamp>| since.is_some_and(|since| time >= earlier(*since));
        let mut missed = since(self.away.get(place.kind));
        let mut versions: Vec<&Version> = Vec::new();
        for (at, version) in shelf.iter().enumerate() {
            if time < start(version) {
                break;
            }
            missed |= match version.change {
                // Before the first look nothing is known; from then on all is.
                Change::FirstSeen => time < version.at,
                _ => version.after.is_some() && time < later(version.at),
            };
            let over = shelf.get(at + 1).is_some_and(|next| time >= later(next.at));
            if !over {
                versions.push(version);
            }
        }
        let pending = since(self.pending.get(place)).then_some(PENDING);
        Candidates {
            versions,
            doubt: missed.then_some(AWAY).or(pending),
        }
    }
}

/// From when on it may have been in force.
fn start(version: &Version) -> Timestamp {
    earlier(version.since())
}

fn earlier(time: Timestamp) -> Timestamp {
    time.saturating_sub(WITHIN).unwrap_or(Timestamp::MIN)
}

fn later(time: Timestamp) -> Timestamp {
    time.saturating_add(WITHIN).unwrap_or(Timestamp::MAX)
}

/// A binding, in all versions that may have been in force.
struct Bound<'a> {
    name: &'a str,
    versions: Vec<(&'a Binding, &'a str)>,
    doubt: Option<&'static str>,
}

/// Tells the API server's own policies which of them are bound so that they refuse.
/// Where that depends on which version of a binding was in force, the policy stands in
/// the list twice.
fn bind(policies: &mut Vec<Policy>, bindings: &[Bound<'_>]) {
    let mut doubled = Vec::new();
    for policy in policies.iter_mut() {
        if !matches!(
            policy.kind.as_str(),
            "ValidatingAdmissionPolicy" | "MutatingAdmissionPolicy"
        ) {
            continue;
        }
        let denies = |binding: &Binding| {
            binding.denies && binding.kind == policy.kind && binding.policy == policy.name
        };
        let mut surely = false;
        let mut perhaps = false;
        let mut laws = Vec::new();
        for bound in bindings {
            let of_this = bound.versions.iter().filter(|(binding, _)| denies(binding));
            let ids: Vec<&str> = of_this.map(|(_, id)| *id).collect();
            surely |= ids.len() == bound.versions.len();
            perhaps |= !ids.is_empty();
            if !ids.is_empty() {
                policy.doubt = policy.doubt.or(bound.doubt);
                // A binding that may have been another one names all its versions.
                let ids = bound.versions.iter().map(|(_, id)| (*id).to_owned());
                laws.push((bound.name.to_owned(), ids.collect()));
            }
        }
        policy.bindings = laws;
        policy.set_enforces(perhaps);
        if perhaps && !surely {
            let mut other = policy.clone();
            other.set_enforces(false);
            doubled.push(other);
        }
    }
    policies.append(&mut doubled);
}

/// The law of a span of time: immutable, to be asked for every event.
#[derive(Debug)]
pub struct LawBook {
    shelves: Shelves,
    synced: bool,
    /// Moments at which the list changes, in order.
    turns: Vec<Timestamp>,
    /// The list after the last turn: nearly every question is about it.
    now: OnceLock<Arc<PolicyList>>,
    /// Lists between turns, by the number of turns before them; the oldest goes first.
    lists: Mutex<Vec<(usize, Arc<PolicyList>)>>,
}

impl Default for LawBook {
    fn default() -> LawBook {
        Shelves::default().book(false)
    }
}

impl LawBook {
    /// What was in force at a time, as far as is known: one version of each policy, or
    /// all that may have been.
    #[must_use]
    pub fn at(&self, time: Timestamp) -> Arc<PolicyList> {
        if self.turns.last().is_none_or(|last| time >= *last) {
            return self.now();
        }
        let turn = self.turns.partition_point(|turn| *turn <= time);
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, list)) = lists.iter().find(|(known, _)| *known == turn) {
            return Arc::clone(list);
        }
        let list = Arc::new(self.shelves.list(time, self.synced));
        if lists.len() >= LISTS {
            lists.remove(0);
        }
        lists.push((turn, Arc::clone(&list)));
        list
    }

    /// What is in force when nothing has changed for a while.
    #[must_use]
    pub fn now(&self) -> Arc<PolicyList> {
        let list = || Arc::new(self.shelves.list(Timestamp::MAX, self.synced));
        Arc::clone(self.now.get_or_init(list))
    }

    /// Before this, versions may be missing here.
    #[must_use]
    pub fn begins(&self) -> Timestamp {
        self.shelves.begins.unwrap_or(Timestamp::MIN)
    }

    /// A book in which these objects were in force at all times: a recorded day.
    #[must_use]
    pub fn always(objects: impl IntoIterator<Item = (super::Object, String)>) -> LawBook {
        let mut shelves = Shelves::default();
        for (object, id) in objects {
            let version = Version {
                id,
                at: Timestamp::MIN,
                after: None,
                change: Change::FirstSeen,
                body: object.body,
            };
            shelves.put(object.place, version);
        }
        shelves.book(true)
    }
}
