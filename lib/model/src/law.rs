//! Laws: observed versions of policies.

use crate::is_false;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// One observed version of a policy, exception, binding or webhook configuration: the entry
/// as it is stored, with what was learned later. What an older entry does not say is absent.
// Members in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Law {
    /// The watch had been away: the change came after this, and no later than `time`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub after: Option<String>,
    /// Group and version under which it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub api_version: Option<String>,
    /// What Kyverno made of a policy on pods for their controllers: its `status.autogen`, as
    /// seen last; text: the beginning of one that was too long.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schemars(with = "Option<Map<String, Value>>", extend("type" = ["object", "string", "null"]))]
    pub autogen: Option<Value>,
    /// first-seen, created, changed or deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub change: Option<String>,
    /// Who changed it, for readers of the whole cluster. Several: it was one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<ChangedBy>")]
    pub changed_by: Option<Vec<ChangedBy>>,
    /// Denies or enforces in some form; of a binding: lets its policy deny.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub enforces: Option<bool>,
    /// Its generation then; 0 if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    pub generation: Option<i64>,
    /// SHA-256 of the text; empty for a deletion.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub hash: Option<String>,
    /// Unique for ever; the same version observed twice has the same.
    pub id: String,
    /// Its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub kind: Option<String>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub name: Option<String>,
    /// Its namespace; empty for cluster-scoped kinds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub namespace: Option<String>,
    /// Place in the ledger's tree.
    pub position: u64,
    /// Id of the version before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub previous: Option<String>,
    /// When the ledger took it (RFC 3339).
    pub recorded_at: String,
    /// Its resourceVersion then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub resource_version: Option<String>,
    /// What changed, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub summary: Option<Vec<String>>,
    /// The object without status, managed fields and what is secret; text: the beginning of
    /// one that was too long. Null for a deletion.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schemars(with = "Option<Map<String, Value>>", extend("type" = ["object", "string", "null"]))]
    pub text: Option<Value>,
    /// When it was observed (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Its uid.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub uid: Option<String>,
    /// The entry has a form that this reporter does not know; only its place is given.
    #[serde(skip_serializing_if = "is_false")]
    pub unreadable: bool,
    /// The text was too long: length and hash of it; only its beginning is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Map<String, Value>")]
    pub whole: Option<Value>,
    /// Members of a later form.
    #[serde(flatten)]
    #[schemars(skip)]
    pub later: Map<String, Value>,
}

/// Null is a value here; only what is absent is `None`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Who changed a law, by the audit event of a write.
// Members in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(inline)]
pub struct ChangedBy {
    /// User name; null: erased.
    pub actor: Option<String>,
    /// Id of the audit event.
    pub event: Option<String>,
    /// It fits only if the clocks differ.
    pub perhaps: bool,
    /// When it was written (RFC 3339).
    pub time: Option<String>,
    /// How it was written.
    pub verb: Option<String>,
}

/// The laws that a denial names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DenialLaws {
    /// Id of the denial.
    pub denial: String,
    /// Its laws.
    pub items: Vec<Law>,
}
