//! Gaps: what the record knows that it does not know.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A span in which the record may be incomplete.
// Members in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Gap {
    /// Why.
    pub cause: Option<String>,
    /// What was missing is known by now.
    pub closed: bool,
    /// Place of the entry that says so.
    #[schemars(with = "Option<i64>")]
    pub closed_by: Option<u64>,
    /// How many audit events are missing, if known; for who reads everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub count: Option<u64>,
    /// What else is known; for who reads everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub detail: Option<String>,
    /// Start of the span (RFC 3339).
    pub from: Option<String>,
    /// What may be missing.
    pub hides: Vec<Hidden>,
    /// Unique for ever.
    pub id: Option<String>,
    /// First and last missing number; for who reads everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<u64>")]
    pub numbers: Option<Vec<u64>>,
    /// Place in the ledger's tree.
    pub position: u64,
    /// Whose numbers they are; for who reads everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "GapProcess")]
    pub process: Option<GapProcess>,
    /// When the ledger took it (RFC 3339).
    pub recorded_at: String,
    /// Name of the source that was away, or `witness`.
    pub source: Option<String>,
    /// When it was noticed (RFC 3339).
    pub time: Option<String>,
    /// End of the span (RFC 3339).
    pub to: Option<String>,
    /// Of cause numbers-missing: the writes whose audit events are missing, as far as they
    /// are known, in namespaces that the caller reads. A write that calls both hooks is there
    /// twice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<MissingWrite>,
}

/// A process that gives numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(inline)]
pub struct GapProcess {
    /// Its instance, such as a pod's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub instance: Option<String>,
    /// When it started, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    pub started: Option<i64>,
}

/// Something that may be missing in a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum Hidden {
    /// Audit events, and with them denials, writes that were let through, and outcomes.
    Denials,
    /// Writes to which an exception applied.
    Excepted,
    /// Versions of policies.
    Laws,
    /// Who denied too.
    OtherDeniers,
}

impl From<docket_record::gap::Hidden> for Hidden {
    fn from(hidden: docket_record::gap::Hidden) -> Hidden {
        use docket_record::gap;
        match hidden {
            gap::Hidden::Denials => Hidden::Denials,
            gap::Hidden::Excepted => Hidden::Excepted,
            gap::Hidden::Laws => Hidden::Laws,
            gap::Hidden::OtherDeniers => Hidden::OtherDeniers,
        }
    }
}

/// A write whose audit event is missing. Texts that the witness had to cut end in an
/// ellipsis.
// Members in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct MissingWrite {
    /// API group.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub group: Option<String>,
    /// Which hook was called.
    #[schemars(extend("enum" = ["witness", "final"]))]
    pub hook: String,
    /// Name of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub name: Option<String>,
    /// Absent for cluster-scoped objects, or if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub namespace: Option<String>,
    /// For who reads everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64", range(min = 1))]
    pub number: Option<u64>,
    /// CREATE, UPDATE or DELETE.
    pub operation: String,
    /// Plural; absent if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub resource: Option<String>,
    /// Absent for the object itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub subresource: Option<String>,
    /// When the hook answered (RFC 3339).
    pub time: String,
    /// Who wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub user: Option<String>,
}
