//! The deniers that lost the race: Kyverno's Events, matched to denials on record.
//!
//! Validating hooks are asked side by side; the API server waits for all and names the
//! first that answered. Of the others only Kyverno's Events tell ([`Hearsay`]), and
//! these know neither request nor user. So hearsay belongs to a denial of the same
//! object in whose time it lies, and to none otherwise: it never makes a record.
//!
//! ```text
//!  denial ──▶ open ──┐ same object, time within        ┌─▶ amendment `other-denier`
//!                    ├─────────────────────────────────┤
//!  hearsay ─▶ near ─┘                                 └─▶ (after the wait) a round
//! ```
//!
//! Either may come first: an audit batch comes seconds to minutes after the Event, the
//! log file before it. An amendment is written as soon as hearsay fits; `exact` while
//! one denial fits, and amended to `ambiguous` for each if a second one turns up (a
//! retry within seconds). When the wait is over, [`rounds`] says whether there were no
//! others or that it can't be known.
//!
//! Everything here is bounded, and what falls out is counted: denials (the oldest are
//! then decided as not known, in a gap), hearsay, and both for one object, so that a
//! flood of one name costs no more than its length. Nothing of it needs the disk: open
//! denials are read again from the ledger after a restart, hearsay from the API server.

mod open;
mod rounds;
mod words;

use super::{Told, law};
use docket_ledger::entry::{Class, NewEntry};
use docket_ledger::store::{Positions, Store, StoreError};
use docket_record::denial::{Attribution, Grade, Personal, Public};
use docket_record::kyverno_event::Hearsay;
use docket_record::others::{Others, others};
use jiff::{SignedDuration, Timestamp};
use open::{Open, key};
use rounds::Missing;
use std::collections::{BTreeSet, HashMap, VecDeque};

/// Denials kept, open ones included.
const DENIALS: usize = 65_536;
/// Hearsay kept.
const HEARSAY: usize = 16_384;
/// Denials kept of one object. Controllers and people that try again do so more slowly
/// than this many times within [`AFTER`].
const DENIALS_OF_ONE: usize = 16;
/// Hearsay kept of one object.
const HEARSAY_OF_ONE: usize = 64;
/// How long a denial or hearsay waits for its counterpart: longer than the API server
/// tries to deliver a batch.
pub const KEPT: SignedDuration = SignedDuration::from_mins(15);
/// Kyverno takes an Event's time before it answers, and the API server waits for all
/// answers. So it lies within the request; this is for clocks that differ.
const BEFORE: SignedDuration = SignedDuration::from_millis(500);
/// The same at the other end.
const AFTER: SignedDuration = SignedDuration::from_secs(3);
/// Ledger rows read at a time when it is opened.
const PAGE: u32 = 500;

/// Hearsay that was heard, and the denials it fits.
struct Heard {
    hearsay: Hearsay,
    at: Timestamp,
    fits: Vec<u64>,
}

/// What is known of one object: numbers of its denials, and what was heard of it.
#[derive(Default)]
struct Near {
    denials: VecDeque<u64>,
    heard: VecDeque<Heard>,
}

/// Denials that fell out before they were decided.
struct Dropped {
    count: u64,
    last: String,
    from: Timestamp,
    to: Timestamp,
}

/// The deciding core of deniers.
pub struct Deniers {
    wait: Option<SignedDuration>,
    /// By number; the first has number `first`.
    open: VecDeque<Open>,
    first: u64,
    /// Number of the oldest denial that is not decided.
    waiting: u64,
    near: HashMap<[u8; 16], Near>,
    /// Objects of hearsay, in the order in which these were heard.
    order: VecDeque<([u8; 16], Timestamp)>,
    /// Numbers of denials of which something new is known.
    changed: BTreeSet<u64>,
    /// Denials of the batch that is being put together: place in it, number.
    fresh: Vec<(usize, u64)>,
    dropped: Option<Dropped>,
    missing: Missing,
    next_round: Timestamp,
}

