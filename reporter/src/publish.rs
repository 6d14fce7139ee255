//! Kubernetes Events about denials, where `kubectl get events` shows them.
//!
//! The ledger is the queue: a cursor over positions, kept in the ledger's own state. An
//! Event's name comes from the denial's id, so one that is sent twice exists once.
//! Nothing here is ever waited for by `/audit`.
//!
//! No Event: dry runs (nothing was to happen), cluster-scoped objects (there is no
//! namespace whose readers it would concern), outcomes that are not known, denials older
//! than an Event lives, and what exceeds the namespace's rate. Each is counted. The
//! actor is never named.

use crate::intake::Arrival;
use crate::metrics::Metrics;
use crate::writer::Writer;
use anyhow::{Context as _, Result};
use arc_swap::ArcSwap;
use docket_ledger::entry::Class;
use docket_ledger::query::{Reader, Row};
use docket_record::denial::{Attribution, Personal, Public, Verdict};
use docket_record::policies::PolicyList;
use docket_record::redact::clean_text;
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, PostParams};
use kube::{Client, Error};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// State row: the next position to publish.
const CURSOR: &str = "publish/events";
/// Entries looked at together.
const PAGE: u32 = 200;
/// Requests to the API server at one time.
const AT_ONCE: usize = 8;
/// An Event lives for an hour; an older denial needs none.
const STALE: SignedDuration = SignedDuration::from_hours(1);
/// Events of one namespace at once, and then each second.
const BURST: f64 = 100.0;
const PER_SECOND: f64 = 5.0;
/// Namespaces whose rate is remembered.
const NAMESPACES: usize = 10_000;
/// The API server takes no longer note.
const NOTE: usize = 1024;
/// First and longest pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);
const LONG_PAUSE: Duration = Duration::from_secs(30);
const CONTROLLER: &str = "docket.a5c.ai/reporter";

/// The publisher.
pub struct Publisher {
    /// Of the cluster that the denials are from.
    pub client: Client,
    /// The ledger's file.
    pub store: PathBuf,
    /// For the cursor.
    pub writer: Writer,
    /// For the uid of the policy.
    pub policies: Arc<ArcSwap<PolicyList>>,
    /// Counters.
    pub metrics: Metrics,
    /// This process, as Events name it.
    pub instance: String,
}

