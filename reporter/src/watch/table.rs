//! What the watches have told, made into law entries: a version for each change, and a
//! gap for each time in which nobody watched. Synchronous; time is an argument.

use crate::gaps::{Cause, Gap, id, json};
use crate::law::Recorded;
use docket_record::law::summary::{first, summary};
use docket_record::law::text::{self, Whole};
use docket_record::law::{Body, Change, Entry, Kind, LawBook, Object, Place, Shelves, Version};
use docket_record::law::{KINDS, autogen};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// State row: until when the watch of each kind is known to have seen everything.
pub const KNOWN: &str = "law/known";
/// Name of the source, in gaps.
const SOURCE: &str = "law";
/// State row: absences after which everything was as before.
pub const ABSENCES: &str = "law/absences";
/// Absences remembered; the gap of an older one stays open.
const MOST: usize = 32;
/// An absence that lasts is told each time that so much of it is over.
const LASTS: SignedDuration = SignedDuration::from_hours(1);

/// The newest version of an object.
struct Latest {
    id: String,
    hash: String,
    uid: String,
    generation: i64,
    api_version: String,
    /// Null where the ledger kept only the beginning.
    text: Value,
    /// What Kyverno made of it for controllers of pods, as an amendment says it; `None`:
    /// nothing so far.
    autogen: Option<(Value, Option<Whole>)>,
}

/// One kind's watch.
#[derive(Default)]
struct State {
    /// Until then everything was seen.
    known: Option<Timestamp>,
    /// There is a list, and the watch from it on has not broken.
    listed: bool,
    /// It was not served when last looked at.
    unserved: bool,
}

/// A time in which not all kinds were watched, and after which everything was as before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// Id of its gap.
    pub gap: String,
    /// From then on …
    pub from: Timestamp,
    /// … until then.
    pub to: Timestamp,
    /// Objects that were as before and had another generation, as `group/Kind` and name:
    /// they were written to, if only for their certificate.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub regenerated: BTreeSet<(String, String)>,
}

/// How a version came to be known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// By the first list ever of its kind.
    First,
    /// By a list, after an absence.
    Again,
    /// The watch told of it, and of each before it.
    Watched,
}

/// All kinds, and what was decided and is not committed yet.
#[derive(Default)]
pub struct Table {
    kinds: BTreeMap<&'static Kind, State>,
    /// What is on record.
    shelves: Shelves,
    latest: BTreeMap<Place, Latest>,
    /// The present absence: since when, and entries found after it.
    missed: Option<(Timestamp, u64)>,
    /// As [`Absence::regenerated`], of the present absence.
    regenerated: BTreeSet<(String, String)>,
    /// Until then the present absence was told.
    told: Option<Timestamp>,
    entries: Vec<Entry>,
    /// Of each of these entries.
    versions: Vec<(Place, Version)>,
    /// Of laws that are on record, or among these entries.
    amendments: Vec<autogen::Amendment>,
    gaps: Vec<Gap>,
    absences: VecDeque<Absence>,
}

impl Table {
    /// As the ledger left it: laws oldest first, all of them from `begins` on, and the
    /// state rows.
    #[must_use]
    pub fn load(laws: Vec<Recorded>, begins: Timestamp, state: &[(String, Vec<u8>)]) -> Table {
        let row = |key: &str| {
            let row = state.iter().find(|(of, _)| of == key);
            row.map_or(&b"null"[..], |(_, row)| row)
        };
        let mut table = Table {
            absences: serde_json::from_slice(row(ABSENCES)).unwrap_or_default(),
            ..Table::default()
        };
        table.shelves.begin(begins);
        for Recorded { entry, autogen } in laws {
            let Some(place) = entry.place() else { continue };
            for version in Version::of(&entry, &autogen) {
                table.shelves.put(place.clone(), version);
            }
            if entry.change == Change::Deleted {
                table.latest.remove(&place);
                continue;
            }
            let whole = entry.whole.is_none();
            let latest = Latest {
                id: entry.id,
                hash: entry.hash,
                uid: entry.uid,
                generation: entry.generation,
                api_version: entry.api_version,
                text: if whole { entry.text } else { Value::Null },
                autogen: autogen
                    .into_iter()
                    .last()
                    .map(|made| (made.autogen, made.whole)),
            };
            table.latest.insert(place, latest);
        }
        let known: BTreeMap<String, i64> = serde_json::from_slice(row(KNOWN)).unwrap_or_default();
        for kind in &KINDS {
            let until = known.get(&kind.full());
            if let Some(until) = until.and_then(|at| Timestamp::from_millisecond(*at).ok()) {
                table.kinds.entry(kind).or_default().known = Some(until);
                table.shelves.away(kind, Some(until));
            }
        }
        table
    }

