//! What the reporter counts.

use crate::intake::Told;
use docket_record::exhibit::Missing;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::borrow::Cow;

/// Names and values of `N` labels. Values come from fixed sets or from the command line,
/// never from a request.
pub type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;

/// All metrics; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    events: Counters<1>,
    testimonies: Counters<1>,
    gaps: Counters<1>,
    failed_open: Counters<1>,
    outcomes: Counters<1>,
    entries: Counter,
    tree_size: Gauge,
    missing: Gauge,
    /// Seconds of one ledger transaction.
    pub commit_seconds: Histogram,
    /// Transactions that failed; the store is opened again.
    pub commit_failures: Counter,
    /// 1 while the store takes entries.
    pub store_ready: Gauge,
    batches: Counters<2>,
    /// Connections refused before a request was read, by listener.
    pub refused_connections: Counters<1>,
    watch_errors: Counters<1>,
    /// Policies that could not be read.
    pub bad_policies: Counter,
    /// Policies known.
    pub policies: Gauge,
    /// Reports that could not be read.
    pub bad_reports: Counter,
    reports: Gauge,
    report_results: Gauge,
    report_results_left_out: Gauge,
    published: Counters<1>,
    kyverno_events: Counters<1>,
    deniers: Counters<1>,
    witness: Counters<1>,
    exhibits: Counters<1>,
    file_behind: Family<Labels<1>, Gauge>,
}

impl Metrics {
    /// Register all of them.
    #[must_use]
    pub fn new() -> (Metrics, Registry) {
        let metrics = Metrics {
            events: Family::default(),
            testimonies: Family::default(),
            gaps: Family::default(),
            failed_open: Family::default(),
            outcomes: Family::default(),
            entries: Counter::default(),
            tree_size: Gauge::default(),
            missing: Gauge::default(),
            commit_seconds: Histogram::new(exponential_buckets(0.0005, 2.0, 14)),
            commit_failures: Counter::default(),
            store_ready: Gauge::default(),
            batches: Family::default(),
            refused_connections: Family::default(),
            watch_errors: Family::default(),
            bad_policies: Counter::default(),
            policies: Gauge::default(),
            bad_reports: Counter::default(),
            reports: Gauge::default(),
            report_results: Gauge::default(),
            report_results_left_out: Gauge::default(),
            published: Family::default(),
            kyverno_events: Family::default(),
            deniers: Family::default(),
            witness: Family::default(),
            exhibits: Family::default(),
            file_behind: Family::default(),
        };
        let mut all = Registry::with_prefix("docket_reporter");
        let m = &metrics;
        all.register(
            "audit_events",
            "Audit events by what they were",
            m.events.clone(),
        );
        all.register(
            "testimonies",
            "Testimonies by what they were worth; all but verified are ignored",
            m.testimonies.clone(),
        );
        all.register("gaps", "Gaps told to the ledger, by cause", m.gaps.clone());
        all.register(
            "own_hook_failed_open",
            "Events that say our own hook failed open; timeout: any client can cause it",
            m.failed_open.clone(),
        );
        all.register(
            "outcomes",
            "Admitted writes that answered denials; forgotten: open denials for which there was no room",
            m.outcomes.clone(),
        );
        all.register("entries", "Entries appended", m.entries.clone());
        all.register("tree_size", "Size of the tree", m.tree_size.clone());
        all.register(
            "missing_numbers",
            "Testimonies whose audit event has not come yet",
            m.missing.clone(),
        );
        all.register(
            "commit_seconds",
            "One ledger transaction",
            m.commit_seconds.clone(),
        );
        all.register(
            "commit_failures",
            "Transactions that failed",
            m.commit_failures.clone(),
        );
        all.register(
            "store_ready",
            "1 while the store takes entries",
            m.store_ready.clone(),
        );
        all.register(
            "audit_batches",
            "Deliveries by source and answer",
            m.batches.clone(),
        );
        all.register(
            "refused_connections",
            "Connections refused before a request was read: no or a wrong client certificate",
            m.refused_connections.clone(),
        );
        all.register(
            "watch_errors",
            "Errors of policy watches, by kind",
            m.watch_errors.clone(),
        );
        all.register(
            "unreadable_policies",
            "Policies skipped",
            m.bad_policies.clone(),
        );
        all.register("policies", "Policies known", m.policies.clone());
        all.register(
            "unreadable_reports",
            "Policy reports skipped",
            m.bad_reports.clone(),
        );
        all.register("reports", "Policy reports known", m.reports.clone());
        all.register(
            "report_results",
            "Violations and excepted results of reports that are kept",
            m.report_results.clone(),
        );
        all.register(
            "report_results_left_out",
            "Those of existing reports that are not kept: there is no room",
            m.report_results_left_out.clone(),
        );
        all.register(
            "kubernetes_events",
            "Events by what became of them",
            m.published.clone(),
        );
        all.register(
            "kyverno_events",
            "Kyverno's Events by what they were worth; alone: no denial came for it",
            m.kyverno_events.clone(),
        );
        all.register(
            "other_deniers",
            "Denials by what is known of others who would have denied too",
            m.deniers.clone(),
        );
        all.register(
            "witness_calls",
            "Questions to witnesses, by answer",
            m.witness.clone(),
        );
        all.register(
            "exhibits",
            "Denials by what became of their exhibit; without one their texts stay unmasked",
            m.exhibits.clone(),
        );
        for outcome in ["kept", "withheld"]
            .into_iter()
            .chain(Missing::ALL.map(Missing::label))
        {
            drop(m.exhibits.get_or_create(&[("outcome", outcome.into())]));
        }
        all.register(
            "file_bytes_behind",
            "Bytes of the audit log not read yet",
            m.file_behind.clone(),
        );
        (metrics, all)
    }

