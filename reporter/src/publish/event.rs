//! What an Event says: its reason, its note, what it is about.

use super::STALE;
use super::actor::Names;
use super::series::{Key, key};
use docket_ledger::entry::Class;
use docket_ledger::query::Row;
use docket_record::audit::User;
use docket_record::denial::{Attribution, Grade, Public, TestimonyState, Verdict};
use docket_record::harmful::is_harmful;
use docket_record::policies::PolicyList;
use docket_record::redact::clean_text;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use serde::Deserialize;

/// The API server takes no longer note.
pub(super) const NOTE: usize = 1024;
/// Bytes of a name in a note.
const NAME: usize = 253;
/// Name of the controller in every Event.
const CONTROLLER: &str = "docket.a5c.ai/reporter";

/// Why an entry makes no Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skip {
    NotADenial,
    Unknown,
    DryRun,
    ClusterScoped,
    /// People brought it: it is of the past, and their word.
    Imported,
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
            Skip::Imported => "imported",
            Skip::Stale => "stale",
            Skip::Unreadable => "unreadable",
        }
    }
}

/// Of the personal part, what an Event is made with.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Persons {
    name: String,
    object_uid: String,
    actor: User,
    impersonator: Option<User>,
    messages: Vec<String>,
}

/// A denial that concerns the readers of a namespace.
#[derive(Debug)]
pub(super) struct Case {
    public: Public,
    persons: Persons,
    time: Timestamp,
    /// What the Event is about.
    regarding: ObjectReference,
}

impl Case {
    /// Reads an entry, or says why it makes no Event.
    pub(super) fn read(row: &Row, now: Timestamp) -> Result<Case, Skip> {
        if row.class != Class::Denial {
            return Err(Skip::NotADenial);
        }
        if row.imported {
            return Err(Skip::Imported);
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
        let persons = match &row.personal {
            Some(bytes) => serde_json::from_slice(bytes).map_err(|_| Skip::Unreadable)?,
            None => Persons::default(),
        };
        let regarding = object(&public, &persons).unwrap_or_else(|| namespace(&public));
        Ok(Case {
            public,
            persons,
            time,
            regarding,
        })
    }

    /// True if the object was never there, and what is kept of it may name its owner.
    pub(super) fn may_have_an_owner(&self) -> bool {
        self.regarding.kind.as_deref() == Some("Namespace")
            && self.public.operation == "CREATE"
            && self.public.testimony == TestimonyState::Verified
    }

    /// The owner that controls the object, from what is kept of it; an object's own word,
    /// as everything about one that was never there.
    pub(super) fn owned(&mut self, exhibit: &[u8]) {
        if let Some(owner) = owner(exhibit, &self.public.namespace) {
            self.regarding = owner;
        }
    }

    /// Who asked.
    pub(super) fn actor(&self) -> &str {
        &self.persons.actor.username
    }

    /// Where the Event goes.
    pub(super) fn namespace(&self) -> &str {
        &self.public.namespace
    }

    /// Name of the Event that this denial makes, if it makes one.
    pub(super) fn name(&self) -> String {
        format!("docket-{}", self.public.id)
    }

    /// Denials with the same key are one Event. Names and persons are no part of it, except
    /// the name of what is there and that the Event is about.
    pub(super) fn key(&self) -> Key {
        let Public {
            namespace,
            verdict,
            group,
            kind,
            subresource,
            operation,
            context,
            attributions,
            ..
        } = &self.public;
        let none = Attribution::default();
        let first = attributions.first().unwrap_or(&none);
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let [about_kind, about_name, about_uid] = [
            &self.regarding.kind,
            &self.regarding.name,
            &self.regarding.uid,
        ]
        .map(text);
        key(&[
            namespace,
            crate::intake::verdict_name(*verdict),
            &first.enforcer,
            &text(&first.webhook),
            &text(&first.policy_kind),
            &text(&first.policy_namespace),
            &text(&first.policy),
            &text(&first.rule),
            group,
            kind,
            subresource,
            operation,
            &context.repository,
            &about_kind,
            &about_name,
            &about_uid,
        ])
    }

    /// The Event of `count` denials, which also says how many others had none.
    pub(super) fn event(
        &self,
        policies: &PolicyList,
        instance: &str,
        count: u64,
        held: u64,
    ) -> Event {
        let time = MicroTime(self.time);
        Event {
            metadata: ObjectMeta {
                name: Some(self.name()),
                namespace: Some(self.public.namespace.clone()),
                ..ObjectMeta::default()
            },
            event_time: Some(time.clone()),
            series: (count > 1).then(|| EventSeries {
                count: i32::try_from(count).unwrap_or(i32::MAX),
                last_observed_time: time,
            }),
            action: Some("Denied".into()),
            reason: Some("PolicyDenied".into()),
            type_: Some("Warning".into()),
            reporting_controller: Some(CONTROLLER.into()),
            reporting_instance: Some(clean_text(instance, 128).into_owned()),
            note: Some(self.note(held)),
            regarding: Some(self.regarding.clone()),
            related: self
                .public
                .attributions
                .first()
                .and_then(|first| related(first, policies)),
            ..Event::default()
        }
    }

    fn note(&self, held: u64) -> String {
        let public = &self.public;
        // Events are read by more people than denials.
        let people = std::iter::once(&self.persons.actor).chain(&self.persons.impersonator);
        let names = Names::of(people, &public.namespace);
        let who = who(public.attributions.first(), &names);
        let verb = match public.verdict {
            Verdict::Unavailable => "could not be asked, so refused",
            _ => "denied",
        };
        let head = format!("{who} {verb} {} {}", public.operation, public.kind);
        let head = clean_text(&head, NOTE / 2).into_owned();
        let held = match held {
            0 => String::new(),
            1 => " (1 denial before it had no Event)".to_owned(),
            more => format!(" ({more} denials before it had no Event)"),
        };
        let tail = format!("{held} [denial {}]", public.id);
        let room = NOTE.saturating_sub(head.len() + 2 + tail.len());
        let message = self.persons.messages.first().map_or("", String::as_str);
        let message = names.hide(message.trim(), room);
        let colon = if message.is_empty() { "" } else { ": " };
        format!("{head}{colon}{message}{tail}")
    }
}

/// Who denied. What was read from a text and is not sure may be anyone's words.
fn who(first: Option<&Attribution>, names: &Names) -> String {
    let Some(first) = first else {
        return "an admission plugin".into();
    };
    let sure = is_sure(first);
    let say = |text: &str| match sure {
        true => clean_text(text, NAME).into_owned(),
        false => names.hide(text, NAME),
    };
    match first {
        Attribution {
            policy: Some(policy),
            policy_kind,
            rule,
            ..
        } => {
            let kind = match policy_kind.as_deref() {
                Some(kind) => kind,
                None if first.enforcer == "kube-apiserver" => "admission plugin",
                None => "policy",
            };
            let rule = rule
                .as_ref()
                .map(|rule| format!(", rule {}", say(rule)))
                .unwrap_or_default();
            format!("{kind} {}{rule}", say(policy))
        }
        Attribution {
            webhook: Some(webhook),
            ..
        } => format!("webhook {}", say(webhook)),
        first if !first.enforcer.is_empty() => first.enforcer.clone(),
        _ => "an admission plugin".into(),
    }
}

fn is_sure(attribution: &Attribution) -> bool {
    attribution.grade == Some(Grade::Exact) || attribution.law.is_some()
}

/// The object of the request, if it is there. Without a testimony a patch may be one that
/// creates, so only a uid says that there is one.
fn object(public: &Public, persons: &Persons) -> Option<ObjectReference> {
    let there = match public.operation.as_str() {
        "DELETE" | "CONNECT" => true,
        "UPDATE" => public.verb == "update" || public.testimony == TestimonyState::Verified,
        _ => false,
    };
    if persons.name.is_empty() || (!there && persons.object_uid.is_empty()) {
        return None;
    }
    let named = [&public.kind, &persons.name, &persons.object_uid];
    if !named.into_iter().all(|text| is_harmless(text)) {
        return None;
    }
    Some(ObjectReference {
        api_version: Some(api_version(&public.group, &public.version)),
        kind: Some(public.kind.clone()),
        namespace: Some(public.namespace.clone()),
        name: Some(persons.name.clone()),
        uid: Some(persons.object_uid.clone()).filter(|uid| !uid.is_empty()),
        ..ObjectReference::default()
    })
}

fn namespace(public: &Public) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".into()),
        kind: Some("Namespace".into()),
        name: Some(public.namespace.clone()),
        // The API server wants the Event's namespace here too.
        namespace: Some(public.namespace.clone()),
        ..ObjectReference::default()
    }
}

