//! Kyverno's Events, as the cluster holds them: what is still there at the start, and
//! each new one.
//!
//! The API server is asked for the Events of Kyverno's admission controller about
//! violations and sends no others. Each is read against the policies that were in force
//! at its own time ([`docket_record::kyverno_event`]) and handed to the intake; one that
//! says nothing of a refusal is counted by cause. A watch that breaks begins with a list
//! again, so nothing is lost that the API server still holds (an hour, as it is usually
//! set).
//!
//! The watch of the policies may tell of a change a moment after Kyverno's Event. What
//! was read too well then is amended by the intake; an Event of a policy that seemed to
//! refuse nothing waits and is read again.

use crate::guard::guarded;
use crate::intake::Arrival;
use crate::law::Laws;
use crate::metrics::Metrics;
use crate::writer::Writer;
use anyhow::Result;
use docket_record::kyverno_event::{self, CONTROLLER, Hearsay, Ignored, Named, REASON};
use docket_record::law::WITHIN;
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use kube::runtime::watcher::Config;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Events handed over together.
const TOGETHER: usize = 256;
/// Older ones are not taken at the start: their denials were decided long ago. A little
/// less than the laws of the past are held in memory for.
const OLD: SignedDuration = SignedDuration::from_mins(59);
/// How long the start waits for the first lists of all policies. Events that are read
/// before them are ambiguous.
const START: Duration = Duration::from_secs(30);
/// Between two looks whether they are there.
const LOOK: Duration = Duration::from_millis(200);
/// Events that wait for the law of their time; of more the oldest is read as it is.
const WAITING: usize = 1024;
/// Between two looks at those.
const ROUND: Duration = Duration::from_secs(1);
/// Between two attempts to hand over.
const PAUSE: Duration = Duration::from_secs(1);
/// Events remembered in each of two generations, so that a list that is read again is not
/// counted again.
const REMEMBERED: usize = 16_384;

