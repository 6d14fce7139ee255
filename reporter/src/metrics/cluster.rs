//! What is watched in the cluster, and what is written to it.

use super::labels::{Counters, counter, gauge, whole};
use crate::intake::Told;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Of the cluster.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(super) watch_errors: Counters,
    /// Policies that could not be read.
    pub(crate) bad_policies: Counter,
    /// Policies known.
    pub(crate) policies: Gauge,
    /// Reports that could not be read.
    pub(crate) bad_reports: Counter,
    reports: Gauge,
    report_results: Gauge,
    report_results_left_out: Gauge,
    pub(crate) published: Counters,
    pub(super) kyverno_events: Counters,
}

impl Cluster {
    pub(super) fn register(all: &mut Registry) -> Cluster {
        Cluster {
            watch_errors: Counters::register(
                all,
                "watch_errors",
                "Errors of watches, by kind of object",
                "kind",
                ["Event", "discovery", "excepted"],
            ),
            bad_policies: counter(all, "unreadable_policies", "Policies skipped"),
            policies: gauge(all, "policies", "Policies known"),
            bad_reports: counter(all, "unreadable_reports", "Policy reports skipped"),
            reports: gauge(all, "reports", "Policy reports known"),
            report_results: gauge(
                all,
                "report_results",
                "Violations and excepted results of reports that are kept",
            ),
            report_results_left_out: gauge(
                all,
                "report_results_left_out",
                "Those of existing reports that are not kept: there is no room",
            ),
            published: Counters::register(
                all,
                "kubernetes_events",
                "Denials and their Events by what became of them",
                "outcome",
                crate::publish::OUTCOMES,
            ),
            kyverno_events: Counters::register(
                all,
                "kyverno_events",
                "Kyverno's Events by what they were worth; alone: no denial came for it",
                "outcome",
                [
                    "heard",
                    "again",
                    "alone",
                    "crowded_out",
                    "unreadable",
                    "old",
                ],
            ),
        }
    }

    pub(super) fn told(&self, told: &Told) {
        for (&outcome, &count) in &told.kyverno_events {
            self.kyverno_events.add(outcome, count);
        }
    }

    /// What is known of reports, and what there was no room for.
    pub(crate) fn reports(&self, reports: usize, results: usize, left_out: u64) {
        self.reports.set(whole(reports as u64));
        self.report_results.set(whole(results as u64));
        self.report_results_left_out.set(whole(left_out));
    }
}
