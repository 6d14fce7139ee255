//! Who reads, and who is not let in.

use super::labels::{Counters, Gauges};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Of the doors.
#[derive(Clone)]
pub(crate) struct Readers {
    pub(super) refused_identities: Counters,
    streams: Gauges,
    /// Readers of streams that took nothing for too long, and were ended.
    pub(crate) slow: Counter,
}

impl Readers {
    pub(super) fn register(all: &mut Registry) -> Readers {
        let slow = Counter::default();
        all.register(
            "slow_readers",
            "Readers of streams that took nothing for half a minute, and were ended",
            slow.clone(),
        );
        Readers {
            slow,
            refused_identities: Counters::register(
                all,
                "refused_identities",
                "Requests that say who sends them (X-Remote-User) and were not believed",
                "cause",
                ["untrusted", "unreadable"],
            ),
            streams: Gauges::register(
                all,
                "streams_open",
                "Streams and watches that are open, by door",
                "door",
                ["sse", "watch"],
            ),
        }
    }

    pub(super) fn stream(&self, door: &'static str) -> OpenStream {
        let open = self.streams.of(door);
        open.inc();
        OpenStream(open)
    }
}

/// A stream that counts as open until this is dropped.
#[derive(Debug)]
pub(crate) struct OpenStream(Gauge);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.dec();
    }
}
