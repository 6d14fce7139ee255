//! What the witness counts. Every series exists from the start, so that a rate over it is
//! right from the first event on; the hot path holds its counters and looks nothing up.

use crate::api::Counts;
use crate::labels::{Cause, Hook, Operation, Outcome, Part, ReloadResult};
use crate::numbered::Numbered;
use crate::witness::Witness;
use docket_host::{ListenerMetrics, ReloadEvent};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use std::sync::atomic::Ordering::Relaxed;

/// Seconds: from what a review costs us to what the API server waits.
const LATENCY: [f64; 12] = [
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReviewLabels {
    hook: Hook,
    operation: Operation,
    result: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabels {
    cause: Cause,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HookLabels {
    hook: Hook,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartLabels {
    part: Part,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    part: Part,
    result: ReloadResult,
}

/// Counters of everything that follows files.
#[derive(Clone, Default)]
pub struct Reload {
    results: Family<ReloadLabels, Counter>,
    expiry: Family<PartLabels, Gauge>,
}

impl Reload {
    /// Counts one change of files.
    pub fn count(&self, part: Part, result: ReloadResult) {
        self.results
            .get_or_create(&ReloadLabels { part, result })
            .inc();
    }

    /// Counts what becomes of the certificates of a part.
    pub fn observer(&self, part: Part) -> impl Fn(ReloadEvent) + Send + Sync + 'static {
        let reload = self.clone();
        move |event| {
            let expires = match event {
                ReloadEvent::Loaded { expires } => expires,
                ReloadEvent::Reloaded { expires } => {
                    reload.count(part, ReloadResult::Taken);
                    expires
                }
                ReloadEvent::Refused => return reload.count(part, ReloadResult::Refused),
            };
            reload
                .expiry
                .get_or_create(&PartLabels { part })
                .set(expires);
        }
    }
}

/// All of it.
pub struct Metrics {
    registry: Registry,
    reviews: Vec<Counter>,
    unreadable: Vec<Counter>,
    seconds: [Histogram; 2],
    /// Given to what follows files.
    pub reload: Reload,
    last_number: Gauge,
    keys: Gauge,
    key_faults: Gauge,
    exhibits: Gauge,
    exhibit_bytes: Gauge,
    exhibits_evicted: Counter,
    collections: Gauge,
    numbered: Gauge,
    body_bytes: Gauge,
    connections: Family<PartLabels, Gauge>,
    connections_evicted: Family<PartLabels, Counter>,
    connections_refused: Family<PartLabels, Counter>,
    handshakes_refused: Family<PartLabels, Counter>,
    /// Of the aggregated API's listener.
    pub api: Counts,
}

impl Metrics {
    /// Registers every series.
    pub fn new(instance: &str, started: i64) -> Self {
        let mut registry = Registry::with_prefix("docket_witness");
        let process = vec![
            ("instance", instance.to_owned()),
            ("started", started.to_string()),
        ];
        registry.register(
            "process",
            "Which process this is, as in its testimonies",
            Info::new(process),
        );

        let reviews = Family::<ReviewLabels, Counter>::default();
        registry.register(
            "reviews",
            "Reviews answered (all of them: allowed), by what was sworn",
            reviews.clone(),
        );
        let causes = Family::<CauseLabels, Counter>::default();
        registry.register(
            "unreadable",
            "Reviews answered without testimony because their body could not be read",
            causes.clone(),
        );
        let seconds =
            Family::<HookLabels, Histogram>::new_with_constructor(|| Histogram::new(LATENCY));
        registry.register(
            "answer_seconds",
            "From the head of a request to its answer, the body's arrival included",
            seconds.clone(),
        );
        let reload = Reload::default();
        registry.register(
            "reloads",
            "Changed certificates and keys",
            reload.results.clone(),
        );
        registry.register(
            "certificate_expiry_timestamp_seconds",
            "End of the certificate in use, seconds since the epoch",
            reload.expiry.clone(),
        );
        for part in Part::ALL
            .iter()
            .copied()
            .filter(|part| *part != Part::Admin)
        {
            for result in ReloadResult::ALL.iter().copied() {
                drop(reload.results.get_or_create(&ReloadLabels { part, result }));
            }
        }
        let gauge = |registry: &mut Registry, name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let last_number = gauge(
            &mut registry,
            "last_number",
            "Number of the last testimony of this process",
        );
        let keys = gauge(
            &mut registry,
            "has_key",
            "1: there is a MAC key to swear with; 0: none",
        );
        let key_faults = gauge(
            &mut registry,
            "key_files_refused",
            "Files in the directory of MAC keys that give no key; the others are used",
        );
        let exhibits = gauge(&mut registry, "exhibits", "Objects held");
        let exhibit_bytes = gauge(&mut registry, "exhibit_bytes", "Memory that they cost");
        let exhibits_evicted = Counter::default();
        registry.register(
            "exhibits_evicted",
            "Objects that made room for newer ones",
            exhibits_evicted.clone(),
        );
        let collections = gauge(
            &mut registry,
            "collections",
            "Nameless deletes whose last objects are known",
        );
        let numbered = gauge(
            &mut registry,
            "numbers_remembered",
            "Numbers of which it is known what they were given for",
        );
        let body_bytes = gauge(&mut registry, "body_bytes", "Bodies being read or answered");
        let connections = Family::default();
        registry.register("connections", "Open connections", connections.clone());
        let connections_evicted = Family::default();
        registry.register(
            "connections_evicted",
            "Idle connections closed because the house was full",
            connections_evicted.clone(),
        );
        let connections_refused = Family::default();
        registry.register(
            "connections_refused",
            "Connections closed at once because the house was full of busy ones",
            connections_refused.clone(),
        );
        let handshakes_refused = Family::default();
        registry.register(
            "handshakes_refused",
            "Connections that ended in the TLS handshake: no certificate, or not the right one",
            handshakes_refused.clone(),
        );
        let api = Counts::new(&mut registry);
        let mut held = Vec::new();
        for hook in Hook::ALL.iter().copied() {
            for operation in Operation::ALL.iter().copied() {
                for result in Outcome::ALL.iter().copied() {
                    held.push(reviews.get_or_create_owned(&ReviewLabels {
                        hook,
                        operation,
                        result,
                    }));
                }
            }
        }
        Self {
            reviews: held,
            unreadable: Cause::ALL
                .iter()
                .map(|cause| causes.get_or_create_owned(&CauseLabels { cause: *cause }))
                .collect(),
            seconds: [Hook::Witness, Hook::Final]
                .map(|hook| seconds.get_or_create_owned(&HookLabels { hook })),
            registry,
            reload,
            last_number,
            keys,
            key_faults,
            exhibits,
            exhibit_bytes,
            exhibits_evicted,
            collections,
            numbered,
            body_bytes,
            connections,
            connections_evicted,
            connections_refused,
            handshakes_refused,
            api,
        }
    }

    /// Counts one answer.
    pub fn answered(&self, hook: Hook, operation: Operation, outcome: Outcome) {
        let at = (hook as usize * Operation::ALL.len() + operation as usize) * Outcome::ALL.len()
            + outcome as usize;
        if let Some(counter) = self.reviews.get(at) {
            counter.inc();
        }
    }

    /// Counts one answer to a body that could not be read.
    pub fn unreadable(&self, hook: Hook, cause: Cause) {
        self.answered(hook, Operation::None, Outcome::Unreadable);
        if let Some(counter) = self.unreadable.get(cause as usize) {
            counter.inc();
        }
    }

    /// What is wrong with the directory of keys.
    pub fn key_faults(&self, count: u64) {
        self.key_faults.set(clamp(count));
    }

    /// What the listener of a part counts.
    pub fn listener(&self, part: Part) -> ListenerMetrics {
        let labels = PartLabels { part };
        ListenerMetrics {
            open: self.connections.get_or_create_owned(&labels),
            evicted: self.connections_evicted.get_or_create_owned(&labels),
            refused: self.connections_refused.get_or_create_owned(&labels),
            handshakes_refused: self.handshakes_refused.get_or_create_owned(&labels),
        }
    }

    /// How long an answer took.
    pub fn took(&self, hook: Hook, time: std::time::Duration) {
        self.seconds[hook as usize].observe(time.as_secs_f64());
    }

    /// The page that Prometheus reads, with what the parts hold now.
    pub fn page(&self, witness: &Witness) -> String {
        self.last_number.set(clamp(witness.last_number()));
        self.keys.set(i64::from(!witness.keys.load().is_empty()));
        let fill = witness.exhibits.fill();
        self.exhibits.set(clamp(fill.held as u64));
        self.exhibit_bytes.set(clamp(fill.bytes as u64));
        self.exhibits_evicted.inner().store(fill.evicted, Relaxed);
        self.collections
            .set(clamp(witness.collections.len() as u64));
        let numbered = witness.numbered.as_ref().map_or(0, Numbered::len);
        self.numbered.set(clamp(numbered as u64));
        self.body_bytes.set(clamp(witness.bodies.held() as u64));
        let mut page = String::new();
        // Writing into memory has no way to fail.
        let _ = encode(&mut page, &self.registry);
        page
    }
}

fn clamp(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_counted_under_its_own_labels() {
        let metrics = Metrics::new("pod-1", 5);
        for hook in Hook::ALL {
            for operation in Operation::ALL {
                for outcome in Outcome::ALL {
                    metrics.answered(*hook, *operation, *outcome);
                }
            }
        }
        for cause in Cause::ALL {
            metrics.unreadable(Hook::Final, *cause);
        }
        let mut page = String::new();
        encode(&mut page, &metrics.registry).unwrap();
        let value = |series: &str| {
            let line = page.lines().find(|line| line.starts_with(series));
            line.and_then(|line| line.rsplit(' ').next())
                .and_then(|n| n.parse::<u64>().ok())
        };
        let prefix = "docket_witness_reviews_total";
        let mut series = 0;
        for line in page.lines().filter(|line| line.starts_with(prefix)) {
            series += 1;
            let wanted =
                if line.contains("final") && line.contains("none") && line.contains("unreadable") {
                    1 + Cause::ALL.len()
                } else {
                    1
                };
            assert!(line.ends_with(&format!(" {wanted}")), "{line}");
        }
        assert_eq!(series, 50);
        assert_eq!(
            value("docket_witness_unreadable_total{cause=\"slow\"}"),
            Some(1)
        );
    }
}
