//! The audit event as kube-apiserver writes it (`audit.k8s.io/v1`), filtered and cut.

mod parse;

pub use crate::entry::User;
pub use parse::{Glance, ListError, ParseError, glance, split_list};

use crate::entry::denial::DenialId;
use crate::text::{prefix, sha256};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A string whose length a client can choose. Over [`Cut::LIMIT`] bytes only a
/// prefix is kept, with the length and SHA-256 of the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// The text, or its prefix at a character boundary.
    pub text: String,
    /// Set when `text` is only a prefix: length in bytes and SHA-256 of the whole.
    pub whole: Option<(u64, [u8; 32])>,
}

/// What the request was about (`objectRef`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectRef {
    /// Plural resource name.
    pub resource: String,
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    /// Empty for generateName creates and for collections.
    pub name: Cut,
    /// Object uid, where the API server knew it.
    pub uid: String,
    /// Empty for the core group.
    pub api_group: String,
    /// Version of the request.
    pub api_version: String,
    /// For example `status` or `exec`; usually empty.
    pub subresource: String,
}

/// `responseStatus`: what the API server answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// HTTP code.
    pub code: u16,
    /// Machine-readable reason; empty for Kyverno's denials.
    pub reason: String,
    /// The text the client saw; `None` where it was withheld.
    pub message: Option<Cut>,
    /// Set where the message begins with a quoted name so long that it fills the cut
    /// text: what follows the name, cut too. Names are not checked before mutating
    /// hooks, so a name of 200 KB could hide the words that say who refused.
    pub after_name: Option<Cut>,
    /// `details.causes[].message`.
    pub causes: Vec<Cut>,
    /// `details.causes[].reason`, parallel to `causes` (empty where absent).
    pub cause_reasons: Vec<String>,
    /// `details.kind`.
    pub details_kind: String,
}

/// One audit event. `requestObject` and `responseObject` are never read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditEvent {
    /// May be chosen by the client: never a key on its own.
    pub audit_id: Cut,
    /// `ResponseComplete` or `Panic` for events we keep.
    pub stage: String,
    /// As sent, query included.
    pub request_uri: Cut,
    /// create, update, patch, delete, deletecollection, get (exec and its kin).
    pub verb: String,
    /// The authenticated user (before impersonation).
    pub user: User,
    /// The user acted as, if any.
    pub impersonated_user: Option<User>,
    /// As reported; the first is the client's claim if proxies are involved.
    pub source_ips: Vec<String>,
    /// The API server cuts it at 1,024 bytes.
    pub user_agent: String,
    /// Absent for non-resource requests.
    pub object_ref: Option<ObjectRef>,
    /// Absent in events before the response.
    pub response_status: Option<Status>,
    /// RFC 3339, microseconds, as carried.
    pub request_received: String,
    /// RFC 3339, microseconds, as carried.
    pub stage_timestamp: String,
    /// Annotations by key: those that Docket reads, values cut.
    pub annotations: BTreeMap<String, String>,
    /// How many other annotations there were.
    pub other_annotations: u32,
    /// Set where no raw event was at hand and this one was put together from an export
    /// that says less.
    pub derived: Option<Derived>,
}

/// An event that is not the API server's own bytes: what it was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Derived {
    /// Name of the export's shape ([`crate::import::Shape::name`]).
    pub shape: &'static str,
    /// Hash over what makes it one; an export of the same thing gives the same.
    pub key: [u8; 32],
    /// What a reader of the record should know is not in it.
    pub lacks: &'static str,
}

impl Cut {
    /// Longest kept text, in bytes.
    pub const LIMIT: usize = 4096;
    /// Longest kept status message: room for the texts of many policies at once.
    pub const MESSAGE_LIMIT: usize = 16 * 1024;

    /// Cuts `text` at `limit` bytes, at a character boundary.
    pub fn at(text: &str, limit: usize) -> Cut {
        if text.len() <= limit {
            return Cut {
                text: text.to_owned(),
                whole: None,
            };
        }
        Cut {
            text: prefix(text, limit).to_owned(),
            whole: Some((text.len() as u64, sha256(text.as_bytes()))),
        }
    }

