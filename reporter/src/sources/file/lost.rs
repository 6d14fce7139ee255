//! What could not be read: a gap entry, and on.

use super::{Place, Step, Tail, key};
use crate::gaps::{Cause, Gap};
use crate::intake::Arrival;
use jiff::Timestamp;
use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A file that can't be read for this long is a gap.
const UNREADABLE: Duration = Duration::from_secs(10);

impl Tail {
    /// Write down that something was lost after `place`. False if the ledger refused.
    pub(super) fn lost(&mut self, cause: Cause, says: &str, place: &Place) -> bool {
        let now = Timestamp::now();
        let from = Timestamp::from_millisecond(place.at).unwrap_or(now);
        let which = format!(
            "{} {} {} {}",
            place.dev, place.ino, place.offset, place.first
        );
        let gap = Gap::new(&self.name, cause, &which, now)
            .spanning(from, now)
            .saying(says);
        let arrival = Arrival {
            gaps: vec![gap],
            // The place is given up in the same transaction, so it is told once.
            state: vec![(key(&self.name), None)],
            ..Arrival::default()
        };
        tracing::warn!(
            source = self.name,
            "{says}; the ledger says from when to when"
        );
        let kept = self.writer.commit_blocking(arrival).is_ok();
        if kept {
            self.place = None;
        }
        kept
    }

    pub(super) fn failed(&mut self, error: &io::Error) -> Step {
        let since = *self.failing.get_or_insert_with(Instant::now);
        self.part
            .not_ready(format!("{} cannot be read: {error}", self.path.display()));
        if since.elapsed() < UNREADABLE {
            return Step::Wait;
        }
        self.catching_up.store(false, Ordering::Relaxed);
        let current = self
            .reading
            .as_ref()
            .is_none_or(|reading| reading.path == self.path);
        if current {
            return self.unreadable(error);
        }
        // A rotated file that stays unreadable (a damaged archive) is given up.
        let Some(place) = self.place.clone() else {
            return Step::Wait;
        };
        if !self.lost(
            Cause::FileUnreadable,
            &format!("a rotated log is unreadable: {error}"),
            &place,
        ) {
            return Step::Refused;
        }
        self.place = Some(place);
        self.failing = None;
        match self.next() {
            Ok(step) => step,
            Err(_) => Step::Wait,
        }
    }

    /// The current file can't be read: said once, closed when it can be again.
    fn unreadable(&mut self, error: &io::Error) -> Step {
        let Some(place) = &mut self.place else {
            return Step::Wait;
        };
        if place.unreadable.is_some() {
            return Step::Wait;
        }
        let now = Timestamp::now();
        let from = Timestamp::from_millisecond(place.at).unwrap_or(now);
        let which = format!("{} {}", place.offset, now);
        let gap = Gap::new(&self.name, Cause::FileUnreadable, &which, now)
            .spanning(from, now)
            .saying(format!(
                "the audit log cannot be read: {error}; it is tried again"
            ));
        place.unreadable = Some(gap.id.clone());
        let state = vec![(key(&self.name), Some(crate::gaps::json(place)))];
        let arrival = Arrival {
            gaps: vec![gap],
            state,
            ..Arrival::default()
        };
        if self.writer.commit_blocking(arrival).is_err() {
            if let Some(place) = &mut self.place {
                place.unreadable = None;
            }
            return Step::Refused;
        }
        Step::Wait
    }
}
