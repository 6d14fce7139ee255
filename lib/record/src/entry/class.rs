//! Classes of entries.

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

impl Class {
    /// All classes, in the order of their numbers.
    pub const ALL: [Class; 9] = [
        Class::Denial,
        Class::Pass,
        Class::Flood,
        Class::Amendment,
        Class::Law,
        Class::Outcome,
        Class::Gap,
        Class::Erasure,
        Class::Statement,
    ];

    /// The class with this number in the leaf, if there is one.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Class> {
        Class::ALL.into_iter().find(|class| *class as u8 == number)
    }

    /// As people and programs read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Class::Denial => "denial",
            Class::Pass => "pass",
            Class::Flood => "flood",
            Class::Amendment => "amendment",
            Class::Law => "law",
            Class::Outcome => "outcome",
            Class::Gap => "gap",
            Class::Erasure => "erasure",
            Class::Statement => "statement",
        }
    }
}
