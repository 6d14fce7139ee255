//! What came of denials: of one, and the figures over many.

use crate::is_false;
use docket_record::changed::ChangedPath;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happened after one denial: the admitted write that answered it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct Outcome {
    /// Of the outcome's own entry.
    #[schemars(length(min = 1))]
    pub id: String,
    /// When the write was admitted (RFC 3339).
    pub time: String,
    /// Place in the ledger's tree.
    pub position: u64,
    /// Milliseconds from this denial to the write.
    #[schemars(range(min = 0))]
    pub after: i64,
    // Only readers of the denial see it, and they see who was denied too.
    /// Who wrote. Null: erased.
    pub by: Option<String>,
    /// The object itself; only another of its series, by the same actor, within a day; or the
    /// object was removed.
    #[schemars(extend("enum" = ["object", "series", "deleted"]))]
    pub relation: String,
    /// Of the object that was written.
    pub name: Option<String>,
    /// How it was written.
    #[schemars(extend("enum" = ["CREATE", "UPDATE", "DELETE"]))]
    pub operation: String,
    /// Whoever was denied wrote.
    pub same_actor: bool,
    /// Nothing but an enforcer that could not be asked had been in the way.
    pub retried: bool,
    /// It passed because an enforcer's hook failed open: no fix.
    pub failed_open: bool,
    /// Denials of the same actor that this write answered.
    #[schemars(range(min = 1))]
    pub count: u64,
    /// What differs between the object denied last and the one admitted. Values are never
    /// kept. Null: not known, see pathsUnknown.
    pub paths: Option<Vec<ChangedPath>>,
    /// Paths that differ and are not listed.
    pub more_paths: u64,
    /// Why the paths are not known.
    pub paths_unknown: Option<String>,
}

/// What came of the denials of one policy, or of all, in one namespace.
// Members in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct Outcomes {
    /// Outcomes in which the object was removed.
    pub deleted: u64,
    /// Denied or unavailable, no dry runs; the newest 10,000.
    pub denials: u64,
    /// Outcomes that passed because an enforcer's hook failed open.
    pub failed_open: u64,
    /// Writes that passed after a denial; one write may answer many denials.
    pub fixed: u64,
    /// Of those: of the denied object.
    pub fixed_object: u64,
    /// Of those: nothing but an enforcer that could not be asked had been in the way.
    pub fixed_retried: u64,
    /// Of those: by whoever had been denied.
    pub fixed_same_actor: u64,
    /// Of those: only of another object of its series, by the same actor.
    pub fixed_series: u64,
    /// There are older denials than were looked at.
    pub limited: bool,
    /// Milliseconds from the first denial to the write, over the fixed.
    #[schemars(range(min = 0))]
    pub median_after: Option<i64>,
    /// The namespace that was asked for.
    #[schemars(length(min = 1))]
    pub namespace: String,
    /// Fixed ones whose changed paths are known: topPaths counts in these.
    pub paths_known: u64,
    /// Null: of all policies.
    pub policy: Option<String>,
    /// A recorded day is shown.
    #[serde(default, skip_serializing_if = "is_false")]
    pub replay: bool,
    /// Only denials from then on (RFC 3339).
    pub since: Option<String>,
    /// Paths that were changed most often.
    pub top_paths: Vec<TopPath>,
    /// Denials without an outcome.
    pub unresolved: u64,
    /// Of the denials, 0 to 1. Null: there are none.
    #[schemars(range(min = 0))]
    pub unresolved_share: Option<f64>,
    /// Only denials before then (RFC 3339).
    pub until: Option<String>,
}

/// One path, and in how many outcomes it differed.
// Members in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub struct TopPath {
    /// Only the admitted object had it.
    pub added: u64,
    /// Both had it, with different values.
    pub changed: u64,
    /// Outcomes in which it differs.
    #[schemars(range(min = 1))]
    pub count: u64,
    /// Field names with dots between.
    #[schemars(length(min = 1))]
    pub path: String,
    /// Only the denied object had it.
    pub removed: u64,
}
