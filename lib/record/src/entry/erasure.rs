//! Erasures: parts of earlier entries that were deleted. No version makes such entries yet.

use super::User;
use serde::{Deserialize, Serialize};

/// The public part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Public {
    /// Unique for ever.
    pub id: String,
    /// When; RFC 3339.
    pub time: String,
    /// What was deleted.
    pub erases: Vec<Erased>,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Parts of one entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// Place of the entry in the tree.
    pub position: u64,
    /// `personal`, `exhibit`.
    #[serde(default)]
    pub parts: Vec<String>,
}

/// The personal part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Personal {
    /// Who deleted.
    pub actor: User,
}
