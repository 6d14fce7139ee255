//! The last objects of nameless deletes.
//!
//! A deletecollection is one audit event and one review per object; when it is denied,
//! the last reviewed object is the denied one, and the event does not name it. So the
//! witness remembers who was deleting what, for some minutes, and the reporter asks.
//!
//! Bounded twice, so that one namespace being emptied never pushes out another's answer:
//! a fixed number of collections, each with a fixed number of objects.

use jiff::{SignedDuration, Timestamp};
use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

/// Collections remembered at one time; beyond it the one not heard of for longest goes.
const COLLECTIONS: usize = 512;
/// Objects remembered of each. The denied one is the last, so retries need a few.
const OBJECTS: usize = 128;
/// How long at least an object is remembered, space allowing.
const AGE: SignedDuration = SignedDuration::from_mins(5);
/// Longest name or uid kept (the API server's own limit for names).
const TEXT: usize = 253;

/// Whose collection: what the audit event knows too.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    /// Effective user.
    pub user: &'a str,
    /// API group.
    pub group: &'a str,
    /// Plural.
    pub resource: &'a str,
    /// Namespace or empty.
    pub namespace: &'a str,
}

/// One reviewed object of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reviewed {
    /// metadata.name of the object.
    pub name: String,
    /// metadata.uid of the object.
    pub uid: String,
    /// uid of the first review that showed it.
    pub review_uid: String,
    /// When that review arrived. The API server goes from one object to the next, so this is
    /// their order, whenever each was read.
    pub time: Timestamp,
}

/// What is remembered of all collections.
#[derive(Default)]
pub struct Collections {
    /// Held for a few comparisons, never across an await. Keyed by a digest: a user's name
    /// may be long, and is not ours to keep.
    inner: Mutex<HashMap<[u8; 32], Collection>>,
}

struct Collection {
    heard: Timestamp,
    objects: VecDeque<Reviewed>,
}

impl Collections {
    /// Remembers one reviewed object.
    pub fn remember(&self, whose: Whose<'_>, mut object: Reviewed) {
        cut(&mut object.name);
        cut(&mut object.uid);
        cut(&mut object.review_uid);
        let key = whose.key();
        let mut inner = crate::witness::lock(&self.inner);
        if !inner.contains_key(&key) && inner.len() >= COLLECTIONS {
            make_room(&mut inner, object.time);
        }
        let collection = inner.entry(key).or_insert_with(|| Collection {
            heard: object.time,
            objects: VecDeque::new(),
        });
        collection.heard = collection.heard.max(object.time);
        // Both hooks show each object, and a retry begins with the one that was denied:
        // the first time it was seen is the one that answers for either request.
        let objects = &mut collection.objects;
        let at = objects.partition_point(|known| known.time <= object.time);
        let is_it = |known: &Reviewed| !object.uid.is_empty() && known.uid == object.uid;
        if at > 0 && objects.get(at - 1).is_some_and(is_it) {
            return;
        }
        if let Some(known) = objects.get_mut(at).filter(|known| is_it(known)) {
            *known = object;
            return;
        }
        objects.insert(at, object);
        if objects.len() > OBJECTS {
            objects.pop_front();
        }
    }

    /// The last object reviewed not after `before`, if it is still remembered.
    pub fn last(&self, whose: Whose<'_>, before: Timestamp) -> Option<Reviewed> {
        let inner = crate::witness::lock(&self.inner);
        let collection = inner.get(&whose.key())?;
        collection
            .objects
            .iter()
            .rev()
            .find(|object| object.time <= before)
            .cloned()
    }

    /// Forgets what is older than it needs to be.
    pub fn sweep(&self, now: Timestamp) {
        crate::witness::lock(&self.inner)
            .retain(|_, collection| now.duration_since(collection.heard) <= AGE);
    }

    /// Collections remembered now.
    pub fn len(&self) -> usize {
        crate::witness::lock(&self.inner).len()
    }
}

impl Whose<'_> {
    fn key(&self) -> [u8; 32] {
        let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
        for part in [self.user, self.group, self.resource, self.namespace] {
            // Lengths first, so that no two different calls run together.
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        let mut key = [0; 32];
        key.copy_from_slice(hash.finish().as_ref());
        key
    }
}

