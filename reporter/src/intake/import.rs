//! Imports beside the live stream: what they may claim, and which of their records are of
//! a request that is on record already.
//!
//! A raw event has one id by whatever way it comes, so there is nothing to do. A derived
//! one ([`docket_record::audit::Derived`]) has an id of its own: it is linked by an
//! amendment on both records, and neither is merged or suppressed.

use crate::gaps::{Amendment, json};
use docket_ledger::store::{Batch, Near, Store, StoreError};
use docket_record::denial::{Personal, Public, Record, TestimonyState};
use docket_record::examine::{Finding, Outcome, Sworn};
use docket_record::testimony::{FINAL, WITNESS};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// State row: between which times there are derived records.
const DERIVED: &str = "import/derived";
/// How far apart the times of one request may be in two sources: it takes a minute at
/// most, and a log service may give the time at which it took the entry.
const APART: SignedDuration = SignedDuration::from_secs(120);
/// Most testimonies of one record that are looked for.
const REVIEWS: usize = 16;

/// How an event came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// From the API server.
    Live,
    /// Its own bytes, from a file.
    Raw,
    /// Put together from an export that says less.
    Derived,
}

impl How {
    pub(super) fn of(imported: bool, finding: &Finding) -> How {
        match (finding.derived, imported) {
            (true, _) => How::Derived,
            (false, true) => How::Raw,
            (false, false) => How::Live,
        }
    }
}

/// Times in milliseconds, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Span {
    from: i64,
    to: i64,
}

/// What tells that two records are of one request.
#[derive(Clone, Debug)]
struct Mark {
    id: String,
    derived: bool,
    time: Timestamp,
    namespace: String,
    /// Annotation keys and values of verified testimonies: the keys hold review uids.
    reviews: BTreeMap<String, String>,
    audit_id: String,
    /// Verb, group, resource, subresource.
    what: [String; 4],
}

/// Links between records.
pub(super) struct Links {
    derived: Option<Span>,
    changed: bool,
    /// Records of this commit that may have a counterpart.
    noted: Vec<Mark>,
    /// Testimonies of derived records of this commit.
    pending: BTreeSet<String>,
}

impl Links {
    pub(super) fn load(store: &Store) -> Result<Links, StoreError> {
        let row = store.state(DERIVED)?;
        Ok(Links {
            derived: row.and_then(|bytes| serde_json::from_slice(&bytes).ok()),
            changed: false,
            noted: Vec::new(),
            pending: BTreeSet::new(),
        })
    }

    /// True if a derived record may lie near that time. Nothing live ever does, but in a
    /// cluster whose exports are imported within minutes.
    fn near_derived(&self, time: Timestamp) -> bool {
        let apart = i64::try_from(APART.as_millis()).unwrap_or(i64::MAX);
        let time = time.as_millisecond();
        self.derived
            .is_some_and(|span| span.from - apart <= time && time <= span.to + apart)
    }

    /// A number of this event came before: was that in another event (true), or in a
    /// derived one of the same request?
    pub(super) fn is_another(
        &self,
        finding: &Finding,
        how: How,
        store: &Store,
    ) -> Result<bool, StoreError> {
        let Outcome::Record(record) = &finding.outcome else {
            return Ok(false);
        };
        if how == How::Derived {
            return Ok(false);
        }
        if !self.near_derived(finding.time) {
            return Ok(true);
        }
        let mark = mark(record, &finding.sworn, finding.time);
        if mark.reviews.keys().any(|key| self.pending.contains(key)) {
            return Ok(false);
        }
        let mut derived = false;
        for other in mark.neighbours(store)? {
            if other.shares(&mark) {
                if !other.derived {
                    return Ok(true);
                }
                derived = true;
            }
        }
        Ok(!derived)
    }

    /// Remember a record of this commit, if it may have a counterpart.
    pub(super) fn note(&mut self, record: &Record, sworn: &[Sworn], time: Timestamp) {
        let derived = !record.public.derived.is_empty();
        if !derived && !self.near_derived(time) {
            return;
        }
        let mark = mark(record, sworn, time);
        if derived {
            let at = time.as_millisecond();
            let span = self.derived.map_or(Span { from: at, to: at }, |span| Span {
                from: span.from.min(at),
                to: span.to.max(at),
            });
            if self.derived != Some(span) {
                self.derived = Some(span);
                self.changed = true;
            }
            self.pending.extend(mark.reviews.keys().cloned());
        }
        self.noted.push(mark);
    }

