//! Writes of objects that are law, as the sources told of them: what the watch asks when
//! it was away.
//!
//! Bounded, the oldest goes first; then it is known up to when some are missing. In one
//! state row, which is written in the same transaction as the progress of the source that
//! brought them: what a source has read and what it told are never apart.

use super::json;
use docket_ledger::store::{Store, StoreError};
use docket_record::law::LawWrite;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// State row.
pub(crate) const WRITES: &str = "law/writes";
/// Writes kept; up to 300 bytes each.
const MOST: usize = 512;
/// How far the clocks of reporter and API server may differ.
const SKEW: SignedDuration = SignedDuration::from_secs(2);

/// The newest of them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LawWrites {
    /// Of what was written until then some may be missing here.
    missing: Timestamp,
    writes: VecDeque<LawWrite>,
    #[serde(skip)]
    dirty: bool,
}

impl LawWrites {
    /// Nothing is known of the time before `now`.
    pub(crate) fn new(now: Timestamp) -> LawWrites {
        LawWrites {
            missing: now,
            writes: VecDeque::new(),
            dirty: true,
        }
    }

    pub(super) fn load(store: &Store, now: Timestamp) -> Result<LawWrites, StoreError> {
        let row = store.state(WRITES)?;
        let read = row.and_then(|row| LawWrites::read(&row));
        Ok(read.unwrap_or_else(|| LawWrites::new(now)))
    }

    /// As the state row has them.
    pub(crate) fn read(row: &[u8]) -> Option<LawWrites> {
        serde_json::from_slice(row).ok()
    }

    /// The state row, if it has changed.
    pub(super) fn state(&mut self) -> Option<(String, Option<Vec<u8>>)> {
        std::mem::take(&mut self.dirty).then(|| (WRITES.to_owned(), Some(json(&self))))
    }

    /// A source told of a write.
    pub(crate) fn add(&mut self, write: LawWrite) {
        if self.writes.iter().any(|known| known.event == write.event) {
            return;
        }
        if self.writes.len() >= MOST
            && let Some(oldest) = self.writes.pop_front()
        {
            self.missing = self.missing.max(oldest.time);
        }
        self.writes.push_back(write);
        self.dirty = true;
    }

    /// What may have been written between two moments; `None` if some may be missing.
    pub(crate) fn between(&self, from: Timestamp, to: Timestamp) -> Option<Vec<&LawWrite>> {
        let from = from.saturating_sub(SKEW).unwrap_or(Timestamp::MIN);
        let to = to.saturating_add(SKEW).unwrap_or(Timestamp::MAX);
        let within = |write: &&LawWrite| write.time >= from && write.received <= to;
        (self.missing < from).then(|| self.writes.iter().filter(within).collect())
    }
}
