//! A log that is not to be had at present: one open gap, closed when it is there again.
//! It holds nobody up: numbers that have not come are missed as without this source.

use super::{Place, Step, Tail};
use crate::gaps::{Amendment, Cause, Gap, json};
use crate::intake::Arrival;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::io;
use std::time::{Duration, Instant};

/// An open gap of this source, as kept in the ledger's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Away {
    /// Its id.
    gap: String,
    /// Lines are there, and say too little: the log's format must be changed.
    #[serde(default)]
    pub(super) legacy: bool,
}

pub(super) fn key(name: &str) -> String {
    format!("away/{name}")
}

impl Away {
    pub(super) fn unreadable(gap: String) -> Away {
        Away { gap, legacy: false }
    }

    pub(super) fn row(&self, name: &str) -> (String, Option<Vec<u8>>) {
        (key(name), Some(json(self)))
    }
}

/// A missing file is said to be missing after this time: it is so between two steps of
/// every rotation.
const ROTATING: Duration = Duration::from_secs(1);

impl Tail {
    /// A step failed. At first it is taken for a passing failure.
    pub(super) fn failed(&mut self, error: &io::Error) -> Step {
        let (instant, since) = *self
            .failing
            .get_or_insert_with(|| (Instant::now(), Timestamp::now()));
        let is_missing = error.kind() == io::ErrorKind::NotFound;
        let says = if is_missing {
            format!("{} does not exist", self.path.display())
        } else {
            format!("{} cannot be read: {error}", self.path.display())
        };
        if self.current.is_none() || instant.elapsed() >= ROTATING {
            self.part.not_ready(&says);
        }
        if instant.elapsed() < self.patience {
            return Step::Wait;
        }
        self.reached.to(Timestamp::now());
        let of_path = is_missing || error.kind() == io::ErrorKind::PermissionDenied;
        let rotated = self.reading.as_ref();
        if !of_path && rotated.is_some_and(|reading| reading.path != self.path) {
            // A rotated file that stays unreadable (a damaged archive) is given up.
            return self.give_up(error);
        }
        let from = self.place.as_ref().and_then(Place::lost_from);
        let says = format!("{says}; it is tried again");
        let Some((gap, away)) = self.going_away(&says, from.unwrap_or(since), false) else {
            return Step::Wait;
        };
        let arrival = Arrival {
            gaps: vec![gap],
            state: vec![away.row(&self.name)],
            ..Arrival::default()
        };
        if self.writer.commit_blocking(arrival).is_err() {
            return Step::Refused;
        }
        self.away = Some(away);
        Step::Wait
    }

    /// The gap that says so, to be committed with the row; `None` if it is said.
    pub(super) fn going_away(
        &self,
        says: &str,
        from: Timestamp,
        legacy: bool,
    ) -> Option<(Gap, Away)> {
        if self.away.is_some() {
            return None;
        }
        tracing::warn!(source = self.name, "{says}; a gap says so");
        let now = Timestamp::now();
        let gap = Gap::new(&self.name, Cause::FileUnreadable, &now.to_string(), now)
            .spanning(from, now)
            .saying(says);
        let away = Away {
            gap: gap.id.clone(),
            legacy,
        };
        Some((gap, away))
    }

    /// Adds to `arrival` the gap that says that lines of it say too little.
    pub(super) fn turns_legacy(&self, arrival: &mut Arrival, place: &Place) -> Option<Away> {
        let says = format!(
            "{} is written with --audit-log-format=legacy, which names neither the object nor \
             the reason of a refusal; set --audit-log-format=json",
            self.path.display()
        );
        self.part.not_ready(&says);
        let from = place.lost_from().unwrap_or_else(Timestamp::now);
        let (gap, away) = self.going_away(&says, from, true)?;
        arrival.gaps.push(gap);
        arrival.state.push(away.row(&self.name));
        Some(away)
    }

    pub(super) fn is_legacy(&self) -> bool {
        self.away.as_ref().is_some_and(|away| away.legacy)
    }

    /// It is there again. False if the ledger refused.
    pub(super) fn is_back(&mut self) -> bool {
        let Some(away) = &self.away else {
            return true;
        };
        let now = Timestamp::now();
        let closed = Amendment::gap_closed(&away.gap, now);
        let mut arrival = Arrival {
            amendments: vec![closed],
            state: vec![(key(&self.name), None)],
            ..Arrival::default()
        };
        let place = self.place.clone().map(|place| Place {
            whole_since: now.as_millisecond(),
            ..place
        });
        let row = place.as_ref().map(json);
        arrival.state.push((super::key(&self.name), row));
        let kept = self.writer.commit_blocking(arrival).is_ok();
        if kept {
            (self.away, self.place) = (None, place);
        }
        kept
    }
}
