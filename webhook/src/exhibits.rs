//! Reviewed objects, kept in memory for as long as there is room; of an update also the one
//! that it replaces, since a message may echo either.
//!
//! An exhibit is a slice of the request's body as it came, so nothing is copied; what it
//! costs is the whole body, and that is what is counted. The oldest goes first.

use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

/// What one exhibit costs besides its body: map slots, uid twice, handles.
const OVERHEAD: usize = 256;

/// The ring.
pub struct Exhibits {
    limit: usize,
    /// Held for a few moves of pointers, never across an await.
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    by_uid: HashMap<Box<str>, Exhibit>,
    order: VecDeque<Box<str>>,
    bytes: usize,
    evicted: u64,
}

struct Exhibit {
    held: Held,
    cost: usize,
}

/// One exhibit, raw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// What the review is about.
    pub object: Bytes,
    /// What an update replaces.
    pub replaced: Option<Bytes>,
}

/// How full the ring is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fill {
    /// Exhibits held.
    pub held: usize,
    /// Bytes they cost.
    pub bytes: usize,
    /// Exhibits that had to go, ever.
    pub evicted: u64,
}

impl Exhibits {
    /// An empty ring for so many bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            inner: Mutex::new(Inner::default()),
        }
    }

    /// Keeps `object`, and what it replaces; both must be slices of `body`. Says whether
    /// they are held now.
    pub fn keep(&self, uid: &str, body: &Bytes, object: &[u8], replaced: Option<&[u8]>) -> bool {
        let cost = body.len() + uid.len() * 2 + OVERHEAD;
        if object.is_empty() || cost > self.limit {
            return false;
        }
        let held = Held {
            object: body.slice_ref(object),
            replaced: replaced.map(|replaced| body.slice_ref(replaced)),
        };
        let mut inner = crate::witness::lock(&self.inner);
        inner.bytes += cost;
        match inner.by_uid.insert(uid.into(), Exhibit { held, cost }) {
            // The same review delivered again takes the place it had.
            Some(old) => inner.bytes -= old.cost,
            None => inner.order.push_back(uid.into()),
        }
        while inner.bytes > self.limit {
            let Some(uid) = inner.order.pop_front() else {
                break;
            };
            if let Some(gone) = inner.by_uid.remove(&uid) {
                inner.bytes -= gone.cost;
                inner.evicted += 1;
            }
        }
        true
    }

    /// What a review showed, if it is still held.
    pub fn get(&self, uid: &str) -> Option<Held> {
        crate::witness::lock(&self.inner)
            .by_uid
            .get(uid)
            .map(|exhibit| exhibit.held.clone())
    }

    /// How full it is.
    pub fn fill(&self) -> Fill {
        let inner = crate::witness::lock(&self.inner);
        Fill {
            held: inner.by_uid.len(),
            bytes: inner.bytes,
            evicted: inner.evicted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(size: usize, fill: u8) -> Bytes {
        Bytes::from(vec![fill; size])
    }

    #[test]
    fn an_exhibit_is_the_object_alone_and_is_not_copied() {
        let ring = Exhibits::new(1 << 20);
        let body = Bytes::from_static(b"{\"object\":{\"a\":1}}");
        assert!(ring.keep("u", &body, &body[10..17], Some(&body[..1])));
        let held = ring.get("u").unwrap();
        assert_eq!(held.object, "{\"a\":1}");
        assert_eq!(held.object.as_ptr(), body[10..].as_ptr());
        assert_eq!(held.replaced.unwrap(), "{");
        assert_eq!(ring.get("other"), None);
    }

    #[test]
    fn the_ring_never_holds_more_than_its_limit_and_counts_what_goes() {
        let ring = Exhibits::new(100_000);
        for i in 0..1_000 {
            let body = body(5_000, b'x');
            assert!(ring.keep(&format!("uid-{i}"), &body, &body[..4_000], None));
            assert!(ring.fill().bytes <= 100_000);
        }
        let fill = ring.fill();
        assert!(ring.get("uid-999").is_some());
        assert!(ring.get("uid-0").is_none());
        assert_eq!(fill.held as u64 + fill.evicted, 1_000);
    }

    #[test]
    fn a_body_larger_than_the_ring_pushes_nothing_out() {
        let ring = Exhibits::new(10_000);
        let small = body(1_000, b's');
        assert!(ring.keep("small", &small, &small, None));
        let large = body(20_000, b'l');
        assert!(!ring.keep("large", &large, &large, None));
        assert!(ring.get("small").is_some());
    }

    #[test]
    fn the_same_review_twice_is_held_and_paid_for_once() {
        let ring = Exhibits::new(10_000);
        for fill in [b'a', b'b'] {
            let body = body(1_000, fill);
            assert!(ring.keep("uid", &body, &body, None));
        }
        assert_eq!(ring.fill().held, 1);
        assert!(ring.fill().bytes < 2_000);
        assert_eq!(ring.get("uid").unwrap().object[0], b'b');
        for i in 0..20 {
            let body = body(1_000, b'c');
            assert!(ring.keep(&format!("n{i}"), &body, &body, None));
            assert!(ring.fill().bytes <= 10_000);
        }
        assert_eq!(ring.get("uid"), None);
    }
}
