//! Bytes to [`AuditEvent`]. What Docket does not read is skipped without being built,
//! and skipping does not recurse: a deep `requestObject` costs no stack.

use super::{AuditEvent, Cut, ObjectRef, Status, User};
use crate::scan::Cursor;
use crate::testimony::{FINAL, WITNESS};
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// Longest annotation value kept; ours are shorter, and a value that is cut can't verify.
const ANNOTATION_LIMIT: usize = 1024;
/// Most annotations kept of each of our hooks, and of all others together, so that none
/// can crowd out another. One request in a hundred passes leaves a hundred of each.
const ANNOTATIONS: usize = 2048;
/// Most causes, groups and addresses kept.
const LIST: usize = 64;
/// Longest kept group or address.
const SHORT: usize = 1024;

/// Why an item is not an audit event.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// Not JSON, or a field is not of the type that `audit.k8s.io/v1` gives it.
    #[error("the item is not an audit.k8s.io/v1 Event")]
    Json(#[from] serde_json::Error),
    /// A kind is stated, and it is another one.
    #[error("the item says it is a {0}, not an Event of audit.k8s.io/v1")]
    Kind(String),
}

/// Why a body is not a list of audit events.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// Not JSON, or without `items`.
    #[error("the body is not an audit.k8s.io/v1 EventList")]
    Json(#[from] serde_json::Error),
    /// Another kind.
    #[error("the body says it is a {0}, not an EventList of audit.k8s.io/v1")]
    Kind(String),
}

/// Splits the body of one delivery into its items, unread: one bad item is then put
/// aside by itself. So it is with an item that is no text or no JSON, as long as its
/// brackets close.
///
/// # Errors
/// The body as a whole is no EventList; the caller quarantines it by hash.
pub fn split_list(body: &[u8]) -> Result<Vec<&[u8]>, ListError> {
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow, default)]
        kind: Cow<'a, str>,
        #[serde(borrow, default, rename = "apiVersion")]
        api_version: Cow<'a, str>,
        #[serde(borrow)]
        items: Option<Vec<&'a RawValue>>,
    }
    let list: List<'_> = match serde_json::from_slice(body) {
        Ok(list) => list,
        Err(error) => return items_by_brackets(body).ok_or(ListError::Json(error)),
    };
    if list.kind != "EventList" || list.api_version != "audit.k8s.io/v1" {
        return Err(ListError::Kind(named(&list.kind, &list.api_version)));
    }
    let items = list.items.unwrap_or_default();
    Ok(items
        .into_iter()
        .map(|item| item.get().as_bytes())
        .collect())
}

/// The items of a list in which something is broken. `None`: so is the list.
fn items_by_brackets(body: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut kind, mut version, mut items) = (None, None, None);
    let mut cursor = Cursor::new(body);
    if !cursor.enter_object() {
        return None;
    }
    while let Some(key) = cursor.key().ok()? {
        if key == b"items" {
            let mut all = Vec::new();
            if !cursor.enter_array() {
                return None;
            }
            while cursor.element().ok()? {
                all.push(cursor.value().ok()?.0);
            }
            items = Some(all);
            continue;
        }
        let value = cursor.value().ok()?.text();
        match key {
            b"kind" => kind = value,
            b"apiVersion" => version = value,
            _ => {}
        }
    }
    let ends = cursor.peek().is_none();
    let is_list = kind? == "EventList" && version? == "audit.k8s.io/v1";
    items.filter(|_| ends && is_list)
}

fn named(kind: &str, api_version: &str) -> String {
    super::prefix(&format!("{kind:?} of {api_version:?}"), 200).to_owned()
}

/// The few fields that say whether an event is worth reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glance<'a> {
    /// Stage.
    pub stage: Cow<'a, str>,
    /// Verb.
    pub verb: Cow<'a, str>,
    /// API group, empty for the core group.
    pub group: Cow<'a, str>,
    /// Plural; empty for requests that are about no resource.
    pub resource: Cow<'a, str>,
    /// Subresource or empty.
    pub subresource: Cow<'a, str>,
    /// Namespace or empty.
    pub namespace: Cow<'a, str>,
}

