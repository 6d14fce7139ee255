//! What is the same object, what the same series; and which of them wait for a write.

use docket_record::denial::Public;
use docket_record::write::Write;
use std::collections::HashSet;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// Keys in each of two generations; the newest half is always complete.
const KEYS: usize = 65_536;

/// Names of one object.
pub(super) struct Object<'a> {
    pub namespace: &'a str,
    pub group: &'a str,
    pub resource: &'a str,
    pub subresource: &'a str,
    pub name: &'a str,
    pub repository: &'a str,
    pub created: bool,
}

/// 64-bit keyed hashes: two of a hundred thousand collide by chance once in a billion
/// runs, and not by intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keys {
    /// None without a name.
    pub object: Option<u64>,
    /// Creates only: what is updated or deleted exists, and its name says which it is.
    pub series: Option<u64>,
}

static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl<'a> Object<'a> {
    pub fn denied(public: &'a Public, name: &'a str) -> Object<'a> {
        Object {
            namespace: &public.namespace,
            group: &public.group,
            resource: &public.resource,
            subresource: &public.subresource,
            name,
            repository: &public.context.repository,
            created: public.operation == "CREATE",
        }
    }

    pub fn admitted(write: &'a Write) -> Object<'a> {
        Object {
            namespace: &write.namespace,
            group: &write.group,
            resource: &write.resource,
            subresource: &write.subresource,
            name: &write.name,
            repository: &write.context.repository,
            created: write.operation == "CREATE",
        }
    }

    /// Which policy denied is left out: what was admitted passed all of them.
    pub fn keys(&self, actor: &str) -> Keys {
        let place = (self.namespace, self.group, self.resource, self.subresource);
        Keys {
            object: (!self.name.is_empty()).then(|| key((1, place, self.name))),
            series: self
                .created
                .then(|| key((2, place, self.repository, actor))),
        }
    }
}

fn key(of: impl Hash) -> u64 {
    SEED.hash_one(of)
}

impl Keys {
    pub fn all(self) -> impl Iterator<Item = u64> {
        self.object.into_iter().chain(self.series)
    }

    /// Each key, and whether it is that of the series.
    pub fn with_relation(self) -> impl Iterator<Item = (u64, bool)> {
        let object = self.object.map(|key| (key, false));
        object.into_iter().chain(self.series.map(|key| (key, true)))
    }
}

/// A name without its last part: names are made by clients as `<repository>-<random>` or
/// `exception-<milliseconds>`, by the API server as prefix and five letters. Two objects
/// whose names differ in more than that were not meant to be the same.
pub(super) fn stem(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((stem, _)) => stem,
        None => name.trim_end_matches(|last: char| last.is_ascii_digit()),
    }
}

/// Which objects and series wait for a write: shared with the sources, which ask the
/// witness for the object only then. A help: what is missing here costs an outcome the
/// paths that changed, what is too much a question.
#[derive(Default)]
pub struct Waiting {
    keys: Mutex<[HashSet<u64>; 2]>,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, [HashSet<u64>; 2]> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, key: u64, open: bool) {
        set(&mut self.lock(), key, open);
    }

    pub(super) fn set_all(&self, keys: impl Iterator<Item = (u64, bool)>) {
        let mut held = self.lock();
        for (key, open) in keys {
            set(&mut held, key, open);
        }
    }

    /// A denial is on its way to the ledger.
    pub fn coming(&self, public: &Public, name: &str, actor: &str) {
        let keys = Object::denied(public, name).keys(actor);
        self.set_all(keys.all().map(|key| (key, true)));
    }

    /// Might this write answer a denial?
    #[must_use]
    pub fn waits_for(&self, write: &Write) -> bool {
        let held = self.lock();
        if held.iter().all(HashSet::is_empty) {
            return false;
        }
        let mut keys = Object::admitted(write).keys(&write.actor.username).all();
        keys.any(|key| held.iter().any(|keys| keys.contains(&key)))
    }
}

fn set([young, old]: &mut [HashSet<u64>; 2], key: u64, open: bool) {
    if open {
        if young.len() >= KEYS {
            *old = std::mem::take(young);
        }
        young.insert(key);
    } else {
        young.remove(&key);
        old.remove(&key);
    }
}
