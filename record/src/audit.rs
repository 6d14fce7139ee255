//! The audit event as kube-apiserver writes it (`audit.k8s.io/v1`), filtered and cut.

use serde::{Deserialize, Serialize};
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

/// Who asked, as the API server authenticated them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Authenticated name.
    #[serde(default)]
    pub username: String,
    /// Authenticator's id for the user.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// Groups, in the order the API server gave them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
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
    /// Annotations by key.
    pub annotations: BTreeMap<String, String>,
}

impl Cut {
    /// Longest kept text, in bytes.
    pub const LIMIT: usize = 4096;
}