/// The listener.
pub struct Listener {
    /// Of the cluster that the denials are from.
    pub client: Client,
    /// What was in force when.
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
        let start = Instant::now();
        while !self.laws.now().synced && start.elapsed() < START {
            tokio::time::sleep(LOOK).await;
        }
        let api: Api<Event> = Api::all(self.client.clone());
        let config =
            Config::default().fields(&format!("reason={REASON},reportingController={CONTROLLER}"));
        let events = watcher(api, config).default_backoff();
        let mut events = std::pin::pin!(events.ready_chunks(TOGETHER));
        let mut reading = Reading {
            laws: Arc::clone(&self.laws),
            metrics: self.metrics.clone(),
            known: Known::default(),
            waiting: VecDeque::new(),
        };
        let mut round = tokio::time::interval(ROUND);
        loop {
            let hearsay = tokio::select! {
                items = events.next() => match items {
                    Some(items) => self.take(items, &mut reading),
                    None => return Ok(()),
                },
                _ = round.tick() => reading.again(Timestamp::now()),
            };
            self.hand_over(hearsay).await;
        }
    }

    fn take(&self, items: Vec<Item>, reading: &mut Reading) -> Vec<Hearsay> {
        let mut hearsay = Vec::new();
        for item in items {
            match item {
                Ok(watcher::Event::Apply(event) | watcher::Event::InitApply(event)) => {
                    hearsay.extend(reading.read(event, Timestamp::now()));
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
        hearsay
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

type Item = Result<watcher::Event<Event>, watcher::Error>;

/// Events, each read once, by the law of its time.
struct Reading {
    laws: Arc<Laws>,
    metrics: Metrics,
    known: Known,
    /// Of policies that seemed to refuse nothing, in the order in which they came.
    waiting: VecDeque<Event>,
}

impl Reading {
    fn read(&mut self, event: Event, now: Timestamp) -> Option<Hearsay> {
        if !self
            .known
            .is_new(event.metadata.uid.as_deref().unwrap_or_default())
        {
            return None;
        }
        let read = hearsay(&event, &self.laws, now);
        if read == Err(Ignored::NotEnforcing.label()) && is_fresh(&event, now) {
            self.waiting.push_back(event);
            let crowded = self.waiting.len() > WAITING;
            let oldest = self.waiting.pop_front_if(|_| crowded)?;
            return self.counted(hearsay(&oldest, &self.laws, now));
        }
        self.counted(read)
    }

    /// What has waited long enough.
    fn again(&mut self, now: Timestamp) -> Vec<Hearsay> {
        let mut found = Vec::new();
        while let Some(event) = self.waiting.pop_front_if(|event| !is_fresh(event, now)) {
            found.extend(self.counted(hearsay(&event, &self.laws, now)));
        }
        found
    }

    fn counted(&self, read: Result<Hearsay, &'static str>) -> Option<Hearsay> {
        read.map_err(|why| self.metrics.kyverno_event(why)).ok()
    }
}

/// May a change of the law of its time still be on its way?
fn is_fresh(event: &Event, now: Timestamp) -> bool {
    let time = event.event_time.as_ref().map(|time| time.0);
    time.is_some_and(|time| now.duration_since(time) < WITHIN)
}

/// What an Event says of a refusal.
///
/// # Errors
/// The metric label of why it says nothing.
fn hearsay(event: &Event, laws: &Laws, now: Timestamp) -> Result<Hearsay, &'static str> {
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
    guarded(|| kyverno_event::read(&read, &laws.at(time)))
        .unwrap_or(Err(Ignored::Unreadable))
        .map_err(Ignored::label)
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
    use docket_record::denial::Grade;
    use docket_record::law::{Change, Kind, Object, Place, Shelves, Version};

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

    fn event() -> Event {
        serde_json::from_str(EVENT).unwrap()
    }

    fn at(time: &str) -> Timestamp {
        format!("2026-11-22T{time}Z").parse().unwrap()
    }

    #[test]
    fn an_event_as_the_api_server_gives_it_is_a_sighting() {
        let (event, laws) = (event(), Laws::default());
        let seen = hearsay(&event, &laws, at("10:00:05")).unwrap();
        assert_eq!((seen.uid.as_str(), seen.name.as_str()), ("e1", "pr-3"));
        assert_eq!(seen.attribution.policy.as_deref(), Some("needs-ok"));
        assert_eq!(hearsay(&event, &laws, at("12:00:05")), Err("old"));
        let timeless = Event {
            event_time: None,
            ..event
        };
        assert_eq!(hearsay(&timeless, &laws, at("10:00:05")), Err("unreadable"));
    }

    /// A version of the policy, as an entry of the ledger says it.
    fn version(action: &str, observed: &str, after: Option<&str>) -> Version {
        let object = serde_json::json!({
            "apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
            "metadata": {"name": "needs-ok", "uid": "p1"},
            "spec": {"validationActions": [action], "matchConstraints": {"resourceRules": [
                {"apiGroups": ["krate.a5c.ai"], "resources": ["pullrequests"]}]}}});
        Version {
            id: format!("{action} {observed}"),
            at: at(observed),
            after: after.map(at),
            change: Change::Changed,
            body: Object::read(&object).unwrap().body,
        }
    }

    fn reading(versions: Vec<Version>) -> Reading {
        let reading = Reading {
            laws: Arc::default(),
            metrics: Metrics::new().0,
            known: Known::default(),
            waiting: VecDeque::new(),
        };
        publish(&reading, versions);
        reading
    }

    fn publish(reading: &Reading, versions: Vec<Version>) {
        let mut shelves = Shelves::default();
        for version in versions {
            let place = Place {
                kind: Kind::of("policies.kyverno.io", "ValidatingPolicy").unwrap(),
                namespace: String::new(),
                name: "needs-ok".into(),
            };
            shelves.put(place, version);
        }
        reading.laws.publish(shelves.book(true));
    }

    fn graded(hearsay: &Hearsay) -> (Option<Grade>, Vec<&str>) {
        let attribution = &hearsay.attribution;
        let laws = attribution.laws.iter().map(String::as_str);
        (attribution.grade, laws.collect())
    }

    #[test]
    fn an_event_is_read_by_the_law_of_its_own_time() {
        let deny = || version("Deny", "09:00:00", None);
        let soon = at("10:05:00");
        let mut reading = reading(vec![deny(), version("Audit", "10:03:00", None)]);
        let seen = reading.read(event(), soon).expect("it denied then");
        assert_eq!(
            graded(&seen),
            (Some(Grade::Exact), vec!["Deny 09:00:00"]),
            "{}",
            seen.attribution.doubt
        );
        // The other way round it did not.
        let mut later = super::tests::reading(vec![
            version("Audit", "09:00:00", None),
            version("Deny", "10:03:00", None),
        ]);
        assert_eq!(later.read(event(), soon), None);
        assert!(later.waiting.is_empty(), "what is old waits for nothing");
        // Where either may have been in force, it is not sure.
        let near = vec![deny(), version("Audit", "10:00:05", None)];
        let seen = super::tests::reading(near).read(event(), soon).unwrap();
        let (grade, laws) = graded(&seen);
        assert_eq!(grade, Some(Grade::Ambiguous));
        assert_eq!(laws, ["Deny 09:00:00", "Audit 10:00:05"]);
    }

    #[test]
    fn an_event_of_a_time_in_which_nobody_watched_the_policies_is_not_sure() {
        let mut reading = reading(vec![
            version("Audit", "09:00:00", None),
            version("Audit", "10:10:00", Some("09:59:00")),
        ]);
        let seen = reading
            .read(event(), at("10:11:00"))
            .expect("perhaps it denied");
        assert_eq!(graded(&seen).0, Some(Grade::Ambiguous));
    }

    #[test]
    fn an_event_that_came_before_the_word_of_a_change_is_read_again() {
        let audit = || version("Audit", "09:00:00", None);
        let mut reading = reading(vec![audit()]);
        assert_eq!(reading.read(event(), at("10:00:01")), None);
        assert_eq!(reading.again(at("10:00:02")), []);
        publish(&reading, vec![audit(), version("Deny", "10:00:02", None)]);
        let seen = reading.again(at("10:00:11"));
        assert_eq!(seen.len(), 1);
        assert_eq!(graded(&seen[0]).0, Some(Grade::Ambiguous));
        assert_eq!(reading.again(at("10:00:12")), [], "once");
    }

    #[test]
    fn the_events_that_wait_have_a_bound() {
        let mut reading = reading(vec![version("Audit", "09:00:00", None)]);
        for number in 0..WAITING + 7 {
            let mut event = event();
            event.metadata.uid = Some(number.to_string());
            assert_eq!(reading.read(event, at("10:00:01")), None);
        }
        assert_eq!(reading.waiting.len(), WAITING);
        assert_eq!(
            reading.waiting[0].metadata.uid.as_deref(),
            Some("7"),
            "the oldest went first"
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