fn make_room(inner: &mut HashMap<[u8; 32], Collection>, now: Timestamp) {
    inner.retain(|_, collection| now.duration_since(collection.heard) <= AGE);
    if inner.len() >= COLLECTIONS
        && let Some(oldest) = inner
            .iter()
            .min_by_key(|(_, c)| c.heard)
            .map(|(key, _)| *key)
    {
        inner.remove(&oldest);
    }
}

fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(TEXT));
    text.shrink_to_fit();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn of(user: &str) -> Whose<'_> {
        Whose {
            user,
            group: "krate.a5c.ai",
            resource: "jobs",
            namespace: "krate-org-acme",
        }
    }

    fn object(name: &str, second: i64) -> Reviewed {
        Reviewed {
            name: name.to_owned(),
            uid: format!("uid-{name}"),
            review_uid: format!("review-{name}-{second}"),
            time: at(second),
        }
    }

    #[test]
    fn the_last_object_not_after_the_moment_asked_for_is_given() {
        let collections = Collections::default();
        for (i, name) in ["a", "b", "c"].iter().enumerate() {
            collections.remember(of("ann"), object(name, i as i64));
        }
        assert_eq!(collections.last(of("ann"), at(1)).unwrap().name, "b");
        assert_eq!(collections.last(of("ann"), at(60)).unwrap().name, "c");
        assert_eq!(collections.last(of("ann"), at(-1)), None);
        assert_eq!(collections.last(of("bob"), at(60)), None);
    }

    #[test]
    fn a_retry_that_begins_with_the_denied_object_does_not_hide_it_from_the_first_request() {
        let collections = Collections::default();
        collections.remember(of("ann"), object("a", 0));
        collections.remember(of("ann"), object("a", 10));
        assert_eq!(collections.last(of("ann"), at(5)).unwrap().name, "a");
        assert_eq!(collections.last(of("ann"), at(15)).unwrap().name, "a");
    }

    #[test]
    fn a_review_that_is_read_late_does_not_pass_for_the_last_one() {
        let collections = Collections::default();
        for (name, arrived) in [("a", 0), ("b", 2), ("c", 4), ("b", 3), ("a", 1), ("d", 5)] {
            collections.remember(of("ann"), object(name, arrived));
        }
        assert_eq!(collections.last(of("ann"), at(60)).unwrap().name, "d");
        assert_eq!(collections.last(of("ann"), at(4)).unwrap().name, "c");
        assert_eq!(collections.last(of("ann"), at(3)).unwrap().name, "b");
        assert_eq!(collections.last(of("ann"), at(1)).unwrap().name, "a");
        // Read first by its second hook: it was seen when the first one was called.
        let collections = Collections::default();
        collections.remember(of("bob"), object("a", 5));
        collections.remember(of("bob"), object("a", 3));
        assert_eq!(collections.last(of("bob"), at(4)).unwrap().name, "a");
    }

    #[test]
    fn a_large_collection_forgets_its_own_past_and_no_one_elses() {
        let collections = Collections::default();
        collections.remember(of("bob"), object("kept", 0));
        for i in 0..10_000 {
            collections.remember(of("ann"), object(&format!("o{i}"), i));
        }
        assert_eq!(
            collections.last(of("ann"), at(20_000)).unwrap().name,
            "o9999"
        );
        assert_eq!(collections.last(of("ann"), at(5)), None);
        assert_eq!(collections.last(of("bob"), at(5)).unwrap().name, "kept");
    }

    #[test]
    fn many_collections_push_out_the_one_not_heard_of_for_longest() {
        let collections = Collections::default();
        for i in 0..COLLECTIONS as i64 + 50 {
            collections.remember(of(&format!("user{i}")), object("x", i / 10));
        }
        assert_eq!(collections.len(), COLLECTIONS);
        assert_eq!(collections.last(of("user0"), at(500)), None);
        assert!(collections.last(of("user561"), at(500)).is_some());
    }

    #[test]
    fn a_collection_is_remembered_for_minutes_and_then_forgotten() {
        let collections = Collections::default();
        collections.remember(of("ann"), object("a", 0));
        collections.sweep(at(120));
        assert!(collections.last(of("ann"), at(120)).is_some());
        collections.sweep(at(301));
        assert_eq!(collections.len(), 0);
    }

    #[test]
    fn long_names_are_cut() {
        let collections = Collections::default();
        collections.remember(of("ann"), object(&"ü".repeat(100_000), 0));
        assert_eq!(collections.last(of("ann"), at(0)).unwrap().name.len(), 252);
    }
}
