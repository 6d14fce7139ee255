//! An org's policies, as Krate's policy page asks for them.

use crate::is_false;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The policies that concern an org.
// Members in the order of their names, here and below.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct PolicyPage {
    /// The controller's; empty.
    #[schemars(with = "Vec<Value>")]
    pub bindings: Vec<Map<String, Value>>,
    /// The org.
    pub org: String,
    /// A part is kept back.
    #[serde(default, skip_serializing_if = "is_false")]
    pub partial: bool,
    /// Those that refused most first.
    pub policies: Vec<PolicyItem>,
    /// What this reporter has seen of the engine.
    pub policy_engine: Engine,
    /// The controller's; empty.
    #[schemars(with = "Vec<Value>")]
    pub profiles: Vec<Map<String, Value>>,
    /// A recorded day is shown.
    #[serde(default, skip_serializing_if = "is_false")]
    pub replay: bool,
    /// All of them together.
    pub summary: PolicyPageSummary,
    /// The controller's; empty.
    #[schemars(with = "Vec<Value>")]
    pub templates: Vec<Map<String, Value>>,
}

/// What this reporter has seen of the engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, deny_unknown_fields)]
pub struct Engine {
    /// Why not all may be seen, in sentences.
    pub degraded: Vec<String>,
    /// Policies or reports of it were seen.
    pub detected: bool,
    /// Its name.
    #[schemars(extend("enum" = ["kyverno"]))]
    pub engine: String,
    /// How far what is shown can be relied on.
    pub health: EngineHealth,
    /// How many of each kind are shown.
    pub kinds: BTreeMap<String, u64>,
    /// Kinds of reports that are served.
    pub report_kinds: Vec<String>,
}

/// How far what is shown of an engine can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum EngineHealth {
    /// All is seen.
    Ready,
    /// Not all may be seen.
    Degraded,
    /// Nothing of it was seen.
    Disabled,
}

/// A policy, and what is on record of it in the org's namespaces.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, deny_unknown_fields)]
pub struct PolicyItem {
    /// How many users, people and programs, it refused something.
    pub actors: u64,
    /// Group and version of the policy.
    pub api_version: Option<String>,
    /// As its author states it.
    pub category: Option<String>,
    /// How many denials.
    pub denials: u64,
    /// False: it refused something and is not known any more.
    pub in_force: bool,
    /// Its kind.
    pub kind: Option<String>,
    /// The last denial (RFC 3339).
    pub last_denied: Option<String>,
    /// Id of the version in force.
    pub law: Option<String>,
    /// Whether it refuses.
    #[schemars(extend("enum" = ["enforce", "audit", null]))]
    pub mode: Option<String>,
    /// Its name.
    pub name: String,
    /// Its namespace; null for cluster-scoped kinds.
    pub namespace: Option<String>,
    /// What the policy says should be done.
    pub remediation: Option<String>,
    /// Names of its rules.
    pub rules: Vec<String>,
    /// As its author states it.
    pub severity: Option<String>,
    /// As its author states it.
    pub title: Option<String>,
    /// Of the denials, those that no write answered, 0 to 1.
    #[schemars(range(min = 0))]
    pub unresolved_share: Option<f64>,
}

/// All policies of an org together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, deny_unknown_fields)]
pub struct PolicyPageSummary {
    /// Policies in force that do not refuse.
    pub audited: u64,
    /// How many denials.
    pub denials: u64,
    /// Policies in force that refuse.
    pub enforced: u64,
    /// There are older denials that were not looked at.
    pub limited: bool,
    /// Policies in force.
    pub policies: u64,
    /// Denials that no write answered; null where only a part may be seen.
    pub unresolved: Option<u64>,
    /// The same as a share of all, 0 to 1.
    #[schemars(range(min = 0))]
    pub unresolved_share: Option<f64>,
}