/// Reads only what [`crate::verdict::governed`] asks for. `None`: not readable even so
/// far; parse it, and put it aside for the reason that gives.
pub fn glance(item: &[u8]) -> Option<Glance<'_>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Top<'a> {
        #[serde(borrow)]
        stage: Cow<'a, str>,
        #[serde(borrow)]
        verb: Cow<'a, str>,
        #[serde(borrow)]
        object_ref: Option<About<'a>>,
    }
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase", default)]
    struct About<'a> {
        #[serde(borrow)]
        api_group: Cow<'a, str>,
        #[serde(borrow)]
        resource: Cow<'a, str>,
        #[serde(borrow)]
        subresource: Cow<'a, str>,
        #[serde(borrow)]
        namespace: Cow<'a, str>,
    }
    let top: Top<'_> = serde_json::from_slice(item).ok()?;
    let about = top.object_ref.unwrap_or_default();
    Some(Glance {
        stage: top.stage,
        verb: top.verb,
        group: about.api_group,
        resource: about.resource,
        subresource: about.subresource,
        namespace: about.namespace,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEvent {
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    api_version: Option<String>,
    #[serde(rename = "auditID", default, deserialize_with = "cut")]
    audit_id: Cut,
    stage: String,
    #[serde(rename = "requestURI", default, deserialize_with = "cut")]
    request_uri: Cut,
    verb: String,
    #[serde(default)]
    user: WireUser,
    #[serde(default)]
    impersonated_user: Option<WireUser>,
    #[serde(rename = "sourceIPs", default)]
    source_ips: Texts,
    #[serde(default, deserialize_with = "short")]
    user_agent: String,
    #[serde(default)]
    object_ref: Option<WireRef>,
    #[serde(default)]
    response_status: Option<WireStatus>,
    #[serde(default, deserialize_with = "short")]
    request_received_timestamp: String,
    #[serde(default, deserialize_with = "short")]
    stage_timestamp: String,
    #[serde(default)]
    annotations: Annotations,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireUser {
    username: String,
    #[serde(deserialize_with = "short")]
    uid: String,
    groups: Texts,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct WireRef {
    #[serde(deserialize_with = "short")]
    resource: String,
    #[serde(deserialize_with = "short")]
    namespace: String,
    #[serde(deserialize_with = "cut")]
    name: Cut,
    #[serde(deserialize_with = "short")]
    uid: String,
    #[serde(deserialize_with = "short")]
    api_group: String,
    #[serde(deserialize_with = "short")]
    api_version: String,
    #[serde(deserialize_with = "short")]
    subresource: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireStatus {
    code: i64,
    #[serde(deserialize_with = "short")]
    reason: String,
    message: Message,
    details: Option<WireDetails>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireDetails {
    #[serde(deserialize_with = "short")]
    kind: String,
    causes: Causes,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireCause {
    #[serde(deserialize_with = "short")]
    reason: String,
    #[serde(deserialize_with = "cut")]
    message: Cut,
}

pub(super) fn event(bytes: &[u8]) -> Result<AuditEvent, ParseError> {
    let wire: WireEvent = serde_json::from_slice(bytes)?;
    let kind = wire.kind.as_deref().unwrap_or("Event");
    let version = wire.api_version.as_deref().unwrap_or("audit.k8s.io/v1");
    if kind != "Event" || version != "audit.k8s.io/v1" {
        return Err(ParseError::Kind(named(kind, version)));
    }
    Ok(AuditEvent {
        audit_id: wire.audit_id,
        stage: wire.stage,
        request_uri: wire.request_uri,
        verb: wire.verb,
        user: wire.user.into(),
        impersonated_user: wire.impersonated_user.map(User::from),
        source_ips: wire.source_ips.0,
        user_agent: wire.user_agent,
        object_ref: wire.object_ref.map(ObjectRef::from),
        response_status: wire.response_status.map(Status::from),
        request_received: wire.request_received_timestamp,
        stage_timestamp: wire.stage_timestamp,
        annotations: wire.annotations.kept,
        other_annotations: wire.annotations.others,
        derived: None,
    })
}

impl From<WireUser> for User {
    fn from(wire: WireUser) -> Self {
        User {
            username: wire.username,
            uid: wire.uid,
            groups: wire.groups.0,
        }
    }
}

impl From<WireRef> for ObjectRef {
    fn from(wire: WireRef) -> Self {
        ObjectRef {
            resource: wire.resource,
            namespace: wire.namespace,
            name: wire.name,
            uid: wire.uid,
            api_group: wire.api_group,
            api_version: wire.api_version,
            subresource: wire.subresource,
        }
    }
}

impl From<WireStatus> for Status {
    fn from(wire: WireStatus) -> Self {
        let details = wire.details.unwrap_or_default();
        let (cause_reasons, causes) = details
            .causes
            .0
            .into_iter()
            .map(|cause| (cause.reason, cause.message))
            .unzip();
        Status {
            // A hook may answer with any number; one that is no HTTP code reads as 0.
            code: u16::try_from(wire.code).unwrap_or(0),
            reason: wire.reason,
            message: wire.message.text.filter(|message| !message.is_empty()),
            after_name: wire.message.after_name,
            causes,
            cause_reasons,
            details_kind: details.kind,
        }
    }
}

/// A string handed to a function while it is still in the reader's buffer.
struct With<F>(F);

impl<'de, T, F: FnOnce(&str) -> T> Visitor<'de> for With<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        Ok((self.0)(text))
    }
}

fn cut<'de, D: Deserializer<'de>>(from: D) -> Result<Cut, D::Error> {
    from.deserialize_str(With(|text: &str| Cut::at(text, Cut::LIMIT)))
}

fn short<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    // The API server's own mark at 1,024 bytes of user agent must still fit.
    from.deserialize_str(With(|text: &str| super::prefix(text, 2 * SHORT).to_owned()))
}

#[derive(Default)]
struct Message {
    text: Option<Cut>,
    after_name: Option<Cut>,
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(With(|text: &str| {
            let cut = Cut::at(text, Cut::MESSAGE_LIMIT);
            let after_name = cut.whole.and_then(|_| after_quoted_name(text));
            Message {
                after_name: after_name.map(|rest| Cut::at(rest, Cut::MESSAGE_LIMIT)),
                text: Some(cut),
            }
        }))
    }
}

/// What follows `<resource> "<name>" `, the name being quoted as Go's `%q` does.
fn after_quoted_name(text: &str) -> Option<&str> {
    let (_, quoted) = text
        .split_once(" \"")
        .filter(|(first, _)| !first.contains(' '))?;
    let mut escaped = false;
    let end = quoted.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    quoted[end + 1..].strip_prefix(' ')
}

/// A list of which at most [`LIST`] items are kept.
#[derive(Default)]
struct Texts(Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Short(String);
        impl<'de> Deserialize<'de> for Short {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                short(from).map(Short)
            }
        }
        let list = bounded::<Short, D>(from)?;
        Ok(Texts(list.into_iter().map(|short| short.0).collect()))
    }
}

#[derive(Default)]
struct Causes(Vec<WireCause>);

impl<'de> Deserialize<'de> for Causes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        bounded(from).map(Causes)
    }
}