    /// SHA-256 of the whole text, cut or not.
    pub fn sha256(&self) -> [u8; 32] {
        self.whole
            .map_or_else(|| sha256(self.text.as_bytes()), |(_, digest)| digest)
    }

    /// True if there was no text at all.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    fn kept(&self) -> Value {
        match &self.whole {
            None => Value::from(self.text.as_str()),
            Some((length, digest)) => json!({
                "text": self.text,
                "length": length,
                "sha256": data_encoding::HEXLOWER.encode(digest),
            }),
        }
    }
}

impl AuditEvent {
    /// Reads one event: an item of an EventList, or a line of the audit log.
    ///
    /// # Errors
    /// The item is not JSON, or a field that Docket reads is of another type; the
    /// caller quarantines it.
    pub fn parse(bytes: &[u8]) -> Result<AuditEvent, ParseError> {
        parse::event(bytes)
    }

    /// The user as whom the request was decided: the impersonated one, if any.
    pub fn effective_user(&self) -> &User {
        self.impersonated_user.as_ref().unwrap_or(&self.user)
    }

    /// The fields that say whether the event is governed.
    pub fn glance(&self) -> Glance<'_> {
        let mut glance = Glance {
            stage: self.stage.as_str().into(),
            verb: self.verb.as_str().into(),
            ..Glance::default()
        };
        if let Some(object) = &self.object_ref {
            glance.group = object.api_group.as_str().into();
            glance.resource = object.resource.as_str().into();
            glance.subresource = object.subresource.as_str().into();
            glance.namespace = object.namespace.as_str().into();
        }
        glance
    }

    /// The event as it is kept: known fields only, cut, in a fixed order. Equal for
    /// equal events whichever source brought them.
    pub fn kept(&self) -> Value {
        let mut kept = json!({
            "auditID": self.audit_id.kept(),
            "stage": self.stage,
            "requestURI": self.request_uri.kept(),
            "verb": self.verb,
            "user": self.user,
            "sourceIPs": self.source_ips,
            "userAgent": self.user_agent,
            "requestReceivedTimestamp": self.request_received,
            "stageTimestamp": self.stage_timestamp,
            "annotations": self.annotations,
        });
        if let Some(user) = &self.impersonated_user {
            kept["impersonatedUser"] = json!(user);
        }
        if let Some(object) = &self.object_ref {
            kept["objectRef"] = json!({
                "resource": object.resource,
                "namespace": object.namespace,
                "name": object.name.kept(),
                "uid": object.uid,
                "apiGroup": object.api_group,
                "apiVersion": object.api_version,
                "subresource": object.subresource,
            });
        }
        if let Some(status) = &self.response_status {
            kept["responseStatus"] = json!({
                "code": status.code,
                "reason": status.reason,
                "message": status.message.as_ref().map(Cut::kept),
                "causes": status.causes.iter().map(Cut::kept).collect::<Vec<_>>(),
            });
        }
        if self.other_annotations > 0 {
            kept["otherAnnotations"] = self.other_annotations.into();
        }
        if let Some(derived) = &self.derived {
            kept["derivedFrom"] = derived.shape.into();
        }
        kept
    }
}

impl DenialId {
    /// The id of an event. Each part goes in with its length before it; what a client can
    /// make long goes in by its hash, so the id does not depend on where Docket cuts.
    ///
    /// An event that was put together from less ([`AuditEvent::derived`]) has an id of its
    /// own kind, which no raw event can have.
    pub fn of(event: &AuditEvent, cluster: &str) -> DenialId {
        if let Some(derived) = &event.derived {
            let parts: [&[u8]; 4] = [
                b"docket derived 1",
                cluster.as_bytes(),
                derived.shape.as_bytes(),
                &derived.key,
            ];
            return DenialId::over(&parts);
        }
        let audit_id = event.audit_id.sha256();
        let request_uri = event.request_uri.sha256();
        let parts: [&[u8]; 7] = [
            b"docket denial 1",
            cluster.as_bytes(),
            &audit_id,
            event.request_received.as_bytes(),
            event.stage_timestamp.as_bytes(),
            &request_uri,
            event.user.username.as_bytes(),
        ];
        DenialId::over(&parts)
    }
}

#[cfg(test)]
mod tests;