impl Publisher {
    /// Publish for ever.
    ///
    /// # Errors
    /// If the ledger can't be opened for reading.
    pub async fn run(self) -> Result<()> {
        let mut size = self.writer.size();
        let mut cursor = self.cursor().await;
        let mut buckets = Buckets::default();
        let mut reader = Some(open(self.store.clone()).await?);
        loop {
            let Some(held) = reader.take() else {
                reader = Some(open(self.store.clone()).await?);
                continue;
            };
            let (held, rows) = tokio::task::spawn_blocking(move || {
                let rows = held.scan(cursor, PAGE);
                (held, rows)
            })
            .await?;
            reader = Some(held);
            let rows = match rows {
                Ok(rows) => rows,
                Err(error) => {
                    tracing::warn!("the ledger cannot be read for Events: {error}");
                    reader = None;
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let Some(last) = rows.last().map(|row| row.position) else {
                if size.changed().await.is_err() {
                    return Ok(());
                }
                continue;
            };
            let now = Timestamp::now();
            let mut events = Vec::new();
            for row in &rows {
                match event(row, &self.policies.load(), &self.instance, now) {
                    Ok(event) if buckets.take(event.metadata.namespace.as_deref()) => {
                        events.push(event);
                    }
                    Ok(_) => self.metrics.published("heldBack"),
                    Err(Skip::NotADenial) => {}
                    Err(skip) => self.metrics.published(skip.name()),
                }
            }
            futures::stream::iter(events)
                .for_each_concurrent(AT_ONCE, |event| self.publish(event))
                .await;
            cursor = last + 1;
            let state = vec![(CURSOR.to_owned(), Some(cursor.to_string().into_bytes()))];
            // Not kept: after a restart some are sent again, under the same names.
            let _ = self
                .writer
                .commit(Arrival {
                    state,
                    ..Arrival::default()
                })
                .await;
        }
    }

    async fn cursor(&self) -> u64 {
        loop {
            match self.writer.state(CURSOR).await {
                Ok(bytes) => {
                    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
                    return text.and_then(|text| text.parse().ok()).unwrap_or(0);
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Create one Event; again and again while it is worth it.
    async fn publish(&self, event: Event) {
        let namespace = event.metadata.namespace.clone().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        let mut pause = PAUSE;
        loop {
            let outcome = match api.create(&PostParams::default(), &event).await {
                Ok(_) => "created",
                Err(Error::Api(status)) => match status.code {
                    409 => "exists",
                    // The namespace is gone or going.
                    403 | 404 => "namespaceGone",
                    400 | 413 | 422 => {
                        tracing::warn!(namespace, "an Event was refused: {}", status.message);
                        "refused"
                    }
                    _ => "retried",
                },
                Err(_) => "retried",
            };
            self.metrics.published(outcome);
            if outcome != "retried" {
                return;
            }
            let age = event
                .event_time
                .as_ref()
                .map(|time| Timestamp::now().duration_since(time.0));
            if age.is_none_or(|age| age > STALE) {
                self.metrics.published("stale");
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONG_PAUSE);
        }
    }
}

async fn open(path: PathBuf) -> Result<Reader> {
    tokio::task::spawn_blocking(move || Reader::open(&path))
        .await?
        .context("the ledger cannot be opened for publishing Events")
}

/// Why an entry makes no Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skip {
    NotADenial,
    Unknown,
    DryRun,
    ClusterScoped,
    Stale,
    Unreadable,
}

impl Skip {
    fn name(self) -> &'static str {
        match self {
            Skip::NotADenial => "notADenial",
            Skip::Unknown => "unknown",
            Skip::DryRun => "dryRun",
            Skip::ClusterScoped => "clusterScoped",
            Skip::Stale => "stale",
            Skip::Unreadable => "unreadable",
        }
    }
}

fn event(row: &Row, policies: &PolicyList, instance: &str, now: Timestamp) -> Result<Event, Skip> {
    if row.class != Class::Denial {
        return Err(Skip::NotADenial);
    }
    let public: Public = serde_json::from_slice(&row.public).map_err(|_| Skip::Unreadable)?;
    let time: Timestamp = public.time.parse().map_err(|_| Skip::Unreadable)?;
    if !matches!(public.verdict, Verdict::Denied | Verdict::Unavailable) {
        return Err(Skip::Unknown);
    }
    if public.dry_run {
        return Err(Skip::DryRun);
    }
    if public.namespace.is_empty() {
        return Err(Skip::ClusterScoped);
    }
    if now.duration_since(time) > STALE {
        return Err(Skip::Stale);
    }
    let personal: Option<Personal> = match &row.personal {
        Some(bytes) => Some(serde_json::from_slice(bytes).map_err(|_| Skip::Unreadable)?),
        None => None,
    };
    let first = public.attributions.first();
    Ok(Event {
        metadata: ObjectMeta {
            name: Some(format!("docket-{}", public.id)),
            namespace: Some(public.namespace.clone()),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(time)),
        action: Some("Denied".into()),
        reason: Some("PolicyDenied".into()),
        type_: Some("Warning".into()),
        reporting_controller: Some(CONTROLLER.into()),
        reporting_instance: Some(clean_text(instance, 128).into_owned()),
        note: Some(note(&public, personal.as_ref(), first)),
        regarding: Some(regarding(&public, personal.as_ref())),
        related: first.and_then(|first| related(first, policies)),
        ..Event::default()
    })
}

fn note(public: &Public, personal: Option<&Personal>, first: Option<&Attribution>) -> String {
    let who = match first {
        Some(Attribution {
            policy: Some(policy),
            policy_kind,
            rule,
            ..
        }) => {
            let kind = policy_kind.as_deref().unwrap_or("policy");
            let rule = rule
                .as_ref()
                .map(|rule| format!(", rule {rule}"))
                .unwrap_or_default();
            format!("{kind} {policy}{rule}")
        }
        Some(Attribution {
            webhook: Some(webhook),
            ..
        }) => format!("webhook {webhook}"),
        Some(first) if !first.enforcer.is_empty() => first.enforcer.clone(),
        _ => "an admission plugin".into(),
    };
    let verb = match public.verdict {
        Verdict::Unavailable => "could not be asked, so refused",
        _ => "denied",
    };
    let message = personal
        .and_then(|personal| personal.messages.first())
        .map_or("", String::as_str);
    // A message may echo who asked; Events are read by more people than denials.
    let actor = personal.map_or("", |personal| personal.actor.username.as_str());
    let message = if actor.is_empty() {
        message.to_owned()
    } else {
        message.replace(actor, "(actor)")
    };
    let head = format!("{who} {verb} {} {}", public.operation, public.kind);
    let head = clean_text(&head, NOTE / 2).into_owned();
    let tail = format!(" [denial {}]", public.id);
    let room = NOTE.saturating_sub(head.len() + 2 + tail.len());
    let message = clean_text(&message, room);
    let colon = if message.is_empty() { "" } else { ": " };
    format!("{head}{colon}{message}{tail}")
}

/// The object, where it exists; a denied create left none: then the namespace.
fn regarding(public: &Public, personal: Option<&Personal>) -> ObjectReference {
    match personal {
        Some(personal) if !personal.object_uid.is_empty() && !personal.name.is_empty() => {
            let api_version = match public.group.as_str() {
                "" => public.version.clone(),
                group => format!("{group}/{}", public.version),
            };
            ObjectReference {
                api_version: Some(api_version),
                kind: Some(public.kind.clone()),
                namespace: Some(public.namespace.clone()),
                name: Some(personal.name.clone()),
                uid: Some(personal.object_uid.clone()),
                ..ObjectReference::default()
            }
        }
        _ => ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Namespace".into()),
            name: Some(public.namespace.clone()),
            // The API server wants the Event's namespace here too.
            namespace: Some(public.namespace.clone()),
            ..ObjectReference::default()
        },
    }
}

fn related(first: &Attribution, policies: &PolicyList) -> Option<ObjectReference> {
    let (kind, name) = (first.policy_kind.as_ref()?, first.policy.as_ref()?);
    let namespace = first.policy_namespace.clone().unwrap_or_default();
    let known = policies
        .policies
        .iter()
        .find(|known| known.kind == *kind && known.name == *name && known.namespace == namespace);
    Some(ObjectReference {
        kind: Some(kind.clone()),
        name: Some(name.clone()),
        namespace: first.policy_namespace.clone(),
        api_version: known.map(|known| known.api_version.clone()),
        uid: known
            .map(|known| known.uid.clone())
            .filter(|uid| !uid.is_empty()),
        ..ObjectReference::default()
    })
}

/// One token bucket per namespace.
#[derive(Default)]
struct Buckets {
    by_namespace: HashMap<String, (f64, Option<Instant>)>,
}

impl Buckets {
    fn take(&mut self, namespace: Option<&str>) -> bool {
        self.take_at(namespace.unwrap_or_default(), Instant::now())
    }

    fn take_at(&mut self, namespace: &str, now: Instant) -> bool {
        if self.by_namespace.len() >= NAMESPACES {
            // Full buckets say nothing.
            self.by_namespace
                .retain(|_, (tokens, since)| refilled(*tokens, *since, now) < BURST);
        }
        let (tokens, since) = self
            .by_namespace
            .entry(namespace.to_owned())
            .or_insert((BURST, None));
        *tokens = refilled(*tokens, *since, now);
        *since = Some(now);
        let allowed = *tokens >= 1.0;
        if allowed {
            *tokens -= 1.0;
        }
        allowed
    }
}

fn refilled(tokens: f64, since: Option<Instant>, now: Instant) -> f64 {
    let seconds = since.map_or(0.0, |since| now.duration_since(since).as_secs_f64());
    (tokens + seconds * PER_SECOND).min(BURST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use docket_record::audit::User;
    use docket_record::denial::{Context, TestimonyState};
    use docket_record::policies::Policy;
    use serde_json::json;

    fn public() -> Public {
        Public {
            id: "abcdefgh".repeat(6) + "ijkl",
            time: "2026-11-22T23:00:00.123456Z".into(),
            verdict: Verdict::Denied,
            operation: "CREATE".into(),
            verb: "create".into(),
            dry_run: false,
            group: "krate.a5c.ai".into(),
            version: "v1alpha1".into(),
            resource: "pullrequests".into(),
            subresource: String::new(),
            kind: "PullRequest".into(),
            namespace: "krate-org-acme".into(),
            code: 400,
            reason: String::new(),
            attributions: vec![Attribution {
                enforcer: "kyverno".into(),
                policy_kind: Some("ValidatingPolicy".into()),
                policy: Some("require-pr-description".into()),
                result: "fail".into(),
                ..Attribution::default()
            }],
            context: Context::default(),
            testimony: TestimonyState::Verified,
            passes: 1,
            source: "api".into(),
            notes: Vec::new(),
        }
    }

    fn personal(message: &str, uid: &str) -> Personal {
        Personal {
            name: "pr-1".into(),
            generated_name: false,
            object_uid: uid.into(),
            actor: User {
                username: "jane@acme.example".into(),
                ..User::default()
            },
            impersonator: None,
            source_ips: Vec::new(),
            user_agent: String::new(),
            text: String::new(),
            messages: vec![message.into()],
            event: json!({}),
        }
    }

    fn row(public: &Public, personal: &Personal) -> Row {
        Row {
            position: 0,
            id: public.id.clone(),
            class: Class::Denial,
            time: 0,
            recorded_at: 0,
            public: serde_json::to_vec(public).unwrap(),
            personal: Some(serde_json::to_vec(personal).unwrap()),
            series: None,
            closed_by: None,
        }
    }

    fn now() -> Timestamp {
        "2026-11-22T23:00:05Z".parse().unwrap()
    }

    fn made(public: &Public, personal: &Personal) -> Result<Event, Skip> {
        let policies = PolicyList {
            policies: vec![Policy {
                kind: "ValidatingPolicy".into(),
                name: "require-pr-description".into(),
                uid: "u-1".into(),
                api_version: "policies.kyverno.io/v1".into(),
                ..Policy::default()
            }],
            synced: true,
        };
        event(&row(public, personal), &policies, "reporter-0", now())
    }

    #[test]
    fn an_event_names_policy_message_and_id_but_never_the_actor() {
        let personal = personal("jane@acme.example must write\u{1b}[2J 20 characters", "");
        let event = made(&public(), &personal).unwrap();
        let note = event.note.unwrap();
        assert!(note.contains("ValidatingPolicy require-pr-description denied CREATE PullRequest"));
        assert!(note.contains("must write"));
        assert!(
            note.ends_with(&format!("[denial {}]", public().id)),
            "{note}"
        );
        assert!(!note.contains("jane") && !note.contains('\u{1b}'), "{note}");
        assert_eq!(event.related.unwrap().uid.as_deref(), Some("u-1"));
        let regarding = event.regarding.unwrap();
        assert_eq!(regarding.kind.as_deref(), Some("Namespace"));
        assert_eq!(regarding.namespace.as_deref(), Some("krate-org-acme"));
    }

    #[test]
    fn a_long_message_is_cut_and_the_id_stays() {
        let event = made(&public(), &personal(&"ä".repeat(4000), "")).unwrap();
        let note = event.note.unwrap();
        assert!(note.len() <= NOTE, "{}", note.len());
        assert!(note.ends_with(&format!("[denial {}]", public().id)));
    }

    #[test]
    fn an_update_regards_the_object_that_exists() {
        let event = made(&public(), &personal("no", "uid-7")).unwrap();
        let regarding = event.regarding.unwrap();
        assert_eq!(regarding.uid.as_deref(), Some("uid-7"));
        assert_eq!(regarding.kind.as_deref(), Some("PullRequest"));
        assert_eq!(
            regarding.api_version.as_deref(),
            Some("krate.a5c.ai/v1alpha1")
        );
    }

    #[test]
    fn dry_runs_cluster_scoped_unknown_and_old_denials_make_no_event() {
        let personal = personal("no", "");
        let with = |change: fn(&mut Public)| {
            let mut public = public();
            change(&mut public);
            made(&public, &personal).unwrap_err()
        };
        assert_eq!(with(|p| p.dry_run = true), Skip::DryRun);
        assert_eq!(with(|p| p.namespace.clear()), Skip::ClusterScoped);
        assert_eq!(with(|p| p.verdict = Verdict::Unknown), Skip::Unknown);
        assert_eq!(
            with(|p| p.time = "2026-11-22T20:00:00Z".into()),
            Skip::Stale
        );
    }

    #[test]
    fn a_namespace_has_its_own_rate() {
        let mut buckets = Buckets::default();
        let start = Instant::now();
        let sent = (0..500).filter(|_| buckets.take_at("loud", start)).count();
        assert_eq!(sent, 100);
        assert!(buckets.take_at("quiet", start));
        assert!(buckets.take_at("loud", start + Duration::from_secs(1)));
    }
}