    /// The API server serves this kind, and it is going to be watched.
    pub fn served(&mut self, kind: &'static Kind) {
        self.kinds.entry(kind).or_default().unserved = false;
    }

    /// All objects of a kind, as they were when they were asked for.
    pub fn listed(
        &mut self,
        kind: &'static Kind,
        objects: Vec<Object>,
        asked: Timestamp,
        now: Timestamp,
    ) {
        let state = self.kinds.entry(kind).or_default();
        let known = state.known.replace(asked);
        (state.listed, state.unserved) = (true, false);
        self.shelves.away(kind, None);
        let how = match known {
            Some(_) => How::Again,
            None => How::First,
        };
        let before = self.entries.len();
        let mut there = BTreeSet::new();
        for object in objects {
            there.insert(object.place.clone());
            self.version(object, now, known, how);
        }
        let gone = |place: &&Place| place.kind == kind && !there.contains(*place);
        let gone: Vec<Place> = self.latest.keys().filter(gone).cloned().collect();
        for place in gone {
            self.deleted(&place, "", now, known);
        }
        let found = (self.entries.len() - before) as u64;
        if let Some(known) = known {
            let (from, count) = self.missed.unwrap_or((known, 0));
            self.missed = Some((from.min(known), count + found));
        }
        self.settle(now);
    }

    /// The watch of a kind has told all that had happened until now.
    pub fn alive(&mut self, kind: &'static Kind, now: Timestamp) {
        let state = self.kinds.entry(kind).or_default();
        if state.listed {
            state.known = state.known.max(Some(now));
        }
    }

    /// A watch told of an object. `after`: perhaps late, the change came after that.
    pub fn apply(&mut self, object: Object, after: Option<Timestamp>, now: Timestamp) {
        self.alive(object.place.kind, now);
        self.version(object, now, after, How::Watched);
    }

    /// A watch told that an object is gone.
    pub fn delete(&mut self, object: &Object, after: Option<Timestamp>, now: Timestamp) {
        self.alive(object.place.kind, now);
        self.deleted(&object.place, &object.resource_version, now, after);
    }

    /// True if the watch of a kind is believed to tell everything.
    #[must_use]
    pub fn believed(&self, kind: &'static Kind) -> bool {
        self.kinds.get(kind).is_some_and(|state| state.listed)
    }

    /// A watch broke: from its last sign of life on, nobody looked.
    pub fn broke(&mut self, kind: &'static Kind) {
        let state = self.kinds.entry(kind).or_default();
        if state.listed {
            state.listed = false;
            self.shelves.away(kind, state.known);
        }
    }

    /// The API server serves this kind no longer, or not yet. What there was of it is
    /// gone once two looks agree: while a server starts, a group may be late.
    pub fn unserved(&mut self, kind: &'static Kind, asked: Timestamp, now: Timestamp) {
        self.broke(kind);
        let state = self.kinds.entry(kind).or_default();
        let again = std::mem::replace(&mut state.unserved, true);
        let of_this = |place: &&Place| place.kind == kind;
        let places: Vec<Place> = self.latest.keys().filter(of_this).cloned().collect();
        if !again && !places.is_empty() {
            return;
        }
        let known = state.known.replace(asked);
        self.shelves.away(kind, None);
        for place in places {
            self.deleted(&place, "", now, known);
        }
        self.settle(now);
    }

