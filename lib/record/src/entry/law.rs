//! Laws: one observed version of a policy, and what Kyverno made of it.

use super::OpenEnum;
use super::amendment::AmendmentKind;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a version came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It was there when the kind was read for the first time.
    FirstSeen,
    /// There was none before.
    Created,
    /// Another one was in force before.
    Changed,
    /// None is in force from now on.
    Deleted,
}

impl Change {
    /// As in entries.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Change::FirstSeen => "first-seen",
            Change::Created => "created",
            Change::Changed => "changed",
            Change::Deleted => "deleted",
        }
    }
}

/// The public part of a law entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Public {
    /// Unique for ever; the same version observed twice has the same.
    pub id: String,
    /// When it was observed.
    pub time: Timestamp,
    /// The watch had been away: the change came after this, and no later than `time`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Timestamp>,
    /// How it came to be known.
    pub change: Change,
    /// Group and version under which it was read.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Empty for cluster-scoped kinds.
    #[serde(default)]
    pub namespace: String,
    /// metadata.name.
    pub name: String,
    /// metadata.uid.
    #[serde(default)]
    pub uid: String,
    /// metadata.resourceVersion.
    #[serde(default)]
    pub resource_version: String,
    /// metadata.generation; 0 if the object has none.
    #[serde(default)]
    pub generation: i64,
    /// [`crate::law::text::hash`] of the text; empty for a deletion.
    #[serde(default)]
    pub hash: String,
    /// Id of the version before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// What changed, in words.
    #[serde(default)]
    pub summary: Vec<String>,
    /// Deny or Enforce in some form; for a binding, that it lets its policy deny.
    #[serde(default)]
    pub enforces: bool,
    /// The object without status, managed fields and what is secret; null for a deletion.
    #[serde(default)]
    pub text: Value,
    /// The text was too long, and only the beginning of its JSON is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<Whole>,
}

/// What is said of a text that was too long to keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whole {
    /// Bytes of the whole.
    pub length: u64,
    /// SHA-256 of the whole, hex.
    pub sha256: String,
}

/// The public part of an amendment of kind [`AmendmentKind::LawAutogen`]. Of several of one
/// law the first holds from the beginning of that version on, each other from its own time
/// on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Autogen {
    /// Unique for ever.
    pub id: String,
    /// When it was observed.
    pub time: Timestamp,
    /// The watch had been away: it came after this, and no later than `time`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Timestamp>,
    /// Id of the law entry.
    pub amends: String,
    /// [`AmendmentKind::LawAutogen`].
    pub kind: OpenEnum<AmendmentKind>,
    /// `status.autogen` of the policy, as Kyverno wrote it; null if there is none any more.
    #[serde(default)]
    pub autogen: Value,
    /// It was too long, and only the beginning of its JSON is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<Whole>,
}

impl Autogen {
    /// Reads the public part of an amendment; `None` if it is one of another kind.
    #[must_use]
    pub fn read(public: &[u8]) -> Option<Autogen> {
        let read: Autogen = serde_json::from_slice(public).ok()?;
        (read.kind == AmendmentKind::LawAutogen).then_some(read)
    }
}
