//! One leaf and its parts.

use serde::{Deserialize, Serialize};

/// What an entry is. The number is the byte in the leaf and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[repr(u8)]
pub enum Class {
    /// denied, unavailable, unknown
    Denial = 1,
    /// failedOpen, excepted
    Pass = 2,
    /// many denials counted as one
    Flood = 3,
    /// something learned later about another entry
    Amendment = 4,
    /// an observed version of a policy
    Law = 5,
    /// what came next
    Outcome = 6,
    /// a span in which the record may be incomplete
    Gap = 7,
    /// a part was deleted
    Erasure = 8,
    /// a signed summary over a period
    Statement = 9,
}

/// An entry before it has a position. `public` is a JSON object with at least `id`
/// (text) and `time` (RFC 3339); `docs/ledger-format.md` lists what the view reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// Unique for ever: a second entry with the same id is not appended.
    pub id: String,
    /// Which class.
    pub class: Class,
    /// Bytes of the public part; stored and hashed as they are.
    pub public: Vec<u8>,
    /// Bytes of the personal part, a JSON object, if there is one.
    pub personal: Option<Vec<u8>>,
    /// Bytes of the exhibit part, if there is one.
    pub exhibit: Option<Vec<u8>>,
}
