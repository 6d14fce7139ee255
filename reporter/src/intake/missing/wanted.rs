//! Between the core, which misses numbers, and whoever asks the witnesses.

use docket_record::numbers::NumberedReview;
use docket_record::testimony::Process;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// What a witness said of numbers of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Whose numbers.
    pub process: Process,
    /// Those that were asked about.
    pub numbers: Vec<u64>,
    /// What it remembers of them.
    pub reviews: Vec<NumberedReview>,
}

/// Numbers that the witnesses are to be asked about.
#[derive(Default)]
pub struct NumbersToAsk {
    /// Held for a move of what is in it, never across an await.
    numbers: Mutex<BTreeMap<Process, BTreeSet<u64>>>,
    some: Notify,
    served: AtomicBool,
}

impl NumbersToAsk {
    /// Somebody asks; before that nothing is to be waited for.
    pub fn serve(&self) {
        self.served.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_served(&self) -> bool {
        self.served.load(Ordering::Relaxed)
    }

    /// Bounded by what the core misses at one time.
    pub(super) fn add(&self, process: &Process, numbers: Vec<u64>) {
        if numbers.is_empty() {
            return;
        }
        let mut all = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(process.clone()).or_default().extend(numbers);
        drop(all);
        self.some.notify_one();
    }

    /// All of them, when there are some.
    pub async fn take(&self) -> BTreeMap<Process, BTreeSet<u64>> {
        loop {
            let taken = self.now();
            if !taken.is_empty() {
                return taken;
            }
            self.some.notified().await;
        }
    }

    /// All of them now, if there are any.
    pub(in crate::intake) fn now(&self) -> BTreeMap<Process, BTreeSet<u64>> {
        let mut all = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *all)
    }
}