    /// Rows that must be written with the entries.
    pub(super) fn state(&mut self) -> Option<(String, Option<Vec<u8>>)> {
        let changed = std::mem::take(&mut self.changed);
        let span = self.derived.filter(|_| changed)?;
        Some((DERIVED.to_owned(), Some(json(&span))))
    }

    /// Link what was noted, now that it is in the store. Where this is cut short the
    /// events are not acknowledged, and come again.
    pub(super) fn settle(&mut self, store: &Store, now: Timestamp) -> Result<Batch, StoreError> {
        self.pending.clear();
        let mut batch = Batch::default();
        for mark in std::mem::take(&mut self.noted) {
            for other in mark.neighbours(store)? {
                let Some(because) = mark.same_as(&other) else {
                    continue;
                };
                for (one, two) in [(&mark, &other), (&other, &mark)] {
                    let link = Amendment::same_request(&one.id, &two.id, because, now);
                    batch.entries.push(link.entry());
                }
            }
        }
        Ok(batch)
    }
}

fn mark(record: &Record, sworn: &[Sworn], time: Timestamp) -> Mark {
    let numbered = sworn.iter().filter(|one| one.testimony.number.is_some());
    let keys = numbered.take(REVIEWS);
    let keys = keys.map(|one| format!("{}/{}", one.hook, one.uid));
    let said: BTreeMap<&str, &str> = record.personal.annotations().collect();
    let reviews = keys.map(|key| {
        let value = said.get(key.as_str()).copied().unwrap_or_default();
        (key, value.to_owned())
    });
    Mark::new(
        record.id.to_string(),
        &record.public,
        &record.personal,
        time,
        reviews.collect(),
    )
}

impl Mark {
    fn new(
        id: String,
        public: &Public,
        personal: &Personal,
        time: Timestamp,
        reviews: BTreeMap<String, String>,
    ) -> Mark {
        let what = [
            &public.verb,
            &public.group,
            &public.resource,
            &public.subresource,
        ];
        Mark {
            id,
            derived: !public.derived.is_empty(),
            time,
            namespace: public.namespace.clone(),
            reviews,
            audit_id: personal.audit_id().unwrap_or_default().to_owned(),
            what: what.map(Clone::clone),
        }
    }

    /// Records of the store that may be of the same request.
    fn neighbours(&self, store: &Store) -> Result<Vec<Mark>, StoreError> {
        let mut words: Vec<&[u8]> = self.reviews.keys().map(String::as_bytes).collect();
        if !self.audit_id.is_empty() {
            words.push(self.audit_id.as_bytes());
        }
        let found = store.near(&self.namespace, self.time, APART, &words)?;
        let others = found.iter().filter(|near| near.id != self.id);
        Ok(others.filter_map(stored).collect())
    }

    /// One verified testimony, the same bytes in both.
    fn shares(&self, other: &Mark) -> bool {
        self.reviews
            .iter()
            .any(|(key, value)| other.reviews.get(key) == Some(value))
    }

    /// Why the two are of one request, if they seem to be. Two raw events never are.
    fn same_as(&self, other: &Mark) -> Option<&'static str> {
        if !self.derived && !other.derived {
            return None;
        }
        if self.shares(other) {
            return Some("both carry the same testimony");
        }
        let one_is_without = self.reviews.is_empty() || other.reviews.is_empty();
        let same_id = !self.audit_id.is_empty() && self.audit_id == other.audit_id;
        (one_is_without && same_id && self.what == other.what)
            .then_some("a guess: the audit id is the same, which a client may choose")
    }
}

/// A record of the store as a mark.
fn stored(near: &Near) -> Option<Mark> {
    let public: Public = serde_json::from_slice(&near.public).ok()?;
    let personal: Personal = serde_json::from_slice(near.personal.as_deref()?).ok()?;
    let believed = matches!(
        public.testimony,
        TestimonyState::Verified | TestimonyState::Disputed
    );
    let ours = |key: &str| {
        [WITNESS, FINAL].iter().any(|hook| {
            key.strip_prefix(hook)
                .is_some_and(|rest| rest.starts_with('/'))
        })
    };
    let annotations = personal.annotations();
    let reviews = annotations.filter(|(key, _)| believed && ours(key));
    let reviews = reviews.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let time = public.time.parse().ok()?;
    Some(Mark::new(
        near.id.clone(),
        &public,
        &personal,
        time,
        reviews.collect(),
    ))
}