impl Deniers {
    /// Take up what the store knows: denials that were not decided yet. `wait` is how
    /// long each waits for Events, from now on at the least; `None` if no Events are
    /// heard at all.
    ///
    /// # Errors
    /// If the store can't be read.
    pub fn load(
        store: &Store,
        wait: Option<SignedDuration>,
        now: Timestamp,
    ) -> Result<Deniers, StoreError> {
        let mut deniers = Deniers {
            wait,
            open: VecDeque::new(),
            first: 0,
            waiting: 0,
            near: HashMap::new(),
            order: VecDeque::new(),
            changed: BTreeSet::new(),
            fresh: Vec::new(),
            dropped: None,
            missing: Missing::load(store)?,
            next_round: now,
        };
        let mut from = store.others_reached()?.map_or(0, |reached| reached + 1);
        loop {
            let rows = store.scan(from, PAGE)?;
            let Some(last) = rows.last() else {
                return Ok(deniers);
            };
            from = last.position + 1;
            for row in rows.iter().filter(|row| row.class == Class::Denial) {
                let Ok(public) = serde_json::from_slice::<Public>(&row.public) else {
                    continue;
                };
                let personal: Option<Personal> = row
                    .personal
                    .as_deref()
                    .and_then(|bytes| serde_json::from_slice(bytes).ok());
                deniers.push(&public, personal.as_ref(), now);
            }
        }
    }

    /// A denial at this place of the batch.
    pub fn denial(&mut self, public: &Public, personal: &Personal, place: usize, now: Timestamp) {
        if let Some(number) = self.push(public, Some(personal), now) {
            self.fresh.push((place, number));
        }
    }

    fn push(
        &mut self,
        public: &Public,
        personal: Option<&Personal>,
        now: Timestamp,
    ) -> Option<u64> {
        if others(public) != Others::Told {
            return None;
        }
        let open = Open::new(public, personal, now)?;
        while self.open.len() >= DENIALS {
            self.forget_oldest();
        }
        let number = self.first + self.open.len() as u64;
        let near = self.near.entry(open.key).or_default();
        let (first, before) = (self.first, &self.open);
        if near
            .denials
            .iter()
            .any(|number| at(before, first, *number).is_some_and(|known| known.id == open.id))
        {
            // Delivered again; it waits already.
            return None;
        }
        for heard in &mut near.heard {
            if heard.fits.len() < DENIALS_OF_ONE && open.fits(&heard.hearsay) {
                // The second one makes it ambiguous for the first; a third is no news to them.
                if heard.fits.len() == 1 {
                    self.changed.extend(&heard.fits);
                }
                heard.fits.push(number);
                self.changed.insert(number);
            }
        }
        if near.denials.len() >= DENIALS_OF_ONE {
            near.denials.pop_front();
        }
        near.denials.push_back(number);
        self.open.push_back(open);
        Some(number)
    }

    /// What Kyverno said. The same Event is heard once.
    pub fn hear(&mut self, hearsay: Hearsay, now: Timestamp, told: &mut Told) {
        let key = key(
            &hearsay.group,
            &hearsay.resource,
            &hearsay.namespace,
            &hearsay.name,
        );
        let mut count = |outcome| *told.kyverno_events.entry(outcome).or_default() += 1;
        let near = self.near.entry(key).or_default();
        if near
            .heard
            .iter()
            .any(|heard| heard.hearsay.uid == hearsay.uid)
        {
            count("again");
            return;
        }
        count("heard");
        let (first, open) = (self.first, &self.open);
        let fits: Vec<u64> = near
            .denials
            .iter()
            .copied()
            .filter(|number| at(open, first, *number).is_some_and(|denial| denial.fits(&hearsay)))
            .collect();
        self.changed.extend(&fits);
        near.heard.push_back(Heard {
            hearsay,
            at: now,
            fits,
        });
        self.order.push_back((key, now));
        if near.heard.len() > HEARSAY_OF_ONE {
            count("crowded_out");
            near.heard.pop_front();
        }
        if self.order.len() > HEARSAY {
            count("crowded_out");
            self.forget_hearsay(told);
        }
    }

