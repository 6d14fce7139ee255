//! The ledger, its writer and its disk.

use super::labels::{Counters, Gauges, counter, gauge, whole};
use crate::gaps::Cause;
use crate::intake::Told;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;

/// Of the ledger.
#[derive(Clone)]
pub(crate) struct Ledger {
    entries: Counter,
    tree_size: Gauge,
    /// Seconds of one transaction.
    pub(crate) commit_seconds: Histogram,
    /// Transactions that failed; the store is opened again.
    pub(crate) commit_failures: Counter,
    /// 1 while the store takes entries.
    pub(crate) store_ready: Gauge,
    store: Gauges,
    store_free: Gauge,
    gaps: Counters,
    open_gaps: Gauges,
    missing: Gauge,
}

impl Ledger {
    pub(super) fn register(all: &mut Registry) -> Ledger {
        let causes = || Cause::ALL.map(Cause::name);
        let commit_seconds = Histogram::new(exponential_buckets(0.0005, 2.0, 14));
        all.register(
            "commit_seconds",
            "One ledger transaction",
            commit_seconds.clone(),
        );
        Ledger {
            commit_seconds,
            entries: counter(all, "entries", "Entries appended"),
            tree_size: gauge(all, "tree_size", "Entries in the ledger"),
            commit_failures: counter(all, "commit_failures", "Transactions that failed"),
            store_ready: gauge(all, "store_ready", "1 while the store takes entries"),
            store: Gauges::register(
                all,
                "store_bytes",
                "Size of the store's files: the ledger, and its write-ahead log",
                "file",
                ["ledger", "wal"],
            ),
            store_free: gauge(
                all,
                "store_free_bytes",
                "Bytes left on the store's disk for this process",
            ),
            gaps: Counters::register(
                all,
                "gaps",
                "Gaps told to the ledger, by cause",
                "cause",
                causes(),
            ),
            open_gaps: Gauges::register(
                all,
                "gaps_open",
                "Gaps that nothing has closed, by cause",
                "cause",
                causes(),
            ),
            missing: gauge(
                all,
                "missing_numbers",
                "Testimonies whose audit event has not come yet",
            ),
        }
    }

    pub(super) fn told(&self, told: &Told) {
        for (&cause, &count) in &told.gaps {
            self.gaps.add(cause, count);
        }
        self.entries.inc_by(told.appended);
        if let Some(size) = told.size {
            self.tree_size.set(whole(size));
        }
    }

    /// Numbers that are waited for.
    pub(crate) fn missing(&self, count: u64) {
        self.missing.set(whole(count));
    }

    /// Entries, also before the first commit.
    pub(crate) fn size(&self, size: u64) {
        self.tree_size.set(whole(size));
    }

    /// Bytes of the ledger, of its write-ahead log, and what is left on their disk.
    pub(crate) fn disk(&self, ledger: u64, wal: u64, free: Option<u64>) {
        self.store.set("ledger", ledger);
        self.store.set("wal", wal);
        if let Some(free) = free {
            self.store_free.set(whole(free));
        }
    }

    /// Open gaps by cause; a cause that is not among them has none.
    pub(crate) fn open_gaps(&self, open: &BTreeMap<String, u64>) {
        for cause in Cause::ALL.map(Cause::name) {
            let count = open.get(cause).copied().unwrap_or(0);
            self.open_gaps.set(cause, count);
        }
    }
}
