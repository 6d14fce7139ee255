//! Outcomes: what came after denials.

use super::open_enum::named_enum;
use super::{OpenEnum, User, is_zero};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

named_enum! {
    /// What was written, as against what was denied.
    pub enum Relation {
        /// The same object.
        Object = "object",
        /// Another one of the same series.
        Series = "series",
        /// The object was not written again but removed.
        Deleted = "deleted",
    }
}

/// How a path differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum Change {
    /// Only the admitted object has it.
    Added,
    /// Both have it, with different values.
    Changed,
    /// Only the denied object had it.
    Removed,
}

/// One path that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub struct ChangedPath {
    /// Field names with dots between; items of lists as [0].
    #[schemars(length(min = 1))]
    pub path: String,
    /// What became of it.
    pub change: Change,
}

/// The public part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Public {
    /// Unique for ever; the same write answering the same denials has the same.
    pub id: String,
    /// When the write was answered.
    pub time: Option<Timestamp>,
    /// What was written.
    pub relation: OpenEnum<Relation>,
    /// Of the object that was written.
    pub namespace: String,
    /// API group of it.
    pub group: String,
    /// Plural.
    pub resource: String,
    /// Kind.
    pub kind: String,
    /// `CREATE`, `UPDATE`, `DELETE`.
    pub operation: String,
    /// Id of the write's audit event.
    pub write: String,
    /// Ids of the denials that are named.
    pub denials: Vec<String>,
    /// With those that are not named.
    pub count: u64,
    /// From the first denial to the write, milliseconds.
    pub after: i64,
    /// From the last one.
    pub after_last: i64,
    /// Whoever was denied wrote.
    pub same_actor: bool,
    /// All that was in the way was an enforcer that could not be asked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub retried: bool,
    /// It passed because an enforcer's hook failed open.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub failed_open: bool,
    /// What was changed; null if that is not known.
    pub paths: Option<Vec<ChangedPath>>,
    /// How many more paths there are than are listed.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_paths: u64,
    /// Why the paths are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paths_unknown: Option<String>,
}

/// The personal part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Personal {
    /// Object name.
    pub name: String,
    /// Who wrote.
    pub actor: User,
}