    /// A change of a policy has come to be known: what was heard of it at about that time
    /// may be owed to either version.
    pub(super) fn law(&mut self, law: &law::Seen) {
        for heard in self.near.values_mut().flat_map(|near| &mut near.heard) {
            let time = heard.hearsay.time;
            if law.doubts(&mut heard.hearsay.attribution, time) {
                self.changed.extend(&heard.fits);
            }
        }
    }

    /// Amendments for all that has become known since the last time.
    pub fn settle(&mut self, now: Timestamp, entries: &mut Vec<NewEntry>) {
        for number in std::mem::take(&mut self.changed) {
            let (first, open) = (self.first, &mut self.open);
            let Some(denial) = number
                .checked_sub(first)
                .and_then(|index| open.get_mut(usize::try_from(index).ok()?))
            else {
                continue;
            };
            let Some(near) = self.near.get(&denial.key) else {
                continue;
            };
            let about = near
                .heard
                .iter()
                .filter(|heard| heard.fits.contains(&number));
            for (attribution, times, heard) in denial.learn(about) {
                let (id, seen) = (&denial.id, &heard.hearsay);
                entries.push(words::other_denier(id, &attribution, times, seen, now));
            }
        }
    }

    /// Where the denials of the batch landed. Those that were on record before are no
    /// news, and nothing waits for them.
    pub fn placed(&mut self, positions: &Positions) {
        for (place, number) in std::mem::take(&mut self.fresh) {
            if positions.get(place).is_some_and(Result::is_err)
                && let Some(index) = number.checked_sub(self.first)
                && let Some(denial) = usize::try_from(index)
                    .ok()
                    .and_then(|index| self.open.get_mut(index))
            {
                denial.repeated = true;
            }
        }
    }

    /// What was heard, for a core that takes this one's place.
    pub fn into_hearsay(self) -> Vec<Hearsay> {
        self.near
            .into_values()
            .flat_map(|near| near.heard)
            .map(|heard| heard.hearsay)
            .collect()
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.open.pop_front() else {
            return;
        };
        if self.first == self.waiting {
            self.waiting += 1;
            if !oldest.repeated {
                let dropped = self.dropped.get_or_insert_with(|| Dropped {
                    count: 0,
                    last: String::new(),
                    from: oldest.received,
                    to: oldest.stage,
                });
                dropped.count += 1;
                dropped.from = dropped.from.min(oldest.received);
                dropped.to = dropped.to.max(oldest.stage);
                dropped.last = oldest.id;
            }
        }
        let number = self.first;
        self.first += 1;
        if let Some(near) = self.near.get_mut(&oldest.key) {
            if near.denials.front() == Some(&number) {
                near.denials.pop_front();
            }
            if near.denials.is_empty() && near.heard.is_empty() {
                self.near.remove(&oldest.key);
            }
        }
    }

    fn forget_hearsay(&mut self, told: &mut Told) {
        let Some((key, at)) = self.order.pop_front() else {
            return;
        };
        let Some(near) = self.near.get_mut(&key) else {
            return;
        };
        // One that its own object crowded out is gone already.
        if near.heard.front().is_some_and(|heard| heard.at <= at)
            && let Some(heard) = near.heard.pop_front()
            && heard.fits.is_empty()
        {
            *told.kyverno_events.entry("alone").or_default() += 1;
        }
        if near.denials.is_empty() && near.heard.is_empty() {
            self.near.remove(&key);
        }
    }
}

fn at(open: &VecDeque<Open>, first: u64, number: u64) -> Option<&Open> {
    open.get(usize::try_from(number.checked_sub(first)?).ok()?)
}

/// An attribution for this denial, of several that the Event fits or of one.
fn graded(hearsay: &Hearsay, fits: usize) -> Attribution {
    let mut attribution = hearsay.attribution.clone();
    if fits > 1 && attribution.grade != Some(Grade::Ambiguous) {
        attribution.grade = Some(Grade::Ambiguous);
        attribution.doubt =
            format!("the Event fits {fits} denials of this object that came close together");
    }
    attribution
}
