//! What the cluster calls things.

use jiff::SignedDuration;

/// Names in the cluster; the same for webhook and reporter.
#[derive(Clone, Debug)]
pub struct Config {
    /// Cluster name; part of every id and MAC.
    pub cluster: String,
    /// Krate's API group (`krate.a5c.ai`).
    pub krate_group: String,
    /// Prefix of Krate's labels (`krate.a5c.ai/`).
    pub label_prefix: String,
    /// Prefix of org namespaces (`krate-org-`).
    pub org_namespace_prefix: String,
    /// How far witness and API server clocks may differ.
    pub clock_tolerance: SignedDuration,
}
