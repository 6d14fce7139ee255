//! Who is connected to one listener, and who has to go.
//!
//! A register instead of a timer per connection: one sweep a second closes what idles or
//! dribbles, and a full listener makes room by closing the oldest idle connection. Those
//! that never sent a request go first: they are strangers, kube-apiserver's are not.
//!
//! Only a request is use. An HTTP/2 connection on which nothing but pings come is idle,
//! and closed when it has been that for too long; until then its pings are no head of a
//! request that dribbles in.

use super::ListenerLimits;
use crate::lock;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// What a listener counts; whoever binds it registers them. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct ListenerMetrics {
    /// Connections open now.
    pub open: Gauge,
    /// Connections closed to make room for a new one.
    pub evicted: Counter,
    /// Connections refused because all others were busy.
    pub refused: Counter,
    /// Connections that ended in the TLS handshake.
    pub handshakes_refused: Counter,
}

/// All connections of one listener.
pub(super) struct ConnectionRegister {
    limit: usize,
    idle: Duration,
    head: Duration,
    start: Instant,
    next: AtomicU64,
    /// Held for a scan of at most `limit` entries, never across an await.
    open: Mutex<HashMap<u64, Arc<Connection>>>,
    /// Tasks alive, those already told to close included.
    alive: watch::Sender<usize>,
    metrics: ListenerMetrics,
}

/// What is known of one connection. Times are in milliseconds since `start`.
pub(super) struct Connection {
    used: AtomicU64,
    head_since: AtomicU64,
    in_flight: AtomicU32,
    served: AtomicBool,
    /// HTTP/2: bytes may come that belong to no request.
    pings: AtomicBool,
    start: Instant,
    /// Notified when it has to go.
    pub(super) close: Notify,
}

/// A place among the connections, given back when dropped.
pub(super) struct ConnectionSlot {
    id: u64,
    register: Arc<ConnectionRegister>,
    /// The connection it stands for.
    pub(super) connection: Arc<Connection>,
}

/// A request under way on a connection.
pub(super) struct RequestInFlight(Arc<Connection>);

impl ConnectionRegister {
    /// An empty one.
    pub(super) fn new(limits: &ListenerLimits, metrics: ListenerMetrics) -> Arc<Self> {
        Arc::new(Self {
            limit: limits.connections,
            idle: limits.idle,
            head: limits.head,
            start: Instant::now(),
            next: AtomicU64::new(0),
            open: Mutex::default(),
            alive: watch::Sender::new(0),
            metrics,
        })
    }

    /// What is counted.
    pub(super) fn metrics(&self) -> &ListenerMetrics {
        &self.metrics
    }

    /// A place for a new connection; if there is none, that of the oldest idle one.
    pub(super) fn enter(self: &Arc<Self>) -> Option<ConnectionSlot> {
        let connection = Arc::new(Connection {
            used: AtomicU64::new(millis(self.start)),
            head_since: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            served: AtomicBool::new(false),
            pings: AtomicBool::new(false),
            start: self.start,
            close: Notify::new(),
        });
        let id = self.next.fetch_add(1, Relaxed);
        let mut open = lock(&self.open);
        if open.len() >= self.limit {
            let oldest = open
                .iter()
                .filter(|(_, c)| c.in_flight.load(Relaxed) == 0)
                .min_by_key(|(id, c)| (c.served.load(Relaxed), c.used.load(Relaxed), **id))
                .map(|(id, _)| *id);
            match oldest.and_then(|id| open.remove(&id)) {
                Some(gone) => {
                    gone.close.notify_one();
                    self.metrics.evicted.inc();
                }
                None => {
                    self.metrics.refused.inc();
                    return None;
                }
            }
        }
        open.insert(id, Arc::clone(&connection));
        drop(open);
        self.alive.send_modify(|n| *n += 1);
        self.metrics.open.inc();
        Some(ConnectionSlot {
            id,
            register: Arc::clone(self),
            connection,
        })
    }

    /// Tells those to go that idle too long, or take too long over the head of a request.
    pub(super) fn sweep(&self) {
        let now = millis(self.start);
        let past =
            |since: u64, limit: Duration| u128::from(now.saturating_sub(since)) > limit.as_millis();
        for connection in lock(&self.open).values() {
            let head = connection.head_since.load(Relaxed);
            let dribbles = head != 0 && past(head, self.head);
            let idles = past(connection.used.load(Relaxed), self.idle);
            if connection.in_flight.load(Relaxed) == 0 && (dribbles || idles) {
                connection.close.notify_one();
            }
        }
    }

    /// Waits until the last one has gone.
    pub(super) async fn empty(&self) {
        // Fails only without a sender, and the sender is `self`.
        let _ = self.alive.subscribe().wait_for(|n| *n == 0).await;
    }
}

