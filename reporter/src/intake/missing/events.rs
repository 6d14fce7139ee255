//! Events that came without a testimony of ours, by what they were about.

use docket_record::denial::DenialId;
use docket_record::examine::Unannotated;
use docket_record::numbers::{Hook, NumberedReview, RequestKey};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, VecDeque};

/// Events remembered; each takes some 200 bytes.
const EVENTS: usize = 65_536;
/// Events of the same write that are held against one number.
const CANDIDATES: usize = 256;

/// What was written and by whom; when the last review of it may have been; the event.
type Place = (RequestKey, i64, [u8; 32]);

/// The events of the last minutes.
#[derive(Default)]
pub(super) struct Events {
    /// What each still lacks: a testimony that was found to be a number's is no longer
    /// lacking. The event stays, so that it explains nothing when it comes again.
    by_request: BTreeMap<Place, Unannotated>,
    /// In the order of their arrival.
    order: VecDeque<(Timestamp, Place)>,
    dropped: u64,
}

impl Events {
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(super) fn put(&mut self, unannotated: Unannotated, id: &DenialId, now: Timestamp) {
        let place = (unannotated.request, unannotated.to.as_microsecond(), id.0);
        if self.by_request.contains_key(&place) {
            return;
        }
        if self.order.len() >= EVENTS
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.by_request.remove(&oldest);
            self.dropped += 1;
        }
        self.by_request.insert(place, unannotated);
        self.order.push_back((now, place));
    }

    /// True if an event explains the review: one that may be of its request, and lacks the
    /// testimony of its hook. From then on it lacks it no longer.
    pub(super) fn take(&mut self, review: &NumberedReview) -> bool {
        let first = (review.request, review.time.as_microsecond(), [0; 32]);
        let last = (review.request, i64::MAX, [u8::MAX; 32]);
        let near = self.by_request.range_mut(first..=last).take(CANDIDATES);
        for (_, unannotated) in near {
            if unannotated.may_be_of(review) {
                explained(unannotated, review.hook);
                return true;
            }
        }
        false
    }

    /// Forgets what came longer ago.
    pub(super) fn prune(&mut self, now: Timestamp, keep: SignedDuration) {
        while let Some((came, place)) = self.order.front() {
            if now.duration_since(*came) <= keep {
                return;
            }
            self.by_request.remove(place);
            self.order.pop_front();
        }
    }

    /// Events that had to make room since this was asked last.
    pub(super) fn dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

/// The testimony of this hook is accounted for.
pub(super) fn explained(unannotated: &mut Unannotated, hook: Hook) {
    match hook {
        Hook::Witness => unannotated.without_witness = false,
        Hook::Final => unannotated.without_final = false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Day;
    use crate::sources::testing::court;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    /// An event without testimonies, and the two reviews of its request.
    fn hung_up(day: &mut Day) -> (Unannotated, DenialId, Vec<NumberedReview>) {
        let (event, reviews) = day.hung_up();
        let list = crate::events::list(&[event]);
        let finding = court().delivery("api", &list, at(0)).findings.remove(0);
        (finding.unannotated.unwrap(), finding.id, reviews)
    }

    #[test]
    fn more_events_than_there_is_room_for_push_out_the_oldest_and_are_counted() {
        let (unannotated, id, reviews) = hung_up(&mut Day::new(at(0)));
        let mut events = Events::default();
        events.put(unannotated.clone(), &id, at(0));
        for n in 1..EVENTS as u64 + 10 {
            let mut other = id;
            other.0[..8].copy_from_slice(&n.to_be_bytes());
            let mut another = unannotated.clone();
            another.request.0[0] ^= 1;
            events.put(another, &other, at(1));
        }
        assert_eq!(events.by_request.len(), EVENTS);
        assert_eq!((events.dropped(), events.dropped()), (10, 0));
        assert!(!events.take(&reviews[0]), "it was the oldest");
    }

    #[test]
    fn events_are_forgotten_when_their_time_is_over_and_not_before() {
        let mut day = Day::new(at(0));
        let (one, first, reviews) = hung_up(&mut day);
        let (two, second, _) = hung_up(&mut day);
        let mut events = Events::default();
        events.put(one.clone(), &first, at(0));
        events.put(two, &second, at(60));
        events.prune(at(60), SignedDuration::from_secs(60));
        assert!(events.take(&reviews[0]));
        // The same event again, and the other hook of it.
        events.put(one, &first, at(60));
        assert!(!events.take(&reviews[0]));
        assert!(events.take(&reviews[1]));
        events.prune(at(61), SignedDuration::from_secs(60));
        assert_eq!((events.by_request.len(), events.order.len()), (1, 1));
        events.prune(at(121), SignedDuration::from_secs(60));
        assert!(events.is_empty() && events.by_request.is_empty());
    }

    #[test]
    fn of_several_events_of_one_write_the_one_that_ends_first_is_taken() {
        let (unannotated, id, reviews) = hung_up(&mut Day::new(at(0)));
        let mut events = Events::default();
        let mut longer = unannotated.clone();
        longer.to += SignedDuration::from_secs(30);
        let mut other = id;
        other.0[0] ^= 1;
        events.put(longer, &other, at(0));
        events.put(unannotated.clone(), &id, at(0));
        let first = reviews[0].clone();
        assert!(events.take(&first));
        // Only the longer one reaches as far.
        let late = NumberedReview {
            time: unannotated.to + SignedDuration::from_secs(20),
            ..first
        };
        assert!(events.take(&late));
        assert!(!events.take(&late));
    }
}
