//! Numbers whose audit event has not come: what they were given for, and whether the event
//! of that very request came after all, without our annotation.
//!
//! A client that hangs up while our hook is called makes its number stay away, and so does
//! every answer of ours that the API server did not take. The event of such a request is
//! here, only the testimony is not: nothing is missing. So the witness is asked what a
//! missing number was given for, and an event that fits and lacks the testimony of that
//! hook explains it; one event explains at most one number of each hook. What stays
//! unexplained becomes a gap that names the write.
//!
//! All of it is bounded, and none of it is needed to be right: what has no room, or was
//! forgotten in a restart, is a gap where none was needed, or one without a name.

mod declared;
mod events;
mod wanted;

pub use wanted::{Answered, NumbersToAsk};

use crate::gaps::Gap;
use crate::numbers::{Hole, Seen};
use declared::Declared;
use docket_ledger::store::{Store, StoreError};
use docket_record::denial::DenialId;
use docket_record::examine::Unannotated;
use docket_record::numbers::NumberedReview;
use docket_record::testimony::Process;
use events::Events;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Numbers that a witness was asked about, all processes together.
const ASKED: usize = 8192;
/// Those of one process.
const ASKED_OF_ONE: usize = 4096;
/// A number is asked about after a quarter of the wait, and after so long at the latest:
/// most events take seconds.
const PATIENCE: SignedDuration = SignedDuration::from_secs(30);
/// Between two questions about a number whose witness did not answer.
const RETRY: SignedDuration = SignedDuration::from_secs(10);
/// A gap waits so long for the answer about its numbers, where they were asked about late.
const GRACE: SignedDuration = SignedDuration::from_secs(5);
/// Events are remembered for twice the wait and so much longer.
const LONGER: SignedDuration = SignedDuration::from_mins(5);
/// Where holes are declared to make room, it is the oldest ones: so many numbers of them.
const OLDEST: usize = 256;
/// Writes that one gap names.
const NAMED: usize = 64;

/// A number that is missed.
#[derive(Clone, Debug)]
struct Asked {
    since: Timestamp,
    tried: Option<Timestamp>,
    /// What the witness said; within it `None` if it no longer knows.
    answer: Option<Option<NumberedReview>>,
}

/// A number, and when it was given, that an event explains.
pub(super) type Explained = (Process, u64, Timestamp);

/// What became of numbers that stayed away, as counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Naming {
    pub named: u64,
    pub unnamed: u64,
}

/// All that is known of missing numbers.
pub(super) struct Missing {
    wait: SignedDuration,
    asked: BTreeMap<Process, BTreeMap<u64, Asked>>,
    events: Events,
    declared: Declared,
    to_ask: Arc<NumbersToAsk>,
}

impl Missing {
    pub(super) fn load(store: &Store, wait: SignedDuration) -> Result<Missing, StoreError> {
        Ok(Missing {
            wait,
            asked: BTreeMap::new(),
            events: Events::default(),
            declared: Declared::load(store)?,
            to_ask: Arc::default(),
        })
    }

    /// Say here what is to be asked.
    pub(super) fn share(&mut self, to_ask: Arc<NumbersToAsk>) {
        self.to_ask = to_ask;
    }

    /// An event without a testimony of ours. What it explains of numbers that are declared
    /// missing is returned; for those that may be missed it is remembered if it is `recent`.
    pub(super) fn event(
        &mut self,
        mut unannotated: Unannotated,
        id: &DenialId,
        recent: bool,
        now: Timestamp,
    ) -> Vec<Explained> {
        let explained = self.declared.explain(&mut unannotated);
        if recent {
            self.events.put(unannotated, id, now);
        }
        explained
    }

    /// A declared number has come.
    pub(super) fn came(&mut self, process: &Process, number: u64) {
        self.declared.remove(process, number);
    }

    /// What a witness said.
    pub(super) fn answered(&mut self, answered: Answered) {
        let Answered {
            process,
            numbers,
            reviews,
        } = answered;
        let Some(asked) = self.asked.get_mut(&process) else {
            return;
        };
        let mut known: BTreeMap<u64, NumberedReview> = reviews
            .into_iter()
            .map(|review| (review.number, review))
            .collect();
        for number in numbers {
            if let Some(one) = asked.get_mut(&number) {
                one.answer = Some(known.remove(&number));
            }
        }
    }

