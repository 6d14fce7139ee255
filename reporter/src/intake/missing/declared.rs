//! Numbers that stand in a gap, and what they were given for: an event that comes late, or
//! by an import, closes the gap also if it has no testimony of ours.

use super::{Explained, events};
use crate::gaps::json;
use docket_ledger::store::{Store, StoreError};
use docket_record::examine::Unannotated;
use docket_record::numbers::NumberedReview;
use docket_record::testimony::Process;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// State row: all of them.
const DECLARED: &str = "missing/declared";
/// Numbers remembered; the oldest make room, and then only their testimony closes the gap.
const MOST: usize = 1024;

/// One of them. Of the review no names are kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct One {
    instance: String,
    started: i64,
    review: NumberedReview,
}

impl One {
    fn is(&self, process: &Process, number: u64) -> bool {
        self.review.number == number
            && self.started == process.started
            && self.instance == process.instance
    }
}

/// The newest of them.
#[derive(Default)]
pub(super) struct Declared {
    all: VecDeque<One>,
    changed: bool,
}

impl Declared {
    pub(super) fn load(store: &Store) -> Result<Declared, StoreError> {
        let row = store.state(DECLARED)?;
        let all = row.and_then(|bytes| match serde_json::from_slice(&bytes) {
            Ok(all) => Some(all),
            Err(error) => {
                tracing::error!(
                    "what declared numbers were given for is unreadable: {:?}",
                    error.classify()
                );
                None
            }
        });
        Ok(Declared {
            all: all.unwrap_or_default(),
            changed: false,
        })
    }

    pub(super) fn add(&mut self, process: &Process, review: &NumberedReview) {
        if self.all.len() >= MOST {
            self.all.pop_front();
        }
        self.all.push_back(One {
            instance: process.instance.clone(),
            started: process.started,
            review: NumberedReview {
                number: review.number,
                hook: review.hook,
                time: review.time,
                request: review.request,
                operation: review.operation.clone(),
                group: String::new(),
                resource: String::new(),
                subresource: String::new(),
                namespace: String::new(),
                name: String::new(),
                user: String::new(),
            },
        });
        self.changed = true;
    }

    pub(super) fn remove(&mut self, process: &Process, number: u64) {
        let before = self.all.len();
        self.all.retain(|one| !one.is(process, number));
        self.changed |= self.all.len() < before;
    }

    /// What this event explains, one number of each hook at most.
    pub(super) fn explain(&mut self, unannotated: &mut Unannotated) -> Vec<Explained> {
        let mut found = Vec::new();
        while let Some(at) = self
            .all
            .iter()
            .position(|one| unannotated.may_be_of(&one.review))
        {
            let Some(one) = self.all.remove(at) else {
                break;
            };
            events::explained(unannotated, one.review.hook);
            self.changed = true;
            let process = Process {
                instance: one.instance,
                started: one.started,
            };
            found.push((process, one.review.number, one.review.time));
        }
        found
    }

    /// The row that must be written with the entries.
    pub(super) fn state(&mut self) -> Option<(String, Option<Vec<u8>>)> {
        let changed = std::mem::take(&mut self.changed);
        changed.then(|| (DECLARED.to_owned(), Some(json(&self.all))))
    }
}
