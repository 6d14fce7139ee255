//! When the wait is over: none were seen, or it is not known.
//!
//! Denials are decided in the order in which they were written, many in one round, so
//! that "none seen" costs no entry for each:
//!
//! * `others-through` amends the last denial of a round and speaks of all denials up to
//!   it, after the one that the round before reached: those whose named policy must
//!   leave an Event and that have no word of their own are of this `state`.
//! * `others` amends a denial that is of another state than most of its round.
//!
//! One state is the proof: the denial's own Event came, so others' would have come too
//! (`none-seen`, or `seen`). The other is its absence (`not-known`): Kyverno was told to
//! omit these Events, dropped them, or our watch was away. Then there is a gap as well,
//! one for each span: at once for the first round of a drought, then after growing
//! pauses, so that a cluster without these Events gets one an hour and not one a denial.

use super::open::Proof;
use super::{Deniers, Dropped, KEPT, Told, words};
use crate::gaps::{Cause, Gap, json};
use docket_ledger::entry::NewEntry;
use docket_ledger::store::{Store, StoreError};
use docket_record::entry::amendment::{AmendmentKind, OthersState};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// State row: what is missing and not yet in a gap.
const MISSING: &str = "deniers/missing";
/// Name of the source in gaps.
const SOURCE: &str = "kyverno-events";
/// Between two rounds, at most; a quarter of the wait if that is less.
const ROUND: SignedDuration = SignedDuration::from_secs(15);
/// Between two gaps of one drought, at most.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// Denials whose own Event did not come, and that no gap speaks of yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Missing {
    count: u64,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    /// Id of the last of them; tells this gap from others.
    last: String,
    /// Of the drought: when its next gap is due, and the pause after that.
    next: Option<Timestamp>,
    pause: i64,
}

impl Missing {
    pub(super) fn load(store: &Store) -> Result<Missing, StoreError> {
        let bytes = store.state(MISSING)?;
        Ok(bytes
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default())
    }

    fn add(&mut self, count: u64, last: &str, from: Timestamp, to: Timestamp) {
        self.count += count;
        last.clone_into(&mut self.last);
        self.from = Some(self.from.map_or(from, |known| known.min(from)));
        self.to = Some(self.to.map_or(to, |known| known.max(to)));
    }

    /// The gap, if one is due.
    fn gap(&mut self, now: Timestamp) -> Option<Gap> {
        let (from, to) = (self.from?, self.to?);
        if self.next.is_some_and(|next| now < next) {
            return None;
        }
        let pause = SignedDuration::from_secs(self.pause * 2)
            .max(ROUND)
            .min(LONGEST_PAUSE);
        let gap = Gap::new(SOURCE, Cause::EventsMissing, &self.last, now)
            .spanning(from, to)
            .counting(self.count)
            .saying(
                "of this many denials the policy that is named left no Event, though it must: \
                 whether others would have denied too is not known. See Kyverno's flags \
                 --omitEvents and --maxQueuedEvents, and that the reporter may watch Events",
            );
        *self = Missing {
            next: now.checked_add(pause).ok(),
            pause: pause.as_secs(),
            ..Missing::default()
        };
        Some(gap)
    }

    /// An Event came that had to: the drought is over; what is missing is told at once.
    fn end(&mut self) {
        (self.next, self.pause) = (None, 0);
    }
}

impl Deniers {
    /// Time passes: what has waited long enough is decided.
    pub fn round(
        &mut self,
        now: Timestamp,
        entries: &mut Vec<NewEntry>,
        state: &mut Vec<(String, Option<Vec<u8>>)>,
        told: &mut Told,
    ) {
        let wait = self.wait.unwrap_or(SignedDuration::ZERO);
        if now < self.next_round {
            return;
        }
        self.next_round = now.checked_add(ROUND.min(wait / 4)).unwrap_or(now);
        self.forget_old(now, told);
        let before = self.missing.clone();
        let mut decided: Vec<(String, bool, bool)> = Vec::new();
        let mut reached: Option<String> = None;
        let dropped = self.dropped.take();
        if let Some(Dropped {
            count,
            last,
            from,
            to,
        }) = &dropped
        {
            self.missing.add(*count, last, *from, *to);
            *told.deniers.entry("dropped").or_default() += count;
            reached = Some(last.clone());
        }
        let mut proven = false;
        while let Some(denial) = super::at(&self.open, self.first, self.waiting)
            && now.duration_since(denial.since) >= wait
        {
            self.waiting += 1;
            if denial.repeated {
                continue;
            }
            reached = Some(denial.id.clone());
            // Without ears nothing is proved and nothing is missing.
            let proof = match denial.proof() {
                Proof::Missing if self.wait.is_none() => Proof::Untold,
                proof => proof,
            };
            let known = match proof {
                Proof::NotDue => continue,
                Proof::All => true,
                Proof::Untold => false,
                Proof::Missing => {
                    let to = denial.stage;
                    self.missing.add(1, &denial.id, denial.received, to);
                    false
                }
            };
            proven |= known;
            let outcome = match (known, denial.has_others()) {
                (false, _) => "not_known",
                (true, true) => "seen",
                (true, false) => "none_seen",
            };
            *told.deniers.entry(outcome).or_default() += 1;
            decided.push((denial.id.clone(), known, denial.has_others()));
        }
        if proven {
            self.missing.end();
        }
        // What was dropped can have no word of its own.
        let most = decided.iter().filter(|(_, known, _)| *known).count() * 2 >= decided.len();
        let default = most && dropped.is_none();
        for (id, known, seen) in &decided {
            if *known != default {
                let state = state_of(*known, *seen);
                entries.push(words::others(AmendmentKind::Others, id, state, now));
            }
        }
        if let Some(reached) = reached {
            let state = state_of(default, false);
            let kind = AmendmentKind::OthersThrough;
            entries.push(words::others(kind, &reached, state, now));
        }
        if let Some(gap) = self.missing.gap(now) {
            *told.gaps.entry(gap.cause.name()).or_default() += 1;
            entries.push(gap.entry());
        }
        if self.missing != before {
            state.push((MISSING.to_owned(), Some(json(&self.missing))));
        }
    }

    /// Decided denials and hearsay whose counterpart will not come any more.
    fn forget_old(&mut self, now: Timestamp, told: &mut Told) {
        while self.first < self.waiting
            && let Some(oldest) = self.open.front()
            && now.duration_since(oldest.since) > KEPT
        {
            self.forget_oldest();
        }
        while let Some((_, at)) = self.order.front()
            && now.duration_since(*at) > KEPT
        {
            self.forget_hearsay(told);
        }
    }
}

fn state_of(known: bool, seen: bool) -> OthersState {
    match (known, seen) {
        (false, _) => OthersState::NotKnown,
        (true, true) => OthersState::Seen,
        (true, false) => OthersState::NoneSeen,
    }
}
