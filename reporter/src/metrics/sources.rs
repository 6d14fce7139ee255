//! What comes in: audit events, testimonies, and what witnesses say.

use super::labels::{Counters, Gauges, Labels, counter, gauge, whole};
use crate::intake::{Told, verdict_name};
use docket_host::ListenerMetrics;
use docket_record::denial::Verdict;
use docket_record::examine::{Counted, Refused};
use docket_record::exhibit::Missing;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// How a delivery is answered: each source counts all of them from its start on.
const ANSWERS: [&str; 5] = ["committed", "unavailable", "busy", "broken", "slow"];

const LISTENERS: [&str; 4] = ["audit", "reading", "admin", "api"];

const VERDICTS: [Verdict; 5] = [
    Verdict::Denied,
    Verdict::Unavailable,
    Verdict::Unknown,
    Verdict::FailedOpen,
    Verdict::Excepted,
];

/// Of what comes in.
#[derive(Clone)]
pub(crate) struct Sources {
    events: Counters,
    testimonies: Counters,
    failed_open: Counters,
    outcomes: Counters,
    deniers: Counters,
    batches: Family<Labels<2>, Counter>,
    pub(super) panics: Counters,
    connections: Gauges,
    connections_evicted: Counters,
    refused_connections: Counters,
    pub(super) witness: Counters,
    pub(super) exhibits: Counters,
    imported: Counters,
    file_behind: Gauges,
    key_faults: Gauge,
    absent: Counters,
    unannotated_dropped: Counter,
}

impl Sources {
    pub(super) fn register(all: &mut Registry) -> Sources {
        let batches = Family::<Labels<2>, Counter>::default();
        all.register(
            "audit_batches",
            "Deliveries by source and answer; forbidden: under a name that is no source",
            batches.clone(),
        );
        drop(batches.get_or_create(&[("source", "".into()), ("answer", "forbidden".into())]));
        let events = || {
            let counted = Counted::ALL.map(Counted::label);
            counted.into_iter().chain(VERDICTS.map(verdict_name))
        };
        let refused = Refused::ALL.map(Refused::label);
        let missing = Missing::ALL.map(Missing::label);
        Sources {
            batches,
            events: Counters::register(
                all,
                "audit_events",
                "Audit events by what they were",
                "outcome",
                events().chain(["redelivered"]),
            ),
            testimonies: Counters::register(
                all,
                "testimonies",
                "Testimonies by what they were worth; all but verified are ignored, and disputed mark the record",
                "worth",
                ["verified", "disputed"].into_iter().chain(refused),
            ),
            failed_open: Counters::register(
                all,
                "own_hook_failed_open",
                "Events that say our own hook failed open; timeout: any client can cause it",
                "why",
                ["timeout", "outage"],
            ),
            outcomes: Counters::register(
                all,
                "outcomes",
                "Admitted writes that answered denials; forgotten: open denials for which there was no room",
                "what",
                ["found", "forgotten"],
            ),
            deniers: Counters::register(
                all,
                "other_deniers",
                "Denials by what is known of others who would have denied too",
                "state",
                ["seen", "none_seen", "not_known", "dropped"],
            ),
            panics: Counters::register(
                all,
                "panics",
                "Faults of the reporter that were caught; what caused one is a gap",
                "during",
                ["reading", "committing"],
            ),
            refused_connections: Counters::register(
                all,
                "refused_connections",
                "Connections refused before a request was read: no or a wrong client certificate, or no room",
                "listener",
                LISTENERS,
            ),
            connections: Gauges::register(
                all,
                "connections",
                "Open connections",
                "listener",
                LISTENERS,
            ),
            connections_evicted: Counters::register(
                all,
                "connections_evicted",
                "Idle connections closed to make room for new ones",
                "listener",
                LISTENERS,
            ),
            witness: Counters::register(
                all,
                "witness_calls",
                "Questions to witnesses, by answer",
                "outcome",
                [
                    "numbered",
                    "exhibits",
                    "collectionKnown",
                    "collectionUnknown",
                    "numbers",
                    "slow",
                    "failed",
                ],
            ),
            exhibits: Counters::register(
                all,
                "exhibits",
                "Denials by what became of their exhibit; without one their texts stay unmasked",
                "outcome",
                ["kept", "withheld"].into_iter().chain(missing),
            ),
            imported: Counters::register(
                all,
                "imported_events",
                "Audit events that people brought, by what they were; new: made a record that was not there",
                "outcome",
                events().chain(["new", "broken"]),
            ),
            file_behind: Gauges::register(
                all,
                "file_behind_bytes",
                "Bytes of the audit log not read yet",
                "source",
                [],
            ),
            absent: Counters::register(
                all,
                "absent_numbers",
                "Numbers whose audit event did not come in time, by what is known of them",
                "outcome",
                ["explained", "named", "unnamed"],
            ),
            unannotated_dropped: counter(
                all,
                "unannotated_events_dropped",
                "Audit events without a testimony of ours that had to make room for newer ones",
            ),
            key_faults: gauge(
                all,
                "key_files_refused",
                "Files in the directory of MAC keys that give no key; the others are used",
            ),
        }
    }

    pub(super) fn told(&self, told: &Told) {
        for (family, counts) in [
            (&self.events, &told.events),
            (&self.testimonies, &told.testimonies),
            (&self.failed_open, &told.failed_open),
            (&self.deniers, &told.deniers),
            (&self.outcomes, &told.outcomes),
            (&self.absent, &told.absent),
        ] {
            for (&name, &count) in counts {
                family.add(name, count);
            }
        }
        self.unannotated_dropped.inc_by(told.unannotated_dropped);
    }

    /// A source that will deliver.
    pub(crate) fn source(&self, source: &str) {
        for answer in ANSWERS {
            drop(self.answer(source, answer));
        }
    }

    pub(super) fn batch(&self, source: &str, answer: &'static str) {
        self.answer(source, answer).inc();
    }

    fn answer(&self, source: &str, answer: &'static str) -> Counter {
        let labels = [
            ("source", source.to_owned().into()),
            ("answer", answer.into()),
        ];
        self.batches.get_or_create(&labels).clone()
    }

    /// So many imported events.
    pub(crate) fn imported(&self, outcome: &'static str, count: u64) {
        self.imported.add(outcome, count);
    }

    /// What a listener counts: no room and no handshake are one to whoever is refused.
    pub(super) fn listener(&self, name: &'static str) -> ListenerMetrics {
        ListenerMetrics {
            open: self.connections.of(name),
            evicted: self.connections_evicted.of(name),
            refused: self.refused_connections.of(name),
            handshakes_refused: self.refused_connections.of(name),
        }
    }

    /// Files that give no MAC key.
    pub(crate) fn key_faults(&self, count: u64) {
        self.key_faults.set(whole(count));
    }

    /// How far a file source is behind.
    pub(crate) fn behind(&self, source: &str, bytes: u64) {
        self.file_behind.of(source.to_owned()).set(whole(bytes));
    }
}