/// The owner that controls an object, from its exhibit.
fn owner(exhibit: &[u8], namespace: &str) -> Option<ObjectReference> {
    #[derive(Deserialize)]
    struct Exhibit {
        object: Object,
    }
    #[derive(Deserialize)]
    struct Object {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata {
        #[serde(default)]
        owner_references: Vec<OwnerReference>,
    }
    let exhibit: Exhibit = serde_json::from_slice(exhibit).ok()?;
    let owners = exhibit.object.metadata.owner_references;
    let owner = owners
        .into_iter()
        .find(|owner| owner.controller == Some(true))?;
    let said = |text: &String| !text.is_empty() && text.len() <= NAME && is_harmless(text);
    let sane = [&owner.kind, &owner.name, &owner.uid, &owner.api_version];
    if !sane.into_iter().all(said) {
        return None;
    }
    Some(ObjectReference {
        api_version: Some(owner.api_version),
        kind: Some(owner.kind),
        namespace: Some(namespace.to_owned()),
        name: Some(owner.name),
        uid: Some(owner.uid),
        ..ObjectReference::default()
    })
}

/// What an Event refers to is printed as it stands: it is named as it is, or not at all.
fn is_harmless(text: &str) -> bool {
    !text.chars().any(is_harmful)
}

fn api_version(group: &str, version: &str) -> String {
    match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    }
}

/// The policy. One that is neither known nor sure may be a name that a text made up.
fn related(first: &Attribution, policies: &PolicyList) -> Option<ObjectReference> {
    let (kind, name) = (first.policy_kind.as_ref()?, first.policy.as_ref()?);
    let namespace = first.policy_namespace.clone().unwrap_or_default();
    let known = policies
        .policies
        .iter()
        .find(|known| known.kind == *kind && known.name == *name && known.namespace == namespace);
    if known.is_none() && !is_sure(first) {
        return None;
    }
    if ![kind, name, &namespace]
        .into_iter()
        .all(|text| is_harmless(text))
    {
        return None;
    }
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
