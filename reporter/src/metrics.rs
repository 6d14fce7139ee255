//! What the reporter counts. What each of them means, and what to do when: `docs/metrics.md`.
//!
//! Every series that can be known before it counts exists from the start, so that a rate
//! over it is right from the first event on. Label values come from fixed sets, from the
//! command line, or, of denials alone, from names that the law of the moment confirms, so
//! many of them and no more ([`denials`]). No secret, no user, no message is ever one.

mod cluster;
pub(crate) mod denials;
mod labels;
mod lag;
mod ledger;
mod readers;
mod sources;

pub(crate) use lag::Step;
pub(crate) use readers::OpenStream;

use crate::intake::Told;
use docket_host::ListenerMetrics;
use jiff::Timestamp;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// All metrics; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    /// Of the ledger and its writer.
    pub(crate) ledger: ledger::Ledger,
    /// Of what comes in.
    pub(crate) sources: sources::Sources,
    /// Of what is watched in the cluster and written to it.
    pub(crate) cluster: cluster::Cluster,
    /// Of who reads.
    pub(crate) readers: readers::Readers,
    denials: denials::Denials,
    lag: lag::Lag,
}

impl Metrics {
    /// Register all of them.
    #[must_use]
    pub fn new() -> (Metrics, Registry) {
        let mut all = Registry::with_prefix("docket_reporter");
        let metrics = Metrics {
            ledger: ledger::Ledger::register(&mut all),
            sources: sources::Sources::register(&mut all),
            cluster: cluster::Cluster::register(&mut all),
            readers: readers::Readers::register(&mut all),
            denials: denials::Denials::register(&mut all),
            lag: lag::Lag::register(&mut all),
        };
        (metrics, all)
    }

    /// One commit's outcome.
    pub(crate) fn told(&self, told: &Told, now: Timestamp) {
        self.sources.told(told);
        self.cluster.told(told);
        self.ledger.told(told);
        for (_, denial) in &told.denials {
            self.denials.count(denial);
            self.lag.observe(Step::Committed, denial.time, now);
        }
    }

    /// A denial got as far as this step.
    pub(crate) fn lag(&self, step: Step, happened: Timestamp, now: Timestamp) {
        self.lag.observe(step, happened, now);
    }

    /// A new denial, of this stage time in microseconds, was written to a stream.
    pub(crate) fn streamed(&self, happened: i64) {
        if let Ok(happened) = Timestamp::from_microsecond(happened) {
            self.lag(Step::Streamed, happened, Timestamp::now());
        }
    }

    /// One delivery of a source and how it was answered.
    pub fn batch(&self, source: &str, answer: &'static str) {
        self.sources.batch(source, answer);
    }

    /// A fault of ours was caught: while `reading` what came, or `committing` it.
    pub fn panicked(&self, during: &'static str) {
        self.sources.panics.inc(during);
    }

    /// What a listener counts.
    pub fn listener(&self, name: &'static str) -> ListenerMetrics {
        self.sources.listener(name)
    }

    /// A request that says who sends it, and is not believed: `untrusted` (from none of the
    /// certificates that may say so) or `unreadable`.
    pub(crate) fn refused_identity(&self, cause: &'static str) {
        self.readers.refused_identities.inc(cause);
    }

    /// Someone stays to watch at this door (`sse`, `watch`), until what is returned is
    /// dropped.
    pub(crate) fn stream(&self, door: &'static str) -> OpenStream {
        self.readers.stream(door)
    }

    /// A watch that failed and will be tried again.
    pub fn watch_error(&self, kind: &str) {
        self.cluster.watch_errors.inc(kind.to_owned());
    }

    /// What became of one Kubernetes Event.
    pub fn published(&self, outcome: &'static str) {
        self.cluster.published.inc(outcome);
    }

    /// One of Kyverno's Events that says nothing of a refusal, and why.
    pub fn kyverno_event(&self, outcome: &'static str) {
        self.cluster.kyverno_events.inc(outcome);
    }

    /// What became of one question to a witness.
    pub fn witness(&self, outcome: &'static str) {
        self.sources.witness.inc(outcome);
    }

    /// What became of so many exhibits.
    pub fn exhibits(&self, outcome: &'static str, count: u64) {
        self.sources.exhibits.add(outcome, count);
    }
}

/// The registry as text, for `/metrics`.
#[must_use]
pub fn render(registry: &Registry) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    let _ = encode(&mut text, registry);
    text
}

#[cfg(test)]
mod tests;
