//! What a verifier reads.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Stored bytes and the salt of their commitment, base64.
// Members in the order of their names, here and below.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Salted {
    /// The bytes as they are stored and hashed.
    pub bytes: String,
    /// The salt.
    pub salt: String,
}

/// A part of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum PartName {
    /// Names no one.
    Public,
    /// Names persons and things.
    Personal,
    /// The refused object, redacted.
    Exhibit,
}

/// That one denial is in the ledger: recompute the root from leaf and path, and compare it
/// with the signed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct Proof {
    /// The signed note over the root (C2SP tlog-checkpoint).
    pub checkpoint: String,
    /// Id of the denial.
    pub id: String,
    /// Bytes of the leaf, 106 of them, base64.
    pub leaf: String,
    /// Salts and bytes of the parts that the leaf commits to, as far as the reader may see
    /// them.
    pub parts: ProofParts,
    /// Hashes from the leaf to the root of that tree size, lowest first, base64.
    pub path: Vec<String>,
    /// Index of the leaf.
    pub position: u64,
    /// Number of entries that the checkpoint speaks of.
    #[schemars(range(min = 1))]
    pub tree_size: u64,
    /// The key that verifies the note.
    pub verifier_key: String,
    /// Parts that are there and not the reader's to see.
    pub withheld: Vec<PartName>,
}

/// Parts of an entry; absent: there is none, or it is withheld.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(inline, deny_unknown_fields)]
pub struct ProofParts {
    /// The refused object, redacted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exhibit: Option<Salted>,
    /// The part that names persons and things.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub personal: Option<Salted>,
    /// The part that names no one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public: Option<Salted>,
}

/// Stored bytes and salts of one entry; null: there is none, it was erased, or it is
/// withheld.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Part {
    /// What kind of entry it is.
    pub class: String,
    /// The refused object, redacted.
    pub exhibit: Option<Salted>,
    /// The part that names persons and things.
    pub personal: Option<Salted>,
    /// Place in the ledger's tree.
    pub position: u64,
    /// The part that names no one.
    pub public: Option<Salted>,
    /// Parts that are there and not the reader's to see, so that nobody takes them for
    /// erased.
    pub withheld: Vec<PartName>,
}

/// Stored bytes and salts of several entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Parts {
    /// Those of the entries that are the caller's to read.
    pub items: Vec<Part>,
    /// Where to go on from.
    pub next: u64,
}
