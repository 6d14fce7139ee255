//! Unreadable bytes that come again: kube-apiserver tries a delivery five times, in less
//! than five minutes. So the same bytes of one source within that time are one arrival and
//! one gap, and later ones are new.
//!
//! The first gap by some bytes has an id made of them alone; when it was recorded, the
//! ledger knows. When a later arrival began is kept in the store's state, for five minutes.

use crate::gaps::{Gap, json};
use docket_ledger::store::{Store, StoreError};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// State row: arrivals of the last minutes.
const ROW: &str = "intake/unreadable";
/// From an arrival's first delivery to its last.
const ARRIVAL: SignedDuration = SignedDuration::from_mins(5);
/// Arrivals remembered. Above it the oldest is forgotten: if it is delivered once more that
/// is one gap too many, and none too few.
const REMEMBERED: usize = 512;

/// An arrival of bytes that were put aside before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Again {
    /// Id of the first gap by these bytes.
    gap: String,
    /// When it began, milliseconds.
    at: i64,
}

/// Arrivals of the last five minutes.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    again: VecDeque<Again>,
    changed: bool,
}

impl Unreadable {
    pub(super) fn load(store: &Store) -> Result<Unreadable, StoreError> {
        let row = store.state(ROW)?;
        let again = row.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(Unreadable {
            again: again.unwrap_or_default(),
            changed: false,
        })
    }

    /// The gap of the arrival that this one belongs to.
    pub(super) fn arrival(
        &mut self,
        gap: Gap,
        store: &Store,
        now: Timestamp,
    ) -> Result<Gap, StoreError> {
        if !gap.retried {
            return Ok(gap);
        }
        // A clock that was set back makes no arrival last longer.
        let lately = |at: Timestamp| now.duration_since(at).abs() < ARRIVAL;
        let time = |again: &Again| Timestamp::from_millisecond(again.at).unwrap_or(now);
        let before = self.again.len();
        self.again.retain(|again| lately(time(again)));
        self.changed |= self.again.len() != before;
        if let Some(again) = self.again.iter().find(|again| again.gap == gap.id) {
            return Ok(gap.arrived(time(again)));
        }
        let first = store.recorded_at(&gap.id)?;
        if first.is_none_or(lately) {
            return Ok(gap);
        }
        if self.again.len() >= REMEMBERED {
            self.again.pop_front();
        }
        self.changed = true;
        self.again.push_back(Again {
            gap: gap.id.clone(),
            at: now.as_millisecond(),
        });
        Ok(gap.arrived(now))
    }

    /// The row that must be written with the entries.
    pub(super) fn state(&mut self) -> Option<(String, Option<Vec<u8>>)> {
        let changed = std::mem::take(&mut self.changed);
        let row = (!self.again.is_empty()).then(|| json(&self.again));
        changed.then(|| (ROW.to_owned(), row))
    }
}
