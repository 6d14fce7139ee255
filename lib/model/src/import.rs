//! What became of audit records that were brought.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What was in a chunk of audit records; all of it is committed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Imported")]
pub struct ImportSummary {
    /// Lines with something in them.
    pub records: u64,
    /// Records of something else than an audit event; nothing is wrong with them.
    #[serde(default)]
    pub other: u64,
    /// Audit records by shape.
    #[serde(default)]
    pub shapes: BTreeMap<String, u64>,
    /// Audit records by what the events were, as in the metrics.
    #[serde(default)]
    pub events: BTreeMap<String, u64>,
    /// Records that could not be read.
    #[serde(default)]
    pub broken: Vec<BrokenRecord>,
    /// Records that were not in the ledger before.
    pub new: u64,
}

/// A record that could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(inline)]
pub struct BrokenRecord {
    /// Line of the chunk, from 0.
    pub line: u64,
    /// Why, and where its bytes are.
    pub why: String,
}
