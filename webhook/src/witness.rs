//! What one witness process knows: who it is, how far it has counted, what it remembers.

use crate::body::Budget;
use crate::collections::Collections;
use crate::exhibits::Exhibits;
use crate::labels::{Part, ReloadResult};
use crate::metrics::Metrics;
use crate::numbered::Numbered;
use arc_swap::ArcSwap;
use docket_host::KeyDirectory;
use docket_record::examine::Config;
use docket_record::testimony::{Keys, Process};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The state behind all listeners.
pub struct Witness {
    /// Who swears.
    pub process: Process,
    /// What the cluster calls things.
    pub config: Config,
    /// The keys, as they stand now.
    pub keys: Arc<ArcSwap<Keys>>,
    key_directory: KeyDirectory,
    /// Reviewed objects.
    pub exhibits: Exhibits,
    /// Last objects of nameless deletes.
    pub collections: Collections,
    /// What the last numbers were given for, if anyone can ask.
    pub numbered: Option<Numbered>,
    /// What earlier hooks swore, so that later ones need not repeat it.
    pub sworn: Sworn,
    /// Bodies under way.
    pub bodies: Arc<Budget>,
    /// How long a body may take.
    pub body_timeout: Duration,
    /// Counters.
    pub metrics: Metrics,
    last: AtomicU64,
    draining: AtomicBool,
}

impl Witness {
    /// A witness that has sworn nothing yet. `numbered` is absent where nobody can ask what
    /// its numbers were given for.
    pub fn new(
        process: Process,
        config: Config,
        key_directory: KeyDirectory,
        numbered: Option<Numbered>,
        exhibit_bytes: usize,
        body_bytes: usize,
        body_timeout: Duration,
    ) -> Self {
        Self {
            metrics: Metrics::new(&process.instance, process.started),
            process,
            config,
            keys: key_directory.keys(),
            key_directory,
            exhibits: Exhibits::new(exhibit_bytes),
            collections: Collections::default(),
            numbered,
            sworn: Sworn::default(),
            bodies: Budget::new(body_bytes),
            body_timeout,
            last: AtomicU64::new(0),
            draining: AtomicBool::new(false),
        }
    }

    /// The next number, for a testimony that is certain to be given.
    pub fn next_number(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The number given last; 0 before the first.
    pub fn last_number(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }

    /// From now on not ready, although still answering.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Follows the directory of keys.
    pub fn look_at_keys(&self) {
        let look = self.key_directory.look();
        let reload = &self.metrics.reload;
        for _ in 0..look.new_faults {
            reload.count(Part::Keys, ReloadResult::Refused);
        }
        if look.changed {
            reload.count(Part::Keys, ReloadResult::Taken);
        }
        self.metrics.key_faults(look.faults);
    }

    /// What is wrong with the keys although there may be some to swear with.
    pub fn key_faults(&self) -> Vec<String> {
        self.key_directory.faults()
    }

    /// Why it is not ready, if it is not.
    pub fn not_ready(&self) -> Option<&'static str> {
        if self.draining.load(Ordering::Relaxed) {
            return Some("draining: this process is about to end");
        }
        if self.keys.load().is_empty() {
            return Some("no MAC key: put one into the directory given with --mac-keys");
        }
        None
    }
}

/// Which facts the mutating hook swore to last, for the validating hook of the same
/// request: it repeats the context only if a mutation has changed it, or if it cannot
/// know. Slots, not a map: a lost or shared slot only makes a testimony longer.
pub struct Sworn {
    hasher: RandomState,
    slots: Box<[AtomicU64]>,
}

const SLOTS: usize = 4096;

impl Default for Sworn {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

/// Where facts of a request stand, and their hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    slot: usize,
    hash: u64,
}

impl Sworn {
    /// Notes what was sworn of a request.
    pub fn note(&self, place: Place) {
        self.slots[place.slot].store(place.hash, Ordering::Relaxed);
    }

    /// True if exactly this was sworn last of this request.
    pub fn said(&self, place: Place) -> bool {
        self.slots[place.slot].load(Ordering::Relaxed) == place.hash
    }

    /// The place of these facts of a request.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "any bits of a hash will do"
    )]
    pub fn place(&self, request: impl std::hash::Hash, facts: impl std::hash::Hash) -> Place {
        let request = self.hasher.hash_one(request);
        Place {
            slot: request as usize % SLOTS,
            // Never 0, which is an empty slot.
            hash: self.hasher.hash_one((request, facts)) | 1,
        }
    }
}

/// Locks; a panic elsewhere (it is caught and counted) never takes the witness down.
/// What the locks here guard is valid between any two statements.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sworn_last_of_the_same_request_need_not_be_said_again() {
        let sworn = Sworn::default();
        let said = |request, facts| sworn.said(sworn.place(request, facts));
        let note = |request, facts| sworn.note(sworn.place(request, facts));
        assert!(!said("a", "facts"));
        note("a", "facts");
        assert!(said("a", "facts"));
        assert!(!said("a", "other facts"));
        assert!(!said("b", "facts"));
        note("a", "other facts");
        assert!(!said("a", "facts"));
    }
}
