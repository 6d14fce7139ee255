//! What was lost for good: a gap entry, and on.

use super::{Place, Step, Tail, key};
use crate::gaps::{Cause, Gap};
use crate::intake::Arrival;
use jiff::Timestamp;
use std::io;

impl Tail {
    /// Write down that something was lost after `place`, and be at `next` from then on.
    /// False if the ledger refused.
    pub(super) fn lost(
        &mut self,
        cause: Cause,
        says: &str,
        place: &Place,
        next: Option<Place>,
    ) -> bool {
        let now = Timestamp::now();
        let from = place.lost_from().unwrap_or(now);
        // It ends where reading goes on.
        let began = next.as_ref().filter(|next| !next.first.is_empty());
        let began = began.and_then(|next| i64::try_from(next.began).ok());
        let to = began.and_then(|began| Timestamp::from_microsecond(began).ok());
        let to = to.filter(|to| (from..=now).contains(to)).unwrap_or(now);
        let which = format!(
            "{} {} {} {}",
            place.dev, place.ino, place.offset, place.first
        );
        let gap = Gap::new(&self.name, cause, &which, now)
            .spanning(from, to)
            .saying(says);
        let next = next.map(|next| Place {
            whole_since: now.as_millisecond(),
            ..next
        });
        let row = next.as_ref().map(crate::gaps::json);
        let arrival = Arrival {
            gaps: vec![gap],
            // The place is left in the same transaction, so it is told once.
            state: vec![(key(&self.name), row)],
            ..Arrival::default()
        };
        tracing::warn!(
            source = self.name,
            "{says}; the ledger says from when to when"
        );
        let kept = self.writer.commit_blocking(arrival).is_ok();
        if kept {
            self.place = next;
        }
        kept
    }

    /// The rotated file that is being read can't be read on.
    pub(super) fn give_up(&mut self, error: &io::Error) -> Step {
        let Some(place) = self.place.clone() else {
            return Step::Wait;
        };
        let says = format!("a rotated log is unreadable: {error}");
        if !self.lost(Cause::FileUnreadable, &says, &place, Some(place.clone())) {
            return Step::Refused;
        }
        self.failing = None;
        self.next().unwrap_or(Step::Wait)
    }
}
