//! What an Event says: its reason, its note, what it is about.

use super::STALE;
use docket_ledger::entry::Class;
use docket_ledger::query::Row;
use docket_record::denial::{Attribution, Personal, Public, Verdict};
use docket_record::policies::PolicyList;
use docket_record::redact::clean_text;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

/// The API server takes no longer note.
pub(super) const NOTE: usize = 1024;
const CONTROLLER: &str = "docket.a5c.ai/reporter";

/// Why an entry makes no Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skip {
    NotADenial,
    Unknown,
    DryRun,
    ClusterScoped,
    Stale,
    Unreadable,
}

impl Skip {
    pub(super) fn name(self) -> &'static str {
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

/// The Event of an entry, or why there is none.
pub(super) fn event(
    row: &Row,
    policies: &PolicyList,
    instance: &str,
    now: Timestamp,
) -> Result<Event, Skip> {
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
