//! One violation, as GET /api/policy-violations gives it.

use crate::denial::{PolicyRef, ResourceRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A write that was refused, or an object that exists and that a policy objects to. Names
/// are those of Krate's policy pages, and mean what they mean in a denial. Null: not known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct Violation {
    /// Of a denial: its id. Of a report's result: the same as long as the violation lasts.
    #[schemars(length(min = 1))]
    pub id: String,
    /// denial: a write was refused, and no object came of it. report: the object exists.
    pub source: ViolationSource,
    /// The policy that objects.
    pub policy_ref: Option<PolicyRef>,
    /// Its name once more, for tables.
    pub policy: Option<String>,
    /// CEL policies have no rules.
    pub rule: Option<String>,
    /// warn: the policy is not scored. error: it could not be evaluated.
    #[schemars(extend("enum" = ["fail", "warn", "error"]))]
    pub result: String,
    /// As the policy or the report states it.
    pub severity: Option<String>,
    /// As the policy or the report states it.
    pub category: Option<String>,
    /// As the policy states it.
    pub title: Option<String>,
    /// What the policy says is wrong.
    pub message: Option<String>,
    /// The object.
    pub resource_ref: ResourceRef,
    /// The same, under the name that Krate's report pages read.
    pub resource: ResourceRef,
    /// Of the denial, or of the report. Null: cluster-scoped.
    pub namespace: Option<String>,
    /// Under /api/orgs/{org}: that org. Else the namespace's.
    pub org: Option<String>,
    /// Of a report: as the last write of the object said that this reporter has seen.
    pub repository: Option<String>,
    /// The environment, known in the same way.
    pub environment: Option<String>,
    /// The surface, known in the same way.
    pub surface: Option<String>,
    /// Whether the policy refuses: of a denial then, of a report now. Null: the policy is not
    /// known.
    #[schemars(extend("enum" = ["audit", "enforce", null]))]
    pub mode: Option<String>,
    /// First denial of this object in its series among those looked at; first report of this
    /// violation since this reporter began.
    pub first_seen: Option<String>,
    /// Latest denial; when the report's result was made.
    pub last_seen: Option<String>,
    /// Denials of this object in its series; 1 for a report.
    pub count: u64,
    /// Of a report: seconds since its result was made.
    pub age: Option<u64>,
    /// The same where a background scan made it.
    pub background_scan_age: Option<u64>,
    /// Why the report's result may not hold any more: object or policy were changed later.
    pub stale: Option<String>,
    /// What the policy says should be done.
    pub remediation: Option<String>,
    /// The enforcer has exceptions for such a policy.
    pub exception_eligible: bool,
    /// Name of the report; of a denial: of the one about the same object, which then exists.
    pub report: Option<String>,
    /// Kind of that report.
    pub report_kind: Option<String>,
    /// Id of the denial; of a report: of the newest one of the same object by the same
    /// policy.
    pub denial: Option<String>,
}

/// What a violation is known from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum ViolationSource {
    /// A write was refused, and no object came of it.
    #[default]
    Denial,
    /// The object exists.
    Report,
}
