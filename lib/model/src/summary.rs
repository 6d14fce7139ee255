//! Denials counted.

use crate::is_false;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Denials counted: by policy, namespace, kind, enforcer and repository.
// Members in the order of their names, here and below.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// By enforcer, most first.
    pub by_enforcer: Vec<EnforcerCount>,
    /// By kind of the object, most first.
    pub by_kind: Vec<KindCount>,
    /// By namespace, most first.
    pub by_namespace: Vec<NamespaceCount>,
    /// By policy, most first.
    pub by_policy: Vec<PolicyCount>,
    /// By repository, most first.
    pub by_repository: Vec<RepositoryCount>,
    /// Gaps that are not closed, in which there may be more.
    pub open_gaps: u64,
    /// Where the path has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub org: Option<String>,
    /// A part is kept back.
    #[serde(default, skip_serializing_if = "is_false")]
    pub partial: bool,
    /// A recorded day is shown.
    #[serde(default, skip_serializing_if = "is_false")]
    pub replay: bool,
    /// Denials that are equal but for name and actor, most first; at most 50.
    pub series: Vec<Series>,
    /// Only denials from then on (RFC 3339).
    pub since: Option<String>,
    /// How many denials.
    pub total: u64,
    /// Only denials before then (RFC 3339).
    pub until: Option<String>,
}

/// Denials of one enforcer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct EnforcerCount {
    /// How many.
    pub count: u64,
    /// Who refused.
    pub enforcer: String,
}

/// Denials of objects of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct KindCount {
    /// How many.
    pub count: u64,
    /// Kind of the refused object.
    pub kind: String,
}

/// Denials in one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct NamespaceCount {
    /// How many.
    pub count: u64,
    /// The namespace.
    pub namespace: String,
}

/// Denials by one policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct PolicyCount {
    /// How many.
    pub count: u64,
    /// The policy.
    pub policy: String,
}

/// Denials about one repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct RepositoryCount {
    /// How many.
    pub count: u64,
    /// The repository.
    pub repository: String,
}

/// Denials that are equal but for name and actor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Series {
    /// How many.
    pub count: u64,
    /// Who refused.
    pub enforcer: String,
    /// The first (RFC 3339).
    pub first_seen: String,
    /// Kind of the refused object.
    pub kind: String,
    /// The last (RFC 3339).
    pub last_seen: String,
    /// Namespace of the refused object; empty for cluster-scoped kinds.
    pub namespace: String,
    /// CREATE, UPDATE, DELETE or CONNECT.
    pub operation: String,
    /// The policy; empty where none was named.
    pub policy: String,
    /// The repository.
    pub repository: String,
    /// The rule.
    pub rule: String,
}