fn bounded<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    struct Items<T>(std::marker::PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list or null")
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
            let mut items = Vec::new();
            while items.len() < LIST {
                let Some(item) = from.next_element()? else {
                    return Ok(items);
                };
                items.push(item);
            }
            while from.next_element::<IgnoredAny>()?.is_some() {}
            Ok(items)
        }
    }
    from.deserialize_any(Items(std::marker::PhantomData))
}

#[derive(Default)]
struct Annotations {
    kept: BTreeMap<String, String>,
    others: u32,
}

/// Which budget an annotation counts against; `None` for those that Docket does not read
/// (pod security, latency, policies' own).
fn budget(key: &str) -> Option<usize> {
    let under = |hook: &str| {
        key.strip_prefix(hook)
            .is_some_and(|rest| rest.starts_with('/'))
    };
    let marks = [
        "failed-open.",
        "mutation.webhook.admission.k8s.io/",
        "validation.policy.admission.k8s.io/",
        "authorization.k8s.io/",
    ];
    if key.len() > 512 {
        None
    } else if under(WITNESS) {
        Some(0)
    } else if under(FINAL) {
        Some(1)
    } else {
        marks.iter().any(|mark| key.starts_with(mark)).then_some(2)
    }
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Annotations;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of strings or null")
            }

            fn visit_unit<E: Error>(self) -> Result<Annotations, E> {
                Ok(Annotations::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Annotations, A::Error> {
                let mut all = Annotations::default();
                let mut kept = [0; 3];
                while let Some(key) = from.next_key::<Key>()? {
                    match key.0 {
                        Some((budget, key)) if kept[budget] < ANNOTATIONS => {
                            kept[budget] += 1;
                            all.kept.insert(key, from.next_value::<Value>()?.0);
                        }
                        _ => {
                            from.next_value::<IgnoredAny>()?;
                            all.others = all.others.saturating_add(1);
                        }
                    }
                }
                Ok(all)
            }
        }
        struct Key(Option<(usize, String)>);
        impl<'de> Deserialize<'de> for Key {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_str(With(|key: &str| {
                    Key(budget(key).map(|budget| (budget, key.to_owned())))
                }))
            }
        }
        struct Value(String);
        impl<'de> Deserialize<'de> for Value {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_str(With(|text: &str| {
                    Value(super::prefix(text, ANNOTATION_LIMIT).to_owned())
                }))
            }
        }
        from.deserialize_any(Map)
    }
}
