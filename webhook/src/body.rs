//! Reading a body that may be anything, at bounded cost.
//!
//! The answer is always "allowed", so a body is never refused: what is too large, too slow
//! or too much is read to its end (within bounds, so that the answer is not lost in a
//! reset connection) while only its beginning is kept, for the uid.

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The largest body that is read as a review. An object is at most 3 MiB on its way in and
/// a review holds two of them, escaped.
pub const LARGEST: usize = 32 << 20;
/// Kept of a body that is not read as a review.
pub const HEAD: usize = 64 << 10;
/// Of a body that is not kept, so much more is read before it is answered anyhow.
const DRAIN: usize = 64 << 20;
/// Reserved at once when a length is announced; more only as it comes.
const ANNOUNCED: usize = 1 << 20;

/// What came.
#[derive(Debug)]
pub enum Read {
    /// All of it, in one piece that holds nothing else.
    Whole(Held),
    /// Its first bytes, and why not all.
    Head(Vec<u8>, Short),
}

/// Why a body was not kept whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Short {
    /// Over [`LARGEST`].
    TooLarge,
    /// Not complete in time.
    TooSlow,
    /// Too many bytes under way in all calls together.
    Crowded,
    /// The connection or the encoding broke.
    Broken,
}

/// Bytes under way in all calls together.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    held: AtomicUsize,
}

/// A body and its share of the budget, given back when dropped.
#[derive(Debug)]
pub struct Held {
    /// The body.
    pub bytes: Bytes,
    _share: Share,
}

#[derive(Debug)]
struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            held: AtomicUsize::new(0),
        })
    }

    /// Bytes under way now.
    pub fn held(&self) -> usize {
        self.held.load(Relaxed)
    }
}

impl Share {
    fn grow(&mut self, bytes: usize) -> bool {
        let before = self.budget.held.fetch_add(bytes, Relaxed);
        if before + bytes > self.budget.limit {
            self.budget.held.fetch_sub(bytes, Relaxed);
            return false;
        }
        self.bytes += bytes;
        true
    }

    fn keep(&mut self, bytes: usize) {
        self.budget
            .held
            .fetch_sub(self.bytes.saturating_sub(bytes), Relaxed);
        self.bytes = self.bytes.min(bytes);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.bytes, Relaxed);
    }
}

/// Reads a body to its end, or as far as it is worth.
pub async fn read(mut body: Body, budget: &Arc<Budget>, within: Duration) -> Read {
    let deadline = Instant::now() + within;
    let announced = hyper::body::Body::size_hint(&body).lower();
    let announced = usize::try_from(announced).unwrap_or(usize::MAX);
    let mut share = Share {
        budget: Arc::clone(budget),
        bytes: 0,
    };
    // One copy out of the connection's buffer, into memory of exactly this size: an
    // exhibit then holds its own bytes and not a neighbour's.
    let mut kept: Vec<u8> = Vec::with_capacity(announced.min(ANNOUNCED));
    let mut short = (announced > LARGEST).then_some(Short::TooLarge);
    let mut drained = 0;
    loop {
        let data = match timeout_at(deadline, body.frame()).await {
            Err(_) => return Read::Head(head(kept), short.unwrap_or(Short::TooSlow)),
            Ok(Some(Err(_))) => return Read::Head(head(kept), short.unwrap_or(Short::Broken)),
            Ok(None) => break,
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => data,
                Err(_trailers) => continue,
            },
        };
        if short.is_none() {
            if kept.len() + data.len() > LARGEST {
                short = Some(Short::TooLarge);
            } else if !share.grow(data.len()) {
                short = Some(Short::Crowded);
            }
        }
        match short {
            None => kept.extend_from_slice(&data),
            Some(short) => {
                if kept.capacity() > HEAD {
                    kept = head(kept);
                    share.keep(kept.len());
                }
                let room = HEAD.saturating_sub(kept.len()).min(data.len());
                if share.grow(room) {
                    kept.extend_from_slice(&data[..room]);
                }
                drained += data.len();
                if drained > DRAIN {
                    return Read::Head(kept, short);
                }
            }
        }
    }
    match short {
        None => {
            kept.shrink_to_fit();
            Read::Whole(Held {
                bytes: Bytes::from(kept),
                _share: share,
            })
        }
        Some(short) => Read::Head(kept, short),
    }
}

fn head(mut kept: Vec<u8>) -> Vec<u8> {
    kept.truncate(HEAD);
    kept.shrink_to(HEAD);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;

    const SOON: Duration = Duration::from_secs(5);

    fn pieces(count: usize, size: usize) -> Body {
        Body::from_stream(stream::iter(
            (0..count).map(move |_| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; size]))),
        ))
    }

    #[tokio::test]
    async fn a_body_in_pieces_is_one_piece_of_exactly_its_size() {
        let budget = Budget::new(1 << 30);
        let Read::Whole(held) = read(pieces(100, 1_000), &budget, SOON).await else {
            panic!("not whole")
        };
        assert_eq!(held.bytes.len(), 100_000);
        assert_eq!(budget.held(), 100_000);
        drop(held);
        assert_eq!(budget.held(), 0);
    }

    #[tokio::test]
    async fn a_body_over_the_limit_leaves_its_first_64_kib() {
        let budget = Budget::new(1 << 30);
        let Read::Head(head, short) = read(pieces(40, 1 << 20), &budget, SOON).await else {
            panic!("whole")
        };
        assert_eq!((head.len(), short), (HEAD, Short::TooLarge));
        assert_eq!(budget.held(), 0);
    }

    #[tokio::test]
    async fn a_body_without_end_is_given_up() {
        let budget = Budget::new(1 << 30);
        let endless = Body::from_stream(stream::repeat_with(|| {
            Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 65_536]))
        }));
        let Read::Head(head, short) = read(endless, &budget, SOON).await else {
            panic!("whole")
        };
        assert_eq!((head.len(), short), (HEAD, Short::TooLarge));
    }

    #[tokio::test]
    async fn bodies_beyond_the_budget_of_all_calls_are_read_but_not_kept() {
        let budget = Budget::new(150_000);
        let Read::Whole(first) = read(pieces(10, 10_000), &budget, SOON).await else {
            panic!("not whole")
        };
        let Read::Head(head, short) = read(pieces(10, 10_000), &budget, SOON).await else {
            panic!("whole")
        };
        // Even the beginning that is kept is paid for.
        assert_eq!((head.len(), short), (50_000, Short::Crowded));
        drop(first);
        assert!(matches!(
            read(pieces(10, 10_000), &budget, SOON).await,
            Read::Whole(_)
        ));
    }

    #[tokio::test]
    async fn a_body_that_never_ends_in_time_is_answered_from_what_came() {
        let budget = Budget::new(1 << 20);
        let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(
            b"{\"request\":",
        ))]);
        let stalled = Body::from_stream(futures::StreamExt::chain(first, stream::pending()));
        let Read::Head(head, short) = read(stalled, &budget, Duration::from_millis(30)).await
        else {
            panic!("whole")
        };
        assert_eq!(
            (head.as_slice(), short),
            (b"{\"request\":".as_slice(), Short::TooSlow)
        );
        assert_eq!(budget.held(), 0);
    }
}
