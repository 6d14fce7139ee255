//! An org's policy reports, in the shapes of Krate's policy page.

use crate::is_false;
use crate::violation::Violation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An org's policy reports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct PolicyReports {
    /// The org.
    pub org: String,
    /// The reports by name.
    pub reports: PolicyReportsNamed,
    /// What is said in them; `…/policy-violations` has pages.
    pub violations: Vec<Violation>,
    /// How many violations.
    pub total: u64,
    /// There are more violations than are listed.
    pub has_more: bool,
    /// Why not all may be seen, in sentences.
    pub degraded: Vec<String>,
    /// A part is kept back.
    #[serde(default, skip_serializing_if = "is_false")]
    pub partial: bool,
    /// A recorded day is shown.
    #[serde(default, skip_serializing_if = "is_false")]
    pub replay: bool,
}

/// Reports by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, deny_unknown_fields)]
pub struct PolicyReportsNamed {
    /// Those of the org's namespaces.
    pub policy_reports: Vec<PolicyReport>,
    /// Those of the cluster belong to no org: empty.
    pub cluster_policy_reports: Vec<Value>,
    /// How many reports.
    pub total: u64,
}

/// One report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, deny_unknown_fields)]
pub struct PolicyReport {
    /// Its group and version.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Results in it that are violations.
    pub violations: u64,
}

/// The first event of a watch of reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyReportSync {
    /// `SYNC`.
    #[serde(rename = "type")]
    pub event: &'static str,
    /// `policyreports`.
    pub resource: &'static str,
    /// The org's namespaces, with commas between.
    pub namespace: String,
    /// How many reports there are, in words.
    pub status: String,
}

/// A report came, changed or went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyReportChange {
    /// `ADDED`, `MODIFIED` or `DELETED`.
    #[serde(rename = "type")]
    pub event: &'static str,
    /// `policyreports`.
    pub resource: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Results in it that are violations.
    pub violations: u64,
    /// `fail` if there are any, else `pass`.
    pub status: &'static str,
}

/// The last event of a watch of reports that is refused to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WatchError {
    /// `policyreports`.
    pub resource: &'static str,
    /// Why.
    pub error: String,
}

/// The last event of a watch of reports whose reporter stops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WatchClosed {
    /// `policyreports`.
    pub resource: &'static str,
    /// 0.
    pub code: u32,
}
