//! Kyverno's Events, as the cluster holds them: what is still there at the start, and
//! each new one.
//!
//! The API server is asked for the Events of Kyverno's admission controller about
//! violations and sends no others. Each is read against the policies of the moment
//! ([`docket_record::kyverno_event`]) and handed to the intake; one that says nothing of
//! a refusal is counted by cause. A watch that breaks begins with a list again, so
//! nothing is lost that the API server still holds (an hour, as it is usually set).

use crate::intake::Arrival;
use crate::law::Laws;
use crate::metrics::Metrics;
use crate::writer::Writer;
use anyhow::Result;
use docket_record::kyverno_event::{self, CONTROLLER, Hearsay, Named, REASON};
use docket_record::policies::PolicyList;
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use kube::runtime::watcher::Config;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// Events handed over together.
const TOGETHER: usize = 256;
/// Older ones are not taken at the start: their denials were decided long ago.
const OLD: SignedDuration = SignedDuration::from_hours(1);
/// Between two attempts to hand over.
const PAUSE: Duration = Duration::from_secs(1);
/// Events remembered in each of two generations, so that a list that is read again is not
/// counted again.
const REMEMBERED: usize = 16_384;

/// The listener.
pub struct Listener {
    /// Of the cluster that the denials are from.
    pub client: Client,
    /// The law.
    pub laws: Arc<Laws>,
    /// To the intake.
    pub writer: Writer,
    /// Counters.
    pub metrics: Metrics,
}

impl Listener {
    /// Listen for ever.
    ///
    /// # Errors
    /// Never by itself: what fails is counted and tried again.
    pub async fn run(self) -> Result<()> {
        let api: Api<Event> = Api::all(self.client.clone());
        let config =
            Config::default().fields(&format!("reason={REASON},reportingController={CONTROLLER}"));
        let events = watcher(api, config).default_backoff();
        let mut events = std::pin::pin!(events.ready_chunks(TOGETHER));
        let mut known = Known::default();
        while let Some(items) = events.next().await {
            let mut hearsay = Vec::new();
            for item in items {
                match item {
                    Ok(watcher::Event::Apply(event) | watcher::Event::InitApply(event)) => {
                        hearsay.extend(self.read(&event, &mut known));
                    }
                    Ok(_) => {}
                    Err(error) => {
                        self.metrics.watch_error("Event");
                        tracing::warn!(
                            "the watch of Kyverno's Events failed and is begun again: {error}"
                        );
                    }
                }
            }
            self.hand_over(hearsay).await;
        }
        Ok(())
    }

    fn read(&self, event: &Event, known: &mut Known) -> Option<Hearsay> {
        if !known.is_new(event.metadata.uid.as_deref().unwrap_or_default()) {
            return None;
        }
        let read = hearsay(event, &self.laws.now(), Timestamp::now());
        read.map_err(|why| self.metrics.kyverno_event(why)).ok()
    }

    /// Again until it is taken: the API server would not send them again.
    async fn hand_over(&self, hearsay: Vec<Hearsay>) {
        if hearsay.is_empty() {
            return;
        }
        loop {
            let arrival = Arrival {
                hearsay: hearsay.clone(),
                ..Arrival::default()
            };
            if self.writer.commit(arrival).await.is_ok() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// What an Event says of a refusal.
///
/// # Errors
/// The metric label of why it says nothing.
pub fn hearsay(
    event: &Event,
    policies: &PolicyList,
    now: Timestamp,
) -> Result<Hearsay, &'static str> {
    let Some(time) = event.event_time.as_ref().map(|time| time.0) else {
        return Err("unreadable");
    };
    if now.duration_since(time) > OLD {
        return Err("old");
    }
    let nothing = ObjectReference::default();
    let read = kyverno_event::Event {
        uid: text(&event.metadata.uid),
        namespace: text(&event.metadata.namespace),
        name: text(&event.metadata.name),
        controller: text(&event.reporting_controller),
        reason: text(&event.reason),
        regarding: named(event.regarding.as_ref().unwrap_or(&nothing)),
        related: event.related.as_ref().map(named),
        note: text(&event.note),
        time,
    };
    kyverno_event::read(&read, policies).map_err(kyverno_event::Ignored::label)
}

fn named(reference: &ObjectReference) -> Named<'_> {
    Named {
        api_version: text(&reference.api_version),
        kind: text(&reference.kind),
        namespace: text(&reference.namespace),
        name: text(&reference.name),
        uid: text(&reference.uid),
    }
}

fn text(field: &Option<String>) -> &str {
    field.as_deref().unwrap_or_default()
}

/// uids that were read, in two generations.
#[derive(Default)]
struct Known {
    young: HashSet<String>,
    old: HashSet<String>,
}

impl Known {
    fn is_new(&mut self, uid: &str) -> bool {
        if self.old.contains(uid) || self.young.contains(uid) {
            return false;
        }
        if self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(uid.to_owned());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": "needs-ok.18a", "namespace": "default", "uid": "e1"},
        "eventTime": "2026-11-22T10:00:00.500000Z", "action": "Resource Blocked",
        "reason": "PolicyViolation", "type": "Warning",
        "reportingController": "kyverno-admission", "reportingInstance": "kyverno-admission-h",
        "note": "PullRequest krate-org-acme/pr-3: fail (blocked); Say ok.",
        "regarding": {"apiVersion": "policies.kyverno.io/v1beta1", "kind": "ValidatingPolicy",
            "name": "needs-ok", "uid": "p1"},
        "related": {"apiVersion": "krate.a5c.ai/v1alpha1", "kind": "PullRequest",
            "namespace": "krate-org-acme", "name": "pr-3", "uid": "u1"}
    }"#;

    #[test]
    fn an_event_as_the_api_server_gives_it_is_a_sighting() {
        let event: Event = serde_json::from_str(EVENT).unwrap();
        let soon: Timestamp = "2026-11-22T10:00:05Z".parse().unwrap();
        let seen = hearsay(&event, &PolicyList::default(), soon).unwrap();
        assert_eq!((seen.uid.as_str(), seen.name.as_str()), ("e1", "pr-3"));
        assert_eq!(seen.attribution.policy.as_deref(), Some("needs-ok"));
        let late = soon + SignedDuration::from_hours(2);
        assert_eq!(hearsay(&event, &PolicyList::default(), late), Err("old"));
        let timeless = Event {
            event_time: None,
            ..event
        };
        assert_eq!(
            hearsay(&timeless, &PolicyList::default(), soon),
            Err("unreadable")
        );
    }

    #[test]
    fn a_list_that_is_read_again_is_not_read_twice() {
        let mut known = Known::default();
        assert!(known.is_new("a"));
        assert!(!known.is_new("a"));
        for number in 0..REMEMBERED {
            known.is_new(&number.to_string());
        }
        assert!(!known.is_new("a"), "the older generation is asked too");
    }
}