    /// Time passes: the witnesses are to be asked about numbers that stay away.
    pub(super) fn ask(&mut self, numbers: &BTreeMap<Process, Seen>, now: Timestamp) {
        self.events.prune(now, self.wait * 2 + LONGER);
        let mut before = std::mem::take(&mut self.asked);
        if !self.to_ask.is_served() {
            return;
        }
        let mut room = ASKED;
        for (process, seen) in numbers.iter().filter(|(_, seen)| seen.waiting()) {
            let patience = if seen.is_crowded() {
                SignedDuration::ZERO
            } else {
                PATIENCE.min(self.wait / 4)
            };
            let awaited = seen.awaited(ago(now, patience), room.min(ASKED_OF_ONE));
            room -= awaited.len();
            let mut known = before.remove(process).unwrap_or_default();
            let mut ask = Vec::new();
            let asked: BTreeMap<u64, Asked> = awaited
                .into_iter()
                .map(|number| {
                    let mut one = known.remove(&number).unwrap_or(Asked {
                        since: now,
                        tried: None,
                        answer: None,
                    });
                    let again = one.tried.is_none_or(|tried| past(tried, RETRY, now));
                    if one.answer.is_none() && again {
                        one.tried = Some(now);
                        ask.push(number);
                    }
                    (number, one)
                })
                .collect();
            self.to_ask.add(process, ask);
            if !asked.is_empty() {
                self.asked.insert(process.clone(), asked);
            }
        }
    }

    /// Numbers that events explain. They are held against each other when most events that
    /// are late have come, or the number is about to be declared missing, as of `as_of`.
    pub(super) fn explain(
        &mut self,
        numbers: &BTreeMap<Process, Seen>,
        as_of: Timestamp,
        now: Timestamp,
    ) -> Vec<Explained> {
        if self.events.is_empty() {
            return Vec::new();
        }
        let ripens = PATIENCE.min(self.wait / 4);
        let mut ripe: Vec<(&Process, &NumberedReview)> = Vec::new();
        for (process, asked) in &self.asked {
            let Some(seen) = numbers.get(process) else {
                continue;
            };
            let overdue: BTreeSet<u64> = seen
                .awaited(ago(as_of, self.wait), ASKED_OF_ONE)
                .into_iter()
                .collect();
            let is_ripe = |number: &u64, one: &Asked| {
                seen.is_crowded() || past(one.since, ripens, now) || overdue.contains(number)
            };
            let answers = asked.iter().filter(|(number, one)| is_ripe(number, one));
            let known = answers.filter_map(|(_, one)| one.answer.as_ref()?.as_ref());
            ripe.extend(known.map(|review| (process, review)));
        }
        // By time, and each takes the event that ends first: so the most are explained.
        ripe.sort_by_key(|(_, review)| review.time);
        let explained = ripe
            .into_iter()
            .filter(|(_, review)| self.events.take(review));
        explained
            .map(|(process, review)| (process.clone(), review.number, review.time))
            .collect()
    }

    /// True while the numbers of this process that are about to be declared missing are
    /// being asked about.
    pub(super) fn holds(
        &self,
        process: &Process,
        seen: &Seen,
        as_of: Timestamp,
        now: Timestamp,
    ) -> bool {
        let Some(asked) = self.asked.get(process) else {
            return false;
        };
        let pending = |one: &Asked| one.answer.is_none() && !past(one.since, GRACE, now);
        let overdue = seen.awaited(ago(as_of, self.wait), ASKED_OF_ONE);
        let mut overdue = overdue.iter().filter_map(|number| asked.get(number));
        overdue.any(pending) || seen.is_full() && asked.values().take(OLDEST).any(pending)
    }

    /// The gap of a hole, with the writes that are missing, as far as they are known.
    pub(super) fn name(&mut self, process: &Process, hole: &Hole, gap: Gap) -> (Gap, Naming) {
        let mut named = Vec::new();
        let (mut known, mut silent) = (0, 0);
        if let Some(asked) = self.asked.get(process) {
            let of_hole = asked.range(hole.first..=hole.last);
            for (_, one) in of_hole.filter(|(number, _)| hole.holds(**number)) {
                match &one.answer {
                    Some(Some(review)) => {
                        known += 1;
                        self.declared.add(process, review);
                        if named.len() < NAMED {
                            named.push(review.clone());
                        }
                    }
                    Some(None) => {}
                    None => silent += 1,
                }
            }
        }
        let naming = Naming {
            named: known,
            unnamed: hole.count.saturating_sub(known),
        };
        let mut gap = gap.naming(named);
        if !self.to_ask.is_served() {
            return (gap, naming);
        }
        let more = known.saturating_sub(NAMED as u64);
        let forgotten = naming.unnamed.saturating_sub(silent);
        for (count, why) in [
            (more, "more writes are known and not named here"),
            (
                silent,
                "were given by a witness that could not be asked what for",
            ),
            (forgotten, "were given for what no witness remembers"),
        ] {
            if count > 0 {
                gap = gap.also(&format!("{count} {why}"));
            }
        }
        (gap, naming)
    }

    /// Events that had to be forgotten since this was asked last.
    pub(super) fn dropped(&mut self) -> u64 {
        self.events.dropped()
    }

    /// The row that must be written with the entries.
    pub(super) fn state(&mut self) -> Option<(String, Option<Vec<u8>>)> {
        self.declared.state()
    }
}

/// True if more than `span` has passed since.
fn past(since: Timestamp, span: SignedDuration, now: Timestamp) -> bool {
    now.duration_since(since) >= span
}

fn ago(now: Timestamp, span: SignedDuration) -> Timestamp {
    now.checked_sub(span).unwrap_or(Timestamp::MIN)
}