    /// One commit's outcome.
    pub fn told(&self, told: &Told) {
        for (family, label, counts) in [
            (&self.events, "outcome", &told.events),
            (&self.testimonies, "worth", &told.testimonies),
            (&self.gaps, "cause", &told.gaps),
            (&self.failed_open, "why", &told.failed_open),
            (&self.kyverno_events, "outcome", &told.kyverno_events),
            (&self.deniers, "state", &told.deniers),
            (&self.outcomes, "what", &told.outcomes),
        ] {
            for (&name, &count) in counts {
                family.get_or_create(&[(label, name.into())]).inc_by(count);
            }
        }
        self.entries.inc_by(told.appended);
        if let Some(size) = told.size {
            self.tree_size.set(i64::try_from(size).unwrap_or(i64::MAX));
        }
    }

    /// Numbers that are waited for.
    pub fn missing(&self, count: u64) {
        self.missing.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// One delivery of a source and how it was answered.
    pub fn batch(&self, source: &str, answer: &'static str) {
        let labels = [
            ("source", source.to_owned().into()),
            ("answer", answer.into()),
        ];
        self.batches.get_or_create(&labels).inc();
    }

    /// A connection that ended before a request.
    pub fn refused(&self, listener: &'static str) {
        self.refused_connections
            .get_or_create(&[("listener", listener.into())])
            .inc();
    }

    /// A watch that failed and will be tried again.
    pub fn watch_error(&self, kind: &str) {
        self.watch_errors
            .get_or_create(&[("kind", kind.to_owned().into())])
            .inc();
    }

    /// What is known of reports, and what there was no room for.
    pub fn reports(&self, reports: usize, results: usize, left_out: u64) {
        self.reports.set(i64::try_from(reports).unwrap_or(i64::MAX));
        self.report_results
            .set(i64::try_from(results).unwrap_or(i64::MAX));
        self.report_results_left_out
            .set(i64::try_from(left_out).unwrap_or(i64::MAX));
    }

    /// What became of one Kubernetes Event.
    pub fn published(&self, outcome: &'static str) {
        self.published_many(outcome, 1);
    }

    /// What became of so many.
    pub fn published_many(&self, outcome: &'static str, count: u64) {
        self.published
            .get_or_create(&[("outcome", outcome.into())])
            .inc_by(count);
    }

    /// One of Kyverno's Events that says nothing of a refusal, and why.
    pub fn kyverno_event(&self, outcome: &'static str) {
        self.kyverno_events
            .get_or_create(&[("outcome", outcome.into())])
            .inc();
    }

    /// What became of one question to a witness.
    pub fn witness(&self, outcome: &'static str) {
        self.witness
            .get_or_create(&[("outcome", outcome.into())])
            .inc();
    }

    /// What became of so many exhibits.
    pub fn exhibits(&self, outcome: &'static str, count: u64) {
        self.exhibits
            .get_or_create(&[("outcome", outcome.into())])
            .inc_by(count);
    }

    /// How far a file source is behind.
    pub fn behind(&self, source: &str, bytes: u64) {
        let gauge = self
            .file_behind
            .get_or_create(&[("source", source.to_owned().into())]);
        gauge.set(i64::try_from(bytes).unwrap_or(i64::MAX));
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
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_counted_under_its_name() {
        let (metrics, registry) = Metrics::new();
        let mut told = Told {
            appended: 2,
            size: Some(7),
            ..Told::default()
        };
        told.events.insert("denied", 2);
        metrics.told(&told);
        let text = render(&registry);
        assert!(
            text.contains(r#"docket_reporter_audit_events_total{outcome="denied"} 2"#),
            "{text}"
        );
        assert!(text.contains("docket_reporter_tree_size 7"), "{text}");
    }
}