impl Connection {
    /// It speaks HTTP/2.
    pub(super) fn carries_pings(&self) {
        self.pings.store(true, Relaxed);
    }

    /// Bytes have come; if no request is under way, the head of one has begun. On HTTP/2
    /// they may be an answer to our ping, or a ping: only of the first request, before
    /// which nobody has to ping, is it known.
    pub(super) fn bytes_came(&self) {
        if self.in_flight.load(Relaxed) == 0
            && self.head_since.load(Relaxed) == 0
            && !(self.pings.load(Relaxed) && self.served.load(Relaxed))
        {
            self.head_since.store(millis(self.start).max(1), Relaxed);
        }
    }

    /// The head of a request is complete.
    pub(super) fn begin(self: &Arc<Self>) -> RequestInFlight {
        self.in_flight.fetch_add(1, Relaxed);
        self.head_since.store(0, Relaxed);
        RequestInFlight(Arc::clone(self))
    }
}

impl Drop for RequestInFlight {
    fn drop(&mut self) {
        self.0.used.store(millis(self.0.start), Relaxed);
        self.0.served.store(true, Relaxed);
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        lock(&self.register.open).remove(&self.id);
        self.register.alive.send_modify(|n| *n -= 1);
        self.register.metrics.open.dec();
    }
}

fn millis(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(connections: usize, idle: u64, head: u64) -> ListenerLimits {
        ListenerLimits {
            connections,
            idle: Duration::from_millis(idle),
            head: Duration::from_millis(head),
            drain: Duration::ZERO,
            streams: 1,
            send_buffer: 1,
            headers: None,
        }
    }

    fn register(limit: usize) -> Arc<ConnectionRegister> {
        ConnectionRegister::new(&limits(limit, 300_000, 10_000), ListenerMetrics::default())
    }

    fn must_go(slot: &ConnectionSlot) -> bool {
        use std::task::{Context, Poll, Waker};
        let mut notified = std::pin::pin!(slot.connection.close.notified());
        matches!(
            notified
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop())),
            Poll::Ready(())
        )
    }

    #[test]
    fn a_full_listener_closes_a_stranger_before_one_that_was_served() {
        let register = register(2);
        let served = register.enter().unwrap();
        drop(served.connection.begin());
        let stranger = register.enter().unwrap();
        let third = register.enter().unwrap();
        assert!(must_go(&stranger));
        assert!(!must_go(&served));
        assert!(!must_go(&third));
        assert_eq!(register.metrics().evicted.get(), 1);
    }

    #[test]
    fn a_listener_full_of_busy_connections_refuses_the_new_one() {
        let register = register(1);
        let busy = register.enter().unwrap();
        let request = busy.connection.begin();
        assert!(register.enter().is_none());
        assert_eq!(register.metrics().refused.get(), 1);
        drop(request);
        assert!(register.enter().is_some());
    }

    #[tokio::test]
    async fn a_place_is_given_back_when_its_connection_ends() {
        let register = register(1);
        let slot = register.enter().unwrap();
        assert_eq!(register.metrics().open.get(), 1);
        drop(slot);
        assert_eq!(register.metrics().open.get(), 0);
        register.empty().await;
    }

    #[test]
    fn a_sweep_closes_what_idles_or_dribbles_and_nothing_else() {
        let register = ConnectionRegister::new(&limits(9, 60, 20), ListenerMetrics::default());
        let dribbles = register.enter().unwrap();
        let quiet = register.enter().unwrap();
        let busy = register.enter().unwrap();
        let _request = busy.connection.begin();
        dribbles.connection.bytes_came();
        std::thread::sleep(Duration::from_millis(40));
        register.sweep();
        assert!(must_go(&dribbles));
        assert!(!must_go(&quiet));
        std::thread::sleep(Duration::from_millis(40));
        register.sweep();
        assert!(must_go(&quiet));
        assert!(!must_go(&busy));
    }

    #[test]
    fn pings_after_a_request_are_no_head_and_no_use() {
        let register = ConnectionRegister::new(&limits(9, 100, 20), ListenerMetrics::default());
        let pings = register.enter().unwrap();
        pings.connection.carries_pings();
        drop(pings.connection.begin());
        pings.connection.bytes_came();
        std::thread::sleep(Duration::from_millis(40));
        register.sweep();
        assert!(!must_go(&pings), "a ping is no head that dribbles in");
        std::thread::sleep(Duration::from_millis(80));
        pings.connection.bytes_came();
        register.sweep();
        assert!(must_go(&pings), "and keeps nobody in");
        // Without a first request they are what strangers send.
        let stranger = register.enter().unwrap();
        stranger.connection.carries_pings();
        stranger.connection.bytes_came();
        std::thread::sleep(Duration::from_millis(40));
        register.sweep();
        assert!(must_go(&stranger));
    }
}
