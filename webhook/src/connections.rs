//! Who is connected to one listener, and who has to go.
//!
//! A register instead of a timer per connection: one sweep a second closes what idles or
//! dribbles, and a full house makes room by closing the oldest idle connection. Those that
//! never sent a request go first: they are strangers, kube-apiserver's are not.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// All connections of one listener.
pub struct Connections {
    limit: usize,
    idle: Duration,
    head: Duration,
    start: Instant,
    next: AtomicU64,
    /// Held for a scan of at most `limit` entries, never across an await.
    open: Mutex<HashMap<u64, Arc<Connection>>>,
    /// Tasks alive, those already told to close included.
    alive: watch::Sender<usize>,
    /// Connections closed to make room for a new one.
    pub evicted: AtomicU64,
    /// Connections refused because everyone was busy.
    pub refused: AtomicU64,
    /// Connections that ended in the TLS handshake.
    pub unshaken: AtomicU64,
}

/// What is known of one connection.
pub struct Connection {
    used: AtomicU64,
    head_since: AtomicU64,
    in_flight: AtomicU32,
    served: AtomicBool,
    start: Instant,
    /// Told when it has to go.
    pub close: Notify,
}

/// A place among the connections, given back when dropped.
pub struct Place {
    id: u64,
    house: Arc<Connections>,
    /// The connection it stands for.
    pub connection: Arc<Connection>,
}

/// A request under way on a connection.
pub struct InFlight(Arc<Connection>);

impl Connections {
    /// An empty house for `limit` connections.
    pub fn new(limit: usize, idle: Duration, head: Duration) -> Arc<Self> {
        Arc::new(Self {
            limit,
            idle,
            head,
            start: Instant::now(),
            next: AtomicU64::new(0),
            open: Mutex::default(),
            alive: watch::Sender::new(0),
            evicted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            unshaken: AtomicU64::new(0),
        })
    }

    /// A place for a new connection; if the house is full, that of the oldest idle one.
    pub fn enter(self: &Arc<Self>) -> Option<Place> {
        let connection = Arc::new(Connection {
            used: AtomicU64::new(millis(self.start)),
            head_since: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            served: AtomicBool::new(false),
            start: self.start,
            close: Notify::new(),
        });
        let id = self.next.fetch_add(1, Relaxed);
        let mut open = crate::witness::lock(&self.open);
        if open.len() >= self.limit {
            let oldest = open
                .iter()
                .filter(|(_, c)| c.in_flight.load(Relaxed) == 0)
                .min_by_key(|(id, c)| (c.served.load(Relaxed), c.used.load(Relaxed), **id))
                .map(|(id, _)| *id);
            match oldest.and_then(|id| open.remove(&id)) {
                Some(gone) => {
                    gone.close.notify_one();
                    self.evicted.fetch_add(1, Relaxed);
                }
                None => {
                    self.refused.fetch_add(1, Relaxed);
                    return None;
                }
            }
        }
        open.insert(id, Arc::clone(&connection));
        drop(open);
        self.alive.send_modify(|n| *n += 1);
        Some(Place {
            id,
            house: Arc::clone(self),
            connection,
        })
    }

    /// Tells those to go that idle too long, or take too long over the head of a request.
    pub fn sweep(&self) {
        let now = millis(self.start);
        let past =
            |since: u64, limit: Duration| u128::from(now.saturating_sub(since)) > limit.as_millis();
        for connection in crate::witness::lock(&self.open).values() {
            let head = connection.head_since.load(Relaxed);
            let dribbles = head != 0 && past(head, self.head);
            let idles = past(connection.used.load(Relaxed), self.idle);
            if connection.in_flight.load(Relaxed) == 0 && (dribbles || idles) {
                connection.close.notify_one();
            }
        }
    }

    /// Connections alive now.
    pub fn count(&self) -> usize {
        *self.alive.borrow()
    }

    /// Waits until the last one has gone.
    pub async fn empty(&self) {
        // Fails only without a sender, and the sender is `self`.
        let _ = self.alive.subscribe().wait_for(|n| *n == 0).await;
    }
}

impl Connection {
    /// Bytes have come; if no request is under way, the head of one has begun.
    pub fn heard(&self) {
        if self.in_flight.load(Relaxed) == 0 && self.head_since.load(Relaxed) == 0 {
            self.head_since.store(millis(self.start).max(1), Relaxed);
        }
    }

    /// The head of a request is complete.
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Relaxed);
        self.head_since.store(0, Relaxed);
        InFlight(Arc::clone(self))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.used.store(millis(self.0.start), Relaxed);
        self.0.served.store(true, Relaxed);
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        crate::witness::lock(&self.house.open).remove(&self.id);
        self.house.alive.send_modify(|n| *n -= 1);
    }
}

fn millis(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn house(limit: usize) -> Arc<Connections> {
        Connections::new(limit, Duration::from_secs(300), Duration::from_secs(10))
    }

    fn told(place: &Place) -> bool {
        use std::task::{Context, Poll, Waker};
        let mut notified = std::pin::pin!(place.connection.close.notified());
        matches!(
            notified
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop())),
            Poll::Ready(())
        )
    }

    #[test]
    fn a_full_house_closes_a_stranger_before_one_that_was_served() {
        let house = house(2);
        let served = house.enter().unwrap();
        drop(served.connection.begin());
        let stranger = house.enter().unwrap();
        let third = house.enter().unwrap();
        assert!(told(&stranger));
        assert!(!told(&served));
        assert!(!told(&third));
        assert_eq!(house.evicted.load(Relaxed), 1);
    }

    #[test]
    fn a_house_full_of_busy_connections_refuses_the_new_one() {
        let house = house(1);
        let busy = house.enter().unwrap();
        let request = busy.connection.begin();
        assert!(house.enter().is_none());
        assert_eq!(house.refused.load(Relaxed), 1);
        drop(request);
        assert!(house.enter().is_some());
    }

    #[tokio::test]
    async fn a_place_is_given_back_when_its_connection_ends() {
        let house = house(1);
        let place = house.enter().unwrap();
        assert_eq!(house.count(), 1);
        drop(place);
        assert_eq!(house.count(), 0);
        house.empty().await;
    }

    #[test]
    fn a_sweep_closes_what_idles_or_dribbles_and_nothing_else() {
        let house = Connections::new(9, Duration::from_millis(60), Duration::from_millis(20));
        let dribbles = house.enter().unwrap();
        let quiet = house.enter().unwrap();
        let busy = house.enter().unwrap();
        let _request = busy.connection.begin();
        dribbles.connection.heard();
        std::thread::sleep(Duration::from_millis(40));
        house.sweep();
        assert!(told(&dribbles));
        assert!(!told(&quiet));
        std::thread::sleep(Duration::from_millis(40));
        house.sweep();
        assert!(told(&quiet));
        assert!(!told(&busy));
    }
}
