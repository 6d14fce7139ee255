//! The last admitted write of each object, for what else is learned of the object: which
//! write an exception let through, whether a report is older than what it speaks of, and
//! Krate's terms for an object that only a report names.
//!
//! Memory only, and bounded: of an object that was not written for long, or not since this
//! process began, nothing is known.

use docket_record::denial::{Context, DenialId};
use docket_record::write::Write;
use jiff::Timestamp;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Objects remembered in each of two generations; each takes some 300 bytes.
const REMEMBERED: usize = 16_384;

/// The memory, for its one writer and its readers. Cheap to clone.
#[derive(Clone, Default)]
pub struct Objects {
    // std: held for a look-up, never across an await.
    seen: Arc<Mutex<Seen>>,
}

/// Keys are hashes with a secret: a name that hits another's would have to be guessed.
#[derive(Default)]
struct Seen {
    hasher: RandomState,
    young: HashMap<u64, Arc<Last>>,
    old: HashMap<u64, Arc<Last>>,
}

/// The last admitted write of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    /// Its audit event.
    pub event: DenialId,
    /// When the API server received it.
    pub received: Timestamp,
    /// Stage time.
    pub time: Timestamp,
    /// `CREATE`, `UPDATE`, `DELETE`.
    pub operation: String,
    /// User name of who acted.
    pub actor: String,
    /// Krate's terms.
    pub context: Context,
}

impl Objects {
    /// An admitted write. What stored nothing, or only a subresource, changes no object
    /// that a policy judged.
    pub fn wrote(&self, write: &Write) {
        if write.dry_run || !write.subresource.is_empty() || write.name.is_empty() {
            return;
        }
        let mut seen = self.lock();
        let key = seen.key(&write.group, &write.resource, &write.namespace, &write.name);
        if seen.find(key).is_some_and(|known| known.time > write.time) {
            return;
        }
        if seen.young.len() >= REMEMBERED && !seen.young.contains_key(&key) {
            seen.old = std::mem::take(&mut seen.young);
        }
        let last = Last {
            event: write.event,
            received: write.received,
            time: write.time,
            operation: write.operation.clone(),
            actor: write.actor.username.clone(),
            context: write.context.clone(),
        };
        seen.young.insert(key, Arc::new(last));
    }

    /// The last admitted write of an object, if it is remembered.
    #[must_use]
    pub fn last(
        &self,
        group: &str,
        resource: &str,
        namespace: &str,
        name: &str,
    ) -> Option<Arc<Last>> {
        let seen = self.lock();
        seen.find(seen.key(group, resource, namespace, name))
            .cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn key(&self, group: &str, resource: &str, namespace: &str, name: &str) -> u64 {
        self.hasher.hash_one((group, resource, namespace, name))
    }

    fn find(&self, key: u64) -> Option<&Arc<Last>> {
        self.young.get(&key).or_else(|| self.old.get(&key))
    }
}

/// A write of a test.
#[cfg(test)]
pub fn write(group: &str, resource: &str, namespace: &str, name: &str, time: &str) -> Write {
    Write {
        event: docket_record::denial::DenialId([7; 32]),
        received: time.parse().unwrap_or_default(),
        time: time.parse().unwrap_or_default(),
        group: group.into(),
        version: "v1alpha1".into(),
        resource: resource.into(),
        subresource: String::new(),
        kind: docket_record::krate::kind(resource).into(),
        namespace: namespace.into(),
        name: name.into(),
        old_uid: String::new(),
        verb: "create".into(),
        operation: "CREATE".into(),
        dry_run: false,
        actor: docket_record::audit::User::default(),
        context: docket_record::denial::Context::default(),
        review: None,
        digests: None,
        failed_open: Vec::new(),
        source: "test".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_write_of_an_object_is_remembered_and_the_number_of_objects_is_bounded() {
        let objects = Objects::default();
        let one = |name: &str, time: &str| {
            objects.wrote(&(write("g", "pods", "ns", name, time)));
        };
        one("a", "2026-10-05T12:00:02Z");
        one("a", "2026-10-05T12:00:01Z");
        let last = objects.last("g", "pods", "ns", "a").unwrap();
        assert_eq!(
            last.time.to_string(),
            "2026-10-05T12:00:02Z",
            "an older one comes late"
        );
        assert!(objects.last("g", "pods", "other", "a").is_none());
        for n in 0..3 * REMEMBERED {
            one(&n.to_string(), "2026-10-05T12:00:03Z");
        }
        assert!(objects.last("g", "pods", "ns", "a").is_none());
        let newest = (3 * REMEMBERED - 1).to_string();
        assert!(objects.last("g", "pods", "ns", &newest).is_some());
        let seen = objects.lock();
        assert!(seen.young.len() + seen.old.len() <= 2 * REMEMBERED);
    }

    #[test]
    fn what_stored_nothing_is_no_write_of_the_object() {
        let objects = Objects::default();
        let base = write("g", "pods", "ns", "a", "2026-10-05T12:00:02Z");
        objects.wrote(
            &(Write {
                dry_run: true,
                ..base.clone()
            }),
        );
        objects.wrote(
            &(Write {
                subresource: "exec".into(),
                ..base.clone()
            }),
        );
        assert!(objects.last("g", "pods", "ns", "a").is_none());
        objects.wrote(&(base));
        assert!(objects.last("g", "pods", "ns", "a").is_some());
    }
}