    /// Kinds that are served and have no list; the first of them by name.
    #[must_use]
    pub fn waiting(&self) -> Option<&'static Kind> {
        let waiting = |state: &State| !state.listed && !state.unserved;
        self.kinds
            .iter()
            .find_map(|(kind, state)| waiting(state).then_some(*kind))
    }

    /// An absence ends when every watch is back.
    fn settle(&mut self, now: Timestamp) {
        if self.waiting().is_some() {
            return;
        }
        let told = self.told.take();
        let regenerated = std::mem::take(&mut self.regenerated);
        if let Some((from, found)) = self.missed.take() {
            let from = from.max(told.unwrap_or(from));
            let changes = match found {
                0 => "everything was as before afterwards".to_owned(),
                1 => "1 change was found afterwards".to_owned(),
                _ => format!("{found} changes were found afterwards"),
            };
            let gap = gap(from, now).saying(format!(
                "policies were not watched; {changes}. A policy could have been changed and \
                 changed back meanwhile, or made and deleted"
            ));
            // Of a part of an absence it is not known what there was before.
            if found == 0 && told.is_none() {
                if self.absences.len() >= MOST {
                    self.absences.pop_front();
                }
                self.absences.push_back(Absence {
                    gap: gap.id.clone(),
                    from,
                    to: now,
                    regenerated,
                });
            }
            self.gaps.push(gap);
        }
    }

    /// An absence that has not ended is told in parts, by a process that has `begun` to
    /// watch so long ago.
    pub fn lasts(&mut self, begun: Timestamp, now: Timestamp) {
        let away = self.kinds.values();
        let away = away.filter(|state| !state.listed && !state.unserved);
        let known = away.filter_map(|state| state.known);
        let known = known.chain(self.missed.map(|(from, _)| from)).min();
        let Some(from) = known.map(|from| from.max(self.told.unwrap_or(from))) else {
            return;
        };
        if now.duration_since(from.max(begun)) >= LASTS {
            self.gaps.push(gap(from, now).saying(
                "policies are not watched, and it goes on: one could have been changed, made or \
                 deleted",
            ));
            self.told = Some(now);
        }
    }

    fn version(&mut self, object: Object, now: Timestamp, after: Option<Timestamp>, how: How) {
        let mut lines = Vec::new();
        let change = match self.latest.get_mut(&object.place) {
            None if how == How::First => Change::FirstSeen,
            None => Change::Created,
            Some(latest) => {
                let again = latest.uid != object.uid && !latest.uid.is_empty();
                if again {
                    lines.push("deleted and created again".to_owned());
                } else if latest.hash == object.hash {
                    // A certificate's rotation is a new generation too.
                    let rotates = matches!(object.body, Body::Configuration(_));
                    if latest.generation == object.generation || how != How::Again || rotates {
                        if latest.generation != object.generation && how == How::Again {
                            let Place { kind, name, .. } = &object.place;
                            self.regenerated.insert((kind.full(), name.clone()));
                        }
                        latest.generation = object.generation;
                        self.again(object, now, after);
                        return;
                    }
                    lines.push("changed, and changed back while nobody watched".to_owned());
                }
                Change::Changed
            }
        };
        let previous = self.latest.get(&object.place);
        lines.extend(match (change, previous) {
            (Change::Changed, Some(latest)) if latest.text.is_null() => {
                vec!["the text before it was too long to keep".to_owned()]
            }
            (Change::Changed, Some(latest)) => summary(&latest.text, &object.text),
            _ => first(&object.text),
        });
        let previous = previous.map(|latest| latest.id.clone());
        let place = &object.place;
        let (kept, whole) = text::kept(&object.text);
        let entry = Entry {
            id: law_id(
                place,
                previous.as_deref(),
                &object.hash,
                &object.resource_version,
            ),
            time: now,
            after,
            change,
            api_version: object.api_version.clone(),
            kind: place.kind.kind.to_owned(),
            namespace: place.namespace.clone(),
            name: place.name.clone(),
            uid: object.uid.clone(),
            resource_version: object.resource_version,
            generation: object.generation,
            hash: object.hash.clone(),
            previous,
            summary: lines,
            enforces: match &object.body {
                Body::Policy(policy) => policy.enforces,
                Body::Binding(binding) => binding.denies,
                _ => false,
            },
            text: kept,
            whole,
        };
        let latest = Latest {
            id: entry.id.clone(),
            hash: object.hash,
            uid: object.uid,
            generation: object.generation,
            api_version: object.api_version,
            text: object.text,
            autogen: None,
        };
        let version = Version {
            id: entry.id.clone(),
            at: now,
            after,
            change,
            body: object.body,
        };
        self.latest.insert(object.place.clone(), latest);
        self.autogen(&object.place, &object.autogen, now, after);
        self.versions.push((object.place, version));
        self.entries.push(entry);
    }

    /// The newest version is told again: more may be known of what it says, and Kyverno may
    /// have made something else of it.
    fn again(&mut self, object: Object, now: Timestamp, after: Option<Timestamp>) {
        let Object { place, body, .. } = object;
        let other = self.autogen(&place, &object.autogen, now, after);
        let mut newest = self.versions.iter_mut().rev();
        if let Some((_, version)) = newest.find(|(of, _)| *of == place) {
            version.body = body;
        } else if let Some(latest) = self.latest.get(&place).filter(|_| other) {
            let version = Version {
                id: latest.id.clone(),
                at: now,
                after,
                change: Change::Changed,
                body,
            };
            self.shelves.put(place, version);
        } else {
            self.shelves.refresh(&place, body);
        }
    }

    /// What Kyverno has made of the newest version becomes an amendment, if that is news.
    /// True if it had made something else of it before.
    fn autogen(
        &mut self,
        place: &Place,
        autogen: &Value,
        now: Timestamp,
        after: Option<Timestamp>,
    ) -> bool {
        let Some(latest) = self.latest.get_mut(place) else {
            return false;
        };
        let made = text::kept(autogen);
        let known = match &latest.autogen {
            None => made.0.is_null(),
            Some(known) => *known == made,
        };
        if known {
            return false;
        }
        let when = now.as_microsecond().to_string();
        let hash = made.1.as_ref().map(|whole| whole.sha256.clone());
        let hash = hash.unwrap_or_else(|| text::hash(&made.0));
        self.amendments.push(autogen::Amendment {
            id: id(&["amendment", autogen::KIND.name(), &latest.id, &hash, &when]),
            time: now,
            after,
            amends: latest.id.clone(),
            kind: autogen::KIND.into(),
            autogen: made.0.clone(),
            whole: made.1.clone(),
        });
        latest.autogen.replace(made).is_some()
    }

    fn deleted(
        &mut self,
        place: &Place,
        resource_version: &str,
        now: Timestamp,
        after: Option<Timestamp>,
    ) {
        let Some(latest) = self.latest.remove(place) else {
            return;
        };
        let id = law_id(place, Some(&latest.id), "deleted", "");
        self.entries.push(Entry {
            id: id.clone(),
            time: now,
            after,
            change: Change::Deleted,
            api_version: latest.api_version,
            kind: place.kind.kind.to_owned(),
            namespace: place.namespace.clone(),
            name: place.name.clone(),
            uid: latest.uid,
            resource_version: resource_version.to_owned(),
            generation: latest.generation,
            hash: String::new(),
            previous: Some(latest.id),
            summary: first(&latest.text)
                .into_iter()
                .map(|line| format!("was {line}"))
                .collect(),
            enforces: false,
            text: Value::Null,
            whole: None,
        });
        let version = Version {
            id,
            at: now,
            after,
            change: Change::Deleted,
            body: Body::Gone,
        };
        self.versions.push((place.clone(), version));
    }

    /// Absences whose gaps are on record, and may be closed by proof.
    pub fn absences(&self) -> impl Iterator<Item = &Absence> {
        let due = |absence: &Absence| self.gaps.iter().any(|gap| gap.id == absence.gap);
        self.absences.iter().filter(move |absence| !due(absence))
    }

    /// The proof is made, or can't be made any more.
    pub fn judged(&mut self, gap: &str) {
        self.absences.retain(|absence| absence.gap != gap);
    }

    /// The state row of the absences.
    #[must_use]
    pub fn unproven(&self) -> Vec<u8> {
        json(&self.absences)
    }

    /// True if there is such an object now.
    #[must_use]
    pub fn holds(&self, kind: &str, namespace: &str, name: &str) -> bool {
        let mut places = self.latest.keys();
        places.any(|place| {
            place.kind.full() == kind && place.namespace == namespace && place.name == name
        })
    }

    /// Entries and amendments that are not on record yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.entries.len() + self.amendments.len()
    }

    /// What Kyverno made of policies, to be committed with the first `entries` of what is
    /// due: after the laws, at most so many.
    #[must_use]
    pub fn amendments(&self, entries: usize, most: usize) -> &[autogen::Amendment] {
        let all = entries == self.entries.len();
        let room = most.saturating_sub(entries).min(self.amendments.len());
        if all { &self.amendments[..room] } else { &[] }
    }

    /// That was committed.
    pub fn amended(&mut self, amendments: usize) {
        self.amendments.drain(..amendments);
    }

    /// What is to be committed, at most so many entries; the gaps come with the last.
    #[must_use]
    pub fn due(&self, most: usize) -> (&[Entry], &[Gap]) {
        let entries = &self.entries[..self.entries.len().min(most)];
        let last = entries.len() == self.entries.len();
        (entries, if last { &self.gaps } else { &[] })
    }

    /// That was committed.
    pub fn committed(&mut self, entries: usize, gaps: usize) {
        self.entries.drain(..entries);
        for (place, version) in self.versions.drain(..entries) {
            self.shelves.put(place, version);
        }
        self.gaps.drain(..gaps);
    }

    /// The state row, for the transaction that brings the first `entries` of what is due.
    /// What is known and waits for a later one must be found again after a crash.
    #[must_use]
    pub fn known(&self, entries: usize) -> Vec<u8> {
        let mut known: BTreeMap<&'static Kind, Timestamp> = BTreeMap::new();
        for (kind, state) in &self.kinds {
            known.extend(state.known.map(|until| (*kind, until)));
        }
        for (place, version) in &self.versions[entries..] {
            if let Some(until) = known.get_mut(place.kind) {
                *until = version.since().min(*until);
            }
        }
        let known = known.into_iter();
        let known = known.map(|(kind, until)| (kind.full(), until.as_millisecond()));
        json(&known.collect::<BTreeMap<_, _>>())
    }

    /// The book of what is on record, without what was over before `time`. What is known
    /// and not on record yet is a doubt in it.
    pub fn book(&mut self, time: Timestamp, synced: bool) -> LawBook {
        self.shelves.forget(time);
        let mut shelves = self.shelves.clone();
        for (place, version) in &self.versions {
            shelves.pending(place.clone(), version.since());
        }
        shelves.book(synced)
    }
}

/// A time in which not all kinds were watched.
fn gap(from: Timestamp, to: Timestamp) -> Gap {
    let which = format!("{} {}", from.as_millisecond(), to.as_millisecond());
    Gap::new(SOURCE, Cause::LawWatchAway, &which, to).spanning(from, to)
}

/// The same version, observed twice, has the same id.
fn law_id(place: &Place, previous: Option<&str>, hash: &str, version: &str) -> String {
    id(&[
        "law",
        &place.kind.full(),
        &place.namespace,
        &place.name,
        previous.unwrap_or_default(),
        hash,
        version,
    ])
}

#[cfg(test)]
mod tests;
