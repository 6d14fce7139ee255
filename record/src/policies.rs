//! The policies as they are known at one moment: enough to say whether an
//! attribution read from a text can be true, and what the policy says of itself.

use crate::denial::Law;

/// One policy-like object (Kyverno's kinds, ValidatingAdmissionPolicy).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// `ValidatingPolicy`, `ClusterPolicy`, `ValidatingAdmissionPolicy`, …
    pub kind: String,
    /// For namespaced kinds.
    pub namespace: String,
    /// metadata.name.
    pub name: String,
    /// metadata.uid, for Events.
    pub uid: String,
    /// apiVersion, for Events.
    pub api_version: String,
    /// Deny or Enforce in some form (for a VAP: some binding has Deny).
    pub enforces: bool,
    /// What it matches: (apiGroup, resource), `*` allowed; empty: not readable,
    /// which makes no attribution exact.
    pub covers: Vec<(String, String)>,
    /// Legacy rule names.
    pub rules: Vec<String>,
    /// severity, category, title, remediation, mode.
    pub law: Law,
}

/// All policies known at one moment.
#[derive(Clone, Debug, Default)]
pub struct PolicyList {
    /// In no order.
    pub policies: Vec<Policy>,
    /// False until every watch has had its first full list: until then nothing is exact.
    pub synced: bool,
}
